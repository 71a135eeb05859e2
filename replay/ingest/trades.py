"""Ingest of trades: prints with the quote before them become the signed flow of stored snapshots."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import pathlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
import polars as pl

from replay import schema
from replay.contract import is_symbol, normalise_symbol
from replay.errors import ConflictingRow, InputError, NoLake
from replay.exposure.chain import CONTRACT_SIZE
from replay.exposure.conventions import REPLAY_1, Conventions, known_conventions
from replay.exposure.greeks import greeks
from replay.ingest.buckets import SessionBuckets
from replay.ingest.mapping import Mapping
from replay.ingest.prints import PRESETS, mapping_of, prints
from replay.ingest.rows import Count, Tally, read_batches
from replay.ingest.signing import RULES, aggressors, places, tick_signs
from replay.ragged import Floats, Ints, Ragged
from replay.sessions import Session, find_session
from replay.snapshots import Snapshots
from replay.storage.files import Partition, open_files
from replay.storage.rows import as_table
from replay.storage.writer import LakeWriter

COVERAGES: Final = ("chain", "seen")

_SIDES: Final = ((True, "call"), (False, "put"))


@dataclass(slots=True)
class TradesReport:
    """What an ingest did: ``tally`` of the rows, ``places`` and ``signs`` of all prints read, where those that expire
    on their own day went, and by session the stored rows that hold flow now and those of them that did not before."""

    symbol: str
    files: int
    tally: Tally = field(default_factory=Tally)
    places: Counter[int] = field(default_factory=Counter)
    contracts: Counter[int] = field(default_factory=Counter)
    signs: Counter[int] = field(default_factory=Counter)
    late_quotes: int = 0
    late: int = 0
    kept: int = 0
    after_last: int = 0
    unlisted: Count = field(default_factory=Count)
    sessions: dict[dt.date, tuple[int, int]] = field(default_factory=dict)


def ingest_trades(
    files: Sequence[str | os.PathLike[str]],
    lake: str | os.PathLike[str] | None,
    symbol: str,
    mapping: Mapping | str,
    *,
    rule: str = "quote",
    coverage: str = "chain",
    strict: bool = False,
    filesystem: Any | None = None,
) -> TradesReport:
    """Sign prints and add them, as flow since the snapshot before, to the snapshots that a lake holds.

    A print counts in the first snapshot whose ``ts`` is not before the print became known, in every stored revision of
    it, valued with that revision's own vols and spot.

    Parameters
    ----------
    files
        CSV, CSV.gz or Parquet, one row a print, with the quote before it where the rule needs one.
    lake
        A lake that holds the sessions' snapshots; ``None``: only classify.
    mapping
        Which column is what, or one of :data:`PRESETS`.
    rule
        One of :data:`replay.ingest.signing.RULES`.
    coverage
        ``chain``: the files hold every print of the chain up to their last one: a contract without any had none.
        ``seen``: only of the contracts that are in the files anything is known.
    strict
        Refuse a file with a row that cannot be used.

    Raises
    ------
    InputError
        If a file cannot be read, no row of all can be used, or the lake holds no snapshot of a session.
    ConflictingRow
        If a snapshot has other flow already.

    Sessions before the one it raises at, by date, have been written whole.
    """
    name = normalise_symbol(symbol)
    if not is_symbol(name):
        raise InputError(f"symbol {symbol!r} is none; it is 1 to 15 letters, digits, dots or dashes, such as SPY")
    if rule not in RULES or coverage not in COVERAGES:
        raise InputError(f"rule {rule!r} is to be one of {', '.join(RULES)}, coverage {coverage!r} chain or seen")
    report = TradesReport(name, len(files))
    for i, file in enumerate(files):
        if file in files[:i]:
            raise InputError("is given twice: its prints would count twice", path=str(file))
    source = mapping if isinstance(mapping, str) else mapping.name
    with SessionBuckets() as buckets:
        for file in files:
            path = pathlib.Path(file)
            columns = mapping_of(path, mapping)
            before = report.tally.read
            for batch in read_batches(path, columns, report.tally, strict=strict):
                usable, late = prints(batch, columns, str(path), name, report.tally, strict=strict)
                report.late_quotes += late
                buckets.add(usable)
            if report.tally.read == before:
                raise InputError("holds a header and no rows", path=str(path))
        with contextlib.ExitStack() as stack:
            store = None if lake is None else stack.enter_context(_Store(lake, filesystem, name, coverage))
            for date, rows in buckets.sessions():
                own = signed(rows, rule, report).filter(pl.col("expires") == date)
                if store is not None and len(own):
                    store.add(date, own, report, f"trades:{source} rule={rule}")
    if lake is not None and not report.sessions:
        others = report.tally.other_expirations.rows
        raise InputError(
            f"none of {report.tally.read} rows can be used{f'; {others} expire on another date' if others else ''}; "
            "--classify-only counts prints without a lake"
        )
    return report


def signed(rows: pl.DataFrame, rule: str, report: TradesReport) -> pl.DataFrame:
    """One session's prints in the order in which they became known, with their ``sign``; counted."""
    rows = rows.sort("known", "ts", maintain_order=True)
    contract = rows.select(pl.struct("expires", "strike", "call").rank("dense").cast(pl.Int64)).to_series().to_numpy()
    price, bid, ask = (rows[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in ("price", "bid", "ask"))
    place = places(price, bid, ask)
    sign = aggressors(place, tick_signs(price, contract), rule)
    size = rows["size"].to_numpy()
    for each in np.unique(place).tolist():
        report.places[each] += int((place == each).sum())
        report.contracts[each] += int(size[place == each].sum())
    for each in (-1, 0, 1):
        report.signs[each] += int((sign == each).sum())
    own = rows["expires"] == rows["date"]
    report.tally.other_expirations.add(int((~own).sum()), "", 0)
    report.kept += int(own.sum())
    report.late += int((own & (rows["known"] > rows["ts"])).sum())
    return rows.with_columns(sign=pl.Series(sign))


class _Store:
    """A lake whose snapshots get their flow. Use in a ``with``."""

    def __init__(self, lake: str | os.PathLike[str], filesystem: Any | None, symbol: str, coverage: str) -> None:
        files = open_files(lake, filesystem)
        if not files.exists():
            raise NoLake(
                f"{files.root} does not exist; trades go into the snapshots of a lake: ingest a chain or quotes first"
            )
        self._symbol, self._coverage = symbol, coverage
        self._writer = LakeWriter(lake, filesystem)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(self, date: dt.date, rows: pl.DataFrame, report: TradesReport, source: str) -> None:
        """Enrich the stored snapshots of a session by its prints."""
        partition, session = Partition("raw", self._symbol, date), find_session(date)
        assert session is not None, "prints of days without a session are rejected"
        timeline, stored = self._writer.rows(partition)
        if not len(stored):
            raise InputError(
                f"the lake holds no snapshot of {self._symbol} on {date}; ingest its chain or quotes first"
            )
        ids = [timeline.conventions[number] for number in timeline.file.tolist()]
        held = [known_conventions(each) or REPLAY_1 for each in ids]
        found = flows(rows, stored, session, held, self._coverage, report)
        try:
            new = self._writer.enrich(partition, as_table(found, date), schema.metadata(source=source))
        except ConflictingRow as error:
            raise ConflictingRow(
                f"{error.message}; give all of a session's trades in one command, by the same rule, or use a new lake"
            ) from error
        report.sessions[date] = len(found), new


def flows(
    rows: pl.DataFrame,
    stored: Snapshots,
    session: Session,
    conventions: Sequence[Conventions],
    coverage: str,
    report: TradesReport,
) -> Snapshots:
    """Stored rows with what was traded since the snapshot before them, as far as the prints reach: these columns."""
    shown = np.flatnonzero(stored.has_strikes)
    instants = np.unique(stored.ts[shown])
    at = np.searchsorted(instants, rows["known"].to_numpy())
    report.after_last += int((at >= len(instants)).sum())
    reach = int(rows["known"].max()) if len(rows) else 0  # type: ignore[arg-type]  # integers
    before = np.concatenate([[np.iinfo(np.int64).min], instants[:-1]])
    covered = np.isin(stored.ts, instants[before < reach]) & stored.has_strikes
    kept = stored.take(np.flatnonzero(covered))
    own = [conventions[i] for i in np.flatnonzero(covered).tolist()]
    strike, position = kept.lists["strike"], np.searchsorted(instants, kept.ts)
    counts = {
        call: _by_cell(rows.filter(pl.col("call") == call), at[rows["call"].to_numpy() == call], instants)
        for call, _ in _SIDES
    }
    _count_unlisted(rows, at, kept, position, report)
    lists: dict[str, list[Floats]] = {name: [] for name in ("signed_flow", "call_flow", "put_flow", "gamma_flow")}
    seen = {call: set(rows.filter(pl.col("call") == call)["strike"].to_list()) for call, _ in _SIDES}
    for i in range(len(kept)):
        listed = strike.row(i)
        total, gammas = np.zeros(len(listed)), np.zeros(len(listed))
        known = np.zeros(len(listed), np.bool_)
        years = own[i].years(session, kept.ts[i : i + 1])
        for call, side in _SIDES:
            flow = np.array([counts[call].get((int(position[i]), k), 0.0) for k in listed.tolist()])
            covered_side = np.ones(len(listed), np.bool_)
            if coverage == "seen":
                covered_side = np.array([k in seen[call] for k in listed.tolist()], np.bool_)
            lists[f"{side}_flow"].append(np.where(covered_side, flow, np.nan))
            vol = kept.lists[f"{side}_iv"].row(i) if kept.lists[f"{side}_iv"].known[i] else np.full(len(listed), np.nan)
            delta, gamma = _risk(kept.spot[i], listed, float(years[0]), vol, call, own[i], flow != 0)
            shares = flow * CONTRACT_SIZE * kept.spot[i]
            total += np.where(flow != 0, shares * delta, 0.0)
            gammas += np.where(flow != 0, shares * gamma * kept.spot[i] * 0.01, 0.0)
            known |= covered_side
        lists["signed_flow"].append(np.where(known, total + 0.0, np.nan))
        lists["gamma_flow"].append(np.where(known, gammas + 0.0, np.nan))
    lengths = strike.lengths
    starts = np.cumsum(lengths) - lengths
    made = {
        name: Ragged(np.concatenate([np.empty(0), *values]), starts, lengths, np.ones(len(kept), np.bool_))
        for name, values in lists.items()
    }
    return Snapshots(kept.ts, kept.recorded_at, kept.spot, {"strike": strike} | made)


def _risk(
    spot: float,
    strike: Floats,
    years: float,
    vol: Floats,
    call: bool,
    conventions: Conventions,
    wanted: np.ndarray[Any, Any],
) -> tuple[Floats, Floats]:
    """Delta and gamma at the strikes where they are wanted, NaN elsewhere."""
    delta, gamma = np.full(len(strike), np.nan), np.full(len(strike), np.nan)
    at = np.flatnonzero(wanted)
    if len(at):
        risk = greeks(
            np.full(len(at), spot), strike[at], np.full(len(at), years), vol[at], np.full(len(at), call),
            conventions.rate, conventions.dividend,
        )  # fmt: skip
        delta[at], gamma[at] = risk.delta, risk.gamma
    return delta, gamma


def _by_cell(rows: pl.DataFrame, at: Ints, instants: Ints) -> dict[tuple[int, float], float]:
    """Signed contracts by position of the instant and strike."""
    cells = rows.with_columns(at=pl.Series(at)).filter(pl.col("at") < len(instants))
    sums = cells.group_by("at", "strike", maintain_order=True).agg(
        (pl.col("sign") * pl.col("size")).sum().alias("flow")
    )
    return {(int(a), float(k)): float(f) for a, k, f in sums.iter_rows()}


def _count_unlisted(rows: pl.DataFrame, at: Ints, kept: Snapshots, position: Ints, report: TradesReport) -> None:
    """Count prints at strikes that no revision of their snapshot lists."""
    listed = {(int(position[i]), k) for i in range(len(kept)) for k in kept.lists["strike"].row(i).tolist()}
    reached = set(position.tolist())
    for a, k, path, line in zip(
        at.tolist(), rows["strike"].to_list(), rows["path"].to_list(), rows["line"].to_list(), strict=True
    ):
        if a in reached and (a, k) not in listed:
            report.unlisted.add(1, path, line, f"{k:g}")


__all__ = ["COVERAGES", "PRESETS", "TradesReport", "ingest_trades"]
