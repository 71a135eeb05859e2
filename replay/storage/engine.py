"""The only home of DuckDB: connections, statements by name, and the mapping of its errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from replay import queries
from replay.errors import InputError, LakeError, QueryError, UnreadableFile
from replay.storage.files import FileStore, partitions

_BATCH_ROWS: Final = 10_000
_SETTINGS: Final = (
    "SET TimeZone = 'UTC'",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
)


_NEEDED_OPTIMIZERS: Final = frozenset({"unused_columns", "filter_pushdown", "column_lifetime"})


class Engine:
    """One in-memory DuckDB per opened lake; every request runs on a cursor of its own.

    The statements that it runs are small and as they should be executed, so most of the optimizer's passes, which
    took a sixth of the time, are off.

    ``threads`` is DuckDB's; one is the default, since picking rows of one session from its two clocks takes
    longer with the second thread than without it.
    """

    def __init__(self, store: FileStore, threads: int = 1) -> None:
        if threads < 1:
            raise InputError(f"threads is {threads}; it must be 1 or more")
        self._connection = duckdb.connect(config={"threads": threads})
        for setting in _SETTINGS:
            self._connection.execute(setting)
        passes = [row[0] for row in self._connection.execute("SELECT name FROM duckdb_optimizers()").fetchall()]
        idle = ",".join(each for each in passes if each not in _NEEDED_OPTIMIZERS)
        self._connection.execute("SET disabled_optimizers = $idle", {"idle": idle})
        self._statements: dict[str, duckdb.Statement] = {}
        filesystem = store.duckdb_filesystem()
        if filesystem is not None:
            self._connection.register_filesystem(filesystem)

    def arrays(self, name: str, where: str, /, **parameters: Any) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
        """Run a statement of ``sql/`` and return its columns as arrays.

        Fetched as numpy rather than through Arrow: a relation is bound twice, and binding reads every footer.
        ``where`` names the data in errors.
        """
        with _mapped(where):
            return self._connection.cursor().execute(self._parsed(name), parameters).fetchnumpy()

    def _parsed(self, name: str) -> duckdb.Statement:
        """A statement parsed once: parsing takes a fifth of its time."""
        if name not in self._statements:
            (self._statements[name],) = self._connection.extract_statements(queries.load(name).text)
        return self._statements[name]

    def close(self) -> None:
        """Release the connection."""
        self._connection.close()


@contextlib.contextmanager
def query_views(store: FileStore, statement: str) -> Iterator[pa.RecordBatchReader]:
    """The answer of a user's own SELECT over the views ``snapshots`` and ``strikes``, in batches.

    One SELECT is accepted and nothing else; the session can read the lake's files alone, load no extension, write
    no file and change no setting.

    Raises
    ------
    QueryError
        If it is not one SELECT, or DuckDB refuses it or fails while it runs.
    """
    found = [store.duckdb_path(file.path) for partition in partitions(store) for file in store.files(partition)]
    if not found:
        raise QueryError(f"{store.root} holds no files to read")
    connection = duckdb.connect(config={"threads": 1})  # so that sums come out the same each time
    try:
        filesystem = store.duckdb_filesystem()
        if filesystem is not None:
            connection.register_filesystem(filesystem)
        for setting in _SETTINGS:
            connection.execute(setting)
        with _mapped(store.root):
            connection.execute("SET VARIABLE lake_files = $files", {"files": found})
            for view in ("view_snapshots", "view_strikes"):
                connection.execute(queries.load(view).text)
        _lock_down(connection, [store.duckdb_root(), store.duckdb_path(store.root)])
        try:
            statements = connection.extract_statements(statement)
            if [each.type for each in statements] != [duckdb.StatementType.SELECT]:
                raise QueryError("one SELECT is taken, and nothing else: the lake is read only")
            yield connection.sql(statement).to_arrow_reader(_BATCH_ROWS)
        except (duckdb.Error, pa.ArrowException) as error:
            raise QueryError(_sentence(error)) from error
    finally:
        connection.close()


def _lock_down(connection: duckdb.DuckDBPyConnection, roots: list[str]) -> None:
    """Leave the connection nothing but reading the lake, whose root it meets as a name and as a pattern."""
    connection.execute("SET temp_directory = ''")
    connection.execute("SET allowed_directories = $roots", {"roots": roots})
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _sentence(error: Exception) -> str:
    """A DuckDB message with its hints and the place in the statement, without blank lines."""
    return "\n".join(line for line in str(error).splitlines() if line.strip())


@contextlib.contextmanager
def _mapped(where: str) -> Iterator[None]:
    """DuckDB's errors on stored data as this package's own."""
    try:
        yield
    except (duckdb.IOException, duckdb.InvalidInputException, duckdb.ConversionException) as error:
        raise UnreadableFile(first_line(error), path=where) from error
    except duckdb.Error as error:
        raise LakeError(f"{where}: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """The first line of a DuckDB message: the sentence, without the caret picture below it."""
    return str(error).strip().split("\n", 1)[0]
