"""What the checks are called, why each matters, and what its faults cost: all of the score's arithmetic.

The penalty of a check is ``floor + points * scored / of``, at most ``cap``, rounded up to a hundredth, where any of its
cases is scored, else 0: ``scored`` is how many of the cases found are held against the session, ``of`` how many there
could have been. The score is 100 less the penalties of all checks, not below 0; so more faults never raise it. A check
that cannot be made, as its columns are not stored, costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MAJOR_PENALTY: Final = 500
"""From this many hundredths of a point on a check's finding is major; below, minor; without penalty, info."""


@dataclass(frozen=True, slots=True)
class CheckKind:
    """One check: ``id``, ``what`` it counts in which ``unit``, ``why`` a backtest cares, and what a fault costs.

    ``floor`` and ``cap`` are points, ``points`` are those of a session whose every case is scored. A kind of which
    nothing is ever scored has cap 0.
    """

    id: str
    what: str
    unit: str
    why: str
    floor: float = 0.0
    points: float = 0.0
    cap: float = 0.0

    def penalty(self, scored: float, of: float) -> int:
        """Hundredths of a point; it never falls as ``scored`` rises."""
        if scored <= 0 or of <= 0:
            return 0
        return min(round(self.cap * 100), math.ceil(round(100 * (self.floor + self.points * scored / of), 6)))


def score_of(penalties: Iterable[int]) -> float:
    """The score, 0..100, from penalties in hundredths of a point."""
    return max(0, 10_000 - sum(penalties)) / 100


