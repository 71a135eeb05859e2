"""Recording a session from a server that answers like the live endpoint: polled, and appended to a lake at once."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, Final, Self

import orjson

from replay.contract import METRICS, MINUTES_MAX, TIERS, check_metric, check_minutes, is_symbol, normalise_symbol
from replay.errors import InputError, MissingExtra, NoStrikeData
from replay.ingest.bodies import Body, Origin, error_text, parse, read_body
from replay.ingest.captures import CapturedSession
from replay.ingest.cycles import Cycle, RecordReport, keep_line
from replay.sessions import MINUTE, SECOND, find_session, iso_utc, session_date, to_us
from replay.storage.compaction import merge_partition, opened
from replay.storage.files import Partition
from replay.storage.writer import LakeWriter

try:
    import urllib3
except ModuleNotFoundError:
    raise MissingExtra("recording", "record") from None

GRACE: Final = MINUTE
"""How long after the close recording goes on, so that the last bar comes in whole."""
MARGIN_MINUTES: Final = 5
"""By how much more than what was missed a cycle looks back."""
EVERY_MIN: Final = SECOND
MERGE_FILES: Final = 50
"""Each cycle writes a file; when there are so many they are merged into one."""
RETRIES: Final = 12
"""Of one request within a cycle."""
WAIT: Final = 0.5
"""Seconds before the second try, twice as long before each further one."""
TIMEOUT: Final = 15.0
"""Seconds for one answer."""
BUSY: Final = frozenset({408, 429, 500, 502, 503, 504})
"""What is asked again."""

Clock = Callable[[], int]
Sleep = Callable[[float], None]


class Recorder:
    """Records one session of one symbol; :attr:`report` is kept up to date.

    Parameters
    ----------
    url
        Of the server, up to ``/v1``; http or https.
    symbol
        What to record.
    lake
        Where to write; it comes into being if there is none. On ``filesystem`` (fsspec) if one is given.
    clock, sleep
        The time in microseconds since the epoch, UTC, and how to wait for so many seconds.
    key
        Sent as ``X-Api-Key``, and shown nowhere.
    metrics
        Which of the contract's to ask for, in this order.
    every
        From one cycle's start to the next one's, microseconds, at least a second.
    minutes
        How far each request looks back; ``None``: 390 first, later what was missed and 5 minutes more.
    until
        When to stop, microseconds; ``None``: a minute after the close.
    keep
        A file that each answer is appended to as a line, for ``replay ingest heatmap``.
    allow_mixed
        Let the symbol hold exposures under other conventions beside live's.
    progress
        Called after each cycle.

    Raises
    ------
    MissingExtra
        Without urllib3.
    InputError
        For a URL, symbol or interval that cannot be, and on a day without a session.
    """

    def __init__(
        self,
        url: str,
        symbol: str,
        lake: str | os.PathLike[str],
        *,
        clock: Clock,
        sleep: Sleep,
        key: str | None = None,
        metrics: Sequence[str] = METRICS,
        every: int = 30 * SECOND,
        minutes: int | None = None,
        until: int | None = None,
        keep: pathlib.Path | None = None,
        allow_mixed: bool = False,
        filesystem: Any | None = None,
        progress: Callable[[Cycle], None] | None = None,
    ) -> None:
        self._symbol = normalise_symbol(symbol)
        if not is_symbol(self._symbol):
            raise InputError(f"symbol {symbol!r} is none; it is 1 to 15 letters, digits, dots or dashes, such as SPY")
        if every < EVERY_MIN:
            raise InputError("the interval is shorter than a second")
        self._metrics = [check_metric(metric) for metric in dict.fromkeys(metrics)]
        self._minutes = None if minutes is None else check_minutes(minutes)
        self._clock, self._sleep, self._every, self._keep, self._progress = clock, sleep, every, keep, progress
        self._date = session_date(clock())
        session = find_session(self._date)
        if session is None:
            raise InputError(f"{self._date} is a day without a session; there is nothing to record")
        self.opens, self._closes = to_us(session.open), to_us(session.close)
        self._until = self._closes + GRACE if until is None else until
        self._client = _Client(url, self._symbol, key, clock, sleep)
        self._lake = (lake, filesystem, allow_mixed)
        self._reached: dict[str, int] = {}  # when each metric was last asked for and answered
        self.report = RecordReport(self._symbol)

    def run(self, *, once: bool = False) -> RecordReport:
        """Record until the end, or ``once`` now.

        Raises
        ------
        InputError
            If the server refuses the request itself or the key, with what it says; if the end is past already; if
            nothing at all came.
        CannotWrite, MixedConventions, LakeError
            Where lake or file refuse what is written.
        """
        now = self._clock()
        if not once and now > self._until:
            raise InputError(f"the recording was to end at {iso_utc(self._until)}, which is past; --once asks once")
        path, filesystem, allow_mixed = self._lake
        with LakeWriter(path, filesystem, allow_mixed=allow_mixed) as writer:
            session = CapturedSession(writer, self._symbol, self._date)
            if once:
                self._cycle(session, now, now + self._every)
            else:
                self._loop(session)
        self._merge(MERGE_FILES if once else 2)
        if not self.report.bodies:
            raise InputError(f"nothing was recorded; the last failure is {self.report.last_failure}")
        return self.report

    def _loop(self, session: CapturedSession) -> None:
        self._wait(min(self.opens, self._until))
        start = self._clock()
        skipped = 0
        while True:
            self._cycle(session, start, start + self._every, skipped)
            if start >= self._until:
                return
            if self.report.cycles % MERGE_FILES == 0:
                self._merge(MERGE_FILES)
            free = max(self._clock(), self._client.not_before)
            following = start + self._every
            skipped = max(0, -(-(free - following) // self._every))
            start = min(following + skipped * self._every, max(self._until, self._clock()))
            self._wait(start)

    def _wait(self, moment: int) -> None:
        while (left := moment - self._clock()) > 0:
            self._sleep(left / SECOND)

    def _merge(self, least: int) -> None:
        """Make one file of those of the session where there are at least so many; the lake answers the same."""
        path, filesystem, _ = self._lake
        with opened(path, filesystem) as (store, reader):
            for tier in TIERS:
                partition = Partition(tier, self._symbol, self._date)
                if len(store.files(partition)) >= least:
                    merge_partition(store, reader, partition)

    def _cycle(self, session: CapturedSession, start: int, deadline: int, skipped: int = 0) -> None:
        """Ask for every metric once, and store what comes."""
        cycle = Cycle(start, skipped=skipped)
        asked: dict[str, int] = {}
        bodies: list[Body] = []
        try:
            for metric in self._metrics:
                asked[metric] = self._clock()
                found = self._ask(metric, deadline, cycle)
                if found is not None:
                    bodies.append(found)
        finally:  # what came before an error or an interruption is not lost
            for as_of in sorted({body.as_of for body in bodies}):
                for body, error in session.take_each([body for body in bodies if body.as_of == as_of]):
                    cycle.failed[body.metric] = _why(error, body.origin)
            cycle.bodies = [body.metric for body in bodies if body.metric not in cycle.failed]
            cycle.written = session.flush()
            for body in bodies:  # also one that cannot be taken: a longer window would hold what it is about again
                self._reached[body.metric] = asked[body.metric]
            self.report.add(cycle)
        if self._progress is not None:
            self._progress(cycle)

    def _ask(self, metric: str, deadline: int, cycle: Cycle) -> Body | None:
        """The body of one metric; ``None`` where none came, which the cycle says."""
        origin = Origin(f"{self._client.name} {metric}")
        try:
            now = self._clock()
            share = now + (deadline - now) // (len(self._metrics) - self._metrics.index(metric))
            text = self._client.get(metric, self._span(metric), deadline, share)
            if text is None:
                cycle.failed[metric] = self._client.failure
                return None
            found = parse(text, origin)
            if self._keep is not None:
                keep_line(self._keep, text)
            body = read_body(found, origin, self._symbol)
            if body.date != self._date or body.metric != metric:
                origin.refuse(f"is of {body.metric} on {body.date}; asked for was {metric} on {self._date}")
        except InputError as error:
            if error.path is None:  # the server refuses the request itself
                raise
            cycle.failed[metric] = self._client.hushed(_why(error, origin))
            return None
        return body

    def _span(self, metric: str) -> int:
        """How many minutes to ask for."""
        if self._minutes is not None:
            return self._minutes
        if metric not in self._reached:
            return MINUTES_MAX
        return check_minutes(-(-(self._clock() - self._reached[metric]) // MINUTE) + MARGIN_MINUTES)


def _why(error: InputError, origin: Origin) -> str:
    return error.message.removeprefix(f"{origin}: ")


def _message(data: bytes) -> str:
    """What an error's body says, JSON or not."""
    try:
        return error_text(orjson.loads(data))
    except orjson.JSONDecodeError:
        return error_text(data.decode("utf-8", "replace"))


