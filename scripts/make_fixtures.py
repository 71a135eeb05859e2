"""Write fixtures/: simulated 0DTE sessions as a lake, and a manifest with each session's seed and files.

    python scripts/make_fixtures.py           simulate, and replace what is stored
    python scripts/make_fixtures.py --check   simulate, and compare with what is stored

The same numbers come out anywhere but for the last bits of exposures, so files are compared by their decoded values.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import pathlib
import shutil
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from replay import schema
from replay.exposure.conventions import REPLAY_1
from replay.ragged import from_arrow
from replay.sessions import SECOND
from replay.storage.files import Partition
from replay.storage.writer import LakeWriter
from scripts.simulation import CADENCE, Plan, snapshots

SEED: Final = 20260729
"""Chosen: with it every session ends within half a dollar of its pin, as with every second seed."""
FIXTURES: Final = pathlib.Path(__file__).parent.parent / "fixtures"
TOLERANCE: Final = 1e-12
"""Relative to a value."""
SLACK: Final = 1e-14
"""Relative to the largest value of the same snapshot: calls and puts are added up, and may all but cancel."""

PLANS: Final = (
    Plan(
        "early-close", "SPY", dt.date(2025, 11, 28), "closes at 13:00, in winter time",
        pin=682, start=679.35, vol=0.21, reach=9,
    ),
    Plan(
        "legacy", "SPY", dt.date(2026, 3, 6), "legacy v1 rows alone, without strikes; the last session in winter time",
        pin=676, start=679.1, vol=0.24, reach=9, strikes_from=dt.time.max,
    ),
    Plan(
        "partly-legacy", "SPY", dt.date(2026, 3, 9), "legacy v1 rows until 12:30; the first session in summer time",
        pin=680, start=676.8, vol=0.24, reach=9, strikes_from=dt.time(12, 30),
    ),
    Plan(
        "gap", "SPY", dt.date(2026, 4, 15), "nothing recorded between 11:47 and 12:12; flow is not known just after",
        pin=688, start=691.2, vol=0.2, reach=9, hole=(dt.time(11, 47), dt.time(12, 12)),
    ),
    Plan(
        "drift", "SPY", dt.date(2026, 5, 12), "a trend of nine dollars; the strikes listed follow spot",
        pin=695, start=686.2, vol=0.22, reach=20, window=8,
    ),
    Plan(
        "full-day", "SPY", dt.date(2026, 6, 5), "a plain full session",
        pin=700, start=696.4, vol=0.22, reach=10,
    ),
    Plan(
        "full-day-qqq", "QQQ", dt.date(2026, 6, 5), "a second symbol on the same session",
        pin=615, start=618.3, vol=0.26, reach=9,
    ),
    Plan(
        "corrections", "SPY", dt.date(2026, 7, 24),
        "open interest of 11:00-11:30 corrected at 13:05; signs of trades of 11:10-11:15 and 15:00-15:10 at 18:30",
        pin=705, start=701.9, vol=0.21, reach=10, corrected=True,
    ),
)  # fmt: skip


def seed_of(plan: Plan) -> int:
    """The session's own seed, so that one session can change without the others."""
    return int.from_bytes(hashlib.sha256(f"{SEED} {plan.name}".encode()).digest()[:6], "big")


def build(plan: Plan) -> tuple[Partition, list[pa.Table]]:
    """A session's partition, and one table for each file of it, in the order of recording."""
    return Partition("raw", plan.symbol, plan.date), snapshots(plan, seed_of(plan))


