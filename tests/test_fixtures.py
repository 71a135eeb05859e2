"""The lake that ships: its files are the manifest's, its numbers come out again, and each set is what it claims."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
import math
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import replay
from replay.errors import NoStrikeData
from replay.sessions import NEW_YORK
from scripts import make_fixtures, simulation

ROOT = pathlib.Path(__file__).parent.parent / "fixtures"
MANIFEST: dict[str, Any] = json.loads((ROOT / "MANIFEST.json").read_text(encoding="utf-8"))
SETS: dict[str, dict[str, Any]] = {entry["set"]: entry for entry in MANIFEST["sets"]}
FULL = [name for name in SETS if name != "legacy"]
EVERY_SET = pytest.mark.parametrize("name", SETS)
Rows = list[dict[str, Any]]


def tables(name: str) -> list[pa.Table]:
    """A set's shipped files, read by pyarrow alone, in the order of recording."""
    return [pq.ParquetFile(ROOT / file["path"]).read() for file in SETS[name]["files"]]


def rows(name: str, file: int = 0) -> Rows:
    found: Rows = tables(name)[file].to_pylist()
    return found


def at(found: Rows, wall: str) -> dict[str, Any]:
    """The row of a New York time such as ``11:30`` or ``11:30:30``."""
    time = dt.time.fromisoformat(wall)
    (row,) = [row for row in found if row["ts"].astimezone(NEW_YORK).time() == time]
    return row


def wall(row: dict[str, Any], clock: str = "ts") -> dt.time:
    moment: dt.datetime = row[clock].astimezone(NEW_YORK)
    return moment.time()


@pytest.fixture(scope="module")
def lake() -> Iterator[replay.Lake]:
    with replay.open_lake(ROOT / "lake") as opened:
        yield opened


# What is shipped


def test_every_file_of_the_lake_is_in_the_manifest_and_has_its_hash() -> None:
    listed = {file["path"]: file["sha256"] for entry in SETS.values() for file in entry["files"]}
    shipped = {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file()}
    assert shipped == {*listed, "MANIFEST.json"}
    for path, sha256 in listed.items():
        assert hashlib.sha256((ROOT / path).read_bytes()).hexdigest() == sha256
        assert pathlib.PurePosixPath(path).stem == sha256


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for path in ROOT.rglob("*") if path.is_file()) < 5_100_000


@EVERY_SET
def test_a_file_lies_in_its_partition_and_says_where_it_comes_from(name: str) -> None:
    entry = SETS[name]
    for file in entry["files"]:
        folder = f"lake/tier=raw/symbol={entry['symbol']}/date={entry['date']}"
        assert file["path"] == f"{folder}/{file['sha256']}.parquet"
        stored = pq.read_schema(ROOT / file["path"]).metadata
        assert stored[b"replay.source"] == f"simulation:{name}".encode()
        assert stored[b"replay.conventions"] == b"replay-1"
        assert stored[b"replay.cadence_us"] == b"30000000"


@EVERY_SET
def test_the_manifest_counts_right(name: str) -> None:
    entry, files = SETS[name], tables(name)
    assert [len(table) for table in files] == [file["rows"] for file in entry["files"]]
    assert entry["snapshots"] == len(files[0])
    assert entry["revisions"] == sum(len(table) for table in files[1:])
    assert entry["legacy"] == files[0]["strike"].null_count


# The same numbers again


def test_the_simulation_gives_the_shipped_values_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["make_fixtures.py", "--check"])
    assert make_fixtures.main() == 0
    assert capsys.readouterr().out == f"seed {MANIFEST['seed']}\n8 sessions as simulated\n"


def test_the_seeds_are_the_manifests_and_decide() -> None:
    assert MANIFEST["seed"] == make_fixtures.SEED
    seeds = {plan.name: make_fixtures.seed_of(plan) for plan in make_fixtures.PLANS}
    assert seeds == {name: entry["seed"] for name, entry in SETS.items()}
    assert len(set(seeds.values())) == len(seeds)
    plan = make_fixtures.PLANS[0]
    (other,) = simulation.snapshots(plan, seeds[plan.name] + 1)
    assert "spot differs" in make_fixtures.differences(tables(plan.name)[0], other)


def changed(table: pa.Table, column: str, row: int, value: Any) -> pa.Table:
    values = table[column].to_pylist()
    values[row] = value
    index = table.schema.get_field_index(column)
    return table.set_column(index, table.schema.field(index), pa.array(values, table.schema.field(index).type))


@pytest.mark.parametrize(("factor", "found"), [(1 + 1e-13, []), (1 + 2e-12, ["gex differs"])])
def test_the_comparison_is_as_fine_as_it_says(factor: float, found: list[str]) -> None:
    table = tables("early-close")[0]
    gex = table["gex"][100].as_py()
    largest = int(np.argmax(np.abs(gex)))
    gex[largest] *= factor
    assert make_fixtures.differences(changed(table, "gex", 100, gex), table) == found


