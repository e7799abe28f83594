"""The index of the company's knowledge beside its store, as the house searches it and as engines read from it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from tokencapital.core.errors import StoreError, StoreUnavailable
from tokencapital.core.knowledge import Citation, Hit, HitKind, PassageHit
from tokencapital.models.base import Embedder
from tokencapital.store.database import Store
from tokencapital.store.knowledge import passages_at
from tokencapital.store.knowledge_hits import read_hits
from tokencapital.store.knowledge_index import KnowledgeIndex, Query

EVERYTHING = frozenset(HitKind)
_PASSAGES = frozenset({HitKind.PASSAGE})


class Knowledge:
    """Documents, lessons and judgments that can be asked. The index is filled by the first question."""

    def __init__(self, store: Store, embedder: Embedder) -> None:
        self._store = store
        self._index = KnowledgeIndex(store, embedder.embed)

    def search(self, text: str, now: datetime, *, most: int = 10, kinds: frozenset[HitKind] = EVERYTHING) -> list[Hit]:
        """What fits the text best and holds at the time `now`, best first. Everything committed before is known."""
        self._index.refresh()
        return read_hits(self._store, self._index.search(Query(text=text, now=now, most=most, kinds=kinds)), now)

    def find(self, text: str, most: int, now: datetime) -> Sequence[PassageHit]:
        """At most so many passages that hold at the time `now` and fit the text, best first.

        While the store is away, and the words of its documents with it, there are none.
        """
        with suppress(StoreUnavailable):
            return self._find(text, most, now)
        return []

    def _find(self, text: str, most: int, now: datetime) -> Sequence[PassageHit]:
        if self._store.probe("SELECT 1 FROM document_event LIMIT 1") is None:
            return []
        self._index.refresh()
        found = self._index.search(Query(text=text, now=now, most=most, kinds=_PASSAGES))
        standing = passages_at(self._store, [one.id for one in found], now)
        return [standing[one.id] for one in found if one.id in standing]

    def standing(self, ids: Sequence[str], now: datetime) -> Mapping[str, Citation]:
        """Those of the passages that exist and hold at the time `now`, by id; while the store is away, none do."""
        with suppress(StoreUnavailable):
            return {identity: one.citation for identity, one in passages_at(self._store, ids, now).items()}
        return {}

    def refresh(self) -> int:
        """Everything committed before the call is known; returns how many passages, lessons and judgments there are."""
        self._index.refresh()
        return len(self._index)

    def warm(self) -> None:
        """The index is being filled beside whatever else is done, so that the first question need not wait for it."""
        threading.Thread(target=self._warm, name="knowledge", daemon=True).start()

    def _warm(self) -> None:
        with suppress(StoreError):  # the house was closed meanwhile, or the first question will tell
            self._index.refresh()

    @property
    def size_bytes(self) -> int:
        """The memory that the index takes."""
        return self._index.size_bytes
