"""What people do with the company's knowledge: hand documents in, take them out, look again at what rested on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from tokencapital.app.knowledge import EVERYTHING
from tokencapital.app.platform import Platform, Workplace
from tokencapital.core.case import Case
from tokencapital.core.errors import InputError
from tokencapital.core.knowledge import Document, Hit, Passage, PassageHit
from tokencapital.models.tokens import case_text
from tokencapital.record.documents import ENDINGS, media_of, read_documents
from tokencapital.record.knowledge_routes import KnowledgeQuery
from tokencapital.store.knowledge import (
    DocumentEvent,
    NewDocument,
    Taken,
    drop_document,
    passages_of,
    take_document,
    versions_of,
)
from tokencapital.store.marks import Mark, clear_mark, open_marks

Told = Callable[[int, int], None]
"""Told how many files of how many are read."""


class Handed(Struct, frozen=True, kw_only=True):
    """What is said of documents that are handed in. Dates that are None stay as they were; at first: now, open.

    `title` None: as the document says.
    """

    owner: str
    title: str | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None


class Added(Struct, frozen=True):
    """A document that was read. `event` None: everything was known. `passages` it has, `marks` it raised."""

    document: Document
    event: DocumentEvent | None
    passages: int
    marks: int


class Unread(Struct, frozen=True):
    """A file that could not be read, and why."""

    path: str
    reason: str


class Shown(Struct, frozen=True):
    """A version of a document with its passages, and all that was ever said of the document, oldest first."""

    document: Document
    passages: tuple[Passage, ...]
    said: tuple[Document, ...]


class AddReport(Struct, frozen=True):
    """What became of the files."""

    added: tuple[Added, ...]
    unread: tuple[Unread, ...]


def add_files(platform: Platform, paths: Sequence[Path], handed: Handed, told: Told) -> AddReport:
    """Every document in the files and folders can be asked; files that cannot be read are named.

    In folders only files of kinds that can be read are looked at, hidden ones are not. Raises InputError
    where a title is given for several files.
    """
    files = list(dict.fromkeys(file for path in paths for file in _files(path)))
    if handed.title is not None and len(files) > 1:
        raise InputError(f"one title for {len(files)} files", remedy="Leave `--title` out, or name one file.")
    added: list[Added] = []
    unread: list[Unread] = []
    for done, file in enumerate(files, 1):
        try:
            added += add_bytes(platform, file.resolve().as_posix(), file.read_bytes(), handed)
        except OSError as error:
            unread.append(Unread(str(file), error.strerror or "it cannot be read"))
        except InputError as error:
            unread.append(Unread(str(file), error.what))
        told(done, len(files))
    return AddReport(tuple(added), tuple(unread))


def add_bytes(platform: Platform, source: str, data: bytes, handed: Handed) -> list[Added]:
    """The documents in the bytes of a file can be asked; `source` is what its versions have in common.

    Raises InputError where they cannot be read.
    """
    media = media_of(source)
    if media is None:
        raise InputError(f"files of this kind cannot be read; known are {', '.join(ENDINGS)}", where=source)
    now = platform.clock.now()
    added = []
    for read in read_documents(data, media, source):
        new = NewDocument(
            source=f"{source}#{read.part}" if read.part else source,
            title=handed.title or read.title,
            media=read.media,
            owner=handed.owner,
            pieces=read.pieces,
            valid_from=handed.valid_from,
            valid_until=handed.valid_until,
            at=now,
            by=handed.owner,
        )
        with platform.store.begin() as connection:
            taken = take_document(platform.store, connection, new)
        added.append(Added(taken.document, taken.event, len(read.pieces), len(taken.marks)))
    return added


def read_document(platform: Platform, document: str, version: int | None = None) -> Shown:
    """A version of a document (None: the newest) with its passages. Raises InputError where there is none."""
    said = versions_of(platform.store, document)
    wanted = [one for one in said if version in (None, one.version)]
    if not wanted:
        what = f"no document {document} is stored" if not said else f"document {document} has no version {version}"
        raise InputError(what, remedy="`tcap knowledge list` has their ids.")
    newest = wanted[-1]
    return Shown(newest, tuple(passages_of(platform.store, document, newest.version)), tuple(said))


def ask_knowledge(platform: Platform, asked: KnowledgeQuery) -> list[Hit]:
    """What the company knows of what is asked, as it holds now, best first."""
    kinds = frozenset(asked.kinds) or EVERYTHING
    return platform.knowledge.search(asked.query, platform.clock.now(), most=asked.most, kinds=kinds)


def retire(platform: Platform, document: str, *, by: str, erase: bool = False) -> Taken:
    """The document is searched no longer; with `erase` its words are gone for good.

    Raises InputError where there is none or nobody is named, StoreConflict where it was retired before.
    """
    with platform.store.begin() as connection:
        return drop_document(platform.store, connection, document, by=by, at=platform.clock.now(), erase=erase)


def marks_of(platform: Platform) -> list[Mark]:
    """The lessons and judgments to look at again, because what they rest on has changed, by capability."""
    return [mark for one in platform.capabilities() for mark in open_marks(platform.store, one.name)]


def clear_marks(platform: Platform, subject: str, *, by: str) -> int:
    """Somebody has looked at the lesson or judgment again; returns how many marks stood on it.

    Raises InputError where nobody is named, or no mark stands.
    """
    if not by.strip():
        raise InputError("clearing a mark needs the name of who has looked", where=subject)
    standing = [mark for mark in marks_of(platform) if mark.subject == subject]
    if not standing:
        raise InputError(f"no mark stands on {subject}", remedy="`tcap knowledge marks` lists those that do.")
    clear_mark(platform.store, standing[0], by=by, at=platform.clock.now())
    return len(standing)


def passages_for(place: Workplace, case: Case, most: int) -> tuple[PassageHit, ...]:
    """At most so many passages of the company's documents that fit the case and hold now, best first."""
    reader = place.parts.knowledge
    return tuple(reader.find(case_text(case), most, place.now())) if reader is not None else ()


def _files(path: Path) -> Iterator[Path]:
    """The file itself, or those in the folder that can be read, in order of their names."""
    if not path.is_dir():
        yield path
        return
    for found in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in found.relative_to(path).parts)
        if not hidden and media_of(found.name) is not None and found.is_file():
            yield found
