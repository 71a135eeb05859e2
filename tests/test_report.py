"""The report as its reader sees it: the page, the text, the commands, and the page in a real browser."""

from __future__ import annotations

import html
import json
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

import replay
from replay.cli import main
from replay.queries import shipped
from replay.render.report import report_html
from replay.render.report_text import WIDTH, report_text
from replay.results.report import make_report
from replay.results.traded import traded
from tests.test_page import CHROMIUM, QUIET
from tests.traded_runs import made, write

LAKE = str(shipped("fixtures") / "lake")
BASE = ["--lake", LAKE, "--symbol", "SPY"]
HEADINGS = (
    "Red flags", "Profit by how fills are priced", "Metrics", "Beside other runs", "Over time", "Where it was made",
    "Fills and misses", "Settlement", "Trades",
)  # fmt: skip


def command(*arguments: str | pathlib.Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """``fly`` and ``coin`` over the sessions that ship, the fly with its page beside the coin."""
    root = tmp_path_factory.mktemp("runs")
    done = command("backtest", "coin", *BASE, "--out", root / "coin", "--seed", "3")
    assert done.exit_code == 0, done.stderr
    done = command("backtest", "pin_fly", *BASE, "--out", root / "fly", "--trials", "4", "--compare", root / "coin")
    assert done.exit_code == 0, done.stderr
    (root / "fly.err").write_text(done.stderr)
    return root


@pytest.fixture(scope="module")
def page(runs: pathlib.Path) -> str:
    return (runs / "fly" / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def lake() -> Iterator[replay.Lake]:
    with replay.open_lake(LAKE) as opened:
        yield opened


def shown(page: str) -> str:
    """A page's text, without scripts, styles and tags."""
    bare = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", bare)))


def test_the_page_says_everything_and_flags_first(page: str, runs: pathlib.Path) -> None:
    assert tuple(re.findall(r"<h2>(.*?)</h2>", page)) == HEADINGS
    text = shown(page)
    trading = json.loads((runs / "fly" / "run.json").read_text())["trading"]
    for way in ("profit", "mid", "touch", "worst"):
        assert f"{trading[way]:,.2f}" in text
    assert "fewer than 30" in text
    assert "4 parameter sets tried" in text
    assert "annualised by sqrt(252), sessions as days, no risk-free rate" in text
    assert "4,000 resamples of sessions, which are taken as exchangeable" in text
    assert "fly less it, mean a session" in text
    assert text.index("Red flags") < text.index("Total")


def test_the_page_is_one_file_that_loads_nothing(page: str) -> None:
    assert "default-src 'none'" in page
    bare = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"(src|href)=|url\(|@import", bare)
    assert page.count("<script>") == 2
    assert len(page) < 7_000_000


def test_every_chart_has_a_name_and_words(page: str, runs: pathlib.Path) -> None:
    places = re.findall(r'<div class="chart" id="(chart-\d+)" role="img" aria-label="([^"]+)"', page)
    assert len(places) >= 12, "six drawn sessions, curves, and six of the run"
    assert all(len(label) > 40 for _, label in places)
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert len(captions) >= len(places)
    assert all(captions)
    charts = json.loads(page.rpartition("const charts = ")[2].partition(";\n")[0])
    assert [chart["id"] for chart in charts] == [name for name, _ in places]
    drawn = [chart for chart in charts if chart["data"][0]["type"] == "heatmap"]
    assert len(drawn) == 6
    lines = {trace["y"][0] for trace in drawn[0]["data"] if trace.get("line", {}).get("width") == 3}
    legs = traded(runs / "fly").trades["legs"][0]
    assert lines == {float(each[:-1]) for each in legs.split()[1::2]}


def test_the_same_run_gives_the_same_bytes(
    page: str, runs: pathlib.Path, lake: replay.Lake, tmp_path: pathlib.Path
) -> None:
    again = command(
        "backtest", "pin_fly", *BASE, "--out", tmp_path / "fly", "--trials", "4", "--compare", runs / "coin"
    )
    assert again.exit_code == 0
    assert (tmp_path / "fly" / "report.html").read_text(encoding="utf-8") == page
    assert replay.report(runs / "fly", lake, compare=[runs / "coin"]).decode() == page
    done = command("report", runs / "fly", "--compare", runs / "coin", "--lake", LAKE, "--out", tmp_path / "page.html")
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page


def test_without_the_lake_trades_are_listed_and_not_drawn(runs: pathlib.Path) -> None:
    page = replay.report(runs / "fly").decode()
    assert "Trades are not drawn: the page was made without the lake." in page
    assert "Beside other runs" not in page
    assert '"type":"heatmap"' not in page.rpartition("const charts")[2]
    assert "All trades" in page


def test_odd_runs_have_pages() -> None:
    """Nothing settled, nothing won, no trade, a year of sessions; and names that are no HTML."""
    for run in (made([None]), made([0.0]), made([5.0] * 3), made([1.0, -2.0] * 126), made([1.0], trades=[], ledger=[])):
        found = make_report(run)
        assert "Red flags" in report_html(found, "").decode()
        assert max(map(len, report_text(found).splitlines())) <= WIDTH
        json.dumps(found.to_dict(), allow_nan=False)
    strategy = {"name": "<b>&", "source_sha256": None, "parameters": {"x": "</script><i>"}}
    page = report_html(make_report(made([1.0], strategy=strategy)), "").decode()
    assert "<b>&" not in page
    assert "<i>" not in page.replace('<i>week of</i>', "").replace("<i>not settled</i>", "")  # fmt: skip


def test_a_long_run_lists_the_last_and_draws_few_points() -> None:
    run = make_report(made([1.0, -2.0, 3.0] * 120))
    page = report_html(run, "").decode()
    assert "The last 300 of 360 sessions" in page
    assert "The last 300 of 360 trades" in page
    assert page.count('<table class="calendar">') == 3, "half a year each, 73 weeks"
    assert len(page) < 400_000


def test_the_summary_after_a_run(runs: pathlib.Path) -> None:
    lines = (runs / "fly.err").read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("written to")) + 1
    assert lines[first].startswith("RED FLAG  Few trades: 6 trades")
    assert max(map(len, lines[first:])) <= WIDTH
    rows = {line[:24].strip(): line[24:].split() for line in lines[first:]}
    assert rows["USD after fees"] == ["as", "filled", "mid", "touch", "worst"]
    trading = json.loads((runs / "fly" / "run.json").read_text())["trading"]
    total = next(line for line in lines[first:] if line.startswith("Total"))
    assert total.split()[1:] == [f"{trading[way]:,.2f}" for way in ("profit", "mid", "touch", "worst")]
    assert "side by side                       fly          coin" in lines


