"""Write replay/data/xnys.csv: every NYSE weekday that is not a plain 09:30-16:00 session.

Run after a new exchange_calendars release. Weekdays within the table's span that it does not list are
full sessions; a listed day without hours is a closure, one with hours a shortened session.
"""

from __future__ import annotations

import csv
import pathlib

import exchange_calendars
import pandas as pd

FIRST, LAST = "1990-01-01", "2050-12-31"  # the library projects its rules as far as it is asked to
TARGET = pathlib.Path(__file__).parent.parent / "replay" / "data" / "xnys.csv"
NEW_YORK = "America/New_York"


def rows() -> list[tuple[str, str, str]]:
    schedule = exchange_calendars.get_calendar("XNYS", start=FIRST, end=LAST).schedule
    hours = {
        day.strftime("%Y-%m-%d"): (opens.strftime("%H:%M"), closes.strftime("%H:%M"))
        for day, opens, closes in zip(
            schedule.index,
            schedule["open"].dt.tz_convert(NEW_YORK),
            schedule["close"].dt.tz_convert(NEW_YORK),
            strict=True,
        )
    }
    weekdays = [day.strftime("%Y-%m-%d") for day in pd.bdate_range(FIRST, LAST)]
    assert set(hours) <= set(weekdays), "a session on a weekend: the table's form cannot say that"
    return [(day, *hours.get(day, ("", ""))) for day in weekdays if hours.get(day) != ("09:30", "16:00")]


def main() -> None:
    with TARGET.open("w", encoding="ascii", newline="") as file:
        file.write(f"# {FIRST} {LAST} XNYS of exchange_calendars {exchange_calendars.__version__}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("date", "open", "close"))
        writer.writerows(rows())
    print(f"wrote {TARGET.name}: {len(rows())} days from {FIRST} to {LAST}")


if __name__ == "__main__":
    main()
