"""Documents by version and their passages, as facts; the words are payloads.

A document is known by its source: the same source with other words is a new version. A passage is known by
its words within a document, so that it keeps its id as long as they stand in some version. Each event
takes a number of the counter `knowledge`, by which readers see that there is something new.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, select

from tokencapital.core.errors import InputError, StoreConflict
from tokencapital.core.knowledge import PASSAGE_ID, Document, Media, Passage, PassageHit, Piece
from tokencapital.core.split import keyed_digest
from tokencapital.store.audit import Act, Done, append_audit
from tokencapital.store.bases import mark_resting_on
from tokencapital.store.database import Store, chunks, next_numbers
from tokencapital.store.marks import Mark
from tokencapital.store.payloads import Payloads, decoded
from tokencapital.store.schema import document_event, document_passage, passage, payload

COUNTER = "knowledge"
HEADING_MARK = " › "
"""Stands between the headings of a path."""

_ID_DIGITS = 20


class DocumentEvent(StrEnum):
    """What happened to a document."""

    ADDED = "added"
    AMENDED = "amended"
    RETIRED = "retired"
    ERASED = "erased"


class NewDocument(Struct, frozen=True, kw_only=True):
    """A document as somebody hands it in. A date that is None stays as it was; for new words: from now on, open."""

    source: str
    title: str
    media: Media
    owner: str
    pieces: Sequence[Piece]
    at: datetime
    by: str
    valid_from: datetime | None = None
    valid_until: datetime | None = None


class Taken(Struct, frozen=True):
    """What became of a document: `event` None, everything was known already.

    `marks` stand on the lessons and judgments that rest on passages which stand no longer.
    """

    document: Document
    event: DocumentEvent | None
    marks: tuple[Mark, ...] = ()


def take_document(store: Store, connection: Connection, new: NewDocument) -> Taken:
    """The document is on record: as a new version where its words are new, amended where only what is said of it is.

    What rests on passages that a new version no longer has is marked.

    Raises InputError where it has no words, nobody answers for it, or its dates contradict each other.
    """
    next_numbers(connection, COUNTER, 1)
    document = f"doc_{keyed_digest(store.key, new.source.encode())[:_ID_DIGITS]}"
    events = _events(connection, document)
    known = _document_of(events[-1]) if events else None
    digest = keyed_digest(store.key, msgspec.json.encode(new.pieces))
    kept = known if known is not None and not known.retired and known.digest == digest else None
    taken = Document(
        id=document,
        version=kept.version if kept else (known.version if known else 0) + 1,
        digest=digest,
        valid_from=new.valid_from or (kept.valid_from if kept else new.at),
        valid_until=new.valid_until or (kept.valid_until if kept else None),
        **{name: getattr(new, name) for name in _SAID_OF_IT},
    )
    _refuse_unfit(new, taken)
    if kept and taken == msgspec.structs.replace(kept, at=taken.at, by=taken.by):
        return Taken(kept, None)
    event = DocumentEvent.AMENDED if kept else DocumentEvent.ADDED
    vanished: frozenset[str] = frozenset()
    if event is DocumentEvent.ADDED:
        erasures = sum(row.kind == DocumentEvent.ERASED for row in events)
        listed = _write_passages(store, connection, taken, new.pieces, erasures)
        if known is not None and not known.retired:
            vanished = passages_in(connection, document, known.version) - listed
    _append(store, connection, taken, event)
    marks = mark_resting_on(store, connection, vanished, by=new.by, at=new.at)
    append_audit(store, connection, Act(what=Done.DOCUMENT_ADDED, subject=document, at=new.at, by=new.by))
    return Taken(taken, event, tuple(marks))


def drop_document(
    store: Store, connection: Connection, document: str, *, by: str, at: datetime, erase: bool = False
) -> Taken:
    """The document is searched no longer; with `erase` nobody can read its words again, in any version.

    Raises InputError where there is none, StoreConflict where it was retired before and nothing is to be erased.
    """
    next_numbers(connection, COUNTER, 1)
    events = _events(connection, document)
    if not events:
        raise InputError(f"no document {document} is stored", remedy="`tcap knowledge list` has their ids.")
    known = _document_of(events[-1])
    if known.retired and not erase:
        raise StoreConflict(f"document {document} is retired already")
    vanished = frozenset() if known.retired else passages_in(connection, document, known.version)
    if erase:
        _erase(connection, document, at)
    event = DocumentEvent.ERASED if erase else DocumentEvent.RETIRED
    gone = msgspec.structs.replace(known, at=at, by=by, retired=True)
    _append(store, connection, gone, event)
    marks = mark_resting_on(store, connection, vanished, by=by, at=at)
    append_audit(store, connection, Act(what=Done.DOCUMENT_RETIRED, subject=document, at=at, by=by))
    return Taken(gone, event, tuple(marks))


def documents(store: Store) -> list[Document]:
    """Every document in its newest version, retired ones included, by title."""
    with store.read() as connection:
        rows = connection.execute(select(document_event).order_by(document_event.c.position))
        newest = {row.document: _document_of(row) for row in rows}
    return sorted(newest.values(), key=lambda one: (one.title, one.id))


def versions_of(store: Store, document: str) -> list[Document]:
    """The document as it was said to be, event by event, oldest first; empty: there is none."""
    with store.read() as connection:
        return [_document_of(row) for row in _events(connection, document)]


def searchable(connection: Connection, after: int = 0) -> tuple[dict[str, list[Document]], int]:
    """Of each document that something was said of after the position `after`: the versions that hold now or will.

    Each version holds until the next one does, as its `valid_until` then says. Also the newest position.
    """
    changed = select(document_event.c.document).where(document_event.c.position > after)
    query = select(document_event).where(document_event.c.document.in_(changed)).order_by(document_event.c.position)
    events: dict[str, list[Row[Any]]] = {}
    last = after
    for row in connection.execute(query):
        events.setdefault(row.document, []).append(row)
        last = max(last, row.position)
    return {document: _standing(rows) for document, rows in events.items()}, last


def passages_of(store: Store, document: str, version: int) -> list[Passage]:
    """The passages of a version, in its order."""
    with store.read() as connection:
        return read_version(connection, document, version)


def read_version(connection: Connection, document: str, version: int) -> list[Passage]:
    """The passages of a version, in its order, within the connection's transaction."""
    of = document_passage.c.document == document, document_passage.c.version == version
    return [_passage_of(row) for row in connection.execute(_PASSAGES.where(*of).order_by(document_passage.c.ordinal))]


