"""API keys: the file that keeps their hashes, who is let in and how often, and which names a server answers to."""

from __future__ import annotations

import hashlib
import pathlib
import socket
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from click.testing import CliRunner

from replay.cli import main
from replay.errors import InvalidAddress
from replay.server import serving
from replay.server.keys import Key, add_key, read_keys
from tests import lakes
from tests.lakes import MINUTE, SECOND, at
from tests.server import CLOCK, HEATMAP, SERIES, STREAM, STRIKE_FLOW, Answer, Local, Time, refused, running

PLANS = {"free": "Free", "basic": "Basic", "growth": "Growth", "alpha": "Alpha", "enterprise": "Enterprise"}
KEYS = {plan: f"key-of-{plan}" for plan in PLANS}
NOON = 1_784_894_400 * SECOND  # 2026-07-24T12:00:00Z
ANY = "0.0.0.0"  # noqa: S104  # where it is allowed is what is tested
MIDNIGHT = NOON // SECOND + 12 * 3600


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    root = tmp_path_factory.mktemp("keys")
    rows = [lakes.row(at("09:50") + i * MINUTE, [600.0], gex=[1.0], call_flow=[1.0]) for i in range(9)]
    lakes.write_own(root, "SPY", rows)
    return root


def own_keys() -> list[Key]:
    return [Key(f"the {plan}", plan, hashlib.sha256(key.encode()).hexdigest()) for plan, key in KEYS.items()]


@pytest.fixture
def wall() -> Time:
    return Time(NOON)


@pytest.fixture
def local(day: pathlib.Path, wall: Time) -> Iterator[Local]:
    with Local(day, "2026-07-24T10:00", time=wall, keys=own_keys()) as server:
        yield server


def header(plan: str) -> dict[str, str]:
    return {"X-Api-Key": KEYS[plan]}


# --- the file


def replay_keys(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["keys", *arguments])


def test_a_key_is_made_shown_once_kept_hashed_and_taken_out(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "keys.toml"
    made = {}
    for name, plan in (("research", "alpha"), ("a.b-c_9", "free"), ("Z", "enterprise")):
        done = replay_keys("add", name, "--plan", plan, "--keys", str(path))
        assert done.exit_code == 0, done.output
        key = done.stdout.removesuffix("\n")
        assert len(key) >= 32
        assert "\n" not in key
        assert key not in done.stderr
        made[name] = key
        text = path.read_text()
        assert hashlib.sha256(key.encode()).hexdigest() in text
        assert not [each for each in made.values() if each in text]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len({*made.values()}) == 3
    listed = replay_keys("list", "--keys", str(path)).stdout
    assert [line.split() for line in listed.splitlines()[-3:]] == [
        ["research", "alpha"], ["a.b-c_9", "free"], ["Z", "enterprise"],
    ]  # fmt: skip
    assert not [each for each in made.values() if each in listed]
    assert replay_keys("remove", "a.b-c_9", "--keys", str(path)).exit_code == 0
    assert "a.b-c_9" not in replay_keys("list", "--keys", str(path)).stdout
    assert [each.name for each in path.parent.iterdir()] == ["keys.toml"]


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: pathlib.Path) -> None:
    path, link = tmp_path / "keys.toml", tmp_path / "link.toml"
    path.write_text("[keys]\n")
    path.chmod(0o644)
    link.symlink_to(path)
    assert replay_keys("add", "me", "--keys", str(link)).exit_code == 0
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "alpha" in path.read_text(), "the plan that is not told"


@pytest.mark.parametrize("name", ["", " ", "-x", ".x", "a b", 'a"b', "a\nb", "é", "x" * 65, "a/b", "]"])
def test_a_name_that_is_none_is_refused(tmp_path: pathlib.Path, name: str) -> None:
    path = tmp_path / "keys.toml"
    assert "error: invalid_key: name" in refused("keys", "add", "--keys", str(path), "--", name)
    assert not path.exists()


