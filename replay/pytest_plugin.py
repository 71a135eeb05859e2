"""A pytest plugin: ``golden_heatmap`` compares a heatmap of the lake with a golden file beside the test.

Loaded in every test run of whoever has this package, so nothing heavy is imported before the fixture is used.
"""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from replay.lake import Lake

_FOLDER = "goldens"
_REPORTS = "golden-differences"
_WORST = 10


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options ``--golden-update`` and ``--golden-lake``, and the setting ``golden_lake``."""
    group = parser.getgroup("replay", "golden heatmaps")
    group.addoption("--golden-update", action="store_true", help="write golden heatmaps in place of comparing them")
    group.addoption("--golden-lake", metavar="DIR", help="the lake that golden heatmaps are rebuilt from")
    parser.addini("golden_lake", "the lake that golden heatmaps are rebuilt from, relative to the root folder")


class GoldenHeatmap:
    """Compares heatmaps with golden files; what the fixture ``golden_heatmap`` hands to a test."""

    def __init__(self, lake: Lake, folder: pathlib.Path, reports: pathlib.Path, *, update: bool) -> None:
        self._lake = lake
        self._folder = folder
        self._reports = reports
        self._update = update

    def __call__(
        self,
        symbol: str,
        as_of: Any,
        metric: str = "gex",
        mode: str = "raw",
        minutes: int = 60,
        known_at: Any = None,
        tier: str | None = None,
        *,
        gaps: bool = False,
        absolute: float = 0.0,
        relative: float = 0.0,
    ) -> None:
        """Fail unless the heatmap is that of the golden file, which ``--golden-update`` writes.

        Arguments as for :meth:`replay.Lake.heatmap`; a value may be off by the larger of ``absolute`` and
        ``relative`` times the golden one.
        """
        __tracebackhide__ = True
        from replay import contract, golden
        from replay.golden.difference import Tolerance
        from replay.regenerate import Request

        name = contract.normalise_symbol(symbol)
        when, known = golden.moment_of(as_of), None if known_at is None else golden.moment_of(known_at)
        request = Request(name, when, metric, mode, contract.check_minutes(minutes), known, tier, gaps)
        path = self._folder / f"{request.name}.json"
        data = golden.answer(request, self._lake)
        if self._update:
            if not path.is_file() or path.read_bytes() != data:
                golden.write_whole(path, data)
            return
        if not path.is_file():
            pytest.fail(f"no golden file {path}; run pytest with --golden-update to write it", pytrace=False)
        if path.read_bytes() == data:
            return
        near = Tolerance(absolute, relative)
        tolerances = dict.fromkeys((*contract.METRICS, "spot"), near)
        comparison = golden.compare(request, golden.read_golden(path), data, tolerances, path)
        if comparison:
            self._fail(golden.Check(request.name, "differs", path, comparison))

    def _fail(self, check: Any) -> None:
        __tracebackhide__ = True
        worst = check.comparison.differences
        lines = [f"{check.name}: {len(worst):,} differences from {check.path}"]
        lines += [f"  {each}" for each in worst[:_WORST]]
        if len(worst) > _WORST:
            lines.append(f"  and {len(worst) - _WORST:,} more")
        lines.append(self._report(check))
        lines.append("run pytest with --golden-update to accept what the lake answers now")
        pytest.fail("\n".join(lines), pytrace=False)

    def _report(self, check: Any) -> str:
        """Draw the difference, where plotly is installed; where it is drawn."""
        from replay import golden
        from replay.errors import MissingExtra
        from replay.render.difference import difference_html

        try:
            drawn = difference_html([check])
        except MissingExtra as error:
            return f"no picture: {error.message}"
        path = self._reports / f"{check.path.parent.parent.name}.{check.path.parent.name}.{check.name}.html"
        golden.write_whole(path, drawn)
        return f"drawn in {path}"


@pytest.fixture(scope="session")
def _golden_lake(pytestconfig: pytest.Config) -> Iterator[Lake]:
    from replay.lake import open_lake

    asked = pytestconfig.getoption("golden_lake") or os.environ.get("REPLAY_LAKE")
    if not asked and (setting := str(pytestconfig.getini("golden_lake"))):
        asked = str(pytestconfig.rootpath / setting)
    if not asked:
        raise pytest.UsageError(
            "golden_heatmap needs a lake: --golden-lake DIR, the variable REPLAY_LAKE or the setting golden_lake"
        )
    with open_lake(asked) as lake:
        yield lake


@pytest.fixture
def golden_heatmap(request: pytest.FixtureRequest, _golden_lake: Lake) -> GoldenHeatmap:
    """Call it with a request: the test fails unless the lake answers what the golden file beside it holds."""
    test = pathlib.Path(str(request.node.path))
    name = re.sub(r"[^\w.\-]+", "-", request.node.name)
    return GoldenHeatmap(
        _golden_lake,
        test.parent / _FOLDER / test.stem / name,
        request.config.rootpath / _REPORTS,
        update=bool(request.config.getoption("golden_update")),
    )
