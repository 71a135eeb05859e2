"""The house rules: which module may import which, where engines live, what is public, and what help says."""

from __future__ import annotations

import ast
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import click
import duckdb
import pytest

import replay
from replay import errors, queries
from replay.cli import main

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "replay"

ORDER = (
    "errors", "contract", "schema", "sessions", "products", "queries", "ragged", "snapshots", "storage", "exposure", "heatmap",
    "levels", "tables", "tape", "market", "settlement", "lake", "corrections", "regenerate", "records", "account", "siblings", "strategy", "broker", "engine",
    "leaks", "golden", "results", "study", "sweeps", "strategies", "ingest", "verify", "quality", "render", "pytest_plugin", "server", "cli",
)  # fmt: skip
NO_LAKE = (
    "heatmap",
    "levels",
    "tape",
    "market",
    "settlement",
    "account",
    "broker",
    "tables",
    "render",
    "ragged",
    "snapshots",
    "exposure",
)
HOMES = {
    "pytest": {"pytest_plugin.py"},
    "duckdb": {"storage/engine.py"},
    "click": {"cli/"},
    "plotly": {"render/"},
    "matplotlib": {"render/"},
    "pyvolr": {"exposure/"},
    "scipy": {"exposure/"},
    "urllib3": {"ingest/record.py"},
    "distributed": {"sweeps/workers.py"},
    "databento_dbn": {"ingest/opra.py"},
    "fastapi": {"server/"},
    "starlette": {"server/"},
    "uvicorn": {"server/"},
    "brotli": {"server/"},
    "fsspec": {"storage/files.py"},
    "pyarrow": {
        "schema.py",
        "ragged.py",
        "storage/",
        "ingest/",
        "verify.py",
        "tables.py",
        "records.py",
        "broker/",
        "sweeps/",
        "engine/",
    },
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> set[str]:
    """Every module a file imports, also inside functions and for types alone."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def layer(dotted: str) -> str | None:
    parts = dotted.split(".")
    return parts[1] if parts[0] == "replay" and len(parts) > 1 and parts[1] in ORDER else None


def test_a_layer_imports_only_from_its_left() -> None:
    seen = set()
    for name, tree in modules():
        own = name.removesuffix(".py").split("/")[0]
        if own in ("__init__", "__main__"):
            continue
        assert own in ORDER, f"{name} is in no layer: give it a place in CONTRIBUTING.md and here"
        seen.add(own)
        for other in {layer(each) for each in imported(tree)} - {None, own}:
            assert ORDER.index(str(other)) < ORDER.index(own), f"{name} imports {other}, which is to its right"
            if own in NO_LAKE:
                assert other not in ("storage", "lake"), f"{name} knows a lake"
    assert seen == set(ORDER)


def test_engines_stay_in_their_homes() -> None:
    for name, tree in modules():
        names = imported(tree)
        for engine, homes in HOMES.items():
            if any(each == engine or each.startswith(f"{engine}.") for each in names):
                assert any(name == home or (home.endswith("/") and name.startswith(home)) for home in homes), (
                    f"{name} imports {engine}, whose homes are {homes}"
                )


def test_the_contributing_page_gives_the_same_order() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    positions = [page.index(f"`{name}`") for name in ORDER]
    assert positions == sorted(positions)


def test_modules_are_short_and_say_what_lives_there() -> None:
    for name, tree in modules():
        assert ast.get_docstring(tree), f"{name} has no docstring"
        assert len((PACKAGE / name).read_text(encoding="utf-8").splitlines()) <= 400, f"{name} is long"


def test_no_path_of_a_machine_and_no_private_word() -> None:
    words = ("/work/", "/root/", "/home/", "/Users/")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    for name in tracked:
        path = ROOT / name
        if path == pathlib.Path(__file__) or path.suffix == ".parquet" or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        assert not [word for word in words if word in text], name


def test_nothing_else_lies_at_the_top() -> None:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("no git checkout")
    assert {name.split("/")[0] for name in done.stdout.splitlines()} == {
        *(".ci", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "pyproject.toml"),
        *("requirements.lock", "replay", "sql", "fixtures", "tests", "scripts"),
    }


def test_public_names_are_the_listed_ones() -> None:
    assert sorted(replay.__all__) == replay.__all__
    assert set(replay._HOMES) == set(replay.__all__)
    for name in replay.__all__:
        assert getattr(replay, name).__name__ == name
        assert name in dir(replay)
    with pytest.raises(AttributeError, match=r"it has .*Heatmap, Lake"):
        replay.nothing  # noqa: B018  # the access is what is tested


def test_import_and_help_load_no_engine() -> None:
    code = (
        "import sys, replay, replay.cli\n"
        "heavy = {'duckdb', 'pyarrow', 'polars', 'numpy', 'rich', 'plotly', 'matplotlib', 'scipy', 'orjson'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize(
    ("path", "command"), list(commands(main)), ids=lambda value: "-".join(value) if isinstance(value, tuple) else ""
)
def test_every_command_has_help_an_example_and_a_place_in_the_readme(
    path: tuple[str, ...], command: click.Command
) -> None:
    assert command.help
    assert "Example" in command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{' '.join(path)} {parameter.name} has no help"
    assert f"replay {' '.join(path)}" in (ROOT / "README.md").read_text(encoding="utf-8")


def all_errors(base: type[errors.ReplayError] = errors.ReplayError) -> Iterator[type[errors.ReplayError]]:
    for each in base.__subclasses__():
        yield each
        yield from all_errors(each)


def test_every_error_is_in_the_drawn_tree_with_its_code_and_status() -> None:
    drawn = errors.__doc__ or ""
    for each in all_errors():
        line = next((line for line in drawn.splitlines() if f" {each.__name__} " in f"{line} "), None)
        assert line is not None, f"{each.__name__} is not drawn"
        assert str(each.http_status) in line
        assert each.exit_code == 2
        if not each.__subclasses__():
            assert each.code in line


@pytest.mark.parametrize("name", queries.names())
def test_every_statement_declares_its_parameters_and_returns(name: str) -> None:
    query = queries.load(name)
    assert query.summary.endswith(".")
    assert query.declared >= query.used
    assert "-- returns:" in query.text
    if not name.startswith("view_"):
        assert query.declared == query.used
        assert query.text.rstrip().splitlines()[-1].startswith("ORDER BY")
    assert len(duckdb.connect().extract_statements(query.text)) == 1


def test_an_unknown_statement_lists_what_there_is() -> None:
    with pytest.raises(LookupError, match="timeline"):
        queries.load("nothing")


def test_the_lock_names_no_index_and_hashes_everything() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index" not in text
    blocks = [block for block in text.split("\n") if block and not block.startswith((" ", "#"))]
    assert all("==" in block and block.rstrip().endswith("\\") for block in blocks)
    assert text.count("--hash=sha256:") >= len(blocks)
