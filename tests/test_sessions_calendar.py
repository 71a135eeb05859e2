"""The shipped calendar against the reference library, and New York time on the days its clocks change."""

from __future__ import annotations

import datetime as dt
import pathlib
import warnings
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay import sessions
from replay.errors import InvalidDuration, InvalidTime
from replay.sessions import duration_text, find_session, parse_date, parse_duration, parse_moment

UTC = dt.UTC
NEW_YORK = ZoneInfo("America/New_York")
FIRST, LAST = dt.date(1990, 1, 1), dt.date(2050, 12, 31)


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- the table


@pytest.fixture(scope="module")
def reference() -> dict[dt.date, tuple[dt.datetime, dt.datetime]]:
    """Open and close of every session by the library, in UTC."""
    with warnings.catch_warnings():
        # the library's own: it reads a schedule in a way that pandas is about to change
        warnings.filterwarnings("ignore", r"Series\.values returning an ndarray", DeprecationWarning)
        import exchange_calendars

        calendar = exchange_calendars.get_calendar("XNYS", start=FIRST.isoformat(), end=LAST.isoformat())
        schedule = calendar.schedule
        rows = zip(schedule.index, schedule["open"], schedule["close"], strict=True)
        return {day.date(): (opens.to_pydatetime(), closes.to_pydatetime()) for day, opens, closes in rows}


def test_every_session_is_the_reference_librarys(
    reference: dict[dt.date, tuple[dt.datetime, dt.datetime]],
) -> None:
    assert sessions.calendar_span() == (FIRST, LAST)
    assert len(reference) > 15_000
    wrong = []
    for day in range((LAST - FIRST).days + 1):
        date = FIRST + dt.timedelta(days=day)
        session = find_session(date)
        found = None if session is None else (session.date, session.open.astimezone(UTC), session.close.astimezone(UTC))
        wanted = (date, *reference[date]) if date in reference else None
        if found != wanted:
            wrong.append((found, wanted))
    assert wrong == []


def test_early_closes_are_the_reference_librarys(reference: dict[dt.date, tuple[dt.datetime, dt.datetime]]) -> None:
    early = {date for date, (_, closes) in reference.items() if closes.astimezone(NEW_YORK).time() < dt.time(16)}
    found = {date for date in reference if (session := find_session(date)) is not None and session.is_early_close}
    assert found == early
    assert len(early) > 100


@pytest.mark.parametrize(
    ("date", "hours"),
    [
        ("2026-06-05", ("09:30", "16:00")),
        ("2024-07-03", ("09:30", "13:00")),
        ("2025-11-28", ("09:30", "13:00")),
        ("2026-11-27", ("09:30", "13:00")),
        ("2026-12-24", ("09:30", "13:00")),
        ("2026-07-03", None),
        ("2026-11-26", None),
        ("2026-04-03", None),
        ("2026-06-19", None),
        ("2021-06-18", ("09:30", "16:00")),
        ("2025-01-09", None),
        ("2001-09-11", None),
        ("2001-09-14", None),
        ("2012-10-29", None),
        ("2026-07-25", None),
        ("2026-07-26", None),
        ("1989-12-29", None),
        ("2051-01-03", None),
        ("0001-01-01", None),
        ("9999-12-31", None),
    ],
)
def test_sessions_by_the_exchanges_own_notices(date: str, hours: tuple[str, str] | None) -> None:
    session = find_session(dt.date.fromisoformat(date))
    if hours is None:
        assert session is None
        return
    assert session is not None
    assert (f"{session.open:%H:%M}", f"{session.close:%H:%M}") == hours
    assert (session.open.date(), session.close.date()) == (session.date, session.date)
    assert session.minutes == (390 if hours[1] == "16:00" else 210)
    assert session.is_early_close == (hours[1] == "13:00")


# --- the days the clocks change


@pytest.mark.parametrize(
    ("wall", "moment"),
    [
        ("2026-03-06T09:30", "2026-03-06T14:30"),
        ("2026-03-08T01:59:59.999999", "2026-03-08T06:59:59.999999"),
        ("2026-03-08T03:00", "2026-03-08T07:00"),
        ("2026-03-09T09:30", "2026-03-09T13:30"),
        ("2026-10-30T16:00", "2026-10-30T20:00"),
        ("2026-11-01T00:59:59.999999", "2026-11-01T04:59:59.999999"),
        ("2026-11-01T02:00", "2026-11-01T07:00"),
        ("2026-11-02T16:00", "2026-11-02T21:00"),
        ("2026-11-01T01:30-04:00", "2026-11-01T05:30"),
        ("2026-11-01T01:30-05:00", "2026-11-01T06:30"),
        ("2026-03-08T02:30-05:00", "2026-03-08T07:30"),
        ("2026-03-08T02:30Z", "2026-03-08T02:30"),
        ("2026-11-01T01:30Z", "2026-11-01T01:30"),
        ("1990-04-01T03:00", "1990-04-01T07:00"),
    ],
)
def test_wall_clock_on_either_side_of_a_change(wall: str, moment: str) -> None:
    assert parse_moment(wall) == utc(moment)
    assert parse_moment(wall).tzinfo is UTC


