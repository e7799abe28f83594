"""What people and the business said."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from tokencapital.core.case import Case, Value


class Verdict(StrEnum):
    """What a person said of an answer. Only the first two carry an answer and can teach.

    After the last two the case is asked of somebody else.
    """

    RIGHT = "right"
    CORRECTED = "corrected"
    CANNOT_TELL = "cannot_tell"
    NOT_MY_FIELD = "not_my_field"
    SECOND_OPINION = "second_opinion"

    @property
    def answers(self) -> bool:
        """Whether a judgment with this verdict carries an answer."""
        return self in (Verdict.RIGHT, Verdict.CORRECTED)

    @property
    def passes_on(self) -> bool:
        """Whether somebody else is to be asked."""
        return self in (Verdict.NOT_MY_FIELD, Verdict.SECOND_OPINION)


class DrawKind(StrEnum):
    """How a case came before a person. A repeat asks the same person again, unsaid, and never teaches.

    `in_work` was told by the tool in which somebody worked on with a draft: nobody was asked for a judgment, and
    nobody chose to give one. It counts for less than a review, and proves nothing.
    """

    UNIFORM = "uniform"
    ACTIVE = "active"
    VOLUNTEERED = "volunteered"
    REPEAT = "repeat"
    IN_WORK = "in_work"

    @property
    def is_review(self) -> bool:
        """Whether a person judged, and not only worked on with a draft or said the same once more."""
        return self not in (DrawKind.IN_WORK, DrawKind.REPEAT)


class Draw(Struct, frozen=True, kw_only=True):
    """One case asked of people, with the probability at which it was drawn.

    For `uniform` it is the probability of inclusion among the cases of its split, for `active` that
    of being picked from the pool as it stood. Volunteered judgments have no draw: None.
    `asked_of` is the only one whom a repeat asks (None: anybody), `passed_by` the judgment by which somebody
    handed the case on (None: the case was drawn for itself).
    """

    id: str
    case: str
    capability: str
    kind: DrawKind
    probability: float | None
    at: datetime
    asked_of: str | None = None
    passed_by: str | None = None


class Judgment(Struct, frozen=True, kw_only=True):
    """What a person said of a case. It holds from `valid_from` until `valid_until` (None: open).

    `sequence` is its place in the memory; 0 until the store has taken it. `minutes` is the time it
    took, None where nobody measured it.
    """

    id: str
    case: str
    capability: str
    expert: str
    at: datetime
    verdict: Verdict
    answer: Value
    drawn: DrawKind
    probability: float | None
    valid_from: datetime
    valid_until: datetime | None = None
    reason: str | None = None
    minutes: float | None = None
    blind: bool = False
    sequence: int = 0

    @property
    def can_teach(self) -> bool:
        """Whether memory may hear of it at all: not what was said once more, nor a draft that was sent as it stood."""
        return self.drawn.is_review or (self.drawn is DrawKind.IN_WORK and self.verdict is Verdict.CORRECTED)

    def holds_at(self, now: datetime) -> bool:
        """Whether the judgment may answer and teach at the time `now`."""
        return self.valid_from <= now and (self.valid_until is None or now < self.valid_until)


class JudgedCase(Struct, frozen=True):
    """A case with one judgment of it: what memory holds and what specialists learn from."""

    case: Case
    judgment: Judgment


class Outcome(Struct, frozen=True, kw_only=True):
    """What the business saw, often late. `value` None: asked for and not yet known."""

    id: str
    capability: str
    key: str
    name: str
    value: bool | float | None
    at: datetime
