"""Golden files: what a comparison finds in hand-changed answers, what a specification refuses, and the two commands."""

from __future__ import annotations

import copy
import json
import math
import os
import pathlib
import re
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

import replay
from replay.cli import main
from replay.errors import GoldenError
from replay.golden import Check, Tolerance, check_capture, read_spec, request_of
from replay.golden.difference import EXACT, Difference, compare_bodies, compare_objects, compare_rows
from replay.render.difference import difference_html
from tests import lakes

Body = dict[str, Any]
LAKE = pathlib.Path(__file__).parent.parent / "fixtures" / "lake"

BODY: Body = {
    "symbol": "SPY",
    "underlying_price": 600.5,
    "expiration": "2026-07-24",
    "metric": "gex",
    "mode": "raw",
    "bar_size": "1m",
    "as_of": "2026-07-24T14:02:30Z",
    "tier_used": "raw",
    "strikes_grid": [599, 600, 600.5],
    "bars": [
        {"t": "2026-07-24T14:00:00Z", "spot": 600.0, "values": [1.0, -2.0, None]},
        {"t": "2026-07-24T14:01:00Z", "spot": 600.25, "values": [0.1, 1e9, 3.0]},
        {"t": "2026-07-24T14:02:00Z", "spot": None, "values": [0.0, 5.0, 6.0]},
    ],
    "gap_intervals": [],
}
T0, T1, T2 = (bar["t"] for bar in BODY["bars"])


def told(change: Callable[[Body], object], near: Tolerance = EXACT) -> list[str]:
    """The differences between the body and a changed one, as golden."""
    golden = copy.deepcopy(BODY)
    change(golden)
    golden = json.loads(json.dumps(golden))
    return [str(each) for each in compare_bodies(golden, BODY, lambda _: near).differences]


def put(bar: int, strike: int, value: object) -> Callable[[Body], object]:
    return lambda body: body["bars"][bar]["values"].__setitem__(strike, value)


def test_the_same_body_differs_in_nothing() -> None:
    assert told(lambda _: None) == []
    spelled = {"as_of": "2026-07-24T10:02:30.000-04:00"}
    assert told(lambda body: body.update(spelled)) == [], "the same instant"
    assert told(lambda body: body["bars"].reverse()) == []
    assert told(lambda body: body["bars"][0].update(t="2026-07-24T14:00:00+00:00", spot=600)) == []
    assert told(lambda body: body.update(strikes_grid=[599.0, 600.0, 600.5])) == []


def test_a_difference_of_one_ulp_is_one() -> None:
    assert told(put(1, 1, math.nextafter(1e9, 2e9))) == [
        "gex 2026-07-24T14:01:00Z strike 600: golden 1000000000.0000001, now 1000000000.0, off by 1.19209e-07"
    ]
    assert told(put(0, 0, math.nextafter(1.0, 0.0)))
    assert told(lambda body: body["bars"][1].update(spot=math.nextafter(600.25, 0)))
    assert told(put(2, 0, -0.0)) == []


def test_a_tolerance_is_inclusive_and_the_larger_of_both_counts() -> None:
    assert told(put(2, 1, 5.5), Tolerance(absolute=0.5)) == []
    assert told(put(2, 1, math.nextafter(5.5, 6)), Tolerance(absolute=0.5))
    assert told(put(2, 1, 4.0), Tolerance(relative=0.25)) == [], "a quarter of the golden value, 4"
    assert told(put(2, 1, math.nextafter(4.0, 3)), Tolerance(relative=0.25))
    assert told(put(2, 1, 4.0), Tolerance(absolute=0.1, relative=0.25)) == []
    assert told(put(2, 1, 4.0), Tolerance(absolute=1.0, relative=0.1)) == []
    assert told(put(2, 0, 1e-300), Tolerance(relative=0.5)), "no part of 1e-300 reaches 0"
    assert told(put(2, 0, 1e-300), Tolerance(relative=1.0)) == []


def test_null_nan_and_infinite_are_near_nothing_else() -> None:
    loose = Tolerance(absolute=1e300, relative=1e300)
    assert told(put(0, 0, None), loose) == ["gex 2026-07-24T14:00:00Z strike 599: golden null, now 1.0"]
    assert told(put(0, 2, 7.0), loose) == ["gex 2026-07-24T14:00:00Z strike 600.5: golden 7.0, now null"]
    assert told(put(0, 2, math.nan), loose) == ["gex 2026-07-24T14:00:00Z strike 600.5: golden nan, now null"]
    assert told(put(0, 0, math.nan), loose) == ["gex 2026-07-24T14:00:00Z strike 599: golden nan, now 1.0"]
    assert told(put(0, 0, math.inf), loose) == ["gex 2026-07-24T14:00:00Z strike 599: golden inf, now 1.0"]
    assert told(lambda body: body["bars"][2].update(spot=600.0), loose) == [f"spot {T2}: golden 600.0, now null"]


def test_the_worst_comes_first() -> None:
    def change(body: Body) -> None:
        body["bars"][0]["values"] = [1.5, -2.25, None]
        body["bars"][1]["values"] = [None, 1e9 - 100, 3.0]
        body["bars"][2]["spot"] = 600.0
        body["underlying_price"] = 600.0

    assert [each.split(":")[0].split(" ")[0] for each in told(change)] == ["spot", "underlying_price", *["gex"] * 4]
    assert [each.rpartition(", ")[2] for each in told(change)] == [
        "now null", "off by 0.5", "now 0.1", "off by 100", "off by 0.5", "off by 0.25",
    ]  # fmt: skip


