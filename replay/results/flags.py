"""Red flags: reasons not to believe a backtest, each computed from what the run left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from replay.results.metrics import deflated_sharpe, probabilistic_sharpe
from replay.results.run import Traded

FEW_TRADES: Final = 30
SIGNIFICANT: Final = 0.95
DOMINATED: Final = 0.5
FLAT: Final = 0.5
DOUBTFUL_FILLS: Final = 0.1
UNFILLED: Final = 0.2


@dataclass(frozen=True, slots=True)
class Flag:
    """One reason: its name, whether it is raised, and a sentence with the numbers."""

    name: str
    raised: bool
    text: str


def flags(run: Traded) -> list[Flag]:
    """Every flag, those that are raised first, each in its place otherwise."""
    found = [Flag(name, *judge(run)) for name, judge in _JUDGES.items()]
    return sorted(found, key=lambda flag: not flag.raised)


def _complete(run: Traded) -> tuple[bool, str]:
    status = run.run["status"]
    error = run.run.get("error") or {}
    if status == "complete":
        return False, f"all {len(run.run['dates'])} sessions were replayed"
    return True, f"the run ended early ({status}): {error.get('message', '')}".rstrip(": ")


def _few_trades(run: Traded) -> tuple[bool, str]:
    count = len(run.trades)
    return count < FEW_TRADES, f"{count} trades; below {FEW_TRADES} luck and skill look alike"


def _significance(run: Traded) -> tuple[bool, str]:
    trials, profits = int(run.run["trials"]), run.profits
    plain, found = probabilistic_sharpe(profits), deflated_sharpe(profits, trials)
    tried = f"{trials} set{'s' * (trials > 1)} of parameters tried"
    if plain is None or found is None:
        return True, f"no Sharpe ratio can be told of {len(profits)} settled sessions ({tried})"
    return (
        found < SIGNIFICANT,
        f"the probability of an edge above luck is {found:.1%} after {tried} ({plain:.1%} were it the only one); "
        f"{SIGNIFICANT:.0%} is asked for",
    )


def _flat(run: Traded) -> tuple[bool, str]:
    profits = run.profits
    still = int((profits == 0).sum())
    if len(profits) == 0:
        return True, "no session is settled"
    return still > FLAT * len(profits), f"{still} of {len(profits)} settled sessions made and lost nothing"


def _dominated(run: Traded) -> tuple[bool, str]:
    profits = run.profits
    total = float(profits.sum())
    if len(profits) == 0 or total == 0:
        return len(profits) > 0, "nothing was made in all"
    at = int(np.argmax(profits if total > 0 else -profits))
    share = float(profits[at]) / total
    date = run.settled["session"][at]
    return share > DOMINATED, f"the largest session, {date}, is {share:.0%} of the total"


def _fill_prices(run: Traded) -> tuple[bool, str]:
    sums = {way: float(run.settled[way].sum()) for way in ("profit", "mid", "touch", "worst")}
    text = f"mid {sums['mid']:,.0f}, touch {sums['touch']:,.0f}, worst {sums['worst']:,.0f} USD"
    signs = {sums[way] > 0 for way in ("profit", "touch", "worst")}
    return len(signs) > 1, f"the sign {'hangs on' if len(signs) > 1 else 'does not hang on'} how orders fill: {text}"


def _doubtful_quotes(run: Traded) -> tuple[bool, str]:
    filled = int(run.sessions["filled"].sum())
    wide, stale = int(run.sessions["wide_fills"].sum()), int(run.sessions["stale_fills"].sum())
    share = max(wide, stale) / filled if filled else 0.0
    return (
        share > DOUBTFUL_FILLS,
        f"of {filled} fills {wide} on wide quotes, {stale} on quotes that hung while spot moved",
    )


def _unfilled(run: Traded) -> tuple[bool, str]:
    orders = int(run.sessions["orders"].sum())
    lost = int(run.sessions["expired"].sum()) + int(run.sessions["rejected"].sum())
    misses = int(run.sessions["misses"].sum())
    share = lost / orders if orders else 0.0
    return share > UNFILLED, f"{lost} of {orders} orders found no fill or were rejected; {misses} misses"


def _same(run: Traded) -> tuple[bool, str]:
    count = int(run.sessions["same_fills"].sum())
    return count > 0, f"{count} fills on the very snapshot that was decided on, which nobody can have"


def _unsettled(run: Traded) -> tuple[bool, str]:
    rows = run.sessions.filter(~run.sessions["settled"])
    if len(rows) == 0:
        return False, "every session that held contracts at the close has a settlement price"
    named = ", ".join(map(str, rows["session"].head(3))) + (" …" if len(rows) > 3 else "")
    return True, f"{len(rows)} sessions are not settled and left out of every sum: {named}"


def _gapped(run: Traded) -> tuple[bool, str]:
    told = [(each["date"], own) for each in run.run["sessions"] for own in each["symbols"].values()]
    gapped = {date for date, own in told if own["gaps"]}
    stale = sum(own["stale_ticks"] for _, own in told)
    return bool(gapped), f"{len(gapped)} of {len(run.run['sessions'])} sessions have gaps; {stale:,} ticks were stale"


def _skipped(run: Traded) -> tuple[bool, str]:
    missing = run.run["missing_sessions"]
    held = len(run.run["dates"])
    if not missing:
        return False, f"no session of the exchange is missing between the first and the last of {held}"
    return (
        True,
        f"{len(missing)} sessions of the exchange are not in the lake ({held} are): {missing[0]} to {missing[-1]}",
    )


def _audited(run: Traded) -> tuple[bool, str]:
    strategy, found = run.run["strategy"], run.audit
    way = "; write `replay audit … --format json --out RUN/audit.json`"
    if found is None:
        return True, f"no look-ahead audit of this strategy lies beside the run{way}"
    if strategy["source_sha256"] is None or found.get("source_sha256") != strategy["source_sha256"]:
        return True, f"the audit beside the run is of another source than the strategy's{way}"
    if found["leaks"]:
        return True, f"the audit found leaks: {len(found['findings'])} findings"
    other = "" if found.get("parameters") == strategy["parameters"] else ", with other parameters"
    return False, f"the look-ahead audit of this source found no leak in {len(found['sessions'])} sessions{other}"


def _conventions(run: Traded) -> tuple[bool, str]:
    named = sorted(
        {each for one in run.run["sessions"] for own in one["symbols"].values() for each in own["conventions"]}
    )
    if "stated" in run.run and run.run["stated"]["conventions"]:
        return False, f"exposures are stated under {run.run['stated']['conventions']}"
    unknown = "None" in named
    words = ["no named conventions" if each == "None" else each for each in named]
    text = f"exposures are under {', '.join(words) or 'none'}"
    return len(named) > 1 or unknown, text


def _clocks(run: Traded) -> tuple[bool, str]:
    told = [own for each in run.run["sessions"] for own in each["symbols"].values() if own["rows"]]
    rows, instant = sum(own["rows"] for own in told), sum(own["instant_rows"] for own in told)
    if not rows:
        return False, "no row"
    if instant > rows / 2:
        return True, (
            f"{instant:,} of {rows:,} rows say that they were known in the instant they describe, which none is: what "
            "came late cannot be told; give a --latency"
        )
    revised = sum(own["revisions"] for own in told)
    lags = sorted(own["lag_s"] for own in told)
    return (
        False,
        f"rows were known {lags[len(lags) // 2]:,.1f} s after their instant (median); {revised:,} were revised",
    )


_JUDGES: Final[dict[str, Callable[[Traded], tuple[bool, str]]]] = {
    "run incomplete": _complete,
    "look-ahead not audited": _audited,
    "sessions not settled": _unsettled,
    "same-snapshot fills": _same,
    "few trades": _few_trades,
    "not significant": _significance,
    "result hangs on fills": _fill_prices,
    "one session dominates": _dominated,
    "flat equity": _flat,
    "doubtful quotes": _doubtful_quotes,
    "orders unfilled": _unfilled,
    "sessions with gaps": _gapped,
    "sessions missing": _skipped,
    "conventions mixed": _conventions,
    "clocks in doubt": _clocks,
}
