"""Pictures of heatmaps: what each character, label and colour says, and that nothing is said that is not so."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pytest

from replay.errors import MissingExtra
from replay.heatmap import Heatmap
from replay.levels import Levels
from replay.render.axes import in_sight, spread, strike_edges
from replay.render.html import heatmap_html
from replay.render.png import heatmap_png
from replay.render.scale import DIVERGING, SEQUENTIAL, XTERM, human, scale_of
from replay.render.terminal import heatmap_table, level_lines
from replay.sessions import LATEST, MINUTE, to_us

NEW_YORK = ZoneInfo("America/New_York")
NAN = float("nan")
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
DAY = dt.date(2026, 6, 5)


def make_heatmap(
    values: Any,
    *,
    strikes: Any,
    spot: Any,
    start: str = "14:30",
    at: Any = None,
    metric: str = "gex",
    mode: str = "raw",
    day: dt.date = DAY,
    known_at: int = LATEST,
) -> Heatmap:
    """A heatmap whose bars start ``at`` these minutes after ``start``, New York time."""
    matrix = np.array(values, float)
    first = to_us(dt.datetime.combine(day, dt.time.fromisoformat(start), NEW_YORK))
    minutes = first + MINUTE * np.array(np.arange(len(matrix)) if at is None else at, np.int64)
    path = np.array(spot, float)
    newest = float(path[-1]) if len(path) and np.isfinite(path[-1]) else None
    as_of = int(minutes[-1]) + 12_000_000 if len(minutes) else first
    return Heatmap(
        "SPY", newest, day, metric, mode, "1m", as_of, known_at, "raw",
        np.array(strikes, float), minutes, path, matrix,
    )  # fmt: skip


@pytest.fixture
def tiny() -> Heatmap:
    """Three bars with a missing minute; two sizes of 900 make the limit just 900."""
    values = [[100, -900, 0], [NAN, 450, 900], [-100, 301, 0]]
    return make_heatmap(values, strikes=[99, 100, 101], spot=[NAN, NAN, 100.4], at=[0, 1, 3])


@pytest.fixture
def full() -> Heatmap:
    """A whole session of 390 bars and 240 strikes."""
    rng = np.random.default_rng(5)
    strikes = 480.0 + np.arange(240)
    spot = 600 + np.cumsum(rng.normal(0, 0.15, 390))
    values = rng.normal(0, 1e8, (390, 240)) * np.exp(-(((strikes - 600) / 15) ** 2))
    return make_heatmap(values, strikes=strikes, spot=spot, start="09:30")


@pytest.fixture
def hour() -> Heatmap:
    """60 minutes of 75 strikes, nine of the minutes missing, a few cells not sampled, one strike always 0."""
    rng = np.random.default_rng(6)
    values = rng.normal(0, 1e8, (51, 75))
    values[3:6, 40:44] = NAN
    values[:, 39] = 0
    at = np.r_[0:20, 29:60]
    return make_heatmap(values, strikes=565.0 + np.arange(75), spot=np.full(51, 602.2), start="13:46", at=at)


@pytest.fixture
def levels() -> Levels:
    return Levels(
        "SPY",
        ts=dt.datetime(2026, 6, 5, 18, 45, 41, tzinfo=dt.UTC),
        spot=602.2,
        magnet=605.0,
        call_wall=605.0,
        put_wall=595.0,
        gamma_flip=598.36,
        max_pain=600.0,
        pin_score=63.2,
        net_gex=-1.74e9,
        net_dex=-1.23e10,
        net_vex=8.12e8,
        atm_iv=0.1821,
        expected_move=3.214,
    )


def nothing() -> Heatmap:
    return make_heatmap(np.empty((0, 0)), strikes=[], spot=[])


def table(heatmap: Heatmap, levels: Levels | None = None, **options: Any) -> list[str]:
    """The lines of the table, plain ASCII at 80 columns unless told otherwise."""
    chosen = {"width": 80, "colour": False, "unicode": False} | options
    return heatmap_table(heatmap, levels, **chosen).split("\n")


def cells(lines: list[str]) -> dict[str, tuple[str, str]]:
    """Per row label: the cells, and the value on the right."""
    found = {}
    for line in lines:
        if line.count("|") == 2:
            label, row, newest = line.split("|")
            found[label.strip()] = (row, newest.strip())
    return found


class Loads(HTMLParser):
    """What a page would load, and its texts by tag."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: list[str] = []
        self.scripts: list[str] = []
        self.words = ""
        self._tag = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._tag = tag
        if tag == "script":
            self.scripts.append("")
        self.sources += [value or "" for name, value in attrs if name in {"src", "href", "data", "srcset"}]

    def handle_data(self, data: str) -> None:
        if self._tag == "script":
            self.scripts[-1] += data
        elif self._tag != "style":
            self.words += data

    def handle_endtag(self, tag: str) -> None:
        if tag == self._tag:
            self._tag = ""


