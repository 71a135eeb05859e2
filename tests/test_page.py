"""The interactive page in a real browser: it draws itself offline, and shows the heatmap it was made from."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess

import pytest

import replay
from replay import queries
from replay.render.html import heatmap_html

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic", "--virtual-time-budget=8000",
)  # fmt: skip


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine to open the page with")
def test_the_page_draws_itself(tmp_path: pathlib.Path) -> None:
    with replay.open_lake(queries.shipped("fixtures") / "lake") as lake:
        shown = lake.heatmap("SPY", "2026-07-24T12:00", minutes=90, known_at="latest")
        levels = lake.levels_of(shown)
    page = tmp_path / "page.html"
    page.write_bytes(heatmap_html(shown, levels))
    done = subprocess.run(
        [str(CHROMIUM), *QUIET, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    drawn = re.sub(r"<script\b.*?</script>", "", done.stdout, flags=re.DOTALL)
    assert 'class="main-svg"' in drawn, done.stderr[-2000:]
    assert "heatmaplayer" in drawn
    assert "scatterlayer" in drawn, "the spot's path"
    assert f"magnet {levels.magnet:g}" in drawn or f"magnet, call wall {levels.magnet:g}" in drawn
    assert "11:00" in drawn, "ticks in New York time"
