"""What effective open interest and other conventions come to where data is late, corrected, mixed or lacking."""

from __future__ import annotations

import math
import pathlib
import tracemalloc
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import replay
from replay import schema
from replay.cli import main
from replay.errors import InvalidConventions, InvalidOpenInterest, NoStrikeData
from replay.storage.compaction import opened
from replay.storage.files import Partition
from replay.storage.thinning import thin_partition
from replay.storage.writer import LakeWriter
from tests import chains, lakes
from tests.lakes import SECOND, at, row

RAW = Partition("raw", "SPY", lakes.DAY)


def store(
    root: pathlib.Path, rows: list[lakes.Row], conventions: str | None = "replay-1", cadence: int | None = None
) -> None:
    """Add rows to a lake in a file under these conventions."""
    with LakeWriter(root, allow_mixed=True) as writer:
        entries = schema.metadata(source="test", conventions=conventions, cadence_us=cadence)
        writer.add(RAW, lakes.table_of(rows), entries)


def snapshot(clock: str, lag: int = SECOND, **lists: Any) -> lakes.Row:
    """Two strikes with open interest, vols and the exposures that replay-1 makes of them."""
    years = (at("16:00") - at(clock)) / 60_000_000 / (365 * 24 * 60)
    side = {"spot": 600.5, "bid": 1.0, "ask": 1.0, "iv": 0.2, "open_interest": 100.0}
    exposures = [
        chains.strike_exposures(side | {"strike": k}, side | {"strike": k, "open_interest": 60.0}, years)
        for k in (600.0, 601.0)
    ]
    known = {name: [each[name] for each in exposures] for name in ("gex", "dex", "vex", "chex")}
    known |= {"call_oi": [100.0, 100.0], "put_oi": [60.0, 60.0]} | {name: [0.2, 0.2] for name in ("call_iv", "put_iv")}
    return row(at(clock), [600.0, 601.0], spot=600.5, lag=lag, **(known | lists))


def flow_lake(root: pathlib.Path, seed: int) -> replay.Lake:
    """Snapshots of changing strikes with flow: late ones, corrections, legacy rows, unknown values."""
    rng = lakes.dice(seed)
    rows: dict[tuple[int, int], lakes.Row] = {}
    for i in range(14):
        ts = at("09:31") + i * 20 * SECOND
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            strikes = sorted(rng.sample([599.0, 600.0, 601.0, 602.0], rng.randint(1, 4)))

            def some(low: float, high: float, size: int = len(strikes)) -> list[float]:
                return [math.nan if rng.random() < 0.15 else round(rng.uniform(low, high)) for _ in range(size)]

            lag = rng.choice([SECOND, 2 * SECOND, 45 * SECOND, 400 * SECOND])
            lists = {
                "call_oi": some(0, 90),
                "put_oi": some(0, 90),
                "call_flow": some(-50, 50),
                "put_flow": some(-50, 50),
            }
            lists |= {"call_iv": [0.2] * len(strikes), "put_iv": [0.3] * len(strikes)}
            if rng.random() < 0.2:
                del lists["put_flow"]
            legacy = rng.random() < 0.1
            rows[ts, lag] = row(ts, None, lag=lag) if legacy else row(ts, strikes, lag=lag, spot=600.0, **lists)
    ids = ["replay-1", "charm-hour"] if seed % 2 else ["replay-1"]
    for number, each in enumerate(ids):
        store(root, [made for i, made in enumerate(rows.values()) if i % len(ids) == number], each, 20 * SECOND)
    return replay.open_lake(root)