def write(root: pathlib.Path) -> dict[str, Any]:
    """Replace ``root/lake`` and ``root/MANIFEST.json`` by all sessions; returns the manifest."""
    built = [(plan, *build(plan)) for plan in PLANS]
    lake = root / "lake"
    shutil.rmtree(lake, ignore_errors=True)
    writer = LakeWriter(lake)
    sets = []
    for plan, partition, tables in built:
        origin = schema.metadata(source=f"simulation:{plan.name}", conventions=REPLAY_1.id, cadence_us=CADENCE)
        files: list[str] = []
        for table in tables:
            writer.add(partition, table, origin)
            (new,) = {path.relative_to(root).as_posix() for path in (lake / partition.folder).iterdir()} - set(files)
            files.append(new)
        sets.append(_entry(plan, tables, root, files))
    manifest = {"what": "simulated sessions, made by scripts/make_fixtures.py", "seed": SEED, "sets": sets}
    (root / "MANIFEST.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def _entry(plan: Plan, tables: list[pa.Table], root: pathlib.Path, files: list[str]) -> dict[str, Any]:
    return {
        "set": plan.name,
        "symbol": plan.symbol,
        "date": plan.date.isoformat(),
        "purpose": plan.purpose,
        "seed": seed_of(plan),
        "pin": plan.pin,
        "cadence_seconds": CADENCE // SECOND,
        "snapshots": len(tables[0]),
        "revisions": sum(len(table) for table in tables[1:]),
        "legacy": tables[0]["strike"].null_count,
        "files": [
            {"path": path, "rows": len(table), "sha256": hashlib.sha256((root / path).read_bytes()).hexdigest()}
            for path, table in zip(files, tables, strict=True)
        ],
    }


def check(root: pathlib.Path) -> list[str]:
    """How the stored sessions differ from those simulated now, a sentence each."""
    manifest = json.loads((root / "MANIFEST.json").read_text(encoding="utf-8"))
    listed = {entry["set"]: entry for entry in manifest["sets"]}
    if list(listed) != [plan.name for plan in PLANS]:
        return [f"the manifest lists {', '.join(listed)}"]
    found = []
    for plan in PLANS:
        _, tables = build(plan)
        files = listed[plan.name]["files"]
        if len(files) != len(tables):
            found.append(f"{plan.name}: {len(files)} files, not {len(tables)}")
            continue
        for file, table in zip(files, tables, strict=True):
            stored = pq.ParquetFile(root / file["path"]).read()
            found += [f"{plan.name}: {file['path']}: {each}" for each in differences(stored, table)]
    return found


def differences(stored: pa.Table, table: pa.Table) -> list[str]:
    """In what columns two tables of snapshots differ by more than :data:`TOLERANCE`; NaN equals NaN, null null."""
    if stored.schema != table.schema or len(stored) != len(table):
        return [f"{len(stored)} rows of {stored.schema.names}, not {len(table)} of {table.schema.names}"]
    found = []
    for column in schema.COLUMNS:
        a, b = stored[column.name], table[column.name]
        same = _lists_agree(a, b) if column.name in schema.LISTS else a.equals(b)
        if not same:
            found.append(f"{column.name} differs")
    return found


def _lists_agree(stored: pa.ChunkedArray, simulated: pa.ChunkedArray) -> bool:
    a, b = from_arrow(stored), from_arrow(simulated)
    if not (np.array_equal(a.known, b.known) and np.array_equal(a.lengths, b.lengths)):
        return False
    left, right = a.flat(), b.flat()
    row = np.repeat(np.arange(len(b)), b.lengths)
    largest = np.zeros(len(b))
    np.maximum.at(largest, row, np.nan_to_num(np.abs(right), nan=0.0))
    near = np.abs(left - right) <= TOLERANCE * np.abs(right) + SLACK * largest[row]
    return bool((near | (np.isnan(left) & np.isnan(right))).all())


def main() -> int:
    parser = argparse.ArgumentParser(description="Simulate the sessions of fixtures/ and store them.")
    parser.add_argument("--check", action="store_true", help="compare with what is stored, and write nothing")
    only_check = parser.parse_args().check
    print(f"seed {SEED}")
    if only_check:
        found = check(FIXTURES)
        print("\n".join(found) or f"{len(PLANS)} sessions as simulated")
        return 1 if found else 0
    total = 0
    for entry in write(FIXTURES)["sets"]:
        size = sum((FIXTURES / file["path"]).stat().st_size for file in entry["files"])
        total += size
        print(
            f"{entry['set']:14} {entry['symbol']} {entry['date']}  seed {entry['seed']:15}  pin {entry['pin']}  "
            f"{entry['snapshots']:4} snapshots {entry['revisions']:3} revisions {size:8,} bytes  {entry['purpose']}"
        )
    print(f"{total:,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
