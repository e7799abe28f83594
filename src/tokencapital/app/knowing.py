"""The company's knowledge, open: what was added can be asked at once, with the source beside each answer."""

from __future__ import annotations

from tokencapital.app.platform import Workplace
from tokencapital.core.case import Case
from tokencapital.core.knowledge import PassageHit
from tokencapital.models.tokens import case_text


def passages_for(place: Workplace, case: Case, most: int) -> tuple[PassageHit, ...]:
    """At most so many passages of the company's documents that fit the case and hold now, best first."""
    reader = place.parts.knowledge
    return tuple(reader.find(case_text(case), most, place.now())) if reader is not None else ()