@pytest.mark.parametrize("seed", range(6))
def test_a_replay_on_effective_open_interest_shows_what_the_heatmaps_of_its_instants_do(
    tmp_path: pathlib.Path, seed: int
) -> None:
    with flow_lake(tmp_path / "lake", seed) as lake:
        tape = lake.tape("SPY", lakes.DAY, oi="effective", share=0.5)
        compared = 0
        for tick in tape.ticks(step="30s"):
            if not 9 * 60 + 33 <= tick.now.hour * 60 + tick.now.minute <= 9 * 60 + 47:
                continue
            for metric in ("gex", "oi"):
                wanted = lake.heatmap("SPY", tick.now, metric, minutes=30, oi="effective", share=0.5)
                assert tick.heatmap(metric, minutes=30).to_json() == wanted.to_json()
                compared += len(wanted.minutes)
            wanted_levels = lake.levels("SPY", tick.now, oi="effective", share=0.5)
            if not tick.stale:
                assert tick.levels.to_dict() == wanted_levels.to_dict()
        assert compared > 100
        plain = lake.tape("SPY", lakes.DAY).ticks(step="30s")[40]
        restated = lake.tape("SPY", lakes.DAY, conventions="short-all").ticks(step="30s")[40]
        assert plain.heatmap("gex").to_json() != restated.heatmap("gex").to_json()


def test_exposures_without_the_vols_that_they_come_from_are_not_lost_without_a_word(tmp_path: pathlib.Path) -> None:
    flows: dict[str, Any] = {"call_flow": [0.0, 0.0], "put_flow": [0.0, 0.0]}
    store(tmp_path, [snapshot("10:00", call_iv=None, put_iv=None, **flows), snapshot("10:01", **flows)])
    with replay.open_lake(tmp_path) as lake:
        wrong = "the snapshot of 2026-07-24T14:00:00Z stores exposures at strike 600, but not the spot, call_iv"
        cases: list[dict[str, Any]] = [{"oi": "effective"}, {"conventions": "charm-hour"}]
        for asked in cases:
            with pytest.raises(InvalidConventions, match=wrong):
                lake.heatmap("SPY", "2026-07-24T10:02", **asked)
            with pytest.raises(InvalidConventions, match=wrong):
                lake.levels("SPY", "2026-07-24T10:00:30", **asked)
            with pytest.raises(InvalidConventions, match=wrong):
                _ = lake.tape("SPY", lakes.DAY, **asked).at("2026-07-24T10:00:30").levels
            assert lake.levels("SPY", "2026-07-24T10:01:30", **asked).net_gex is not None
        oi = lake.heatmap("SPY", "2026-07-24T10:02", "oi", oi="effective")
        assert oi.values.tolist() == [[160.0, 160.0]] * 2
    done = CliRunner().invoke(
        main, ["conventions", "compare", "SPY", "--lake", str(tmp_path), "--as-of", "2026-07-24T10:00:30"]
    )
    assert done.exit_code == 2
    assert done.stderr.startswith("error: invalid_conventions: the snapshot of 2026-07-24T14:00:00Z stores exposures")


def test_an_option_without_a_vol_that_nobody_holds_adds_nothing(tmp_path: pathlib.Path) -> None:
    idle: dict[str, Any] = {
        "call_iv": [math.nan, 0.2],
        "call_oi": [0.0, 100.0],
        "call_flow": [0.0, 0.0],
        "put_flow": [0.0, 0.0],
    }
    store(tmp_path, [snapshot("10:00", **idle), snapshot("10:01", **(idle | {"call_flow": [7.0, 0.0]}))])
    with replay.open_lake(tmp_path) as lake:
        found = lake.heatmap("SPY", "2026-07-24T10:02", oi="effective")
    assert math.isfinite(found.values[0, 0])
    assert math.isnan(found.values[1, 0]), "seven contracts are held now, and no vol says what they are worth"
    assert np.isfinite(found.values[:, 1]).all()


