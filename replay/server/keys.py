"""API keys: their plans, the file that keeps their hashes, and how many requests each has left today."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import pathlib
import re
import secrets
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from replay.errors import CannotWrite, InvalidKey, QuotaExceeded, TierRestricted, Unauthorized
from replay.sessions import SECOND, iso_utc

if sys.platform != "win32":
    import fcntl

DAY: Final = 24 * 60 * 60
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BYTES: Final = 32  # of chance in a key: no word list reaches it, so that a plain hash of it tells nothing


RateHeaders = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as the vendor names it: requests a day, ``None`` for unlimited; ``rank`` grows with what it may see."""

    name: str
    rank: int
    daily: int | None


PLANS: Final = {
    "free": Plan("Free", 0, 5),
    "basic": Plan("Basic", 1, 100),
    "growth": Plan("Growth", 2, 2_500),
    "alpha": Plan("Alpha", 3, None),
    "enterprise": Plan("Enterprise", 4, None),
}
"""The vendor's plans, in ascending order."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key: whose it is, its plan, and the SHA-256 of it; the key itself is kept nowhere."""

    name: str
    plan: str
    digest: str


def digest_of(key: str) -> str:
    """The SHA-256 of a key, in hexadecimal."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def read_keys(path: pathlib.Path) -> list[Key]:
    """The keys in a file.

    Raises :class:`~replay.errors.InvalidKey` naming the file, and the key where one is wrong.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidKey(f"{path} does not exist; `replay keys add NAME --keys {path}` makes it") from None
    except (OSError, ValueError) as error:
        raise InvalidKey(f"{path} cannot be read: {error}") from error
    table = found.get("keys")
    if set(found) - {"keys"} or not isinstance(table, dict):
        raise InvalidKey(f"{path} is to hold tables [keys.NAME] with plan and sha256, and nothing else")
    return [_key(path, name, fields) for name, fields in table.items()]


def _key(path: pathlib.Path, name: str, fields: Any) -> Key:
    if not isinstance(fields, dict) or set(fields) != {"plan", "sha256"}:
        raise InvalidKey(f"{path}: [keys.{name}] is to hold plan and sha256")
    plan, digest = fields["plan"], fields["sha256"]
    if not isinstance(digest, str) or _DIGEST.fullmatch(digest) is None:
        raise InvalidKey(f"{path}: sha256 of {name} is to be 64 hexadecimal digits")
    try:
        return Key(check_name(name), check_plan(plan), digest)
    except InvalidKey as error:
        raise InvalidKey(f"{path}: {error.message}") from None


def check_name(name: str) -> str:
    """``name``, or :class:`~replay.errors.InvalidKey`: it stands in logs and in the file."""
    if _NAME.fullmatch(name) is None:
        raise InvalidKey(
            f"name {name!r} is to be 1 to 64 letters, digits, _ . or -, and begin with one of the first two"
        )
    return name


def check_plan(plan: object) -> str:
    """``plan`` in lower case, or :class:`~replay.errors.InvalidKey` listing what there is."""
    if not isinstance(plan, str) or plan.lower() not in PLANS:
        raise InvalidKey(f"plan {plan!r} is not one of {', '.join(PLANS)}")
    return plan.lower()


def add_key(path: pathlib.Path, name: str, plan: str) -> str:
    """Add a key to a file, which comes into being if there is none; returns the key, which is shown this once.

    Raises :class:`~replay.errors.InvalidKey` for a name that has one, and what :func:`read_keys` raises.
    """
    check_name(name)
    made = secrets.token_urlsafe(_BYTES)
    with _alone(path):
        keys = read_keys(path) if path.exists() else []
        if name in {each.name for each in keys}:
            raise InvalidKey(f"{path} has a key of {name} already; remove it first, or choose another name")
        _write(path, [*keys, Key(name, check_plan(plan), digest_of(made))])
    return made


def remove_key(path: pathlib.Path, name: str) -> None:
    """Take a key out of a file; raises :class:`~replay.errors.InvalidKey` listing the names if it has none of it."""
    with _alone(path):
        keys = read_keys(path)
        left = [each for each in keys if each.name != name]
        if len(left) == len(keys):
            raise InvalidKey(f"{path} has no key of {name!r}; it has {', '.join(each.name for each in keys) or 'none'}")
        _write(path, left)


