"""The only home of DuckDB: connections, statements by name, and the mapping of its errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np

from replay import queries
from replay.errors import LakeError, QueryError, UnreadableFile
from replay.storage.files import FileStore

_SETTINGS = (
    "SET TimeZone = 'UTC'",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
)


class Engine:
    """One in-memory DuckDB per opened lake; every request runs on a cursor of its own.

    ``threads`` is DuckDB's; one is the default, since picking rows of one session from its two clocks takes
    longer with the second thread than without it.
    """

    def __init__(self, store: FileStore, threads: int = 1) -> None:
        self._connection = duckdb.connect(config={"threads": threads})
        for setting in _SETTINGS:
            self._connection.execute(setting)
        filesystem = store.duckdb_filesystem()
        if filesystem is not None:
            self._connection.register_filesystem(filesystem)

    def arrays(self, name: str, where: str, /, **parameters: Any) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
        """Run a statement of ``sql/`` and return its columns as arrays.

        Fetched as numpy rather than through Arrow: a relation is bound twice, and binding reads every footer.
        ``where`` names the data in errors.
        """
        query = queries.load(name)
        with _mapped(where):
            return self._connection.cursor().execute(query.text, parameters).fetchnumpy()

    def close(self) -> None:
        """Release the connection."""
        self._connection.close()


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


__all__ = ["Engine", "QueryError", "first_line"]
