"""The same sessions in a fresh process, which remembers nothing and hashes text otherwise."""

from __future__ import annotations

import dataclasses
import os
import pickle
import subprocess
import sys

from replay.engine.plan import Plan
from replay.engine.session import Carried, Part, replay_session, tapes_of
from replay.lake import Lake
from replay.strategy.loading import load


def in_fresh_process(plan: Plan, lake: Lake) -> tuple[list[Part], str | None]:
    """Each session's part, up to one that ends with an error; or none, and why it could not be run there."""
    if plan.strategy.reference is None:
        return [], "it is at the top of no file"
    bare = dataclasses.replace(plan, strategy=dataclasses.replace(plan.strategy, target=None))
    try:
        given = pickle.dumps((list(sys.path), bare, lake))
    except (pickle.PickleError, TypeError, AttributeError) as error:
        return [], f"it cannot be sent there: {error}"
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    path = os.pathsep.join(each for each in sys.path if each)
    done = subprocess.run(  # this interpreter, and a module of this package
        [sys.executable, "-m", "replay.leaks.fresh"], input=given, capture_output=True, check=False,
        env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path},
    )  # fmt: skip
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit status {done.returncode}"]
        return [], f"it fails there: {said[-1]}"
    parts: list[Part] = pickle.loads(done.stdout)  # noqa: S301  # of our own process
    return parts, None


def replayed(plan: Plan, lake: Lake) -> list[Part]:
    """All sessions of a plan, in order."""
    plan = dataclasses.replace(plan, strategy=load(plan.strategy.reference, plan.strategy.style))
    carried, parts = Carried(), []
    for date in plan.dates:
        part = replay_session(plan, tapes_of(lake, plan, date), carried)
        parts.append(dataclasses.replace(part, raised=None))
        if part.error is not None:
            break
    return parts


def main() -> None:
    """Answer one request on standard input; what the strategy prints goes to standard error."""
    answer = os.dup(1)
    os.dup2(2, 1)
    path, plan, lake = pickle.load(sys.stdin.buffer)  # noqa: S301  # of our own process
    sys.path[:] = path
    with os.fdopen(answer, "wb") as file:
        file.write(pickle.dumps(replayed(plan, lake)))


if __name__ == "__main__":
    main()
