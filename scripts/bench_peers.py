"""Another backtester's empty run over the bars in a file; run by bench.py with the interpreter of ``--peers``.

    python scripts/bench_peers.py backtrader|zipline BARS.json

BARS.json: {"opens": [the open of each session, seconds since the epoch], "close": [[390 closes] a session]}. A strategy
reads the close of each bar and does nothing else. Printed as JSON: bars, and seconds from the first callback to the
last, so that neither set-up nor loading counts. Knows nothing of the package: the interpreter need not have it.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
import tempfile
import time
import warnings
from typing import Any

MINUTE = 60
clocks: list[float] = []
"""When the callback was called."""


def called() -> None:
    """Note the time."""
    clocks.append(time.perf_counter())


def frame(opens: list[int], close: list[list[float]]) -> Any:
    """All bars, each labelled by its end, UTC."""
    import pandas as pd

    ends = [opened + MINUTE * (i + 1) for opened, row in zip(opens, close, strict=True) for i in range(len(row))]
    prices = [price for row in close for price in row]
    index = pd.to_datetime(ends, unit="s", utc=True)
    return pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), prices) | {"volume": 1.0}, index=index)


def backtrader(opens: list[int], close: list[list[float]]) -> str:
    """Cerebro as it comes, without observers; the bars are preloaded, in memory."""
    import backtrader as bt

    class Empty(bt.Strategy):  # type: ignore[misc]  # no types
        def next(self) -> None:
            called()
            self.data.close[0]

    bars = frame(opens, close)
    bars.index = bars.index.tz_localize(None)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=bars, timeframe=bt.TimeFrame.Minutes))
    cerebro.addstrategy(Empty)
    cerebro.run()
    return str(bt.__version__)


def zipline(opens: list[int], close: list[list[float]]) -> str:
    """run_algorithm by the minute on a bundle made of the bars, in a folder of its own."""
    with tempfile.TemporaryDirectory() as root:
        os.environ["ZIPLINE_ROOT"] = root
        import pandas as pd
        from zipline import __version__, run_algorithm
        from zipline.data.bundles import ingest, register
        from zipline.utils.calendar_utils import get_calendar

        bars = frame(opens, close)
        calendar = get_calendar("XNYS")
        days = pd.DatetimeIndex(sorted({stamp.tz_convert("America/New_York").date() for stamp in bars.index}))

        def write(_: Any, assets: Any, minutes: Any, daily: Any, adjustments: Any, *__: Any, **___: Any) -> None:
            told = {"symbol": "BENCH", "asset_name": "BENCH", "exchange": "XNYS"}
            span = {"start_date": days[0], "end_date": days[-1], "first_traded": days[0], "auto_close_date": days[-1]}
            assets.write(equities=pd.DataFrame([told | span]))
            minutes.write([(0, bars)])
            by_day = bars.groupby(bars.index.tz_convert("America/New_York").normalize().tz_localize(None)).last()
            daily.write([(0, by_day)])
            adjustments.write()

        def handle_data(context: Any, data: Any) -> None:
            called()
            data.current(context.asset, "close")

        def initialize(context: Any) -> None:
            from zipline.api import symbol

            context.asset = symbol("BENCH")

        register("bench", write, calendar_name="XNYS", start_session=days[0], end_session=days[-1])
        ingest("bench", show_progress=False)
        run_algorithm(
            start=days[0],
            end=days[-1],
            initialize=initialize,
            handle_data=handle_data,
            capital_base=1e6,
            data_frequency="minute",
            bundle="bench",
            trading_calendar=calendar,
            benchmark_returns=pd.Series(0.0, index=days),
        )
        return str(__version__)


def main() -> None:
    name, path = sys.argv[1:]
    warnings.simplefilter("ignore")
    bars = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    version = {"backtrader": backtrader, "zipline": zipline}[name](**bars)
    print(json.dumps({"version": version, "bars": len(clocks), "seconds": clocks[-1] - clocks[0]}))


if __name__ == "__main__":
    main()