def test_what_is_stated_does_not_depend_on_what_comes_later(tmp_path: pathlib.Path) -> None:
    """Flow comes with the last snapshot alone, and under other conventions: the ones before are as they would be."""
    early = [snapshot("10:00"), snapshot("10:01")]
    store(tmp_path, early)
    with replay.open_lake(tmp_path) as lake:
        settled = lake.levels("SPY", "2026-07-24T10:01:30", known_at="latest")
    store(tmp_path, [snapshot("10:02", call_flow=[40.0, 0.0], put_flow=[0.0, 0.0])], "charm-hour")
    with replay.open_lake(tmp_path) as lake:
        ticks = lake.tape("SPY", lakes.DAY, oi="effective").ticks()
        for tick in ticks[30:33]:
            wanted = lake.levels("SPY", tick.now, oi="effective")
            if wanted.ts is not None:
                assert tick.levels.to_dict() == wanted.to_dict()
        found = lake.levels("SPY", "2026-07-24T10:01:30", known_at="latest", oi="effective")
        for name in ("net_gex", "net_dex", "net_vex", "net_chex", "magnet"):
            assert getattr(found, name) == pytest.approx(getattr(settled, name), rel=1e-9)
        late = lake.levels("SPY", "2026-07-24T10:02:30", oi="effective")
        assert late.conventions is not None
        assert late.conventions.id == "charm-hour"
        same = lake.levels("SPY", "2026-07-24T10:02:30", oi="effective", conventions="replay-1")
        assert same.net_chex == pytest.approx(late.net_chex * 24, rel=1e-12)  # type: ignore[operator]
        tick = lake.tape("SPY", lakes.DAY, conventions="trading-time").at("2026-07-24T10:02:30")
        assert tick.levels.to_dict() == lake.levels("SPY", "2026-07-24T10:02:30", conventions="trading-time").to_dict()
        assert (
            tick.heatmap("chex").to_json()
            == lake.heatmap("SPY", "2026-07-24T10:02:30", "chex", conventions="trading-time").to_json()
        )


def test_a_session_without_any_flow_has_no_effective_open_interest(tmp_path: pathlib.Path) -> None:
    store(tmp_path / "bare", [snapshot("10:00")])
    with replay.open_lake(tmp_path / "bare") as lake:
        wrong = "needs call_flow and put_flow, and the session stores neither; `replay ingest trades` adds them"
        with pytest.raises(InvalidOpenInterest, match=wrong):
            lake.levels("SPY", "2026-07-24T10:01", oi="effective")
        with pytest.raises(InvalidOpenInterest, match=wrong):
            lake.tape("SPY", lakes.DAY, oi="effective")
        assert lake.heatmap("SPY", "2026-07-24T09:59", oi="effective").minutes.tolist() == []
    store(tmp_path / "legacy", [row(at("10:00"), None)])
    with replay.open_lake(tmp_path / "legacy") as lake:
        with pytest.raises(NoStrikeData):
            lake.heatmap("SPY", "2026-07-24T10:01", oi="effective")
        assert len(lake.tape("SPY", lakes.DAY, oi="effective")) == 1


def test_a_total_of_sides_that_are_not_known_is_not_known_with_flow(tmp_path: pathlib.Path) -> None:
    told: dict[str, Any] = {"oi": [300.0, 300.0], "call_flow": [5.0, 0.0], "put_flow": [0.0, 0.0]}
    none: dict[str, Any] = dict.fromkeys(("gex", "dex", "vex", "chex"))
    store(tmp_path, [snapshot("10:00", **told), snapshot("10:01", **(told | none | {"call_oi": None, "put_oi": None}))])
    with replay.open_lake(tmp_path) as lake:
        assert lake.heatmap("SPY", "2026-07-24T10:02", "oi").values.tolist() == [[160.0, 160.0], [300.0, 300.0]]
        found = lake.heatmap("SPY", "2026-07-24T10:02", "oi", oi="effective").values
        np.testing.assert_array_equal(found, [[165.0, 160.0], [math.nan, math.nan]])


