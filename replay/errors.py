"""Every error this package raises on purpose, in one tree.

    ReplayError                 code            HTTP  meaning
    ├── RequestError                             400  a request that the contract refuses
    │   ├── BarUnavailable      bar_unavailable  400  bar is not 1m
    │   ├── InvalidBar          invalid_bar      400  a bar that the series does not come in
    │   ├── InvalidSymbol       invalid_symbol   400  a symbol that is no text
    │   ├── InvalidMetric       invalid_metric   400
    │   ├── InvalidMode         invalid_mode     400
    │   ├── InvalidMinutes      invalid_minutes  400  minutes is no integer
    │   ├── InvalidTime         invalid_time     400  a time that cannot be read or does not exist
    │   ├── InvalidTier         invalid_tier     400
    │   ├── InvalidResample     invalid_resample 400
    │   ├── InvalidDuration     invalid_duration 400  a step, latency or length of time that cannot be read
    │   ├── InvalidGapPolicy    invalid_gaps     400  a gap policy that is none
    │   ├── UnknownStrategy     unknown_strategy 400  a strategy that cannot be found or loaded
    │   ├── InvalidParameter    invalid_parameter 400 a strategy's parameter with a wrong name, type or value
    │   ├── InvalidRun          invalid_run      400  a run that cannot be started, or not be gone on with
    │   ├── InvalidStudy        invalid_study    400  a study that cannot be made as asked, or of nothing
    │   ├── GoldenError         invalid_golden   400  a golden file or specification that cannot be used
    │   ├── InvalidConventions  invalid_conventions 400  conventions that do not exist, or do not serve here
    │   ├── InvalidOpenInterest invalid_oi       400  a basis of open interest that is none, or is not stored
    │   ├── InvalidRecord       invalid_record   400  a value that a strategy cannot record
    │   ├── InvalidOrder        invalid_order    400  an order that cannot be sent
    │   ├── InvalidTerms        invalid_terms    400  a fill model, fee, slippage or other term that is none
    │   ├── InvalidClock        invalid_clock    400  a change that a replay's clock cannot make
    │   ├── InvalidKey          invalid_key      400  a name, plan or file of API keys that cannot be used
    │   ├── InvalidAddress      invalid_address  400  a host, port or origin that is not served
    │   └── NoStrikeData        no_strike_data_for_window  400  samples, but none per strike
    ├── LakeError               lake_error       503  the stored data cannot serve
    │   ├── NoLake              no_lake          503  there is no lake at that path
    │   ├── UnreadableFile      unreadable_file  503  a file or row that cannot be read right
    │   ├── ConflictingRow      conflicting_row  503  a row that contradicts a stored one
    │   ├── AgedOut             aged_out         503  raw rows of a session whose raw was removed
    │   └── MixedConventions    mixed_conventions 503  exposures under other conventions than those stored
    ├── Refused                                  401  a request that its key does not allow
    │   ├── Unauthorized        unauthorized     401  no key, or one that is not known
    │   ├── TierRestricted      tier_restricted  403  a plan below the one that is needed
    │   └── QuotaExceeded       quota_exceeded   429  more requests than the plan has a day
    ├── GapFound                gap_found        503  a gap, where the policy is to stop at one
    ├── StrategyFailed          strategy_failed  500  a strategy's own error, with its session and minute
    ├── LedgerBroken            ledger_broken    500  a ledger whose cash and positions are not its equity
    ├── InputError              invalid_input    400  a file to ingest that cannot be used
    ├── QueryError              invalid_query    400  SQL that the lake will not run
    ├── CannotWrite             cannot_write     500  a file, folder or pipe that refuses what is written
    └── MissingExtra            missing_extra    501  an optional dependency that is not installed

Each carries ``code``, ``http_status`` and ``exit_code``; the message says which value, file, row or field
is meant and what would be right.
"""

from __future__ import annotations

import datetime as dt
from typing import Any


