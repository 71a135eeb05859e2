"""Red flags: what speaks against believing a run's result, each computed, with its numbers and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import polars as pl

from replay.results.metrics import deflated_sharpe
from replay.results.traded import AUDIT, Traded

Severity = Literal["red", "amber", "clear"]

LEAST_TRADES: Final = 30
LEAST_SESSIONS: Final = 30
"""Settled ones, below which a Sharpe ratio's error is not near normal."""
SIGNIFICANT: Final = 0.95
DOUBTFUL: Final = 0.90
DOMINANT: Final = 0.5
LARGE: Final = 0.25
BAD_FILLS: Final = 0.10
UNFILLED: Final = 0.20
STALE_TICKS: Final = 0.05
UNNAMED: Final = "None"
"""How ``run.json`` names the conventions of a file that names none."""
LATE: Final = 60.0
"""Seconds of median lag from which data counts as known late."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One reason for doubt.

    Attributes
    ----------
    id, title
        Its name in JSON, and in words.
    severity
        ``red``: the result must not be believed as it stands; ``amber``: look first; ``clear``: checked, nothing found.
    says
        A sentence with the numbers.
    advice
        What to do; empty where it is clear.
    """

    id: str
    title: str
    severity: Severity
    says: str
    advice: str = ""


def flags(traded: Traded) -> tuple[Flag, ...]:
    """Every flag of a run, the raised ones first, the red before the amber."""
    made = [check(traded) for check in CHECKS]
    rank = {"red": 0, "amber": 1, "clear": 2}
    return tuple(sorted(made, key=lambda flag: rank[flag.severity]))


def _few_trades(traded: Traded) -> Flag:
    count, known = len(traded.trades), int(traded.trades["profit"].is_not_null().sum())
    of = "" if known == count else f", {known} of them with a known result"
    said = f"{_n(count, 'trade')} in {_n(len(traded.sessions), 'session')}{of}"
    if known >= LEAST_TRADES:
        return Flag("few_trades", "Number of trades", "clear", f"{said}, {LEAST_TRADES} or more.")
    return Flag(
        "few_trades", "Few trades", "red", f"{said}, fewer than {LEAST_TRADES}.",
        "Backtest more sessions before any number below is believed.",
    )  # fmt: skip


def _significance(traded: Traded) -> Flag:
    trials = traded.trials
    chance = deflated_sharpe(traded.known(), trials)
    tried = f"{_n(trials, 'parameter set')} tried"
    if chance is None:
        return Flag(
            "significance", "Significance unknown", "red",
            f"The deflated Sharpe ratio is not defined: fewer than three settled sessions, or all the same; {tried}.",
            "Backtest more sessions.",
        )  # fmt: skip
    said = f"Deflated Sharpe ratio {_three(chance)} with {tried}: the probability that the true Sharpe ratio is above"
    said += " 0" if trials == 1 else " what the best of them shows by chance"
    count = len(traded.known())
    if chance >= SIGNIFICANT and count < LEAST_SESSIONS:
        return Flag(
            "significance", "Significance in doubt", "amber",
            f"{said}; but {_n(count, 'settled session')} cannot show it: it leans on a normal error from about "
            f"{LEAST_SESSIONS} on.",
            "Backtest more sessions.",
        )  # fmt: skip
    if chance >= SIGNIFICANT:
        return Flag("significance", "Significance", "clear", f"{said}; {SIGNIFICANT:g} or more.")
    return Flag(
        "significance", "Not significant", "amber" if chance >= DOUBTFUL else "red", f"{said}; below {SIGNIFICANT:g}.",
        "Take it as noise until more sessions say otherwise; give --trials the number of sets that were tried.",
    )  # fmt: skip


def _flat(traded: Traded) -> Flag:
    profits = traded.profits()
    known = profits[np.isfinite(profits)]
    still = int((known == 0).sum())
    said = f"{still} of {_n(len(known), 'settled session')} with a profit of exactly 0"
    if len(known) and still * 2 <= len(known):
        return Flag("flat", "Sessions that trade", "clear", f"{said}.")
    return Flag(
        "flat", "Flat equity", "red" if still == len(known) else "amber", f"{said}.",
        "See under fills and misses why it rarely trades; the metrics count those sessions too.",
    )  # fmt: skip