@contextlib.contextmanager
def _alone(path: pathlib.Path) -> Iterator[None]:
    """Hold the file's folder against others who change it, so that no key is lost between reading and writing."""
    if sys.platform == "win32":  # it has no such locks
        yield
        return
    try:
        folder = os.open(path.resolve().parent, os.O_RDONLY)
    except OSError as error:
        raise CannotWrite(str(path), error) from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _write(path: pathlib.Path, keys: Sequence[Key]) -> None:
    """Have the file hold these keys, whole or not at all, for its owner's eyes alone."""
    text = "# Keys of `replay serve --keys`, by name; what is stored is the SHA-256 of each key.\n[keys]\n"
    text += "".join(f'\n[keys."{each.name}"]\nplan = "{each.plan}"\nsha256 = "{each.digest}"\n' for each in keys)
    target = path.resolve()
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        partial.replace(target)
    except OSError as error:
        raise CannotWrite(str(path), error) from error
    finally:
        partial.unlink(missing_ok=True)


class Guard:
    """Says who may ask what.

    Parameters
    ----------
    keys
        Those that are known; ``None``: nobody is asked for one.
    counts
        An array of two doubles a key with ``get_lock()``, which processes share: the day, and requests in it.
    """

    def __init__(self, keys: Sequence[Key] | None, counts: Any) -> None:
        self._keys = keys
        self._digests = [each.digest.encode() for each in keys or ()]
        self._counts = counts

    def find(self, presented: str | None) -> int | None:
        """The number of a key; ``None`` where nobody is asked for one.

        Takes as long for a key that is not known as for any other, and raises
        :class:`~replay.errors.Unauthorized` for it.
        """
        if self._keys is None:
            return None
        digest, found = digest_of(presented or "").encode(), -1
        for i, each in enumerate(self._digests):
            if hmac.compare_digest(digest, each):
                found = i
        if found < 0 or not presented:
            raise Unauthorized("Invalid API key.")
        return found

    def knows(self, text: str) -> bool:
        """Whether a text is a key that is known."""
        return bool(self._digests) and digest_of(text).encode() in self._digests

    def key(self, number: int) -> Key:
        """The key of a number."""
        assert self._keys is not None, "its number comes from them"
        return self._keys[number]

    def count(self, number: int, now: int) -> RateHeaders:
        """Count a request of a key at a time, microseconds since the epoch; the headers that its answer carries.

        Raises :class:`~replay.errors.QuotaExceeded` where its plan's requests of this day, UTC, are used up.
        """
        plan = PLANS[self.key(number).plan]
        seconds = now // SECOND
        reset = (seconds // DAY + 1) * DAY
        if plan.daily is None:
            return _rate("unlimited", "unlimited", reset)
        used = self._count(number, seconds // DAY)
        headers = _rate(str(plan.daily), str(max(plan.daily - used, 0)), reset)
        if used > plan.daily:
            raise _exceeded(plan, headers, reset, reset - seconds)
        return headers

    def _count(self, number: int, day: int) -> int:
        """How often a key has asked on a day, this time included."""
        with self._counts.get_lock():
            if self._counts[2 * number] != day:
                self._counts[2 * number], self._counts[2 * number + 1] = day, 0
            self._counts[2 * number + 1] += 1
            return int(self._counts[2 * number + 1])


def require(own: str, needed: str) -> None:
    """Raise :class:`~replay.errors.TierRestricted` for a plan below the one that is needed."""
    plan, wanted = PLANS[own], PLANS[needed]
    if plan.rank < wanted.rank:
        raise TierRestricted(
            f"This endpoint needs the {wanted.name} plan or above; the key's is {plan.name}.",
            current_plan=plan.name,
            required_plan=wanted.name,
        )


def _rate(limit: str, left: str, reset: int) -> RateHeaders:
    return (("X-RateLimit-Limit", limit), ("X-RateLimit-Remaining", left), ("X-RateLimit-Reset", str(reset)))


def _exceeded(plan: Plan, headers: RateHeaders, reset: int, wait: int) -> QuotaExceeded:
    higher = next(each for each in PLANS.values() if each.rank == plan.rank + 1)
    return QuotaExceeded(
        f"The {plan.name} plan has {plan.daily:,} requests a day, and they are used up.",
        current_plan=plan.name,
        limit=plan.daily,
        upgrade_to=higher.name,
        reset_at=iso_utc(reset * SECOND),
        headers=(*headers, ("Retry-After", str(wait))),
    )
