"""What a recording did, cycle by cycle, and the file that its answers are kept in."""

from __future__ import annotations

import gzip
import pathlib
from collections import Counter
from dataclasses import dataclass, field

from replay.errors import CannotWrite
from replay.ingest.captures import Written


@dataclass(slots=True)
class Cycle:
    """One round of requests: when it began (microseconds), bodies taken, rows written, and what failed by metric."""

    at: int
    bodies: list[str] = field(default_factory=list)
    written: Written = field(default_factory=Written)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: int = 0


@dataclass(slots=True)
class RecordReport:
    """What a recording did so far.

    ``cycles`` that were run and those ``missed`` because one before took too long or the server asked for patience;
    ``bodies`` taken by metric, ``failed`` requests by metric with the ``last_failure``, and rows ``written``.
    """

    symbol: str
    cycles: int = 0
    missed: int = 0
    bodies: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    last_failure: str = ""
    written: Written = field(default_factory=Written)

    def add(self, cycle: Cycle) -> None:
        """Count a cycle."""
        self.cycles += 1
        self.missed += cycle.skipped
        self.bodies.update(cycle.bodies)
        self.failed.update(cycle.failed.keys())
        for metric, why in cycle.failed.items():
            self.last_failure = f"{metric}: {why}"
        self.written.add(cycle.written)


def keep_line(path: pathlib.Path, text: bytes) -> None:
    """Append a JSON text as one line; to a file whose name ends in ``.gz`` as a gzip member of its own.

    Raises :class:`~replay.errors.CannotWrite` where the file cannot be written.
    """
    line = text.replace(b"\r", b" ").replace(b"\n", b" ").strip() + b"\n"
    try:
        with path.open("ab") as file:
            file.write(gzip.compress(line, mtime=0) if path.suffix == ".gz" else line)
    except OSError as error:
        raise CannotWrite(str(path), error) from error
