"""What a player plays: cases in order of arrival, and what people and the business say when asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from tokencapital.core.case import Case, Value
from tokencapital.core.judgment import Draw, Judgment, Outcome, Verdict
from tokencapital.core.people import Contributor
from tokencapital.record.importers import RecordedCase


class Lapse(Struct, frozen=True):
    """A rule changed at `at`: what was judged of these cases before holds no longer."""

    at: datetime
    cases: tuple[str, ...]
    reason: str


class Served(Struct, frozen=True):
    """What a case was answered with, and when."""

    value: Value
    at: datetime


class Said(Struct, frozen=True):
    """What one person says: the bare content of a judgment."""

    expert: str
    answer: Value
    verdict: Verdict
    reason: str | None = None
    minutes: float | None = None


class Script(Protocol):
    """Work to be played, with the truth behind it that nothing but the score may read."""

    @property
    def cases(self) -> Sequence[Case]:
        """The cases in order of arrival."""
        ...

    @property
    def lapses(self) -> Sequence[Lapse]:
        """Rules that change, in order of time."""
        ...

    @property
    def experts(self) -> Sequence[Contributor]:
        """Those of the people who judge of whom more than a pseudonym is known."""
        ...

    def right(self, case: Case, at: datetime) -> Value:
        """The answer that counts as right at the time `at`."""
        ...

    def judge(self, asked: Draw, case: Case, answered: Value) -> Judgment:
        """What a person says of a case when the queue asks."""
        ...

    def outcome(self, case: Case, served: Served) -> Outcome | None:
        """What the business will see of a case, at the outcome's own time; None: it never says."""
        ...


class RecordedScript:
    """Recorded work: one person decided each case, and the record says what came of it."""

    def __init__(self, stream: Sequence[RecordedCase]) -> None:
        self._recorded = {one.id: one for one in stream}
        self.cases: Sequence[Case] = [one.case for one in stream]
        self.lapses: Sequence[Lapse] = ()
        self.experts: Sequence[Contributor] = ()

    def right(self, case: Case, at: datetime) -> Value:
        """What was decided."""
        return self._recorded[case.id].answer

    def judge(self, asked: Draw, case: Case, answered: Value) -> Judgment:
        """The recorded decision as a judgment; how long it took is not in the record."""
        recorded = self._recorded[case.id]
        said = Said(
            recorded.expert, recorded.answer, Verdict.RIGHT if answered == recorded.answer else Verdict.CORRECTED
        )
        return judgment_of(asked, said)

    def outcome(self, case: Case, served: Served) -> Outcome | None:
        """What the business saw of the recorded decision."""
        return self._recorded[case.id].late_outcome


def judgment_id(case_id: str) -> str:
    """The id of the one judgment that a script gives of a case."""
    return f"jdg_{case_id}"


def judgment_of(asked: Draw, said: Said) -> Judgment:
    """What one person says, as the judgment that answers a draw."""
    return Judgment(
        id=judgment_id(asked.case),
        case=asked.case,
        capability=asked.capability,
        expert=said.expert,
        at=asked.at,
        verdict=said.verdict,
        answer=said.answer,
        drawn=asked.kind,
        probability=asked.probability,
        valid_from=asked.at,
        reason=said.reason,
        minutes=said.minutes,
    )
