"""Sweeps on a real Dask scheduler with two worker processes, and over a lake on an S3-compatible server."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

import replay
from replay.cli import main
from replay.errors import InvalidRun, MissingExtra, NoLake, StrategyFailed
from replay.queries import shipped
from replay.storage.files import filesystem_at
from replay.sweeps import Progress
from tests.strategies_for_tests import SlowFly, fly_that_fails

LAKE = shipped("fixtures") / "lake"
ROOT = pathlib.Path(__file__).parent.parent
ASKED: dict[str, Any] = {"symbols": "SPY", "grid": {"wing": [2, 3]}}
SLOW: dict[str, Any] = ASKED | {"params": {"pause": 0.0001}, "start": "2026-03-09"}
_WAIT = 60


@contextlib.contextmanager
def dask(module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """One of Dask's commands, ended at the end."""
    command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as running:
        try:
            yield running
        finally:
            running.kill()


@contextlib.contextmanager
def cluster(folder: pathlib.Path, workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler's address on loopback, and its worker processes, which nobody starts again."""
    file = folder / "scheduler.json"
    own = ("--scheduler-file", str(file), "--host", "127.0.0.1", "--no-dashboard")
    with contextlib.ExitStack() as stack:
        stack.enter_context(dask("dask_scheduler", *own, "--port", "0"))
        begun = [
            stack.enter_context(
                dask(
                    "dask_worker",
                    *own,
                    "--no-nanny",
                    "--nthreads",
                    "1",
                    "--local-directory",
                    str(folder),
                    "--name",
                    f"worker-{number}",
                )
            )
            for number in range(workers)
        ]
        deadline = time.monotonic() + _WAIT
        while not file.exists() or not file.read_bytes():
            assert time.monotonic() < deadline, "the scheduler did not start"
            time.sleep(0.02)
        address = json.loads(file.read_bytes())["address"]
        if workers:
            from distributed import Client

            with Client(address, set_as_default=False, timeout=_WAIT) as client:
                client.wait_for_workers(workers, timeout=_WAIT)
        yield address, begun


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed")  # what its own dependencies have deprecated
class TestCluster:
    def test_a_killed_worker_costs_its_tasks_a_retry_and_no_byte(
        self, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("distributed", reason="needs the extra [cluster]")
        replay.sweep(SlowFly, LAKE, out=tmp_path / "here", **SLOW)
        told: list[int] = []
        with cluster(tmp_path, 2) as (address, workers):

            def kill(at: Progress) -> None:
                told.append(at.done)
                if at.done >= 4 and workers[0].poll() is None:
                    workers[0].send_signal(signal.SIGKILL)
                    workers[0].wait()

            replay.sweep(SlowFly, LAKE, scheduler=address, out=tmp_path / "there", progress=kill, **SLOW)
            assert workers[0].returncode == -signal.SIGKILL
            assert workers[1].poll() is None
            with pytest.raises(StrategyFailed, match=r"set 1 \(wing=5.0, total=0.0\), session 2026-04-15"):
                replay.sweep(fly_that_fails, LAKE, symbols="SPY", grid={"wing": [2, 5]}, scheduler=address)

            def kill_all(at: Progress) -> None:
                if at.done >= 4 and workers[1].poll() is None:
                    workers[1].send_signal(signal.SIGKILL)
                    workers[1].wait()

            monkeypatch.setattr("replay.sweeps.workers._PATIENCE", 0.5)
            asked = SLOW | {"out": tmp_path / "again", "scheduler": address}
            with pytest.raises(InvalidRun, match="has no worker; start some"):
                replay.sweep(SlowFly, LAKE, progress=kill_all, **asked)
        replay.sweep(SlowFly, LAKE, **SLOW, out=tmp_path / "again", resume=True)
        assert contents(tmp_path / "again") == contents(tmp_path / "here")
        assert told == list(range(0, 11, 2))
        assert contents(tmp_path / "there") == contents(tmp_path / "here")

    def test_a_scheduler_without_workers_is_said(self, tmp_path: pathlib.Path) -> None:
        pytest.importorskip("distributed", reason="needs the extra [cluster]")
        with (
            cluster(tmp_path, 0) as (address, _),
            pytest.raises(InvalidRun, match=f"{address}' has no worker; start some: dask worker {address}"),
        ):
            replay.sweep("pin_fly", LAKE, scheduler=address, **ASKED)

    def test_a_scheduler_that_is_not_there_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("distributed", reason="needs the extra [cluster]")
        monkeypatch.setattr("replay.sweeps.workers._ANSWER", 0.3)
        with pytest.raises(InvalidRun, match=r"scheduler 'tcp://127.0.0.1:9' does not answer"):
            replay.sweep("pin_fly", LAKE, scheduler="tcp://127.0.0.1:9", **ASKED)
        with pytest.raises(InvalidRun, match="scheduler 'nowhere://' does not answer"):
            replay.sweep("pin_fly", LAKE, scheduler="nowhere://", **ASKED)

    def test_without_the_extra_it_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "distributed", None)
        with pytest.raises(MissingExtra, match=r"needs the extra \[cluster\]"):
            replay.sweep("pin_fly", LAKE, scheduler="tcp://127.0.0.1:9", **ASKED)


@pytest.fixture(scope="class")
def bucket() -> Iterator[str]:
    """The URL of the fixtures' lake on a server of this process that speaks S3."""
    pytest.importorskip("s3fs", reason="needs the extra [cluster]")
    server_module = pytest.importorskip("moto.server", reason="needs moto's server")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_CONFIG_FILE", os.devnull),
            ("AWS_SHARED_CREDENTIALS_FILE", os.devnull),
            ("NO_PROXY", "127.0.0.1"),
        ):
            patch.setenv(name, value)
        files = filesystem_at("s3://bucket")
        assert files is not None
        files.mkdir("bucket")
        files.put(f"{LAKE}/", "bucket/lake", recursive=True)
        yield "s3://bucket/lake"
        files.invalidate_cache()
        type(files).clear_instance_cache()
    server.stop()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of botocore and werkzeug
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # connections that aiohttp leaves to the end of the process
class TestObjectStore:
    def test_two_workers_read_what_one_reads_from_a_folder(self, bucket: str, tmp_path: pathlib.Path) -> None:
        replay.sweep("pin_fly", LAKE, out=tmp_path / "folder", **ASKED)
        replay.sweep("pin_fly", bucket, workers=2, out=tmp_path / "bucket", **ASKED)
        assert contents(tmp_path / "bucket") == contents(tmp_path / "folder")

    def test_a_lake_by_its_url_can_be_pickled(self, bucket: str) -> None:
        with replay.open_lake(bucket) as lake, pickle.loads(pickle.dumps(lake)) as again:  # noqa: S301  # our own
            assert again.symbols() == lake.symbols() == ["QQQ", "SPY"]
            with replay.open_lake(LAKE) as here:
                assert again.fingerprint("SPY", "2026-07-24") == here.fingerprint("SPY", "2026-07-24")

    @pytest.mark.parametrize(
        "command",
        [
            ["heatmap", "SPY", "--as-of", "2026-07-24T14:30", "--format", "json"],
            ["levels", "SPY", "--as-of", "2026-07-24T14:30", "--format", "json"],
            ["sql", "SELECT date, count(*) AS n FROM snapshots GROUP BY 1 ORDER BY 1"],
            ["sessions", "QQQ", "--format", "csv"],
        ],
        ids=lambda command: command[0],
    )
    def test_commands_that_read_take_a_url(self, bucket: str, command: list[str]) -> None:
        there, here = (CliRunner().invoke(main, [*command, "--lake", where]) for where in (bucket, str(LAKE)))
        assert there.exit_code == 0, there.output
        assert there.stdout == here.stdout

    def test_what_is_not_there_is_said(self, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(NoLake, match="bucket/nothing does not exist"):
            replay.open_lake("s3://bucket/nothing")
        with pytest.raises(NoLake, match="abc://bucket/lake cannot be opened: Protocol not known"):
            replay.open_lake("abc://bucket/lake")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
        files = filesystem_at(bucket)
        assert files is not None
        type(files).clear_instance_cache()
        with pytest.raises(NoLake, match="s3://bucket/lake cannot be reached"):
            replay.open_lake(bucket)
        type(files).clear_instance_cache()


def test_without_fsspec_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingExtra, match=r"a lake at s3://bucket/lake needs the extra \[cluster\]"):
        replay.open_lake("s3://bucket/lake")
