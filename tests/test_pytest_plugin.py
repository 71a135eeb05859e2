"""The pytest plugin, in pytest runs of their own: golden files written and compared, also by workers and from a wheel."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

import replay
from replay.pytest_plugin import lake_of

ROOT = pathlib.Path(__file__).parent.parent
LAKE = str(ROOT / "fixtures" / "lake")
SETTINGS = f"""
[pytest]
golden_lake = {LAKE}
filterwarnings = error
"""
TEST = """
def test_pin(golden_heatmap):
    golden_heatmap("SPY", as_of="2026-07-24T14:30", metric="oi", absolute=0.5)
"""
GOLDEN = "SPY_2026-07-24_1430_oi_raw.json"


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with one test of a golden heatmap; its lake is in its settings."""
    monkeypatch.delenv("REPLAY_LAKE", raising=False)
    for name in ("CI", "BUILD_NUMBER"):  # in either pytest tells each failure twice, and in full
        monkeypatch.delenv(name, raising=False)
    pytester.makeini(SETTINGS)
    pytester.makepyfile(test_pins=TEST)
    return pytester


def goldens(project: pytest.Pytester) -> dict[str, bytes]:
    folder = project.path / "goldens"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Without what these tests have no use for: a plugin that takes most of a second to load."""
    idle = ("cacheprovider", "hypothesispytest", "schemathesis", "anyio")  # which take longer to load than the tests
    return project.runpytest_subprocess(*(f"-pno:{name}" for name in idle), *arguments)


def change(path: pathlib.Path, how: Callable[[Any], object]) -> None:
    body = json.loads(path.read_text())
    how(body)
    path.write_text(json.dumps(body))


def test_a_golden_is_missing_written_agrees_and_differs(project: pytest.Pytester) -> None:
    path = project.path / "goldens" / "test_pins" / "test_pin" / GOLDEN
    missing = run(project)
    missing.assert_outcomes(failed=1)
    missing.stdout.fnmatch_lines([f"no golden file {path}", "run pytest with --golden-update to write it"])
    assert "Traceback" not in missing.stdout.str()
    assert goldens(project) == {}

    written = run(project, "--golden-update")
    written.assert_outcomes(passed=1)
    written.stdout.fnmatch_lines(["*golden files written*", str(path)])
    with replay.open_lake(LAKE) as lake:
        assert path.read_bytes() == lake.heatmap("SPY", "2026-07-24T14:30", metric="oi").to_json()

    stamp = path.stat().st_mtime_ns
    again = run(project, "--golden-update")
    again.assert_outcomes(passed=1)
    assert "golden files written" not in again.stdout.str()
    assert path.stat().st_mtime_ns == stamp

    change(path, lambda body: body["bars"][4]["values"].__setitem__(2, body["bars"][4]["values"][2] + 0.5))
    run(project).assert_outcomes(passed=1)  # within the tolerance that the test gives
    change(path, lambda body: [bar["values"].__setitem__(2, 1e9) for bar in body["bars"]])
    done = run(project)
    done.assert_outcomes(failed=1)
    page = project.path / "golden-differences" / "test_pins" / "test_pin-SPY_2026-07-24_1430_oi_raw.html"
    done.stdout.fnmatch_lines(
        [
            f"SPY_2026-07-24_1430_oi_raw: 60 differences from {path}",
            "  oi 2026-07-24T*Z strike *: golden 1000000000.0, now *, off by *",
            "  and 50 more",
            f"the differences are drawn in {page}",
            "if the lake's answer is right now, run pytest with --golden-update",
        ]
    )
    assert done.stdout.str().count("golden 1000000000.0") == 10
    assert page.read_bytes().startswith(b"<!doctype html>")
    run(project, "--golden-update").assert_outcomes(passed=1)
    with replay.open_lake(LAKE) as lake:
        assert path.read_bytes() == lake.heatmap("SPY", "2026-07-24T14:30", metric="oi").to_json()


def test_without_plotly_or_a_place_the_difference_is_still_told(project: pytest.Pytester) -> None:
    run(project, "--golden-update")
    path = project.path / "goldens" / "test_pins" / "test_pin" / GOLDEN
    change(path, lambda body: body.update(underlying_price=1))
    (project.path / "golden-differences").write_text("in the way")
    run(project).stdout.fnmatch_lines(["  underlying_price: golden 1, now *", "the differences are not drawn: *"])
    (project.path / "golden-differences").unlink()
    project.makeconftest("import sys\nsys.modules['plotly'] = None")
    run(project).stdout.fnmatch_lines(["the differences are not drawn: an HTML page needs the extra *plot*"])


def test_each_call_has_a_file_of_its_own_also_by_workers(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_pins="""
        import datetime as dt
        import pytest

        @pytest.mark.parametrize("metric", ["gex", "oi", "chex"])
        @pytest.mark.parametrize("name", ["SPY", "a/b ü"])
        def test_each(golden_heatmap, metric, name):
            for minutes in (15, "60"):
                golden_heatmap("spy", dt.datetime(2026, 7, 24, 14, 30), metric, minutes=minutes)
            golden_heatmap("SPY", dt.date(2026, 7, 24), metric, "delta", known_at="latest", tier="raw", gaps=True)

        class TestOwn:
            def test_each(self, golden_heatmap):
                golden_heatmap("SPY", as_of="2026-07-24")

        @pytest.mark.parametrize("name", ["x" * 400 + "1", "x" * 400 + "2"])
        def test_long(golden_heatmap, name):
            golden_heatmap("SPY", as_of="2026-07-24")
        """
    )
    done = run(project, "-n", "2", "--golden-update")
    done.assert_outcomes(passed=9)
    files = goldens(project)
    assert {name for name in files if "SPY-gex" in name} == {
        f"test_pins/test_each-SPY-gex/{name}.json"
        for name in (
            "SPY_2026-07-24_1430_gex_raw_15m", "SPY_2026-07-24_1430_gex_raw",
            "SPY_2026-07-24_1600_gex_delta_known-latest_tier-raw_gaps",
        )
    }  # fmt: skip
    assert "test_pins/TestOwn.test_each/SPY_2026-07-24_1600_gex_raw.json" in files
    assert len(files) == 2 * 3 * 3 + 1 + 2
    assert all(f"{project.path / 'goldens' / name}" in done.stdout.str() for name in files)
    run(project).assert_outcomes(passed=9)
    assert goldens(project) == files
    change(project.path / "goldens" / "test_pins" / "TestOwn.test_each" / "SPY_2026-07-24_1600_gex_raw.json", lambda body: body.update(symbol="QQQ"))  # fmt: skip
    failed = run(project, "-n", "2")
    failed.assert_outcomes(passed=8, failed=1)
    failed.stdout.fnmatch_lines(["  symbol: golden 'QQQ', now 'SPY'"])


def test_the_lake_is_that_of_the_option_else_the_settings_else_the_environment(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = project.path / "none"
    project.makeini("[pytest]")
    missing = run(project)
    missing.assert_outcomes(errors=1)
    missing.stdout.fnmatch_lines(["golden_heatmap needs a lake: give --golden-lake DIR, or set golden_lake *"])
    wrong = run(project, "--golden-lake", str(none))
    wrong.assert_outcomes(errors=1)
    wrong.stdout.fnmatch_lines(["*no_lake: *none does not exist*"])

    def lake(*arguments: str) -> object:
        return lake_of(project.parseconfig("-p", "no:cacheprovider", *arguments))

    assert lake() is None
    monkeypatch.setenv("REPLAY_LAKE", "environment")
    assert lake() == "environment"
    project.makeini("[pytest]\ngolden_lake = ../lakes/one")
    assert lake() == project.path / "../lakes/one", "relative to the settings"
    project.makeini(f"[pytest]\ngolden_lake = {LAKE}")
    assert lake() == pathlib.Path(LAKE)
    assert lake("--golden-lake", "option") == "option"


def test_wrong_requests_and_corrupted_files_fail_and_write_nothing(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_pins="""
        import pytest

        @pytest.mark.parametrize(("symbol", "as_of", "metric"), [
            ("SPY", "2026-07-24", "pnl"),
            ("../../x", "2026-07-24", "gex"),
            ("SPY", "noon", "gex"),
            ("SPY", "2026-03-06", "gex"),
        ])
        def test_wrong(golden_heatmap, symbol, as_of, metric):
            golden_heatmap(symbol, as_of, metric)
        """
    )
    done = run(project, "--golden-update")
    done.assert_outcomes(failed=4)
    done.stdout.fnmatch_lines(
        [
            "*invalid_metric: metric 'pnl' is not one of *",
            "*invalid_golden: symbol '../../x' is none that a lake could hold*",
            "*invalid_time: as_of 'noon' cannot be read*",
            "*no_strike_data_for_window: *",
        ]
    )
    assert not list(project.path.rglob("*.json"))
    project.makepyfile(test_pins=TEST)
    path = project.path / "goldens" / "test_pins" / "test_pin" / GOLDEN
    path.parent.mkdir(parents=True)
    path.write_bytes(b"{")
    corrupted = run(project)
    corrupted.assert_outcomes(failed=1)
    corrupted.stdout.fnmatch_lines([f"*invalid_golden: {path} is no golden file: *"])


def test_a_run_without_golden_heatmaps_loads_nothing_heavy_and_warns_of_nothing(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_pins="""
        import sys

        def test_light():
            assert "replay.pytest_plugin" in sys.modules
            heavy = {"duckdb", "pyarrow", "polars", "numpy", "orjson", "click", "rich", "plotly", "replay.golden", "replay.lake"}
            assert not heavy & set(sys.modules)
        """
    )
    done = run(project, "-W", "error")
    done.assert_outcomes(passed=1)
    assert "warning" not in done.stdout.str().lower()


def test_modules_of_one_name_have_reports_of_their_own(project: pytest.Pytester) -> None:
    (project.path / "test_pins.py").unlink()
    for folder in ("a", "b"):
        (project.mkdir(folder) / "__init__.py").write_text("")
        (project.path / folder / "test_pins.py").write_text(TEST)
        golden = project.path / folder / "goldens" / "test_pins" / "test_pin" / GOLDEN
        golden.parent.mkdir(parents=True)
        with replay.open_lake(LAKE) as lake:
            golden.write_bytes(lake.heatmap("SPY", "2026-07-24T14:30", metric="oi").to_json())
        change(golden, lambda body, name=folder: body.update(tier_used=f"tier of {name}"))  # type: ignore[misc]
    done = run(project)
    done.assert_outcomes(failed=2)
    for folder in ("a", "b"):
        page = project.path / "golden-differences" / folder / "test_pins" / "test_pin-SPY_2026-07-24_1430_oi_raw.html"
        done.stdout.fnmatch_lines([f"the differences are drawn in {page}"])
        assert f"tier of {folder}" in page.read_text()


def test_the_plugin_alone_loads_nothing_heavy(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for by its module's name, where plugins are not found by themselves."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    code = (
        "import sys, pytest\n"
        "status = pytest.main(['-p', 'replay.pytest_plugin', '-p', 'no:cacheprovider', '-W', 'error', '-q', '--co'])\n"
        "print('heavy:', sorted({'duckdb', 'pyarrow', 'polars', 'numpy', 'plotly'} & set(sys.modules)))\n"
        "sys.exit(status)\n"
    )
    done = project.run(sys.executable, "-c", code)
    assert done.ret == 0
    done.stdout.fnmatch_lines(["test_pins.py::test_pin", "heavy: []"])


def test_help_and_fixtures_say_what_there_is(project: pytest.Pytester) -> None:
    run(project, "--help").stdout.fnmatch_lines(
        ["golden heatmaps:", "*--golden-update*", "*--golden-lake=DIR*", "*golden_lake (string):*"]
    )
    run(project, "--fixtures").stdout.fnmatch_lines(
        ["golden_heatmap*", "*Compare heatmaps of the lake with golden files*"]
    )


def test_a_project_that_depends_on_the_wheel(pytester: pytest.Pytester) -> None:
    """Away from the checkout: the wheel's own entry point brings the fixture."""
    made = pytester.path / "dist"
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(made)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    with zipfile.ZipFile(next(made.glob("*.whl"))) as archive:
        (points,) = [name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt")]
        assert "[pytest11]\nreplay = replay.pytest_plugin\n" in archive.read(points).decode()
        archive.extractall(pytester.path / "site")
    outside = pytester.mkdir("outside")
    (outside / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    (outside / "test_outside.py").write_text(
        "import pathlib, replay.queries\n"
        "def test_pin(golden_heatmap):\n"
        f"    assert pathlib.Path(replay.__file__).is_relative_to({str(pytester.path / 'site')!r})\n"
        '    golden_heatmap("SPY", as_of="2026-07-24T14:30")\n'
    )
    lake = pytester.path / "site" / "replay" / "_shipped" / "fixtures" / "lake"
    environment = os.environ | {
        "PYTHONPATH": str(pytester.path / "site"),
        "PYTHONSAFEPATH": "1",
        "REPLAY_LAKE": str(lake),
    }
    for arguments, status in (((), 1), (("--golden-update",), 0)):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *arguments], cwd=outside, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
    assert [path.name for path in outside.rglob("SPY*.json")] == ["SPY_2026-07-24_1430_gex_raw.json"]