def test_differences_of_structure_are_named() -> None:
    def extra_strike(body: Body) -> None:
        body["strikes_grid"].append(601)
        for bar in body["bars"]:
            bar["values"].append(1.0)

    def lost_strike(body: Body) -> None:
        body["strikes_grid"].remove(600)
        for bar in body["bars"]:
            del bar["values"][1]

    assert told(extra_strike) == ["strikes_grid strike 601: golden listed, now absent"]
    assert told(lost_strike) == ["strikes_grid strike 600: golden absent, now listed"]
    assert told(lambda body: body["bars"].pop(1)) == [f"bars {T1}: golden absent, now a bar"]
    assert told(lambda body: body["bars"][2].update(t="2026-07-24T14:03:00Z")) == [
        f"bars {T2}: golden absent, now a bar",
        "bars 2026-07-24T14:03:00Z: golden a bar, now absent",
    ]
    assert told(lambda body: body.update(bars=[], strikes_grid=[]))[:3] == [
        f"bars {t}: golden absent, now a bar" for t in (T0, T1, T2)
    ]


def test_other_fields_are_named() -> None:
    assert told(lambda body: body.update(tier_used="1m")) == ["tier_used: golden '1m', now 'raw'"]
    assert told(lambda body: body.update(as_of="2026-07-24T14:02:31Z"))[0].startswith(
        "as_of: golden '2026-07-24T14:02:31Z', now "
    )
    assert told(lambda body: body.pop("gap_intervals")) == ["gap_intervals: golden absent, now []"]
    assert told(lambda body: body.update(note="x" * 200)) == [f"note: golden '{'x' * 79}..., now absent"]
    assert told(lambda body: body["bars"][0].update(n=True)) == [f"n {T0}: golden True, now absent"]
    assert told(lambda body: body.update(underlying_price=None)) == ["underlying_price: golden null, now 600.5"]
    assert told(lambda body: body.update(underlying_price=True)) == ["underlying_price: golden True, now 600.5"]
    assert told(lambda body: body.update(symbol="absent")) == ["symbol: golden 'absent', now 'SPY'"]


def test_each_metric_has_its_own_tolerance() -> None:
    golden = copy.deepcopy(BODY)
    golden["bars"][0]["values"][0] = 1.5
    golden["bars"][0]["spot"] = golden["underlying_price"] = 600.75

    def fields(**near: Tolerance) -> list[str]:
        return [each.field for each in compare_bodies(golden, BODY, lambda name: near.get(name, EXACT)).differences]

    assert fields() == ["spot", "underlying_price", "gex"]
    assert fields(oi=Tolerance(9)) == ["spot", "underlying_price", "gex"]
    assert fields(gex=Tolerance(0.5)) == ["spot", "underlying_price"]
    assert fields(spot=Tolerance(0.75)) == ["gex"]


def test_rows_are_told_apart_by_their_moment() -> None:
    rows: list[Body] = [
        {"session": "2026-07-24", "at": f"10:0{i // 2}", "value": float(i), "flag": True} for i in range(8)
    ]
    assert not compare_rows(rows, rows, EXACT)
    lost = [str(each) for each in compare_rows(rows, rows[:2] + rows[4:], EXACT).differences]
    assert lost == ["rows 10:01: golden a row, now absent"] * 2
    changed = [*rows[:3], rows[3] | {"value": 3.5, "flag": False}, *rows[4:], {"at": "10:09"}]
    found = [str(each) for each in compare_rows(rows, changed, EXACT).differences]
    assert found == [
        "flag 10:01: golden True, now False",
        "rows 10:09: golden absent, now a row",
        "value 10:01: golden 3.0, now 3.5, off by 0.5",
    ]
    assert len(compare_rows(rows, changed, Tolerance(absolute=0.5)).differences) == 2


def test_objects_are_compared_by_field() -> None:
    old, new = {"magnet": 600.0, "flip": None, "ts": "x"}, {"magnet": 601.0, "flip": 1.0, "ts": "x"}
    assert [str(each) for each in compare_objects(old, new, EXACT).differences] == [
        "flip: golden null, now 1.0", "magnet: golden 600.0, now 601.0, off by 1",
    ]  # fmt: skip


def test_a_size_is_infinite_where_there_is_no_number() -> None:
    assert Difference("gex", 1, 4).size == 3.0
    assert Difference("gex", None, 4).size == math.inf
    assert Difference("gex", math.nan, 4).size == math.inf
    assert Difference("gex", "1", "2").size == math.inf


# The commands, on the shipped lake.

SPEC = """
files = "answers"

[tolerance]
oi = { absolute = 0.5 }
gex = { relative = 1e-6 }

[[heatmap]]
symbol = "spy"
as_of = 2026-07-24T14:30:00
metric = ["gex", "oi"]

[[heatmap]]
symbol = "SPY"
as_of = "2026-04-15T15:00:00Z"
mode = "delta"
minutes = 30
known_at = "latest"
tier = "raw"
gaps = true

[[levels]]
symbol = "SPY"
as_of = 2026-07-24

[[run]]
strategy = "mine.py:shown"
symbols = "SPY"
from = 2026-07-24
to = 2026-07-24
step = "30m"
params = { scale = 2.0 }
"""
STRATEGY = """
def shown(ctx, scale: float = 1.0):
    ctx.record(spot=ctx.spot * scale)
"""
GEX = "SPY_2026-07-24_1430_gex_raw.json"
OI = "SPY_2026-07-24_1430_oi_raw.json"
DELTA = "SPY_2026-04-15_1100_gex_delta_30m_known-latest_tier-raw_gaps.json"
LEVELS = "SPY_2026-07-24_1600_levels.json"
ROWS = "run_shown_SPY_2026-07-24_2026-07-24.jsonl"
FILES = [DELTA, GEX, OI, LEVELS, ROWS]


def run(*arguments: object, **environment: str) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)), env={"REPLAY_LAKE": None, **environment})


