"""Captures of the live endpoint become snapshots that give each of them back, field for field."""

from __future__ import annotations

import datetime as dt
import gzip
import itertools
import json
import math
import pathlib
import random
from collections.abc import Sequence
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import replay
from replay.cli.ingest_heatmap import heatmap as command
from replay.errors import InputError, MixedConventions
from replay.ingest.bodies import Origin, read_body
from replay.ingest.captures import CapturedSession, CaptureReport, ingest_captures
from replay.ingest.differences import levels_of
from replay.storage.writer import LakeWriter
from tests import lakes
from tests.lakes import DAY, MINUTE, SECOND, at, moment
from tests.second_method import NoStrikeData, SecondLake, body, number, utc_text

METRICS = ("gex", "dex", "vex", "chex", "oi", "signed_flow")
ASKED = (("raw", 30), ("delta", 30), ("raw", 5), ("raw", 390))
WHOLE = ("CORRECT", "GAPS", "FILES", "TYPES", "NANOS", "FLOW", "THIN", "TOTALS", "STILL", "HOLES", "NOROWS")
SCATTERED = ("UNEVEN", "DRIFT", "EDGES", "TIERS")
"""Where rows of one minute list other strikes, so that a flow's grid is not the others'."""

Body = dict[str, Any]
Bars = dict[str, dict[float, float | None]]


def captured(
    second: SecondLake, case: lakes.Case, rng: random.Random, metrics: Sequence[str], moments: int
) -> list[Body]:
    """Bodies at some of a case's moments, with all their spots."""
    found = []
    for as_of in rng.sample(case.moments, moments):
        for metric in metrics:
            for mode, minutes in ASKED:
                try:
                    made = body(second, case.symbol, as_of, None, metric, mode, minutes)
                except NoStrikeData:
                    continue
                if all(bar["spot"] is not None for bar in made["bars"]):
                    found.append(made)
    return found


def put(folder: pathlib.Path, bodies: Sequence[Body], rng: random.Random) -> list[pathlib.Path]:
    """Bodies as files of every kind: one a file, indented or not, JSON lines, gzip."""
    folder.mkdir(parents=True)
    rest = rng.sample(bodies, len(bodies))
    files, cut = [], len(rest) // 3
    for i, each in enumerate(rest[:cut]):
        files.append(folder / f"{i:03}.json")
        files[-1].write_text(json.dumps(each, indent=rng.choice([None, 1])))
    lines = [json.dumps(each) + "\n" for each in rest[cut:]]
    files += [folder / "many.jsonl", folder / "packed.gz"]
    files[-2].write_text("\n".join(lines[: cut + 1]))
    files[-1].write_bytes(gzip.compress("".join(lines[cut + 1 :]).encode()))
    return files


def asked_again(lake: replay.Lake, wanted: Body, minutes: int) -> Body:
    """The lake's answer to a body's request, through JSON."""
    shown = lake.heatmap(wanted["symbol"], wanted["as_of"], wanted["metric"], wanted["mode"], minutes=minutes)
    answer: Body = json.loads(shown.to_json())
    return answer


