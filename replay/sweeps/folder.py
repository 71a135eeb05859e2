"""Where a sweep keeps its tasks' outcomes and its answer: a folder that a later sweep can go on from."""

from __future__ import annotations

import contextlib
import json
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from replay.engine.folder import RUN, SWEEP
from replay.engine.store import (
    alone,
    as_ipc,
    as_json,
    check_unchanged,
    difference,
    read_part,
    short,
    stored_plan,
    write_whole,
    writing,
)
from replay.errors import InvalidRun
from replay.lake import Lake
from replay.sweeps.plan import SweepPlan
from replay.sweeps.result import Sweep
from replay.sweeps.task import Done, Task

TABLES: Final = {"sets": "sweep.parquet", "sessions": "sessions.parquet", "out_of_sample": "out_of_sample.parquet"}
_PARTS: Final = ".parts"
_PLAN: Final = "plan.json"


class SweepFolder:
    """Outcomes in ``OUT/.parts``, each appearing whole or not at all, until the sweep is complete."""

    def __init__(self, path: pathlib.Path, plan: SweepPlan) -> None:
        self.path = path
        self._parts = path / _PARTS
        self._plan = plan
        self._described = plan.describe()

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Have the folder to oneself; see :func:`replay.engine.store.alone`."""
        return alone(self.path, "sweep")

    def begin(self, size: int, *, resume: bool) -> int:
        """Make the folder ready for tasks of so many sets; with ``resume``, the size of those that are in it.

        Raises
        ------
        InvalidRun
            If the folder holds a sweep and ``resume`` is not asked for, the sweep in it was another, or it holds a run.
        """
        if (self.path / RUN).exists():
            raise InvalidRun(f"{self.path} holds a run; name another folder")
        stored = self._stored()
        if stored is not None and not resume:
            raise InvalidRun(f"{self.path} holds a sweep already; resume it, or name another folder")
        differs = None if stored is None else difference(stored, self._described)
        if differs is not None:
            name, theirs, ours = differs
            raise InvalidRun(f"{self.path} cannot be gone on with: its {name} is {short(theirs)}, not {short(ours)}")
        if stored is not None:
            return int(stored.get("task_size", size))
        with writing(self.path):
            self._parts.mkdir(parents=True, exist_ok=True)
            write_whole(self._parts / _PLAN, as_json(self._described | {"task_size": size}))
        return size

    def finished(self, lake: Lake) -> Sweep | None:
        """The sweep in the folder, if it is complete.

        Raises :class:`~replay.errors.InvalidRun` if a file of it is gone, or the lake has changed since.
        """
        path = self.path / SWEEP
        if not path.is_file():
            return None
        shutil.rmtree(self._parts, ignore_errors=True)  # what a sweep that was killed at its very end has left
        told = json.loads(path.read_bytes())
        now: dict[str, str] = {}
        for date in self._plan.run.dates:
            for symbol in self._plan.run.symbols:
                now |= lake.fingerprint(symbol, date, self._plan.run.tier)
        if now != told["lake"]["files"]:
            raise InvalidRun(f"{self.path} holds a complete sweep of the lake as it was; the lake has changed since")
        names = dict(TABLES)
        if told["walk_forward"] is None:
            del names["out_of_sample"]
        try:
            found = {name: pq.read_table(self.path / file) for name, file in names.items()}
        except (OSError, pa.ArrowException) as error:
            raise InvalidRun(
                f"{self.path} lacks a table of its complete sweep: {error}; name another folder"
            ) from error
        return Sweep(told, found["sets"], found["sessions"], found.get("out_of_sample"), self.path)

    def add(self, task: Task, done: Done) -> None:
        """Keep a task's outcome."""
        metadata = {b"replay.done": as_json({"told": done.told, "files": done.files})}
        with writing(self.path):
            write_whole(self._file(task), as_ipc(done.table.replace_schema_metadata(metadata)))

    def done(self, tasks: Sequence[Task], lake: Lake) -> dict[str, Done]:
        """The outcomes that are kept, by their tasks' names.

        Raises :class:`~replay.errors.InvalidRun` if the lake's files have changed since.
        """
        found = {}
        for task in tasks:
            if self._file(task).is_file():
                kept = self._read(task)
                self._check_files(task, kept, lake)
                found[task.name] = kept
        return found

    def write(self, sweep: Sweep) -> None:
        """Write the tables and at last ``sweep.json``; the outcomes go then."""
        with writing(self.path):
            for name, file in TABLES.items():
                table = getattr(sweep, name)
                if table is not None:
                    sink = pa.BufferOutputStream()
                    pq.write_table(table, sink, compression="zstd")
                    write_whole(self.path / file, sink.getvalue().to_pybytes())
            write_whole(self.path / SWEEP, as_json(sweep.told))
            shutil.rmtree(self._parts)

    def _stored(self) -> dict[str, Any] | None:
        """The plan of the sweep that the folder holds, if it holds one."""
        return stored_plan(self._parts / _PLAN, self.path / SWEEP)

    def _file(self, task: Task) -> pathlib.Path:
        return self._parts / f"{task.name}.arrow"

    def _read(self, task: Task) -> Done:
        table, told = read_part(self._file(task), b"replay.done")
        return Done(table, told["told"], told["files"])

    def _check_files(self, task: Task, kept: Done, lake: Lake) -> None:
        now: dict[str, str] = {}
        for date in task.dates:
            for symbol in self._plan.run.symbols:
                now |= lake.fingerprint(symbol, date, self._plan.run.tier)
        check_unchanged(self.path, task.dates[0], kept.files, now)
