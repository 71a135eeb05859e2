"""The options that say on which terms orders are filled, charged and settled."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def trading_terms(command: F) -> F:
    """``--fill``, ``--fees``, ``--settlement`` and the others; see :func:`replay.broker.terms.make_terms`."""
    for option in (
        click.option(
            "--root", metavar="ROOT", help="Root to trade, such as SPXW.  [default: the one that settles at the close]"
        ),
        click.option(
            "--capital", type=float, default=100_000.0, show_default=True, metavar="USD",
            help="What each session begins with.",
        ),
        click.option(
            "--order-latency", metavar="TIME", help="How long an order is on its way.  [default: as --latency]"
        ),
        click.option(
            "--max-spread", default="50%", show_default=True, metavar="SHARE|inf",
            help="A leg with a spread of more of its mid (and of ten ticks) fills no order.",
        ),
        click.option(
            "--max-wait", metavar="TIME", help="How late a snapshot may fill a market order.  [default: 2 cadences]"
        ),
        click.option(
            "--epsilon", type=float, default=0.0, show_default=True, metavar="USD",
            help="How far the market must pass a resting limit to fill it.",
        ),
        click.option(
            "--slippage", type=int, default=0, show_default=True, metavar="TICKS",
            help="Ticks a leg that an order which crosses pays more.",
        ),
        click.option(
            "--fees", default="auto", show_default=True, metavar="PRESET|USD|FILE.toml",
            help="zero, us-broker, index, USD a contract, or a file; auto: index for options settled in cash.",
        ),
        click.option(
            "--settlement", type=click.Path(path_type=pathlib.Path), metavar="FILE",
            help="Settlement prices: CSV with symbol, date and price.  [default: the last spot, if it is fresh]",
        ),
        click.option(
            "--fill", default="touch", show_default=True, metavar="touch|mid|mid+X%|patient|same",
            help="What an order pays that can be filled at once.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command