def span(wanted: Body) -> int:
    """The shortest request that has a body's first bar."""
    first, as_of = (dt.datetime.fromisoformat(t) for t in (wanted["bars"][0]["t"], wanted["as_of"]))
    return max(1, int(as_of.timestamp()) // 60 - int(first.timestamp()) // 60)


def without_price(answer: Body) -> Body:
    return {name: value for name, value in answer.items() if name != "underlying_price"}


def assert_given_back(root: pathlib.Path, bodies: Sequence[Body]) -> None:
    with replay.open_lake(root) as lake:
        for wanted in bodies:
            if wanted["bars"]:
                answer = asked_again(lake, wanted, span(wanted))
                assert list(answer) == list(wanted)
                assert without_price(answer) == without_price(wanted)


@pytest.mark.parametrize("symbol", [*WHOLE, *SCATTERED])
def test_each_captured_request_is_answered_by_the_captured_body(
    nasty: lakes.Nasty, nasty_second: SecondLake, root: pathlib.Path, tmp_path: pathlib.Path, symbol: str
) -> None:
    rng = lakes.dice(f"captures {symbol}")
    bodies = captured(nasty_second, nasty.cases[symbol], rng, METRICS, 20 if symbol == "DRIFT" else 3)
    files = put(tmp_path / "captures", bodies, rng)
    report = ingest_captures(files, root, symbol.lower())
    assert sum(written.rows for written in report.sessions.values()) > 0
    assert report.bodies.total() == len(bodies)
    assert_given_back(root, bodies)
    before = sorted(root.rglob("*.parquet"))
    again = ingest_captures(files[::-1], root, symbol)
    assert [written.rows for written in again.sessions.values()] == [0]
    assert sorted(root.rglob("*.parquet")) == before


@pytest.mark.parametrize(
    ("symbol", "first"), [("CORRECT", ("gex",)), ("TOTALS", ("signed_flow", "oi")), ("NANOS", ("dex", "vex"))]
)
def test_metrics_in_two_runs_answer_as_in_one(
    nasty: lakes.Nasty, nasty_second: SecondLake, tmp_path: pathlib.Path, symbol: str, first: tuple[str, ...]
) -> None:
    rng = lakes.dice(f"two runs {symbol}")
    bodies = captured(nasty_second, nasty.cases[symbol], rng, METRICS, 3)
    whole = put(tmp_path / "all", bodies, rng)
    early = put(tmp_path / "early", [each for each in bodies if each["metric"] in first], rng)
    late = put(tmp_path / "late", [each for each in bodies if each["metric"] not in first], rng)
    ingest_captures(whole, tmp_path / "one", symbol)
    ingest_captures(early, tmp_path / "two", symbol)
    ingest_captures(late, tmp_path / "two", symbol)
    with replay.open_lake(tmp_path / "one") as one, replay.open_lake(tmp_path / "two") as two:
        for as_of in {each["as_of"] for each in bodies}:
            for metric in METRICS:
                answers = [lake.heatmap(symbol, as_of, metric, minutes=390).to_json() for lake in (one, two)]
                assert answers[0] == answers[1], (as_of, metric)


def answer(
    as_of: str | int,
    bars: Bars,
    metric: str = "gex",
    mode: str = "raw",
    spot: float = 600.0,
    **changes: Any,
) -> Body:
    """A body by hand: bars by their New York minute, each by strike."""
    strikes = sorted({strike for values in bars.values() for strike in values})
    return {
        "symbol": "SPY",
        "underlying_price": spot,
        "expiration": DAY.isoformat(),
        "metric": metric,
        "mode": mode,
        "bar_size": "1m",
        "as_of": utc_text(at(as_of) if isinstance(as_of, str) else as_of),
        "tier_used": "raw",
        "strikes_grid": [number(strike) for strike in strikes],
        "bars": [
            {"t": utc_text(at(t)), "spot": spot, "values": [values.get(strike) for strike in strikes]}
            for t, values in bars.items()
        ],
        "gap_intervals": [],
    } | changes


def ingest(root: pathlib.Path, *bodies: Any, name: str = "capture", **options: Any) -> CaptureReport:
    """Bodies in files of their own, in this order, into a lake."""
    folder = root.parent / "captures"
    folder.mkdir(exist_ok=True)
    files = []
    for i, each in enumerate(bodies):
        files.append(folder / f"{name}-{i}.json")
        files[-1].write_bytes(each if isinstance(each, bytes) else json.dumps(each).encode())
    return ingest_captures(files, root, "SPY", **options)


def test_a_row_carries_forward_what_other_metrics_were_known_to_be(root: pathlib.Path) -> None:
    ingest(
        root,
        answer("10:00:20", {"10:00": {600.0: 1.0, 601.0: 2.0}}),
        answer("10:00:30", {"10:00": {600.0: 5.0, 601.0: None}}, "dex"),
        answer("10:00:40", {"10:00": {600.0: 1.5, 601.0: 2.0, 602.0: 3.0}}),
        answer("10:01:10", {"10:00": {600.0: 7, 602.0: 8}, "10:01": {600.0: 9, 602.0: 10}}, "oi", spot=601.0),
    )
    rows = SecondLake(root).rows("raw", "SPY", DAY)
    found = [
        (row.ts, row.recorded_at, row.spot, row.strike, {name: v for name, v in row.lists.items() if v}) for row in rows
    ]
    minute = at("10:00")
    assert sorted(found, key=lambda each: each[:2]) == [
        (minute, at("10:00:20"), 600.0, [600.0, 601.0], {"gex": [1.0, 2.0]}),
        (minute, at("10:00:30"), 600.0, [600.0, 601.0], {"gex": [1.0, 2.0], "dex": [5.0, None]}),
        (minute, at("10:00:40"), 600.0, [600.0, 601.0, 602.0], {"gex": [1.5, 2.0, 3.0], "dex": [5.0, None, None]}),
        # the body of open interest has no 601, so no row that it shows can list it
        (minute, at("10:01:10"), 601.0, [600.0, 602.0], {"gex": [1.5, 3.0], "dex": [5.0, None], "oi": [7.0, 8.0]}),
        (at("10:01"), at("10:01:10"), 601.0, [600.0, 602.0], {"oi": [9.0, 10.0]}),
    ]


def test_a_later_run_fills_the_rows_that_came_after(root: pathlib.Path) -> None:
    gex = [answer(f"10:00:{s}", {"10:00": {600.0: float(s)}}) for s in (10, 30, 50)]
    ingest(root, *gex, name="gex")
    report = ingest(root, answer("10:00:20", {"10:00": {600.0: 5.0}}, "dex"), name="dex")
    assert [(each.new, each.corrections, each.filled) for each in report.sessions.values()] == [
        (0, 1, 2)
    ]  # those of :30 and :50
    ingest(root, answer("10:00:55", {"10:00": {600.0: 4.0}}, "vex"), name="vex")
    with replay.open_lake(root) as lake:
        for second, gamma, delta in ((10, 10.0, None), (20, 10.0, 5.0), (55, 50.0, 5.0)):
            shown = {m: lake.heatmap("SPY", moment(at(f"10:00:{second}")), m).to_dict() for m in ("gex", "dex")}
            assert shown["gex"]["bars"][0]["values"] == [gamma]
            assert shown["dex"]["bars"][0]["values"] == [delta]


def test_bodies_that_come_late_fall_into_their_place(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    bodies = [
        answer("10:00:20", {"10:00": {600.0: 1.0}}),
        answer("10:00:10", {"10:00": {600.0: 5.0}}, "dex"),
        answer("10:00:30", {"10:00": {600.0: 2.0}}),
        answer("10:00:20", {"10:00": {600.0: 7.0}}, "oi"),
    ]
    with LakeWriter(root) as writer:
        session = CapturedSession(writer, "SPY", DAY)
        for each in bodies:
            session.take([read_body(each, Origin("server"), "SPY")])
            session.flush()
    assert_given_back(root, bodies)
    ingest(tmp_path / "sorted", *bodies)
    with replay.open_lake(root) as late, replay.open_lake(tmp_path / "sorted") as whole:
        for second in (10, 20, 30):
            for metric in ("gex", "dex", "oi"):
                answers = [
                    lake.heatmap("SPY", moment(at(f"10:00:{second}")), metric).to_json() for lake in (late, whole)
                ]
                assert answers[0] == answers[1], (second, metric)


def test_levels_come_back_from_their_changes(root: pathlib.Path) -> None:
    changes = {
        "10:00": {600.0: 4.0, 601.0: None},
        "10:01": {600.0: -1.5, 601.0: None},
        "10:02": {600.0: 0.125, 601.0: None},
    }
    wanted = answer("10:02:30", changes, mode="delta")
    ingest(root, wanted)
    assert_given_back(root, [wanted])
    with replay.open_lake(root) as lake:
        raw = lake.heatmap("SPY", moment(at("10:02:30")), "gex", minutes=2).to_dict()
    assert [bar["values"] for bar in raw["bars"]] == [[4.0, None], [2.5, None], [2.625, None]]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("later", ["10:10:30", "10:10:40"])
def test_a_longer_window_of_another_run_lists_nothing_in_a_shorter_one(
    root: pathlib.Path, order: int, later: str
) -> None:
    """A strike without any value that the longer one alone has is listed where the shorter one does not look."""
    short = answer("10:10:30", {"10:09": {600.0: 1.0}, "10:10": {600.0: 2.0}}, "oi")
    bars = {t: {600.0: flow, 601.0: None} for t, flow in (("10:00", 5.0), ("10:09", None), ("10:10", 7.0))}
    long = answer(later, bars, "signed_flow")
    for i, each in enumerate([short, long][::order]):
        ingest(root, each, name=f"run {i}")
    assert_given_back(root, [short, long])


def changes_of(levels: list[float]) -> list[float]:
    return [levels[0], *(b - a for a, b in itertools.pairwise(levels))]


SIZES = st.floats(1e-4, 1e12) | st.floats(-1e12, -1e-4) | st.just(0.0)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.lists(SIZES, min_size=1, max_size=14), st.integers(0, 13), st.booleans())
def test_levels_are_found_for_the_changes_of_any_levels(true: list[float], place: int, hinted: bool) -> None:
    """From the level of any one bar onwards and backwards, whatever levels are preferred."""
    unknown, place = [math.nan] * len(true), place % len(true)
    fixed = [level if i == place else math.nan for i, level in enumerate(true)]
    found = levels_of(changes_of(true), fixed, true if hinted else unknown)
    assert isinstance(found, list)
    assert found[place] == true[place]
    assert changes_of(found)[1:] == changes_of(true)[1:]


@pytest.mark.parametrize(
    ("changes", "fixed", "place"),
    [
        ([100.1, 0.05], [100.1, math.nan], 1),  # rounded to cents: doubles near 100.15 are 1.4e-14 apart
        ([0.05, 0.05], [math.nan, 100.1], 1),
        ([1.0, 2.0, 2.0], [1.0, math.nan, 6.0], 2),
    ],
)
def test_changes_that_no_levels_have_are_told_by_their_place(
    changes: list[float], fixed: list[float], place: int
) -> None:
    assert levels_of(changes, fixed, [math.nan] * len(changes)) == place


def test_changes_of_many_windows_and_moments_come_back_without_a_raw_body(root: pathlib.Path) -> None:
    rng = lakes.dice("windows")
    minutes = [f"10:{i:02}" for i in range(33)]
    columns = {600.0 + k: [rng.gauss(0, 1) * 10.0 ** rng.randint(2, 8) for _ in minutes] for k in range(3)}
    bodies = []
    for now in (20, 30, 32):
        for back in (4, 12, 30):
            shown = range(max(0, now - back), now + 1)
            changes = {k: changes_of([column[i] for i in shown]) for k, column in columns.items()}
            bars: Bars = {minutes[i]: {k: column[n] for k, column in changes.items()} for n, i in enumerate(shown)}
            bodies.append(answer(f"10:{now:02}:40", bars, mode="delta"))
    ingest(root, *rng.sample(bodies, len(bodies)))
    assert_given_back(root, bodies)


def test_a_level_that_was_shown_before_goes_on_after_a_null(root: pathlib.Path) -> None:
    raw: Bars = {"10:00": {600.0: 4.0, 601.0: None}, "10:01": {600.0: 4.5, 601.0: 9.0}}
    changes: Bars = {
        "10:00": {600.0: 4.0, 601.0: None},
        "10:01": {600.0: 0.5, 601.0: None},
        "10:02": {600.0: 0.5, 601.0: 0.25},
    }
    bodies = [answer("10:01:30", raw), answer("10:02:30", changes, mode="delta")]
    ingest(root, *bodies)
    assert_given_back(root, bodies)
    with replay.open_lake(root) as lake:
        levels = lake.heatmap("SPY", moment(at("10:02:30")), "gex").to_dict()["bars"]
    assert [bar["values"] for bar in levels] == [[4.0, None], [4.5, 9.0], [5.0, 9.25]]


def test_a_raw_body_of_the_same_moment_tells_the_levels(root: pathlib.Path) -> None:
    raw: Bars = {"10:00": {600.0: 4.0}, "10:01": {600.0: None}, "10:02": {600.0: 9.0}, "10:03": {600.0: 9.5}}
    changes: Bars = {"10:00": {600.0: 4.0}, "10:01": {600.0: None}, "10:02": {600.0: None}, "10:03": {600.0: 0.5}}
    both = [answer("10:04", changes, mode="delta"), answer("10:04", raw)]
    with pytest.raises(
        InputError, match=r"capture-0.json: bars\[3\].values\[0\], strike 600, is a change of 0.5.*mode=raw"
    ):
        ingest(root, both[0])
    assert not root.exists()
    ingest(root, *both)
    assert_given_back(root, both)


def test_rows_at_other_seconds_of_a_minute_are_corrected_in_their_place(root: pathlib.Path) -> None:
    rows = [
        lakes.row(at("10:00:10"), [600.0], gex=[1.0], signed_flow=[0.1], call_oi=[1.0], put_oi=[2.0]),
        lakes.row(at("10:00:40"), [600.0], gex=[2.0], signed_flow=[0.2], call_oi=[3.0], put_oi=[4.0]),
    ]
    lakes.write_own(root, "SPY", rows)
    bars = {"gex": 3.0, "signed_flow": 0.7, "oi": 9.0}
    wanted = [answer("10:00:50", {"10:00": {600.0: value}}, metric) for metric, value in bars.items()]
    with pytest.raises(MixedConventions):
        ingest(root, *wanted)
    ingest(root, *wanted, allow_mixed=True)
    assert_given_back(root, wanted)
    assert {row.ts for row in SecondLake(root).rows("raw", "SPY", DAY)} == {at("10:00:10"), at("10:00:40")}
    unknown = answer("10:00:55", {"10:00": {600.0: None}}, "signed_flow")
    with pytest.raises(InputError, match=r"values\[0\], strike 600, is null, and the lake would show 0.1"):
        ingest(root, unknown, allow_mixed=True)


def test_the_same_again_and_what_is_not_kept_are_counted(root: pathlib.Path) -> None:
    gaps = [{"start": utc_text(at("09:40")), "end": utc_text(at("09:50"))}]
    one = answer("10:00:30", {"10:00": {600.0: 1.0}})
    told = answer("10:02:30", {"10:01": {600.0: 1.0}}, gap_intervals=gaps, note="from a newer server")
    nothing = answer("09:31", {})
    report = ingest(root, one, one, told, nothing)
    assert (report.repeated, report.empty, report.gaps, dict(report.unknown)) == (1, 1, 1, {"note": 1})
    assert [(each.new, each.corrections) for each in report.sessions.values()] == [(2, 0)]


def test_a_body_that_says_nothing_new_writes_nothing(root: pathlib.Path) -> None:
    bars: Bars = {"10:00": {600.0: 1.0}}
    ingest(root, answer("10:00:30", bars))
    assert [each.rows for each in ingest(root, answer("10:00:40", bars)).sessions.values()] == [0]


BARS: Bars = {"10:00": {600.0: 1.0, 601.0: 2.0}, "10:01": {600.0: 3.0, 601.0: 4.0}}
GOOD = answer("10:01:30", BARS)


def bars_with(i: int, **changes: Any) -> Body:
    return GOOD | {"bars": [bar | changes if i == n else bar for n, bar in enumerate(GOOD["bars"])]}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (b"", "capture-0.json: is empty"),
        (b"  \n \n", "capture-0.json: is empty"),
        (b"PAR1 and more", "is not JSON: unexpected character"),
        (json.dumps(GOOD).encode()[:-40], "is not JSON"),
        (json.dumps(GOOD, indent=1).encode()[:-40], "is not JSON"),
        (json.dumps(GOOD).encode() + b"\n\n{\n", "capture-0.json, line 3: is not JSON"),
        (b"{" + json.dumps(GOOD).encode() + b"\n" + json.dumps(GOOD).encode(), "capture-0.json, line 1: is not JSON"),
        (gzip.compress(json.dumps(GOOD).encode())[:-20], "is a broken gzip file"),
        (b"\x1f\x8b nothing", "is a broken gzip file"),
        (b"[]", "holds a list, not the body"),
        (json.dumps({"status": "ERROR", "error": "tier_restricted", "message": "Needs Alpha."}).encode(), "is an error, not an answer: tier_restricted: Needs Alpha."),
        ({"title": "Unauthorized", "status": 401, "detail": "Invalid API key."}, "Unauthorized: Invalid API key."),
        ({k: v for k, v in GOOD.items() if k != "mode"}, "lacks the field mode"),
        (GOOD | {"symbol": "QQQ"}, "symbol is 'QQQ', not SPY"),
        (GOOD | {"symbol": 5}, "symbol is a number, not text"),
        (GOOD | {"metric": "zex"}, "metric is 'zex', not gex or dex"),
        (GOOD | {"mode": "log"}, "mode is 'log', not raw or delta"),
        (GOOD | {"bar_size": "5m"}, "bar_size is '5m', not 1m"),
        (GOOD | {"tier_used": "5m"}, "tier_used is '5m', not raw or 1m"),
        (GOOD | {"as_of": "2026-07-24T14:01:30"}, "no time with its offset"),
        (GOOD | {"as_of": "yesterday"}, "no time with its offset"),
        (GOOD | {"expiration": "2026-07-27"}, "expiration is '2026-07-27'; as_of 2026-07-24T14:01:30Z is on 2026-07-24"),
        (GOOD | {"as_of": "2026-07-25T14:01:30Z", "expiration": "2026-07-25"}, "a day without a session"),
        (GOOD | {"underlying_price": "600"}, "underlying_price is '600', not a price above 0"),
        (GOOD | {"strikes_grid": [601, 600]}, "strikes_grid does not ascend: 601 is before 600"),
        (GOOD | {"strikes_grid": [600, 600]}, "strikes_grid does not ascend"),
        (GOOD | {"strikes_grid": [-600, 601]}, "strikes_grid[0] is -600, not a price above 0"),
        (GOOD | {"strikes_grid": ["600", 601]}, r"strikes_grid[0] is '600', not a number"),
        (GOOD | {"strikes_grid": {}}, "strikes_grid is an object, not a list"),
        (GOOD | {"bars": None}, "bars is null, not a list"),
        (GOOD | {"bars": []}, "strikes_grid has strikes, and there are no bars"),
        (GOOD | {"gap_intervals": None}, "gap_intervals is null, not a list"),
        (GOOD | {"bars": [GOOD["bars"][1], GOOD["bars"][0]]}, "bars do not ascend"),
        (GOOD | {"bars": [5]}, "bars[0] is a number, not an object"),
        (bars_with(1, t="2026-07-24T14:01:10Z"), "bars[1].t is 2026-07-24T14:01:10Z, not the start of a minute"),
        (bars_with(1, t="2026-07-24T14:02:00Z"), "bars[1].t is 2026-07-24T14:02:00Z, after as_of"),
        (bars_with(0, t="2026-07-24T03:00:00Z"), "bars[0].t is 2026-07-24T03:00:00Z, not on 2026-07-24 in New York"),
        (bars_with(0, t="2026-07-24T05:00:00Z"), "more than 390 minutes before as_of"),
        (bars_with(0, spot=None), "bars[0].spot is null, not a price above 0"),
        (bars_with(0, spot=0), "bars[0].spot is 0, not a price above 0"),
        (bars_with(0, spot=True), "bars[0].spot is a truth value, not a price above 0"),
        (bars_with(1, values=[1.0]), "bars[1].values holds 1 values; strikes_grid has 2 strikes"),
        (bars_with(1, values=None), "bars[1].values is null, not a list"),
        (bars_with(1, values=[1.0, "2"]), "bars[1].values[1] is '2', neither a number nor null"),
        (bars_with(1, values=[1.0, False]), "bars[1].values[1] is False, neither a number nor null"),
        (json.dumps(bars_with(1, values=[1.0, 5.5])).replace("5.5", "1e999").encode(), "is not JSON: number is infinity"),
        (json.dumps(bars_with(1, values=[1.0, 5.5])).replace("5.5", "NaN").encode(), "is not JSON"),
    ],
)  # fmt: skip
def test_what_is_no_body_is_refused_by_name(root: pathlib.Path, wrong: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        ingest(root, wrong)
    assert message in error.value.message
    assert "capture-0.json" in error.value.message
    assert not root.exists()


@pytest.mark.parametrize(
    ("bodies", "message"),
    [
        (
            [GOOD, answer("10:01:30", BARS | {"10:01": {600.0: 3.5, 601.0: 4.0}})],
            "capture-1.json: gex of bar 2026-07-24T14:01:00Z, strike 600, is 3.5; it is 3.0 in {}capture-0.json, of the same as_of",
        ),
        ([GOOD, answer("10:01:30", BARS, "dex", spot=601.0)], "capture-1.json: spot of bar 2026-07-24T14:00:00Z is 601.0; it is 600.0 in {}capture-0.json"),
        (
            [GOOD, answer("10:01:30", {"10:01": {600.0: 3.0, 602.0: 4.0}}, "dex")],
            "strikes_grid has 601, and bar 2026-07-24T14:01:00Z is to list it; {}capture-1.json, of the same as_of, has that bar without",
        ),
        ([GOOD, answer("10:01:40", {"10:00": {600.0: 3.0}})], "capture-1.json: cannot be given back: it has no bar at 2026-07-24T14:01:00Z"),
        ([GOOD, answer("10:01:40", {})], "capture-1.json: has no bars; the lake shows one at 2026-07-24T14:00:00Z then"),
        ([GOOD, answer("10:02:40", BARS, tier_used="1m")], "capture-1.json: cannot be given back: tier_used is 1m, and the lake has raw rows then"),
    ],
)  # fmt: skip
def test_bodies_that_no_lake_gives_back_together_are_refused(
    root: pathlib.Path, bodies: list[Body], message: str
) -> None:
    with pytest.raises(InputError) as error:
        ingest(root, *bodies)
    assert message.format(f"{root.parent / 'captures'}/") in error.value.message
    assert not list(root.rglob("*.parquet"))


def test_sessions_before_a_refused_one_are_written(root: pathlib.Path) -> None:
    monday = [
        GOOD | {"as_of": "2026-07-27T14:01:30Z", "expiration": "2026-07-27", "bars": [bar | {"t": bar["t"].replace("24T", "27T")} for bar in GOOD["bars"]]},
        answer("10:01:40", {}) | {"as_of": "2026-07-27T14:01:40Z", "expiration": "2026-07-27"},
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"capture-1\.json: has no bars"):
        ingest(root, *monday, GOOD)
    assert [path.parent.name for path in root.rglob("*.parquet")] == [f"date={DAY}"]


def test_what_cannot_be_given_back_is_left_out_and_named_where_that_is_asked(root: pathlib.Path) -> None:
    wrong = answer("10:01:30", BARS | {"10:01": {600.0: 3.5, 601.0: 4.0}})
    report = ingest(root, GOOD, b"{", wrong, answer("10:01:40", {}), answer("10:01:30", BARS, "dex"), leave_out=True)
    assert [reason.partition(":")[0].rpartition("/")[2] for reason in report.left_out] == [
        f"capture-{i}.json" for i in (1, 2, 3)
    ]
    with replay.open_lake(root) as lake:
        for kept in (GOOD, answer("10:01:30", BARS, "dex")):
            assert without_price(asked_again(lake, kept, 390)) == without_price(kept)


@pytest.mark.parametrize("seed", range(4))
def test_changes_over_six_magnitudes_come_back_to_the_last_bit(root: pathlib.Path, seed: int) -> None:
    """Where adding up loses bits, other levels are found that have the very same changes."""
    rng = lakes.dice(seed)
    minutes = [f"10:{i:02}" for i in range(30)]
    columns = {
        600.0 + k: changes_of([rng.uniform(-1, 1) * 10.0 ** rng.randint(3, 9) for _ in minutes]) for k in range(4)
    }
    body = answer("10:29:59", {t: {k: c[i] for k, c in columns.items()} for i, t in enumerate(minutes)}, mode="delta")
    ingest(root, body)
    with replay.open_lake(root) as lake:
        assert without_price(asked_again(lake, body, 390)) == without_price(body)


def test_no_symbol_and_no_file_are_refused(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with pytest.raises(InputError, match="symbol 'S P' is none"):
        ingest_captures([], root, "S P")
    with pytest.raises(InputError, match=r"nothing\.json: cannot be read: No such file"):
        ingest_captures([tmp_path / "nothing.json"], root, "SPY")


def test_the_command_tells_what_it_did(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "spy.jsonl"
    file.write_text("\n".join(json.dumps(each) for each in (GOOD, GOOD, answer("10:01:30", BARS, "oi"))))
    arguments = [str(file), "--symbol", "spy", "--lake", str(root)]
    done = CliRunner().invoke(command, arguments)
    assert done.output == (
        "SPY: 3 bodies of 1 file\n  gex 2, oi 1\n  2026-07-24  rows: 2 new\n"
        "  1 repeat another body of the same as_of\n2 rows written\n"
    )
    assert CliRunner().invoke(command, arguments).output.endswith("rows: none new\n  1 repeat another body of the same as_of\n0 rows written\n")  # fmt: skip
    with replay.open_lake(root) as lake:
        assert lake.heatmap("SPY", moment(at("10:01:30")), "oi").conventions == "live"


def test_fresh_rows_are_of_the_minute(root: pathlib.Path) -> None:
    ingest(root, GOOD)
    rows = SecondLake(root).rows("raw", "SPY", DAY)
    assert [(row.ts % MINUTE, row.recorded_at, row.cadence) for row in rows] == [(0, at("10:01:30"), 60 * SECOND)] * 2


# --- flows at strikes that levels are without

LEVELS: Bars = {"10:00": {740.0: 3.0}}
FLOWS: Bars = {"10:00": {740.0: 40.0, 741.0: 20.0}}
"""Of a minute with two snapshots: 740 and 741, and then 740 alone. Levels are the last one's, flows those of both."""


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("as_of", ["10:03", "10:00:30"])
def test_flows_may_be_at_strikes_that_levels_are_without(
    root: pathlib.Path, order: tuple[int, int], together: bool, as_of: str
) -> None:
    bodies = [answer(as_of, LEVELS), answer(as_of, FLOWS, "signed_flow")]
    given = [bodies[i] for i in order]
    if together:
        ingest(root, *given)
    else:
        for i, each in enumerate(given):
            ingest(root, each, name=f"run-{i}")
    assert_given_back(root, bodies)
    with replay.open_lake(root) as lake:
        rows = lake.snapshots("SPY", DAY).to_dicts()
    assert [each["strike"] for each in rows][-1] == [740.0]
    assert rows[0]["ts"] == moment(at("10:00"))
    files = sorted(root.rglob("*.parquet"))
    ingest(root, *bodies, name="again")
    assert sorted(root.rglob("*.parquet")) == files


def test_such_a_minute_goes_on(root: pathlib.Path) -> None:
    """The flow grows and gets a strike more, the levels change, and then the levels alone are asked for."""
    bodies = [
        answer("10:00:30", LEVELS), answer("10:00:30", FLOWS, "signed_flow"),
        answer("10:00:50", {"10:00": {740.0: 4.0}}),
        answer("10:00:50", {"10:00": {740.0: 45.0, 741.0: 25.0, 742.0: 1.0}}, "signed_flow"),
        answer("10:02", {"10:00": {740.0: 5.0}, "10:01": {740.0: 6.0, 743.0: 7.0}}),
        answer("10:02", {"10:00": {740.0: 45.0, 741.0: 25.0, 742.0: 1.0}, "10:01": {740.0: 1.0, 743.0: 2.0}}, "signed_flow"),
        answer("10:04", {"10:00": {740.0: 8.0}, "10:01": {740.0: 6.0, 743.0: 7.0}}, "dex"),
    ]  # fmt: skip
    ingest(root, *bodies)
    assert_given_back(root, bodies)
    for each in bodies:
        ingest(root.parent / "one by one", each, name="single")
    assert_given_back(root.parent / "one by one", bodies)


def test_at_the_start_of_a_minute_there_is_no_room_for_two_rows(root: pathlib.Path) -> None:
    with pytest.raises(InputError, match="takes a second row"):
        ingest(root, answer("10:00", LEVELS), answer("10:00", FLOWS, "signed_flow"))
    assert not list(root.rglob("*.parquet"))


def test_a_row_that_is_corrected_later_is_not_split_by_a_later_command(root: pathlib.Path) -> None:
    ingest(root, answer("10:03", LEVELS), answer("10:05", {"10:00": {740.0: 4.0}}))
    files = sorted(root.rglob("*.parquet"))
    with pytest.raises(InputError, match="give all captures of a session in one command"):
        ingest(root, answer("10:03", FLOWS, "signed_flow"), name="late")
    assert sorted(root.rglob("*.parquet")) == files
