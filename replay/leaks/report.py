"""What an audit says: its findings, and what it cannot see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

BLIND: Final = (
    "data read before the first callback, such as when the strategy's file is imported",
    "files mapped into memory before that, and, but on Linux, files that compiled code reads by itself",
    "what other processes, or threads started before the first callback, do for the strategy",
    "a clock asked by compiled code and recorded so coarsely that no run differs, such as numpy's 'now'",
    "code that reaches around ctx on purpose: other objects found in memory, the watch taken off, modules it wrote",
    "what is neither recorded, logged nor ordered: only that is compared",
    "whether the lake's recorded_at is honest",
)
_TOUCHES: Final = {
    "read": "reads", "clock": "asks the time:", "random": "draws from", "outside": "reaches outside:",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that should not be.

    Attributes
    ----------
    kind
        ``future``: what was recorded depends on what was not visible; ``again``: another run recorded otherwise; or
        what a callback touched: ``read``, ``clock``, ``random``, ``outside``.
    session, at
        The date, and the New York time of the first record that changed, or of the callback.
    how
        The perturbation, the other run, or what was touched.
    cut
        The New York time at which the future was replaced.
    field, before, after
        Which value changed first, and from what to what.
    """

    kind: str
    session: str
    at: str
    how: str
    cut: str | None = None
    field: str | None = None
    before: str | None = None
    after: str | None = None

    def __str__(self) -> str:
        where = f"{self.session} {self.at}"
        if self.kind in _TOUCHES:
            return f"{where} {_TOUCHES[self.kind]} {self.how}"
        because = f"all not visible at {self.cut} {self.how}" if self.kind == "future" else self.how
        return f"{where} {self.field}: {self.before} became {self.after}\n  with {because}"


@dataclass(frozen=True)
class Audit:
    """What an audit found; true if anything leaks.

    Attributes
    ----------
    findings
        The first of each kind and manner; empty if nothing leaks.
    notes
        What is no leak by itself, such as a file that was written.
    instants
        At how many instants the future was replaced, in each of ``perturbations``.
    ticks
        How many ticks were replayed for it.
    source_sha256, parameters
        Of the strategy, as a run's ``run.json`` has them.
    blind
        What no audit like this can see.
    """

    strategy: str
    symbols: Sequence[str]
    sessions: Sequence[str]
    instants: int
    perturbations: Sequence[str]
    ticks: int
    seed: int
    source_sha256: str | None
    parameters: Mapping[str, Any]
    findings: Sequence[Finding]
    notes: Sequence[str] = ()
    blind: Sequence[str] = field(default=BLIND)

    def __bool__(self) -> bool:
        return bool(self.findings)

    def __repr__(self) -> str:
        return f"<Audit of {self.strategy} on {', '.join(self.symbols)}: {self.verdict()}>"

    def verdict(self) -> str:
        """One line: whether it leaks."""
        looked = f"{len(self.sessions)} sessions, {self.instants:,} instants x {len(self.perturbations)} futures"
        return f"LEAKS ({len(self.findings)} findings in {looked})" if self else f"no leak found in {looked}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, the verdict first."""
        return {"leaks": bool(self)} | asdict(self)

    def to_text(self) -> str:
        """The report: verdict, findings, notes, and what it cannot see."""
        lines = [f"{self.strategy} on {', '.join(self.symbols)}: {self.verdict()}", ""]
        lines += [f"- {each}" for each in self.findings]
        lines += [f"note: {each}" for each in self.notes]
        lines += [""] if self.findings or self.notes else []
        lines += [f"{self.ticks:,} ticks replayed, seed {self.seed}; futures: {', '.join(self.perturbations)}"]
        lines += ["It cannot see:", *(f"- {each}" for each in self.blind)]
        return "\n".join(lines) + "\n"