@pytest.mark.parametrize(
    "wall", ["2026-03-08T02:00", "2026-03-08T02:30", "2026-03-08T02:59:59.999999", "2024-03-10T02:15"]
)
def test_a_time_the_clock_skips_does_not_exist(wall: str) -> None:
    for value in (wall, dt.datetime.fromisoformat(wall), dt.datetime.fromisoformat(wall).replace(fold=1)):
        with pytest.raises(InvalidTime, match="does not exist") as error:
            parse_moment(value)
        assert (error.value.code, error.value.http_status) == ("invalid_time", 400)


@pytest.mark.parametrize(
    "wall", ["2026-11-01T01:00", "2026-11-01T01:30", "2026-11-01T01:59:59.999999", "2025-11-02T01:15"]
)
def test_a_time_the_clock_shows_twice_is_ambiguous_and_the_way_out_is_said(wall: str) -> None:
    for value in (wall, dt.datetime.fromisoformat(wall), dt.datetime.fromisoformat(wall).replace(fold=1)):
        with pytest.raises(InvalidTime, match="ambiguous") as error:
            parse_moment(value, "known_at")
        assert error.value.message.startswith("known_at")
        for offset in ("-04:00", "-05:00"):
            assert dt.datetime.fromisoformat(wall).isoformat() + offset in error.value.message
            parse_moment(wall + offset)


def test_sessions_open_at_0930_on_the_wall_on_either_side_of_a_change() -> None:
    for date, opens, closes in (
        ("2026-03-06", "14:30", "21:00"),
        ("2026-03-09", "13:30", "20:00"),
        ("2026-10-30", "13:30", "20:00"),
        ("2026-11-02", "14:30", "21:00"),
    ):
        session = find_session(dt.date.fromisoformat(date))
        assert session is not None
        assert f"{session.open.astimezone(UTC):%H:%M}" == opens
        assert f"{session.close.astimezone(UTC):%H:%M}" == closes


# --- moments


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026-07-24T18:30:00Z", "2026-07-24T18:30"),
        ("2026-07-24T18:30:00+00:00", "2026-07-24T18:30"),
        ("2026-07-24T14:30", "2026-07-24T18:30"),
        ("2026-07-24 14:30", "2026-07-24T18:30"),
        ("  2026-07-24T14:30\n", "2026-07-24T18:30"),
        ("2026-07-24T14:30:12.345678", "2026-07-24T18:30:12.345678"),
        ("2026-07-24T14:30:12.3", "2026-07-24T18:30:12.3"),
        ("2026-07-25T00:00+05:30", "2026-07-24T18:30"),
        ("20260724T143000", "2026-07-24T18:30"),
        ("2026-01-24T14:30", "2026-01-24T19:30"),
        ("2026-07-24", "2026-07-24T20:00"),
        ("20260724", "2026-07-24T20:00"),
        ("2026-11-27", "2026-11-27T18:00"),
        ("2026-07-25", "2026-07-25T20:00"),
        ("2026-07-03", "2026-07-03T20:00"),
        ("2026-12-25", "2026-12-25T21:00"),
        ("1900-07-25", "1900-07-25T21:00"),
        ("2100-07-25", "2100-07-25T20:00"),
        (dt.date(2026, 11, 27), "2026-11-27T18:00"),
        (dt.date(2026, 7, 25), "2026-07-25T20:00"),
        (dt.datetime(2026, 7, 24, 14, 30), "2026-07-24T18:30"),
        (dt.datetime(2026, 7, 24, 14, 30, fold=1), "2026-07-24T18:30"),
        (dt.datetime(2026, 7, 24, 14, 30, tzinfo=UTC), "2026-07-24T14:30"),
        (dt.datetime(2026, 7, 24, 14, 30, tzinfo=NEW_YORK), "2026-07-24T18:30"),
        (dt.datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK, fold=1), "2026-11-01T06:30"),
        (dt.datetime(2026, 7, 24, 14, 30, tzinfo=dt.timezone(dt.timedelta(hours=9))), "2026-07-24T05:30"),
    ],
    ids=str,
)
def test_a_moment_in_every_form(value: Any, moment: str) -> None:
    found = parse_moment(value)
    assert found == utc(moment)
    assert found.utcoffset() == dt.timedelta(0)


