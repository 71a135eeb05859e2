"""Where a run keeps its parts and its answer: in memory, or in a folder that a later run can go on from."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import pathlib
import pickle
import shutil
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from replay import tables
from replay.broker.account import TABLES
from replay.engine.plan import Plan
from replay.engine.session import Carried, Part
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
from replay.engine.trading import session_tables, write_tables
from replay.errors import InvalidRun
from replay.lake import Lake
from replay.records import common_schema, conformed

FORMATS: Final = ("parquet", "csv", "jsonl")
RUN: Final = "run.json"
SWEEP: Final = "sweep.json"
LOG: Final = "log.jsonl"
_PARTS: Final = ".parts"
_PLAN: Final = "plan.json"
_STATE: Final = "state.pickle"


class MemoryParts:
    """Parts kept in memory."""

    def __init__(self) -> None:
        self._parts: list[Part] = []

    def add(self, part: Part, carried: Carried) -> None:  # noqa: ARG002  # a folder keeps that as well
        """Keep a finished session."""
        self._parts.append(part)

    def __iter__(self) -> Iterator[Part]:
        return iter(self._parts)


class FolderParts:
    """Parts kept in ``OUT/.parts``, each appearing whole or not at all, until the run is complete."""

    def __init__(self, path: pathlib.Path, plan: Plan, form: str) -> None:
        self.path = path
        self._parts = path / _PARTS
        self._plan = plan
        self._described = plan.describe() | {"format": form}

    def begin(self, *, resume: bool, lake: Lake) -> list[dt.date]:
        """Make the folder ready; with ``resume`` the dates that need not be replayed again.

        Raises
        ------
        InvalidRun
            If the folder holds a run and ``resume`` is not asked for, the run in it was another, or it holds a sweep.
        """
        if (self.path / SWEEP).exists():
            raise InvalidRun(f"{self.path} holds a sweep; name another folder")
        stored = self._stored()
        if stored is not None and not resume:
            raise InvalidRun(f"{self.path} holds a run already; resume it, or name another folder")
        differs = None if stored is None else difference(stored, self._described)
        if differs is not None:
            name, theirs, ours = differs
            raise InvalidRun(f"{self.path} cannot be gone on with: its {name} is {short(theirs)}, not {short(ours)}")
        if (finished := self.finished()) is not None:
            self._check_finished(finished, lake)
            return list(self._plan.dates)
        with writing(self.path):
            self._parts.mkdir(parents=True, exist_ok=True)
            write_whole(self._parts / _PLAN, as_json(self._described))
        done = []
        for date in self._plan.dates:
            if not self._file(date).is_file():
                break
            self._check_files(self._read(date), lake)
            done.append(date)
        return done

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Have the folder to oneself; see :func:`replay.engine.store.alone`."""
        with alone(self.path, "run"):
            yield

    def _check_finished(self, run: dict[str, Any], lake: Lake) -> None:
        """Raise :class:`~replay.errors.InvalidRun` unless a complete run is all there, and of the lake as it is."""
        records = self.path / f"records.{run['format']}"
        for needed in (records, *(self.table(name) for name in TABLES if "trading" in run)):
            if not needed.is_file():
                raise InvalidRun(f"{needed} is gone, though its run is complete; name another folder")
        now: dict[str, str] = {}
        for date in self._plan.dates:
            for symbol in self._plan.symbols:
                now |= lake.fingerprint(symbol, date, self._plan.tier)
        if now != run["lake"]["files"]:
            raise InvalidRun(f"{self.path} holds a complete run of the lake as it was; the lake has changed since")

    def table(self, name: str) -> pathlib.Path:
        """Where one of the tables of what was traded lies."""
        return self.path / f"{name}.parquet"

    def log(self) -> tuple[dict[str, str], ...]:
        """The log that was written."""
        path = self.path / LOG
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        return tuple(json.loads(line) for line in lines)

    def finished(self) -> dict[str, Any] | None:
        """What ``run.json`` says, if the run in the folder is complete."""
        try:
            run: dict[str, Any] = json.loads((self.path / RUN).read_bytes())
        except (OSError, ValueError):
            return None
        return run if run.get("status") == "complete" and not self._parts.is_dir() else None

    def forget(self) -> None:
        """Begin anew: no session is finished."""
        with writing(self.path):
            for date in self._plan.dates:
                self._file(date).unlink(missing_ok=True)

    def add(self, part: Part, carried: Carried) -> None:
        """Keep a finished session, and what the strategy carries on from it."""
        metadata = {
            b"replay.part": as_json(
                {"told": part.told, "files": part.files, "logged": part.logged, "tables": list(part.trading)}
            )
        }
        table = part.table.replace_schema_metadata(metadata)
        with writing(self.path):
            for name, each in part.trading.items():
                write_whole(self._table_file(part.date, name), as_ipc(each))
            if self._plan.strategy.carries_state:
                write_whole(self._parts / _STATE, _pickled(part.date, carried, self._plan.strategy.name))
            write_whole(self._file(part.date), as_ipc(table))

    def carried(self, done: list[dt.date]) -> Carried | None:
        """What the strategy carried on from the last of these sessions; ``None`` if it cannot be told."""
        try:
            date, instance, values, state, cash = pickle.loads((self._parts / _STATE).read_bytes())  # noqa: S301  # own file
        except (OSError, pickle.PickleError, EOFError, ValueError, ImportError, AttributeError):
            return None
        if not done or date != done[-1]:
            return None
        strategy = self._plan.strategy.make(self._plan.params, self._plan.request)
        if instance:
            vars(strategy).update(values)
        return Carried(strategy, state, cash)

    def __iter__(self) -> Iterator[Part]:
        for date in self._plan.dates:
            if not self._file(date).is_file():
                return
            yield self._read(date)

    def traded(self, name: str) -> pa.Table:
        """One of the tables of what was traded."""
        return pq.read_table(self.table(name))

    def written(self, form: str) -> Iterator[pa.Table]:
        """The records that were written."""
        path = self.path / f"records.{form}"
        if form != "parquet":
            raise InvalidRun(f"the rows are in {path}; they are not read back from {form}")
        yield pq.read_table(path)

    def write(self, run: dict[str, Any], parts: list[Part], form: str) -> None:
        """Write the records, the log and at last ``run.json``; the parts go once the run is complete."""
        with writing(self.path):
            schema = common_schema(part.table.schema for part in self._all(parts))
            rows = conformed((part.table for part in self._all(parts)), schema)
            batches = pa.RecordBatchReader.from_batches(schema, (each for table in rows for each in table.to_batches()))
            records = self.path / f"records.{form}"
            partial = records.with_name(f".{records.name}.{os.urandom(4).hex()}.partial")
            with partial.open("wb") as file:
                tables.write_batches(batches, form, file, width=80)
            partial.replace(records)
            lines = [json.dumps(line, ensure_ascii=False) + "\n" for part in self._all(parts) for line in part.logged]
            if lines:
                write_whole(self.path / LOG, "".join(lines).encode())
            if "trading" in run:
                write_tables(self.path, session_tables(self._all(parts), self._plan))
            write_whole(self.path / RUN, as_json(run))
            if run["status"] == "complete":
                shutil.rmtree(self._parts)

    def _all(self, further: list[Part]) -> Iterator[Part]:
        yield from self
        yield from further

    def _stored(self) -> dict[str, Any] | None:
        """The plan of the run that the folder holds, if it holds one."""
        if self.path.exists() and not self.path.is_dir():
            raise InvalidRun(f"{self.path} is a file; name a folder")
        return stored_plan(self._parts / _PLAN, self.path / RUN)

    def _table_file(self, date: dt.date, name: str) -> pathlib.Path:
        return self._parts / f"{date.isoformat()}.{name}.arrow"

    def _file(self, date: dt.date) -> pathlib.Path:
        return self._parts / f"{date.isoformat()}.arrow"

    def _read(self, date: dt.date) -> Part:
        table, told = read_part(self._file(date), b"replay.part")
        traded = {name: self._table_file(date, name) for name in told["tables"]}
        return Part(
            date, table, told["told"], told["files"], told["logged"], trading=_Stored(traded),
        )  # fmt: skip

    def _check_files(self, part: Part, lake: Lake) -> None:
        now: dict[str, str] = {}
        for symbol in self._plan.symbols:
            now |= lake.fingerprint(symbol, part.date, self._plan.tier)
        check_unchanged(self.path, part.date, part.files, now)


class _Stored(Mapping[str, pa.Table]):
    """Tables read from their files when they are asked for."""

    def __init__(self, files: Mapping[str, pathlib.Path]) -> None:
        self._files = files

    def __getitem__(self, name: str) -> pa.Table:
        try:
            with pa.OSFile(str(self._files[name])) as source:
                return pa.ipc.open_file(source).read_all()
        except (pa.ArrowException, OSError) as error:
            raise InvalidRun(f"{self._files[name]} cannot be read: {error}; remove its session and resume") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def _pickled(date: dt.date, carried: Carried, name: str) -> bytes:
    values = vars(carried.instance) if carried.instance is not None else {}
    if any("__slots__" in vars(base) for base in type(carried.instance).__mro__[:-1] if base is not object):
        raise InvalidRun(f"strategy {name} has __slots__, which a resumption would lose; use plain attributes")
    try:
        return pickle.dumps((date, carried.instance is not None, values, carried.state, carried.cash))
    except Exception as error:
        raise InvalidRun(
            f"strategy {name} carries what cannot be kept for a resumption ({type(error).__name__}: {error}); "
            "keep plain values in ctx.state, or run without a folder"
        ) from error