@pytest.fixture
def spec(tmp_path: pathlib.Path, recorded: pathlib.Path) -> pathlib.Path:
    """A specification and its golden files in a folder that is no plain ASCII; to be changed at will."""
    shutil.copytree(recorded, tmp_path / "gölden ✓")
    return tmp_path / "gölden ✓" / "spec.toml"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "mine.py").write_text(STRATEGY)
    (folder / "spec.toml").write_text(SPEC)
    done = run("golden", "record", folder / "spec.toml", "--lake", LAKE)
    assert (done.exit_code, sorted(path.name for path in (folder / "answers").iterdir())) == (0, sorted(FILES))
    assert done.stdout.splitlines() == [
        f"written {folder / 'answers' / name}" for name in (GEX, OI, DELTA, LEVELS, ROWS)
    ]
    assert done.stderr == f"{folder / 'answers'}: 5 written, 0 were right already\n"
    return folder


def check(spec: pathlib.Path, *arguments: object) -> Result:
    return run("golden", "check", spec, "--lake", LAKE, *arguments)


def edit(path: pathlib.Path, change: Callable[[Any], object]) -> None:
    body = json.loads(path.read_text())
    change(body)
    path.write_text(json.dumps(body))


def answers(spec: pathlib.Path) -> pathlib.Path:
    return spec.parent / "answers"


def test_golden_files_hold_the_canonical_answers(recorded: pathlib.Path) -> None:
    def shown(*arguments: str) -> bytes:
        return run(*arguments, "--lake", LAKE).stdout_bytes

    files = recorded / "answers"
    for metric, name in (("gex", GEX), ("oi", OI)):
        assert (files / name).read_bytes() == shown("heatmap", "SPY", "--as-of", "2026-07-24T14:30", "--metric", metric)
    asked: tuple[str, ...] = ("--as-of", "2026-04-15T11:00", "--mode", "delta", "--minutes", "30", "--known-at", "latest", "--tier", "raw", "--gaps")  # fmt: skip
    assert (files / DELTA).read_bytes() == shown("heatmap", "SPY", *asked)
    assert json.loads((files / LEVELS).read_bytes()) == json.loads(shown("levels", "SPY", "--as-of", "2026-07-24"))
    rows = [json.loads(line) for line in (files / ROWS).read_text().splitlines()]
    asked = ("--symbol", "SPY", "--from", "2026-07-24", "--step", "30m", "--param", "scale=2", "--format", "jsonl")
    assert (files / ROWS).read_bytes() == shown("run", str(recorded / "mine.py:shown"), *asked)
    assert [row["at"][11:16] for row in rows][:3] == ["10:00", "10:30", "11:00"]
    body = json.loads(shown("heatmap", "SPY", "--as-of", "2026-07-24T11:00", "--minutes", "1"))
    assert rows[2]["spot"] == 2 * body["underlying_price"]


def test_what_agrees_is_said_in_one_line(spec: pathlib.Path) -> None:
    done = check(spec)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "golden files: 5 same, 0 differ, 0 missing\n")


def test_values_within_tolerance_agree_and_beyond_are_told(spec: pathlib.Path) -> None:
    def off(body: Body) -> None:
        body["bars"][0]["values"][0] += 0.5
        body["bars"][7]["values"][3] -= 0.5

    edit(answers(spec) / OI, off)
    assert check(spec).exit_code == 0
    before = json.loads((answers(spec) / OI).read_text())
    edit(answers(spec) / OI, lambda body: body["bars"][7]["values"].__setitem__(3, before["bars"][7]["values"][3] - 1))
    done = check(spec)
    assert done.exit_code == 1
    assert done.stderr == "golden files: 4 same, 1 differ, 0 missing\n"
    head, line = done.stdout.splitlines()
    assert head == f"{OI.removesuffix('.json')}: 1 difference from {answers(spec) / OI}"
    bar, strike = before["bars"][7], before["strikes_grid"][3]
    value = bar["values"][3]
    assert line == f"  oi {bar['t']} strike {strike}: golden {value - 1}, now {value + 0.5}, off by 1.5"


def test_lines_are_bounded_and_counted(spec: pathlib.Path) -> None:
    edit(answers(spec) / GEX, lambda body: [bar.update(values=[1.0] * len(bar["values"])) for bar in body["bars"]])
    body = json.loads((answers(spec) / GEX).read_text())
    cells = len(body["bars"]) * len(body["strikes_grid"])
    head, *worst, more = check(spec).stdout.splitlines()
    assert head.startswith(f"{GEX.removesuffix('.json')}: {cells:,} differences from ")
    assert len(worst) == 10
    assert more == f"  and {cells - 10:,} more"
    sizes = [float(line.rpartition("off by ")[2]) for line in worst]
    assert sizes == sorted(sizes, reverse=True)


def test_levels_and_rows_are_compared_too(spec: pathlib.Path) -> None:
    edit(answers(spec) / LEVELS, lambda body: body.update(magnet=1.0))
    rows = (answers(spec) / ROWS).read_text().splitlines()
    (answers(spec) / ROWS).write_text("\n".join(rows[:-1]) + "\n")
    lines = check(spec).stdout.splitlines()
    assert lines[1].startswith("  magnet: golden 1.0, now ")
    assert lines[3] == "  rows 2026-07-24T16:00:00-04:00: golden absent, now a row"


def test_a_missing_golden_is_told(spec: pathlib.Path) -> None:
    (answers(spec) / GEX).unlink()
    done = check(spec)
    assert done.exit_code == 1
    assert (
        done.stdout
        == f"SPY_2026-07-24_1430_gex_raw: missing: {answers(spec) / GEX}; `replay golden record` writes it\n"
    )
    assert done.stderr == "golden files: 4 same, 0 differ, 1 missing\n"
    again = run("golden", "record", spec, "--lake", LAKE)
    assert again.stdout == f"written {answers(spec) / GEX}\n"
    assert again.stderr == f"{answers(spec)}: 1 written, 4 were right already\n"


def test_files_of_no_entry_are_noted(spec: pathlib.Path) -> None:
    (answers(spec) / "stray.json").write_text("{}")
    (answers(spec) / "readme.txt").write_text("")
    note = f"note: no entry names {answers(spec) / 'stray.json'}\n"
    done = check(spec)
    assert (done.exit_code, done.stderr) == (0, note + "golden files: 5 same, 0 differ, 0 missing\n")
    assert run("golden", "record", spec, "--lake", LAKE).stderr.endswith(note)


