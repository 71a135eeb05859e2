"""Fixtures that several test modules share: the nasty lake, built once, and a place for a lake of one's own."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

import replay
from tests import lakes
from tests.second_method import SecondLake

pytest_plugins = ["pytester"]


@pytest.fixture(scope="session")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> lakes.Nasty:
    """Every nasty case in one lake; to be read, not changed."""
    root = tmp_path_factory.mktemp("nasty")
    return lakes.Nasty(root, lakes.build_all(root))


@pytest.fixture(scope="session")
def nasty_lake(nasty: lakes.Nasty) -> Iterator[replay.Lake]:
    """The nasty lake, opened."""
    with replay.open_lake(nasty.root) as lake:
        yield lake


@pytest.fixture(scope="session")
def nasty_second(nasty: lakes.Nasty) -> SecondLake:
    """The nasty lake as the second method reads it."""
    return SecondLake(nasty.root)


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    """Where a test's own lake is to be."""
    return tmp_path / "lake"
