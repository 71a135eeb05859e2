"""Clients written for the live endpoint, with only its address changed: the vendor's own, requests, curl, a recorder."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import pathlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import flashalpha  # type: ignore[import-untyped]  # it ships no types
import pytest
import requests

import replay
from replay.ingest.record import Recorder
from replay.server.keys import add_key
from tests import lakes
from tests.lakes import MINUTE, SECOND, at
from tests.second_method import EPOCH, SecondLake, body, utc_text
from tests.server import CLOCK, HEATMAP, Running, running

STRIKES = [598.0, 599.0, 600.0, 600.5, 601.0]
METRICS = ("gex", "dex", "vex", "chex", "oi", "signed_flow")
CURL = shutil.which("curl")
NODE = shutil.which("node")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A lake of two hours of SPY, some of it corrected, and of a symbol that has no strikes."""
    rng = lakes.dice("clients")
    rows = [lakes.some_row(rng, at("12:40") + i * 30 * SECOND, STRIKES) for i in range(250)]
    late = [lakes.revised(rng, old, old["recorded_at"] + 200 * SECOND) for old in rows[::11]]
    made = tmp_path_factory.mktemp("clients")
    lakes.write_own(made, "SPY", rows + late)
    lakes.write_own(made, "OLD", [lakes.row(at("14:40") + i * MINUTE, None) for i in range(5)])
    return made


@pytest.fixture(scope="module")
def second(root: pathlib.Path) -> SecondLake:
    return SecondLake(root)


@pytest.fixture(scope="module")
def server(root: pathlib.Path) -> Iterator[Running]:
    """A server that asks for no key, at the moment of the vendor's example."""
    with running(root, at="2026-07-24T14:45:12") as started:
        yield started


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, dict[str, str]]:
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    return path, {plan: add_key(path, f"of-{plan}", plan) for plan in ("free", "growth", "alpha")}


@pytest.fixture(scope="module")
def locked(root: pathlib.Path, keys: tuple[pathlib.Path, dict[str, str]]) -> Iterator[Running]:
    """A server that asks for keys."""
    with running(root, "--keys", str(keys[0]), at="2026-07-24T14:45:12") as started:
        yield started


@pytest.fixture
def client(server: Running) -> Iterator[flashalpha.FlashAlpha]:
    """The vendor's client, told another address and nothing else."""
    made = flashalpha.FlashAlpha("key", base_url=server.url)
    yield made
    made._session.close()


# --- the vendor's client


def test_the_vendors_client_reads_a_heatmap(client: flashalpha.FlashAlpha, second: SecondLake) -> None:
    got: Any = client.flow_zero_dte_heatmap("SPY", metric="gex", minutes=120)
    wanted = body(second, "SPY", at("14:45:12"), None, "gex", "raw", 120)
    assert json.dumps(got) == json.dumps(wanted)
    assert got["as_of"] == "2026-07-24T18:45:12Z"
    assert len(got["bars"]) == 120, "it looks back to 12:45:00, and ends with what was known in this minute"
    for metric in METRICS:
        for mode in ("raw", "delta"):
            told: Any = client.flow_zero_dte_heatmap("spy", metric=metric, mode=mode, bar="1m", minutes=5)
            assert told == body(second, "SPY", at("14:45:12"), None, metric, mode, 5)


def test_the_vendors_client_reads_the_siblings(client: flashalpha.FlashAlpha) -> None:
    series: Any = client.flow_zero_dte_series("SPY", bar="5m", minutes=30)
    flow: Any = client.flow_zero_dte_strike_flow("SPY", minutes=3)
    heatmap: Any = client.flow_zero_dte_heatmap("SPY")
    types = flashalpha.types
    for told, kind, bar in (
        (series, types.FlowZeroDteSeriesResponse, types.FlowZeroDteSeriesBar),
        (flow, types.FlowZeroDteStrikeFlowResponse, types.FlowZeroDteStrikeFlowBar),
        (heatmap, types.FlowZeroDteHeatmapResponse, types.FlowZeroDteHeatmapBar),
    ):
        assert set(kind.__annotations__) - set(told) == {"endpoint_version", "data_as_of"}, "not in what is documented"
        assert set(told) <= set(kind.__annotations__)
        assert {*told["bars"][0]} == {*bar.__annotations__} - {"gamma_flip_status"}
    assert [each["t"][14:16] for each in series["bars"]] == ["15", "20", "25", "30", "35", "40"]
    assert [len(each["contracts"]) for each in flow["bars"]] == [len(flow["strikes_grid"])] * len(flow["bars"])


