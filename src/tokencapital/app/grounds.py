"""Why the machine says what it says: the cases, lessons and passages behind an answer, in words and with dates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from tokencapital.app.explaining import Precedent
from tokencapital.app.platform import Workplace
from tokencapital.core.answer import Stage, Trajectory
from tokencapital.core.case import Case, Value
from tokencapital.core.judgment import Judgment
from tokencapital.core.knowledge import PASSAGE_ID, Document, Passage, PassageHit
from tokencapital.core.lesson import Lesson
from tokencapital.store.cases import read_cases, trajectories_of_case
from tokencapital.store.judgments import find_judgments
from tokencapital.store.knowledge import read_passages
from tokencapital.store.lessons import read_lessons

_MOST_CASES = 4
_ERASED = "these words were erased"


class GroundKind(StrEnum):
    """What an answer can rest on."""

    CASE = "case"
    LESSON = "lesson"
    PASSAGE = "passage"


class Ground(Struct, frozen=True, kw_only=True):
    """One thing that speaks for an answer. `rests` False: the answer does not rest on it, it is only near.

    Of a case `text` is what was asked and `answer` what a colleague said of it; `run` is what was done on it
    (None: nothing). `title` is that of a passage's document, and `at` since when
    it holds. `at` None: no date is known; `similarity`
    (cosine) None: it was not compared.
    """

    kind: GroundKind
    id: str
    text: str
    rests: bool
    at: datetime | None = None
    answer: Value = None
    similarity: float | None = None
    run: str | None = None
    title: str = ""
    document: str = ""


def grounds_of(
    place: Workplace, done: Trajectory | None, like: Sequence[Precedent], passages: Sequence[PassageHit]
) -> list[Ground]:
    """What the answer rests on, then what is near it: judged cases, lessons, passages of the documents."""
    because = done.answer.because if done else ()
    lessons = [_lesson_ground(one) for one in read_lessons(place.store, because)] if because else []
    found = [*_cases(place, because, like), *lessons, *_passages(place, because, [one.id for one in passages])]
    return sorted(found, key=lambda one: not one.rests)


def citable(done: Trajectory | None, passages: Sequence[PassageHit]) -> frozenset[str]:
    """The passages that a judgment may name as its basis: those that were found, and those that the answer names."""
    because = done.answer.because if done else ()
    return frozenset([*(one.id for one in passages), *(one for one in because if _is_passage(one))])


def source_of(done: Trajectory | None) -> str:
    """Who proposed, in words: the stage, and the release or model that stood behind it."""
    if done is None or done.answer.value is None:
        return "nobody proposed anything"
    release = f"release {done.release}" if done.release else "no release yet"
    match done.answer.source or done.answer.stage:
        case Stage.RECALL:
            return f"recalled from a judged case; {release}"
        case Stage.SPECIALIST:
            return f"by the specialist; {release}"
        case Stage.GENERALIST:
            return f"by the model {done.generalist or 'unknown'}; {release}"
        case _:
            return f"by a person; {release}"


def _cases(place: Workplace, because: Sequence[str], like: Sequence[Precedent]) -> list[Ground]:
    near = {one.judgment: one for one in like}
    said = find_judgments(place.store, [*because, *near])
    cases = read_cases(place.store, [one.case for one in said.values()])
    ordered = [*(one for one in because if one in said), *(one for one in near if one in said and one not in because)]
    return [_case_ground(place, said[one], cases, near.get(one), rests=one in because) for one in ordered[:_MOST_CASES]]


def _case_ground(
    place: Workplace, said: Judgment, cases: Mapping[str, Case], near: Precedent | None, *, rests: bool
) -> Ground:
    case = cases.get(said.case)
    done = trajectories_of_case(place.store, said.case)
    return Ground(
        kind=GroundKind.CASE,
        id=said.id,
        text=_ERASED if case is None else asked(case),
        rests=rests,
        at=said.at,
        answer=said.answer,
        similarity=near.similarity if near else None,
        run=done[-1].id if done else None,
    )


def _lesson_ground(lesson: Lesson) -> Ground:
    return Ground(kind=GroundKind.LESSON, id=lesson.id, text=lesson.text or _ERASED, rests=True, at=lesson.at)


def _passages(place: Workplace, because: Sequence[str], found: Sequence[str]) -> list[Ground]:
    named = [one for one in because if _is_passage(one)]
    known = read_passages(place.store, [*named, *found]) if named or found else {}
    return [_passage_ground(*known[one], rests=one in named) for one in dict.fromkeys([*named, *found]) if one in known]


def _passage_ground(passage: Passage, document: Document, *, rests: bool) -> Ground:
    return Ground(
        kind=GroundKind.PASSAGE,
        id=passage.id,
        text=passage.text or _ERASED,
        rests=rests,
        at=document.valid_from,
        title=f"{document.title}: {passage.heading}" if passage.heading else document.title,
        document=document.id,
    )


def _is_passage(basis: str) -> bool:
    return basis.startswith(f"{PASSAGE_ID}_")


def asked(case: Case) -> str:
    """What the user said last; the newest message where no user spoke."""
    said = [message.content for message in case.messages if message.role == "user"]
    return said[-1] if said else (case.messages[-1].content if case.messages else "")
