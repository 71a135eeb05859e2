"""``replay record`` against a server on this machine: what it asks, when, and what the lake answers afterwards."""

from __future__ import annotations

import gzip
import importlib
import json
import pathlib
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

import replay
from replay.errors import CannotWrite, InputError, MissingExtra
from replay.ingest.captures import ingest_captures
from replay.ingest.cycles import Cycle
from replay.ingest.record import Recorder
from tests import lakes
from tests.lakes import DAY, MINUTE, SECOND, at
from tests.live_server import Answer, Asked, Server, from_lake, serving
from tests.second_method import SecondLake, body

cli: Any = importlib.import_module("replay.cli.record")  # the package has its command under this name

METRICS = ("gex", "oi", "signed_flow")
STRIKES = [599.0, 600.0, 601.0]


class Clock:
    """A time that passes by sleeping, and a millisecond each time it is read."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.slept: list[float] = []
        self.interrupt_at: int | None = None

    def __call__(self) -> int:
        self.now += 1000
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += round(seconds * SECOND)
        if self.interrupt_at is not None and self.now >= self.interrupt_at:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> SecondLake:
    """A session of which a snapshot comes every 20 s, and now and then a correction."""
    rng = lakes.dice("live")
    rows = [lakes.some_row(rng, at("09:30") + i * 20 * SECOND, STRIKES) for i in range(30)]
    rows += [lakes.some_row(rng, at("15:50") + i * 20 * SECOND, STRIKES) for i in range(33)]
    late = [lakes.revised(rng, old, old["recorded_at"] + 50 * SECOND) for old in rows[::5]]
    root = tmp_path_factory.mktemp("live")
    lakes.write_own(root, "SPY", rows + late)
    return SecondLake(root)


@pytest.fixture
def clock() -> Clock:
    return Clock(at("09:32:10"))


@pytest.fixture
def server(live: SecondLake, clock: Clock) -> Iterator[Server]:
    with serving(from_lake(live, lambda: clock.now)) as running:
        yield running


def recorder(url: str, root: pathlib.Path, clock: Clock, **options: Any) -> Recorder:
    return Recorder(url, "SPY", root, clock=clock, sleep=clock.sleep, **({"metrics": METRICS} | options))


def assert_answers(root: pathlib.Path, live: SecondLake, asked_at: int, minutes: int, metrics: Any = METRICS) -> None:
    """The lake answers at a moment as the live one did."""
    with replay.open_lake(root) as lake:
        for metric in metrics:
            shown = json.loads(lake.heatmap("SPY", lakes.moment(asked_at), metric, minutes=minutes).to_json())
            wanted = json.loads(json.dumps(body(live, "SPY", asked_at, None, metric, "raw", minutes)))
            assert shown["bars"] == wanted["bars"]
            assert shown["strikes_grid"] == wanted["strikes_grid"]


def test_each_cycle_is_in_the_lake_at_once_and_answers_as_live_did(
    server: Server, live: SecondLake, root: pathlib.Path, clock: Clock
) -> None:
    seen: list[Cycle] = []

    def after(cycle: Cycle) -> None:
        seen.append(cycle)
        if cycle.bodies:
            assert_answers(root, live, clock.now // 1000 * 1000, 390)

    report = recorder(server.url, root, clock, until=at("09:36"), progress=after).run()
    assert [cycle.at - seen[0].at for cycle in seen] == [*(30 * SECOND * i for i in range(8)), at("09:36") - seen[0].at]
    assert (report.cycles, report.missed, dict(report.failed)) == (9, 0, {})
    assert dict(report.bodies) == dict.fromkeys(METRICS, 9)
    assert report.written.new == 6  # the bars of 09:30 to 09:35: the next is not known in its first second
    assert {asked.path for asked in server.asked} == {"/v1/flow/zero-dte/heatmap/SPY"}
    spans = [(asked.query["metric"], asked.query["minutes"]) for asked in server.asked]
    assert spans == [*((metric, "390") for metric in METRICS), *((metric, "6") for _ in range(8) for metric in METRICS)]


def test_it_waits_for_the_open_and_stops_a_minute_after_the_close(
    server: Server, live: SecondLake, root: pathlib.Path, clock: Clock
) -> None:
    clock.now = at("09:00")
    starts: list[int] = []
    recorder(server.url + "/v1/", root, clock, every=65 * MINUTE, progress=lambda each: starts.append(each.at)).run()
    assert at("09:30") <= starts[0] < at("09:30:01")
    assert starts[-1] == at("16:01")
    assert len(starts) == 8
    assert_answers(root, live, clock.now // 1000 * 1000, 10)


def test_it_goes_on_where_it_stopped(server: Server, live: SecondLake, root: pathlib.Path, clock: Clock) -> None:
    recorder(server.url, root, clock, until=at("09:33")).run()
    clock.now = at("09:37")
    report = recorder(server.url, root, clock, minutes=20).run(once=True)
    assert report.written.new == 4  # of 09:34 to 09:37; those before have not changed
    assert [asked.query["minutes"] for asked in server.asked][-3:] == ["20"] * 3
    assert_answers(root, live, clock.now // 1000 * 1000, 390)


def busy(status: int, message: str = "later", **headers: str) -> Answer:
    return Answer({"status": "ERROR", "error": "busy", "message": message}, status, headers)


def test_a_busy_server_is_asked_again_as_it_wishes(server: Server, root: pathlib.Path, clock: Clock) -> None:
    server.first = [busy(429, **{"Retry-After": "17"}), busy(503), busy(500), Answer(b"<html>", 502)]
    report = recorder(server.url, root, clock, every=2 * MINUTE).run(once=True)
    assert clock.slept == [17.0, 1.0, 2.0, 4.0]
    assert dict(report.bodies) == dict.fromkeys(METRICS, 1)
    assert not report.failed


def test_a_wait_beyond_the_cycle_is_kept_and_its_cycles_are_missed(
    server: Server, root: pathlib.Path, clock: Clock
) -> None:
    server.first = [busy(429, "quota", **{"Retry-After": "100"})]
    seen: list[Cycle] = []
    report = recorder(server.url, root, clock, until=at("09:35"), progress=seen.append).run()
    assert seen[0].failed == dict.fromkeys(METRICS, "429 busy: quota")
    assert [cycle.at - seen[0].at for cycle in seen[:3]] == [0, 120 * SECOND, 150 * SECOND]
    assert (report.missed, report.cycles) == (3, 4)
    assert len(server.asked) == 1 + 3 * 3  # nothing was asked while the server wanted none


def test_a_server_that_is_gone_does_not_hold_a_cycle_up(root: pathlib.Path, clock: Clock) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    starts: list[int] = []
    refused = recorder(url, root, clock, until=at("09:33"), progress=lambda each: starts.append(each.at))
    with pytest.raises(InputError, match=r"nothing was recorded; the last failure is signed_flow: Connection refused"):
        refused.run()
    assert [each - starts[0] for each in starts[:2]] == [0, 30 * SECOND]
    assert refused.report.failed.total() == 3 * len(starts)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer({"title": "Unauthorized", "status": 401, "detail": "Invalid API key."}, 401), "answers 401 Unauthorized: Invalid API key."),
        (Answer({"status": "ERROR", "error": "tier_restricted", "message": "Needs Alpha.", "required_plan": "Alpha"}, 403), "answers 403 tier_restricted: Needs Alpha."),
        (Answer({"status": "ERROR", "error": "invalid_metric", "message": "no"}, 400), "answers 400 invalid_metric: no"),
        (Answer(b"<html>\n Not\x1b[31m Found</html>", 404), "answers 404 <html> Not?[31m Found</html>"),
        (Answer(b"", 302, {"Location": "http://127.0.0.1:1/"}), "answers 302"),
    ],
)  # fmt: skip
def test_what_the_server_refuses_ends_it(
    server: Server, root: pathlib.Path, clock: Clock, answer: Answer, message: str
) -> None:
    server.first = [answer]
    with pytest.raises(InputError) as error:
        recorder(server.url, root, clock).run()
    assert message in error.value.message
    assert len(server.asked) == 1


def test_what_came_before_a_refusal_is_kept(server: Server, live: SecondLake, root: pathlib.Path, clock: Clock) -> None:
    server.first = [Answer(body(live, "SPY", clock.now, None, "gex")), Answer({"detail": "gone"}, 401)]
    with pytest.raises(InputError, match="401 gone"):
        recorder(server.url, root, clock).run()
    with replay.open_lake(root) as lake:
        assert len(lake.heatmap("SPY", lakes.moment(clock.now)).minutes) == 3


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (b"{", "is not JSON"),
        ({"status": "ERROR", "error": "no_strike_data_for_window", "message": "none"}, "is an error, not an answer: no_strike_data_for_window: none"),
        ({"as_of": "2026-07-23T14:00:00Z", "expiration": "2026-07-23", "bars": [], "strikes_grid": []}, "is of gex on 2026-07-23; asked for was gex on 2026-07-24"),
        ({"metric": "dex"}, "is of dex on 2026-07-24; asked for was gex"),
        ({"expiration": "2026-07-27"}, "expiration is '2026-07-27'"),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_counted_and_the_others_come(
    server: Server, live: SecondLake, root: pathlib.Path, clock: Clock, wrong: Any, why: str
) -> None:
    whole = body(live, "SPY", clock.now, None, "gex")
    made = wrong if isinstance(wrong, bytes) or "error" in wrong else whole | wrong
    server.first = [Answer(made)]
    seen: list[Cycle] = []
    report = recorder(server.url, root, clock, progress=seen.append).run(once=True)
    assert why in seen[0].failed["gex"]
    assert dict(report.bodies) == {"oi": 1, "signed_flow": 1}


def test_one_body_that_contradicts_another_of_its_moment_does_not_keep_the_others_out(
    server: Server, live: SecondLake, root: pathlib.Path, clock: Clock
) -> None:
    one, other = (body(live, "SPY", clock.now, None, metric) for metric in ("gex", "oi"))
    other["bars"][-1]["spot"] += 1.0
    server.first = [Answer(one), Answer(other)]
    seen: list[Cycle] = []
    report = recorder(server.url, root, clock, metrics=("gex", "oi"), progress=seen.append).run(once=True)
    assert dict(report.bodies) == {"gex": 1}
    assert "spot" in seen[0].failed["oi"]


def test_after_a_body_that_cannot_be_taken_the_window_stays_short(
    server: Server, live: SecondLake, root: pathlib.Path, clock: Clock
) -> None:
    whole = body(live, "SPY", clock.now, None, "gex")
    server.first = [Answer(whole), Answer(whole | {"bars": whole["bars"][:-1], "as_of": "2026-07-24T13:32:40Z"})]
    seen: list[Cycle] = []
    recorder(server.url, root, clock, metrics=("gex",), until=at("09:33:30"), progress=seen.append).run()
    assert "it has no bar at 2026-07-24T13:32:00Z, and the lake shows one" in seen[1].failed["gex"]
    assert not seen[2].failed
    assert [asked.query["minutes"] for asked in server.asked] == ["390", "6", "6", "6"]


def test_files_of_cycles_are_merged_as_it_goes_and_at_the_end(
    server: Server, live: SecondLake, root: pathlib.Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replay.ingest.record.MERGE_FILES", 4)
    files: list[int] = []
    recorder(
        server.url, root, clock, until=at("09:40"), progress=lambda _: files.append(len(list(root.rglob("*.parquet"))))
    ).run()
    assert max(files) <= 8
    assert len(list(root.rglob("*.parquet"))) == 1
    assert_answers(root, live, clock.now // 1000 * 1000, 390)


def test_a_session_without_strikes_yet_is_waited_for(
    server: Server, live: SecondLake, root: pathlib.Path, clock: Clock
) -> None:
    nothing = {"status": "ERROR", "error": "no_strike_data_for_window", "message": "2 samples, none with strikes"}
    server.first = [Answer(nothing, 400)]
    report = recorder(server.url, root, clock, metrics=("gex",), until=at("09:34")).run()
    assert report.failed["gex"] == 1
    assert report.bodies["gex"] > 1


def test_each_answer_is_kept_and_ingests_to_the_same_lake(
    server: Server, live: SecondLake, root: pathlib.Path, tmp_path: pathlib.Path, clock: Clock
) -> None:
    keep = tmp_path / "kept.jsonl"
    recorder(server.url, root, clock, keep=keep, until=at("09:34")).run()
    assert len(keep.read_text().splitlines()) == len(server.asked)
    ingest_captures([keep], tmp_path / "again", "SPY")
    now = lakes.moment(clock.now)
    with replay.open_lake(root) as lake, replay.open_lake(tmp_path / "again") as again:
        for metric in METRICS:
            assert lake.heatmap("SPY", now, metric).to_json() == again.heatmap("SPY", now, metric).to_json()
    packed = tmp_path / "kept.jsonl.gz"
    for _ in range(2):  # each answer is a member of its own, so that a recording goes on in the same file
        recorder(server.url, tmp_path / "third", clock, keep=packed).run(once=True)
    assert len(gzip.decompress(packed.read_bytes()).splitlines()) == 2 * len(METRICS)
    with pytest.raises(CannotWrite, match="nowhere"):
        recorder(server.url, root, clock, keep=tmp_path / "nowhere" / "kept").run(once=True)


def test_what_cannot_be_recorded_is_said_at_once(root: pathlib.Path, clock: Clock) -> None:
    for url in ("example.com", "ftp://example.com", "https://user:secret@example.com", "http://", "https://a b", ""):
        with pytest.raises(InputError, match="the URL is none such as") as error:
            recorder(url, root, clock)
        assert "secret" not in str(error.value)
    url = "https://example.com"
    for key in ("", "a\nb", " a", "\u00e9"):
        with pytest.raises(InputError, match="the key is empty, or holds"):
            recorder(url, root, clock, key=key)
    with pytest.raises(InputError, match="shorter than a second"):
        recorder(url, root, clock, every=SECOND - 1)
    with pytest.raises(InputError, match="which is past; --once asks once"):
        recorder(url, root, Clock(at("16:02"))).run()
    with pytest.raises(InputError, match="2026-07-25 is a day without a session"):
        recorder(url, root, Clock(at("10:00", DAY.replace(day=25))))
    with pytest.raises(InputError, match="symbol 'S P' is none"):
        Recorder(url, "S P", root, clock=clock, sleep=clock.sleep)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Clock:
    """The command by a clock of ours."""
    monkeypatch.setattr(cli, "now", clock)
    monkeypatch.setattr(cli, "sleep", clock.sleep)
    monkeypatch.setenv("TEST_KEY", "s3cr3t-key")
    return clock


def test_the_command_sends_the_key_and_never_shows_it(
    server: Server, root: pathlib.Path, tmp_path: pathlib.Path, command: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    keep = tmp_path / "kept.jsonl"
    arguments = ["--url", server.url, "--symbol", "spy", "--lake", str(root), "--metrics", "gex, oi"]
    arguments += ["--key-env", "TEST_KEY", "--until", "09:33", "--keep", str(keep)]
    server.first = [Answer({"detail": "s3cr3t-key is slow"}, 500)] * 12
    done = CliRunner().invoke(cli.record, arguments)
    assert done.exit_code == 0
    assert "***" in done.stderr
    assert {asked.headers["x-api-key"] for asked in server.asked} == {"s3cr3t-key"}
    assert done.stdout.startswith("SPY: ")
    server.first = [Answer({"detail": "no such key: s3cr3t-key"}, 401)]
    refused = CliRunner().invoke(cli.record, [*arguments[:-4], "--once"])
    assert isinstance(refused.exception, InputError)
    said = [done.output, str(refused.exception), caplog.text, keep.read_text()]
    said += [path.read_bytes().decode("latin-1") for path in root.rglob("*") if path.is_file()]
    assert not [text for text in said if "s3cr3t" in text]


def test_the_command_tells_each_cycle_and_the_sum(server: Server, root: pathlib.Path, command: Clock) -> None:
    command.now = at("09:29:50")
    arguments = ["--url", server.url, "--symbol", "SPY", "--lake", str(root), "--metrics", "gex", "--every", "60s"]
    done = CliRunner().invoke(cli.record, [*arguments, "--until", "09:32"])
    assert done.stderr.splitlines() == [
        "waiting for the open, 09:30:00 in New York",
        "09:30:00  1 body, rows: none new",
        "09:31:00  1 body, rows: 1 new",
        "09:32:00  1 body, rows: 1 new",
    ]
    assert done.stdout == "SPY: 3 cycles, 0 missed\n  bodies: gex 3\nrows: 2 new\n"
    quiet = CliRunner().invoke(cli.record, [*arguments, "--once", "--quiet"])
    assert quiet.stderr == ""


def test_an_interruption_ends_with_the_sum(server: Server, root: pathlib.Path, command: Clock) -> None:
    command.interrupt_at = at("09:33")
    arguments = ["--url", server.url, "--symbol", "SPY", "--lake", str(root), "--metrics", "gex"]
    done = CliRunner().invoke(cli.record, arguments)
    assert done.exit_code == 130
    assert done.stdout == ""
    assert done.stderr.endswith("interrupted\n")
    assert "SPY: 2 cycles, 0 missed" in done.stderr


def test_options_that_cannot_be_are_named(root: pathlib.Path, command: Clock) -> None:
    arguments = ["--url", "https://example.com", "--symbol", "SPY", "--lake", str(root)]
    done = CliRunner().invoke(cli.record, [*arguments, "--key-env", "NO_SUCH_VARIABLE"])
    assert done.exit_code == 2
    assert "the environment variable NO_SUCH_VARIABLE is not set" in done.stderr
    for wrong, message in (
        (["--metrics", "zex"], "zex"),
        (["--every", "often"], "--every 'often' cannot be read"),
        (["--minutes", "many"], "minutes 'many'"),
        (["--until", "noon"], "--until 'noon' cannot be read"),
    ):
        done = CliRunner().invoke(cli.record, [*arguments, *wrong])
        assert isinstance(done.exception, replay.errors.ReplayError)
        assert message in str(done.exception)


def test_without_urllib3_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "urllib3", None)
    monkeypatch.delitem(sys.modules, "replay.ingest.record")
    with pytest.raises(MissingExtra, match=r"recording needs the extra \[record\]"):
        importlib.import_module("replay.ingest.record")


def test_a_server_that_answers_nothing_is_not_asked_for_ever(clock: Clock, root: pathlib.Path) -> None:
    def reply(_: Asked) -> Answer:
        return busy(503)

    with serving(reply) as server:
        with pytest.raises(InputError, match="nothing was recorded; the last failure is signed_flow: 503 busy: later"):
            recorder(server.url, root, clock).run(once=True)
        assert sum(clock.slept) < 30
        assert 3 * 2 <= len(server.asked) <= 3 * 5
