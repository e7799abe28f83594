"""What a search found, with its words and where they come from, read from the store at that moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tokencapital.core.knowledge import Document, Hit, HitKind, PassageHit, Source
from tokencapital.core.lesson import Lesson
from tokencapital.store.cases import read_cases
from tokencapital.store.database import Store
from tokencapital.store.judgments import find_judgments
from tokencapital.store.knowledge import documents_at, passages_at
from tokencapital.store.knowledge_index import Found
from tokencapital.store.knowledge_rows import judgment_words
from tokencapital.store.lessons import read_lessons
from tokencapital.store.playbook import lesson_texts


def read_hits(store: Store, found: Sequence[Found], now: datetime) -> list[Hit]:
    """The hits in the order in which they were found; those whose words are gone meanwhile are left out."""
    with store.read():
        hits = {
            **_passages(store, found, now),
            **_lessons(store, found, now),
            **_judgments(store, found),
        }
    return [hits[one.kind, one.id] for one in found if (one.kind, one.id) in hits]


_Hits = dict[tuple[HitKind, str], Hit]


def _of(found: Sequence[Found], kind: HitKind) -> dict[str, float]:
    return {one.id: one.score for one in found if one.kind is kind}


def _passages(store: Store, found: Sequence[Found], now: datetime) -> _Hits:
    scores = _of(found, HitKind.PASSAGE)
    standing = passages_at(store, scores, now)
    with store.read() as connection:
        versions = documents_at(connection, {one.document for one in standing.values()}, now)
    return {
        (HitKind.PASSAGE, one.id): Hit(
            kind=HitKind.PASSAGE,
            id=one.id,
            text=one.text,
            source=_passage_source(one, versions[one.document, one.version]),
            score=scores[one.id],
        )
        for one in standing.values()
    }


def _passage_source(one: PassageHit, version: Document) -> Source:
    return Source(
        title=one.title,
        at=version.at,
        heading=one.heading,
        document=one.document,
        version=one.version,
        owner=version.owner,
        valid_from=version.valid_from,
        valid_until=version.valid_until,
    )


def _lessons(store: Store, found: Sequence[Found], now: datetime) -> _Hits:
    scores = _of(found, HitKind.LESSON)
    holding = lesson_texts(store, list(scores), now) if scores else {}
    return {
        (HitKind.LESSON, one.id): Hit(
            kind=HitKind.LESSON, id=one.id, text=one.text, source=_lesson_source(one), score=scores[one.id]
        )
        for one in (read_lessons(store, holding) if holding else ())
        if one.text is not None
    }


def _lesson_source(one: Lesson) -> Source:
    return Source(title=one.capability, at=one.decided_at or one.at, valid_until=one.valid_until)


def _judgments(store: Store, found: Sequence[Found]) -> _Hits:
    scores = _of(found, HitKind.JUDGMENT)
    said = find_judgments(store, scores) if scores else {}
    cases = read_cases(store, {one.case for one in said.values()})
    return {
        (HitKind.JUDGMENT, one.id): Hit(
            kind=HitKind.JUDGMENT,
            id=one.id,
            text=judgment_words(cases[one.case], one.answer, one.reason),
            source=Source(title=one.capability, at=one.at, valid_from=one.valid_from, valid_until=one.valid_until),
            score=scores[one.id],
        )
        for one in said.values()
        if one.case in cases and one.answer is not None
    }