def read_page(page: bytes) -> tuple[Loads, dict[str, Any]]:
    loads = Loads()
    loads.feed(page.decode())
    given = re.search(r"const page = (\{.*\});\n", loads.scripts[-1]) if loads.scripts else None
    return loads, orjson.loads(given[1]) if given else {}


class TestNumbers:
    @pytest.mark.parametrize(
        ("value", "signed", "text"),
        [
            (812_345_678, True, "+812M"),
            (-1.2e9, True, "-1.2B"),
            (45_300, False, "45.3k"),
            (0.0, True, "0"),
            (-0.0, True, "0"),
            (999_600, False, "1M"),
            (999.4, False, "999"),
            (-12.34, False, "-12.3"),
            (0.0123, True, "+0.012"),
            (-2.5e-7, True, "-2e-07"),
            (4.2e12, True, "+4.2T"),
            (3e15, True, "+3e+15"),
            (NAN, True, ""),
            (float("inf"), True, ""),
        ],
    )
    def test_reads_in_three_digits(self, value: float, signed: bool, text: str) -> None:
        assert human(value, signed=signed) == text
        assert len(text) <= 6


class TestScale:
    def test_is_symmetric_and_robust(self) -> None:
        values = np.r_[np.zeros(500), np.arange(1.0, 101.0), [NAN]]
        values[-2] = 1e9  # an outlier in place of 100
        heatmap = make_heatmap(values[None, :], strikes=np.arange(len(values)), spot=[5])
        scale = scale_of(heatmap)
        # the 98th of 1..99 and the outlier: rank 97.02 of 0..99 lies just over 98
        assert scale.limit == pytest.approx(98.02)
        assert (scale.low, scale.high) == (-scale.limit, scale.limit)
        assert "98th percentile" in scale.sentence()

    def test_open_interest_starts_at_zero_but_its_changes_have_a_sign(self) -> None:
        values = [[50_000, 60_000], [50_010, 59_980], [50_020, 59_960]]
        interest = make_heatmap(values, strikes=[1, 2], spot=[1, 1, 1], metric="oi")
        assert (scale_of(interest).low, scale_of(interest).signed) == (0.0, False)
        changes = scale_of(dataclasses.replace(interest, mode="delta"))
        assert changes.signed
        assert changes.limit == pytest.approx(20)  # not the levels that the first bar holds

    def test_colours_run_from_stop_to_stop(self, tiny: Heatmap) -> None:
        scale = scale_of(tiny)
        got = scale.colours(np.array([-900.0, -5000.0, 0.0, 900.0, NAN])).tolist()
        assert [tuple(rgb) for rgb in got] == [
            DIVERGING[0], DIVERGING[0], DIVERGING[5], DIVERGING[10], DIVERGING[5],
        ]  # fmt: skip
        assert tuple(scale.colours(np.array([350.0]), stepped=True)[0].tolist()) == DIVERGING[7]

    def test_palettes_are_darker_the_further_from_zero_and_not_red_and_green(self) -> None:
        def light(rgb: tuple[int, int, int]) -> float:
            return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]

        for arm in (DIVERGING[5::-1], DIVERGING[5:], SEQUENTIAL):
            lights = [light(rgb) for rgb in arm]
            assert lights == sorted(lights, reverse=True)
        assert all(red >= blue for red, _, blue in DIVERGING[:5])
        assert all(blue > red for red, _, blue in DIVERGING[6:])
        assert set(XTERM) == {*DIVERGING, *SEQUENTIAL}