def _one_session(traded: Traded) -> Flag:
    known = traded.sessions.filter(pl.col("profit").is_not_null())
    profits = known["profit"].to_numpy()
    size = float(np.abs(profits).sum())
    if size == 0:
        return Flag("one_session", "Share of one session", "clear", "No session has a profit or a loss.")
    at = int(np.argmax(np.abs(profits)))
    share, total = abs(float(profits[at])) / size, float(profits.sum())
    said = f"{known['session'][at]} alone ({_usd(profits[at])}) is {share:.0%} of all that was won and lost"
    turned = total > 0 and total - float(profits.max()) <= 0
    if turned:
        said += f"; without the best session the total of {_usd(total)} is {_usd(total - profits.max())}"
    if not turned and share <= LARGE:
        return Flag("one_session", "Share of one session", "clear", f"{said}.")
    return Flag(
        "one_session", "One session decides", "red" if turned or share > DOMINANT else "amber", f"{said}.",
        "Look at that session's trades below, and at the result without it.",
    )  # fmt: skip


def _assignment(traded: Traded) -> Flag:
    at_pin = traded.sessions.filter(pl.col("pin_contracts") > 0)
    count, held = int(at_pin["pin_contracts"].sum()), int(traded.sessions["open_contracts"].sum())
    said = f"Of {_n(held, 'contract')} held into the close {count} had a strike within 0.1 % of the settlement price"
    if not count:
        return Flag("assignment", "Assignment", "clear", f"{said}, or settled in cash.")
    return Flag(
        "assignment", "Assignment uncertain", "amber",
        f"{said}, in {_n(len(at_pin), 'session')}: whether they are exercised is known only afterwards.",
        "Close them before the close, or count on shares of the underlying overnight.",
    )  # fmt: skip


def _kind_fills(traded: Traded) -> Flag:
    own, touch, worst = (float(traded.settled[way].sum()) for way in ("profit", "touch", "worst"))
    said = f"{_usd(own)} as filled ({traded.run['terms']['fill']}), {_usd(touch)} at the touch, {_usd(worst)} at worst"
    if own <= 0 or worst > 0:
        return Flag("kind_fills", "Prices of fills", "clear", f"{said}: the sign does not hang on the fills.")
    return Flag(
        "kind_fills", "Depends on the fills", "red" if touch <= 0 else "amber", f"{said}: the profit goes with them.",
        "Believe the touch, not the mid; a profit that a tick takes away is none.",
    )  # fmt: skip


def _bad_fills(traded: Traded) -> Flag:
    legs = traded.ledger.filter(pl.col("event") == "fill")
    filled = legs.group_by("session", "order").agg(pl.col("wide", "stale").fill_null(value=False).any())
    bad = int((filled["wide"] | filled["stale"]).sum())
    share = bad / len(filled) if len(filled) else 0.0
    said = (
        f"{bad} of {_n(len(filled), 'filled order')} ({share:.0%}): {int(filled['wide'].sum())} on wide quotes, "
        f"{int(filled['stale'].sum())} on quotes that hung while spot moved"
    )
    if not bad:
        return Flag("bad_fills", "Quotes of fills", "clear", f"{said}.")
    return Flag(
        "bad_fills", "Fills on stale or wide quotes", "red" if share > BAD_FILLS else "amber", f"{said}.",
        "Lower --max-spread, and see what is left.",
    )  # fmt: skip


