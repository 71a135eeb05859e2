"""Levels of one snapshot: magnet, walls, flip, max pain, pin score and totals. Knows snapshots, not lakes."""

from __future__ import annotations

import datetime as dt
import functools
import math
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from replay.exposure.conventions import REPLAY_1, Conventions
from replay.ragged import Floats, Ints
from replay.sessions import Session, from_us, iso_utc, to_us
from replay.snapshots import Snapshots

COLUMNS: Final = ("gex", "dex", "vex", "chex", "call_oi", "put_oi", "oi", "call_iv", "put_iv")


@dataclass(frozen=True, slots=True)
class Levels:
    """What one snapshot's strikes say; ``None`` wherever it is not known.

    ``ts`` and ``recorded_at`` are aware UTC datetimes. ``spot``, ``magnet``, ``call_wall``, ``put_wall``,
    ``gamma_flip``, ``max_pain`` and ``expected_move`` are USD, ``net_*`` the metric's unit summed over strikes,
    ``atm_iv`` per sqrt(year), ``pin_score`` 0 to 100. All describe the snapshot at ``ts``, not any later moment.
    ``conventions`` are those of its exposures, ``None`` where its file names none that this engine knows.
    """

    symbol: str
    ts: dt.datetime | None = None
    recorded_at: dt.datetime | None = None
    spot: float | None = None
    magnet: float | None = None
    call_wall: float | None = None
    put_wall: float | None = None
    gamma_flip: float | None = None
    max_pain: float | None = None
    pin_score: float | None = None
    net_gex: float | None = None
    net_dex: float | None = None
    net_vex: float | None = None
    net_chex: float | None = None
    atm_iv: float | None = None
    expected_move: float | None = None
    conventions: Conventions | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values: the times as ISO 8601 text in UTC; without the conventions."""
        fields = asdict(self)
        del fields["conventions"]
        for name in ("ts", "recorded_at"):
            if fields[name] is not None:
                fields[name] = iso_utc(to_us(fields[name]))
        return fields


def build(
    newest: Snapshots, symbol: str, session: Session | None, conventions: Conventions | None = REPLAY_1
) -> Levels:
    """The levels of the last of these snapshots, which hold :data:`COLUMNS`; all ``None`` without one.

    The expected move takes time on the clock of ``conventions``; where they are not known, on calendar time.
    """
    if len(newest) == 0:
        return Levels(symbol)
    last = len(newest) - 1
    listed = newest.lists["strike"].row(last)
    ascending = np.argsort(listed, kind="stable")
    usable = ascending[np.isfinite(listed[ascending])]
    strikes = listed[usable]
    columns = {name: _parallel(newest, name, usable) for name in COLUMNS}
    spot = float(newest.spot[last])
    ts = int(newest.ts[last])
    calls, puts = columns["call_oi"], columns["put_oi"]
    total = np.where(np.isnan(calls + puts), columns["oi"], calls + puts)
    atm_iv = atm_vol(strikes, columns["call_iv"], columns["put_iv"], spot)
    expected = None
    if atm_iv is not None and session is not None and math.isfinite(spot):
        expected = spot * atm_iv * math.sqrt(float((conventions or REPLAY_1).years(session, np.array(ts))))
    magnet = peak(strikes, np.abs(columns["gex"]), spot)
    return Levels(
        symbol=symbol,
        ts=from_us(ts),
        recorded_at=from_us(int(newest.recorded_at[last])),
        spot=spot if math.isfinite(spot) else None,
        magnet=magnet,
        call_wall=peak(strikes, columns["gex"], spot),
        put_wall=peak(strikes, -columns["gex"], spot),
        gamma_flip=gamma_flip(strikes, columns["gex"], spot),
        max_pain=max_pain(strikes, calls, puts, spot),
        pin_score=pin_score(strikes, columns["gex"], total, spot, magnet, expected, elapsed(ts, session)),
        net_gex=_net(columns["gex"]),
        net_dex=_net(columns["dex"]),
        net_vex=_net(columns["vex"]),
        net_chex=_net(columns["chex"]),
        atm_iv=atm_iv,
        expected_move=expected,
        conventions=conventions,
    )


def _parallel(newest: Snapshots, name: str, usable: Ints) -> Floats:
    """A column of the last snapshot at the positions of its usable strikes, NaN where not known."""
    row = newest.lists[name].row(len(newest) - 1)
    if not newest.lists[name].known[-1]:
        return np.full(len(usable), np.nan)
    return np.where(np.isinf(row), np.nan, row)[usable]


def elapsed(ts: int, session: Session | None) -> float | None:
    """How much of the session is over at an instant, 0 to 1."""
    if session is None:
        return None
    opens, closes = to_us(session.open), to_us(session.close)
    return min(max((ts - opens) / (closes - opens), 0.0), 1.0)


def peak(strikes: Floats, values: Floats, spot: float) -> float | None:
    """The strike of the largest positive value (of ties the one nearest spot, then the lower); none: ``None``."""
    known = np.flatnonzero(values > 0)
    if len(known) == 0:
        return None
    best = known[values[known] == values[known].max()]
    return _nearest(strikes[best], spot)


def gamma_flip(strikes: Floats, gex: Floats, spot: float) -> float | None:
    """Where net gex, cumulated over strikes from the lowest, changes sign nearest spot, USD.

    Interpolated between the strikes on either side of the change. This is the cumulated-strike flip, not the
    zero-gamma level that re-pricing the chain at other spots gives. Strikes with unknown gex are left out.
    """
    known = np.isfinite(gex)
    at, running = strikes[known], np.cumsum(gex[known])
    kept = np.flatnonzero(running != 0)  # where the sum is just zero the change runs over to the next that is not
    at, running = at[kept], running[kept]
    change = np.flatnonzero(np.sign(running[1:]) != np.sign(running[:-1]))
    if len(change) == 0:
        return None
    below, above = running[change], running[change + 1]
    crossings = at[change] + (at[change + 1] - at[change]) * (below / (below - above))
    return _nearest(crossings, spot)


def max_pain(strikes: Floats, call_oi: Floats, put_oi: Floats, spot: float) -> float | None:
    """The strike at which the holders' intrinsic value is least, USD (of ties the nearest spot, then the lower).

    A side of a strike whose open interest is unknown counts for nothing; ``None`` where no open interest is known.
    """
    calls, puts = (np.where(np.isnan(each), 0.0, each) for each in (call_oi, put_oi))
    if not (calls.any() or puts.any()):
        return None
    return _nearest(_least_pain(strikes.tobytes(), calls.tobytes(), puts.tobytes()), spot)


@functools.lru_cache(maxsize=16)  # open interest stands still for a session, and this is most of what levels cost
def _least_pain(strike_bytes: bytes, call_bytes: bytes, put_bytes: bytes) -> Floats:
    """The strikes at which the holders' intrinsic value is least, from the bytes of the lists."""
    strikes, calls, puts = (np.frombuffer(each, np.float64) for each in (strike_bytes, call_bytes, put_bytes))
    above = np.maximum(strikes[:, None] - strikes[None, :], 0.0)  # settlement, strike
    held = above * calls + above.T * puts
    pain = np.cumsum(held, axis=1)[:, -1]  # in the strikes' order, on every machine
    return np.asarray(strikes[pain == pain.min()])


