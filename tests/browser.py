"""A browser that looks at the page and remembers what went wrong."""

from __future__ import annotations

import datetime as dt
import shutil
import time
from collections.abc import Sequence
from typing import Any

from tests import lakes

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
_PATIENCE = 20.0  # seconds; what is waited for takes a fraction of one


# The state that an address without parameters stands for, but for what it shows.
_FRESH = {
    "metric": "gex", "mode": "raw", "bar": None, "minutes": 390, "known": "stood", "knownAt": None, "tier": "", "run": "",
    "theme": "auto", "flips": None, "limit": None, "low": None, "high": None,
}  # fmt: skip
_RESET = """patch => {
  const { player } = replayPage;
  player.pause();
  player.follow(false);
  [player.speed, replayPage.step] = [60, "60"];
  document.activeElement?.blur();
  for (const each of document.querySelectorAll("#newest, #trades")) each.open = false;
  replayPage.change(patch);
}"""


class Look:
    """One view of the page in a browser."""

    def __init__(self, browser: Any, url: str, **context: Any) -> None:
        self.context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | context))
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.page = self.context.new_page()
        self.url = url
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda told: self.errors.append(told.text) if told.type == "error" else None)
        self.page.on("request", self._note)

    def _note(self, request: Any) -> None:
        if not request.url.startswith((f"{self.url}/", "blob:", "data:")):
            self.elsewhere.append(request.url)

    def go(self, query: str = "") -> Look:
        """Open the page at a query, and wait for it."""
        self.page.goto(f"{self.url}/?{query}" if query else self.url)
        self.until("window.replayPage?.settled()")
        return self

    def until(self, expression: str) -> Any:
        """Wait until a script's value is true, and answer it; the page's policy lets no library do that."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            found = self.page.evaluate(f"() => {expression}")
            if found:
                return found
            self.page.wait_for_timeout(20)
        raise AssertionError(
            f"never came true: {expression}; {self.text('#message')}; {self.text('#banner')}; {self.errors}"
        )

    def settle(self) -> None:
        """Wait until what was asked for is loaded and drawn."""
        self.until("replayPage.settled()")

    def fresh(self, asked: str, as_of: int | None = None, **state: Any) -> None:
        """Go to a symbol and session, ``SPY 2026-07-24``, as if the page were just opened at a moment of it."""
        symbol, date = asked.split()
        moment = lakes.at("16:00", dt.date.fromisoformat(date)) if as_of is None else as_of
        self.page.evaluate(_RESET, _FRESH | {"symbol": symbol, "date": date, "asOf": moment} | state)
        self.settle()

    def show(self, **state: Any) -> None:
        """Go to another state, and wait until it is loaded and drawn."""
        self.page.evaluate("patch => replayPage.change(patch)", state)
        self.settle()

    def evaluate(self, script: str, argument: Any = None) -> Any:
        """A script's value."""
        return self.page.evaluate(script, argument)

    def state(self, name: str) -> Any:
        """One value of the view's state."""
        return self.page.evaluate("name => replayPage.state[name]", name)

    def text(self, selector: str) -> str:
        """What an element says."""
        return str(self.page.evaluate("s => document.querySelector(s)?.textContent ?? ''", selector))

    def choose(self, selector: str, value: str) -> None:
        """Choose from a list, and wait for it."""
        self.page.select_option(selector, value)
        self.settle()

    def press(self, keys: Sequence[str] | str) -> None:
        """Press keys one after the other, and wait for what they do."""
        for key in [keys] if isinstance(keys, str) else keys:
            self.page.keyboard.press(key)
        self.settle()

    def query(self) -> dict[str, str]:
        """The address's query, once it was written."""
        found = self.page.evaluate(
            "() => (replayPage.address.flush(), Object.fromEntries(new URLSearchParams(location.search)))"
        )
        return dict(found)

    def check(self) -> None:
        """Nothing may have gone wrong, and nothing been asked of another origin."""
        wrong, self.errors = self.errors, []
        assert not wrong, wrong
        assert not self.elsewhere, self.elsewhere

    def close(self) -> None:
        """Close the view."""
        self.context.close()
        self.check()
