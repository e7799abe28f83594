"""Documents, the search and marks, whichever database keeps them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tokencapital.core.errors import StoreConflict
from tokencapital.core.knowledge import HitKind, Media, Piece
from tokencapital.models.wordllama import WordLlamaEmbedder
from tokencapital.store.database import Store
from tokencapital.store.knowledge import (
    NewDocument,
    Taken,
    documents,
    drop_document,
    passages_at,
    passages_of,
    take_document,
)
from tokencapital.store.knowledge_hits import read_hits
from tokencapital.store.knowledge_index import KnowledgeIndex, Query

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def take(store: Store, *texts: str, source: str = "rules.md", at: datetime = START) -> Taken:
    new = NewDocument(
        source=source, title="Rules", media=Media.TEXT, owner="maria", at=at, by="maria",
        pieces=tuple(Piece(("Part", "Deep"), text) for text in texts),
    )  # fmt: skip
    with store.begin() as connection:
        return take_document(store, connection, new)


def test_versions_follow_each_other_and_kept_words_keep_their_ids(store: Store) -> None:
    first = take(store, "One.", "Two.")
    second = take(store, "Two.", "Three.", at=START + DAY)
    old = [one.id for one in passages_of(store, first.document.id, 1)]
    new = [one.id for one in passages_of(store, second.document.id, 2)]
    assert new[0] == old[1]
    holding = passages_at(store, {*old, *new}, START + DAY)
    assert set(holding) == set(new) and holding[new[0]].heading == "Part › Deep"
    assert [(one.version, one.valid_from) for one in documents(store)] == [(2, START + DAY)]
    with store.begin() as connection:
        drop_document(store, connection, first.document.id, by="maria", at=START + 2 * DAY, erase=True)
    assert passages_at(store, new, START + 3 * DAY) == {}
    assert [one.text for one in passages_of(store, first.document.id, 2)] == [None, None]


def test_many_hands_at_once_make_one_version_each_and_lose_nothing(store: Store) -> None:
    barrier = threading.Barrier(6)

    def hand_in(number: int) -> int:
        barrier.wait()
        return take(store, f"Text {number % 3}.", source="same.md").document.version

    with ThreadPoolExecutor(6) as pool:
        versions = list(pool.map(hand_in, range(6)))
    (kept,) = documents(store)
    assert kept.version == max(versions) <= 6
    assert {len(passages_of(store, kept.id, version)) for version in set(versions)} == {1}


def test_facts_about_documents_cannot_be_changed(store: Store) -> None:
    take(store, "One.")
    for table in ("document_event", "passage", "document_passage"):
        with pytest.raises(StoreConflict, match="append-only"), store.begin() as connection:
            connection.exec_driver_sql(f"DELETE FROM {table}")


def test_the_search_reads_along(store: Store, open_store: Callable[..., Store], store_url: str) -> None:
    """One process searches what another one adds."""
    index = KnowledgeIndex(store, WordLlamaEmbedder().embed)
    other = open_store(store_url)

    def found(text: str) -> list[str]:
        index.refresh()
        return [
            hit.text for hit in read_hits(store, index.search(Query(text=text, now=START + 9 * DAY)), START + 9 * DAY)
        ]

    assert found("zeppelin") == []
    taken = take(other, "The zeppelin waits.", "Nothing else.")
    assert found("zeppelin")[:1] == ["The zeppelin waits."]
    take(other, "Nothing else.", at=START + DAY)
    assert found("zeppelin waits") == []
    with other.begin() as connection:
        drop_document(other, connection, taken.document.id, by="maria", at=START + 2 * DAY)
    assert found("nothing else") == []
    assert index.search(Query(text="nothing", now=START, kinds=frozenset({HitKind.LESSON}))) == []
