"""Lots by hand: what an order opened, each part of it until its own end."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

import replay
from replay import queries
from replay.errors import InvalidRun
from replay.results.lots import lots_of
from replay.server.trades import Runs
from replay.sessions import to_us
from tests.traded_runs import clock, dates, made

(DAY,) = dates(1)


def event(
    kind: str, wall: str, order: int | None, quantity: int, right: str = "C", strike: float = 100.0, **more: Any
) -> dict[str, Any]:
    """A row of a ledger."""
    fields = {"event": kind, "session": DAY, "at": clock(DAY, wall), "order": order, "symbol": "SPY"}
    return fields | {"right": right, "strike": strike, "quantity": quantity} | more


def told(ledger: list[dict[str, Any]], symbol: str = "SPY") -> list[tuple[Any, ...]]:
    """The lots of a ledger, with New York hours."""
    rows = lots_of(made([1.0], ledger=ledger), DAY, symbol).iter_rows(named=True)

    def hour(moment: Any) -> str | None:
        return None if moment is None else f"{moment:%H:%M}"

    return [
        (
            *(row["order"], row["right"], row["strike"], row["quantity"], hour(row["opened_at"])),
            *(hour(row["closed_at"]), row["how"], round(row["fees"], 6)),
        )
        for row in rows
    ]


def test_first_in_is_first_out_and_what_is_more_opens_the_other_way() -> None:
    ledger = [
        event("fill", "10:00", 1, 3), event("fee", "10:00", 1, 3, fees=1.5),
        event("fill", "10:05", 2, 2), event("fee", "10:05", 2, 2, fees=0.8),
        event("fill", "10:10", 3, -4), event("fee", "10:10", 3, -4, fees=2.0),
        event("fill", "10:20", 4, -3), event("fee", "10:20", 4, -3, fees=0.9),
        event("settlement", "16:00", None, 2), event("fee", "16:00", None, 2, fees=5.0),
    ]  # fmt: skip
    assert told(ledger) == [
        (1, "C", 100.0, 3, "10:00", "10:10", "closed", 1.5),
        (2, "C", 100.0, 1, "10:05", "10:10", "closed", 0.4),
        (2, "C", 100.0, 1, "10:05", "10:20", "closed", 0.4),
        (4, "C", 100.0, -2, "10:20", "16:00", "settled", 0.6),
    ]


def test_strikes_sides_and_symbols_are_apart_and_what_never_ended_has_no_end() -> None:
    ledger = [
        event("fill", "10:00", 1, 1), event("fill", "10:00", 1, -1, "P"), event("fill", "10:00", 1, 1, strike=101.0),
        event("fill", "11:00", 2, 1, "P"), event("miss", "11:00", 3, 9), event("order", "11:00", 3, 9),
        event("fill", "11:30", 4, 5, symbol="QQQ"), event("unsettled", "16:00", None, 1),
    ]  # fmt: skip
    assert told(ledger) == [
        (1, "C", 100.0, 1, "10:00", None, None, 0.0),
        (1, "P", 100.0, -1, "10:00", "11:00", "closed", 0.0),
        (1, "C", 101.0, 1, "10:00", None, None, 0.0),
    ]
    assert told(ledger, "QQQ") == [(4, "C", 100.0, 5, "11:30", None, None, 0.0)]
    assert told(ledger, "IWM") == []


def test_lots_and_fees_of_a_run_are_its_trades(tmp_path: pathlib.Path) -> None:
    """Of a run as it was written: a fly that is partly bought back, the rest of which settles."""
    with replay.open_lake(queries.shipped("fixtures") / "lake") as lake:
        run = replay.run("pin_fly", lake, symbols="SPY", gaps="carry:5m", out=tmp_path / "runs" / "fly")
        trades, ledger = run.trades(), run.ledger()
    runs = Runs(tmp_path / "runs")
    (listed,) = runs.listing()
    assert (listed["name"], listed["strategy"], listed["symbols"]) == ("fly", "pin_fly", ["SPY"])
    for trade in trades.iter_rows(named=True):
        shown = runs.session("fly", "SPY", trade["session"])
        (own,) = shown["trades"]
        assert (own["profit"], own["fees"]) == (trade["profit"], trade["fees"])
        fees = [
            row["fees"] for row in ledger.iter_rows(named=True)
            if row["session"] == trade["session"] and row["event"] == "fee" and row["at"] == trade["opened_at"]
        ]  # fmt: skip
        assert own["opening_fees"] == pytest.approx(sum(fees))
        assert sum(leg["quantity"] for leg in shown["legs"]) == 0
        assert max(leg["closed_at"] for leg in shown["legs"]) == own["closed_at"] == to_us(trade["closed_at"])
        ends = {leg["how"] for leg in shown["legs"]}
        assert ends == {"both": {"closed", "settled"}}.get(trade["exit"], {trade["exit"]})
        assert shown["equity"]["profit"][-1] == pytest.approx(trade["profit"])
        assert shown["equity"]["symbols"] == ["SPY"]
    for name, symbol, said in (("none", "SPY", "there are fly"), ("fly", "QQQ", "did not trade QQQ; it has SPY")):
        with pytest.raises(InvalidRun, match=said):
            runs.session(name, symbol, DAY)