@pytest.mark.parametrize(
    "value",
    [
        "", " ", "noon", "now", "today", "latest", "2026-02-29", "2026-13-01", "2026-07-24T25:00", "2026-07-24T14:60",
        "2026-07-24T14:30:60", "2026-07-24T14:30+25:00", "2026-07-24T14:30 EST", "24/07/2026", "07-24-2026", "1784918400",
        "2026-07-24T", "T14:30", "2026-07-24T14:30ZZ", "0000-01-01", "10000-01-01", "-2026-07-24", "2026-07-24\0",
        "२०२६-07-24", "9" * 10_000, "\udcff", None, 0, 1784918400, 1.5, True, b"2026-07-24", ["2026-07-24"], dt.time(14, 30),
    ],
    ids=lambda value: ascii(value)[:24],
)  # fmt: skip
def test_what_is_no_moment(value: Any) -> None:
    with pytest.raises(InvalidTime) as error:
        parse_moment(value, "as_of")
    assert error.value.code == "invalid_time"
    assert error.value.message.startswith("as_of")


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("0001-01-02T00:00Z", "0001-01-02T00:00"),
        ("0001-01-01T00:00", "0001-01-01T04:56:02"),
        ("9999-12-31", "9999-12-31T21:00"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999"),
        ("9999-12-31T18:59", "9999-12-31T23:59"),
    ],
)
def test_the_ends_of_time_that_can_be_told(value: str, moment: str) -> None:
    assert parse_moment(value) == utc(moment)


@pytest.mark.parametrize(
    "value",
    [
        "0001-01-01T00:00Z",
        "0001-01-01T00:00+14:00",
        "9999-12-31T19:00",
        "9999-12-31T23:59-05:00",
        dt.datetime.max,
        dt.datetime.min.replace(tzinfo=UTC),
        dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-1))),
    ],
    ids=str,
)
def test_beyond_the_ends_of_time_is_refused(value: Any) -> None:
    with pytest.raises(InvalidTime):
        parse_moment(value)


@settings(derandomize=True, deadline=None, database=None)
@given(wall=st.datetimes(dt.datetime(1950, 1, 1), dt.datetime(2100, 1, 1)))
def test_wall_clock_is_read_or_refused_as_the_time_zone_has_it(wall: dt.datetime) -> None:
    moments = {wall.replace(tzinfo=NEW_YORK, fold=fold).astimezone(UTC) for fold in (0, 1)}
    shown = {moment for moment in moments if moment.astimezone(NEW_YORK).replace(tzinfo=None) == wall}
    if len(moments) == 1:
        assert {parse_moment(wall.isoformat())} == shown
    else:
        with pytest.raises(InvalidTime):
            parse_moment(wall.isoformat())


# --- dates and clocks as integers


@pytest.mark.parametrize(
    ("value", "date"),
    [("2026-07-24", "2026-07-24"), (" 2026-07-24 ", "2026-07-24"), (dt.date(2026, 7, 24), "2026-07-24")],
)
def test_a_date(value: Any, date: str) -> None:
    assert parse_date(value) == dt.date.fromisoformat(date)


@pytest.mark.parametrize(
    "value", ["2026-07-24T14:30", "", "x", "2026-02-30", dt.datetime(2026, 7, 24), None, 20260724], ids=repr
)
def test_what_is_no_date(value: Any) -> None:
    with pytest.raises(InvalidTime, match="date"):
        parse_date(value)