def _unfilled(traded: Traded) -> Flag:
    sums = {name: int(traded.sessions[name].sum()) for name in ("orders", "expired", "rejected", "misses")}
    lost = sums["expired"] + sums["rejected"]
    share = lost / sums["orders"] if sums["orders"] else 0.0
    said = f"{lost} of {_n(sums['orders'], 'order')} ({share:.0%}) expired or rejected, after {sums['misses']} misses"
    if share <= UNFILLED:
        return Flag("unfilled", "Orders filled", "clear", f"{said}.")
    return Flag(
        "unfilled", "Orders unfilled", "amber", f"{said}.",
        "See the reasons under fills and misses: what was not traded may be what would have lost.",
    )  # fmt: skip


def _same_fills(traded: Traded) -> Flag:
    same = int(traded.sessions["same_fills"].sum())
    said = f"{_n(same, 'order')} filled on the snapshot decided on"
    if not same:
        return Flag("same_fills", "Instants of fills", "clear", f"{said}.")
    return Flag(
        "same_fills", "Same-snapshot fills", "red", f"{said}, which nobody can do.",
        "Backtest with another --fill; this run is of use as an upper bound alone.",
    )  # fmt: skip


def _unsettled(traded: Traded) -> Flag:
    left = traded.sessions.filter(~pl.col("settled"))
    said = (
        f"{len(left)} of {_n(len(traded.sessions), 'session')} held contracts at the close without a settlement price"
    )
    if not len(left):
        return Flag("unsettled", "Settlement", "clear", f"{said}.")
    return Flag(
        "unsettled", "Unsettled sessions", "red",
        f"{said}, so that their result is unknown and left out: {_dates(left['session'])}.",
        "Give --settlement a file with their prices.",
    )  # fmt: skip


def _gaps(traded: Traded) -> Flag:
    sessions = traded.run["sessions"]
    told = [(session["date"], each) for session in sessions for each in session["symbols"].values()]
    gapped = sorted({date for date, each in told if each["gaps"]})
    stale = sum(each["stale_ticks"] for _, each in told)
    ticks = sum(session["ticks"] * len(session["symbols"]) for session in sessions)
    share = stale / ticks if ticks else 0.0
    said = f"{len(gapped)} of {_n(len(sessions), 'session')} with gaps in the data, {share:.1%} of all ticks stale"
    if not gapped and share <= STALE_TICKS:
        return Flag("gaps", "Gaps", "clear", f"{said}.")
    named = f": {_dates(gapped)}" if gapped else ""
    return Flag(
        "gaps", "Gapped sessions", "red" if share > STALE_TICKS else "amber", f"{said}{named}.",
        "replay quality says what is wrong with them; leave out those that cannot be mended.",
    )  # fmt: skip


def _skipped(traded: Traded) -> Flag:
    missing, done = traded.run["missing_sessions"], len(traded.run["sessions"])
    said = f"{len(missing)} of {_n(done + len(missing), 'exchange session')} in the span not in the lake"
    if not missing:
        return Flag("skipped", "Sessions covered", "clear", f"{said}.")
    return Flag(
        "skipped", "Skipped sessions", "red" if len(missing) * 10 > done + len(missing) else "amber",
        f"{said}: {_dates(missing)}.",
        "Ask why they are missing: sessions that were picked choose the result.",
    )  # fmt: skip


def _audit(traded: Traded) -> Flag:
    found, own = traded.audit, traded.strategy
    command = f"Run replay audit on it with --format json --out RUN/{AUDIT}, and make the report anew."
    title = "Look-ahead audit"
    if found is None:
        return Flag("audit", title, "amber", "Not run on this strategy's source.", command)
    if own["source_sha256"] is None or found.get("source_sha256") != own["source_sha256"]:
        hashes = [str(each or "unknown")[:12] for each in (found.get("source_sha256"), own["source_sha256"])]
        return Flag("audit", title, "amber", f"Run on another source: {hashes[0]}, not {hashes[1]}.", command)
    if found["leaks"]:
        count = len(found.get("findings", ()))
        return Flag(
            "audit", title, "red", f"Found {_n(count, 'leak')} in this strategy's source.",
            "The strategy sees the future, keeps hidden state or is random: mend it first.",
        )  # fmt: skip
    for name, theirs, ours in (
        ("parameters", found.get("parameters"), own["parameters"]),
        ("symbols", found.get("symbols"), traded.run["symbols"]),
    ):
        if theirs != ours:
            return Flag("audit", title, "amber", f"Run on this source, but with other {name}.", command)
    said = (
        f"No leak found in {_n(len(found.get('sessions', ())), 'session')}, {_n(found.get('instants', 0), 'instant')}"
    )
    return Flag("audit", title, "clear", f"{said}, source {own['source_sha256'][:12]}.")