def test_keys_that_are_added_at_once_are_all_kept(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "keys.toml"
    names = [f"name{i}" for i in range(24)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda name: add_key(path, name, "alpha"), names))
    kept = {each.name: each.digest for each in read_keys(path)}
    assert kept == {name: hashlib.sha256(key.encode()).hexdigest() for name, key in zip(names, made, strict=True)}


def test_what_cannot_be_done_is_said(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "keys.toml"
    for command in (("list",), ("remove", "me")):
        assert f"{path} does not exist" in refused("keys", *command, "--keys", str(path))
    assert replay_keys("add", "me", "--keys", str(path)).exit_code == 0
    before = path.read_bytes()
    assert "has a key of me already" in refused("keys", "add", "me", "--keys", str(path))
    assert "has no key of 'you'; it has me" in refused("keys", "remove", "you", "--keys", str(path))
    assert "gold" in refused("keys", "add", "you", "--plan", "gold", "--keys", str(path))
    assert path.read_bytes() == before
    assert "cannot_write" in refused("keys", "add", "me", "--keys", str(tmp_path / "none" / "keys.toml"))


DIGEST = hashlib.sha256(b"x").hexdigest()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"keys = ", "cannot be read"), (b"\xff\xfe", "cannot be read"), (b"", "[keys.NAME]"), (b"keys = 5", "[keys.NAME]"),
        (b"[keys]\n[other]\n", "nothing else"), (b"[keys]\nme = 5\n", "[keys.me]"), (b"[keys.me]\nplan = 'alpha'\n", "[keys.me]"),
        (f"[keys.me]\nplan = 'gold'\nsha256 = '{DIGEST}'\n".encode(), "'gold'"),
        (f"[keys.me]\nplan = 5\nsha256 = '{DIGEST}'\n".encode(), "plan 5"),
        (f"[keys.me]\nplan = 'alpha'\nsha256 = '{DIGEST[1:]}'\n".encode(), "sha256 of me"),
        (f"[keys.me]\nplan = 'alpha'\nsha256 = '{DIGEST.upper()}'\n".encode(), "sha256 of me"),
        (f"[keys.me]\nplan = 'alpha'\nkey = 'k'\nsha256 = '{DIGEST}'\n".encode(), "[keys.me]"),
        (f"[keys.'a b']\nplan = 'alpha'\nsha256 = '{DIGEST}'\n".encode(), "'a b'"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_named_and_serves_nobody(
    day: pathlib.Path, tmp_path: pathlib.Path, text: bytes, said: str
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_bytes(text)
    for command in (
        ("serve", "--lake", str(day), "--port", "0", "--keys", str(path)),
        ("keys", "list", "--keys", str(path)),
        ("keys", "remove", "me", "--keys", str(path)),
        ("keys", "add", "you", "--keys", str(path)),
    ):
        told = refused(*command)
        assert told.startswith(f"error: invalid_key: {path}"), told
        assert said in told
    assert path.read_bytes() == text


# --- who is let in


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, {}), ({"X-Api-Key": ""}, {}), ({"X-Api-Key": "nobody"}, {}), ({}, {"apiKey": "nobody"}), ({}, {"apiKey": ""}),
        ({"X-Api-Key": hashlib.sha256(KEYS["alpha"].encode()).hexdigest()}, {}), ({"X-Api-Key": KEYS["alpha"][:-1]}, {}),
        ({"X-Api-Key": KEYS["alpha"] + "x"}, {}), ({}, {"apikey": KEYS["alpha"]}), ({"Authorization": KEYS["alpha"]}, {}),
        ({"X-Api-Key": KEYS["alpha"].upper()}, {}), ({"X-Api-Key": "\xe9"}, {}), ({}, {"key": KEYS["alpha"]}),
    ],
)  # fmt: skip
def test_without_a_known_key_nothing_is_answered(local: Local, headers: dict[str, str], query: dict[str, str]) -> None:
    body = b'{"title":"Unauthorized","status":401,"detail":"Invalid API key."}'
    for path in (HEATMAP, SERIES, STRIKE_FLOW, STREAM, "/replay/table/", "/replay/tape/"):
        got = local.get(path + "SPY", headers, **query)
        assert (got.status, got.body) == (401, body)
        assert got.headers["content-type"] == "application/json"
        assert not [name for name in got.headers if name.startswith("x-ratelimit")]
    for path in ("/replay/sessions", "/replay/runs", CLOCK, "/replay/tape/SPY/levels", "/replay/runs/one"):
        assert local.get(path, headers, **query).body == body
    assert local.get(HEATMAP + "SPY", headers, metric="wrong", **query).status == 401, "before anything is checked"
    assert local.ask(CLOCK, "POST", headers=headers, body={"step": "1m"}, **query).status == 401
    assert local.get(CLOCK, header("alpha")).json()["version"] == 1