@settings(derandomize=True, deadline=None, database=None)
@given(moment=st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)))
def test_microseconds_hold_an_instant(moment: dt.datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    us = sessions.to_us(aware)
    assert sessions.from_us(us) == aware
    assert sessions.from_us(sessions.floor_minute(us)) == aware.replace(second=0, microsecond=0)
    assert sessions.session_date(us) == aware.astimezone(NEW_YORK).date()
    assert dt.datetime.fromisoformat(sessions.iso_utc(us)) == aware
    assert ("." in sessions.iso_utc(us)) == (moment.microsecond != 0)


def test_microseconds_by_hand() -> None:
    assert sessions.to_us(utc("1970-01-01T00:00:01.5")) == 1_500_000
    assert sessions.to_us(utc("2026-07-24T18:30")) == 1_784_917_800_000_000
    assert sessions.floor_minute(-1) == -60_000_000
    assert sessions.iso_utc(1_784_917_800_000_000) == "2026-07-24T18:30:00Z"
    assert sessions.iso_utc(1_784_917_800_500_000) == "2026-07-24T18:30:00.500000Z"


# --- lengths of time


@pytest.mark.parametrize(
    ("text", "length", "written"),
    [
        ("0s", dt.timedelta(0), "0s"),
        ("0h", dt.timedelta(0), "0s"),
        ("0.000000s", dt.timedelta(0), "0s"),
        ("1us", dt.timedelta(microseconds=1), "1us"),
        ("250ms", dt.timedelta(milliseconds=250), "250ms"),
        ("1500us", dt.timedelta(microseconds=1500), "1500us"),
        ("1.5ms", dt.timedelta(microseconds=1500), "1500us"),
        ("1000ms", dt.timedelta(seconds=1), "1s"),
        ("1.5s", dt.timedelta(milliseconds=1500), "1500ms"),
        ("0.000001s", dt.timedelta(microseconds=1), "1us"),
        ("30s", dt.timedelta(seconds=30), "30s"),
        ("60s", dt.timedelta(minutes=1), "1m"),
        ("007s", dt.timedelta(seconds=7), "7s"),
        ("90s", dt.timedelta(seconds=90), "90s"),
        (" 5m\n", dt.timedelta(minutes=5), "5m"),
        ("390m", dt.timedelta(hours=6.5), "390m"),
        ("0.1m", dt.timedelta(seconds=6), "6s"),
        ("6.5h", dt.timedelta(hours=6.5), "390m"),
        ("24h", dt.timedelta(days=1), "24h"),
        ("0.000005h", dt.timedelta(milliseconds=18), "18ms"),
        ("999999999s", dt.timedelta(seconds=999_999_999), "999999999s"),
    ],
)
def test_a_length_of_time(text: str, length: dt.timedelta, written: str) -> None:
    micros = parse_duration(text)
    assert dt.timedelta(microseconds=micros) == length
    assert parse_duration(length) == micros
    assert duration_text(micros) == written
    assert parse_duration(written) == micros


@pytest.mark.parametrize(
    "value",
    [
        "", " ", "s", "5", "-5s", "-0s", "+5s", "5 s", "5S", "5M", "1d", "1min", "1sec", "one minute", "1m30s", "1:30", "PT1M", "1e3s",
        ".5s", "5.s", "1,5s", "1_000s", "1.5us", "0.5us", "0.0001ms", "0.0000001h", "1.0000001s", "nans", "infs", "0x1s", "٣s", "5s\0",
        "9" * 5000 + "s", "\udcff", None, 0, 5, 1.5, True, b"5s", ["5s"], -dt.timedelta(microseconds=1), dt.timedelta.min, dt.time(0, 5),
    ],
    ids=lambda value: ascii(value)[:24],
)  # fmt: skip
def test_what_is_no_length_of_time(value: Any) -> None:
    with pytest.raises(InvalidDuration) as error:
        parse_duration(value, "latency")
    assert error.value.code == "invalid_duration"
    assert error.value.message.startswith("latency")
    with pytest.raises(InvalidDuration, match="duration"):
        parse_duration(value)


@settings(derandomize=True, deadline=None, database=None)
@given(length=st.timedeltas(dt.timedelta(0), dt.timedelta(days=3000)))
def test_a_length_of_time_is_read_as_it_is_written(length: dt.timedelta) -> None:
    micros = parse_duration(length)
    assert dt.timedelta(microseconds=micros) == length
    assert parse_duration(duration_text(micros)) == micros


@pytest.mark.parametrize("text", ["1234.567891s", "24.000001h", "999999999.999999h", "86400000001us"])
def test_a_long_and_fine_length_of_time_is_read_as_it_is_written(text: str) -> None:
    micros = parse_duration(text)
    assert parse_duration(duration_text(micros)) == micros


def test_the_table_is_small_and_ascends() -> None:
    lines = (pathlib.Path(sessions.__file__).parent / "data" / "xnys.csv").read_text(encoding="ascii").splitlines()
    days = [line.split(",")[0] for line in lines[2:]]
    assert days == sorted(set(days))
    assert lines[0].startswith(f"# {FIRST} {LAST} XNYS")