class TestTable:
    def test_each_character_says_sign_and_size(self, tiny: Heatmap) -> None:
        # ninths of 900: 100 is 1, -900 i, 450 (4.5 ninths) 5, 301 (just over 3) under the spot, -100 a
        assert cells(table(tiny)) == {"101": ("09 0", "0"), "100": ("i5 o", "+301"), "99": ("1. a", "-100")}

    def test_strikes_fall_and_the_legend_says_all(self, tiny: Heatmap) -> None:
        lines = table(tiny)
        assert list(cells(lines)) == ["101", "100", "99"]
        text = " ".join(line.strip() for line in lines)
        for said in (
            "SPY 2026-06-05 gex",
            "USD of delta per 1 % move",
            "mode raw",
            "as of 14:33:12 New York",
            "known at latest",
            "tier raw",
            "1m bars, 14:30 to 14:33",
            "scale -900 to +900, the 98th percentile",
            "1-9 above 0, a-i below 0",
            "0 zero",
            ". not sampled",
            "o spot",
            "blank column no bar",
        ):
            assert said in text
        assert "coarsened" not in text

    def test_known_at_is_told_in_new_york_time(self, tiny: Heatmap) -> None:
        same = dataclasses.replace(tiny, known_at=tiny.as_of)
        later = dataclasses.replace(tiny, known_at=tiny.as_of + 24 * 60 * MINUTE)
        assert "known at 14:33:12, tier raw" in " ".join(table(same, width=200))
        assert "known at 2026-06-06 14:33:12, tier raw" in " ".join(table(later, width=200))

    @pytest.mark.parametrize("width", [40, 80, 120, 200])
    @pytest.mark.parametrize("unicode", [False, True])
    def test_no_line_is_wider_than_the_terminal(
        self, full: Heatmap, hour: Heatmap, levels: Levels, width: int, unicode: bool
    ) -> None:
        for heatmap in (full, hour, nothing(), full.resample("30m")):
            for colour in (False, True):
                lines = table(heatmap, levels, width=width, unicode=unicode, colour=colour)
                assert max(len(ESCAPE.sub("", line)) for line in lines) <= width

    def test_ascii_is_ascii_and_plain_has_no_escapes(self, hour: Heatmap, levels: Levels) -> None:
        assert "\n".join(table(hour, levels)).isascii()
        assert "\x1b" not in "\n".join(table(hour, levels, unicode=True))
        assert "●" in "\n".join(table(hour, levels, unicode=True))

    @pytest.mark.parametrize(("width", "bar", "columns"), [(40, "15m", 26), (80, "6m", 65), (200, "3m", 130)])
    def test_coarsens_to_the_shortest_bar_that_fits_and_says_so(
        self, full: Heatmap, width: int, bar: str, columns: int
    ) -> None:
        lines = table(full, width=width)
        text = " ".join(line.strip() for line in lines)
        assert f"{bar} bars, 09:" in text
        assert "coarsened from 1m to fit the width, the last of each" in text
        rows = cells(lines)
        assert {len(row) for row, _ in rows.values()} == {columns}
        newest = dict(zip(full.strikes.tolist(), full.values[-1].tolist(), strict=True))
        assert rows["600"][1] == human(newest[600.0], signed=True)

    def test_flow_is_summed_where_it_is_coarsened(self, full: Heatmap) -> None:
        flow = dataclasses.replace(full, metric="signed_flow")
        lines = table(flow)
        assert "the sum of each" in " ".join(line.strip() for line in lines)
        at = full.strikes.tolist().index(600.0)
        assert cells(lines)["600"][1] == human(float(full.levels[-6:, at].sum()), signed=True)

    def test_a_missing_minute_is_a_column_and_not_sampled_is_not_zero(self, hour: Heatmap) -> None:
        rows = cells(table(hour, height=100))
        assert {len(row) for row, _ in rows.values()} == {60}
        assert all(row[20:29] == " " * 9 for row, _ in rows.values())
        assert rows["607"][0][3:6] == "..."
        assert set(rows["604"][0].replace(" ", "")) == {"0"}
        assert "0" not in rows["603"][0]

    @pytest.mark.parametrize("day", [DAY, dt.date(2026, 1, 5)])
    @pytest.mark.parametrize("width", [40, 80, 120, 200])
    def test_times_stand_under_their_columns_and_apart(self, full: Heatmap, width: int, day: dt.date) -> None:
        heatmap = make_heatmap(full.levels, strikes=full.strikes, spot=full.spot, start="09:30", day=day)
        lines = table(heatmap, width=width)
        step = int(re.search(r"(\d+)m bars", "\n".join(lines))[1])  # type: ignore[index]  # the legend has it
        clock = next(i for i, line in enumerate(lines) if re.fullmatch(r"[\s\d:]+", line) and ":" in line)
        corner = lines[clock - 1].index("+")
        ticks = [m.start() for m in re.finditer(r"\+", lines[clock - 1])][1:-1]
        labels = [(m.start(), m[0]) for m in re.finditer(r"\S+", lines[clock])]
        assert [at for at, _ in labels] == ticks
        assert len(labels) >= 2
        first = heatmap.resample(f"{step}m").minutes[0] if step > 1 else heatmap.minutes[0]
        for at, text in labels:
            start = dt.datetime.fromtimestamp(int(first) / 1e6, NEW_YORK) + dt.timedelta(
                minutes=step * (at - corner - 1)
            )
            told = dt.datetime.combine(day, dt.time.fromisoformat(text), NEW_YORK)
            assert start <= told < start + dt.timedelta(minutes=step)

    def test_levels_are_marked_on_the_nearest_strike(self, hour: Heatmap, levels: Levels) -> None:
        lines = table(hour, levels)
        rows = cells(lines)
        assert {"605 MC", "595 P", "598 F", "600"} <= set(rows)
        told = "levels 14:45:41: M magnet 605, C call wall 605, P put wall 595, F cumulated flip 598.36"
        assert told in " ".join(line.strip() for line in lines)
        far = dataclasses.replace(levels, magnet=9000.0)
        assert "605 C" in cells(table(hour, far))

    def test_strikes_nearest_spot_fill_the_height_and_the_rest_is_counted(self, full: Heatmap) -> None:
        lines = table(full, height=30)
        rows = [float(label) for label in cells(lines)]
        assert len(lines) == 30
        assert rows == sorted(rows, reverse=True)
        nearest = sorted(full.strikes.tolist(), key=lambda strike: abs(strike - full.spot[-1]))[: len(rows)]
        assert set(rows) == set(nearest)
        above, below = int(719 - rows[0]), int(rows[-1] - 480)
        text = "\n".join(lines)
        assert f"^ {above} more strikes above" in text
        assert f"v {below} more strikes below" in text
        assert len(cells(table(full, height=3))) == 5
        assert len(cells(table(full))) == 40

    def test_strikes_keep_their_halves(self) -> None:
        lines = table(make_heatmap([[1, 2, 3]], strikes=[99.5, 100, 100.5], spot=[100]))
        assert list(cells(lines)) == ["100.5", "100.0", "99.5"]

    @pytest.mark.parametrize("colour", [False, True])
    @pytest.mark.parametrize("metric", ["gex", "oi"])
    @pytest.mark.parametrize(
        ("values", "strikes", "glyphs"),
        [([[7.0]], [100], "9"), ([[0.0, 0.0]], [100, 101], "0"), ([[NAN], [NAN]], [100], ".")],
        ids=["one cell", "all zero", "none sampled"],
    )
    def test_the_smallest_heatmaps(
        self, values: Any, strikes: list[float], glyphs: str, metric: str, colour: bool
    ) -> None:
        heatmap = make_heatmap(values, strikes=strikes, spot=[NAN] * len(values), metric=metric)
        lines = table(heatmap, Levels("SPY"), colour=colour)
        if not colour:
            assert {character for row, _ in cells(lines).values() for character in row} == set(glyphs)
        if glyphs != "9":
            assert "scale no value other than 0" in lines

    def test_an_empty_heatmap_is_a_sentence(self) -> None:
        text = " ".join(line.strip() for line in table(nothing(), width=40))
        assert text == (
            "SPY 2026-06-05 gex: no samples in the window up to 14:30 New York (known at latest, tier raw)."
        )

    def test_a_delta_says_that_it_starts_with_a_level(self, tiny: Heatmap) -> None:
        delta = " ".join(table(dataclasses.replace(tiny, mode="delta"), width=200))
        assert "mode delta" in delta
        assert "the first bar is the level itself" in delta

    def test_colours_are_the_scales(self, tiny: Heatmap) -> None:
        lines = table(tiny, colour=True)
        row = next(line for line in lines if line.startswith("100"))
        low = ";".join(map(str, DIVERGING[0]))
        assert f"\x1b[48;2;{low}m \x1b[0m" in row
        assert "o" in ESCAPE.sub("", row)
        plain = [ESCAPE.sub("", line) for line in lines]
        assert cells(plain)["99"] == (" .  ", "-100")
        assert any(line.startswith("-900 ") and line.endswith(" +900") for line in plain)

    def test_older_terminals_get_the_palette_of_256(self, tiny: Heatmap) -> None:
        text = "\n".join(table(tiny, colour=True, truecolor=False))
        used = {int(number) for number in re.findall(r"48;5;(\d+)m", text)}
        assert {XTERM[DIVERGING[0]], XTERM[DIVERGING[5]]} <= used <= set(XTERM.values())
        assert "48;2;" not in text


