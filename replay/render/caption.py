"""The words under and over the pictures: what is shown, as of when, and the levels by name."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from replay.exposure.conventions import REPLAY_1
from replay.exposure.restate import SETTLED
from replay.heatmap import Heatmap
from replay.levels import Levels
from replay.render.scale import human
from replay.sessions import LATEST, NEW_YORK, from_us, to_us

NOT_KNOWN: Final = "not known"

_MARKS: Final = (
    ("M", "magnet", "magnet"),
    ("C", "call wall", "call_wall"),
    ("P", "put wall", "put_wall"),
    ("F", "cumulated flip", "gamma_flip"),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A level to draw: its letter, its name, and its price in USD."""

    letter: str
    name: str
    price: float


def marks_of(levels: Levels | None) -> list[Mark]:
    """Magnet, walls and cumulated-strike gamma flip, as far as they are known."""
    if levels is None:
        return []
    prices = [(letter, name, getattr(levels, field)) for letter, name, field in _MARKS]
    return [Mark(letter, name, price) for letter, name, price in prices if price is not None]


def price_text(price: float) -> str:
    """USD to the cent: ``605``, ``602.5``, ``598.34``."""
    return f"{price:.2f}".rstrip("0").rstrip(".")


def moment_text(us: int, date: dt.date) -> str:
    """An instant in New York time, with its date unless that is ``date``; ``latest`` for no limit."""
    if us >= LATEST:
        return "latest"
    moment = from_us(us).astimezone(NEW_YORK)
    clock = moment.time().isoformat("auto" if moment.second or moment.microsecond else "minutes")
    return clock if moment.date() == date else f"{moment.date()} {clock}"


def heading(heatmap: Heatmap) -> str:
    """Symbol, session and metric."""
    return f"{heatmap.symbol} {heatmap.expiration} {heatmap.metric}"


def facts(heatmap: Heatmap) -> list[str]:
    """Unit, mode, spot, both clocks and tier, one short phrase each."""
    date, spot = heatmap.expiration, heatmap.underlying_price
    return [
        heatmap.unit,
        f"mode {heatmap.mode}",
        *([] if spot is None else [f"spot {price_text(spot)}"]),
        f"as of {moment_text(heatmap.as_of, date)} New York",
        f"known at {moment_text(heatmap.known_at, date)}",
        f"tier {heatmap.tier_used}",
        *stated_text(heatmap),
    ]


def stated_text(heatmap: Heatmap) -> list[str]:
    """What was asked for beyond what is stored: effective open interest, other conventions."""
    stated, found = heatmap.stated, []
    if stated.basis != SETTLED:
        found.append(f"{stated.basis} oi, {stated.share:.0%} of flow")
    if stated.conventions is not None:
        found.append(f"as {stated.conventions}")
    return found


def span_text(heatmap: Heatmap) -> str:
    """Which bars there are."""
    first, last = (moment_text(int(us), heatmap.expiration) for us in heatmap.minutes[[0, -1]])
    return f"{heatmap.bar_size} bars, {first if first == last else f'{first} to {last}'}"


def nothing_text(heatmap: Heatmap) -> str:
    """The sentence that stands for a heatmap without bars or strikes."""
    what = "no strikes" if len(heatmap.minutes) else "no samples"
    date = heatmap.expiration
    return (
        f"{heading(heatmap)}: {what} in the window up to {moment_text(heatmap.as_of, date)} New York "
        f"(known at {moment_text(heatmap.known_at, date)}, tier {heatmap.tier_used})."
    )


def levels_moment(levels: Levels) -> str:
    """When the levels' snapshot was taken, New York time; empty without one."""
    if levels.ts is None:
        return ""
    return moment_text(to_us(levels.ts), levels.ts.astimezone(NEW_YORK).date())


def level_facts(levels: Levels) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Every level's name and its value with unit, ``not known`` for ``None``: prices, then the rest."""
    prices = [
        ("spot", levels.spot),
        ("magnet", levels.magnet),
        ("call wall", levels.call_wall),
        ("put wall", levels.put_wall),
        ("cumulated flip", levels.gamma_flip),
        ("max pain", levels.max_pain),
        ("expected move", levels.expected_move),
    ]
    totals = [
        ("gex", levels.net_gex),
        ("dex", levels.net_dex),
        ("vex", levels.net_vex),
        ("chex", levels.net_chex),
    ]
    score, vol, units = levels.pin_score, levels.atm_iv, levels.conventions or REPLAY_1
    return [(name, NOT_KNOWN if price is None else f"{price:.2f} USD") for name, price in prices], [
        *(
            (f"net {metric}", NOT_KNOWN if total is None else f"{human(total, signed=True)} {units.unit(metric)}")
            for metric, total in totals
        ),
        ("atm iv", NOT_KNOWN if vol is None else f"{vol * 100:.1f} % a year"),
        ("pin score", NOT_KNOWN if score is None else f"{score:.0f} of 100"),
    ]