def test_the_summary_names_unsettled_sessions() -> None:
    text = report_text(make_report(made([5.0, None, 4.0])))
    assert "not settled, in none of the numbers: 2026-01-05" in text


def test_formats(runs: pathlib.Path) -> None:
    done = command("report", runs / "fly", "--compare", runs / "coin")
    told = json.loads(done.stdout)
    assert told["profit"]["worst"]["total"] == json.loads((runs / "fly" / "run.json").read_text())["trading"]["worst"]
    assert told["trials"] == 4
    assert told["compared"][0]["name"] == "coin"
    assert told["method"] == {
        "level": 0.95, "resamples": 4000, "seed": 0, "bootstrap": told["method"]["bootstrap"],
        "annualised": "annualised by sqrt(252), sessions as days, no risk-free rate",
    }  # fmt: skip
    text = command("report", runs / "fly", "--format", "table").stdout
    assert text == report_text(make_report(runs / "fly"))
    both = command("report", runs / "fly", "--compare", runs / "coin", "--compare", runs / "coin", "--format", "table")
    assert "coin (2)" in both.stdout


def test_an_audit_in_the_folder_counts(runs: pathlib.Path, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "fly"
    shutil.copytree(runs / "fly", folder)
    day = ["--from", "2026-07-24", "--to", "2026-07-24", "--sample", "1", "--step", "30m"]
    done = command("audit", "pin_fly", *BASE, *day, "--format", "json", "--out", folder / "audit.json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(command("report", folder).stdout)
    found = next(each for each in told["flags"] if each["id"] == "audit")
    assert (found["severity"], found["says"][:13]) == ("clear", "No leak found")


@pytest.mark.parametrize("form", ["table", "json", "html"])
def test_errors_are_one_line_that_names_the_file(form: str, runs: pathlib.Path, tmp_path: pathlib.Path) -> None:
    broken = write(made([1.0]), tmp_path / "broken")
    (broken / "trades.parquet").write_text("no")
    early = write(made([1.0], status="failed"), tmp_path / "early")
    for arguments, says in (
        ((tmp_path / "none",), "none is no folder of a run"),
        ((tmp_path,), "run.json is missing"),
        ((broken,), "trades.parquet cannot be read"),
        ((early,), "not complete but failed"),
        ((runs / "fly", "--compare", broken), "trades.parquet cannot be read"),
    ):
        done = command("report", *arguments, "--format", form)
        assert (done.exit_code, done.stdout) == (2, "")
        assert says in done.stderr
        assert done.stderr.startswith("error: invalid_run: ")
        assert done.stderr.count("\n") == 1


def test_another_lake_is_refused(runs: pathlib.Path, tmp_path: pathlib.Path) -> None:
    other = tmp_path / "lake"
    shutil.copytree(LAKE, other)
    shutil.rmtree(other / "tier=raw" / "symbol=SPY" / "date=2026-05-12")
    done = command("report", runs / "fly", "--lake", other, "--format", "html")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "date=2026-05-12" in done.stderr


def test_a_run_is_not_begun_beside_what_cannot_be_read(tmp_path: pathlib.Path) -> None:
    done = command("backtest", "coin", *BASE, "--out", tmp_path / "coin", "--compare", tmp_path / "none")
    assert done.exit_code == 2
    assert not (tmp_path / "coin").exists()


def test_a_run_without_orders_has_no_report(runs: pathlib.Path, tmp_path: pathlib.Path) -> None:
    day = ["--from", "2026-07-24", "--step", "1h"]
    done = command("run", "levels", *BASE, *day, "--out", tmp_path / "levels", "--compare", runs / "coin")
    assert done.exit_code == 0
    assert "note: no order was sent, so there is nothing to compare" in done.stderr
    assert not (tmp_path / "levels" / "report.html").exists()
    assert "sent no order" in command("report", tmp_path / "levels").stderr


def test_without_plotly_the_run_goes_on_and_says_so(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    done = command("backtest", "coin", *BASE, "--from", "2026-07-24", "--out", tmp_path / "coin")
    assert done.exit_code == 0
    assert "note: report.html is not written: an HTML page needs the extra [plot]" in done.stderr
    assert (tmp_path / "coin" / "ledger.parquet").exists()
    assert not (tmp_path / "coin" / "report.html").exists()


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine to open the page with")
def test_the_page_fits_a_phone_and_a_desk(runs: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """In frames of both widths: all is drawn, nothing is wider than the frame, and nothing is wrong in the console."""
    watch = (
        "<script>addEventListener('error', e => parent.postMessage('error ' + e.message, '*'));"
        "addEventListener('load', () => setTimeout(() => { const root = document.documentElement;"
        "const wide = [...document.querySelectorAll('body *')].filter(e => e.closest('svg') === null &&"
        " !e.closest('.calendar') && e.getBoundingClientRect().right > innerWidth + 1).length;"
        "parent.postMessage(`${innerWidth} scroll ${root.scrollWidth} wide ${wide} drawn "
        "${document.querySelectorAll('.chart:has(.main-svg)').length}`, '*'); }, 3000));</script></body>"
    )
    page = (runs / "fly" / "report.html").read_text(encoding="utf-8")
    charts = page.count('class="chart"')
    (tmp_path / "page.html").write_text(page.replace("</body>", watch), encoding="utf-8")
    frames = "".join(
        f'<iframe src="page.html" style="border:0;width:{width}px;height:900px"></iframe>' for width in (390, 1280)
    )
    listen = "<script>addEventListener('message', e => document.body.append(' [' + e.data + ']'))</script>"
    (tmp_path / "frames.html").write_text(f"<!doctype html><body>{listen}{frames}</body>")
    done = subprocess.run(
        [str(CHROMIUM), *QUIET, "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
         (tmp_path / "frames.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    said = re.findall(r"\[([^\]]*)\]", done.stdout.partition("</iframe>")[2])
    found = {int(each.split()[0]): each.split() for each in said if "scroll" in each}
    assert not [each for each in said if each.startswith("error")]
    assert "CONSOLE" not in done.stderr, done.stderr[-2000:]
    assert sorted(found) == [390, 1280], done.stdout[-2000:]
    for width, words in found.items():
        assert int(words[2]) <= width
        assert int(words[4]) == 0, "elements beyond the right edge"
        assert int(words[6]) == charts