class TestLevelLines:
    def test_names_units_and_what_is_not_known(self, levels: Levels) -> None:
        text = level_lines(levels)
        assert max(map(len, text.split("\n"))) <= 80
        told = re.sub(" +", " ", text)
        for said in (
            "SPY levels at 14:45:41 New York, 2026-06-05",
            "spot 602.20 USD",
            "call wall 605.00 USD",
            "cumulated flip 598.36 USD",
            "max pain 600.00 USD",
            "expected move 3.21 USD",
            "net gex -1.74B USD of delta per 1 % move",
            "net chex not known",
            "atm iv 18.2 % a year",
            "pin score 63 of 100",
        ):
            assert said in told

    def test_the_longest_fit(self, levels: Levels) -> None:
        long = dataclasses.replace(levels, spot=23456.78, max_pain=23000.0, net_chex=-81.2e6)
        assert max(map(len, level_lines(long).split("\n"))) <= 80

    def test_without_a_snapshot(self) -> None:
        assert level_lines(Levels("SPY")) == "SPY levels: no snapshot is visible, so none is known"


class TestPage:
    def test_loads_nothing_and_is_the_same_each_time(self, hour: Heatmap, levels: Levels) -> None:
        page = heatmap_html(hour, levels)
        assert page == heatmap_html(hour, levels)
        loads, _ = read_page(page)
        assert loads.sources == []
        assert not {"link", "img", "iframe", "object", "base"} & set(loads.tags)
        assert b"default-src 'none'" in page
        assert b"@import" not in page[: page.index(b"<script>")]

    def test_says_what_is_shown(self, hour: Heatmap, levels: Levels) -> None:
        words = read_page(heatmap_html(hour, levels))[0].words
        for said in (
            "SPY 2026-06-05 gex",
            "USD of delta per 1 % move",
            "as of 14:45:12 New York",
            "known at latest",
            "tier raw",
            "1m bars, 13:46 to 14:45",
            "98th percentile",
            "not sampled, or no bar",
            "cumulated flip",
        ):
            assert said in words

    def test_time_is_a_true_axis_and_not_sampled_is_null(self, hour: Heatmap, levels: Levels) -> None:
        _, page = read_page(heatmap_html(hour, levels))
        trace, _, path = page["data"]
        assert (trace["x0"], trace["dx"]) == ("2026-06-05T13:46:30.000", 60_000)
        z = np.array(trace["z"], float)
        assert z.shape == (75, 60)
        assert np.isnan(z[:, 20:29]).all()
        assert np.isnan(z[40:44, 3:6]).all()
        assert (z[39, :20] == 0).all()
        kept = ~np.isnan(z[0])
        assert z[:, kept] == pytest.approx(hour.values.T, rel=1e-6, nan_ok=True)
        assert trace["zmin"] == -trace["zmax"]
        assert trace["colorbar"]["ticktext"][-1] == f"≥ {human(trace['zmax'], signed=True)}"
        assert page["layout"]["xaxis"]["range"] == ["2026-06-05T13:46:00.000", "2026-06-05T14:46:00.000"]
        assert path["x"][:2] == ["2026-06-05T13:46:00.000", "2026-06-05T13:47:00.000"]
        assert path["y"][40:58] == [None] * 18
        assert page["columns"][20] == ["14:06", "not known"]
        assert page["columns"][29] == ["14:15", "602.2"]

    def test_levels_are_lines_with_labels_apart(self, hour: Heatmap, levels: Levels) -> None:
        layout = read_page(heatmap_html(hour, levels))[1]["layout"]
        drawn = {shape["y0"]: shape["line"]["dash"] for shape in layout["shapes"] if "dash" in shape["line"]}
        assert drawn == {605.0: "solid", 595.0: "dashdot", 598.36: "dot"}
        texts = [note["text"] for note in layout["annotations"]]
        assert texts == ["put wall 595", "cumulated flip 598.36", "spot 602.2", "magnet, call wall 605"]
        low, high = layout["yaxis"]["range"]
        heights = [note["y"] / (high - low) * 440 + note["yshift"] for note in layout["annotations"]]
        assert min(np.diff(heights)) >= 15

    def test_opens_on_the_strikes_around_spot(self, full: Heatmap) -> None:
        page = read_page(heatmap_html(full, None))[1]
        low, high = page["layout"]["yaxis"]["range"]
        assert 80 <= high - low < 120
        assert low < full.spot.min() <= full.spot.max() < high
        assert len(page["data"][0]["z"]) == 240

    def test_escapes_the_title(self, tiny: Heatmap) -> None:
        page = heatmap_html(tiny, None, title='</title><script>alert("1 & 2")</script>')
        loads, _ = read_page(page)
        assert len(loads.scripts) == 2
        assert b"&lt;script&gt;alert(&quot;1 &amp; 2&quot;)" in page
        assert b"<script>alert" not in page
        assert "SPY 2026-06-05 gex" in loads.words

    def test_data_cannot_end_its_script(self, tiny: Heatmap) -> None:
        loads, page = read_page(heatmap_html(tiny, None))
        assert "<" not in orjson.dumps(page["strikes"]).decode()
        assert "\\u003c" in loads.scripts[-1]
        assert "<br>" in page["data"][0]["hovertemplate"]

    def test_an_empty_heatmap_is_a_sentence(self) -> None:
        loads, page = read_page(heatmap_html(nothing(), None, title="<b>"))
        assert "no samples in the window up to 14:30 New York" in loads.words
        assert page == {}
        assert "b" not in loads.tags

    def test_one_cell(self) -> None:
        page = read_page(heatmap_html(make_heatmap([[0.0]], strikes=[100], spot=[NAN]), Levels("SPY")))[1]
        assert (page["data"][0]["y0"], page["data"][0]["zmin"], page["data"][0]["zmax"]) == (100, -1, 1)

    def test_without_plotly(self, tiny: Heatmap, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "plotly.offline", None)
        with pytest.raises(MissingExtra, match=r"\[plot\]"):
            heatmap_html(tiny, None)


