"""The wheel holds what the checkout holds, and works from it."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return next(out.glob("*.whl"))


def test_statements_and_the_demo_lake_are_in_the_wheel_byte_for_byte(wheel: pathlib.Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    for kind in ("sql", "fixtures"):
        files = [path for path in (ROOT / kind).rglob("*") if path.is_file()]
        assert files
        for path in files:
            assert held[f"replay/_shipped/{path.relative_to(ROOT).as_posix()}"] == path.read_bytes()
        shipped = [name for name in held if name.startswith(f"replay/_shipped/{kind}/")]
        assert len(shipped) == len(files)
    for path in (ROOT / "replay").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert held[path.relative_to(ROOT).as_posix()] == path.read_bytes()


def test_the_wheel_works_away_from_the_checkout(wheel: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import replay, replay.queries as q, pathlib\n"
        "assert pathlib.Path(replay.__file__).is_relative_to(pathlib.Path('site').absolute())\n"
        "lake = replay.open_lake(q.shipped('fixtures') / 'lake')\n"
        "print(len(lake.symbols()), lake.sessions().height)"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site"), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    symbols, sessions = map(int, done.stdout.split())
    assert symbols == 2
    assert sessions >= 7