def test_the_comparison_tells_null_from_unknown_and_unknown_from_known() -> None:
    table = tables("early-close")[0]
    gex = table["gex"][100].as_py()
    unknown = changed(table, "gex", 100, [math.nan] * len(gex))
    assert make_fixtures.differences(unknown, unknown) == []
    assert make_fixtures.differences(unknown, table) == ["gex differs"]
    assert make_fixtures.differences(table, unknown) == ["gex differs"]
    assert make_fixtures.differences(changed(table, "gex", 100, None), unknown) == ["gex differs"]
    assert make_fixtures.differences(changed(table, "spot", 100, 1.0), table) == ["spot differs"]
    assert len(make_fixtures.differences(table.slice(1), table)) == 1


def test_writing_replaces_what_was_there(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_fixtures, "PLANS", make_fixtures.PLANS[:2])
    make_fixtures.write(tmp_path)
    first = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    stale = tmp_path / "lake" / "tier=raw" / "symbol=OLD" / "date=2020-01-02" / "old.parquet"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"old")
    make_fixtures.write(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == first
    assert make_fixtures.check(tmp_path) == []


# What holds for every set


@EVERY_SET
def test_both_clocks_keep_to_the_session(name: str) -> None:
    entry = SETS[name]
    for number, table in enumerate(tables(name)):
        ts, recorded_at = (table[clock].cast(pa.int64()).to_numpy() for clock in ("ts", "recorded_at"))
        lag = recorded_at - ts
        assert (np.diff(ts) > 0).all()
        assert (lag >= 300_000).all()
        assert number or (lag < 1_500_000).all()
        assert (ts % 30_000_000 == 0).all()
        assert set(table["expiration"].to_pylist()) == {dt.date.fromisoformat(entry["date"])}
    first, last = (wall(rows(name)[i]) for i in (0, -1))
    assert first == dt.time(9, 30)
    assert last == (dt.time(13) if name == "early-close" else dt.time(16))


@EVERY_SET
def test_strikes_ascend_and_lists_are_parallel_to_them(name: str) -> None:
    for table in tables(name):
        lists = [field.name for field in table.schema if pa.types.is_list(field.type)]
        for row in table.select(lists).to_pylist():
            strike = row.pop("strike")
            if strike is None:
                assert set(row.values()) == {None}
                continue
            assert strike == sorted(set(strike))
            assert {len(values) for values in row.values() if values is not None} == {len(strike)}
            assert row.pop("oi") is None  # the sides are known
            assert all(values is not None for column, values in row.items() if not column.endswith("_flow"))


@EVERY_SET
def test_every_number_is_finite(name: str) -> None:
    for table in tables(name):
        for field in table.schema:
            if pa.types.is_list(field.type):
                assert pc.all(pc.is_finite(pc.list_flatten(table[field.name])), min_count=0).as_py()


@pytest.mark.parametrize("name", FULL)
def test_quotes_are_in_cents_and_some_far_strike_has_no_bid(name: str) -> None:
    table = tables(name)[0]
    for right in ("call", "put"):
        bid, ask = (pc.list_flatten(table[f"{right}_{side}"]).to_numpy() for side in ("bid", "ask"))
        assert (bid >= 0).all()
        assert (ask > bid).all()
        assert (bid == 0).any()
        for quote in (bid, ask):
            assert np.array_equal(quote, np.rint(quote * 100) / 100)


@pytest.mark.parametrize("name", [name for name in FULL if name != "drift"])
def test_volume_grows_and_covers_the_flow(name: str) -> None:
    found = [row for row in rows(name) if row["strike"] is not None]
    for before, row in itertools.pairwise(found):
        for right in ("call", "put"):
            added = np.subtract(row[f"{right}_volume"], before[f"{right}_volume"])
            assert (added >= 0).all()
            if row[f"{right}_flow"] is not None:
                assert (np.abs(row[f"{right}_flow"]) <= added).all()


# Numbers by hand: scalar Black-Scholes-Merton with the error function, rate and dividend 0


def by_hand(row: dict[str, Any], close: dt.datetime, i: int) -> dict[str, float]:
    """What one strike of a snapshot must hold, from its other columns."""
    spot, strike = row["spot"], row["strike"][i]
    years = max((close - row["ts"]).total_seconds(), 60.0) / (365 * 24 * 3600)
    greek = {}
    for right, sign in (("call", 1.0), ("put", -1.0)):
        vol = row[f"{right}_iv"][i]
        if vol == 0:
            greek[right] = (sign if sign * (spot - strike) > 0 else 0.0, 0.0, 0.0, 0.0)
            continue
        total = vol * math.sqrt(years)
        d1 = (math.log(spot / strike) + total**2 / 2) / total
        d2 = d1 - total
        density = math.exp(-(d1**2) / 2) / math.sqrt(2 * math.pi)
        delta = sign * math.erfc(-sign * d1 / math.sqrt(2)) / 2
        greek[right] = (delta, density / (spot * total), -density * d2 / vol, density * d2 / (2 * years) / 365)
    (dc, gc, vc, cc), (dp, gp, vp, cp) = greek["call"], greek["put"]
    calls, puts = row["call_oi"][i], row["put_oi"][i]
    bought, bought_puts = row["call_flow"][i], row["put_flow"][i]
    return {
        "gex": (gc * calls - gp * puts) * 100 * spot**2 / 100,
        "dex": (dc * calls + dp * puts) * 100 * spot,
        "vex": (vc * calls - vp * puts) * 100 * spot / 100,
        "chex": (cc * calls - cp * puts) * 100 * spot,
        "signed_flow": (bought * dc + bought_puts * dp) * 100 * spot,
        "gamma_flow": (bought * gc + bought_puts * gp) * 100 * spot**2 / 100,
    }


@pytest.mark.parametrize("name", FULL)
def test_exposures_and_flow_are_those_of_scalar_arithmetic(name: str) -> None:
    found = rows(name)
    close = found[-1]["ts"]
    for row in [*found[::60], found[-1]]:
        for i in range(len(row["strike"] or ())):
            for column, value in by_hand(row, close, i).items():
                largest = max(map(abs, row[column]))
                assert row[column][i] == pytest.approx(value, rel=1e-9, abs=1e-12 * largest)


def test_one_cell_of_gex_and_flow_worked_out() -> None:
    # 2026-06-05 13:00, strike 700: 180 minutes left, so sqrt(T) = sqrt(180 / 525600) = 0.0185058
    row = at(rows("full-day"), "13:00")
    i = row["strike"].index(700)
    total = row["call_iv"][i] * 0.0185058
    d1 = math.log(row["spot"] / 700) / total + total / 2
    gamma = 0.3989423 * math.exp(-d1 * d1 / 2) / (row["spot"] * total)
    delta = 0.5 + 0.5 * math.erf(d1 / 1.4142136)
    assert (row["call_oi"][i], row["put_oi"][i]) == (13_500, 4_800)
    assert row["gex"][i] == pytest.approx(gamma * (13_500 - 4_800) * row["spot"] ** 2, rel=1e-5)
    flow = (row["call_flow"][i] * delta + row["put_flow"][i] * (delta - 1)) * 100 * row["spot"]
    assert row["signed_flow"][i] == pytest.approx(flow, rel=1e-4)


def test_a_bought_put_counts_against_and_so_does_a_sold_call() -> None:
    seen = set()
    for row in rows("full-day"):
        for call, put, dollars in zip(row["call_flow"], row["put_flow"], row["signed_flow"], strict=True):
            if dollars and not call * put:
                assert math.copysign(1, dollars) == math.copysign(1, call or -put)
                seen.add((np.sign(call), np.sign(put)))
    assert {(1, 0), (-1, 0), (0, 1), (0, -1)} <= seen


# What each set is there for


@EVERY_SET
def test_spot_is_pulled_to_the_pin(name: str) -> None:
    spot, pin = tables(name)[0]["spot"].to_numpy(), SETS[name]["pin"]
    assert abs(spot[-1] - pin) < 0.5
    assert abs(spot[0] - pin) > 2.5
    assert np.array_equal(spot, np.rint(spot * 100) / 100)


def test_it_is_the_pull_that_takes_it_there(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = {}
    for pull in (simulation.PULL, 0.0):
        monkeypatch.setattr(simulation, "PULL", pull)
        last = [make_fixtures.build(plan)[1][0]["spot"][-1].as_py() - plan.pin for plan in make_fixtures.PLANS]
        ends[pull > 0] = math.sqrt(sum(distance**2 for distance in last) / len(last))
    assert ends[False] > 8 * ends[True]


@pytest.mark.parametrize("name", FULL)
def test_the_magnet_is_the_pin_in_the_last_half_hour(name: str, lake: replay.Lake) -> None:
    entry = SETS[name]
    hour = 12 if name == "early-close" else 15
    for minute in (31, 40, 50, 59):
        levels = lake.levels(entry["symbol"], f"{entry['date']}T{hour}:{minute}")
        assert levels.magnet == entry["pin"]
        assert levels.call_wall == entry["pin"]


def test_two_symbols_share_a_full_session_and_another_closes_at_one(lake: replay.Lake) -> None:
    assert lake.symbols() == ["QQQ", "SPY"]
    assert SETS["full-day"]["date"] == SETS["full-day-qqq"]["date"]
    assert {SETS[name]["snapshots"] for name in ("full-day", "full-day-qqq")} == {6 * 120 + 30 * 2 + 1}
    assert SETS["early-close"]["snapshots"] == 3 * 120 + 30 * 2 + 1
    assert len(lake.heatmap("SPY", "2025-11-28T13:01", minutes=390).minutes) == 211


def test_one_day_is_legacy_and_another_until_half_past_twelve(lake: replay.Lake) -> None:
    assert all(row["strike"] is None and row["spot"] > 0 for row in rows("legacy"))
    with pytest.raises(NoStrikeData):
        lake.heatmap("SPY", "2026-03-06")
    found = rows("partly-legacy")
    assert [row["strike"] is None for row in found] == [wall(row) < dt.time(12, 30) for row in found]
    bars = lake.heatmap("SPY", "2026-03-09T16:01", minutes=390).times
    assert bars[0] == np.datetime64("2026-03-09T16:30")  # UTC


def test_summer_time_begins_between_two_of_the_sessions() -> None:
    opens = [rows(name)[0]["ts"].astimezone(dt.UTC).time() for name in ("legacy", "partly-legacy")]
    assert opens == [dt.time(14, 30), dt.time(13, 30)]


def test_the_gap_is_twenty_five_minutes_and_the_flow_after_it_is_not_known(lake: replay.Lake) -> None:
    found = rows("gap")
    steps = [(b["ts"] - a["ts"], b) for a, b in itertools.pairwise(found)]
    ((length, after),) = [step for step in steps if step[0] != dt.timedelta(seconds=30)]
    assert length == dt.timedelta(minutes=25)
    assert wall(after) == dt.time(12, 12)
    for column in ("call_flow", "put_flow", "signed_flow", "gamma_flow"):
        assert [row["ts"] for row in found if row[column] is None] == [after["ts"]]
    (gap,) = lake.heatmap("SPY", "2026-04-15T16:01", minutes=390, gaps=True).to_dict()["gap_intervals"]
    assert gap == {"start": "2026-04-15T15:47:00Z", "end": "2026-04-15T16:12:00Z"}


def test_the_drifting_grid_follows_spot() -> None:
    found = rows("drift")
    grids = list(dict.fromkeys(tuple(row["strike"]) for row in found))
    assert len(grids) >= 6
    assert {len(grid) for grid in grids} == {17}
    assert not set(grids[0]) >= set(grids[-1])
    assert all(abs(row["spot"] - row["strike"][8]) <= simulation.RECENTRE for row in found)


def test_the_corrections_came_at_five_past_one_and_in_the_evening() -> None:
    live, midday, evening = (rows("corrections", file) for file in range(3))
    assert len(live) == 781
    span = [wall(row) for row in midday]
    assert (span[0], span[-1], len(span)) == (dt.time(11), dt.time(11, 30), 61)
    span = [wall(row) for row in evening]
    assert (span[0], span[10], len(span)) == (dt.time(11, 10), dt.time(11, 15), 32)
    assert (span[11], span[-1]) == (dt.time(15), dt.time(15, 10))
    assert all(dt.time(13, 5) <= wall(row, "recorded_at") < dt.time(13, 5, 10) for row in midday)
    assert all(dt.time(18, 30) <= wall(row, "recorded_at") < dt.time(18, 30, 10) for row in evening)


def test_what_the_corrections_changed() -> None:
    live, midday, evening = (rows("corrections", file) for file in range(3))
    for row in midday:
        old = at(live, wall(row).isoformat())
        assert row["call_oi"] == at(live, "10:00")["call_oi"] != old["call_oi"]
        assert row["gex"] != old["gex"]
        assert (row["spot"], row["call_bid"], row["call_flow"]) == (old["spot"], old["call_bid"], old["call_flow"])
    for row in evening:
        old = at(live, wall(row).isoformat())
        assert row["call_oi"] == at(live, "10:00")["call_oi"]
        assert row["call_volume"] == old["call_volume"]
        for column in ("call_flow", "put_flow", "signed_flow", "gamma_flow"):
            assert row[column] == [-value for value in old[column]]
            assert any(row[column])


def test_the_correction_moves_the_magnet_once_it_is_known(lake: replay.Lake) -> None:
    def seen(known_at: str | None) -> tuple[float | None, float | None, bool]:
        levels = lake.levels("SPY", "2026-07-24T11:29:45", known_at=known_at)
        return levels.magnet, levels.put_wall, (levels.net_gex or 0) > 0

    assert seen(None) == seen("2026-07-24T13:04:59") == (701, 701, False)
    assert seen("2026-07-24T13:05:10") == seen("latest") == (705, 700, True)