def passages_in(connection: Connection, document: str, version: int) -> frozenset[str]:
    """The ids of the passages of a version."""
    query = select(document_passage.c.passage).where(
        document_passage.c.document == document, document_passage.c.version == version
    )
    return frozenset(connection.execute(query).scalars())


def read_passages(store: Store, ids: Iterable[str]) -> dict[str, tuple[Passage, Document]]:
    """The passages with these ids in the newest version that has them, whether or not it holds, with that version."""
    found: dict[str, tuple[Passage, Document]] = {}
    with store.read() as connection:
        for some in chunks(ids):
            query = _PASSAGES.where(document_passage.c.passage.in_(some)).order_by(document_passage.c.version)
            placed = [_passage_of(row) for row in connection.execute(query)]
            said = _said_of(connection, {one.document for one in placed})
            found.update((one.id, (one, said[one.document, one.version])) for one in placed)
    return found


def passages_at(store: Store, ids: Iterable[str], now: datetime) -> dict[str, PassageHit]:
    """Those of the passages that hold at the time `now`, with their words; erased ones are not among them."""
    found: dict[str, PassageHit] = {}
    with store.read() as connection:
        for some in chunks(ids):
            rows = connection.execute(_PASSAGES.where(document_passage.c.passage.in_(some)))
            placed = [_passage_of(row) for row in rows]
            holding = _holding(connection, {one.document for one in placed}, now)
            for one in placed:
                version = holding.get((one.document, one.version))
                if version is not None and one.text is not None:
                    found[one.id] = PassageHit(
                        id=one.id,
                        title=version.title,
                        heading=one.heading,
                        document=one.document,
                        version=one.version,
                        text=one.text,
                    )
    return found


def documents_at(connection: Connection, ids: Iterable[str], now: datetime) -> dict[tuple[str, int], Document]:
    """The versions of the documents with these ids that hold at the time `now`, by document and version."""
    return _holding(connection, set(ids), now)


_SAID_OF_IT = ("source", "title", "media", "owner", "at", "by")
_PASSAGES = select(document_passage, payload.c.body).select_from(
    document_passage.join(passage, document_passage.c.passage == passage.c.id).join(
        payload, passage.c.payload == payload.c.digest
    )
)


def _refuse_unfit(new: NewDocument, taken: Document) -> None:
    if not new.pieces:
        raise InputError("a document needs words", where=new.source)
    if not new.owner.strip() or not new.by.strip() or not new.title.strip():
        raise InputError("a document needs a title and the name of its owner", where=new.source)
    if taken.valid_until is not None and taken.valid_until <= taken.valid_from:
        raise InputError("it would end before it begins", where=new.source, remedy="Check `--valid-until`.")