class TestPicture:
    def test_is_a_png_and_the_same_each_time(self, hour: Heatmap, levels: Levels) -> None:
        picture = heatmap_png(hour, levels)
        assert picture == heatmap_png(hour, levels)
        assert picture.startswith(b"\x89PNG\r\n\x1a\n")
        assert (int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])) == (1536, 912)
        assert b"Software" not in picture

    def test_a_bar_is_as_wide_as_its_time(self) -> None:
        values = [[9.0, 9.0], [-9.0, NAN], [9.0, 0.0]]
        pixels = self.pixels(make_heatmap(values, strikes=[100, 110], spot=[NAN] * 3, at=[0, 1, 3]))
        top, bottom = pixels[300], pixels[600]
        # the plot spans 0.06 to 0.815 of 1536 pixels, four minutes wide
        middles = [int(1536 * (0.06 + 0.755 * (i + 0.5) / 4)) for i in range(4)]
        grey = (217, 220, 225)
        assert [tuple(bottom[x]) for x in middles] == [DIVERGING[10], DIVERGING[0], grey, DIVERGING[10]]
        assert [tuple(top[x]) for x in middles] == [DIVERGING[10], grey, grey, DIVERGING[5]]

    def test_does_not_depend_on_settings(self, tiny: Heatmap) -> None:
        import matplotlib as mpl

        expected = heatmap_png(tiny, None)
        with mpl.rc_context({"font.size": 30, "axes.grid": True}):
            assert heatmap_png(tiny, None) == expected
            assert mpl.rcParams["font.size"] == 30
        assert "matplotlib.pyplot" not in sys.modules

    @pytest.mark.parametrize("metric", ["gex", "oi"])
    @pytest.mark.parametrize("values", [[[7.0]], [[0.0]], [[NAN]]], ids=["one", "zero", "not sampled"])
    def test_the_smallest_heatmaps(self, values: Any, metric: str, levels: Levels) -> None:
        heatmap = make_heatmap(values, strikes=[600], spot=[600.2], metric=metric)
        assert heatmap_png(heatmap, levels) == heatmap_png(heatmap, levels)

    def test_an_empty_heatmap_is_a_picture_too(self) -> None:
        assert heatmap_png(nothing(), None).startswith(b"\x89PNG")

    def test_without_matplotlib(self, tiny: Heatmap, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(MissingExtra, match=r"\[plot\]"):
            heatmap_png(tiny, None)

    @staticmethod
    def pixels(heatmap: Heatmap) -> list[list[list[int]]]:
        from matplotlib.image import imread

        read: Any = imread(io.BytesIO(heatmap_png(heatmap, None)), format="png")
        found: list[list[list[int]]] = np.rint(read[:, :, :3] * 255).astype(int).tolist()
        return found


class TestAxes:
    def test_edges_of_irregular_strikes_are_midpoints(self) -> None:
        assert strike_edges(np.array([90.0, 100.0, 105.0, 106.0])).tolist() == [85, 95, 102.5, 105.5, 106.5]
        assert strike_edges(np.array([100.0])).tolist() == [99.5, 100.5]

    def test_without_a_spot_the_largest_value_is_in_sight(self) -> None:
        heatmap = make_heatmap([[0, 0, 0, NAN, 0, 0, -9, 1]], strikes=np.arange(8), spot=[NAN])
        assert in_sight(heatmap, None, 3) == slice(5, 8)

    def test_labels_are_moved_no_further_than_needed(self) -> None:
        assert spread([0, 10, 20], 5) == [0, 10, 20]
        assert spread([10, 10], 4) == [8, 12]
        assert spread([0, 10, 11, 12], 4) == [0, 7, 11, 15]
        assert spread([], 4) == []

    def test_importing_the_pictures_is_light(self) -> None:
        heavy = "{'rich', 'plotly', 'matplotlib', 'duckdb', 'click', 'polars'}"
        pictures = "replay.render.terminal, replay.render.html, replay.render.png"
        code = f"import sys, {pictures}; print({heavy} & set(sys.modules))"
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert ran.stdout.strip() == "set()"