def test_a_key_comes_as_header_or_in_the_query(local: Local) -> None:
    by_header = local.get(HEATMAP + "SPY", header("alpha"))
    by_query = local.get(HEATMAP + "SPY", apiKey=KEYS["alpha"])
    assert (by_header.status, by_query.status) == (200, 200)
    assert by_header.body == by_query.body
    assert by_header.headers["etag"] == by_query.headers["etag"]
    assert local.get(HEATMAP + "SPY", {"x-aPI-kEY": KEYS["alpha"]}).status == 200
    assert local.get(HEATMAP + "SPY", {"X-Api-Key": "nobody"}, apiKey=KEYS["alpha"]).status == 401, "the header first"


def test_what_is_open_asks_for_none(local: Local) -> None:
    for path in ("/health", "/openapi.json", "/docs"):
        assert local.get(path).status == 200
    assert local.get("/nothing").status == 404


LOWEST = {
    HEATMAP + "SPY": "alpha",
    STRIKE_FLOW + "SPY": "alpha",
    SERIES + "SPY": "growth",
    "/replay/table/SPY": "alpha",
    "/replay/tape/SPY?date=2026-07-24": "alpha",
    "/replay/sessions": "free",
    CLOCK: "free",
}


@pytest.mark.parametrize("path", list(LOWEST))
def test_a_plan_sees_what_it_may(local: Local, path: str) -> None:
    needed, order = LOWEST[path], list(PLANS)
    for plan in PLANS:
        got = local.get(path, header(plan))
        assert {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= set(got.headers)
        if order.index(plan) >= order.index(needed):
            assert got.status == 200
            continue
        told = got.json()
        assert got.status == 403
        assert list(told) == ["status", "error", "message", "current_plan", "required_plan"]
        assert (told["status"], told["error"]) == ("ERROR", "tier_restricted")
        assert (told["current_plan"], told["required_plan"]) == (PLANS[plan], PLANS[needed])
        assert told["message"]


def test_a_plan_is_checked_before_the_request(local: Local) -> None:
    for path in (HEATMAP, STREAM):
        assert local.get(path + "SPY", header("growth"), metric="wrong").status == 403
        assert local.get(path + "SPY", header("alpha"), metric="wrong").status == 400
    got = local.ask(CLOCK, "POST", headers=header("growth"), body={"step": "1m"})
    assert (got.status, got.error) == (403, "tier_restricted")
    assert local.get(CLOCK, header("free")).json()["version"] == 1
    assert local.ask(CLOCK, "POST", headers=header("alpha"), body={"step": "1m"}).status == 200


# --- how often


def rate(got: Answer) -> list[str]:
    return [got.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "reset")]


def test_a_quota_is_counted_told_and_used_up_until_the_day_is_over(local: Local, wall: Time) -> None:
    for left in (4, 3, 2, 1, 0):
        got = local.get(CLOCK, header("free"))
        assert (got.status, rate(got)) == (200, ["5", str(left), str(MIDNIGHT)])
    for _ in range(3):
        got = local.get(HEATMAP + "SPY", header("free"), metric="wrong")
        told = got.json()
        assert got.status == 429
        assert list(told) == ["status", "error", "message", "current_plan", "limit", "upgrade_to", "reset_at"]
        assert told | {"message": ""} == {
            "status": "ERROR",
            "error": "Quota exceeded",
            "message": "",
            "current_plan": "Free",
            "limit": 5,
            "upgrade_to": "Basic",
            "reset_at": "2026-07-25T00:00:00Z",
        }
        assert got.headers["retry-after"] == str(12 * 3600)
        assert rate(got) == ["5", "0", str(MIDNIGHT)]
    assert local.get(CLOCK, header("basic")).status == 200, "each key has its own"
    wall.wall = MIDNIGHT * SECOND - 1
    assert local.get(CLOCK, header("free")).headers["retry-after"] == "1"
    wall.wall += 1
    got = local.get(CLOCK, header("free"))
    assert (got.status, rate(got)) == (200, ["5", "4", str(MIDNIGHT + 24 * 3600)])


