"""The terminal as a full screen: raw keys in, whole pictures out, and everything put back however it ends.

Written on termios and select: click.getchar waits without a limit and cannot play on meanwhile, curses wants to paint
every cell itself and knows no 24-bit colours, and a library for a dozen keys would be one more thing to install. Not
to be imported where there is no termios, as on Windows.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, Final

ESCAPE_SECONDS: Final = 0.1
"""How long to wait for the rest of an escape sequence before an Esc is an Esc."""

_LEAVE_SECONDS: Final = 1.0
_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"  # alternate screen, no cursor, no wrapping, erased
_LEAVE: Final = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
_SEQUENCE: Final = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O[ -~]|[^\[O\x1b])", re.DOTALL)
_BEGUN: Final = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|O)?")
_LETTERS: Final = {"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end"}
_NUMBERS: Final = {"1": "home", "7": "home", "4": "end", "8": "end", "5": "page up", "6": "page down"}
_CONTROLS: Final = {"\t": "tab", "\x03": "ctrl-c", "\x0c": "ctrl-l"}
_ENDINGS: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Keys:
    """Bytes of a terminal as the names of keys, in whatever pieces they arrive.

    A printable key is its character; others are ``up``, ``down``, ``left``, ``right``, ``home``, ``end``,
    ``page up``, ``page down``, ``tab``, ``escape``, ``ctrl-c``, ``ctrl-l``. Any other key has no name and is left out.
    """

    def __init__(self) -> None:
        self._rest = b""

    @property
    def waiting(self) -> bool:
        """Whether an escape sequence has begun and not ended; a lone Esc looks the same."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[str]:
        """The keys that are complete with these bytes."""
        data, self._rest = self._rest + data, b""
        keys: list[str] = []
        at = 0
        while at < len(data):
            if data[at] != 0x1B:
                keys.append(_CONTROLS.get(chr(data[at]), chr(data[at])))
                at += 1
            elif sequence := _SEQUENCE.match(data, at):
                keys.append(_name(sequence[0].decode("latin-1")))
                at = sequence.end()
            elif _BEGUN.fullmatch(data, at):
                self._rest = data[at:]
                break
            else:  # Esc before a sequence, as some send for Alt, or one cut short by another
                at += 1
        return [key for key in keys if len(key) > 1 or " " <= key <= "~"]

    def flush(self) -> list[str]:
        """Nothing more came: a lone Esc is the key, a sequence cut short is none."""
        rest, self._rest = self._rest, b""
        return ["escape"] if rest == b"\x1b" else []


def _name(sequence: str) -> str:
    """The key of a whole escape sequence, whatever modifiers it carries; empty for one that is not used here."""
    if sequence[1] not in "[O":
        return ""
    return _NUMBERS.get(sequence[2:-1].split(";")[0], "") if sequence[-1] == "~" else _LETTERS.get(sequence[-1], "")


