"""Whether the store still says what people did and wrote: chains, digests, counts and books, checked one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path

import msgspec
from msgspec import Struct

from tokencapital.account.statements import check_balanced
from tokencapital.app.erasing import REBUILD_WITHIN
from tokencapital.app.platform import Platform
from tokencapital.core.errors import InputError
from tokencapital.store import checks
from tokencapital.store.audit import Head
from tokencapital.store.database import Store

MOST_FINDINGS = 100
"""So many are named of each check; of more it is said that there are more."""

_UNPROTECTED = (
    "The end of the audit chain is unprotected: whoever can write the store could have cut off its last acts. "
    "Keep a head elsewhere with `tcap verify --write-head FILE` and compare with `--head FILE`."
)


class Check(Struct, frozen=True):
    """A check with what it found wrong; nothing: it passed."""

    name: str
    findings: tuple[str, ...]


class Verified(Struct, frozen=True, kw_only=True):
    """All checks. `counts` are the rows of each table, `head` is the end of the audit chain.

    `warning` says what no check could see; None: the chain was compared with a head that was kept elsewhere.
    """

    checks: tuple[Check, ...]
    counts: Mapping[str, int]
    head: Head
    warning: str | None

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not any(check.findings for check in self.checks)


def verify(platform: Platform, kept: Head | None = None, told: Callable[[str], None] = lambda name: None) -> Verified:
    """The store was checked; nothing was changed. `kept` is a head of the audit chain that lay elsewhere."""
    store = platform.store
    due_before = platform.clock.now() - REBUILD_WITHIN
    told("audit chain")
    chain, head = checks.check_chain(store, kept)
    found: list[Check] = [_check("audit chain", chain)]
    parts: dict[str, Callable[[], Iterable[str]]] = {
        "payloads": lambda: checks.check_payloads(store),
        "memory": lambda: checks.check_memory(store),
        "queue": lambda: checks.check_queue(store),
        "artifacts": lambda: checks.check_artifacts(store),
        "policies and releases": lambda: checks.check_policies(store),
        "splits": lambda: checks.check_splits(store),
        "guards": lambda: checks.check_guards(store),
        "ledger": lambda: _check_ledger(store),
        "rebuilds": lambda: checks.check_rebuilds(store, due_before),
    }
    for name, look in parts.items():
        told(name)
        found.append(_check(name, look()))
    return Verified(
        checks=tuple(found),
        counts=checks.count_rows(store),
        head=head,
        warning=_UNPROTECTED if kept is None else None,
    )


def read_head(path: Path) -> Head:
    """The head in a file that `write_head` wrote. Raises InputError for any other."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Head)
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(
            f"this is no head of an audit chain: {error}", where=str(path), remedy="Write one with --write-head."
        ) from error


def write_head(path: Path, verified: Verified) -> None:
    """The head of a chain that was found intact is in the file. Raises InputError where it was not."""
    if any(check.findings for check in verified.checks if check.name == "audit chain"):
        raise InputError("the audit chain is broken, so that its head proves nothing", where=str(path))
    try:
        path.write_bytes(msgspec.json.encode(verified.head) + b"\n")
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from error


def _check(name: str, findings: Iterable[str]) -> Check:
    named = list(islice(findings, MOST_FINDINGS + 1))
    if len(named) > MOST_FINDINGS:
        named[MOST_FINDINGS:] = [f"{name}: and more"]
    return Check(name, tuple(named))


def _check_ledger(store: Store) -> list[str]:
    return [] if check_balanced(store) else ["ledger: a transaction does not balance, or names no account of the chart"]