@pytest.fixture
def moved(server: Running) -> Iterator[Running]:
    """The server, whose clock is put back afterwards."""
    yield server
    assert server.ask(CLOCK, "POST", body={"at": "2026-07-24T14:45:12", "speed": 0}).status == 200


def test_the_vendors_client_polls_a_clock_that_runs(
    moved: Running, second: SecondLake, client: flashalpha.FlashAlpha
) -> None:
    moved.ask(CLOCK, "POST", body={"at": "2026-07-24T13:00", "speed": 300})
    seen = []
    for _ in range(8):
        got: Any = client.flow_zero_dte_heatmap("SPY", minutes=10)
        seen.append(got["as_of"])
        now = (dt.datetime.fromisoformat(got["as_of"]) - EPOCH) // dt.timedelta(microseconds=1)
        assert got == body(second, "SPY", now, None, "gex", "raw", 10)
        time.sleep(0.05)
    assert seen == sorted(seen)
    assert len({*seen}) > 3


def test_the_vendors_exceptions_come_out_right(client: flashalpha.FlashAlpha, locked: Running, keys: Any) -> None:
    for wrong, code in (
        ({"metric": "x"}, "invalid_metric"),
        ({"mode": "x"}, "invalid_mode"),
        ({"bar": "5m"}, "bar_unavailable"),
    ):
        with pytest.raises(flashalpha.FlashAlphaError) as refused:
            client.flow_zero_dte_heatmap("SPY", **wrong)
        assert type(refused.value) is flashalpha.FlashAlphaError
        assert refused.value.status_code == 400
        assert refused.value.response is not None
        assert (refused.value.response["status"], refused.value.response["error"]) == ("ERROR", code)
        assert str(refused.value) == refused.value.response["message"]
    with pytest.raises(flashalpha.FlashAlphaError) as refused:
        client.flow_zero_dte_heatmap("OLD")
    assert refused.value.response is not None
    assert refused.value.response["error"] == "no_strike_data_for_window"
    with pytest.raises(flashalpha.FlashAlphaError) as refused:
        client.flow_zero_dte_series("SPY", bar="2m")
    assert refused.value.response is not None
    assert refused.value.response["error"] == "invalid_bar"

    def of(key: str) -> flashalpha.FlashAlpha:
        return flashalpha.FlashAlpha(key, base_url=locked.url + "/")

    with pytest.raises(flashalpha.AuthenticationError, match=r"Invalid API key\.") as unknown:
        of("nobody").flow_zero_dte_heatmap("SPY")
    assert unknown.value.status_code == 401
    with pytest.raises(flashalpha.TierRestrictedError) as restricted:
        of(keys[1]["growth"]).flow_zero_dte_heatmap("SPY")
    assert (restricted.value.status_code, restricted.value.current_plan, restricted.value.required_plan) == (
        403,
        "Growth",
        "Alpha",
    )
    assert of(keys[1]["growth"]).flow_zero_dte_series("SPY", minutes=5)["bar_size"] == "30s"
    assert of(keys[1]["alpha"]).flow_zero_dte_heatmap("SPY")["metric"] == "gex"
    free = of(keys[1]["free"])
    for _ in range(5):
        with pytest.raises(flashalpha.TierRestrictedError):
            free.flow_zero_dte_heatmap("SPY")
    with pytest.raises(flashalpha.RateLimitError) as over:
        free.flow_zero_dte_heatmap("SPY")
    assert over.value.status_code == 429
    assert over.value.retry_after is not None
    assert 0 < over.value.retry_after <= 86_400
    with pytest.raises(flashalpha.NotFoundError):
        client._get("/v1/flow/zero-dte/leaderboard")


# --- the examples of the endpoint's own page


