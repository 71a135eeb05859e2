"""What corrections changed: every value that differs between two moments of knowledge, and nothing else."""

from __future__ import annotations

import csv
import io
import json
import math
import pathlib
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result

import replay
from replay.cli.diff import diff
from replay.corrections import SessionDifference, differences
from replay.errors import InvalidTime
from tests import lakes, second_method
from tests.lakes import SECOND, at, row
from tests.second_method import SecondLake

HOUR = 3600 * SECOND
Cells = set[tuple[int, str, float | None, float | None, float | None]]


def cells_of(rows: second_method.Row) -> dict[tuple[str, float | None], float]:
    """Every value of a row that is known, by column and strike; of a strike listed twice the last."""
    found: dict[tuple[str, float | None], float] = {}
    if rows.spot is not None:
        found["spot", None] = rows.spot
    for k in rows.strike or []:
        if k is not None:
            found["strike", k] = k
    for name in second_method.LISTS:
        for strike, value in rows.by_strike(name).items():
            if value is not None:
                found[name, strike] = value
    return found


def expected(
    second: SecondLake, case: lakes.Case, a: int, b: int, as_of: int
) -> tuple[dict[int, tuple[str, int | None, int | None]], Cells]:
    """Snapshots and cells that differ, in plain Python."""
    sides, tiers = [], []
    for cut in (a, b):
        seen, tier = second.visible(case.symbol, case.date, as_of, cut)
        sides.append({each.ts: each for each in seen})
        tiers.append(tier)
    snapshots: dict[int, tuple[str, int | None, int | None]] = {}
    cells: Cells = set()
    for ts in sorted(sides[0].keys() | sides[1].keys()):
        old, new = (side.get(ts) for side in sides)
        if old is None or new is None:
            kind = "appeared" if old is None else "vanished"
            snapshots[ts] = (kind, None if old is None else old.recorded_at, None if new is None else new.recorded_at)
        elif old.recorded_at != new.recorded_at or tiers[0] != tiers[1]:
            snapshots[ts] = ("corrected", old.recorded_at, new.recorded_at)
            before, after = cells_of(old), cells_of(new)
            for column, strike in before.keys() | after.keys():
                was, is_ = before.get((column, strike)), after.get((column, strike))
                if was != is_:
                    cells.add((ts, column, strike, was, is_))
    return snapshots, cells


def micros(frame: pl.DataFrame, name: str) -> list[int | None]:
    return frame[name].dt.epoch("us").to_list()


def found_of(found: SessionDifference) -> tuple[dict[int, tuple[str, int | None, int | None]], Cells]:
    clocks = [micros(found.snapshots, name) for name in ("ts", "recorded_before", "recorded_after")]
    snapshots = {
        ts: (kind, a, b) for ts, kind, a, b in zip(clocks[0], found.snapshots["kind"], *clocks[1:], strict=True)
    }
    values = (found.changes[name].to_list() for name in ("column", "strike", "before", "after"))
    rows = list(zip(micros(found.changes, "ts"), *values, strict=True))
    assert len(rows) == len(set(rows))
    return snapshots, set(rows)


@pytest.mark.parametrize("symbol", [each for each in lakes.CASES if each not in ("NOROWS", "ALLLEGACY", "STILL")])
def test_every_difference_is_told_and_no_other(
    nasty: lakes.Nasty, nasty_lake: replay.Lake, nasty_second: SecondLake, symbol: str
) -> None:
    case = nasty.cases[symbol]
    rng = lakes.dice(f"diff {symbol}")
    for _ in range(3):
        a, b = (rng.choice([*case.moments, case.moments[-1]]) for _ in range(2))
        as_of = rng.choice([None, rng.choice(case.moments)])
        found = differences(
            nasty_lake,
            symbol,
            case.date,
            lakes.moment(a),
            "latest" if rng.random() < 0.4 else lakes.moment(b),
            as_of=None if as_of is None else lakes.moment(as_of),
        )
        b = second_method.LATEST if found.known_at[1] == "latest" else b
        wanted = expected(nasty_second, case, a, b, second_method.LATEST if as_of is None else as_of)
        got = found_of(found)
        assert got[0] == wanted[0]
        assert got[1] == wanted[1]
        assert bool(found) == bool(wanted[0])
        order = found.changes.select("ts", "strike").rows()
        assert [ts for ts, _ in order] == sorted(ts for ts, _ in order)


