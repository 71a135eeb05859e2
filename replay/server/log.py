"""The access log's lines on their way out: whoever reads them slowly, or not at all, holds up no answer."""

from __future__ import annotations

import atexit
import os
import queue
import sys
import threading
from typing import Final

MOST_WAITING: Final = 10_000
"""Lines that wait to be written; beyond it lines are left out, and how many is said when it goes on."""
_LAST_SECONDS: Final = 1.0  # for what is left when the process ends


class AccessLog:
    """Writes lines on a thread of its own, each in one piece, so that those of several workers do not mix.

    Parameters
    ----------
    target
        A file's path, or ``-`` for standard error.
    """

    def __init__(self, target: str) -> None:
        self._handle = (
            sys.stderr.fileno() if target == "-" else os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        )
        self._lines: queue.Queue[bytes | None] = queue.Queue(MOST_WAITING)
        self._left_out = 0
        self._thread = threading.Thread(target=self._write, name="replay-access-log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, line: bytes) -> None:
        """Have a line written soon; never waits."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._left_out += 1

    def close(self) -> None:
        """Write what waits, for a second at the most."""
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(_LAST_SECONDS)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            left_out, self._left_out = self._left_out, 0
            if left_out:
                line = b'{"left_out":%d}\n%b' % (left_out, line)
            try:
                os.write(self._handle, line)
            except OSError:  # nobody reads it any more
                return