class ReplayError(Exception):
    """Base of all errors raised on purpose; never raised itself."""

    code = "error"
    http_status = 500
    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.args, self.__dict__)  # as it is, whatever it was made with


def _again(kind: type[ReplayError], args: tuple[Any, ...], fields: dict[str, Any]) -> ReplayError:
    """An error as another process raised it."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


class RequestError(ReplayError):
    """A request that the contract refuses."""

    http_status = 400


class BarUnavailable(RequestError):
    """``bar`` is anything other than ``1m``."""

    code = "bar_unavailable"


class InvalidBar(RequestError):
    """``bar`` is none that the series comes in."""

    code = "invalid_bar"


class InvalidSymbol(RequestError):
    """``symbol`` is no text; a text that is no symbol merely matches no data."""

    code = "invalid_symbol"


class InvalidMetric(RequestError):
    """``metric`` is not one of the contract's six."""

    code = "invalid_metric"


class InvalidMode(RequestError):
    """``mode`` is neither ``raw`` nor ``delta``."""

    code = "invalid_mode"


class InvalidMinutes(RequestError):
    """``minutes`` is no integer."""

    code = "invalid_minutes"


class InvalidTime(RequestError):
    """A time that cannot be read, or that the New York wall clock does not show, or shows twice."""

    code = "invalid_time"


class InvalidTier(RequestError):
    """``tier`` is not one that a lake can hold."""

    code = "invalid_tier"


class InvalidResample(RequestError):
    """A bar length that a heatmap cannot be coarsened to."""

    code = "invalid_resample"


class InvalidDuration(RequestError):
    """A length of time that cannot be read, or that is too short or too long for its purpose."""

    code = "invalid_duration"


class InvalidGapPolicy(RequestError):
    """A gap policy other than ``strict``, ``mask`` and ``carry:LENGTH``."""

    code = "invalid_gaps"


class UnknownStrategy(RequestError):
    """A strategy that is not there, or whose file or module cannot be loaded."""

    code = "unknown_strategy"


class InvalidParameter(RequestError):
    """A parameter that a strategy does not have, or a value that is not of its type."""

    code = "invalid_parameter"


class InvalidRun(RequestError):
    """A run that cannot be started as asked, or not be gone on with."""

    code = "invalid_run"


class InvalidStudy(RequestError):
    """A study that cannot be made as asked, or for which nothing is left to study."""

    code = "invalid_study"


class GoldenError(RequestError):
    """A specification of golden files, or a golden file, that cannot be used; the message names file and entry."""

    code = "invalid_golden"


class InvalidConventions(RequestError):
    """Conventions that are named wrong, or that the data at hand cannot be computed under."""

    code = "invalid_conventions"


class InvalidOpenInterest(RequestError):
    """A basis of open interest that does not exist, or that the stored rows do not give."""

    code = "invalid_oi"


class InvalidRecord(RequestError):
    """A value that cannot be recorded, or not beside what was recorded under its name before."""

    code = "invalid_record"


class InvalidOrder(RequestError):
    """An order that cannot be sent: a leg, quantity, limit or time in force that is none."""

    code = "invalid_order"


class InvalidTerms(RequestError):
    """Terms that orders cannot be filled and charged on."""

    code = "invalid_terms"


class InvalidClock(RequestError):
    """A change to a replay's clock that it cannot make, or that is not said as it should be."""

    code = "invalid_clock"


class InvalidKey(RequestError):
    """A key's name or plan, or a file of keys, that cannot be used."""

    code = "invalid_key"


class InvalidAddress(RequestError):
    """An address to serve on, or one that a request names, that is not allowed or cannot be had."""

    code = "invalid_address"


class NoStrikeData(RequestError):
    """The window holds samples, but all are legacy rows without per-strike data."""

    code = "no_strike_data_for_window"


class LakeError(ReplayError):
    """The stored data cannot serve the request."""

    code = "lake_error"
    http_status = 503