def corrected_lake(root: pathlib.Path) -> None:
    """Three snapshots: the second corrected at noon, the third said again unchanged, a fourth recorded at noon."""
    first = [
        row(at("10:00"), [599.0, 600.0], gex=[1e6, -2e6], call_iv=[0.1, math.nan]),
        row(at("10:01"), [599.0, 600.0], gex=[3e6, -4e6], call_oi=[5.0, 6.0]),
        row(at("10:02"), [599.0, 600.0], gex=[7e6, -8e6]),
    ]
    lakes.write_own(root, "SPY", first)
    late = [
        row(at("10:01"), [600.0, 601.0], lag=2 * HOUR, spot=601.5, gex=[-4.5e6, 9e6], call_oi=[6.0, math.nan]),
        first[2] | {"recorded_at": at("12:01")},
        row(at("10:03"), [600.0], lag=2 * HOUR, gex=[-1e6]),
    ]
    lakes.write_own(root, "SPY", late)


def test_a_difference_by_hand(root: pathlib.Path) -> None:
    corrected_lake(root)
    with replay.open_lake(root) as lake:
        found = differences(lake, " spy ", "2026-07-24", "2026-07-24T11:00", as_of="2026-07-24T10:02:30")
        assert (found.symbol, found.counts, found.tiers) == ("SPY", (3, 3), ("raw", "raw"))
        assert found.of_kind("corrected")["ts"].dt.minute().to_list() == [1, 2]
        assert found.changes.drop("ts").rows() == [
            ("spot", None, 600.0, 601.5),
            ("strike", 599.0, 599.0, None),
            ("strike", 601.0, None, 601.0),
            ("gex", 599.0, 3e6, None),
            ("gex", 600.0, -4e6, -4.5e6),
            ("gex", 601.0, None, 9e6),
            ("call_oi", 599.0, 5.0, None),
        ]
        assert set(found.changed_levels()) == {"recorded_at"}
        assert len(found.to_polars()) == 8
        whole = differences(lake, "SPY", lakes.DAY, "2026-07-24T11:00")
        assert whole.of_kind("appeared")["ts"].dt.minute().to_list() == [3]
        changed = whole.changed_levels()
        assert set(changed) == {"ts", "recorded_at", "call_wall", "gamma_flip"}
        assert (changed["call_wall"], changed["gamma_flip"]) == ((599.0, None), (599.875, None))
        back = differences(lake, "SPY", lakes.DAY, "latest", "2026-07-24T11:00")
        assert back.of_kind("vanished")["ts"].to_list() == whole.of_kind("appeared")["ts"].to_list()


def test_the_same_moment_and_no_session_differ_in_nothing(root: pathlib.Path) -> None:
    corrected_lake(root)
    with replay.open_lake(root) as lake:
        assert not differences(lake, "SPY", lakes.DAY, "2026-07-24T11:00", "2026-07-24T15:00:00Z")
        nothing = differences(lake, "QQQ", lakes.DAY, "2026-07-24T11:00")
        assert (bool(nothing), nothing.counts, nothing.levels) == (False, (0, 0), ({}, {}))
        with pytest.raises(InvalidTime, match=r"and '11:00' cannot be read.*'latest'"):
            differences(lake, "SPY", lakes.DAY, "latest", "11:00")


def test_a_whole_session_corrected_is_told_whole(root: pathlib.Path) -> None:
    strikes = [500.0 + k for k in range(240)]
    rng = np.random.default_rng(7)
    for lag in (SECOND, 10 * HOUR):
        rows = [
            row(at("09:30") + i * 30 * SECOND, strikes, lag=lag, gex=values.tolist(), dex=values.tolist())
            for i, values in enumerate(rng.normal(size=(781, 240)))
        ]
        lakes.write_own(root, "SPY", rows)
    with replay.open_lake(root) as lake:
        found = differences(lake, "SPY", lakes.DAY, "2026-07-24T16:05")
    assert len(found.changes) == 781 * 240 * 2
    assert len(found.of_kind("corrected")) == 781


# --- the command


def run(root: pathlib.Path, *arguments: str) -> Result:
    return CliRunner().invoke(diff, ("SPY", "2026-07-24", "--lake", str(root), *arguments), env={"REPLAY_LAKE": None})


