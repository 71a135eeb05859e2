"""SQL statements by name.

A statement lives in ``sql/NAME.sql``: a sentence of what it does, ``-- params:`` with the names it takes,
``-- returns:`` with each column and its unit, then one statement. Python holds no query longer than a line.
"""

from __future__ import annotations

import functools
import pathlib
import re
from dataclasses import dataclass

_PARAM = re.compile(r"\$([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Query:
    """One named statement: its text, what it does, and the parameters it declares."""

    name: str
    text: str
    summary: str
    declared: frozenset[str]

    @property
    def used(self) -> frozenset[str]:
        """The parameters that the statement itself names."""
        body = "\n".join(line for line in self.text.splitlines() if not line.lstrip().startswith("--"))
        return frozenset(_PARAM.findall(body))


@functools.cache
def shipped(kind: str) -> pathlib.Path:
    """The folder ``sql`` or ``fixtures``: inside the installed wheel, else in the checkout."""
    package = pathlib.Path(__file__).parent
    installed = package / "_shipped" / kind
    return installed if installed.is_dir() else package.parent / kind


@functools.cache
def load(name: str) -> Query:
    """The statement of that name. Raises ``LookupError`` listing what there is."""
    path = shipped("sql") / f"{name}.sql"
    if not path.is_file():
        raise LookupError(f"no statement {name!r}; there are {', '.join(names())}")
    text = path.read_text(encoding="utf-8")
    header = [line[2:].strip() for line in text.splitlines() if line.startswith("--")]
    declared = frozenset(
        name for line in header if line.startswith("params:") for name in line[7:].replace(",", " ").split()
    )
    return Query(name, text, header[0] if header else "", declared)


def names() -> list[str]:
    """All statements, sorted."""
    return sorted(path.stem for path in shipped("sql").glob("*.sql"))