class NoLake(LakeError):
    """No lake at that path."""

    code = "no_lake"


class UnreadableFile(LakeError):
    """A file, or a row of it, that cannot be read right.

    ``path`` is the file and ``row`` the row in it (from 0), where one is to blame.
    """

    code = "unreadable_file"

    def __init__(self, message: str, *, path: str, row: int | None = None) -> None:
        super().__init__(f"{path}{'' if row is None else f', row {row}'}: {message}")
        self.path = path
        self.row = row


class ConflictingRow(LakeError):
    """A row to write differs from a stored row of the same symbol, tier, ts and recorded_at."""

    code = "conflicting_row"


class AgedOut(LakeError):
    """Rows to write, so many ``rows``, are raw of a session whose raw was removed as the thinned tier stands for it."""

    code = "aged_out"

    def __init__(self, message: str, *, rows: int) -> None:
        super().__init__(message)
        self.rows = rows


class MixedConventions(LakeError):
    """Rows to write hold exposures under other conventions than those that are stored of the symbol and tier."""

    code = "mixed_conventions"


class Refused(ReplayError):
    """A request that its key does not allow; ``said`` and ``headers`` are what its answer has beside the message."""

    http_status = 401

    def __init__(self, message: str, *, headers: tuple[tuple[str, str], ...] = (), **said: Any) -> None:
        super().__init__(message)
        self.headers = headers
        self.said = said


class Unauthorized(Refused):
    """No key, or one that is not known."""

    code = "unauthorized"


class TierRestricted(Refused):
    """A key of a plan below the one that is needed."""

    code = "tier_restricted"
    http_status = 403


class QuotaExceeded(Refused):
    """More requests than the plan has a day."""

    code = "quota_exceeded"
    http_status = 429


class GapFound(ReplayError):
    """A stretch without data met by a run whose policy is to stop there; ``start`` and ``end`` are aware datetimes.

    ``result`` holds what the run recorded until then.
    """

    code = "gap_found"
    http_status = 503

    def __init__(self, message: str, symbol: str, start: dt.datetime, end: dt.datetime) -> None:
        super().__init__(message)
        self.symbol = symbol
        self.start = start
        self.end = end
        self.result: Any = None


class StrategyFailed(ReplayError):
    """A strategy's own error; ``session`` and ``at`` say when, ``traceback`` is the strategy's part of it as text.

    ``result`` holds what the run recorded until then.
    """

    code = "strategy_failed"

    def __init__(self, message: str, *, session: dt.date, at: dt.datetime, traceback: str) -> None:
        super().__init__(message)
        self.session = session
        self.at = at
        self.traceback = traceback
        self.result: Any = None


class LedgerBroken(ReplayError):
    """Cash and position value are not the equity that profits and fees make: a fault of this program."""

    code = "ledger_broken"


class InputError(ReplayError):
    """A file to ingest that cannot be used as it is.

    ``path`` is the file and ``line`` the line in it (from 1), where one is to blame.
    """

    code = "invalid_input"
    http_status = 400

    def __init__(self, message: str, *, path: str | None = None, line: int | None = None) -> None:
        where = "" if path is None else f"{path}{'' if line is None else f', line {line}'}: "
        super().__init__(where + message)
        self.path = path
        self.line = line


class QueryError(ReplayError):
    """SQL that the lake will not run, or could not."""

    code = "invalid_query"
    http_status = 400


class CannotWrite(ReplayError):
    """A file, folder or pipe that refuses what is written; ``path`` is which."""

    code = "cannot_write"

    def __init__(self, path: str, error: OSError) -> None:
        super().__init__(f"{path}: {error.strerror or error}")
        self.path = path


class MissingExtra(ReplayError):
    """An optional dependency that is not installed."""

    code = "missing_extra"
    http_status = 501

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra [{extra}]: pip install 'zerodte-replay[{extra}]'")
        self.extra = extra
