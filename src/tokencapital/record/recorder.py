"""The sink of the engine: every exchange becomes a trajectory in the store."""

from __future__ import annotations

from collections.abc import Sequence

from tokencapital.core.answer import Exchange
from tokencapital.store.cases import record_exchanges
from tokencapital.store.database import Store


class Recorder:
    """Writes exchanges in one transaction, so that an acknowledged batch is whole or not there."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def record(self, exchanges: Sequence[Exchange]) -> None:
        """The exchanges are durable when this returns, all or none of them."""
        record_exchanges(self._store, exchanges)