def test_what_many_late_corrections_take_is_bounded(tmp_path: pathlib.Path) -> None:
    """Each of 150 corrections changes the 300 snapshots after it: what is stated of them is not kept all at once."""
    strikes = [600.0 + k for k in range(40)]
    known: dict[str, Any] = {name: [100.0] * 40 for name in ("call_oi", "put_oi", "put_flow")} | {
        "call_iv": [0.2] * 40,
        "put_iv": [0.2] * 40,
    }
    clocks = [at("09:31") + i * 60 * SECOND for i in range(300)]
    rows = [row(ts, strikes, lag=SECOND, call_flow=[1.0] * 40, **known) for ts in clocks]
    close = at("16:01")
    rows += [
        row(ts, strikes, lag=close - ts + i * SECOND, call_flow=[2.0] * 40, **known)
        for i, ts in enumerate(clocks[:150])
    ]
    store(tmp_path, rows)
    with replay.open_lake(tmp_path) as lake:
        tracemalloc.start()
        tape = lake.tape("SPY", lakes.DAY, oi="effective")
        ticks = tape.ticks()
        assert [tick.values("oi")[0] for tick in ticks[10:12]] == [
            lake.heatmap("SPY", ticks[i].now, "oi", oi="effective", minutes=1).values[-1][0] for i in (10, 11)
        ]
        late = tape.at("2026-07-24T14:31", known_at="latest").values("oi")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert late[0] == 100 + 300 + 150 + 100 + 300 * 100
    assert peak < 30e6


def effective(root: pathlib.Path, clock: str, tier: str | None = None) -> list[list[float]]:
    with replay.open_lake(root) as lake:
        shown = lake.heatmap("SPY", f"2026-07-24T{clock}", "oi", oi="effective", known_at="latest", tier=tier)
        found: list[list[float]] = shown.values.tolist()
        return found


def test_flows_that_are_no_whole_numbers_sum_to_the_same_in_both_tiers(tmp_path: pathlib.Path) -> None:
    """As doubles (0.1 + 0.2) + 0.3 is not 0.1 + (0.2 + 0.3), which is what thinned rows add up."""
    flows = {"10:15:00": 0.1, "10:16:00": 0.2, "10:16:30": 0.3, "10:17:10": 0.7, "10:17:20": 0.1, "10:17:40": 0.2}
    side: dict[str, Any] = {"call_oi": [0.0, 0.0], "put_oi": [0.0, 0.0], "put_flow": [0.0, 0.0]}
    store(tmp_path, [row(at(clock), [600.0, 601.0], call_flow=[flow, -0.0], **side) for clock, flow in flows.items()])
    raw = effective(tmp_path, "10:17:59.999999")
    assert [bar[0] for bar in raw] == [0.1, 0.1 + (0.2 + 0.3), (0.1 + (0.2 + 0.3)) + ((0.7 + 0.1) + 0.2)]
    with opened(tmp_path) as (files, reader):
        assert thin_partition(files, reader, RAW).verdict == "thinned"
    assert effective(tmp_path, "10:17:59.999999", "1m") == raw == effective(tmp_path, "10:17:59.999999", "raw")


def test_a_strike_that_is_no_number_and_a_flow_that_is_infinite_say_nothing(tmp_path: pathlib.Path) -> None:
    side: dict[str, Any] = {"call_oi": [5.0, 6.0], "put_oi": [1.0, 1.0], "put_flow": [0.0, 0.0]}
    rows = [
        row(at("10:15"), [600.0, math.nan], call_flow=[2.0, 3.0], **side),
        row(at("10:16"), [600.0, 601.0], call_flow=[math.inf, 4.0], **side),
        row(at("10:17"), [600.0, 601.0], call_flow=[1.0, -math.inf], **side),
    ]
    lakes.write_foreign(tmp_path, "SPY", "foreign.parquet", rows)
    wanted = [[8.0, math.nan], [8.0, 11.0], [9.0, 11.0]]
    np.testing.assert_array_equal(effective(tmp_path, "10:17:59.999999"), wanted)
    with opened(tmp_path) as (files, reader):
        assert thin_partition(files, reader, RAW).verdict == "thinned"
    np.testing.assert_array_equal(effective(tmp_path, "10:17:59.999999", "1m"), wanted)
