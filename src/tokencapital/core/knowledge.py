"""What the company knows in words: documents by version, their passages, and what a search finds."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

PASSAGE_ID = "psg"
"""What the ids of passages begin with."""


class Media(StrEnum):
    """What a document was written in."""

    MARKDOWN = "markdown"
    HTML = "html"
    TEXT = "text"
    CSV = "csv"
    FLOWCHART = "flowchart"


class Piece(Struct, frozen=True):
    """Words of a document under one heading, before they are stored. `heading` is the path, outermost first."""

    heading: tuple[str, ...]
    text: str


class Document(Struct, frozen=True, kw_only=True):
    """One version of a document, as last said of it.

    `source` is where it came from and what its versions have in common, `digest` that of its content.
    It holds from `valid_from` until `valid_until` (None: open); a `retired` one is not searched.
    """

    id: str
    version: int
    title: str
    source: str
    media: Media
    owner: str
    digest: str
    valid_from: datetime
    valid_until: datetime | None
    at: datetime
    by: str
    retired: bool = False

    def holds_at(self, now: datetime) -> bool:
        """Whether what the document says may be used at the time `now`."""
        return not self.retired and self.valid_from <= now and (self.valid_until is None or now < self.valid_until)


class Passage(Struct, frozen=True, kw_only=True):
    """Some words of a document: the same id in every version that has the same words.

    `version`, `ordinal` and `heading` say where they stand. `text` None: they were erased.
    """

    id: str
    document: str
    version: int
    ordinal: int
    heading: str
    text: str | None


class Citation(Struct, frozen=True, kw_only=True):
    """A passage that an answer names, with the document and the heading that it stands under."""

    id: str
    title: str
    heading: str
    document: str
    version: int


class PassageHit(Struct, frozen=True, kw_only=True):
    """A passage that was found for a case, with its words."""

    id: str
    title: str
    heading: str
    document: str
    version: int
    text: str

    @property
    def citation(self) -> Citation:
        """The passage without its words."""
        return Citation(
            id=self.id, title=self.title, heading=self.heading, document=self.document, version=self.version
        )


class HitKind(StrEnum):
    """What a search can find."""

    PASSAGE = "passage"
    LESSON = "lesson"
    JUDGMENT = "judgment"


class Source(Struct, frozen=True, kw_only=True):
    """Where a hit comes from. For a passage the document's title, heading, version, owner and dates; for a
    lesson or a judgment the capability as `title` and the time as `at`. Nobody's pseudonym is in it."""

    title: str
    at: datetime
    heading: str = ""
    document: str | None = None
    version: int | None = None
    owner: str | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None


class Hit(Struct, frozen=True, kw_only=True):
    """What a search found: its words, where they come from, and a score that orders the hits of one search."""

    kind: HitKind
    id: str
    text: str
    source: Source
    score: float
