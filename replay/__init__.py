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
    from replay.sessions import Session, find_session
    from replay.strategy import Context, Strategy
    from replay.tape import Tape, Tick

__version__ = "0.1.0"

__all__ = [
    "Context", "Conventions", "Heatmap", "Lake", "Levels", "QualityReport", "ReplayError", "Result", "Session",
    "Strategy", "Tape", "Tick", "assess", "audit", "exposures", "find_session", "open_lake", "plot", "run",
]  # fmt: skip

_HOMES = {
    "Context": "strategy",
    "Conventions": "exposure.conventions",
    "Heatmap": "heatmap",
    "Lake": "lake",
    "Levels": "levels",
    "QualityReport": "quality.report",
    "ReplayError": "errors",
    "Result": "engine.result",
    "Session": "sessions",
    "Strategy": "strategy",
    "Tape": "tape",
    "Tick": "tape",
    "assess": "quality",
    "audit": "leaks",
    "exposures": "exposure.frame",
    "find_session": "sessions",
    "open_lake": "lake",
    "plot": "render.plot",
    "run": "engine",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'replay' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"replay.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