@pytest.mark.parametrize(("plan", "limit", "higher"), [("basic", 100, "Growth"), ("growth", 2500, "Alpha")])
def test_each_plan_has_its_quota(local: Local, plan: str, limit: int, higher: str) -> None:
    counts = local.service._guard._counts
    index = list(PLANS).index(plan)
    assert rate(local.get(CLOCK, header(plan)))[:2] == [str(limit), str(limit - 1)]
    counts[2 * index + 1] = limit - 1  # so many requests later
    assert rate(local.get(CLOCK, header(plan)))[:2] == [str(limit), "0"]
    got = local.get(CLOCK, header(plan))
    assert (got.status, got.json()["limit"], got.json()["upgrade_to"]) == (429, limit, higher)


def test_alpha_and_enterprise_have_no_end(local: Local) -> None:
    for plan in ("alpha", "enterprise"):
        answers = [local.get(CLOCK, header(plan)) for _ in range(40)]
        assert {each.status for each in answers} == {200}
        assert {*rate(answers[0])} == {*rate(answers[-1])}


def test_every_answer_to_a_known_key_tells_its_rate(local: Local) -> None:
    headers = header("alpha")
    tag = local.get(HEATMAP + "SPY", headers).headers["etag"]
    for got, status in (
        (local.get(HEATMAP + "SPY", headers | {"If-None-Match": tag}), 304),
        (local.get(HEATMAP + "SPY", headers, bar="5m"), 400),
        (local.get(HEATMAP + "SPY/x", headers), 404),
        (local.ask(CLOCK, "POST", headers=headers, body={"step": "1m"}), 200),
    ):
        assert got.status == status
        assert rate(got)


# --- a server that asks for keys, in two processes