def atm_vol(strikes: Floats, call_iv: Floats, put_iv: Floats, spot: float) -> float | None:
    """Vol at the strike nearest spot (the lower of two): the mean of call and put, or the one that is above 0."""
    usable_call, usable_put = call_iv > 0, put_iv > 0
    known = np.flatnonzero(usable_call | usable_put)
    if len(known) == 0 or not math.isfinite(spot):
        return None
    at = known[np.argmin(np.abs(strikes[known] - spot))]
    vols = [float(iv[at]) for iv, usable in ((call_iv, usable_call), (put_iv, usable_put)) if usable[at]]
    return sum(vols) / len(vols)


def pin_score(
    strikes: Floats,
    gex: Floats,
    oi: Floats,
    spot: float,
    magnet: float | None,
    expected_move: float | None,
    session_elapsed: float | None,
) -> float | None:
    """How much speaks for a pin at the magnet, 0 to 100; ``None`` unless every part is known.

    - 30: the share of all open interest that lies in the three largest strikes;
    - 25: proximity ``exp(-z**2 / 2)``, z the magnet's distance from spot in expected moves: 1 at the magnet,
      0.61 one expected move away, 0.14 two away;
    - 25: the share of the session that is over;
    - 20: the magnet's share of the sum of ``|gex|``.
    """
    interest = oi[oi > 0]
    if magnet is None or not expected_move or session_elapsed is None or len(interest) == 0:
        return None
    concentration = float(np.cumsum(np.sort(interest)[-3:])[-1] / np.cumsum(interest)[-1])
    proximity = math.exp(-0.5 * ((magnet - spot) / expected_move) ** 2)
    gamma = np.abs(gex[np.isfinite(gex)])
    share = float(np.abs(gex[strikes == magnet]).max() / np.cumsum(gamma)[-1])
    return 30 * concentration + 25 * proximity + 25 * session_elapsed + 20 * share


def _net(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.cumsum(known)[-1]) + 0.0 if len(known) else None


def _nearest(candidates: Floats, spot: float) -> float:
    """Of ascending prices the one nearest spot, the lower of two; without a spot the lowest."""
    return float(candidates[np.argmin(np.abs(candidates - spot))] if math.isfinite(spot) else candidates[0])
