"""What is known of keys, in memory: at most a second old, and still known when the store cannot be reached."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

from tokencapital.core.access import ApiKey, digest_of_secret
from tokencapital.core.errors import StoreError
from tokencapital.store.database import Store
from tokencapital.store.keys import Entry, entry_state, read_entry

_FRESH_S, _STALE_S, _WAIT_S = 0.4, 0.9, 0.25
"""What is younger than the first is believed as it is, what is older than the second is waited for, so long at most."""


class Keyring:
    """The keys of one store. Safe for threads.

    The store is asked by a thread of its own, at most a few times a second and only while keys are looked up, so
    that a store that hangs keeps nobody waiting twice.
    """

    def __init__(self, store: Store, ticks: Callable[[], float] = monotonic) -> None:
        self._store = store
        self._ticks = ticks
        self._lock = threading.Lock()
        self._entry: Entry | None = None
        self._state: int | None = None
        self._seen_at = self._tried_at = ticks()
        self._asking: threading.Thread | None = None
        self._failing = False

    @property
    def age_s(self) -> float:
        """How long ago the store was last heard of what is known here."""
        return self._ticks() - self._seen_at

    @property
    def known(self) -> bool:
        """Whether it is known, from the store, however long ago, who may come in."""
        return self._entry is not None

    def entry(self) -> Entry:
        """All that decides who may come in. Raises StoreUnavailable where the store could never be read."""
        known = self._entry
        if known is None:
            return self.learn()
        now = self._ticks()
        if now - self._seen_at >= _FRESH_S and now - self._tried_at >= _FRESH_S:
            self._ask(wait=now - self._seen_at >= _STALE_S and not self._failing)
            known = self._entry or known
        return known

    def find(self, secret: str) -> ApiKey | None:
        """The key with this secret, whatever it still opens; None: nobody here has made it."""
        return self.entry().keys.get(digest_of_secret(secret))

    def learn(self) -> Entry:
        """What the store says now. Raises StoreUnavailable."""
        state = entry_state(self._store)
        with self._lock:
            known = self._entry
            if known is None or state != self._state:
                known = read_entry(self._store)
            self._entry, self._state = known, state
            self._seen_at = self._tried_at = self._ticks()
            self._failing = False
        return known

    def close(self) -> None:
        """Nothing is asked of the store any more."""
        asking = self._asking
        if asking is not None:
            asking.join()

    def _ask(self, *, wait: bool) -> None:
        asking = self._asking
        if asking is None or not asking.is_alive():
            self._tried_at = self._ticks()
            self._asking = asking = threading.Thread(target=self._learn_if_possible, name="tcap-keys", daemon=True)
            asking.start()
        if wait:
            asking.join(_WAIT_S)
            self._failing = asking.is_alive() or self._failing

    def _learn_if_possible(self) -> None:
        try:
            self.learn()
        except StoreError:
            self._failing = True