def _cause(error: BaseException) -> str:
    """What lies at the ground of an error, in a word or two."""
    reason = getattr(error, "reason", None) or error
    while reason.__cause__ is not None:
        reason = reason.__cause__
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason) or type(reason).__name__


class _OutOfTimeError(Exception):
    """A wait that would go beyond a cycle's end."""


class _Patience(urllib3.Retry):
    """Retries that wait by a clock of ours, and not beyond a deadline."""

    pause: Callable[[float, str, bool], None]
    """Waits so many seconds because of what is told, as the server asks or not, or raises."""

    def new(self, **changes: Any) -> Self:
        """As the base's, with our way to wait."""
        made = super().new(**changes)
        made.pause = self.pause
        return made

    def sleep(self, response: urllib3.BaseHTTPResponse | None = None) -> None:
        """Wait as the server asks, else ever longer."""
        asked = None if response is None else self.get_retry_after(response)
        if response is None:
            why = _cause(self.history[-1].error or _OutOfTimeError())
        else:
            why = f"{response.status} {_message(response.data)}".strip()
        self.pause(max(self.get_backoff_time(), WAIT) if asked is None else asked, why, asked is not None)


class _Client:
    """Asks one server for the heatmaps of one symbol.

    ``failure`` says why :meth:`get` gave nothing the last time; before ``not_before``, microseconds, the server does
    not want to be asked again.
    """

    def __init__(self, url: str, symbol: str, key: str | None, clock: Clock, sleep: Sleep) -> None:
        try:
            parts = urllib3.util.parse_url(url.strip())
        except urllib3.exceptions.LocationParseError:
            parts = urllib3.util.Url()
        if parts.scheme not in ("http", "https") or not parts.host or parts.auth or parts.query or parts.fragment:
            raise InputError("the URL is none such as https://example.com: scheme, host, and maybe port and path")
        if key is not None and not (key.isascii() and key.isprintable() and key.strip() == key and key):
            raise InputError("the key is empty, or holds what no header can: blanks at its ends, or control signs")
        base = f"{parts.scheme}://{parts.netloc}{(parts.path or '').rstrip('/').removesuffix('/v1')}"
        self.name = f"{base}/v1/flow/zero-dte/heatmap/{symbol}"
        self.failure = ""
        self.not_before = 0
        self._key, self._clock, self._sleep = key, clock, sleep
        self._pool = urllib3.PoolManager(num_pools=1)
        self._headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "zerodte-replay"}
        if key is not None:
            self._headers["X-Api-Key"] = key

    def get(self, metric: str, minutes: int, deadline: int, share: int) -> bytes | None:
        """The text of an answer; ``None`` where none came before the deadline, see :attr:`failure`.

        Up to ``share`` it is tried again, and up to the ``deadline`` where the server says when; both microseconds.

        Raises :class:`~replay.errors.InputError` where the server refuses the request itself.
        """
        self.failure = self.failure or "no time is left"
        left = (deadline - max(self._clock(), self.not_before)) / SECOND
        if left <= 0:
            return None

        def pause(seconds: float, why: str, asked: bool) -> None:
            self.failure = self.hushed(why)
            until = self._clock() + int(seconds * SECOND)
            if until >= (deadline if asked else share):
                self.not_before = max(self.not_before, until if asked else 0)
                raise _OutOfTimeError
            self._sleep(seconds)

        patience = _Patience(
            total=RETRIES, redirect=False, status_forcelist=BUSY, allowed_methods=("GET",), backoff_factor=WAIT,
            raise_on_status=False,
        )  # fmt: skip
        patience.pause = pause
        try:
            answer = self._pool.request(
                "GET", self.name, fields={"metric": metric, "minutes": str(minutes)}, headers=self._headers,
                retries=patience, redirect=False, timeout=urllib3.Timeout(total=min(left, TIMEOUT)),
            )  # fmt: skip
        except _OutOfTimeError:
            return None
        except urllib3.exceptions.HTTPError as error:
            self.failure = self.hushed(_cause(error))
            return None
        if answer.status == 200:
            self.failure = ""
            return answer.data
        message = _message(answer.data)
        self.failure = self.hushed(f"{answer.status} {message}".strip())
        nothing_yet = message.startswith(NoStrikeData.code)
        if answer.status < 500 and answer.status not in BUSY and not nothing_yet:
            raise InputError(f"{self.name} answers {self.failure}")
        return None

    def hushed(self, text: str) -> str:
        """A text without the key, should a server repeat it."""
        return text.replace(self._key, "***") if self._key else text
