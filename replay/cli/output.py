"""Where answers go: standard output, or a file that appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

import click

from replay.errors import CannotWrite

if TYPE_CHECKING:
    from replay.lake import Lake

BINARY = frozenset({"parquet", "png"})


def on_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout.isatty()


def terminal_width() -> int:
    """Columns of the terminal, 80 where there is none."""
    import shutil

    return shutil.get_terminal_size((80, 24)).columns


def terminal_height() -> int | None:
    """Lines that fit above the terminal's prompt, ``None`` where there is no terminal."""
    import shutil

    return shutil.get_terminal_size((80, 24)).lines - 1 if on_terminal() else None


def use_colour() -> bool:
    """Whether to colour: on a terminal, unless NO_COLOR is set or the terminal is dumb."""
    return on_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def use_true_colour() -> bool:
    """Whether the terminal says that it shows 24-bit colours."""
    return os.environ.get("COLORTERM") in ("truecolor", "24bit")


def use_unicode() -> bool:
    """Whether standard output can write more than ASCII."""
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")


def choose_format(form: str | None, out_path: pathlib.Path | None, formats: tuple[str, ...], piped: str) -> str:
    """The format asked for, else that of the file's suffix, else ``table`` on a terminal and ``piped`` elsewhere."""
    if form is None and out_path is not None and out_path.suffix:
        form = out_path.suffix.lstrip(".").lower()
        if form not in formats:
            raise click.UsageError(f"{out_path.name} is of no known format; give --format {'|'.join(formats)}")
    chosen = form or ("table" if out_path is None and on_terminal() else piped)
    if chosen in BINARY and out_path is None and on_terminal():
        raise click.UsageError(f"{chosen} is not for a terminal; give --out FILE or pipe it")
    return chosen


@contextlib.contextmanager
def sink(out_path: pathlib.Path | None) -> Iterator[IO[bytes]]:
    """Bytes for standard output, or for a file that replaces the old one only when all is written."""
    if out_path is None:
        with writing("standard output"):
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    out_path = out_path.resolve()  # a link stays, what it leads to is replaced
    partial = out_path.with_name(f".{out_path.name}.{os.urandom(4).hex()}.partial")
    with writing(str(out_path)):
        if out_path.exists() and not out_path.is_file():  # a pipe or a device is written to
            with out_path.open("wb") as file:
                yield file
            return
        try:
            with partial.open("xb") as file:
                yield file
            partial.replace(out_path)
        finally:
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(name: str) -> Iterator[None]:
    """The system's errors as this package's own; a reader that has gone away is none, and ends the command."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if name == "standard output":  # so that nothing is tried again when the interpreter ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise CannotWrite(name, error) from error


def emit(data: bytes, out_path: pathlib.Path | None) -> None:
    """Write an answer; on a terminal a line ends it."""
    with sink(out_path) as file:
        file.write(data)
        if out_path is None and on_terminal() and not data.endswith(b"\n"):
            file.write(b"\n")


def what_there_is(lake: Lake, symbol: str, as_of: int, noun: str, where: str = "") -> str:
    """Why nothing of a symbol was visible at a moment (microseconds), and what the lake holds instead."""
    from replay.sessions import iso_utc, session_date

    date, symbols = session_date(as_of), lake.symbols()
    if symbol not in symbols:
        return f"note: no data of {symbol}; the lake holds {', '.join(symbols) or 'nothing'}"
    dates = lake.dates(symbol)
    if date not in dates:
        near = min(dates, key=lambda each: abs(each - date))
        return (
            f"note: no session {date} of {symbol}; the lake holds {len(dates)} "
            f"from {dates[0]} to {dates[-1]}, the nearest is {near}"
        )
    return (
        f"note: no {noun} of {symbol}{where} up to {iso_utc(as_of)} was known then; "
        f"`replay sessions {symbol}` shows the session's hours and lag"
    )
