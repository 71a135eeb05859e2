"""The page in a real browser: what it shows is what the API answers, and each of its controls does what it says."""

from __future__ import annotations

import datetime as dt
import json
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

import replay
from replay import queries, schema, tables
from replay.contract import METRICS
from replay.engine.result import Result
from replay.errors import NoStrikeData
from replay.render.scale import human, scale_of
from replay.sessions import LATEST, NEW_YORK, from_us, session_date, to_us
from replay.storage.files import Partition
from replay.storage.writer import LakeWriter
from tests import lakes
from tests.browser import CHROMIUM, QUIET, Look
from tests.server import CLOCK, Running, running

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("fastapi", reason="the server's extra is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine to open the page with")

MINUTE = 60_000_000
_LEVELS = (
    *("magnet", "call_wall", "put_wall", "gamma_flip", "max_pain"),
    *("pin_score", "net_gex", "net_vex", "atm_iv", "spot"),
)
SPY = "SPY 2026-07-24"
CORRECTED = "symbol=SPY&date=2026-07-24"

# Stands at each of many moments in turn, and answers with the bodies shown there.
_BODIES = """asked => asked.map(([asOf, knownAt, minutes, mode, bar]) => {
  replayPage.change({ asOf, known: knownAt === null ? "stood" : "moment", knownAt, minutes, mode, bar });
  return replayPage.body();
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all tests."""
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def lake_root(nasty: lakes.Nasty, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Every nasty case and the sessions that ship, in one lake."""
    root = tmp_path_factory.mktemp("page") / "lake"
    shutil.copytree(nasty.root, root)
    shutil.copytree(queries.shipped("fixtures") / "lake", root, dirs_exist_ok=True)
    rows = paces()
    lakes.write_own(root, "PACES", rows[:20], cadence_us=30 * lakes.SECOND)
    lakes.write_own(root, "PACES", rows[20:], cadence_us=MINUTE)
    metadata = schema.metadata(source="test", conventions="charm-hour", cadence_us=MINUTE)
    LakeWriter(root).add(Partition("raw", "HOURLY", lakes.DAY), lakes.table_of(rows), metadata)
    return root


def paces() -> list[lakes.Row]:
    """Rows that come twice as often at first, as their two files say, with some missing."""
    rng = lakes.dice("paces")
    steps = [30 * i for i in range(20)] + [600 + 60 * i for i in range(30)]
    missing = {*range(8, 12), 15, 16, 22, 30, 31, 32, *range(40, 44)}
    made = [lakes.some_row(rng, lakes.at("09:30") + step * lakes.SECOND, [599.0, 600.0]) for step in steps]
    return [each for i, each in enumerate(made) if i not in missing]


@pytest.fixture(scope="module")
def lake(lake_root: pathlib.Path) -> Iterator[replay.Lake]:
    """That lake, opened."""
    with replay.open_lake(lake_root) as opened:
        yield opened


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The folder of runs."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def run(lake: replay.Lake, runs: pathlib.Path) -> Result:
    """A run over a session that ships."""
    day = "2026-07-24"
    return replay.run("pin_fly", lake, symbols="SPY", start=day, end=day, gaps="carry:5m", out=runs / "fly")


@pytest.fixture(scope="module")
def server(lake_root: pathlib.Path, runs: pathlib.Path, run: Result) -> Iterator[Running]:
    """One server for all tests that let it be."""
    with running(lake_root, "--runs", str(runs), at="2026-07-24T14:00") as started:
        yield started


@pytest.fixture(scope="module")
def opened(browser: Any, server: Running) -> Iterator[Look]:
    """A window of the browser."""
    window = Look(browser, server.url).go(CORRECTED)
    yield window
    window.close()


@pytest.fixture
def look(opened: Look) -> Iterator[Look]:
    """The window, in which nothing has gone wrong before, nor may."""
    opened.check()
    yield opened
    opened.check()


def moments_of(case: lakes.Case, count: int) -> list[int]:
    """Some of the clocks of a case, and an instant before and after them, all on its date."""
    own = [us + shift for us in case.moments for shift in (0, -1) if session_date(us + shift) == case.date]
    wanted = [own[i * (len(own) - 1) // (count - 1)] for i in range(count)]
    return [wanted[0] - MINUTE, *wanted, lakes.at("16:00", case.date)]


def body_of(lake: replay.Lake, symbol: str, metric: str, asked: list[Any], tier: str | None = None) -> Any:
    """What the API answers; in coarser bars what is made of its answer."""
    as_of, known_at, minutes, mode, bar = [*asked, 1][:5]
    known = None if known_at is None else "latest" if known_at >= LATEST else from_us(known_at)
    try:
        shown = lake.heatmap(
            symbol, from_us(as_of), metric, mode, minutes=minutes, known_at=known, gaps=True, tier=tier
        )
    except NoStrikeData as error:
        return {"status": "ERROR", "error": error.code}
    return json.loads((shown if bar == 1 else shown.resample(f"{bar}m")).to_json())


def test_cells_are_the_apis_to_the_bit(look: Look, lake: replay.Lake, nasty: lakes.Nasty) -> None:
    cases = nasty.cases | {"PACES": lakes.Case("PACES", lakes.DAY, lakes.clocks(paces()))}
    for symbol, case in cases.items():
        rng = lakes.dice(f"page {symbol}")
        for metric in METRICS if symbol == "CORRECT" else ("oi" if symbol == "TOTALS" else "signed_flow", "gex"):
            look.show(symbol=symbol, date=str(case.date), metric=metric)
            asked: list[list[Any]] = []
            for as_of in moments_of(case, 6):
                known = rng.choice([None, LATEST, rng.choice(case.moments), as_of])
                asked.append(
                    [as_of, known, rng.choice([1, 5, 60, 390]), rng.choice(["raw", "delta"]), rng.choice([1, 1, 5, 30])]
                )
            for each, found in zip(asked, look.evaluate(_BODIES, asked), strict=True):
                assert found == body_of(lake, symbol, metric, each), (symbol, metric, each)
        if symbol in ("CORRECT", "LEGACY", "TIERS", "HOLES", "UNEVEN"):
            for as_of in moments_of(case, 6):
                found = look.evaluate(
                    "asOf => (replayPage.change({ asOf, known: 'latest', knownAt: null }), replayPage.levels())", as_of
                )
                told = lake.levels(symbol, from_us(as_of), "latest")
                assert {name: found.get(name) for name in _LEVELS} == {name: getattr(told, name) for name in _LEVELS}


def test_the_colour_scale_is_the_other_pictures(look: Look, lake: replay.Lake) -> None:
    look.fresh(SPY)
    for metric in ("gex", "oi", "signed_flow"):
        for mode, minutes in (("raw", 1), ("raw", 390), ("delta", 30)):
            look.show(metric=metric, mode=mode, minutes=minutes, asOf=lakes.at("12:41:07"), known="latest")
            found = look.evaluate("() => replayPage.scene().scale")
            shown = lake.heatmap("SPY", "2026-07-24T12:41:07", metric, mode, minutes=minutes, known_at="latest")
            told = scale_of(shown)
            assert found["limit"] == told.limit
            assert (found["signed"], found["skipsFirst"]) == (told.signed, told.skips_first)
            assert f"Colours: {told.sentence()} ({shown.unit})." in look.text("#scale")


def test_numbers_are_worked_and_written_as_elsewhere(look: Look) -> None:
    import numpy as np

    rng = lakes.dice("human")
    numbers = [rng.gauss(0, 1) * 10 ** rng.randint(-6, 16) for _ in range(200)] + [0.0, 1e15, 999.6, 0.001, -1e3]
    found = look.evaluate(
        "async all => { const { human } = await import('/page/scale.js'); return all.map(v => human(v, true)); }",
        numbers,
    )
    for number, text in zip(numbers, found, strict=True):
        assert text.replace("e-0", "e-") == human(number, signed=True).replace("e-0", "e-")
    script = """async all => { const { percentile, median } = await import('/page/order.js');
        return [percentile(Float64Array.from(all), 98, all.length), median(Float64Array.from(all))]; }"""
    for size in (1, 2, 3, 10, 51, 500):
        numbers = [float(rng.randint(0, 9)) if rng.random() < 0.3 else rng.expovariate(1.0) for _ in range(size)]
        assert look.evaluate(script, numbers) == [float(np.percentile(numbers, 98)), float(np.median(numbers))]
    script = "async all => { const { rounded } = await import('/page/scale.js'); return all.map(rounded); }"
    assert look.evaluate(script, [122742067.22666603, 1234.5, -0.123456789, 0]) == [
        *("122,742,067.23", "1,234.5", "-0.123457", "0"),
    ]  # fmt: skip


def colour_at(look: Look, start: int, strike: float) -> list[int]:
    """A pixel of a cell, off its middle, which lines at its strike lie over."""
    found: list[int] = look.evaluate(
        """([start, strike]) => {
          const { x, y, edges, ratio } = replayPage.view.geometry;
          const i = replayPage.scene().shown.strikes.indexOf(strike); // the lower quarter
          const at = [x(start + 3e7), y(edges[i]) * 0.75 + y(edges[i + 1]) * 0.25].map((place) => Math.round(place * ratio));
          return [...document.getElementById("heatmap").getContext("2d").getImageData(...at, 1, 1).data].slice(0, 3);
        }""",
        [start, strike],
    )
    return found


def test_cells_have_the_colours_of_their_values(look: Look, lake: replay.Lake) -> None:
    look.fresh("TOTALS 2026-07-24", lakes.at("10:20"), minutes=15, flips=False)
    shown = lake.heatmap("TOTALS", "2026-07-24T10:20", minutes=15)
    told = scale_of(shown).colours(shown.values)
    near = 0
    for bar, start in enumerate(shown.minutes.tolist()):
        for i, strike in enumerate(shown.strikes.tolist()):
            found = colour_at(look, start, strike)
            if shown.values[bar, i] != shown.values[bar, i]:
                assert found == [183, 190, 200], "not sampled is no colour of the scale"
            else:
                near += max(abs(int(a) - b) for a, b in zip(told[bar, i], found, strict=True)) <= 2
    assert near > 0.7 * shown.values.size, "all but those that lines lie over"


_MARKED = """() => { const { canvas, context } = replayPage.clocks.marks; const end = replayPage.clocks.marks.canvas.width * 0.88 | 0;
  const { data } = context.getImageData(0, 0, end, canvas.height); return [...data].flatMap((each, i) => each ? [i] : []).slice(0, 1); }"""
_THUMBS = """() => ["as-of", "known-at"].map((id) => { const field = document.getElementById(id); const { left, width } = field.getBoundingClientRect();
  return left + 9 + (field.value / field.max) * (width - 18); })"""


def test_a_correction_arrives_by_known_at(look: Look, lake: replay.Lake) -> None:
    look.fresh(SPY, lakes.at("13:04"))  # the correction is learned at 13:05
    before = look.evaluate("() => replayPage.body()")
    assert "No corrections had arrived." in look.text("#corrections"), "nothing of what had not"
    assert look.evaluate(_MARKED) == []
    look.page.check("[name=known][value=moment]", force=True)
    look.settle()
    assert look.state("knownAt") == lakes.at("13:04")
    assert "not yet known" in look.text("#corrections")
    assert look.evaluate(_MARKED) != [], "moments that bring corrections are marked"
    first, stops = look.evaluate(
        f"""() => {{ const {{ stops, brings }} = replayPage.shelf.tape; const from = stops.findIndex((at) => at > {lakes.at("13:04")});
          const first = brings.findIndex((count, i) => i >= from && count); return [stops[first], first - from + 1]; }}"""
    )
    left, right = look.evaluate(_THUMBS)
    assert left == pytest.approx(right, abs=1.5), "equal times lie at one place of both sliders"
    look.page.focus("#known-at")
    look.press(["ArrowRight"] * stops)
    assert look.state("knownAt") == first
    assert "correction" in look.evaluate("() => document.getElementById('known-at').getAttribute('aria-valuetext')")
    after = look.evaluate("() => replayPage.body()")
    assert after != before
    known = look.state("knownAt")
    assert after == body_of(lake, "SPY", "gex", [lakes.at("13:04"), known, 390, "raw"])
    look.page.check("[name=known][value=latest]", force=True)
    look.settle()
    assert look.evaluate("() => replayPage.body()") == body_of(
        lake, "SPY", "gex", [lakes.at("13:04"), LATEST, 390, "raw"]
    )
    assert "all corrections known" in look.text("#corrections")
    assert look.page.input_value("#known-at-text") == "latest"
    look.page.focus("#known-at")
    assert look.evaluate(_THUMBS)[1] > look.evaluate(_THUMBS)[0] + 50, "what came after the close has a part of its own"
    look.press("ArrowLeft")
    assert look.state("knownAt") > lakes.at("16:00")


def test_what_is_loaded_follows_what_is_wanted(look: Look) -> None:
    look.fresh(SPY)
    asked: list[str] = []
    failed: list[str] = []
    look.page.on("request", lambda request: asked.append(request.url))
    look.page.on("requestfailed", lambda request: failed.append(request.url))
    reached = look.evaluate(
        "() => { replayPage.change({ date: '2026-05-12' }); replayPage.change({ run: 'fly' }); return [replayPage.reach, replayPage.scene()]; }"
    )
    assert reached == [None, None], "nothing of another session stands for this one"
    look.until(f"document.querySelector('#as-of').max === '{390 * 60}' && replayPage.settled()")
    assert len([url for url in asked if "/tape/SPY?" in url]) == 1, "a download that is still wanted goes on"
    assert not failed


def test_runs_fail_on_their_own_and_who_is_told_to_wait_waits(look: Look) -> None:
    look.fresh(SPY)
    look.page.route("**/replay/runs", lambda route: route.fulfill(status=400, json={"message": "They are gone."}))
    look.evaluate("() => replayPage.listing.load()")
    look.until("document.getElementById('run-note').textContent === 'The runs cannot be listed: They are gone.'")
    assert look.page.is_hidden("#banner")
    body = {"status": "ERROR", "error": "Quota exceeded", "message": "No more today."}
    look.page.route(
        "**/replay/sessions", lambda route: route.fulfill(status=429, headers={"Retry-After": "120"}, json=body)
    )
    look.evaluate("() => replayPage.connection.again()")
    look.until("document.getElementById('banner').textContent.startsWith('No more today.')")
    assert "asked again in 2 min" in look.text("#banner")
    assert 100_000 < look.evaluate("() => replayPage.connection.rest") <= 120_000
    look.page.unroute_all()
    look.evaluate("() => replayPage.connection.again()")
    look.until("document.getElementById('banner').hidden && document.getElementById('run-note').textContent === ''")
    look.errors.clear()  # the browser's own notes of the refusals


def test_pickers(look: Look, lake: replay.Lake) -> None:
    look.fresh(SPY)
    look.show(asOf=lakes.at("11:07"))
    look.choose("#symbol", "QQQ")
    assert (look.state("symbol"), look.state("date")) == ("QQQ", "2026-06-05")
    assert look.state("asOf") == lakes.at("11:07", dt.date(2026, 6, 5)), "the time of day stays"
    assert look.evaluate("() => document.activeElement === document.body"), "keys are the page's again"
    look.choose("#symbol", "SPY")
    look.choose("#date", "2025-11-28")
    assert session_date(look.state("asOf")) == dt.date(2025, 11, 28)
    assert "SPY 2025-11-28 gex" in look.text("#title")
    look.choose("#metric", "dex")
    look.page.check("[name=mode][value=delta]", force=True)
    look.choose("#window", "120")
    assert look.evaluate("() => replayPage.body()") == body_of(
        lake, "SPY", "dex", [look.state("asOf"), None, 120, "delta"]
    )
    look.choose("#bar", "15")
    assert look.evaluate("() => replayPage.body()") == body_of(
        lake, "SPY", "dex", [look.state("asOf"), None, 120, "delta", 15]
    )
    assert "15m bars" in look.text("#caption")
    look.choose("#bar", "")
    assert "1m bars" in look.text("#caption"), "as the snapshots come"
    look.choose("#window", "other")
    look.page.fill("#minutes", "45")
    look.press("Enter")
    assert look.state("minutes") == 45
    look.page.fill("#minutes", "500")
    look.press("Enter")
    assert "1 to 390" in look.text("#minutes-error")
    assert look.state("minutes") == 45
    look.page.fill("#minutes", "46")
    assert look.text("#minutes-error") == "", "what has become valid is no error"
    look.press("Enter")
    look.choose("#symbol", "TIERS")
    look.choose("#tier", "1m")
    body = look.evaluate("() => replayPage.body()")
    assert body["tier_used"] == "1m"
    assert body == body_of(lake, "TIERS", "dex", [look.state("asOf"), None, 46, "delta"], tier="1m")


def test_the_shown_switches(look: Look) -> None:
    look.fresh(SPY, metric="dex")
    assert look.evaluate("() => replayPage.scene().flips.length") > 0
    assert look.evaluate("() => replayPage.scene().flipped.size") > 0
    look.page.uncheck("#flips")
    look.settle()
    assert look.evaluate("() => replayPage.scene().flips.length") == 0
    look.show(flips=None, metric="signed_flow")
    assert not look.page.is_checked("#flips"), "a flow's signs are noise"
    look.show(metric="dex")
    limit = look.evaluate("() => replayPage.scene().scale.limit")
    look.page.check("#hold")
    look.page.fill("#as-of-text", "09:35")
    look.press("Enter")
    assert look.evaluate("() => replayPage.scene().scale.limit") == limit == look.state("limit")
    assert "held" in look.text("#scale")
    look.page.uncheck("#hold")
    look.settle()
    assert look.evaluate("() => replayPage.scene().scale.limit") != limit
    look.choose("#theme", "dark")
    assert look.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 30)"
    look.choose("#theme", "light")
    assert look.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_the_moment_is_set_by_slider_and_text(look: Look) -> None:
    look.fresh(SPY, lakes.at("10:00"))
    assert look.page.input_value("#as-of-text") == "2026-07-24T10:00:00"
    look.page.focus("#as-of")
    look.press("ArrowRight")
    assert look.state("asOf") == lakes.at("10:01"), "the arrow keys go by the step"
    look.page.select_option("#step", "10")
    look.page.focus("#as-of")
    look.press("ArrowDown")
    assert look.state("asOf") == lakes.at("10:00:50")
    look.press("PageUp")
    assert look.state("asOf") == lakes.at("10:15:50")
    assert "10:15:50" in look.evaluate("() => document.getElementById('as-of').getAttribute('aria-valuetext')")
    look.evaluate(
        "() => { const s = document.getElementById('as-of'); s.value = 3600; s.dispatchEvent(new Event('input')); }"
    )
    look.settle()
    assert look.state("asOf") == lakes.at("10:30")
    for text, us in {
        "14:05": lakes.at("14:05"),
        "2026-07-24T14:05:30.25": lakes.at("14:05:30.25"),
        "2026-07-24T15:00:00Z": lakes.at("11:00"),
        "T9:45": lakes.at("09:45"),
        "2026-07-24": lakes.at("16:00"),
        "2026-07-24T12:00+01:00": lakes.at("07:00"),
    }.items():
        look.page.fill("#as-of-text", text)
        look.press("Enter")
        assert look.state("asOf") == us
        assert look.text("#as-of-error") == ""
    for text, told in {
        "soon": "Write it like",
        "25:00": "no such",
        "2026-02-30T10:00": "no such",
        "2026-07-23T10:00": "session shown",
        "2026-03-08T02:30": "forward",
        "2026-11-01T01:30": "twice",
    }.items():
        look.page.fill("#as-of-text", text)
        look.press("Enter")
        assert told in look.text("#as-of-error")
        assert look.page.get_attribute("#as-of-text", "aria-invalid") == "true"
        assert look.state("asOf") == lakes.at("07:00")
    look.page.fill("#as-of-text", "10:0")
    assert look.text("#as-of-error") != ""
    look.page.fill("#as-of-text", "10:00")
    assert look.text("#as-of-error") == "", "what has become valid is no error"
    look.page.fill("#as-of-text", "07:00")
    look.page.fill("#known-at-text", "2026-07-24T13:30")
    look.press("Enter")
    assert (look.state("known"), look.state("knownAt")) == ("moment", lakes.at("13:30"))
    look.page.fill("#known-at-text", "latest")
    look.press("Enter")
    assert look.state("known") == "latest"
    look.page.check("[name=known][value=stood]", force=True)
    look.settle()
    assert look.page.input_value("#known-at-text") == "2026-07-24T07:00:00"


def test_playing_and_stepping(look: Look) -> None:
    look.fresh(SPY, lakes.at("10:00"))
    for button, us in {
        "#forward": lakes.at("10:01"),
        "#back": lakes.at("10:00"),
        "#to-start": lakes.at("09:30"),
        "#forward ": lakes.at("09:31"),
    }.items():
        look.page.click(button.strip())
        look.settle()
        assert look.state("asOf") == us
    look.page.select_option("#step", "snapshot")
    look.page.click("#forward")
    look.settle()
    tape = "replayPage.shelf.tape.tracks[0]"
    seen = look.evaluate(f"() => Math.min(...{tape}.recorded_at.filter((at) => at > {lakes.at('09:31')}))")
    assert look.state("asOf") == seen, "the next snapshot to be known"
    look.page.select_option("#speed", "1800")
    look.page.click("#play")
    look.until("document.getElementById('play').getAttribute('aria-label') === 'Pause'")
    look.until(f"replayPage.state.asOf > {seen + 60 * MINUTE // 4}")
    look.page.click("#play")
    stood = look.state("asOf")
    look.page.wait_for_timeout(80)
    assert look.state("asOf") == stood
    look.evaluate("() => replayPage.goTo(replayPage.reach.to - 6e8)")
    look.page.click("#play")
    look.until("!replayPage.player.playing")
    assert look.state("asOf") == look.evaluate("() => replayPage.reach.to"), "it stops at the end"
    assert look.state("asOf") == lakes.at("16:00"), "the close, whatever became known later"
    look.show(asOf=lakes.at("10:00"))
    look.page.click("#play")
    look.page.select_option("#date", "2026-06-05")
    look.until(f"replayPage.state.asOf > {lakes.at('10:02', dt.date(2026, 6, 5))}")
    look.page.click("#play")
    look.settle()
    assert look.state("asOf") < lakes.at("15:00", dt.date(2026, 6, 5)), "it plays on from where it was"
    assert look.evaluate("() => replayPage.frames.spent.length") > 0


def test_following_the_servers_clock(look: Look, server: Running) -> None:
    def set_clock(moment: str) -> None:
        assert server.ask(CLOCK, "POST", body={"at": moment}).status == 200

    look.go()
    assert (look.state("symbol"), look.state("date")) == ("SPY", "2026-07-24"), "the session of the clock"
    assert look.state("asOf") == lakes.at("14:00")
    set_clock("2026-07-24T11:30")
    look.page.check("#follow")
    look.until(f"replayPage.state.asOf === {lakes.at('11:30')}")
    set_clock("2026-06-05T12:00")
    look.until("replayPage.state.date === '2026-06-05'")
    set_clock("2026-07-24T14:00")
    look.settle()
    look.page.click("#back")
    look.settle()
    assert not look.page.is_checked("#follow"), "who goes elsewhere follows no longer"


def test_states_without_a_picture_are_told_in_words(look: Look) -> None:
    look.fresh("ALLLEGACY 2026-07-24", lakes.at("10:10"))
    assert look.evaluate("() => replayPage.body()") == {"status": "ERROR", "error": "no_strike_data_for_window"}
    assert "none with per-strike data" in look.text("#message")
    look.fresh(SPY, lakes.at("09:00"))
    assert "no samples yet in the window up to 09:00 New York (known at 09:00, tier raw)" in look.text("#message")
    assert look.evaluate("() => replayPage.body().bars") == []
    look.go("symbol=NONE&date=2026-07-24")
    assert "the lake holds no samples of this session" in look.text("#message")
    look.go("symbol=SPY&date=2026-07-25")
    assert "2026-07-25" in look.text("#message"), "the server's own words on a Saturday"
    assert look.page.is_visible("#message")
    assert look.page.is_disabled("#play")
    assert look.page.is_disabled("#save-csv")
    assert look.text("#readings dd[data-name=spot]") == "–", "nothing of what was there before"
    assert look.text("#caption") + look.text("#corrections") == ""
    look.choose("#date", "2026-07-24")
    assert not look.page.is_disabled("#play")
    look.go("symbol=NOWHERE&run=zzz")
    assert look.text("#message") == "The lake holds no session of NOWHERE."
    assert look.text("#run-note") == "There is no run zzz; there are fly."
    look.fresh("DRIFT 2026-07-24", lakes.at("14:00"), minutes=1)
    assert "no samples in the window" in look.text("#message")
    look.errors.clear()  # the browser's own note of the 400


def test_an_address_brings_the_view_back(look: Look, browser: Any, server: Running) -> None:
    look.fresh(SPY)
    look.show(
        metric="vex", mode="delta", minutes=77, bar=5, asOf=lakes.at("13:10:20.5"), known="moment", knownAt=lakes.at("13:12"),
        theme="dark", flips=False,
    )  # fmt: skip
    look.page.check("#hold")
    look.page.click("#zoom-in")
    look.settle()
    look.page.click("#copy")
    look.until("document.getElementById('live').textContent === 'Link copied.'")
    link = look.evaluate("() => navigator.clipboard.readText()")
    other = Look(browser, server.url).go(link.partition("?")[2])
    assert other.evaluate("() => replayPage.state") == look.evaluate("() => replayPage.state")
    assert other.evaluate("() => replayPage.body()") == look.evaluate("() => replayPage.body()")
    assert other.evaluate("() => replayPage.scene().prices") == look.evaluate("() => replayPage.scene().prices")
    assert look.query()["as_of"] == "2026-07-24T17:10:20.500000Z"
    other.close()
    look.go("symbol=SPY&as_of=2026-06-05T12:00")
    assert (look.state("date"), look.state("asOf")) == ("2026-06-05", lakes.at("12:00", dt.date(2026, 6, 5)))
    look.go("symbol=SPY&date=2025-11-28&at=2025-11-28&known_at=2025-11-28T9:45&low=1&high=9999999")
    assert look.state("asOf") == lakes.at("13:00", dt.date(2025, 11, 28)), "a date alone is its close"
    assert look.state("knownAt") == lakes.at("09:45", dt.date(2025, 11, 28))
    assert look.page.is_hidden("#address-note")
    assert look.evaluate("() => replayPage.scene().prices[1]") < 10_000, "prices far beyond all strikes are not shown"
    look.go(
        "symbol=spy&date=2026-07-24&metric=none&mode=odd&minutes=9999&as_of=never&low=9&high=1e300&limit=-2&theme=x"
    )
    assert look.evaluate("() => [replayPage.state.metric, replayPage.state.mode, replayPage.state.minutes]") == [
        "gex",
        "raw",
        390,
    ]
    assert look.evaluate("() => [replayPage.state.low, replayPage.state.limit, replayPage.state.theme]") == [
        None,
        None,
        "auto",
    ]
    wrong = "metric=none, mode=odd, theme=x, as_of=never, high=1e300, limit=-2"
    assert wrong in look.text("#address-note")
    look.press("ArrowLeft")
    assert look.page.is_hidden("#address-note"), "said until something else is chosen"


def test_downloads_are_the_apis_bytes(look: Look, lake: replay.Lake) -> None:
    look.fresh(SPY, lakes.at("13:04"), minutes=30, known="latest", metric="dex", mode="delta")
    shown = lake.heatmap("SPY", "2026-07-24T13:04", "dex", "delta", minutes=30, known_at="latest", gaps=True)
    files = {}
    for kind in ("json", "csv", "png"):
        with look.page.expect_download() as waiting:
            look.page.click(f"#save-{kind}")
        files[kind] = waiting.value
    assert pathlib.Path(files["json"].path()).read_bytes() == shown.to_json()
    assert look.evaluate("() => replayPage.body()") == json.loads(shown.to_json())
    assert pathlib.Path(files["csv"].path()).read_bytes() == tables.frame_bytes(shown.to_polars(), "csv")
    assert files["json"].suggested_filename == (
        "SPY_2026-07-24_dex_delta_30min_1m-rows_as-of-170400Z_known-latest_raw.json"
    )
    png = pathlib.Path(files["png"].path()).read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(png[16:20], "big") == 2560


def test_keys_alone(look: Look) -> None:
    look.fresh(SPY, lakes.at("12:00"))
    look.press("ArrowRight")
    assert look.state("asOf") == lakes.at("12:01")
    look.press("Shift+ArrowLeft")
    assert look.state("asOf") == lakes.at("11:46")
    look.press("Home")
    assert look.state("asOf") == lakes.at("09:30")
    look.press("End")
    assert look.state("asOf") == lakes.at("16:00")
    look.press(["m", "d", "b"])
    assert (look.state("metric"), look.state("mode"), look.state("bar")) == ("dex", "delta", 5)
    look.press("d")
    for known in ("latest", "moment", "stood"):
        look.press("k")
        assert look.state("known") == known
    for theme in ("light", "dark", "auto"):
        look.press("t")
        assert look.state("theme") == theme
    look.press(["+", "+", "-"])
    assert look.page.input_value("#speed") == "120"
    look.press(["f", "h"])
    assert look.state("flips") is False
    assert look.state("limit") is not None
    look.press(["f", "h", "a"])
    low = look.state("low")
    look.press("i")
    assert look.state("low") > low
    look.press(["PageDown", "o", "o", "o"])
    assert look.state("low") == low
    look.press("0")
    assert look.state("low") is None
    look.press("?")
    assert look.page.is_visible("#help")
    look.press("Escape")
    assert not look.page.is_visible("#help")
    look.page.focus("#known-at")
    look.page.keyboard.press(" ")
    look.until("replayPage.player.playing && replayPage.state.asOf < replayPage.reach.to")
    look.page.keyboard.press(" ")
    look.settle()
    assert not look.evaluate("() => replayPage.player.playing")


def test_the_tab_key_reaches_every_control(look: Look) -> None:
    look.fresh(SPY)
    reached = set()
    for _ in range(55):
        look.page.keyboard.press("Tab")
        reached.add(
            look.evaluate(
                "() => document.activeElement.id || document.activeElement.name || document.activeElement.tagName"
            )
        )
    wanted = look.evaluate(
        """() => [...document.querySelectorAll("main button, main select, main input:not([type=radio]), header select, header button, canvas[tabindex]")]
          .filter((each) => each.checkVisibility() && !each.disabled).map((each) => each.id)"""
    )
    assert len(wanted) > 25
    assert set(wanted) <= reached, set(wanted) - reached
    assert {"mode", "known", "SUMMARY"} <= reached


def test_the_cursor_tells_a_cell(look: Look, lake: replay.Lake) -> None:
    look.fresh(SPY, lakes.at("12:00"), minutes=60)
    body = lake.heatmap("SPY", "2026-07-24T12:00", minutes=60)
    look.page.focus("#overlay")
    look.press("ArrowLeft")
    spot = body.underlying_price
    assert spot is not None
    nearest = min(range(len(body.strikes)), key=lambda i: abs(body.strikes[i] - spot))
    newest, exact = look.evaluate(
        "value => import(`/page/scale.js`).then((m) => [m.rounded(value), m.exact(value)])",
        float(body.values[-1, nearest]),
    )
    strike = f"{body.strikes[nearest]:g}"
    clock = f"{from_us(int(body.minutes[-1])).astimezone(NEW_YORK):%H:%M}"
    told = f"{clock}, strike {strike}: {newest} {body.unit}, spot {body.spot[-1]:.2f}".rstrip("0").rstrip(".")
    look.until(f"document.getElementById('readout').textContent === {json.dumps(told)}")
    assert float(exact.replace(",", "")) == body.values[-1, nearest], "to the last digit"
    assert newest in look.text("#tip")
    assert f"exactly {exact}" in look.text("#tip")
    look.press(["ArrowUp", "ArrowLeft"])
    value = float(body.values[-2, nearest + 1])
    look.until(
        f"document.getElementById('readout').textContent.includes({json.dumps(f'strike {body.strikes[nearest + 1]:g}: ')})"
    )
    assert float(look.text("#tip b").replace(",", "")) == round(value, 2)
    look.press("Home")
    first = from_us(int(body.minutes[0])).astimezone(NEW_YORK)
    assert f"{first:%H:%M}" in look.text("#tip")
    look.press("Escape")
    look.until("document.getElementById('readout').textContent === ''")
    box = look.page.locator("#overlay").bounding_box()
    look.page.mouse.move(box["x"] + 300, box["y"] + 200)
    look.until("!document.getElementById('tip').hidden")
    look.page.mouse.move(box["x"] + 300, box["y"] + box["height"] + 60)
    look.until("document.getElementById('tip').hidden")


def test_gaps_and_unsampled_cells_are_told_apart(look: Look) -> None:
    look.fresh("GAPS 2026-11-27")
    gaps = look.evaluate("() => replayPage.scene().gaps")
    assert len(gaps) >= 3
    script = """([instant, price]) => { const { view } = replayPage; const { x, y } = view.geometry;
        view.cursor.point(view.geometry, x(instant), y(price)); replayPage.again(); }"""
    strike = look.evaluate("() => replayPage.scene().shown.strikes[2]")
    look.evaluate(script, [lakes.at("10:15", lakes.HALF_DAY), strike])
    look.until("document.getElementById('tip').textContent.includes('gap from 10:09:00 to 10:25:00')")
    empty = look.evaluate("""() => { const { shown } = replayPage.scene(); const at = shown.values.findIndex(Number.isNaN);
        return [shown.starts[Math.floor(at / shown.strikes.length)], shown.strikes[at % shown.strikes.length]]; }""")
    look.evaluate(script, empty)
    look.until("document.getElementById('tip').textContent.includes('not sampled')")
    look.show(asOf=lakes.at("11:00", lakes.HALF_DAY))
    look.evaluate(script, [lakes.at("12:00", lakes.HALF_DAY), strike])
    look.until("document.getElementById('tip').textContent.includes('not yet')")
    at, page = look.evaluate(
        """instant => { const { view } = replayPage; const { x, heat, ratio } = view.geometry;
        const pixel = view.lower.context.getImageData(x(instant) * ratio, (heat.top + 4) * ratio, 1, 1).data;
        return [`#${[...pixel].slice(0, 3).map((each) => each.toString(16).padStart(2, "0")).join("")}`, view.scene.inks.page]; }""",
        lakes.at("12:00", lakes.HALF_DAY),
    )
    assert at == page, "what is to come is empty"
    look.fresh("LEGACY 2026-07-24")
    legacy, price = look.evaluate(
        "() => { const { shown } = replayPage.scene(); return [[...shown.legacy][0], shown.strikes[0]]; }"
    )
    look.evaluate(script, [legacy, price])
    look.until("document.getElementById('tip').textContent.includes('v1 row, no strikes')")


def test_zoom_and_pan(look: Look) -> None:
    look.fresh("DRIFT 2026-07-24", lakes.at("12:00"))
    prices = "() => replayPage.scene().prices"
    whole = look.evaluate(prices)
    look.page.click("#zoom-in")
    look.settle()
    near = look.evaluate(prices)
    assert near[1] - near[0] < whole[1] - whole[0]
    look.page.click("#pan-up")
    look.settle()
    assert look.evaluate(prices)[0] > near[0]
    look.page.click("#pan-down")
    look.page.click("#zoom-out")
    look.page.click("#zoom-all")
    look.settle()
    assert look.evaluate(prices) == pytest.approx(whole)
    box = look.page.locator("#overlay").bounding_box()
    middle = box["x"] + 300, box["y"] + 200
    look.page.mouse.move(*middle)
    price = look.evaluate("() => replayPage.view.geometry.priceAt(200)")
    look.page.mouse.wheel(0, 40)
    look.until("scrollY > 0")
    assert look.evaluate(prices) == pytest.approx(whole), "the wheel scrolls the page"
    look.page.mouse.wheel(0, -400)
    look.until("scrollY === 0")
    look.page.keyboard.down("Control")
    look.page.mouse.wheel(0, -200)
    look.page.keyboard.up("Control")
    look.until(f"(([a, b]) => b - a < {whole[1] - whole[0]} - 0.1)(replayPage.scene().prices)")
    look.settle()
    assert look.evaluate("() => replayPage.view.geometry.priceAt(200)") == pytest.approx(price, abs=0.05)
    before = look.evaluate(prices)
    look.page.mouse.down()
    look.page.mouse.move(middle[0], middle[1] + 40, steps=4)
    look.page.mouse.up()
    look.settle()
    assert look.evaluate(prices)[0] > before[0], "dragged"
    assert look.query()["low"] == str(look.state("low")).removesuffix(".0")
    look.page.mouse.dblclick(*middle)
    look.settle()
    assert look.state("low") is None


def test_tables(look: Look, lake: replay.Lake) -> None:
    look.fresh(SPY, lakes.at("12:00"))
    assert look.page.locator("#newest table").count() == 0, "filled when opened"
    look.page.click("#newest summary")
    look.until("document.querySelectorAll('#newest tbody tr').length > 0")
    shown = lake.heatmap("SPY", "2026-07-24T12:00", minutes=390)
    rows = look.evaluate(
        "() => [...document.querySelectorAll('#newest tbody tr')].map((r) => [...r.cells].map((c) => c.textContent))"
    )
    found = {float(strike): value for strike, value in rows}
    assert list(found) == sorted(found, reverse=True)
    assert {k: float(v.replace(",", "")) for k, v in found.items()} == dict(
        zip(shown.strikes.tolist(), shown.values[-1].tolist(), strict=True)
    )


def test_the_readings(look: Look, lake: replay.Lake) -> None:
    look.fresh(SPY, lakes.at("12:00:10"))
    told = lake.levels("SPY", "2026-07-24T12:00:10")
    shown = look.evaluate(
        "() => Object.fromEntries([...document.querySelectorAll('#readings dd[data-name]')].map((d) => [d.dataset.name, d.textContent]))"
    )
    assert float(shown["magnet"]) == told.magnet
    assert told.gamma_flip is not None
    assert float(shown["gamma_flip"]) == round(told.gamma_flip, 2)
    assert shown["net_gex"] == human(told.net_gex or 0.0, signed=True)
    assert shown["pin_score"] == f"{told.pin_score:.0f} of 100"
    assert shown["age"] == "10 s"
    look.fresh("SPY 2026-06-05", lakes.at("12:00", dt.date(2026, 6, 5)))
    look.until("replayPage.scene().paths")
    starts, paths = look.evaluate(
        "() => { const { shown, paths } = replayPage.scene(); const pick = (all) => [...all].filter((_, i) => i % 60 === 30); "
        "return [pick(shown.starts), Object.entries(paths).map(([name, all]) => [name, pick(all)])]; }"
    )
    for i, start in enumerate(starts):
        then = lake.levels("SPY", from_us(int(start) + MINUTE - 1), "latest")
        for name, all_of in paths:
            assert all_of[i] == pytest.approx(getattr(then, name), nan_ok=True), "each bar has the levels of its time"
    look.fresh("HOURLY 2026-07-24", metric="chex")
    assert "USD of delta per calendar hour" in look.text("#caption")
    assert "USD of delta per calendar hour" in look.text("#readings"), "as its file's conventions have it"
    look.fresh("ALLLEGACY 2026-07-24", lakes.at("10:10"))
    assert look.text("#readings dd[data-name=magnet]") == "not known"


def test_a_run_lies_over_the_picture(look: Look, run: Result) -> None:
    trade = run.trades().row(0, named=True)
    equity = run.equity()
    look.fresh(SPY, lakes.at("09:00"))
    assert look.page.is_hidden("#equity-line")
    look.choose("#run", "fly")
    look.page.click("#trades summary")
    look.until("document.querySelector('#trades caption')")
    assert "no trade yet" in look.text("#trades caption"), "nothing that had not happened"
    ink = """() => { const { context, canvas } = replayPage.view.upper;
        return context.getImageData(0, 0, canvas.width, canvas.height).data.reduce((sum, each) => sum + each, 0); }"""
    row = "() => [...document.querySelectorAll('#trades tbody tr')[0].cells].map((c) => c.textContent)"
    before = look.evaluate(ink)
    moment = to_us(trade["opened_at"]) + 30 * MINUTE
    look.show(asOf=moment)
    assert look.evaluate(ink) != before
    cells = look.evaluate(row)
    assert (cells[2], cells[6], cells[9]) == (trade["legs"], "open", "")
    paid = look.evaluate("() => replayPage.shelf.run.trades[0].opening_fees")
    assert cells[8] == f"{paid:,.2f}", "what was paid so far"
    leg = look.evaluate("() => replayPage.shelf.run.legs[0]")
    look.evaluate(
        "leg => { const { view } = replayPage; view.cursor.point(view.geometry, view.geometry.x(leg.opened_at), view.geometry.y(leg.strike)); replayPage.again(); }",
        leg,
    )
    side = "bought" if leg["quantity"] > 0 else "sold"
    look.until(
        f"document.getElementById('tip').textContent.includes('{side} {abs(leg['quantity'])} {leg['strike']:g}{leg['right']}')"
    )
    look.until("document.getElementById('readout').textContent.includes('of order 1')")
    held = [profit for at, profit in zip(equity["at"], equity["profit"], strict=True) if to_us(at) <= moment]
    assert look.text("#profit") == f"{held[-1]:+,.2f} USD".replace("-", "−")
    assert look.text("#profit-of") == "", "of a single symbol nothing is to be said"
    look.evaluate("() => { replayPage.shelf.run.equity.symbols.push('QQQ'); replayPage.again(); }")
    look.until("document.getElementById('profit-of').textContent === 'all of SPY, QQQ'")
    look.show(asOf=look.evaluate("() => replayPage.reach.to"))
    assert look.evaluate(row)[9] == f"{trade['profit']:+,.2f}".replace("-", "−")
    assert look.query()["run"] == "fly"
    look.choose("#symbol", "QQQ")
    assert look.text("#run-note") == "fly did not trade QQQ; it has SPY."
    assert look.evaluate("() => replayPage.scene().run") is None
    assert look.page.is_hidden("#equity-line")
    assert look.evaluate("() => document.querySelector('#run option[value=fly]').disabled")
    look.choose("#run", "")
    assert look.text("#run-note") == ""


_MADE_UP = """async () => {
  const { heldAt, outcomeOf, lackOf } = await import("/page/runs.js");
  const lot = (right, quantity, closed_at, how) => ({ order: 1, right, strike: 600, quantity, opened_at: 10, closed_at, how });
  const run = { legs: [lot("C", 1, 20, "closed"), lot("C", 1, null, null), lot("P", -2, 90, "settled")] };
  const trade = { order: 1, opened_at: 10, closed_at: null, exit: "unsettled" };
  return [
    [10, 20, 89, 100].map((at) => outcomeOf(run, trade, at, 100)),
    outcomeOf(run, { ...trade, closed_at: 90, exit: "both" }, 95, 100),
    heldAt(run, 600, 15, 25, 30).map((text) => text.split(" at ")[0]),
    heldAt(run, 600, 15, 25, 18).length,
    lackOf([{ name: "a", symbols: ["SPY"], sessions: ["2026-07-24"] }], { run: "a", symbol: "SPY", date: "2026-07-23" }),
  ];
}"""


def test_a_lot_ends_on_its_own(look: Look) -> None:
    outcomes, both, notes, held, lack = look.evaluate(_MADE_UP)
    assert outcomes == ["open", "partly closed", "partly closed", "unsettled"]
    assert both == "closed and settled"
    assert notes == ["closed 1 600C of order 1", "holds +1 600C of order 1", "holds −2 600P of order 1"]
    assert held == 3
    assert lack == "a did not trade on 2026-07-23."


def test_a_server_that_goes_away_and_comes_back(browser: Any, nasty: lakes.Nasty, tmp_path: pathlib.Path) -> None:
    root = tmp_path / "lake"
    shutil.copytree(nasty.root / "tier=raw" / "symbol=STILL", root / "tier=raw" / "symbol=STILL")
    with running(root) as first:
        look = Look(browser, first.url).go("symbol=STILL&date=2026-07-24&as_of=2026-07-24T20:00:00Z")
        body = look.evaluate("() => replayPage.body()")
        added = [lakes.row(lakes.at("10:30"), [598.0, 599.0], gex=[5.0, -7.0])]
        lakes.write_own(root, "STILL", added)
        look.evaluate("() => replayPage.connection.again()")
        look.until("replayPage.body().bars.at(-1).t === '2026-07-24T14:30:00Z'")
        grown = look.evaluate("() => replayPage.body()")
        assert grown["bars"][:-1] == body["bars"], "a lake that grows shows"
    look.evaluate("() => replayPage.connection.again()")
    look.until("!document.getElementById('banner').hidden")
    assert "cannot be reached" in look.text("#banner")
    assert look.evaluate("() => replayPage.body()") == grown, "the view stays"
    look.press("Shift+ArrowLeft")
    assert look.text("#clock") == "15:45:00", "and works on"
    with running(root, "--port", str(first.port)):
        look.until("document.getElementById('banner').hidden")
        look.choose("#metric", "vex")
        assert look.evaluate("() => replayPage.body().metric") == "vex"
        shutil.rmtree(root / "tier=raw" / "symbol=STILL" / "date=2026-07-24")
        look.evaluate("() => replayPage.connection.again()")
        look.until("!document.getElementById('banner').hidden")
        assert str(root) not in look.text("#banner"), "no path of the machine"
        look.errors.clear()  # the browser's own notes of what failed
        look.close()


def test_a_key_is_asked_for(browser: Any, lake_root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    from replay.server.keys import add_key

    path = tmp_path / "keys.toml"
    keys = {plan: add_key(path, plan, plan) for plan in ("alpha", "growth")}
    with running(lake_root, "--keys", str(path)) as guarded:
        look = Look(browser, guarded.url)
        look.page.goto(f"{guarded.url}/?{CORRECTED}")
        look.until("document.getElementById('key-dialog').open")
        look.page.keyboard.press("Escape")
        look.until("document.getElementById('banner').textContent.includes('No key was given')")
        asked: list[str] = []
        look.page.on("request", lambda request: asked.append(request.url))
        look.page.click("#key-open")
        look.page.fill("#key", "wrong")
        look.page.keyboard.press("Enter")
        look.until("document.getElementById('banner').textContent.includes('Invalid API key')")
        assert not look.evaluate("() => document.getElementById('key-dialog').open"), "it does not come up by itself"
        asked.clear()
        look.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
        look.page.wait_for_timeout(100)
        assert asked == [], "who is refused does not ask on"
        for plan in ("growth", "alpha"):
            look.page.click("#key-open")
            look.page.fill("#key", keys[plan])
            look.page.keyboard.press("Enter")
            if plan == "growth":
                look.until("document.getElementById('banner').textContent.includes('Alpha')")
        look.until("document.getElementById('banner').hidden && replayPage.settled() && replayPage.body()")
        assert look.text("#banner") == ""
        assert look.evaluate("() => replayPage.body().bars.length") > 0
        assert keys["alpha"] not in look.page.url
        with look.page.expect_download() as waiting:
            look.page.click("#save-json")
        assert waiting.value.suggested_filename.endswith(".json")
        look.errors.clear()  # the browser's own notes of the refusals
        look.close()


_PLAIN_FAULTS = """() => {
  const named = (each) => each.getAttribute("aria-label") || each.getAttribute("aria-labelledby") || each.labels?.length
    || each.textContent.trim() || each.title;
  const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
  const refers = [...document.querySelectorAll("[aria-describedby], [aria-labelledby], label[for]")].flatMap((each) =>
    ["aria-describedby", "aria-labelledby", "for"].flatMap((name) => (each.getAttribute(name) ?? "").split(" ").filter(Boolean)));
  return [
    ...[...document.querySelectorAll("button, input, select, canvas[tabindex], [role=region]")].filter((each) => !named(each)).map((each) => `no name: ${each.outerHTML}`),
    ...ids.filter((id, i) => ids.indexOf(id) !== i).map((id) => `twice: ${id}`),
    ...refers.filter((id) => !ids.includes(id)).map((id) => `refers to nothing: ${id}`),
    ...[...document.querySelectorAll("[style]")].filter((each) => each.getAttribute("style").includes("url")).map((each) => each.outerHTML),
    ...(document.querySelectorAll("h1").length === 1 && document.querySelector("main") && document.documentElement.lang ? [] : ["no outline"]),
  ];
}"""
_CONTRASTS = """() => {
  const light = (text) => { const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (each) => { for (let at = each; at; at = at.parentElement) { const back = getComputedStyle(at).backgroundColor;
    if (!back.endsWith(", 0)")) return back; } return "rgb(255, 255, 255)"; };
  const faults = [];
  for (const each of document.querySelectorAll("body *")) {
    if (!each.checkVisibility() || ![...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    if (each.closest("canvas, .sr, .skip, .tip")) continue;
    const [a, b] = [light(getComputedStyle(each).color), light(behind(each))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) faults.push(`${((a + 0.05) / (b + 0.05)).toFixed(2)}: ${each.tagName} ${each.textContent.trim().slice(0, 40)}`);
  }
  return faults;
}"""


@pytest.mark.parametrize("width", [390, 1280])
def test_both_themes_and_widths(browser: Any, server: Running, width: int) -> None:
    touched = {"has_touch": True, "is_mobile": True} if width == 390 else {}
    height = 844 if width == 390 else 720
    look = Look(browser, server.url, viewport={"width": width, "height": height}, **touched)
    look.go(f"{CORRECTED}&mode=delta&run=fly&as_of=2026-07-24T16:00:00Z")
    if width == 390:
        _touch(look)
    span = look.evaluate(
        "() => document.getElementById('known-at').getBoundingClientRect().bottom - document.getElementById('picture').getBoundingClientRect().top"
    )
    assert span <= height, "the picture and its sliders are seen at once"
    look.evaluate("() => document.querySelectorAll('details').forEach((each) => (each.open = true))")
    look.page.click("#help-open")
    for theme in ("light", "dark"):
        look.page.emulate_media(color_scheme=theme)
        look.settle()
        assert look.evaluate(_PLAIN_FAULTS) == []
        assert look.evaluate(_CONTRASTS) == []
    if width == 1280:
        look.page.emulate_media(forced_colors="active")
        chosen = "name => getComputedStyle(document.querySelector(`[name=mode]${name} + span`)).backgroundColor"
        assert look.evaluate(chosen, ":checked") != look.evaluate(chosen, ":not(:checked)"), "in forced colours too"
    for wide in {width, 320} if width == 390 else {width}:
        look.page.set_viewport_size({"width": wide, "height": height})
        look.settle()
        assert look.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0, (
            "it does not scroll sideways"
        )
    if width == 390:
        small = """() => [...document.querySelectorAll("main button, header button, select, input[type=range], input[type=text]")]
            .filter((each) => each.checkVisibility() && each.getBoundingClientRect().height < 43.5).map((each) => each.id)"""
        assert look.evaluate(small) == []
    look.close()


def _touch(look: Look) -> None:
    """A cell is told by a tap, and two fingers zoom."""
    box = look.page.locator("#overlay").bounding_box()
    look.page.touchscreen.tap(box["x"] + 120, box["y"] + 150)
    look.until("!document.getElementById('tip').hidden")
    whole = look.evaluate("() => replayPage.scene().prices")
    session = look.context.new_cdp_session(look.page)
    for kind, apart in (("touchStart", 30), ("touchMove", 60), ("touchMove", 90), ("touchEnd", None)):
        points = [] if apart is None else [
            {"x": box["x"] + 120, "y": box["y"] + 150 + side * apart, "id": i} for i, side in enumerate((-1, 1))
        ]  # fmt: skip
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    look.until(f"(([a, b]) => b - a < {whole[1] - whole[0]} * 0.6)(replayPage.scene().prices)")
