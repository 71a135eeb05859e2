"""When data is too old to be used, and what a replay does then: mask, carry for a stated while, or stop."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

import replay
from replay.errors import GapFound, InvalidGapPolicy
from replay.levels import Levels
from replay.tape import GapPolicy, Tape, Tick, parse_gaps
from tests import lakes, second_method
from tests.lakes import DAY, HALF_DAY, MINUTE, SECOND, at, row
from tests.second_method import QUOTES, SecondLake

SHIPPED = pathlib.Path(__file__).parent.parent / "fixtures" / "lake"
NEW_YORK = second_method.NEW_YORK
LISTS: dict[str, Any] = {
    name: [1.0, 2.0] for name in ("gex", "dex", "call_oi", "put_oi", "call_iv", "signed_flow", *QUOTES)
}


def sample(ts: int, lag: int = SECOND) -> lakes.Row:
    return row(ts, [600.0, 601.0], lag=lag, spot=600.5, **LISTS)


def every(first: str, last: str, step: int, lag: int = SECOND, date: dt.date = DAY) -> list[lakes.Row]:
    return [sample(ts, lag) for ts in range(at(first, date), at(last, date) + 1, step)]


@pytest.fixture
def tape_of(root: pathlib.Path) -> Iterator[Any]:
    """Write rows and give the tape of them."""
    opened: list[replay.Lake] = []

    def write(*files: list[lakes.Row], date: dt.date = DAY, cadences: tuple[int | None, ...] = ()) -> Tape:
        for i, (rows, cadence) in enumerate(itertools.zip_longest(files, cadences)):
            metadata = {} if cadence is None else {"replay.cadence_us": str(cadence)}
            lakes.write_foreign(root, "SPY", f"{i}.parquet", rows, date=date, metadata=metadata)
        opened.append(replay.open_lake(root))
        return opened[-1].tape("SPY", date)

    yield write
    for lake in opened:
        lake.close()


def at_wall(wall: str, date: dt.date = DAY) -> dt.datetime:
    return lakes.moment(at(wall, date))


def is_masked(tick: Tick) -> bool:
    """Whether nothing of the newest snapshot is told but its strikes and its age; fails if it is told in part."""
    names = ("gex", "dex", "oi", "signed_flow", "call_iv", *QUOTES)
    told = [float(value) for name in names for value in tick.values(name)] + [tick.spot]
    told += [float(value) for name in QUOTES for value in getattr(tick.quotes, name)]
    unknown = {math.isnan(value) for value in told}
    assert len(unknown) == 1, "all or nothing"
    masked = unknown == {True}
    assert (tick.levels == Levels(tick.symbol)) == masked
    assert tick.stale == masked
    assert ("stale" in repr(tick)) == masked
    return masked


# --- from when on


@pytest.mark.parametrize(
    ("gaps", "from_wall"),
    [
        ("mask", "10:02:01"),  # of 10:00, a lag of a second and two cadences of a minute
        ("carry:5m", "10:07:01"),
        ("carry:1us", "10:02:01.000001"),
        ("carry:90s", "10:03:31"),
        ("carry:26m", "10:28:01"),
        ("carry:1h", None),  # 10:30 comes first
    ],
)
def test_the_policy_is_passed_exactly_at_its_bound(tape_of: Any, gaps: str, from_wall: str | None) -> None:
    tape: Tape = tape_of(every("09:30", "10:00", MINUTE) + every("10:30", "11:00", MINUTE))
    for wall, masked in (("10:00:01", False), ("10:02", False), ("10:30:01", False), ("10:31:00.999999", False)):
        assert is_masked(tape.at(at_wall(wall), gaps=gaps)) == masked
    bound = at(from_wall) if from_wall else at("10:30:01")
    for us in (bound - 1, at("10:02:00.999999")):
        tick = tape.at(lakes.moment(us), gaps=gaps)
        assert not is_masked(tick)
        assert (tick.spot, tick.values("gex").tolist(), tick.levels.magnet) == (600.5, [1.0, 2.0], 601.0)
        assert (tick.quotes.call_bid.tolist(), tick.levels.spot) == ([1.0, 2.0], 600.5)
    if from_wall is None:
        return
    for us in (bound, bound + 1, at("10:29"), at("10:30:00.999999")):
        tick = tape.at(lakes.moment(us), gaps=gaps)
        assert is_masked(tick)
        assert tick.ts == at_wall("10:00"), "age counts from ts, and goes on"
        assert tick.age == dt.timedelta(microseconds=us - at("10:00"))
        assert tick.strikes.tolist() == [600.0, 601.0]
        assert [len(tick.values(name)) for name in ("gex", "oi", "call_volume")] == [2, 2, 2]


def test_ticks_and_single_instants_agree_on_what_is_stale(tape_of: Any) -> None:
    date = HALF_DAY
    tape: Tape = tape_of(
        every("09:32", "10:00", MINUTE, date=date) + every("10:30", "12:40", MINUTE, date=date), date=date
    )
    for gaps, spans in (
        ("mask", (("09:30:01", "09:32:01"), ("10:02:01", "10:30:01"), ("12:42:01", "13:00:01"))),
        ("carry:5m", (("09:30:01", "09:32:01"), ("10:07:01", "10:30:01"), ("12:47:01", "13:00:01"))),
        ("carry:20m", (("09:30:01", "09:32:01"), ("10:22:01", "10:30:01"))),
    ):
        ticks = tape.ticks("1s", gaps=gaps)
        stale = {tick.now for tick in ticks if tick.stale}
        wanted = {
            lakes.moment(us) for start, end in spans for us in range(at(start, date), at(end, date), SECOND)
        }  # fmt: skip
        assert stale == wanted
        assert f"{len(wanted)} stale, gaps {gaps}" in repr(ticks)
        for tick in ticks[::997]:
            assert is_masked(tick) == (tick.now in wanted)
            assert tape.at(tick.now, gaps=gaps).stale == tick.stale


def test_before_the_first_snapshot_nothing_is_known(tape_of: Any) -> None:
    tape: Tape = tape_of(every("10:00", "10:05", MINUTE))
    for gaps in ("mask", "carry:6h"):
        tick = tape.ticks(gaps=gaps)[28]
        assert f"{tick.now:%H:%M}" == "09:59"
        assert (tick.ts, tick.age, tick.stale, tick.tier) == (None, None, True, "raw")
        assert is_masked(tick)
        assert [len(tick.strikes), len(tick.values("gex")), len(tick.quotes.call_ask), len(tick.times())] == [0] * 4
        assert tick.history().shape == (0, 0)
        assert tick.heatmap().to_dict()["bars"] == []
        assert tape.at(at_wall("10:00:00.999999"), gaps=gaps).age is None
        assert tape.at(at_wall("10:00:01"), gaps=gaps).age == dt.timedelta(seconds=1)


def test_latency_counts_for_what_is_known_and_age_goes_on_from_ts(tape_of: Any) -> None:
    tape: Tape = tape_of(every("09:30", "10:00", MINUTE))
    for latency, seen, bound in (
        ("0s", "10:00:01", "10:02:01"),
        ("30s", "10:00:31", "10:02:31"),
        ("10m", "10:10:01", "10:12:01"),
    ):
        ticks = tape.ticks("1s", latency)
        numbers = {wall: (at(wall) - at("09:30")) // SECOND - 1 for wall in (seen, bound)}
        assert ticks[numbers[seen]].ts == at_wall("10:00")
        assert ticks[numbers[seen] - 1].ts == at_wall("09:59")
        assert (ticks[numbers[bound] - 1].stale, ticks[numbers[bound]].stale) == (False, True)
        assert ticks[numbers[seen]].age == at_wall(seen) - at_wall("10:00")


def test_heatmap_and_history_are_never_masked(tape_of: Any) -> None:
    tape: Tape = tape_of(every("09:30", "10:00", MINUTE))
    masked, carried = (tape.at(at_wall("10:40"), gaps=gaps) for gaps in ("mask", "carry:2h"))
    assert (is_masked(masked), is_masked(carried)) == (True, False)
    assert masked.heatmap().to_json() == carried.heatmap().to_json()
    assert masked.history("oi").tolist() == carried.history("oi").tolist() == [[2.0, 4.0]] * 21
    assert len(masked.times()) == 21


def test_a_mask_does_not_leak_into_other_ticks(tape_of: Any) -> None:
    """All of these have one and the same newest snapshot."""
    tape: Tape = tape_of(every("09:30", "10:00", MINUTE))
    mask, carry = tape.ticks("30s"), tape.ticks("30s", gaps="carry:1h")
    ten = 59
    for i in (ten + 4, ten + 40, ten + 1, ten + 5, ten + 3):
        assert mask[i].ts == carry[i].ts == at_wall("10:00")
        assert (is_masked(mask[i]), is_masked(carry[i])) == (i >= ten + 5, False)
    for tick in (mask[ten + 1], carry[ten + 90]):
        assert (tick.values("gex").tolist(), tick.values("oi").tolist(), tick.spot) == ([1.0, 2.0], [2.0, 4.0], 600.5)


# --- lag and cadence are those that were told at that instant


@pytest.mark.parametrize(
    ("last", "bound"),
    [
        ("09:30", 1 + 2 * 60),  # a single row has no step: a minute stands in
        ("09:31", 1 + 2 * 60),
        ("09:40", 1 + 2 * 60),
        ("10:25", 1 + 2 * 60),  # 10 steps of 60 s, 9 of 300 s
        ("10:30", 1 + 2 * 180),  # 10 and 10
        ("10:35", 15.5 + 2 * 300),  # 11 rows of either lag
        ("10:40", 30 + 2 * 300),
        ("11:40", 30 + 2 * 300),
    ],
)
def test_the_bound_moves_as_cadence_and_lag_are_told(tape_of: Any, last: str, bound: float) -> None:
    """Eleven rows a minute apart and a second late, then rows every five minutes and 30 s late, up to ``last``.

    What comes in the afternoon, a second apart and at once, would make it 2 s for the whole of the day.
    """
    rows = every("09:30", "09:40", MINUTE) + every("09:45", "11:40", 5 * MINUTE, lag=30 * SECOND)
    tape: Tape = tape_of([each for each in rows if each["ts"] <= at(last)] + every("12:30", "12:35", SECOND, lag=0))
    us = at(last) + round(bound * SECOND)
    assert [tape.at(lakes.moment(us + step)).stale for step in (-1, 0, 1)] == [False, True, True]
    carried = [tape.at(lakes.moment(us + 7 * MINUTE + step), gaps="carry:7m").stale for step in (-1, 0, 1)]
    assert carried == [False, True, True]
    ticks, number = tape.ticks("7s"), (us - at("09:30") - 1) // (7 * SECOND)  # the first tick at the bound or after
    assert [ticks[number - 1].stale, ticks[number].stale] == [False, True]
    evening = [tape.at(at_wall(wall)).stale for wall in ("12:35:01.999999", "12:35:02")]
    assert evening == [False, True], "by then a second apart is what is usual"


def test_a_correction_does_not_count_as_lateness(tape_of: Any) -> None:
    rows = every("09:30", "10:00", MINUTE)
    tape: Tape = tape_of(rows + [each | {"recorded_at": at("10:00:30")} for each in rows[:-1]])
    assert [tape.at(lakes.moment(at("10:02:01") + step)).stale for step in (-1, 0)] == [False, True]


def test_the_cadence_of_the_files_seen_counts_where_they_agree(tape_of: Any) -> None:
    """The first file says 30 s though its rows are a minute apart; the second says ten minutes; the third nothing."""
    first, second = every("09:30", "10:00", MINUTE), every("11:00", "11:02", MINUTE)
    tape: Tape = tape_of(first, second, every("12:00", "12:02", MINUTE), cadences=(30 * SECOND, 10 * MINUTE, None))
    for last, bound in (
        ("10:00", 1 + 2 * 30),  # the second file is not seen yet, so it has no say
        ("11:02", 1 + 2 * 60),  # they do not agree: the median step
        ("12:02", 1 + 2 * 60),
    ):
        us = at(last) + bound * SECOND
        assert [tape.at(lakes.moment(us + step)).stale for step in (-1, 0)] == [False, True], last
    alone: Tape = tape_of(first, [], every("12:00", "12:02", MINUTE), cadences=(30 * SECOND, 10 * MINUTE, None))
    for last in ("10:00", "12:02"):  # a file without a row, or without a cadence, has no say
        assert [alone.at(lakes.moment(at(last) + 61 * SECOND + step)).stale for step in (-1, 0)] == [False, True], last
    same: Tape = tape_of(first, second, [], cadences=(10 * MINUTE, 10 * MINUTE, None))
    assert [same.at(lakes.moment(at("10:00") + 1201 * SECOND + step)).stale for step in (-1, 0)] == [False, True]


def test_each_tier_has_its_own(root: pathlib.Path) -> None:
    """Raw rows every ten seconds until 10:00 are the finest that is visible, and go stale beside fresh thinned ones."""
    lakes.write_own(root, "SPY", every("09:30", "16:00", MINUTE), tier="1m", cadence_us=MINUTE)
    lakes.write_own(root, "SPY", every("09:50", "10:00", 10 * SECOND), cadence_us=10 * SECOND)
    with replay.open_lake(root) as lake:
        both, thin = lake.tape("SPY", DAY), lake.tape("SPY", DAY, "1m")
        for wall, tier, stale in (
            ("09:49:59", "1m", False),
            ("09:50:01", "raw", False),
            ("10:00:20.999999", "raw", False),
            ("10:00:21", "raw", True),
        ):
            assert (both.at(at_wall(wall)).tier, both.at(at_wall(wall)).stale) == (tier, stale)
            assert (thin.at(at_wall(wall)).tier, thin.at(at_wall(wall)).stale) == ("1m", False)


# --- policies against the second method


@pytest.mark.parametrize("symbol", sorted(lakes.CASES))
def test_what_is_stale_equals_the_second_method(
    nasty: lakes.Nasty, nasty_lake: replay.Lake, nasty_second: SecondLake, symbol: str
) -> None:
    date, us = nasty.cases[symbol].date, {"s": SECOND, "m": MINUTE}
    for i, gaps in enumerate(("mask", "carry:90s", "carry:5m")):
        carried = int(gaps[6:-1]) * us[gaps[-1]] if i else 0
        latency = (0, 2, 90)[i] * SECOND
        ticks = nasty_lake.tape(symbol, date).ticks("37s", dt.timedelta(microseconds=latency), gaps)
        for tick, now in itertools.islice(zip(ticks, second_method.clock(date, 37 * SECOND), strict=True), i, None, 3):
            stood = second_method.stood(nasty_second, symbol, date, now, now - latency)
            assert tick.stale == stood.stale(carried), (symbol, gaps, tick)
            spot = second_spot(stood, carried)
            assert math.isnan(tick.spot) if spot is None else tick.spot == spot


def second_spot(stood: second_method.Stood, carried: int) -> float | None:
    return None if stood.newest is None or stood.stale(carried) else stood.newest.spot


# --- strict


def stopped(tape: Tape, step: str = "1m", latency: str = "0s") -> tuple[list[Tick], GapFound | None]:
    """The ticks of a strict run, and what ended it."""
    seen: list[Tick] = []
    try:
        for tick in tape.ticks(step, latency, "strict"):
            seen.append(tick)  # noqa: PERF402  # the ticks before the error are wanted
    except GapFound as error:
        return seen, error
    return seen, None


def test_strict_stops_at_the_first_gap(tape_of: Any) -> None:
    tape: Tape = tape_of(every("09:30", "11:47", MINUTE) + every("12:12", "16:00", MINUTE))
    for step, last, met in (
        ("1m", "11:49:00", "11:50:00"),
        ("1s", "11:49:00", "11:49:01"),
        ("7m", "11:43:00", "11:50:00"),
    ):
        seen, error = stopped(tape, step)
        assert error is not None
        assert f"{seen[-1].now:%H:%M:%S}" == last
        assert not any(tick.stale for tick in seen)
        assert (error.code, error.symbol, error.start) == ("gap_found", "SPY", at_wall("11:47"))
        assert at_wall("11:49") <= error.end <= at_wall(met)
        assert (str(error.start.tzinfo), str(error.end.tzinfo)) == ("America/New_York",) * 2
        for part in ("SPY", "2026-07-24", "11:47:00", met, "mask", "carry"):
            assert part in error.message
    ticks = tape.ticks(gaps="strict")
    assert len(ticks) == 390
    assert ticks[200].stale == tape.ticks()[200].stale, "single ticks can still be looked at"
    with pytest.raises(GapFound):
        list(ticks)
    with pytest.raises(GapFound):
        list(ticks)


def test_strict_goes_through_where_there_is_no_gap(tape_of: Any) -> None:
    full: Tape = tape_of(every("09:30", "16:00", MINUTE))
    for step in ("1m", "7m", "1h"):
        seen, error = stopped(full, step)
        assert error is None
        assert seen[-1].now == full.session.close
    # two cadences are no gap, nor is the next row late before it is there
    holes: Tape = tape_of([each for each in every("09:30", "16:00", MINUTE) if each["ts"] % (9 * MINUTE)])
    assert [stopped(holes, step)[1] for step in ("1m", "7s")] == [None, None]
    first = next(each["ts"] for each in every("10:00", "16:00", MINUTE) if not each["ts"] % (9 * MINUTE))
    later = [
        each | {"recorded_at": each["ts"] + SECOND + (each["ts"] == first + MINUTE)}
        for each in every("09:30", "16:00", MINUTE)
    ]
    late: Tape = tape_of([each for each in later if each["ts"] != first])
    assert stopped(late)[1] is None
    seen, error = stopped(late, "1s")  # at the bound itself, where no stretch is yet longer than two cadences
    assert error is not None
    assert (error.start, error.end) == (lakes.moment(first - MINUTE), lakes.moment(first + MINUTE + SECOND))
    assert seen[-1].now == error.end - dt.timedelta(seconds=1)


def test_strict_names_the_stretch_from_the_open_once_anything_is_known(tape_of: Any) -> None:
    late: Tape = tape_of(every("09:33", "16:00", MINUTE))
    seen, error = stopped(late)
    assert error is not None
    assert (error.start, error.end) == (at_wall("09:30"), at_wall("09:33"))
    assert f"{seen[-1].now:%H:%M}" == "09:34", "the row of 09:34, which tells the step, is known a second later"
    assert stopped(tape_of(every("09:32", "16:00", MINUTE)))[1] is None


@pytest.mark.parametrize(
    "rows", [[], [sample(at("15:59:59.5"), lag=SECOND)], [sample(at("12:00"), lag=3600 * 24 * SECOND)]]
)
def test_strict_names_a_session_without_anything_known(tape_of: Any, rows: list[lakes.Row]) -> None:
    tape: Tape = tape_of(rows or every("09:30", "16:00", MINUTE))
    if not rows:
        tape = Tape("QQQ", tape.session, ())
    seen, error = stopped(tape)
    assert len(seen) == 389
    assert error is not None
    assert (error.symbol, error.start, error.end) == (tape.symbol, tape.session.open, tape.session.close)
    assert "16:00:00" in error.message


def test_strict_waits_for_a_second_snapshot_which_tells_the_cadence(tape_of: Any) -> None:
    seen, error = stopped(tape_of([sample(at("08:00")), *every("09:40", "16:00", MINUTE)]))
    assert error is not None
    assert (error.start, error.end) == (at_wall("09:30"), at_wall("09:40"))
    assert f"{seen[-1].now:%H:%M}" == "09:42", "steps of 100, 1 and 1 minutes, the third known at 09:42:01"
    single, error = stopped(tape_of([sample(at("09:31"))]))
    assert len(single) == 389, "one alone is judged at the close"
    assert error is not None
    assert (error.start, error.end) == (at_wall("09:31"), at_wall("15:59:59"))


def test_strict_does_not_stop_at_what_was_filled_before_it_was_looked_at(tape_of: Any) -> None:
    """From 10:30 to 10:49 all was published at 10:51:30: the minute clock meets the hole, that of an hour does not."""
    rows = every("09:30", "16:00", MINUTE)
    held = [
        each | {"recorded_at": at("10:51:30")} if at("10:30") <= each["ts"] <= at("10:49") else each for each in rows
    ]
    tape: Tape = tape_of(held)
    _, error = stopped(tape)
    assert error is not None
    assert (error.start, f"{error.end:%H:%M}"[:4]) == (at_wall("10:29"), "10:3")
    seen, error = stopped(tape, "30m")
    assert error is None
    assert len(seen) == 13
    hour, error = stopped(tape, "85m")  # 10:55
    assert (len(hour), error) == (5, None)
    _, error = stopped(tape, "85m", "4m")  # 10:55, knowing what was known at 10:51
    assert error is not None
    assert (error.start, error.end) == (at_wall("10:29"), at_wall("10:50"))


@pytest.mark.parametrize("latency", [0, 90 * SECOND])
def test_where_strict_stops_equals_the_second_method(
    nasty: lakes.Nasty, nasty_lake: replay.Lake, nasty_second: SecondLake, latency: int
) -> None:
    shipped, second = replay.open_lake(SHIPPED), SecondLake(SHIPPED)
    tapes = [(nasty_lake, nasty_second, case.symbol, case.date) for case in nasty.cases.values()]
    tapes += [(shipped, second, symbol, date) for symbol in shipped.symbols() for date in shipped.dates(symbol)]
    through = 0
    for lake, rows, symbol, date in tapes:
        ticks = lake.tape(symbol, date).ticks("1m", dt.timedelta(microseconds=latency), "strict")
        hours = second_method.hours(date)
        assert hours is not None
        wanted: tuple[int, int, int] | None = None
        for now in [hours[0], *second_method.clock(date, MINUTE)]:
            stood = second_method.stood(rows, symbol, date, now, now - latency)
            if stood.newest is None:
                wanted = (now, hours[0], now) if now == hours[1] else None
            elif not stood.tells_cadence() and now < hours[1]:
                continue
            elif gaps := stood.gaps(date):
                wanted = (now, *gaps[0])
            elif stood.stale():
                wanted = (now, stood.newest.ts, now - latency)
            if wanted:
                break
        seen: list[Tick] = []
        if wanted is None:
            seen.extend(ticks)
            assert seen[-1].now == lakes.moment(hours[1])
            through += 1
            continue
        with pytest.raises(GapFound, match=symbol) as error:
            seen.extend(ticks)
        found = (error.value.start, error.value.end)
        assert found == (lakes.moment(wanted[1]), lakes.moment(wanted[2])), (symbol, date)
        before = [now for now in second_method.clock(date, MINUTE) if now < wanted[0]]
        assert [tick.now for tick in seen] == [lakes.moment(now) for now in before]
    assert through > 3


def test_the_gaps_of_a_session_are_those_known_at_its_close(tape_of: Any) -> None:
    shipped, second = replay.open_lake(SHIPPED), SecondLake(SHIPPED)
    gap = shipped.tape("SPY", "2026-04-15").ticks()
    (found,) = gap.gaps()
    assert [f"{lakes.moment(us).astimezone(NEW_YORK):%H:%M}" for us in found] == ["11:47", "12:12"]
    stood = second_method.stood(
        second, "SPY", dt.date(2026, 4, 15), at("16:00", dt.date(2026, 4, 15)), at("16:00", dt.date(2026, 4, 15))
    )
    assert gap.gaps() == stood.gaps(dt.date(2026, 4, 15))
    rows = every("09:30", "15:50", MINUTE)
    tape: Tape = tape_of([each for each in rows if not at("12:00") < each["ts"] < at("12:30")])
    for latency in ("0s", "1h"):
        ends = [(at("12:00"), at("12:30"))]
        ends += [(at("15:50"), at("15:59:59"))] if latency == "0s" else []
        assert tape.ticks("1h", latency).gaps() == ends


# --- how a policy is written


@pytest.mark.parametrize(
    ("text", "kind", "carried", "written"),
    [
        ("strict", "strict", 0, "strict"),
        (" mask\n", "mask", 0, "mask"),
        ("carry:5m", "carry", 300, "carry:5m"),
        ("carry: 90s ", "carry", 90, "carry:90s"),
        ("carry:0.5h", "carry", 1800, "carry:30m"),
        ("carry:120s", "carry", 120, "carry:2m"),
        ("carry:60m", "carry", 3600, "carry:1h"),
        ("carry:250ms", "carry", 0.25, "carry:250ms"),
        ("carry:1us", "carry", 1e-6, "carry:1us"),
    ],
)
def test_policies(text: str, kind: str, carried: float, written: str) -> None:
    policy = parse_gaps(text)
    assert (policy.kind, policy.carried, str(policy)) == (kind, round(carried * SECOND), written)
    assert parse_gaps(policy) is policy
    assert parse_gaps(str(policy)) == policy


@pytest.mark.parametrize(
    "wrong",
    ["", "Mask", "none", "carry", "carry:", "carry:0s", "carry:-5m", "carry:5", "carry:5m:5m", "mask:5m", "strict:", "carry 5m", "mask,strict",
     None, 5, True, dt.timedelta(minutes=5), ["mask"]],
    ids=repr,
)  # fmt: skip
def test_what_is_no_policy(tape_of: Any, wrong: Any) -> None:
    tape: Tape = tape_of(every("10:00", "10:05", MINUTE))
    for ask in (lambda: parse_gaps(wrong), lambda: tape.ticks(gaps=wrong), lambda: tape.at("2026-07-24", gaps=wrong)):
        with pytest.raises(InvalidGapPolicy) as error:
            ask()
        assert error.value.code == "invalid_gaps"


def test_a_policy_may_be_given_as_one(tape_of: Any) -> None:
    tape: Tape = tape_of(every("10:00", "10:05", MINUTE))
    assert [tick.stale for tick in tape.ticks(gaps=GapPolicy("carry", 5 * MINUTE))] == [
        tick.stale for tick in tape.ticks(gaps="carry:5m")
    ]
    assert sum(tape.ticks(gaps="carry:999999999h").stale[1:]) == 30, "however long: before the first there is nothing"