KINDS: Final = (
    CheckKind(
        "gaps",
        "minutes between open and close in stretches longer than two cadences without a snapshot",
        "minutes",
        "where nothing was sampled a strategy sees old data or none, and levels jump when it comes back",
        points=100,
        cap=100,
    ),
    CheckKind(
        "late",
        "snapshots that became known later than the median lag by more than a cadence, or a minute if that is more",
        "snapshots",
        "a replay shows them only then, so they may be missing at the moment they describe",
        floor=0.5,
        points=50,
        cap=15,
    ),
    CheckKind(
        "skew",
        "snapshots that became known earlier than the median lag by more than a cadence, or a minute if that is more",
        "snapshots",
        "a lag that jumps or drifts says that one of the two clocks is wrong, and with it the order of what was known",
        floor=0.5,
        points=50,
        cap=15,
    ),
    CheckKind(
        "bulk",
        "snapshots that share their recorded_at with a snapshot of another instant",
        "snapshots",
        "recorded_at is then the time of a download, and a replay cannot tell when each was known",
        floor=0.5,
        points=15,
        cap=15,
    ),
    CheckKind(
        "instant",
        "snapshots whose recorded_at is their ts",
        "snapshots",
        "no source is that quick: when it became known was not recorded, and a replay sees it too early",
        points=5,
        cap=5,
    ),
    CheckKind(
        "repeated",
        "stored rows that say again, with a later recorded_at, what the row before them of the same ts says",
        "rows",
        "the source stood still while the recorder went on; a snapshot that seems new holds nothing new",
        floor=0.25,
        points=10,
        cap=5,
    ),
    CheckKind(
        "revised",
        "stored rows that correct an earlier row of the same ts",
        "rows",
        "a replay shows the first until the second was recorded; `replay diff` lists what changed",
    ),
    CheckKind(
        "unchanged",
        "snapshots that repeat quotes, volumes and flow of the one before for two cadences or more, and a minute",
        "snapshots",
        "a source that hangs shows calm where there was none",
        floor=1,
        points=100,
        cap=25,
    ),
    CheckKind(
        "previous_session",
        "snapshots that hold what the stored session before held",
        "snapshots",
        "yesterday's chain under today's date: whatever is made of it belongs to options that have expired",
        floor=10,
        points=100,
        cap=60,
    ),
    CheckKind(
        "legacy",
        "snapshots without per-strike data",
        "snapshots",
        "they give spot alone: no heatmap, no level",
        points=50,
        cap=50,
    ),
    CheckKind(
        "outside",
        "snapshots before the open or after the close",
        "snapshots",
        "a replay's clock runs from open to close: it does not see them, and the other checks pass them over",
    ),
    CheckKind(
        "unsound",
        "stored rows known before their ts, off their date, without a spot, with strikes out of order or contradicting",
        "rows",
        "what is made of them is not to be relied on; `replay verify` names each",
        floor=2,
        points=50,
        cap=25,
    ),
    CheckKind(
        "no_quote",
        "options listed with neither bid nor ask",
        "options",
        "there is no price to fill at, and none to solve a vol from",
        points=20,
        cap=10,
    ),
    CheckKind(
        "one_sided",
        "options with a bid or an ask alone; scored are those without an ask, and those in the money without a bid",
        "options",
        "they cannot be sold, or not be bought: how options end out of the money, and a fault in it",
        floor=0.1,
        points=100,
        cap=10,
    ),
    CheckKind(
        "crossed",
        "quotes with a bid above the ask",
        "quotes",
        "no such market stands: one of the sides is old or wrong, and a fill at it is a gift",
        floor=0.5,
        points=200,
        cap=20,
    ),
    CheckKind(
        "locked",
        "quotes with a bid equal to the ask; scored where they are more than a hundredth of all",
        "quotes",
        "a fill costs no spread there; it happens, but seldom",
        points=20,
        cap=5,
    ),
    CheckKind(
        "wide",
        "quotes of the strikes next to the forward that are wider than a tenth of their mid, and than 0.05 USD",
        "quotes",
        "the mid says little about a price to be had",
    ),
    CheckKind(
        "parity",
        "strikes whose call and put would buy or sell the forward beyond tolerance away from where the others do",
        "strikes",
        "a quote there is old or wrong, and so are vols and greeks solved from it",
        floor=0.5,
        points=200,
        cap=15,
    ),
    CheckKind(
        "spot_parity",
        "snapshots whose spot differs beyond tolerance from the forward that calls and puts imply",
        "snapshots",
        "spot and quotes are of different instants, so moneyness, greeks and exposures are of neither",
        floor=0.5,
        points=50,
        cap=15,
    ),
    CheckKind(
        "zero_vol",
        "options whose vol is 0, the limit; scored are those with a bid and time value, which have a vol",
        "options",
        "they have no gamma, vanna or charm, so they add nothing to an exposure",
        floor=0.1,
        points=50,
        cap=15,
    ),
    CheckKind(
        "unknown_vol",
        "options listed without a vol",
        "options",
        "their greeks are not known, nor is an exposure that they belong to",
        points=30,
        cap=10,
    ),
    CheckKind(
        "unknown_exposure",
        "listed strikes whose gex is not known",
        "strikes",
        "levels skip them: a wall may be missing",
        points=30,
        cap=15,
    ),
    CheckKind(
        "volume_falls",
        "times that an option's volume is below what it was, though volume only adds up",
        "steps",
        "volume traded since the last snapshot, and flow made of it, would be negative",
        floor=1,
        points=200,
        cap=15,
    ),
    CheckKind(
        "oi_moves",
        "options whose open interest changes within the session, though it is settled once a day",
        "options",
        "a change of exposure then comes from the data, not from the market",
        floor=1,
        points=30,
        cap=15,
    ),
    CheckKind(
        "flow_holes",
        "snapshots without any flow between snapshots that have some",
        "snapshots",
        "what was traded there is in the next one's flow or in none, and effective open interest lacks it meanwhile",
        floor=0.5,
        points=50,
        cap=10,
    ),
    CheckKind(
        "strikes_come_and_go",
        "strikes that are not listed from the first snapshot to the last",
        "strikes",
        "a window of strikes that drifts with spot: sums over all strikes change as it moves",
    ),
    CheckKind(
        "strike_holes",
        "strikes left out of a snapshot that lists strikes on both sides of them, though listed before and after",
        "strikes",
        "a strike that flickers makes exposures and walls flicker",
        floor=0.25,
        points=100,
        cap=10,
    ),
)
"""Every check, in the order of reports."""

BY_ID: Final = {kind.id: kind for kind in KINDS}
