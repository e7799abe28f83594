"""What of a passage, a lesson and a judgment can be searched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from math import inf

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from tokencapital.core.case import Case, Value
from tokencapital.core.judgment import JudgedCase
from tokencapital.core.knowledge import Document, HitKind
from tokencapital.core.lesson import Lesson
from tokencapital.store.knowledge import read_version
from tokencapital.store.words import words

_ASKED_CHARACTERS = 2_000


class Row(Struct, frozen=True, kw_only=True):
    """Words to be found, under which id, and from when until when (seconds since 1970) they hold.

    `owner` is what all rows are removed with: a document for its passages, else the id itself.
    """

    kind: HitKind
    owner: str
    id: str
    text: str
    heading: str = ""
    starts: float = -inf
    ends: float = inf


def passage_rows(connection: Connection, versions: Iterable[Document]) -> Iterator[Row]:
    """The passages of these versions, without those whose words were erased."""
    for version in versions:
        for passage in read_version(connection, version.id, version.version):
            if passage.text is not None:
                yield Row(
                    kind=HitKind.PASSAGE,
                    owner=version.id,
                    id=passage.id,
                    text=passage.text,
                    heading=f"{version.title}\n{passage.heading}",
                    starts=version.valid_from.timestamp(),
                    ends=timestamp(version.valid_until),
                )


def lesson_row(lesson: Lesson) -> Row:
    """The sentence of a lesson, and until when it holds."""
    return Row(
        kind=HitKind.LESSON,
        owner=lesson.id,
        id=lesson.id,
        text=lesson.text or "",
        ends=timestamp(lesson.valid_until),
    )


def judgment_row(judged: JudgedCase) -> Row:
    """What a judgment says of a case; who said it is not in it."""
    said = judged.judgment
    return Row(
        kind=HitKind.JUDGMENT,
        owner=said.id,
        id=said.id,
        text=judgment_words(judged.case, said.answer, said.reason),
        starts=said.valid_from.timestamp(),
        ends=timestamp(said.valid_until),
    )


def judgment_words(case: Case, answer: Value, reason: str | None) -> str:
    """What the user said last, the answer, and the reason where one was given."""
    parts = [asked_last(case)[-_ASKED_CHARACTERS:], f"→ {answer_words(answer)}"]
    return "\n".join([*parts, reason] if reason else parts)


def asked_last(case: Case) -> str:
    """What the user said last; the newest message where no user spoke."""
    said = [message.content for message in case.messages if message.role == "user"]
    return said[-1] if said else (case.messages[-1].content if case.messages else "")


def answer_words(answer: Value) -> str:
    """An answer as one line: a label as words beside its name, an object by its fields."""
    if isinstance(answer, dict):
        return "; ".join(f"{name}: {_plain(value)}" for name, value in answer.items())
    text = answer or ""
    return text if " " in text or "_" not in text else f"{text} ({' '.join(words(text))})"


def timestamp(moment: datetime | None) -> float:
    """Seconds since 1970; None, which never comes, is infinite."""
    return inf if moment is None else moment.timestamp()


def _plain(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