def _conventions(traded: Traded) -> Flag:
    stated = (traded.run.get("stated") or {}).get("conventions")
    told = [each for session in traded.run["sessions"] for each in session["symbols"].values() if each["rows"]]
    ids = sorted({name for each in told for name in each["conventions"]})
    named = ", ".join("unnamed" if name == UNNAMED else name for name in ids) or "none"
    if stated is not None:
        return Flag("conventions", "Conventions", "clear", f"All exposures stated under {stated}; stored: {named}.")
    if len(ids) <= 1 and UNNAMED not in ids:
        return Flag("conventions", "Conventions", "clear", f"One id in use: {named}.")
    if ids == [UNNAMED]:
        return Flag(
            "conventions", "Conventions unknown", "amber",
            "The lake's files do not say what exposures were computed under.",
            "Compute them anew from the chains, or state them with --conventions.",
        )  # fmt: skip
    return Flag(
        "conventions", "Conventions mixed", "red", f"{len(ids)} ids in use: {named}.",
        "State all sessions under one with --conventions.",
    )  # fmt: skip


def _known_later(traded: Traded) -> Flag:
    told = [each for session in traded.run["sessions"] for each in session["symbols"].values()]
    count, instant = sum(each["rows"] for each in told), sum(each["instant_rows"] for each in told)
    lags = [each["lag_s"] for each in told if each["lag_s"] is not None]
    title = "Known later than it claims"
    if not count:
        return Flag("known_later", title, "amber", "The lake held no row.", "Backtest sessions that it holds.")
    lag, share = float(np.median(lags)), instant / count
    fills = traded.ledger.filter((pl.col("event") == "fill") & pl.col("quote_recorded_at").is_not_null())
    late = (fills["quote_recorded_at"] - fills["quote_ts"]).dt.total_microseconds().to_numpy() / 1e6
    said = f"Of {_n(count, 'row')} {share:.0%} claim to be known the instant they describe; median lag {_lag(lag)}"
    if len(late):
        said += f", of fills {_lag(float(np.median(late)))}, at most {_lag(float(late.max()))}"
    if share > 0:
        return Flag(
            "known_later", title, "red" if share > DOMINANT else "amber", f"{said}.",
            "Nobody knows a chain the instant it stands: give the run a --latency of what the source really takes.",
        )  # fmt: skip
    if lag >= LATE:
        return Flag(
            "known_later", "Data known late", "amber", f"{said}.",
            "Decisions were made on data so old: check that the lag is the one you will trade on.",
        )  # fmt: skip
    return Flag("known_later", "When data was known", "clear", f"{said}.")


CHECKS: Final[tuple[Callable[[Traded], Flag], ...]] = (
    _few_trades, _significance, _unsettled, _one_session, _flat, _kind_fills, _same_fills, _bad_fills, _unfilled,
    _assignment, _known_later, _audit, _gaps, _skipped, _conventions,
)  # fmt: skip
"""In the order in which they are listed within a severity."""


def _n(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _usd(amount: float) -> str:
    return f"{'-' if amount < 0 else ''}{abs(amount):,.2f} USD"


def _three(share: float) -> str:
    """Three decimals, never rounded up over a limit."""
    return f"{int(share * 1000) / 1000:.3f}"


def _lag(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < LATE else f"{seconds / 60:.1f} minutes"


def _dates(dates: Iterable[Any]) -> str:
    """Up to five, and how many more."""
    named = [str(date) for date in dates]
    return ", ".join(named[:5]) + (f" and {len(named) - 5} more" if len(named) > 5 else "")