def test_record_replaces_other_answers_only_when_told_to(spec: pathlib.Path) -> None:
    edit(answers(spec) / GEX, lambda body: body.update(symbol="QQQ"))
    (answers(spec) / OI).unlink()
    changed = (answers(spec) / GEX).read_bytes()
    done = run("golden", "record", spec, "--lake", LAKE)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: invalid_golden: {spec}: 1 of 5 golden files hold another answer, and nothing is written: {GEX}; "
        "--update replaces them\n"
    )
    assert (answers(spec) / GEX).read_bytes() == changed
    assert not (answers(spec) / OI).exists(), "nothing is written"
    stamps = {name: (answers(spec) / name).stat().st_mtime_ns for name in (DELTA, LEVELS, ROWS)}
    done = run("golden", "record", spec, "--lake", LAKE, "--update")
    assert (done.exit_code, done.stdout.count("\n")) == (0, 2)
    assert all((answers(spec) / name).stat().st_mtime_ns == stamp for name, stamp in stamps.items())
    assert check(spec).exit_code == 0


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (GEX, b"{", "is no golden file: "),
        (GEX, b"\xff\xfe", "is no golden file: "),
        (GEX, b"[]", "is no golden file: it holds a list, not an object"),
        (GEX, b"[" * 100_000, "is no golden file: "),
        (GEX, b"{}", "is no heatmap's body: symbol is missing, not text"),
        (GEX, json.dumps(BODY | {"bars": {}}).encode(), "is no heatmap's body: bars is {}, not a list"),
        (GEX, json.dumps(BODY | {"as_of": "x"}).encode(), "as_of is 'x', no time with its offset such as"),
        (GEX, json.dumps(BODY | {"strikes_grid": [1, "2", 3]}).encode(), "strikes_grid is no list of numbers"),
        (GEX, json.dumps(BODY | {"strikes_grid": [1, 2, math.nan]}).encode(), "strikes_grid is no list of numbers"),
        (GEX, json.dumps(BODY | {"strikes_grid": [1, 2, 1]}).encode(), "strikes_grid has a strike twice"),
        (GEX, json.dumps(BODY | {"strikes_grid": [1, 2]}).encode(), ", bar 0 has 3 values for 2 strikes"),
        (GEX, json.dumps(BODY | {"bars": [3]}).encode(), ", bar 0 is none: it has a text t and a list values"),
        (GEX, json.dumps(BODY | {"bars": [BODY["bars"][0]] * 2}).encode(), f", bar 1: there are two of {T0}"),
        (GEX, json.dumps(BODY).replace("-2.0", '"x"').encode(), ", bar 0 has a value 'x'; values are numbers or null"),
        (GEX, json.dumps(BODY).replace(T0, "2026-07-24T14:00").encode(), ", bar 0: t is '2026-07-24T14:00', no time"),
        (LEVELS, b"nothing", "is no golden file: "),
        (ROWS, b'{"at": 1}\nx\n', ", line 2 is no JSON: "),
        (ROWS, b"{}\n[]\n", ", line 2 holds a list, not an object"),
    ],
)
def test_a_corrupted_golden_file_is_an_error_that_names_it(
    spec: pathlib.Path, name: str, content: bytes, said: str
) -> None:
    (answers(spec) / name).write_bytes(content)
    done = check(spec)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: invalid_golden: {answers(spec) / name}")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_integers_beyond_any_double_are_differences(spec: pathlib.Path) -> None:
    body = json.loads((answers(spec) / OI).read_text())
    text = json.dumps(body | {"underlying_price": 12345.5}).replace("12345.5", "9" * 5000)
    (answers(spec) / OI).write_text(text)
    assert "underlying_price: golden inf, now " in check(spec).stdout


