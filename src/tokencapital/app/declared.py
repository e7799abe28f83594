"""The capabilities as they were last declared, by whichever process: a change holds from the next request on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from tokencapital.core.case import Capability, Contract, Goal, Mode
from tokencapital.core.clock import Clock
from tokencapital.core.errors import StoreError
from tokencapital.serve.rules import Rule
from tokencapital.store.capabilities import declare_capability, list_capabilities, list_goals, read_capability
from tokencapital.store.database import Store

_EVENTS = "SELECT (SELECT COUNT(*) FROM capability_event) + (SELECT COUNT(*) FROM goal_event)"
_LOOK_S = 0.05
BY_RULES = "rules"


class Declared:
    """What was declared until now. While the store is away it is what was declared before."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._seen: int | None = None
        self._capabilities: dict[str, Capability] = {}
        self._goals: dict[str, Goal] = {}

    def look(self) -> None:
        """What was declared in the meantime is known. Fit for every request."""
        with suppress(StoreError):
            events = int(self._store.probe(_EVENTS))
            if events == self._seen:
                return
            with self._lock, self._store.read():
                self._capabilities = {one.name: one for one in list_capabilities(self._store)}
                self._goals = {one.capability: one for one in list_goals(self._store)}
            self._seen = events

    def mode(self, name: str) -> Mode:
        """The mode of a capability at the last look; `observe` for one that nobody declared."""
        known = self._capabilities.get(name)
        return known.mode if known else Mode.OBSERVE

    def has_changed(self, capability: Capability, goal: Goal | None) -> bool:
        """Whether the capability or its goal has been declared otherwise than so."""
        known = self._capabilities.get(capability.name)
        return known is not None and (known != capability or self._goals.get(capability.name) != goal)


class Modes:
    """The modes of capabilities for a server that may ask a thousand times a second.

    On SQLite each question looks into the file. A server of a database may be far away: there a thread looks every 50
    milliseconds, and no request waits for it.
    """

    def __init__(self, declared: Declared, store: Store) -> None:
        self._declared = declared
        self._near = store.dialect == "sqlite"
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def mode(self, name: str) -> Mode:
        """The capability's mode."""
        if self._near or self._thread is None:
            self._declared.look()
        if not self._near and self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="tcap-modes", daemon=True)
            self._thread.start()
        return self._declared.mode(name)

    def close(self) -> None:
        """Nobody looks any more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK_S):
            self._declared.look()


def as_it_stands(store: Store, capability: Capability) -> Capability:
    """The capability as the settings declare it, in the mode in which it stands if it was declared before."""
    known = read_capability(store, capability.name)
    return capability if known is None else msgspec.structs.replace(capability, mode=known.mode)


def declare_by_rules(store: Store, rules: Sequence[Rule], clock: Clock) -> None:
    """What rules name and nobody declared is there, and is observed."""
    for rule in rules:
        if read_capability(store, rule.capability) is None:
            fresh = Capability(name=rule.capability, contract=Contract(kind=rule.contract))
            declare_capability(store, fresh, by=BY_RULES, at=clock.now())
