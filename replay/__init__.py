"""Offline replay of 0DTE strike x time heatmaps over Parquet.

    lake = replay.open_lake("lake")
    lake.heatmap("SPY", as_of="2026-07-24T14:30", metric="gex")
    lake.levels("SPY", as_of="2026-07-24T14:30")
    replay.run("levels", lake, symbols="SPY").to_polars()

Names are imported when first used, so that ``import replay`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from replay.account.legs import Leg, butterfly, iron_condor, iron_fly, payoff, straddle, strangle, vertical
    from replay.account.order import Order
    from replay.account.portfolio import Portfolio
    from replay.engine import run
    from replay.engine.result import Result
    from replay.errors import ReplayError
    from replay.exposure.conventions import Conventions
    from replay.exposure.frame import exposures
    from replay.heatmap import Heatmap
    from replay.lake import Lake, open_lake
    from replay.leaks import audit
    from replay.levels import Levels
    from replay.quality import assess
    from replay.quality.report import QualityReport
    from replay.render.plot import plot
    from replay.render.report import report
    from replay.sessions import Session, find_session
    from replay.siblings.series import series
    from replay.siblings.strike_flow import strike_flow
    from replay.strategy import Context, Strategy
    from replay.strategy.single import SingleEntry
    from replay.study import study_pins
    from replay.study.report import PinStudy
    from replay.sweeps import sweep
    from replay.sweeps.result import Sweep
    from replay.tape import Tape, Tick

__version__ = "0.1.0"

__all__ = [
    "Context", "Conventions", "Heatmap", "Lake", "Leg", "Levels", "Order", "PinStudy", "Portfolio", "QualityReport",
    "ReplayError", "Result", "Session", "SingleEntry", "Strategy", "Sweep", "Tape", "Tick", "assess", "audit",
    "butterfly", "exposures", "find_session", "iron_condor", "iron_fly", "open_lake", "payoff", "plot", "report", "run",
    "series", "straddle", "strangle", "strike_flow", "study_pins", "sweep", "vertical",
]  # fmt: skip

_HOMES = {
    "Context": "strategy",
    "Conventions": "exposure.conventions",
    "Heatmap": "heatmap",
    "Lake": "lake",
    "Leg": "account.legs",
    "Levels": "levels",
    "Order": "account.order",
    "PinStudy": "study.report",
    "Portfolio": "account.portfolio",
    "QualityReport": "quality.report",
    "ReplayError": "errors",
    "Result": "engine.result",
    "Session": "sessions",
    "SingleEntry": "strategy.single",
    "Strategy": "strategy",
    "Sweep": "sweeps.result",
    "Tape": "tape",
    "Tick": "tape",
    "assess": "quality",
    "audit": "leaks",
    "butterfly": "account.legs",
    "exposures": "exposure.frame",
    "find_session": "sessions",
    "iron_condor": "account.legs",
    "iron_fly": "account.legs",
    "open_lake": "lake",
    "payoff": "account.legs",
    "plot": "render.plot",
    "report": "render.report",
    "run": "engine",
    "series": "siblings.series",
    "straddle": "account.legs",
    "strangle": "account.legs",
    "strike_flow": "siblings.strike_flow",
    "study_pins": "study",
    "sweep": "sweeps",
    "vertical": "account.legs",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'replay' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"replay.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