class Screen:
    """A terminal taken over; see :func:`full_screen`."""

    def __init__(self, source: int, target: int, encoding: str) -> None:
        self._source, self._target, self._encoding = source, target, encoding
        self._keys = Keys()
        self._lines: list[str] = []
        self._spoils = 0
        self._painted: tuple[tuple[int, int], int] | None = None
        self._away = self._ending = False
        self._modes: list[Any] | None = None
        self._woken = -1
        self._undo = contextlib.ExitStack()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines; 80 and 24 where the terminal does not say."""
        with _connected():
            columns, lines = os.get_terminal_size(self._target)
        return columns or 80, lines or 24

    def keys(self, seconds: float | None) -> list[str]:
        """The keys pressed, as soon as there are any, a signal came or the seconds are over; ``None``: no limit."""
        ready, _, _ = select.select([self._source, self._woken], [], [], seconds)
        if self._woken in ready:
            os.read(self._woken, 512)
        found = self._keys.feed(self._read()) if self._source in ready else []
        while self._keys.waiting:
            more, _, _ = select.select([self._source], [], [], ESCAPE_SECONDS)
            found += self._keys.feed(self._read()) if more else self._keys.flush()
        if "ctrl-l" in found:
            self.spoil()
        return found

    def paint(self, lines: Sequence[str], size: tuple[int, int]) -> None:
        """Show these lines, made for a terminal of this size, in one write; only those that changed are sent."""
        state = (size, self._spoils)
        before = self._lines if state == self._painted else None
        sent = ["\x1b[2J"] if before is None else []
        for row, line in enumerate(lines):
            if before is None or before[row] != line:
                sent.append(f"\x1b[{row + 1};1H\x1b[K{line}")
        self._lines, self._painted = list(lines), state
        if sent:
            self._write("".join(sent))

    def spoil(self) -> None:
        """Take it that nothing painted is on the terminal any more."""
        self._spoils += 1

    @property
    def spoilt(self) -> bool:
        """Whether the terminal no longer shows what was painted: resized, or another had it meanwhile."""
        return self._painted != (self.size, self._spoils)

    def was_away(self) -> bool:
        """Whether the command was suspended since this was asked last."""
        away, self._away = self._away, False
        return away

    def open(self) -> None:
        """Take over the terminal, and the signals that would leave it so."""
        self._woken, waking = os.pipe()
        for end in (self._woken, waking):
            self._undo.callback(os.close, end)
            os.set_blocking(end, False)
        self._undo.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(waking, warn_on_full_buffer=False))
        self._modes = termios.tcgetattr(self._source)
        for number in (*_ENDINGS, signal.SIGINT):
            self._handle(number, self._end)
        self._handle(signal.SIGWINCH, lambda *_: None)  # handled so that it wakes the select
        self._handle(signal.SIGTSTP, self._suspend)
        self._handle(signal.SIGCONT, self._resume)
        self._take()

    def close(self) -> None:
        """Put everything back."""
        self._ending = True
        self._give()
        self._undo.close()

    def _handle(self, number: signal.Signals, handler: Callable[[int, FrameType | None], None]) -> None:
        before = signal.signal(number, handler)
        self._undo.callback(signal.signal, number, signal.SIG_DFL if before is None else before)

    def _take(self) -> None:
        with _connected():
            modes = termios.tcgetattr(self._source)
            modes[0] &= ~termios.IXON  # a Ctrl-S that nobody remembers would freeze the picture
            modes[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
            modes[6][termios.VMIN], modes[6][termios.VTIME] = 1, 0
            termios.tcsetattr(self._source, termios.TCSANOW, modes)
        self._write(_ENTER)
        self.spoil()

    def _give(self) -> None:
        if self._modes is None:
            return
        with contextlib.suppress(OSError, termios.error):  # a terminal that has gone needs nothing
            termios.tcsetattr(self._source, termios.TCSANOW, self._modes)
            if select.select([], [self._target], [], _LEAVE_SECONDS)[1]:
                os.write(self._target, _LEAVE.encode())

    def _end(self, number: int, _: FrameType | None) -> None:
        if not self._ending:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    def _suspend(self, *_: object) -> None:
        """Ctrl-Z: leave the terminal to the shell, stop, and take it again when brought back."""
        if self._ending:
            return
        self._give()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)  # here it stands still
        signal.signal(signal.SIGTSTP, self._suspend)
        self._resume()

    def _resume(self, *_: object) -> None:
        """Brought back, also from a stop that could not be seen coming."""
        if not self._ending:
            self._away = True
            self._take()

    def _read(self) -> bytes:
        with _connected():
            if data := os.read(self._source, 1024):
                return data
            raise EOFError

    def _write(self, text: str) -> None:
        data = text.encode(self._encoding, "replace")
        with _connected():
            while data:
                data = data[os.write(self._target, data) :]


@contextlib.contextmanager
def full_screen() -> Iterator[Screen]:
    """Standard input and output, which must be terminals, as a screen, until the block is left in whatever way.

    Inside, SIGTERM, SIGHUP, SIGQUIT and a terminal that hangs up raise :class:`SystemExit` with the status that shells
    give them, Ctrl-C raises :class:`KeyboardInterrupt`, and Ctrl-Z suspends as ever.
    """
    screen = Screen(sys.stdin.fileno(), sys.stdout.fileno(), sys.stdout.encoding)
    try:
        screen.open()
        yield screen
    finally:
        screen.close()


@contextlib.contextmanager
def _connected() -> Iterator[None]:
    """A terminal that has gone away ends the command as its signal would."""
    try:
        yield
    except (OSError, EOFError, termios.error):
        raise SystemExit(128 + signal.SIGHUP) from None
