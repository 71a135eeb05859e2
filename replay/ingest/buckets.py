"""Checked rows kept by session: in memory up to a bound, beyond it in files of a temporary folder."""

from __future__ import annotations

import datetime as dt
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Final

import polars as pl

MEMORY_BYTES: Final = 256 * 2**20


class SessionBuckets:
    """Collects rows by ``date`` and gives them back a session at a time, in the order they came. Use in a ``with``."""

    def __init__(self, limit: int = MEMORY_BYTES) -> None:
        self._limit = limit
        self._held: dict[dt.date, list[pl.DataFrame]] = {}
        self._bytes = 0
        self._spilled: dict[dt.date, list[pathlib.Path]] = {}
        self._folder: pathlib.Path | None = None

    def __enter__(self) -> SessionBuckets:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, rows: pl.DataFrame) -> None:
        """Keep rows, which hold a ``date``; those of the largest sessions go to disk where memory runs out."""
        for (date,), part in rows.partition_by("date", as_dict=True, maintain_order=True).items():
            self._held.setdefault(date, []).append(part)
            self._bytes += int(part.estimated_size())
        while self._bytes > self._limit and self._held:
            self._spill(max(self._held, key=lambda date: sum(part.estimated_size() for part in self._held[date])))

    def _spill(self, date: dt.date) -> None:
        if self._folder is None:
            self._folder = pathlib.Path(tempfile.mkdtemp(prefix="replay-ingest-"))
        parts = self._held.pop(date)
        files = self._spilled.setdefault(date, [])
        path = self._folder / f"{date.isoformat()}-{len(files)}.parquet"
        pl.concat(parts).write_parquet(path)
        files.append(path)
        self._bytes -= sum(int(part.estimated_size()) for part in parts)

    def sessions(self) -> Iterator[tuple[dt.date, pl.DataFrame]]:
        """Each session's rows in the order they came, by date; a session is forgotten once given."""
        for date in sorted({*self._held, *self._spilled}):
            parts = [pl.read_parquet(path) for path in self._spilled.pop(date, [])]
            parts += self._held.pop(date, [])
            yield date, pl.concat(parts)
