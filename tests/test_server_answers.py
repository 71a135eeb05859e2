"""The heatmap over HTTP: the lake's bytes at any moment, and the contract's errors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

import replay
from replay.cli import main
from tests import lakes
from tests.lakes import DAY, HALF_DAY, MINUTE, SECOND, at
from tests.second_method import LATEST, NoStrikeData, SecondLake, body, utc_text
from tests.server import HEATMAP, Local, Running, running

METRICS = ("gex", "dex", "vex", "chex", "oi", "signed_flow")
FIELDS = [
    *("symbol", "underlying_price", "expiration", "metric", "mode", "bar_size"),
    *("as_of", "tier_used", "strikes_grid", "bars", "gap_intervals"),
]


@pytest.fixture(scope="module")
def local(nasty: lakes.Nasty) -> Iterator[Local]:
    with Local(nasty.root, "2026-07-24T10:00") as server:
        yield server


@pytest.fixture(scope="module")
def server(nasty: lakes.Nasty) -> Iterator[Running]:
    with running(nasty.root, at="2026-07-24T10:12:34") as started:
        yield started


# --- the body


@pytest.mark.parametrize("symbol", list(lakes.CASES))
def test_the_body_is_the_lakes_and_the_second_methods(
    symbol: str, local: Local, nasty: lakes.Nasty, nasty_lake: replay.Lake, nasty_second: SecondLake
) -> None:
    rng, case = lakes.dice(f"answers {symbol}"), nasty.cases[symbol]
    found = set()
    for us in rng.sample(case.moments, min(30, len(case.moments))):
        as_of = us + rng.choice([-1, 0, 0, 1, 30 * SECOND, 40 * MINUTE])
        metric, mode = rng.choice(METRICS), rng.choice(["raw", "delta"])
        minutes, gaps = rng.choice([1, 2, 7, 60, 390]), rng.random() < 0.5
        known = rng.choice([None, None, LATEST, as_of + 600 * SECOND, as_of - 30 * SECOND])
        query: dict[str, Any] = {rng.choice(["as_of", "at"]): utc_text(as_of), "metric": metric, "mode": mode}
        query |= {"minutes": minutes, "gaps": str(gaps).lower()}
        if known is not None:
            query["known_at"] = "latest" if known == LATEST else utc_text(known)
        got = local.get(HEATMAP + symbol, **query)
        try:
            second = body(nasty_second, symbol, as_of, known, metric, mode, minutes, gaps)
        except NoStrikeData:
            assert (got.status, got.error) == (400, "no_strike_data_for_window"), query
            found.add(400)
            continue
        assert got.status == 200, query
        assert got.headers["content-type"] == "application/json"
        assert got.body == orjson.dumps(second), query
        own = nasty_lake.heatmap(
            symbol, lakes.moment(as_of), metric, mode, minutes=minutes, gaps=gaps,
            known_at=None if known is None else str(query["known_at"]),
        )  # fmt: skip
        assert got.body == own.to_json(), query
        found.add(200)
    assert (400 if symbol == "ALLLEGACY" else 200) in found


def test_defaults_are_the_contracts(local: Local, nasty_second: SecondLake) -> None:
    got = local.get(HEATMAP + "CORRECT")
    assert got.body == orjson.dumps(body(nasty_second, "CORRECT", at("10:00"), None, "gex", "raw", 60))
    assert list(got.json()) == FIELDS
    whole = {"metric": "gex", "mode": "raw", "bar": "1m", "minutes": 60, "as_of": "2026-07-24T10:00"}
    assert local.get(HEATMAP + "CORRECT", **whole).body == got.body
    assert local.get(HEATMAP + "%20correct%0a").body == got.body


@pytest.mark.parametrize(("given", "used"), [("-5", 1), ("0", 1), ("391", 390), ("9" * 400, 390), ("%2B7", 7)])
def test_minutes_are_clamped(local: Local, nasty_second: SecondLake, given: str, used: int) -> None:
    got = local.get(f"{HEATMAP}CORRECT?minutes={given}")
    assert got.body == orjson.dumps(body(nasty_second, "CORRECT", at("10:00"), minutes=used))


def test_as_of_goes_before_the_clock_and_leaves_it_where_it_is(local: Local, nasty_second: SecondLake) -> None:
    for name in ("as_of", "at"):
        for text in ("2026-07-24T09:40:10.5", "2026-07-24T13:40:10.5Z", "2026-07-24T22:40:10.500+09:00"):
            got = local.get(HEATMAP + "CORRECT", **{name: text})
            assert got.body == orjson.dumps(body(nasty_second, "CORRECT", at("09:40:10.5")))
    date = local.get(HEATMAP + "GAPS", as_of="2026-11-27", minutes=390)
    assert date.body == orjson.dumps(body(nasty_second, "GAPS", at("13:00", HALF_DAY), minutes=390))
    assert local.get("/replay/clock").json()["now"] == "2026-07-24T14:00:00Z"


def test_known_at_lets_a_correction_in(local: Local, nasty_second: SecondLake) -> None:
    seen = []
    for known, text in (
        (None, None),
        (LATEST, "latest"),
        (LATEST, " LATEST "),
        (at("09:45"), "2026-07-24T09:45"),
        (at("16:00"), "2026-07-24"),
    ):
        query = {"at": "2026-07-24T09:50"} | ({} if text is None else {"known_at": text})
        got = local.get(HEATMAP + "CORRECT", **query)
        assert got.body == orjson.dumps(body(nasty_second, "CORRECT", at("09:50"), known))
        seen.append(got.body)
    assert len({*seen}) == 4


def test_a_clocks_answer_is_what_the_command_prints(server: Running, nasty: lakes.Nasty) -> None:
    wanted = [
        ("CORRECT", "2026-07-24T09:47:13", []),
        ("flow", "2026-07-24T14:02:45.25", ["--metric", "signed_flow", "--minutes", "3"]),
        ("GAPS", "2026-11-27T12:00", ["--mode", "delta", "--minutes", "390", "--gaps"]),
    ]
    command = [sys.executable, "-m", "replay", "heatmap"]
    printing = [
        subprocess.Popen(
            [*command, symbol, "--lake", str(nasty.root), "--as-of", text, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for symbol, text, options in wanted
    ]
    for (symbol, text, options), process in zip(wanted, printing, strict=True):
        stdout, _ = process.communicate()
        query = {
            name.removeprefix("--"): value for name, value in zip(options[::2], [*options[1::2], "1"], strict=False)
        }
        server.ask("/replay/clock", "POST", body={"at": text})
        assert process.returncode == 0
        assert server.get(HEATMAP + symbol, **query).body == stdout.rstrip(b"\n")


# --- nothing to show


def test_without_samples_the_answer_is_empty(local: Local) -> None:
    for symbol, as_of in (("NONE", "2026-07-24T10:00"), ("CORRECT", "2026-07-24T16:00"), ("CORRECT", "2026-07-26")):
        got = local.get(HEATMAP + symbol, as_of=as_of)
        told = got.json()
        assert got.status == 200
        assert list(told) == FIELDS
        assert (told["strikes_grid"], told["bars"], told["gap_intervals"]) == ([], [], [])
        assert (told["underlying_price"], told["expiration"]) == (None, as_of[:10])


def test_after_the_last_sample_comes_the_sessions_tail_and_then_nothing(local: Local, nasty_second: SecondLake) -> None:
    last = at("09:30") + 59 * 20 * SECOND
    seen = []
    for as_of in (last + SECOND, last + 30 * MINUTE, last + 61 * MINUTE, at("16:00"), at("23:59:59.999999")):
        got = local.get(HEATMAP + "CORRECT", as_of=utc_text(as_of))
        assert got.body == orjson.dumps(body(nasty_second, "CORRECT", as_of))
        seen.append(len(got.json()["bars"]))
    assert seen[0] == 20
    assert seen[2:] == [1, 0, 0] or seen[2:] == [0, 0, 0]


@pytest.mark.parametrize(
    "symbol",
    ["..%2F..%2Fetc%2Fpasswd", "SPY'%3B%20drop", "SPY%00", "%F0%9F%98%80", "A" * 5000, "%ff%fe", "SPY%3Fmetric", "*"],
    ids=lambda text: text[:12],
)
def test_a_symbol_that_is_none_matches_no_data(local: Local, symbol: str) -> None:
    got = local.get(HEATMAP + symbol)
    assert (got.status, got.json()["bars"], got.json()["underlying_price"]) == (200, [], None)


def test_samples_without_strikes_are_the_contracts_error(local: Local) -> None:
    got = local.get(HEATMAP + "ALLLEGACY", as_of="2026-07-24T10:10")
    assert (got.status, got.error) == (400, "no_strike_data_for_window")
    assert list(got.json()) == ["status", "error", "message"]
    assert got.json()["status"] == "ERROR"
    assert "etag" not in got.headers
    assert local.get(HEATMAP + "ALLLEGACY", as_of="2026-07-24T15:00", minutes=5).json()["bars"] == []


# --- errors

BAD = {
    "bar": ("5m", "bar_unavailable"),
    "metric": ("gamma", "invalid_metric"),
    "mode": ("diff", "invalid_mode"),
    "minutes": ("1e9", "invalid_minutes"),
    "as_of": ("noon", "invalid_time"),
    "known_at": ("never", "invalid_time"),
    "tier": ("5m", "invalid_tier"),
    "gaps": ("maybe", "invalid_gaps"),
    "share": ("half", "invalid_oi"),
}
ORDER = list(BAD)


@pytest.mark.parametrize("symbol", ["CORRECT", "NONE", "..%2Fetc", "ALLLEGACY"])
@pytest.mark.parametrize("first", range(len(ORDER)))
def test_errors_have_their_code_in_the_contracts_order(local: Local, first: int, symbol: str) -> None:
    got = local.get(HEATMAP + symbol, **{name: BAD[name][0] for name in ORDER[first:]})
    value, code = BAD[ORDER[first]]
    assert (got.status, got.error) == (400, code)
    assert got.headers["content-type"] == "application/json"
    told = got.json()
    assert list(told) == ["status", "error", "message"]
    assert told["status"] == "ERROR"
    assert repr(value) in told["message"]
    if code == "invalid_time":
        assert told["message"].startswith(ORDER[first])


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("bar", "", "bar_unavailable"), ("bar", "1M", "bar_unavailable"), ("metric", "GEX", "invalid_metric"),
        ("metric", "", "invalid_metric"), ("mode", "", "invalid_mode"), ("minutes", "", "invalid_minutes"),
        ("minutes", "60.0", "invalid_minutes"), ("minutes", "NaN", "invalid_minutes"), ("as_of", "", "invalid_time"),
        ("as_of", "2026-03-08T02:30", "invalid_time"), ("as_of", "2026-11-01T01:30", "invalid_time"),
        ("at", "2026-13-01", "invalid_time"), ("known_at", "", "invalid_time"), ("oi", "open", "invalid_oi"),
        ("share", "nan", "invalid_oi"), ("conventions", "mine", "invalid_conventions"), ("tier", "", "invalid_tier"),
        ("as_of", "9999-12-31T23:59:59-12:00", "invalid_time"), ("as_of", "0001-01-01T00:00Z", "invalid_time"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(local: Local, name: str, value: str, code: str) -> None:
    got = local.get(HEATMAP + "CORRECT", **{name: value})
    assert (got.status, got.error) == (400, code)


@pytest.mark.parametrize("name", [*ORDER, "at"])
def test_a_repeated_parameter_is_refused_even_if_it_says_the_same(local: Local, name: str) -> None:
    right = {"bar": "1m", "metric": "gex", "mode": "raw", "minutes": "5", "tier": "raw", "gaps": "1", "share": "1"}
    value = right.get(name, "2026-07-24T10:00")
    got = local.get(HEATMAP + "CORRECT", **{name: [value, value]})
    assert (got.status, got.error) == (400, BAD[name][1] if name in BAD else "invalid_time")


def test_as_of_and_its_alias_together_are_refused(local: Local) -> None:
    for value in ("2026-07-24T10:00", ""):
        got = local.get(HEATMAP + "CORRECT", as_of="2026-07-24T10:00", at=value)
        assert (got.status, got.error) == (400, "invalid_time")


def test_a_path_or_method_that_is_none(server: Running) -> None:
    for path in ("/v1", HEATMAP + "SPY/more", HEATMAP + "a/b", "/replay", "/etc/passwd"):
        got = server.get(path)
        assert (got.status, got.error, got.headers["content-type"]) == (404, "not_found", "application/json"), path
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        got = server.ask(HEATMAP + "CORRECT", method)
        assert (got.status, got.error) == (405, "method_not_allowed")
        assert "GET" in got.headers["allow"]


def test_head_says_what_get_would_and_sends_nothing(server: Running) -> None:
    for query in ({"minutes": 390}, {"metric": "none"}, {"known_at": "latest"}):
        for encoding in ("identity", "gzip"):
            get = server.get(HEATMAP + "CORRECT", {"Accept-Encoding": encoding}, **query)
            head = server.ask(HEATMAP + "CORRECT", "HEAD", headers={"Accept-Encoding": encoding}, **query)
            assert (head.status, head.body) == (get.status, b"")
            told = [{k: v for k, v in each.headers.items() if k != "date"} for each in (head, get)]
            assert told[0] == told[1]
            assert int(head.headers["content-length"]) == len(get.body)


def test_answers_protect_a_browser(local: Local) -> None:
    for path in (HEATMAP + "CORRECT", "/nothing", HEATMAP + "CORRECT?metric=x", "/health"):
        headers = local.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers


def test_the_sessions_of_the_lake(local: Local, nasty: lakes.Nasty) -> None:
    told = local.get("/replay/sessions").json()["sessions"]
    wanted = []
    for symbol in sorted(nasty.cases):
        tiers = [t for t in ("raw", "1m") if lakes.folder_of(nasty.root, symbol, nasty.cases[symbol].date, t).is_dir()]
        half = nasty.cases[symbol].date == HALF_DAY
        hours = (
            ("2026-11-27T14:30:00Z", "2026-11-27T18:00:00Z")
            if half
            else ("2026-07-24T13:30:00Z", "2026-07-24T20:00:00Z")
        )
        wanted.append((symbol, str(nasty.cases[symbol].date), sorted(tiers), *hours))
    found = [(each["symbol"], each["date"], sorted(each["tiers"]), each["open"], each["close"]) for each in told]
    assert found == wanted
    one = local.get("/replay/sessions", symbol=" gaps").json()["sessions"]
    assert [(each["symbol"], each["date"]) for each in one] == [("GAPS", str(HALF_DAY))]
    assert local.get("/replay/sessions", symbol="NONE").json() == {"sessions": []}
    assert DAY != HALF_DAY


def test_the_table_is_what_the_command_prints(local: Local, nasty: lakes.Nasty) -> None:
    command = ["heatmap", "CORRECT", "--lake", str(nasty.root), "--format", "csv", "--as-of", "2026-07-24T09:50"]
    done = CliRunner().invoke(main, command)
    got = local.get("/replay/table/CORRECT", at="2026-07-24T09:50")
    assert (got.status, got.headers["content-type"].partition(";")[0]) == (200, "text/csv")
    assert got.body == done.stdout_bytes
    assert got.body.count(b"\n") > 10
