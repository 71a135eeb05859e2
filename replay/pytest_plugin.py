"""A pytest plugin: ``golden_heatmap`` compares a heatmap of the lake with a golden file beside the test.

Loaded in every test run of whoever has this package, so nothing heavy is imported before the fixture is used.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    import datetime as dt

    from replay.golden import Check, Comparison
    from replay.lake import Lake

_FOLDER: Final = "goldens"
_REPORTS: Final = "golden-differences"
_WORST: Final = 10  # differences told of one golden
_LONGEST: Final = 120  # letters of a test's name in its folder's
_WRITTEN: Final = "golden file written"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options ``--golden-update`` and ``--golden-lake``, and the setting ``golden_lake``."""
    group = parser.getgroup("replay", "golden heatmaps")
    group.addoption(
        "--golden-update", action="store_true", help="write golden heatmaps in place of comparing with them"
    )
    group.addoption("--golden-lake", metavar="DIR", help="the lake that golden heatmaps are rebuilt from")
    parser.addini("golden_lake", "the lake that golden heatmaps are rebuilt from, relative to the configuration file")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say which golden files ``--golden-update`` has written, also by workers."""
    written = sorted(
        {
            path
            for reports in terminalreporter.stats.values()
            for report in reports
            for name, path in getattr(report, "user_properties", ())
            if name == _WRITTEN
        }
    )
    if written:
        terminalreporter.section("golden files written")
        for path in written:
            terminalreporter.line(str(path))


class GoldenHeatmap:
    """Compares heatmaps with golden files; what the fixture ``golden_heatmap`` hands to a test."""

    def __init__(
        self,
        lake: Lake,
        folder: pathlib.Path,
        reports: pathlib.Path,
        properties: list[tuple[str, Any]],
        *,
        update: bool,
    ) -> None:
        self._lake = lake
        self._folder = folder
        self._reports = reports
        self._properties = properties
        self._update = update

    def __call__(
        self,
        symbol: str,
        as_of: str | dt.datetime | dt.date,
        metric: str = "gex",
        mode: str = "raw",
        minutes: int | str = 60,
        known_at: str | dt.datetime | dt.date | None = None,
        tier: str | None = None,
        *,
        gaps: bool = False,
        absolute: float = 0.0,
        relative: float = 0.0,
    ) -> None:
        """Fail unless the heatmap is that of the golden file, which ``--golden-update`` writes.

        Arguments as for :meth:`replay.Lake.heatmap`. A value, or a spot, may be off by the larger of ``absolute`` and
        ``relative`` times the golden one.
        """
        __tracebackhide__ = True
        from replay import golden
        from replay.golden.spec import heatmap_request

        request = heatmap_request(
            symbol, _text(as_of), metric, mode, minutes, None if known_at is None else _text(known_at), tier, gaps
        )
        path = self._folder / f"{request.name}.json"
        data = golden.answer(request, self._lake)
        if path.is_file() and path.read_bytes() == data:
            return
        if self._update:
            golden.write_whole(path, data)
            self._properties.append((_WRITTEN, str(path)))
            return
        if not path.is_file():
            pytest.fail(f"no golden file {path}\nrun pytest with --golden-update to write it", pytrace=False)
        near, loose = golden.Tolerance(absolute, relative), (request.metric, "spot")
        comparison = golden.compare(request, path, data, lambda name: near if name in loose else golden.Tolerance())
        if comparison:
            self._fail(request.name, path, comparison)

    def _fail(self, name: str, path: pathlib.Path, comparison: Comparison) -> None:
        __tracebackhide__ = True
        from replay import golden

        count, *worst = comparison.lines(_WORST)
        check = golden.Check(name, "differs", path, comparison)
        lines = [f"{name}: {count} from {path}", *worst]
        lines.append(self._report(check))
        lines.append("if the lake's answer is right now, run pytest with --golden-update")
        pytest.fail("\n".join(lines), pytrace=False)

    def _report(self, check: Check) -> str:
        """Draw the differences where that can be; a line that says where they are drawn."""
        from replay import golden
        from replay.errors import CannotWrite, MissingExtra
        from replay.render.difference import difference_html

        path = self._reports / f"{self._folder.name}-{check.name}.html"
        try:
            golden.write_whole(path, difference_html([check]))
        except (MissingExtra, CannotWrite) as error:
            return f"the differences are not drawn: {error.message}"
        return f"the differences are drawn in {path}"


def lake_of(config: pytest.Config) -> str | pathlib.Path | None:
    """Where the lake lies: as asked for, else as the project's settings have it, else the environment."""
    if found := config.getoption("golden_lake"):
        return str(found)
    if setting := str(config.getini("golden_lake")):
        return (config.inipath.parent if config.inipath is not None else config.rootpath) / setting
    return os.environ.get("REPLAY_LAKE")


@pytest.fixture(scope="session")
def _golden_lake(pytestconfig: pytest.Config) -> Iterator[Lake]:
    from replay.lake import open_lake

    found = lake_of(pytestconfig)
    if not found:
        pytest.fail(
            "golden_heatmap needs a lake: give --golden-lake DIR, or set golden_lake in the project's pytest settings, "
            "or the variable REPLAY_LAKE",
            pytrace=False,
        )
    with open_lake(found) as lake:
        yield lake


@pytest.fixture
def golden_heatmap(request: pytest.FixtureRequest, _golden_lake: Lake) -> GoldenHeatmap:
    """Compare heatmaps of the lake with golden files: ``golden_heatmap("SPY", as_of="2026-07-24T14:30")``.

    The files lie beside the test's own, in ``goldens/MODULE/TEST/``; ``--golden-update`` writes them.
    """
    file, root = pathlib.Path(request.node.path), request.config.rootpath
    own = file.relative_to(root).with_suffix("") if file.is_relative_to(root) else pathlib.Path(file.stem)
    return GoldenHeatmap(
        _golden_lake,
        file.parent / _FOLDER / file.stem / _folder_name(request.node.nodeid),
        root / _REPORTS / own,
        request.node.user_properties,
        update=bool(request.config.getoption("golden_update")),
    )


def _folder_name(nodeid: str) -> str:
    """A test's name within its module, with its classes, as a folder's: long ones are cut and told apart by a hash."""
    own = nodeid.partition("::")[2].replace("::", ".")
    name = re.sub(r"[^\w.\-]+", "-", own).strip("-.")
    if len(name) <= _LONGEST:
        return name
    return f"{name[:_LONGEST]}-{hashlib.sha256(own.encode()).hexdigest()[:8]}"


def _text(moment: str | dt.datetime | dt.date) -> str:
    """A moment as a request's text."""
    return moment if isinstance(moment, str) else moment.isoformat()