def _write_passages(
    store: Store, connection: Connection, taken: Document, pieces: Sequence[Piece], erasures: int
) -> frozenset[str]:
    """The ids of the version's passages, which are stored; words that an earlier version has keep their id."""
    payloads = Payloads(store.key)
    owner = f"{taken.id}#{erasures}" if erasures else taken.id
    seen: Counter[str] = Counter()
    rows, placed = {}, []
    for ordinal, piece in enumerate(pieces):
        named = f"{owner}\x1f{seen[piece.text]}\x1f{piece.text}"
        identity = f"{PASSAGE_ID}_{keyed_digest(store.key, named.encode())[:_ID_DIGITS]}"
        seen[piece.text] += 1
        rows[identity] = {"id": identity, "document": taken.id, "payload": payloads.add(owner, piece.text)}
        heading = HEADING_MARK.join(piece.heading)
        placed.append(
            {"document": taken.id, "version": taken.version, "ordinal": ordinal, "passage": identity}
            | {"heading": heading}
        )
    payloads.write(store, connection)
    store.add_new(connection, passage, list(rows.values()))
    store.add_new(connection, document_passage, placed)
    return frozenset(rows)


def _append(store: Store, connection: Connection, taken: Document, event: DocumentEvent) -> None:
    row = {
        "document": taken.id,
        "version": taken.version,
        "kind": event.value,
        "title": taken.title,
        "source": taken.source,
        "media": taken.media.value,
        "owner": taken.owner,
        "digest": taken.digest,
        "valid_from": taken.valid_from,
        "valid_until": taken.valid_until,
        "at": taken.at,
        "by": taken.by,
    }
    store.add_new(connection, document_event, [row])


def _erase(connection: Connection, document: str, at: datetime) -> None:
    digests = connection.execute(select(passage.c.payload).where(passage.c.document == document)).scalars()
    for some in chunks(digests):
        erased = payload.update().where(payload.c.digest.in_(some), payload.c.body.is_not(None))
        connection.execute(erased.values(body=None, erased_at=at))


def _events(connection: Connection, document: str) -> list[Row[Any]]:
    query = select(document_event).where(document_event.c.document == document).order_by(document_event.c.position)
    return list(connection.execute(query))


def _standing(rows: Sequence[Row[Any]]) -> list[Document]:
    """The versions that nobody retired, each until the next begins; those that never hold are left out."""
    said: dict[int, Document] = {}
    for row in rows:
        if row.kind in (DocumentEvent.RETIRED, DocumentEvent.ERASED):
            said = {}
        else:
            said[row.version] = _document_of(row)
    found: list[Document] = []
    begins: datetime | None = None
    for version in sorted(said, reverse=True):
        one = said[version]
        ends = min((end for end in (one.valid_until, begins) if end is not None), default=None)
        begins = one.valid_from if begins is None else min(begins, one.valid_from)
        if ends is None or one.valid_from < ends:
            found.append(msgspec.structs.replace(one, valid_until=ends))
    return found[::-1]


def _holding(connection: Connection, ids: set[str], now: datetime) -> dict[tuple[str, int], Document]:
    events: dict[str, list[Row[Any]]] = {}
    for some in chunks(ids):
        query = select(document_event).where(document_event.c.document.in_(some)).order_by(document_event.c.position)
        for row in connection.execute(query):
            events.setdefault(row.document, []).append(row)
    standing = (one for rows in events.values() for one in _standing(rows))
    return {(one.id, one.version): one for one in standing if one.holds_at(now)}


def _said_of(connection: Connection, ids: set[str]) -> dict[tuple[str, int], Document]:
    """What was last said of each version of the documents."""
    found: dict[tuple[str, int], Document] = {}
    for some in chunks(ids):
        query = select(document_event).where(document_event.c.document.in_(some)).order_by(document_event.c.position)
        found.update(((row.document, row.version), _document_of(row)) for row in connection.execute(query))
    return found


def _document_of(row: Row[Any]) -> Document:
    return Document(
        id=row.document,
        version=row.version,
        title=row.title,
        source=row.source,
        media=Media(row.media),
        owner=row.owner,
        digest=row.digest,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        at=row.at,
        by=row.by,
        retired=row.kind in (DocumentEvent.RETIRED, DocumentEvent.ERASED),
    )


def _passage_of(row: Row[Any]) -> Passage:
    return Passage(
        id=row.passage,
        document=row.document,
        version=row.version,
        ordinal=row.ordinal,
        heading=row.heading,
        text=None if row.body is None else decoded(row.body),
    )
