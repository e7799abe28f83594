"""What speaks for an answer: the judged cases that are most like its own."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from tokencapital.app.platform import Workplace
from tokencapital.core.case import Case, Value

FEWEST_ALIKE = 0.3
"""Cases below this cosine are no precedent."""


class Precedent(Struct, frozen=True, kw_only=True):
    """A judged case in memory: what was asked last, what a person answered and when, and how alike it is (cosine)."""

    judgment: str
    asked: str
    answer: Value
    at: datetime
    similarity: float


def precedents(place: Workplace, case: Case, most: int = 3) -> list[Precedent]:
    """At most `most` judged cases that hold now, the most similar first. Sealed cases are never among them."""
    memory, now = place.engine.memory, place.now()
    upto = memory.refresh()
    near = memory.nearest(place.engine.encode([case]), most, upto=upto, now=now)
    found = zip(near.rows[0].tolist(), near.similarities[0].tolist(), strict=True)
    rows = [(row, likeness) for row, likeness in found if row >= 0 and likeness >= FEWEST_ALIKE]
    judged = memory.judged([row for row, _ in rows])
    return [
        Precedent(
            judgment=one.judgment.id,
            asked=_asked(one.case),
            answer=one.judgment.answer,
            at=one.judgment.at,
            similarity=likeness,
        )
        for one, (_, likeness) in zip(judged, rows, strict=True)
    ]


def _asked(case: Case) -> str:
    """What the user said last; the newest message where no user spoke."""
    said = [message.content for message in case.messages if message.role == "user"]
    return said[-1] if said else (case.messages[-1].content if case.messages else "")