BEFORE = ("--known-at", "2026-07-24T11:00")


def test_the_table(root: pathlib.Path) -> None:
    corrected_lake(root)
    done = run(root, *BEFORE)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == (
        "SPY 2026-07-24, tier raw, New York time\n"
        "known at 2026-07-24 11:00:00: 3 snapshots\n"
        "known at latest: 4 snapshots\n"
        "1 came, 2 corrected\n"
        "came: 10:03:00 to 10:03:00\n"
        "corrected, but the same in every value: 1\n"
        "\n"
        "levels of the last snapshot\n"
        "  level         before     after  change\n"
        "  snapshot    10:02:00  10:03:00\n"
        "  call_wall        599         -\n"
        "  gamma_flip   599.875         -\n"
        "\n"
        "10:01:00, recorded 10:01:00.8 -> 12:01:00\n"
        "  strikes that came: 1, 601 to 601\n"
        "  strikes that went: 1, 599 to 599\n"
        "  column   strike  before     after  change\n"
        "  gex         601       -     9e+06\n"
        "  call_oi     599       5         -\n"
        "  gex         599   3e+06         -\n"
        "  gex         600  -4e+06  -4.5e+06  -5e+05\n"
        "  spot                600     601.5    +1.5\n"
    )
    assert run(root, "--known-at", "latest").stdout.splitlines()[-1] == "nothing differs"


def test_the_table_is_cut_where_it_says_so_and_fits(nasty: lakes.Nasty) -> None:
    arguments = ("CORRECT", "2026-07-24", "--lake", str(nasty.root), "--known-at", "2026-07-24T09:50")
    short, whole = (CliRunner().invoke(diff, (*arguments, *more)).stdout for more in ((), ("--all",)))
    assert max(map(len, short.splitlines())) <= 80
    assert "more changes\n" in short
    assert "more corrected snapshots (--all shows them)\n" in short
    assert "more c" not in whole
    with replay.open_lake(nasty.root) as lake:
        found = differences(lake, "CORRECT", lakes.DAY, "2026-07-24T09:50")
    values = found.changes.filter(pl.col("column") != "strike")
    assert sum(
        line.startswith(tuple(f"  {name} " for name in [*second_method.LISTS, "spot"])) for line in whole.splitlines()
    ) >= len(values)


def test_json_and_csv_hold_every_change(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    corrected_lake(root)
    body = json.loads(run(root, *BEFORE, "--format", "json").stdout)
    assert body["known_at"] == ["2026-07-24T15:00:00Z", "latest"]
    assert [(each["ts"], each["kind"], len(each["changes"])) for each in body["snapshots"]] == [
        ("2026-07-24T14:01:00Z", "corrected", 7),
        ("2026-07-24T14:02:00Z", "corrected", 0),
        ("2026-07-24T14:03:00Z", "appeared", 0),
    ]
    assert body["snapshots"][0]["changes"][4] == {"column": "gex", "strike": 600.0, "before": -4e6, "after": -4.5e6}
    assert body["snapshots"][2]["recorded"] == [None, "2026-07-24T16:03:00Z"]
    assert body["levels"][1]["ts"] == "2026-07-24T14:03:00Z"
    rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(run(root, *BEFORE, "--format", "csv").stdout)))
    assert len(rows) == 9
    assert rows[4] == {
        "ts": "2026-07-24T14:01:00Z",
        "kind": "corrected",
        "recorded_before": "2026-07-24T14:01:00.800Z",
        "recorded_after": "2026-07-24T16:01:00Z",
        "column": "gex",
        "strike": "600.0",
        "before": "-4000000.0",
        "after": "-4500000.0",
    }
    out = tmp_path / "changes.parquet"
    assert run(root, *BEFORE, "--out", str(out)).exit_code == 0
    assert len(pl.read_parquet(out)) == 9


def test_nothing_known_is_noted(root: pathlib.Path) -> None:
    corrected_lake(root)
    done = run(root, "--known-at", "2026-07-24T09:00", "--and", "2026-07-24T09:30")
    assert done.stdout.endswith("nothing differs\n")
    assert done.stderr == "note: nothing of SPY on 2026-07-24 was known at either moment\n"
