"""What stands beside a partition in its lake: whether conventions agree, and what stands for raw that was aged out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from replay import schema
from replay.contract import TIERS
from replay.errors import AgedOut, LakeError, MixedConventions
from replay.storage.columns import read_footer
from replay.storage.files import FileStore, Partition, StoredFile, partitions


class Agreement:
    """Whether rows to write agree on conventions with what the lake holds of the symbol and tier.

    Looked at are the partition, those next to it, the first and the last: every writer does, so that what lies between
    agrees with them. Where raw is gone, the thinned tier stands for it.
    """

    def __init__(self, store: FileStore, *, allow_mixed: bool = False) -> None:
        self._store = store
        self._allow_mixed = allow_mixed
        self._agreed: set[tuple[str, str, str]] = set()

    def check_all(self, partition: Partition, conventions: Sequence[str]) -> None:
        """As :meth:`check`, of rows under several ids, which are also to agree with each other."""
        if len(conventions) > 1 and not self._allow_mixed:
            raise MixedConventions(
                f"rows of {partition.folder} are under {' and '.join(map(repr, conventions))}; use one of them, or "
                "--allow-mixed"
            )
        for each in conventions:
            self.check(partition, each)

    def check(self, partition: Partition, conventions: str, *, replaced: bool = False) -> None:
        """Raise :class:`~replay.errors.MixedConventions` if another id is stored; rows of none agree with all.

        ``replaced``: what the partition itself holds goes, and does not count.
        """
        if self._allow_mixed or not conventions:
            return
        key = (partition.tier, partition.symbol, conventions)
        for each in [partition] if key in self._agreed else self._near(partition):
            held, files = self._held(each)
            for file in files if each != partition or not replaced else ():
                found = self._conventions(file)
                if found not in (None, conventions):
                    raise MixedConventions(
                        f"{held.folder} holds exposures under {found!r}, and these rows are under {conventions!r}; "
                        "use one of them, another lake, or --allow-mixed"
                    )
        self._agreed.add(key)

    def _near(self, partition: Partition) -> Iterator[Partition]:
        """The partition, and of those that hold anything the nearest on either side, the first and the last."""
        yield partition
        tiers = TIERS if partition.tier == TIERS[0] else (partition.tier,)
        stored = partitions(self._store, symbol=partition.symbol)
        dates = sorted({each.date for each in stored if each.tier in tiers})
        before = [date for date in dates if date < partition.date]
        after = [date for date in dates if date > partition.date]
        for ordered in (before[::-1], before, after, after[::-1]):
            for date in ordered:
                each = Partition(partition.tier, partition.symbol, date)
                if self._held(each)[1]:
                    yield each
                    break

    def _held(self, partition: Partition) -> tuple[Partition, list[StoredFile]]:
        """A partition's files; where raw has none, those of the thinned one."""
        files = self._store.files(partition)
        if files or partition.tier != TIERS[0]:
            return partition, files
        thinned = Partition(TIERS[1], partition.symbol, partition.date)
        return thinned, self._store.files(thinned)

    def _conventions(self, file: StoredFile) -> str | None:
        """The convention id of a stored file; none of a file that cannot be read, which is for the reader to say."""
        try:
            return read_footer(self._store, file).conventions
        except (LakeError, OSError):
            return None


def is_aged_out(store: FileStore, partition: Partition) -> bool:
    """Whether raw of a session was removed, so that the thinned tier stands for it."""
    if partition.tier != TIERS[0] or store.files(partition):
        return False
    thinned = store.files(Partition(TIERS[1], partition.symbol, partition.date))
    return any(schema.METADATA_THINNED in (read_footer(store, file).schema.metadata or {}) for file in thinned)


def refuse_aged_out(store: FileStore, partition: Partition, rows: int) -> None:
    """Raise :class:`~replay.errors.AgedOut` where raw was removed: so many rows of it would hide the thinned ones."""
    if is_aged_out(store, partition):
        raise AgedOut(
            f"raw of {partition.symbol} {partition.date} was aged out, and rows in {partition.folder} would hide the "
            "thinned ones that stand for it; remove its tier=1m folder first if the whole session is to be ingested "
            "again, or use another lake",
            rows=rows,
        )
