"""Progress bars on standard error, where that is a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from replay.engine import Progress


T = TypeVar("T")


def steps(items: Sequence[T], noun: str) -> Generator[T, None, None]:
    """The items one by one, with a bar where standard error is a terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich import progress as rich_progress
    from rich.console import Console

    columns = (
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TextColumn(noun),
        rich_progress.TimeRemainingColumn(),
    )
    with rich_progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield from bar.track(items)


@contextlib.contextmanager
def counted(noun: str) -> Iterator[Callable[[int, int], None] | None]:
    """A bar that is told how many are done, and how many there are; ``None`` where nobody would see it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich import progress as rich_progress
    from rich.console import Console

    columns = (
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TextColumn(noun),
        rich_progress.TimeElapsedColumn(),
    )
    with rich_progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextlib.contextmanager
def run_progress() -> Iterator[Callable[[Progress], None] | None]:
    """A bar for a run: sessions, ticks a second, time left; ``None`` where nobody would see it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich import progress as rich_progress
    from rich.console import Console
    from rich.text import Text

    class Speed(rich_progress.ProgressColumn):
        """Ticks a second, over the whole run."""

        def render(self, task: rich_progress.Task) -> Text:
            return Text(f"{task.fields['ticks'] / task.elapsed:,.0f} ticks/s" if task.elapsed else "")

    columns = (
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TextColumn("sessions"),
        Speed(),
        rich_progress.TimeRemainingColumn(),
    )
    with rich_progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, ticks=0)
        base: list[int] = []

        def show(at: Progress) -> None:
            if not base:  # what a resumed run had done before is not of this run's speed
                base.append(at.ticks_done)
            bar.update(task, total=at.sessions, completed=at.sessions_done, ticks=at.ticks_done - base[0])

        yield show
