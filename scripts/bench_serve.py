"""Speed of the server: a request beside the same in process and a bare hello, requests a second, and a crowd."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import json
import pathlib
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

from replay import open_lake
from scripts.bench_data import SYMBOL, Timed, clock

CLIENTS: Final = (1, 8, 64)
CROWD: Final = 200
PATH: Final = f"/v1/flow/zero-dte/heatmap/{SYMBOL}"
SERIES: Final = f"/v1/flow/zero-dte/series/{SYMBOL}"
WINDOWS: Final = {"60 minutes": 60, "full session": 390}
ROUND_SECONDS: Final = 2.0
"""How long each number of clients asks, a round."""


class ServeBench:
    """Times a server on a lake of full sessions, all processes on this machine, over 127.0.0.1."""

    def __init__(self, folder: pathlib.Path, lake: pathlib.Path, dates: list[dt.date], rounds: int) -> None:
        self.folder = folder
        self.lake = lake
        self.dates = sorted(dates)
        self.rounds = rounds

    @property
    def _warm(self) -> dt.date:
        """The session that a server is warmed on, which is not timed."""
        return self.dates[-1]

    def requests(self) -> Timed:
        """Sessions never asked for before: in process, over HTTP, and a bare hello, taking turns on each session."""
        timed: Timed = {}
        with _bare("hello") as port, _kept(port) as hello:
            hello("/")
            for _, (window, minutes) in ((r, each) for r in range(self.rounds) for each in WINDOWS.items()):
                with open_lake(self.lake) as lake, serving(self.lake) as own, _kept(own) as served:
                    lake.heatmap(SYMBOL, self._warm, minutes=minutes).to_json()
                    served(_asked(self._warm, minutes))
                    for number, date in enumerate(self.dates[:-1]):
                        made: dict[str, bytes] = {}
                        variants: dict[str, Callable[[], object]] = {
                            f"in process, {window}, to JSON": lambda d=date, m=minutes, lk=lake, b=made: b.update(  # type: ignore[misc]
                                own=lk.heatmap(SYMBOL, d, minutes=m).to_json()
                            ),
                            f"over HTTP, {window}": lambda d=date, m=minutes, s=served, b=made: b.update(  # type: ignore[misc]
                                http=s(_asked(d, m))
                            ),
                            f"bare hello, by {window}": lambda: hello("/"),
                        }
                        names = list(variants)
                        for name in names if number % 2 else reversed(names):
                            timed.setdefault(name, []).append(clock(variants[name]))
                        assert made["own"] == made["http"]
        return timed

    def rates(self) -> dict[str, dict[str, float]]:
        """Requests a second by clients: a body at hand, another moment each time, and the same bytes of a file."""
        found: dict[str, list[dict[str, float]]] = {}
        body = self.folder / "body.json"
        with serving(self.lake) as port:
            with _kept(port) as served:
                body.write_bytes(served(_asked(self._warm, 60)))
            with _bare("file", str(body)) as file:
                kinds = {
                    "cached": (port, _asked(self._warm, 60)),
                    "not cached": (port, self._distinct("15:59:59")),
                    "file server": (file, "/"),
                }
                for _ in range(self.rounds):
                    for clients in CLIENTS:
                        for name, (at, path) in kinds.items():
                            told = _ask(at, clients, ROUND_SECONDS, [[path]])
                            assert not told["errors"], (name, told)
                            found.setdefault(f"{name}, {clients} clients", []).append(told)
        keys = ("per_s", "p50_ms", "p99_ms", "mb_per_s")
        rates = {name: {key: statistics.median(e[key] for e in each) for key in keys} for name, each in found.items()}
        return rates | {"body": {"bytes": body.stat().st_size}}

    def crowd(self, seconds: float) -> dict[str, Any]:
        """Many clients at once: a third ask for what is at hand, a third for other moments, a third other things."""
        at = f"as_of={self._warm}T15:58:59.{{n}}"
        other = [
            f"{PATH}?{at}&metric=dex",
            f"{SERIES}?{at}",
            f"{PATH}?{at}&metric=oi&mode=delta",
            f"{SERIES}?{at}&bar=5m",
        ]
        with serving(self.lake) as port:
            with _kept(port) as served:
                for path in (_asked(self._warm, 60), *(each.replace("{n}", "000000") for each in other)):
                    served(path)
            return _ask(port, CROWD, seconds, [[_asked(self._warm, 60)], [self._distinct("15:59:59")], other])

    def _distinct(self, wall: str) -> str:
        return f"{PATH}?as_of={self._warm}T{wall}.{{n}}"


def _asked(date: dt.date, minutes: int) -> str:
    return f"{PATH}?as_of={date}" if minutes == 60 else f"{PATH}?as_of={date}&minutes={minutes}"


@contextlib.contextmanager
def serving(lake: pathlib.Path, *more: str) -> Iterator[int]:
    """`replay serve` in a process of its own; gives its port."""
    command = [sys.executable, "-m", "replay", "serve", "--lake", str(lake), "--port", "0", "--access-log", "off"]
    with subprocess.Popen([*command, *more], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            assert line.startswith("serving http://"), line + process.stderr.read()
            port = int(line.split()[1].rstrip("/").rpartition(":")[2])
            for _ in range(3):
                process.stderr.readline()  # what it says at its start; after it nothing is written
            yield port
        finally:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def _bare(*arguments: str) -> Iterator[int]:
    command = [sys.executable, "-m", "scripts.bench_load", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def _kept(port: int) -> Iterator[Callable[[str], bytes]]:
    """A connection that is kept; asks for a path and gives the body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(path: str) -> bytes:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (path, answer.status, body)
        return body

    try:
        yield ask
    finally:
        connection.close()