def test_a_server_with_keys_counts_over_workers_and_logs_no_key(day: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "keys.toml"
    keys = {}
    for name, plan in (("ann", "alpha"), ("fred", "free")):
        keys[name] = replay_keys("add", name, "--plan", plan, "--keys", str(path)).stdout.strip()
    options = ("--keys", str(path), "--workers", "2")
    with running(day, *options, host=ANY) as server, ThreadPoolExecutor(8) as pool:
        free = {"X-Api-Key": keys["fred"]}
        got = list(pool.map(lambda _: server.get(CLOCK, free), range(20)))
        assert sorted(each.status for each in got) == [200] * 5 + [429] * 15
        left = sorted(each.headers["x-ratelimit-remaining"] for each in got if each.status == 200)
        assert left == ["0", "1", "2", "3", "4"]
        ann = {"X-Api-Key": keys["ann"]}
        assert server.get(HEATMAP + "SPY", ann | {"Host": "replay.example.com"}).status == 200
        for query in (
            f"apiKey={keys['ann']}", f"metric=gex&apiKey={keys['ann']}&minutes=5", f"api%4Bey={keys['ann']}",
            f"apikey={keys['ann']}", f"metric=wrong&apiKey={keys['ann']}", f"APIKEY={keys['ann']}", f"+apiKey={keys['ann']}",
            f"apiKey=x&apiKey={keys['ann']}", f"minutes=1;apiKey={keys['ann']}", f"api_key={keys['ann']}",
            f"key={keys['ann']}", f"X-Api-Key={keys['ann']}", f"metric={keys['ann']}", f"token={keys['ann']}",
        ):  # fmt: skip
            server.get(f"{HEATMAP}SPY?{query}")
            server.get(f"/nothing?{query}")
        server.get(f"{HEATMAP}SPY&apiKey={keys['ann']}")
        server.get(f"/nothing/{keys['ann']}/more")
        server.get(HEATMAP + "SPY", {"X-Api-Key": keys["ann"] + "x"})
        server.ask(CLOCK, "POST", headers=ann, body={"step": "x"})
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(f"GET / HTTP/9.9\r\nX-Api-Key: {keys['ann']}\r\n\r\n".encode())
            assert raw.recv(1000)
        assert server.stop() == 0
        told = server.stderr()
        for key in keys.values():
            assert key not in told
            assert hashlib.sha256(key.encode()).hexdigest() not in told
        log = server.log()
        assert {each.get("key") for each in log} == {None, "ann", "fred"}
        assert {each["status"] for each in log} >= {200, 400, 401, 404, 429}
        assert {each.get("key") for each in log if each["status"] == 429} == {"fred"}
        assert any("apiKey=" in each["query"] and each["query"].endswith("minutes=5") for each in log)
        assert "no key is asked for" not in told


def test_without_keys_it_says_so_and_any_key_will_do(day: pathlib.Path) -> None:
    with running(day) as server:
        assert "no key is asked for" in server.stderr()
        plain = server.get(HEATMAP + "SPY")
        for headers, query in (({"X-Api-Key": "secret-1"}, {}), ({}, {"apiKey": "secret-2"})):
            got = server.get(HEATMAP + "SPY", headers, **query)
            assert (got.status, got.body) == (200, plain.body)
            assert "x-ratelimit-limit" not in got.headers
        assert server.stop() == 0
        assert "secret-" not in server.stderr()


# --- names and addresses


@pytest.mark.parametrize(
    "host", [ANY, "::", "[::]", "192.168.1.5", "10.0.0.1", "example.com", "", "0", "127.0.0.1.nip.io"]
)
def test_beyond_this_machine_only_with_keys(day: pathlib.Path, host: str) -> None:
    told = refused("serve", "--lake", str(day), "--port", "0", "--host", host)
    assert told.startswith("error: invalid_address: ")
    assert "--keys" in told
    serving.check_host(host, keys=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.2", "LOCALHOST"])
def test_this_machine_needs_none(host: str) -> None:
    serving.check_host(host, keys=False)


def test_an_address_that_cannot_be_had_is_refused(day: pathlib.Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = refused("serve", "--lake", str(day), "--port", str(port))
        assert f"127.0.0.1:{port} cannot be served" in told
    with pytest.raises(InvalidAddress):
        serving.listen("no.such.host.invalid", 0)


HOSTS = {
    "127.0.0.1": 200, "127.0.0.1:8787": 200, "localhost": 200, "LocalHost:1": 200, "[::1]": 200, "[::1]:8787": 200,
    "127.0.0.2:80": 200, "evil.com": 400, "evil.com:8787": 400, "127.0.0.1.evil.com": 400, "localhost.evil.com:80": 400,
    "": 400, "evil.com#127.0.0.1": 400, "192.168.1.5": 400, ANY: 400, "localhost.": 400, "[::2]:1": 400, "::": 400,
}  # fmt: skip


@pytest.fixture(scope="module")
def open_one(day: pathlib.Path) -> Iterator[Local]:
    """A server that asks for no key."""
    with Local(day, time=Time()) as server:
        yield server


@pytest.mark.parametrize(("host", "status"), HOSTS.items())
def test_without_keys_another_name_is_not_answered(open_one: Local, host: str, status: int) -> None:
    before = open_one.get(CLOCK).json()["version"]
    for path in (HEATMAP + "SPY", CLOCK, "/health", "/docs", "/openapi.json"):
        got = open_one.get(path, {"Host": host})
        assert got.status == status, path
        if status == 400:
            assert got.error == "invalid_host"
    got = open_one.ask(CLOCK, "POST", headers={"Host": host}, body={"step": "1m"})
    assert got.status == status
    assert open_one.get(CLOCK).json()["version"] == before + (status == 200)


def test_with_keys_any_name_is_answered(local: Local) -> None:
    for host in HOSTS:
        assert local.get(HEATMAP + "SPY", header("alpha") | {"Host": host}).status == 200
