"""One sentence of the playbook: where it comes from, who answers for it, until when it holds."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from tokencapital.core.errors import InputError
from tokencapital.core.policy import Evidence

LONGEST = 240
"""Characters of a lesson."""
HOLDS_FOR = timedelta(days=180)
"""So long an approved lesson holds where nobody said otherwise."""

_SPACE = re.compile(r"\s+")
_SENTENCE_END = re.compile(r"(\S+?)[.!?]+[\"'”’»)\]]*\s+\S")
_ABBREVIATIONS = frozenset({"e.g", "i.e", "etc", "vs", "no", "nr", "mr", "mrs", "ms", "dr", "st", "approx", "incl"})


class LessonState(StrEnum):
    """How a lesson stands."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    RETIRED = "retired"
    EXPIRED = "expired"


class Wording(StrEnum):
    """Who put a lesson into words: a person, a generalist, or a pattern filled in by the house."""

    PERSON = "person"
    GENERALIST = "generalist"
    PATTERN = "pattern"


class Lesson(Struct, frozen=True, kw_only=True):
    """One sentence with the judgments and passages that it came from; none: a person said it out of hand.

    `text` None: its words were erased. `at` and `by` tell of the proposal, `decided_at` and `decided_by` of
    the last decision (None: nobody decided yet). `valid_until` None: it was never approved. `replaces` is the
    lesson that it says in other words. `people` and `entities` count whom its judgments came from, among `out_of`
    judged cases that were looked through: the share that it could have concerned.
    """

    id: str
    capability: str
    text: str | None
    at: datetime
    by: str
    judgments: tuple[str, ...] = ()
    passages: tuple[str, ...] = ()
    wording: Wording = Wording.PERSON
    people: int = 0
    entities: int = 0
    out_of: int = 0
    replaces: str | None = None
    decided: LessonState = LessonState.PROPOSED
    decided_at: datetime | None = None
    decided_by: str | None = None
    valid_until: datetime | None = None

    def state_at(self, now: datetime) -> LessonState:
        """How the lesson stands at the time `now`, whatever became of the judgments that it came from."""
        over = self.valid_until is not None and self.valid_until <= now
        return LessonState.EXPIRED if self.decided is LessonState.APPROVED and over else self.decided


class Measured(Struct, frozen=True, kw_only=True):
    """What lessons are worth on sealed cases: with them minus without them.

    `lessons` are those that were left out together, `asked` how many of the answers with them the generalist
    gave. The evidence has the interval, n and the smallest effect that it could have seen.
    """

    lessons: tuple[str, ...]
    generalist: str
    evidence: Evidence
    asked: int
    at: datetime
    by: str


def one_sentence(text: str) -> str:
    """The text on one line without white space around it. Raises InputError where it is not one short sentence."""
    said = _SPACE.sub(" ", text).strip()
    if not said:
        raise InputError("a lesson needs words", where="lesson")
    if len(said) > LONGEST:
        raise InputError(f"a lesson has at most {LONGEST} characters, this one {len(said)}", where="lesson")
    if not said.isprintable():
        raise InputError("a lesson has printable characters only", where="lesson")
    if any(not _abbreviated(end[1]) for end in _SENTENCE_END.finditer(said)):
        raise InputError("a lesson is one sentence", where="lesson", remedy="Propose each sentence as its own lesson.")
    return said


def _abbreviated(word: str) -> bool:
    """Whether a full stop after the word ends no sentence."""
    bare = word.lower().strip("(\"'")
    return bare in _ABBREVIATIONS or (len(bare) == 1 and bare.isalpha()) or bare.replace(".", "").isdigit()