def _ask(port: int, clients: int, seconds: float, paths: list[list[str]]) -> dict[str, Any]:
    """Have clients ask, from a process of their own."""
    told = subprocess.run(
        [sys.executable, "-m", "scripts.bench_load", "ask", str(port), str(clients), str(seconds)],
        input=json.dumps(paths), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(json.loads(told.stdout))


def ratios(medians: dict[str, float], rates: dict[str, Any]) -> list[tuple[str, float, str]]:
    """What is measured of the server, its ratio, and the bound it is held against."""
    rows = []
    for window in WINDOWS:
        beside = medians[f"in process, {window}, to JSON"] + medians[f"bare hello, by {window}"]
        ratio = medians[f"over HTTP, {window}"] / beside
        rows.append((f"HTTP / in process + hello, {window}", ratio, "<= 1.5"))
    for clients in CLIENTS:
        file = rates[f"file server, {clients} clients"]["per_s"]
        for name in ("cached", "not cached"):
            ratio = file / rates[f"{name}, {clients} clients"]["per_s"]
            rows.append((f"file server / {name}, {clients} clients", ratio, "-"))
    return rows


def print_further(rates: dict[str, Any]) -> None:
    """Requests a second, and what a crowd met."""
    size, crowd = rates["body"]["bytes"], rates["crowd"]
    print(f"\nrequests/s of a body of {size / 1e3:,.0f} kB; server and clients share the cores of this machine")
    print(f"{'':12}{'cached':>12}{'not cached':>12}{'file server':>12}")
    for clients in CLIENTS:
        each = [rates[f"{name}, {clients} clients"]["per_s"] for name in ("cached", "not cached", "file server")]
        print(f"{clients:3} clients " + "".join(f"{rate:12,.0f}" for rate in each))
    print(
        f"{crowd['clients']} clients for {crowd['seconds']:.0f} s: {crowd['requests']:,} requests "
        f"({crowd['per_s']:,.0f}/s), {crowd['errors']} errors; "
        f"p50 {crowd['p50_ms']:,.0f} ms, p99 {crowd['p99_ms']:,.0f} ms, longest {crowd['max_ms']:,.0f} ms"
    )
    for name, each in zip(("at hand", "other moments", "other metrics, series"), crowd["kinds"], strict=True):
        print(f"  {name}: {each['requests']:,}, p50 {each['p50_ms']:,.0f} ms, p99 {each['p99_ms']:,.0f} ms")