def test_requests_as_in_the_example(server: Running, second: SecondLake) -> None:
    resp = requests.get(
        f"{server.url}/v1/flow/zero-dte/heatmap/SPY",
        params={"metric": "gex", "mode": "raw", "bar": "1m", "minutes": "120"},
        headers={"X-Api-Key": "YOUR_API_KEY"},
        timeout=20,
    )
    data = resp.json()
    assert resp.headers["Content-Encoding"] in ("gzip", "br"), "requests asks for it, and unpacks it"
    assert data["strikes_grid"] == [598, 599, 600, 600.5, 601]
    assert data == body(second, "SPY", at("14:45:12"), None, "gex", "raw", 120)


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_fetch_as_in_the_example(server: Running, second: SecondLake) -> None:
    script = f"""
const resp = await fetch(
  "{server.url}/v1/flow/zero-dte/heatmap/SPY?metric=gex&mode=raw&bar=1m&minutes=120",
  {{ headers: {{ "X-Api-Key": "YOUR_API_KEY" }} }}
);
const data = await resp.json();
console.log(JSON.stringify(data));
"""
    done = subprocess.run(
        [str(NODE), "--input-type=module", "-e", script], capture_output=True, text=True, timeout=30, check=False
    )
    assert json.loads(done.stdout) == body(second, "SPY", at("14:45:12"), None, "gex", "raw", 120), done.stderr


@pytest.mark.skipif(CURL is None, reason="curl is not installed")
@pytest.mark.parametrize("options", [[], ["--compressed"], ["--http1.0"], ["-I"]], ids=str)
def test_curl_as_in_the_example(server: Running, second: SecondLake, options: list[str]) -> None:
    url = f"{server.url}/v1/flow/zero-dte/heatmap/SPY?metric=gex&mode=raw&bar=1m&minutes=120"
    command = ["curl", "-sS", "--max-time", "20", "--noproxy", "*", "-H", "X-Api-Key: YOUR_API_KEY", *options, url]
    done = subprocess.run(command, capture_output=True, check=True)
    if "-I" in options:
        assert done.stdout.startswith(b"HTTP/1.1 200 OK\r\n")
        return
    assert json.loads(done.stdout) == body(second, "SPY", at("14:45:12"), None, "gex", "raw", 120)


@pytest.mark.skipif(CURL is None, reason="curl is not installed")
def test_curl_sets_the_clock_and_reads_the_stream(moved: Running) -> None:
    curl = ["curl", "-sS", "--noproxy", "*", "--max-time", "20"]
    setting = ["-X", "POST", "-H", "Content-Type: application/json", "-d", '{"at": "2026-07-24T13:00", "step": "2m"}']
    done = subprocess.run([*curl, *setting, moved.url + CLOCK], capture_output=True, check=True)
    assert json.loads(done.stdout)["now"] == "2026-07-24T17:02:00Z"
    url = f"{moved.url}/replay/stream/SPY?since=2026-07-24T13:02"
    with subprocess.Popen([*curl, "-N", url], stdout=subprocess.PIPE, text=True) as reading:
        assert reading.stdout is not None
        lines = [next(reading.stdout).strip() for _ in range(5)]
        assert reading.poll() is None, "it goes on until curl has had enough"
        reading.kill()
    assert lines[:2] + lines[3:4] == ["retry: 1000", "", "event: bar"]
    assert '"t":"2026-07-24T17:01:00Z"' in lines[4]


# --- a recorder


def test_a_recorder_gets_the_lakes_bodies(moved: Running, root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    target = tmp_path / "recorded"
    moments = [at("14:30:10"), at("14:31:40"), at("14:38")]
    kept: dict[tuple[int, str], Any] = {}
    for moment in moments:
        moved.ask(CLOCK, "POST", body={"at": utc_text(moment)})
        times = itertools.repeat(moment)
        recorder = Recorder(moved.url, "SPY", target, clock=times.__next__, sleep=lambda _: None, key="any", minutes=60)
        report = recorder.run(once=True)
        assert dict(report.bodies) == dict.fromkeys(METRICS, 1)
        assert not report.failed
        kept |= {(moment, metric): moved.get(HEATMAP + "SPY", metric=metric).json() for metric in METRICS}
    with replay.open_lake(root) as lake, replay.open_lake(target) as recorded:
        for (moment, metric), told in kept.items():
            own = lake.heatmap("SPY", lakes.moment(moment), metric)
            again = recorded.heatmap("SPY", lakes.moment(moment), metric)
            assert json.loads(own.to_json()) == told
            assert json.loads(again.to_json()) == told
