"""The page in a browser: how long until a full session shows, and how many frames a second scrubbing it gives."""

from __future__ import annotations

import datetime as dt
import pathlib
import shutil
import statistics
from typing import Any, Final

from replay.sessions import find_session, to_us
from scripts.bench_data import SYMBOL
from scripts.bench_serve import serving

FIRST_MS: Final = 1000
FRAMES: Final = 30

_QUIET: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
_SHOWN: Final = "() => window.replayPage?.settled() && replayPage.frames.first"
# Drags the moment through the session, a step each frame that the browser gives.
_SCRUB: Final = """([from, to, frames]) => new Promise((done) => {
  let count = 0, begun = null;
  const step = (now) => {
    begun ??= now;
    if (count === frames) {
      done({ per_s: (1000 * frames) / (now - begun), spent: replayPage.frames.spent.slice(-frames) });
      return;
    }
    replayPage.goTo(from + Math.floor(((to - from) * ++count) / frames));
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""


def measure(lake: pathlib.Path, dates: list[dt.date], rounds: int) -> dict[str, Any] | str:
    """Sessions opened anew in a browser of Debian's; why not, where it cannot be.

    Returns
    -------
    ``first_ms``, medians of milliseconds from navigation to the picture: by a server just started, and by one that
    answered before of other sessions; ``frames_per_s`` and ``frame_ms``, the page's own work a frame, while a full
    session is scrubbed from open to close.
    """
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return "playwright is not installed"
    if chromium is None:
        return "chromium is not installed"
    cold: list[float] = []
    warm: list[float] = []
    speeds: list[float] = []
    spent: list[float] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(_QUIET))
        for turn in range(rounds):
            with serving(lake) as port:
                for number, date in enumerate(dates[2 * turn : 2 * turn + 3]):
                    page = browser.new_page(viewport={"width": 1280, "height": 900})
                    page.goto(f"http://127.0.0.1:{port}/?symbol={SYMBOL}&date={date}")
                    (warm if number else cold).append(_first(page))
                    if number:
                        told = page.evaluate(_SCRUB, [*_hours(date), 150])
                        speeds.append(told["per_s"])
                        spent += told["spent"]
                    page.close()
        browser.close()
    frames = statistics.quantiles(spent, n=20)
    return {
        "first_ms": {"server just started": statistics.median(cold), "server that is up": statistics.median(warm)},
        "frames_per_s": statistics.median(speeds),
        "frame_ms": {"median": statistics.median(spent), "p95": frames[-1]},
    }


def _hours(date: dt.date) -> tuple[int, int]:
    session = find_session(date)
    assert session is not None
    return to_us(session.open), to_us(session.close)


def _first(page: Any) -> float:
    """Milliseconds from navigation to the first picture, as the page counts them."""
    while not (found := page.evaluate(_SHOWN)):  # the page's policy lets no library wait in it
        page.wait_for_timeout(20)
    return float(found)


def print_further(told: dict[str, Any] | str) -> None:
    """What was measured, or why nothing was."""
    if isinstance(told, str):
        print(f"the page was not measured: {told}")
        return
    for name, first in told["first_ms"].items():
        print(f"the page shows a full session {first:,.0f} ms after navigation, {name} (<= {FIRST_MS:,})")
    print(
        f"scrubbing it: {told['frames_per_s']:.0f} frames/s (>= {FRAMES}), "
        f"{told['frame_ms']['median']:.1f} ms of work a frame, p95 {told['frame_ms']['p95']:.1f}"
    )