def test_the_lake_is_the_one_asked_for_else_the_specs_else_the_environments(
    spec: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    none = run("golden", "check", spec)
    assert none.exit_code == 2
    assert "names none; give --lake, or set REPLAY_LAKE" in none.stderr
    assert run("golden", "check", spec, REPLAY_LAKE=str(LAKE)).exit_code == 0
    spec.write_text(f"lake = {json.dumps(os.path.relpath(LAKE, spec.parent))}\n{SPEC}")
    assert run("golden", "check", spec).exit_code == 0
    assert run("golden", "check", spec, REPLAY_LAKE=str(tmp_path)).exit_code == 0
    other = run("golden", "check", spec, "--lake", tmp_path)
    assert (other.exit_code, other.stderr.partition(": ")[2][:7]) == (2, "no_lake")
    assert run("golden", "check", spec, "--lake", "").exit_code == 2


def test_a_request_that_is_refused_is_an_error_that_names_it(tmp_path: pathlib.Path) -> None:
    spec = tmp_path / "spec.toml"
    spec.write_text('[[heatmap]]\nsymbol = "SPY"\nas_of = "2026-03-06"\n')
    done = run("golden", "record", spec, "--lake", LAKE)
    assert done.exit_code == 2
    assert done.stderr.startswith(
        f"error: invalid_golden: {spec}, SPY_2026-03-06_1600_gex_raw: no_strike_data_for_window: "
    )
    spec.write_text('[[run]]\nstrategy = "nothing"\nsymbols = ["SPY"]\n')
    done = run("golden", "record", spec, "--lake", LAKE)
    assert done.stderr.startswith(f"error: invalid_golden: {spec}, run_nothing_SPY: unknown_strategy: ")
    assert not (tmp_path / "spec").exists()


def test_one_request_that_is_refused_keeps_all_from_being_written(tmp_path: pathlib.Path) -> None:
    spec = tmp_path / "spec.toml"
    spec.write_text(MAP + MAP.replace("2026-07-24", "2026-03-06"))
    for more in ((), ("--update",)):
        assert run("golden", "record", spec, "--lake", LAKE, *more).exit_code == 2
    assert sorted(tmp_path.iterdir()) == [spec]


def test_the_specification_of_the_readme_is_one(tmp_path: pathlib.Path) -> None:
    text = (LAKE.parent.parent / "README.md").read_text(encoding="utf-8")
    (block,) = [each for each in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if "[[heatmap]]" in each]
    (tmp_path / "spec.toml").write_text(block, encoding="utf-8")
    spec = read_spec(tmp_path / "spec.toml")
    assert list(spec.entries) == [
        "SPY_2026-07-24_1430_gex_raw", "SPY_2026-07-24_1430_oi_raw", "SPY_2026-07-24_1600_levels_known-latest",
        "run_PinDrift_SPY_2026-07-17_2026-07-24",
    ]  # fmt: skip
    assert (spec.lake, spec.files) == (tmp_path / "lake", tmp_path / "goldens")
    assert spec.tolerance("gex") == Tolerance(relative=1e-9)


MAP = '[[heatmap]]\nsymbol = "SPY"\nas_of = "2026-07-24"\n'
RUN = '[[run]]\nstrategy = "levels"\nsymbols = ["SPY"]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x", " cannot be read: "),
        ("", " has no entry; write [[heatmap]], [[levels]] or [[run]]"),
        ("heatmaps = 1", ": key 'heatmaps' is not one of lake, files, tolerance, heatmap, levels, run"),
        ("lake = 3\n" + MAP, ": lake is 3; it is a text that is not empty"),
        ('files = ""\n' + MAP, ": files is ''; it is a text that is not empty"),
        ("heatmap = 1", ": heatmap is no list of tables; write [[heatmap]], once for each entry"),
        ("[heatmap]\nsymbol = 'SPY'", ": heatmap is no list of tables; write [[heatmap]], once for each entry"),
        ('levels = ["x"]', ": levels is no list of tables; write [[levels]], once for each entry"),
        (MAP + "metrics = 1", ", [[heatmap]] 1: key 'metrics' is not one of symbol, as_of, metric, mode, minutes, "),
        (MAP + "[[levels]]\nmetric = 1", ", [[levels]] 1: key 'metric' is not one of symbol, as_of, known_at, tier"),
        (RUN + "start = 1", ", [[run]] 1: key 'start' is not one of name, strategy, symbols, from, to, "),
        ('[[heatmap]]\nas_of = "2026-07-24"', ", [[heatmap]] 1: symbol is missing"),
        ('[[heatmap]]\nsymbol = "SPY"', ", [[heatmap]] 1: as_of is missing"),
        (MAP.replace('"SPY"', "3"), ", [[heatmap]] 1: symbol is 3; it is a text that is not empty"),
        (MAP.replace("SPY", "../SPY"), ", [[heatmap]] 1: symbol '../SPY' is none that a lake could hold, such as SPY"),
        (MAP.replace("2026-07-24", "noon"), ", [[heatmap]] 1: as_of 'noon' cannot be read; write it like "),
        (MAP + MAP.replace("07-24", "02-30"), ", [[heatmap]] 2: as_of '2026-02-30' cannot be read; write it like "),
        (MAP + "metric = 'pnl'", ", [[heatmap]] 1: metric 'pnl' is not one of gex, dex, vex, chex, oi, signed_flow"),
        (MAP + "metric = []", ", [[heatmap]] 1: metric is []; it is a text, or a list of texts"),
        (MAP + "metric = [1]", ", [[heatmap]] 1: metric is [1]; it is a text, or a list of texts"),
        (MAP + "mode = 'x'", ", [[heatmap]] 1: mode 'x' is not one of raw, delta"),
        (MAP + "minutes = 6.5", ", [[heatmap]] 1: minutes 6.5 is not an integer; 1 to 390 are served"),
        (MAP + "known_at = 'x'", ", [[heatmap]] 1: known_at 'x' cannot be read; "),
        (MAP + "known_at = 3", ", [[heatmap]] 1: known_at is 3; it is a text that is not empty"),
        (MAP + "tier = '5m'", ", [[heatmap]] 1: tier '5m' is not one of raw, 1m"),
        (MAP + "gaps = 'yes'", ", [[heatmap]] 1: gaps is 'yes'; it is true or false"),
        (MAP + "metric = ['oi', 'oi']", ", [[heatmap]] 1: SPY_2026-07-24_1600_oi_raw is there twice"),
        (MAP + MAP.replace("-24", "-24T20:00Z"), ", [[heatmap]] 2: SPY_2026-07-24_1600_gex_raw is there twice"),
        (MAP.replace("heatmap", "levels") * 2, ", [[levels]] 2: SPY_2026-07-24_1600_levels is there twice"),
        (RUN + RUN, ", [[run]] 2: run_levels_SPY is there twice; give one of them a name"),
        ('[[run]]\nsymbols = "SPY"', ", [[run]] 1: strategy is missing"),
        ('[[run]]\nstrategy = "levels"', ", [[run]] 1: symbols is missing"),
        (RUN + "from = 'x'", ", [[run]] 1: from 'x' is not a date; write it like 2026-07-24"),
        (RUN + "seed = -1", ", [[run]] 1: seed is -1; it is a whole number from 0"),
        (RUN + "seed = true", ", [[run]] 1: seed is True; it is a whole number from 0"),
        (RUN + "params = 3", ", [[run]] 1: params is 3; it is a table"),
        (RUN + "step = 3", ", [[run]] 1: step is 3; it is a text that is not empty"),
        (RUN + "step = 'x'", ", [[run]] 1: step 'x' cannot be read; write it like 30s, 1m, 250ms or 1h"),
        (RUN + "latency = '-1s'", ", [[run]] 1: latency '-1s' cannot be read; write it like 30s, 1m, 250ms or 1h"),
        (RUN + "gaps = 'x'", ", [[run]] 1: gaps 'x' is not one of strict, mask, carry:LENGTH (such as carry:5m)"),
        (RUN + "tier = 'x'", ", [[run]] 1: tier 'x' is not one of raw, 1m"),
        (RUN + "from = 2026-07-24\nto = 2026-07-23", ", [[run]] 1: from 2026-07-24 is after to 2026-07-23"),
        (MAP.replace("heatmap", "levels") + "tier = 'x'", ", [[levels]] 1: tier 'x' is not one of raw, 1m"),
        (MAP.replace("heatmap", "levels") + "known_at = 'x'", ", [[levels]] 1: known_at 'x' cannot be read; "),
        (MAP + "minutes = true", ", [[heatmap]] 1: minutes True is not an integer; 1 to 390 are served"),
        (RUN + "name = '../x'", ", [[run]] 1: name '../x' is a file's; it is letters, digits, '-', '_' and '.'"),
        ("tolerance = 3\n" + MAP, ": tolerance is no table; write [tolerance] and gex = { relative = 1e-9 }"),
        ("[tolerance]\npnl = {}\n" + MAP, ", [tolerance]: key 'pnl' is not one of gex, dex, vex, chex, oi, signed_flow, spot, levels, run"),
        ("[tolerance]\ngex = 3\n" + MAP, ", [tolerance] gex is 3; write gex = { absolute = 0.5, relative = 1e-9 }"),
        ("[tolerance]\ngex = {x = 1}\n" + MAP, ", [tolerance] gex: key 'x' is not one of absolute, relative"),
        ("[tolerance]\ngex = {absolute = -1}\n" + MAP, ", [tolerance] gex: absolute is -1; it is a number from 0"),
        ("[tolerance]\ngex = {relative = nan}\n" + MAP, ", [tolerance] gex: relative is nan; it is a number from 0"),
        ("[tolerance]\ngex = {relative = true}\n" + MAP, ", [tolerance] gex: relative is True; it is a number from 0"),
    ],
)  # fmt: skip
def test_a_wrong_specification_is_an_error_that_names_file_entry_and_key(
    tmp_path: pathlib.Path, text: str, said: str
) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(text)
    for command in ("check", "record"):
        done = run("golden", command, path, "--lake", LAKE)
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr.startswith(f"error: invalid_golden: {path}{said}")
        assert done.stderr.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_specification_has_sensible_defaults(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "july.toml"
    path.write_text(
        MAP + RUN + RUN + 'name = "other"\n[[run]]\nstrategy = "a.b:C"\nsymbols = ["SPY", "QQQ"]\nfrom = 2026-07-24\n'
    )
    spec = read_spec(path)
    assert (spec.lake, spec.files) == (None, tmp_path / "july")
    assert list(spec.entries) == ["SPY_2026-07-24_1600_gex_raw", "run_levels_SPY", "other", "run_C_SPY_QQQ_2026-07-24"]
    assert spec.file("other") == tmp_path / "july" / "other.jsonl"
    assert spec.tolerance("gex") == EXACT
    with pytest.raises(GoldenError, match="cannot be read"):
        read_spec(tmp_path / "none.toml")


# A body of the live endpoint as golden.


@pytest.fixture(scope="module")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Five snapshots with a quarter of an hour between two of them, and a correction of the last overnight."""
    root = tmp_path_factory.mktemp("sparse") / "lake"
    walls = ("09:40:10", "09:55:10", "09:56:10", "09:57:10", "10:00:10")
    rows = [
        lakes.row(lakes.at(wall), [599.0, 600.0], gex=[float(i * i), -1.0], spot=600.0 + i)
        for i, wall in enumerate(walls)
    ]
    rows.append(rows[-1] | {"gex": [99.0, -1.0], "recorded_at": lakes.at("20:00")})
    lakes.write_own(root, "SPY", rows)
    return str(root)


def captured(lake: str, folder: pathlib.Path, *asked: str) -> pathlib.Path:
    """A body as the endpoint gave it, indented by another program."""
    body = json.loads(run("heatmap", "SPY", "--lake", lake, *asked).stdout)
    path = folder / "body.json"
    path.write_text(json.dumps(body, indent=1))
    return path


@pytest.mark.parametrize("mode", ["raw", "delta"])
@pytest.mark.parametrize(
    ("minutes", "as_of", "span"),
    [
        (60, "10:00:30", 20),  # the first bar, 09:40, is later than the window's begin
        (15, "10:00:30", 5),  # 09:55 is in the window, and was its first bar: 09:40 must stay out
        (5, "10:00:30", 5),
        (4, "10:00:30", 4),
        (3, "10:00:30", 3),
        (1, "10:00:30", 1),  # the bar of the as_of's own minute alone
        (390, "10:00:11", 20),
    ],
)
def test_a_capture_is_rebuilt_with_the_span_that_its_first_bar_tells(
    sparse: str, tmp_path: pathlib.Path, mode: str, minutes: int, as_of: str, span: int
) -> None:
    path = captured(sparse, tmp_path, "--as-of", f"2026-07-24T{as_of}", "--minutes", str(minutes), "--mode", mode)
    asked = request_of(json.loads(path.read_text()), path)
    assert (asked.minutes, asked.mode) == (span, mode)
    done = run("golden", "check", "--against", path, "--lake", sparse)
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "golden files: 1 same, 0 differ, 0 missing\n"


def test_a_capture_is_compared_with_what_was_known_then_unless_told_otherwise(
    sparse: str, tmp_path: pathlib.Path
) -> None:
    path = captured(sparse, tmp_path, "--as-of", "2026-07-24T10:00:30")
    latest = run("golden", "check", "--against", path, "--lake", sparse, "--known-at", "latest")
    assert latest.exit_code == 1
    assert latest.stdout.splitlines() == [
        f"body.json: 1 difference from {path}",
        "  gex 2026-07-24T14:00:00Z strike 599: golden 16.0, now 99.0, off by 83",
    ]
    for near, status in ((("--absolute", "83"), 0), (("--absolute", "82"), 1), (("--relative", "5.1875"), 0)):
        loose = run("golden", "check", "--against", path, "--lake", sparse, "--known-at", "latest", *near)
        assert loose.exit_code == status


@pytest.mark.parametrize(
    ("metric", "mode", "minutes", "as_of"),
    [
        ("gex", "raw", "1", "2026-07-24T11:29:45"),
        ("oi", "delta", "45", "2026-07-24T11:29:45.125"),
        ("signed_flow", "delta", "390", "2026-07-24T16:00"),
        ("signed_flow", "raw", "45", "2025-11-28T12:59:59.999999"),
        ("chex", "delta", "390", "2026-04-15T13:07:03"),
        ("dex", "raw", "390", "2026-03-09T12:34:56"),
        ("vex", "delta", "1", "2026-07-24T09:30:02"),
        ("gex", "delta", "45", "2026-07-24T09:29:59"),
        ("gex", "raw", "60", "2026-07-25T12:00"),
    ],
)
def test_captures_of_the_shipped_sessions_are_rebuilt_and_a_changed_cell_is_found(
    tmp_path: pathlib.Path, metric: str, mode: str, minutes: str, as_of: str
) -> None:
    """Corrections, a gap, legacy rows until 12:30, an early close, the first seconds, before the open, a Saturday."""
    asked = ("--as-of", as_of, "--metric", metric, "--mode", mode, "--minutes", minutes)
    path = captured(str(LAKE), tmp_path, *asked)
    body = json.loads(path.read_text())
    floats = {**body, "strikes_grid": list(map(float, body["strikes_grid"]))}
    path.write_text(json.dumps(floats, indent=3, sort_keys=True))  # as another program writes it
    done = run("golden", "check", "--against", path, "--lake", LAKE)
    assert (done.exit_code, done.stdout) == (0, "")
    if not body["bars"]:
        assert as_of in ("2026-07-24T09:29:59", "2026-07-25T12:00")
        return
    bar, strike = body["bars"][-1], body["strikes_grid"][4]
    bar["values"][4] = 12345.0 if bar["values"][4] is None else None
    path.write_text(json.dumps(body))
    done = run("golden", "check", "--against", path, "--lake", LAKE)
    assert done.exit_code == 1
    head, line = done.stdout.splitlines()
    assert head == f"body.json: 1 difference from {path}"
    assert line.startswith(
        f"  {metric} {bar['t']} strike {strike}: golden {'null' if bar['values'][4] is None else 12345.0}, now "
    )


def test_a_capture_without_gap_intervals_is_not_what_live_sends(sparse: str, tmp_path: pathlib.Path) -> None:
    path = captured(sparse, tmp_path, "--as-of", "2026-07-24T10:00:30")
    edit(path, lambda body: body.pop("gap_intervals"))
    done = run("golden", "check", "--against", path, "--lake", sparse)
    assert (done.exit_code, done.stdout.splitlines()[1:]) == (1, ["  gap_intervals: golden absent, now []"])


@pytest.mark.parametrize("bound", ["nan", "inf", "-1", "x"])
def test_a_bound_that_is_none_is_refused(sparse: str, tmp_path: pathlib.Path, bound: str) -> None:
    path = captured(sparse, tmp_path, "--as-of", "2026-07-24T10:00:30")
    for option in ("--absolute", "--relative"):
        done = run("golden", "check", "--against", path, "--lake", sparse, f"{option}={bound}")
        assert (done.exit_code, done.stdout) == (2, "")
        assert option.removeprefix("--") in done.stderr
    with pytest.raises(GoldenError):
        Tolerance(relative=-math.inf)


def test_a_capture_without_bars_has_no_span_to_be_read(sparse: str, tmp_path: pathlib.Path) -> None:
    path = captured(sparse, tmp_path, "--as-of", "2026-07-24T09:54", "--minutes", "5")
    assert json.loads(path.read_text())["bars"] == []
    done = run("golden", "check", "--against", path, "--lake", sparse)
    assert done.exit_code == 1, "the endpoint's own 60 minutes reach a bar"
    assert "bars 2026-07-24T13:40:00Z: golden absent, now a bar" in done.stdout
    assert run("golden", "check", "--against", path, "--lake", sparse, "--minutes", "5").exit_code == 0


def test_a_capture_in_other_spellings_is_read(sparse: str, tmp_path: pathlib.Path) -> None:
    path = captured(sparse, tmp_path, "--as-of", "2026-07-24T10:00:30.25")
    text = path.read_text().replace("30.250000Z", "30.25+00:00").replace(":00Z", ":00.000Z")
    path.write_text(text)
    with replay.open_lake(sparse) as lake:
        assert not check_capture(path, lake)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bar_size": "5m"}, ": bar_size is '5m'; the endpoint's is '1m'"),
        ({"metric": "pnl"}, ": metric 'pnl' is not one of gex"),
        ({"mode": "x"}, ": mode 'x' is not one of raw, delta"),
        ({"as_of": "2026-07-24T14:00:30"}, ": as_of is '2026-07-24T14:00:30', no time with its offset such as"),
        ({"as_of": "2026-07-24T13:00:30Z"}, ": a bar begins after as_of 2026-07-24T13:00:30Z"),
        ({"as_of": "2026-07-24T20:11:00Z"}, ": the first bar is 391 minutes before as_of; 390 are served"),
    ],
)
def test_what_is_no_capture_is_an_error(sparse: str, tmp_path: pathlib.Path, change: Body, said: str) -> None:
    path = captured(sparse, tmp_path, "--as-of", "2026-07-24T10:00:30")
    edit(path, lambda body: body.update(change))
    done = run("golden", "check", "--against", path, "--lake", sparse)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: invalid_golden: {path}{said}")


def test_options_of_the_two_kinds_are_not_mixed(spec: pathlib.Path) -> None:
    for arguments in ((), (spec, "--against", spec), (spec, "--absolute", "0"), (spec, "--known-at", "latest")):
        assert run("golden", "check", *arguments, "--lake", LAKE).exit_code == 2
    assert run("golden", "check", "--against", spec).exit_code == 2


# The page.


def drawn(page: bytes) -> list[dict[str, Any]]:
    """The figures of a page, read from its scripts."""
    script = page.decode().rpartition("<script>")[2].partition("</script>")[0]
    return [
        json.loads(line.removeprefix(f'Plotly.newPlot("map{i}", ').removeprefix(f"Plotly.newPlot('map{i}', ").removesuffix(");"))
        for i, line in enumerate(script.strip().splitlines())
    ]  # fmt: skip


def test_the_page_draws_now_minus_golden(tmp_path: pathlib.Path) -> None:
    golden = copy.deepcopy(BODY)
    golden["bars"][0]["values"] = [1.5, -2.0, 7.0]
    golden["bars"][2]["values"] = [0.0, None, 2.0]
    golden["symbol"] = "<b>"
    comparison = compare_bodies(golden, BODY, lambda _: Tolerance(absolute=0.5))
    page = difference_html([Check("one", "differs", tmp_path / "one.json", comparison), Check("two", "same", tmp_path)])
    (figure,) = drawn(page)
    assert figure["data"][0]["z"] == [[0, 0, 0], [0, 0, None], [None, 0, 4.0]]
    marks = {trace["name"]: (trace["x"], trace["y"]) for trace in figure["data"] if trace.get("mode") == "markers"}
    assert marks == {
        "golden alone has a number (1)": (["2026-07-24T10:00:30.000"], [600.5]),
        "now alone has a number (1)": (["2026-07-24T10:02:30.000"], [600.0]),
    }
    text = page.decode()
    assert "1 of 2 golden files differ or are missing" in text
    assert "<li>gex 2026-07-24T14:02:00Z strike 600.5: golden 2.0, now 6.0, off by 4</li>" in text
    assert "<b>" not in text.partition("<script>")[0]


def test_the_page_marks_what_is_too_small_to_see_and_is_signed_for_oi() -> None:
    golden = copy.deepcopy(BODY) | {"metric": "oi"}
    found = copy.deepcopy(golden)
    golden["bars"][0]["values"][0] = math.nextafter(1.0, 2)
    golden["bars"][1]["values"][1] = 2e9
    (figure,) = drawn(difference_html([Check("x", "differs", LAKE, compare_bodies(golden, found, lambda _: EXACT))]))
    assert figure["data"][0]["zmin"] == -figure["data"][0]["zmax"]
    (mark,) = [trace for trace in figure["data"] if trace.get("mode") == "markers"]
    assert (mark["name"], mark["y"]) == ("differs, too little for its colour to show (1)", [599.0])


def test_the_page_of_a_check(spec: pathlib.Path, tmp_path: pathlib.Path) -> None:
    edit(answers(spec) / GEX, lambda body: body["bars"].pop(3))
    edit(answers(spec) / LEVELS, lambda body: body.update(magnet=1.0))
    edit(answers(spec) / DELTA, lambda body: body.update(bars=[], strikes_grid=[]))
    (answers(spec) / OI).unlink()
    page = tmp_path / "pages.html"
    assert check(spec, "--html", page).exit_code == 1
    text = page.read_text()
    assert len(drawn(page.read_bytes())) == 2
    assert "missing: " in text
    assert "magnet: golden 1.0" in text
    assert text.count("Content-Security-Policy") == 1
    assert check(spec, "--html", page).exit_code == 1
    assert page.read_text() == text, "the same bytes"


def test_the_page_loads_nothing_and_tells_each_difference(spec: pathlib.Path, tmp_path: pathlib.Path) -> None:
    def off(body: Body) -> None:
        for i in range(4):
            body["bars"][i]["values"][i] = 10.0**12 + i
        body["tier_used"] = "</script><img src=https://example.com/x>"

    edit(answers(spec) / GEX, off)
    page = tmp_path / "page.html"
    told = [line.strip() for line in check(spec, "--html", page).stdout.splitlines()[1:]]
    assert len(told) == 5
    text = page.read_text()
    before, script = text.split("<script>", 1)
    assert not re.search(r"(src|href)\s*=|@import|url\(|<link|<iframe|<img", re.sub(r"<li>.*?</li>", "", before))
    assert "default-src 'none'" in before
    assert "<img" not in before
    assert "<img src=https://example.com" not in script.rpartition("<script>")[2]
    for line in told[1:]:
        assert f"<li>{line}</li>" in before
    assert "tier_used: golden &#x27;&lt;/script&gt;&lt;img" in before


def test_the_page_of_another_days_bars_and_of_huge_values_is_small(tmp_path: pathlib.Path) -> None:
    def page(change: Callable[[Body], object]) -> bytes:
        golden = copy.deepcopy(BODY)
        change(golden)
        comparison = compare_bodies(golden, BODY, lambda _: EXACT)
        return difference_html([Check("x", "differs", tmp_path / "x.json", comparison)])

    for other in ("2020-07-24T14:00:00Z", "2026-07-23T14:00:00Z", "0001-01-01T00:00:00Z"):
        text = page(lambda body, t=other: body["bars"][0].update(t=t)).decode()  # type: ignore[misc]
        assert "not drawn: its bars are more than a day apart" in text
        assert f"<li>bars {other}: golden a bar, now absent</li>" in text
        assert "Plotly" not in text
    (figure,) = drawn(page(put(1, 1, 1.7e308)))
    assert figure["data"][0]["z"][1][1] == pytest.approx(-3.4028235e38)
    (figure,) = drawn(page(lambda body: body["bars"][0].update(t="2026-07-24T14:00:30Z")))
    assert len(figure["data"][0]["z"][0]) == 3, "columns are of a minute"
