"""The playbook of a capability: proposed from what people said, approved by a named person, worth a measured effect."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from time import perf_counter

import msgspec
from msgspec import Struct

from tokencapital.app.loop import TurnReport, account
from tokencapital.app.platform import Platform, Workplace
from tokencapital.core.errors import InputError
from tokencapital.core.lesson import HOLDS_FOR, Lesson, LessonState, Measured, Wording, one_sentence
from tokencapital.core.quantity import Usage
from tokencapital.improve.corrections import Answered, findings
from tokencapital.improve.playbook import MOST_DRAFTS, Draft, drafts, says_the_same, worded_by
from tokencapital.improve.wording import Sources, complaint
from tokencapital.store.answers import answers_before
from tokencapital.store.cases import trajectories_of_case
from tokencapital.store.judgments import find_judgments
from tokencapital.store.lessons import (
    Decision,
    decide_lesson,
    lessons,
    measured,
    propose_lesson,
    read_lesson,
)
from tokencapital.store.marks import Mark, Subject, clear_mark, marked, open_marks
from tokencapital.store.playbook import approved_lessons

LOOP = "loop"
"""Who proposes lessons that nobody wrote out of hand."""
NEWEST = 2_000
"""Judged cases that are looked through for lessons."""


class Drafted(Struct, frozen=True):
    """What was proposed, out of how many judged cases, and the tokens that wording it took."""

    proposed: tuple[Lesson, ...]
    looked_through: int
    usage: Usage = Usage()


class ByHand(Struct, frozen=True, kw_only=True):
    """A lesson that somebody writes: with the judgments and passages that it rests on, where there are any."""

    text: str
    by: str
    judgments: tuple[str, ...] = ()
    passages: tuple[str, ...] = ()


class Listed(Struct, frozen=True, kw_only=True):
    """A lesson as it stands. `holds`: the generalist is shown it once a release has it; `live`: the live one has.

    `says_the_same` is the id of an older lesson with the same meaning, `effect` what it alone was last measured at.
    """

    lesson: Lesson
    state: LessonState
    holds: bool
    live: bool
    says_the_same: str | None
    marks: tuple[Mark, ...]
    effect: Measured | None


class Source(Struct, frozen=True):
    """A judgment that a lesson came from, and the newest run on its case; None: the case was never answered."""

    judgment: str
    at: datetime
    run: str | None


class Playbook(Struct, frozen=True):
    """All lessons of a capability, newest first, and what those that hold were last measured at together."""

    lessons: tuple[Listed, ...]
    effect: Measured | None

    def of(self, *states: LessonState) -> list[Listed]:
        """The lessons in one of the states."""
        return [one for one in self.lessons if one.state in states]


async def propose_lessons_anew(place: Workplace) -> Drafted:
    """Whatever the corrections and reasons in memory teach is proposed, unless it was proposed before.

    Memory holds no sealed case and nobody's who had no notice. The generalist, where there is one, puts it
    into words if these pass the checks; its tokens are booked.
    """
    started = perf_counter()
    answered = answered_cases(place)
    known = lessons(place.store, place.name)
    drafted = drafts(answered, place.parts.embedder)
    fresh = [one for one in drafted if not _known(one, known)][:MOST_DRAFTS]
    usage, client = Usage(), place.parts.generalist
    if client is not None and fresh:
        fresh, usage = await worded_by(client, fresh, place.parts.embedder, place.parts.seed)
    said = {one.text.casefold() for one in known if one.text}
    new = [_lesson(place, one, len(answered)) for one in fresh if one.text and one.text.casefold() not in said]
    with place.store.begin():
        for lesson in new:
            propose_lesson(place.store, lesson)
        spent = TurnReport(train_s=perf_counter() - started, usage=usage)
        account(place, place.parts.ids.new("lessons"), spent)
    return Drafted(tuple(new), len(answered), usage)


def propose_by_hand(place: Workplace, said: ByHand) -> Lesson:
    """The lesson is proposed. Raises InputError where it is no short sentence, or repeats or names a customer."""
    if not said.by.strip():
        raise InputError("a lesson needs the name of who proposes it")
    text = one_sentence(said.text)
    _check_words(place, text, said.judgments)
    behind = _cases_behind(place, said.judgments)
    lesson = Lesson(
        id=place.parts.ids.new("lsn"),
        capability=place.name,
        text=text,
        at=place.now(),
        by=said.by,
        judgments=tuple(dict.fromkeys(said.judgments)),
        passages=tuple(dict.fromkeys(said.passages)),
        people=len({one.judged.judgment.expert for one in behind}),
        entities=len({one.judged.case.group for one in behind}),
    )
    propose_lesson(place.store, lesson)
    return lesson


def approve(platform: Platform, lesson_id: str, by: str, days: int | None = None, text: str | None = None) -> Lesson:
    """The lesson holds from now on for `days` (None: HOLDS_FOR), and its mark is cleared.

    Another `text` makes it another lesson, which names this one; this one is then rejected, or retired if it held.
    Raises InputError, StoreConflict.
    """
    lesson, place = _found(platform, lesson_id)
    if days is not None and days < 1:
        raise InputError("a lesson holds for at least one day", where="days")
    now = place.now()
    with place.store.begin():
        if text is not None and text.strip() and one_sentence(text) != lesson.text:
            lesson = _reworded(place, lesson, text, by)
        until = now + (HOLDS_FOR if days is None else timedelta(days=days))
        for mark in marked(open_marks(place.store, place.name, Subject.LESSON)).get(lesson.id, ()):
            clear_mark(place.store, mark, by=by, at=now)
        decision = Decision(state=LessonState.APPROVED, by=by, at=now, valid_until=until)
        return decide_lesson(place.store, lesson.id, decision)


def reject(platform: Platform, lesson_id: str, by: str, reason: str | None = None) -> Lesson:
    """The proposal is turned down. Raises InputError, StoreConflict."""
    _, place = _found(platform, lesson_id)
    return decide_lesson(
        place.store, lesson_id, Decision(state=LessonState.REJECTED, by=by, at=place.now(), reason=reason)
    )


def retire(platform: Platform, lesson_id: str, by: str, reason: str | None = None) -> Lesson:
    """The lesson is shown to nobody from the next request on. Raises InputError, StoreConflict."""
    _, place = _found(platform, lesson_id)
    return decide_lesson(
        place.store, lesson_id, Decision(state=LessonState.RETIRED, by=by, at=place.now(), reason=reason)
    )


def playbook(place: Workplace) -> Playbook:
    """The capability's lessons as they stand now."""
    now, known = place.now(), lessons(place.store, place.name)
    holding = {one.id for one in approved_lessons(place.store, place.name, now)}
    live = set(place.releases.live(place.name).policy.lessons)
    marks = marked(open_marks(place.store, place.name, Subject.LESSON))
    effects = measured(place.store, place.name)
    alone = {one.lessons[0]: one for one in effects if len(one.lessons) == 1}
    same = _same_as(place, known)
    listed = [
        Listed(
            lesson=one,
            state=one.state_at(now),
            holds=one.id in holding,
            live=one.id in live and one.id in holding,
            says_the_same=same.get(one.id),
            marks=tuple(marks.get(one.id, ())),
            effect=alone.get(one.id),
        )
        for one in reversed(known)
    ]
    together = next((one for one in reversed(effects) if set(one.lessons) == holding), None)
    return Playbook(tuple(listed), together)


def sources_of(place: Workplace, lesson: Lesson, most: int = 8) -> list[Source]:
    """At most so many of the judgments that a lesson came from, in its order; withdrawn ones among them."""
    known = find_judgments(place.store, lesson.judgments[:most])
    found = [known[name] for name in lesson.judgments[:most] if name in known]
    runs = {one.case: trajectories_of_case(place.store, one.case) for one in found}
    return [Source(one.id, one.at, runs[one.case][-1].id if runs[one.case] else None) for one in found]


def answered_cases(place: Workplace) -> list[Answered]:
    """The newest judged cases in memory that hold now and that the machine had answered, in order."""
    memory = place.engine.memory
    memory.refresh()
    judged = memory.judged(memory.valid_rows(place.now())[-NEWEST:])
    given = answers_before(place.store, {one.case.id: one.judgment.at for one in judged})
    return [Answered(one, given[one.case.id]) for one in judged if one.case.id in given]


def _lesson(place: Workplace, draft: Draft, looked_through: int) -> Lesson:
    cluster = draft.cluster
    return Lesson(
        id=place.parts.ids.new("lsn"),
        capability=place.name,
        text=draft.text,
        at=place.now(),
        by=LOOP,
        judgments=cluster.judgments,
        wording=draft.wording,
        people=cluster.people,
        entities=cluster.entities,
        out_of=looked_through,
    )


def _known(draft: Draft, known: Sequence[Lesson]) -> bool:
    """Whether the draft's words, or most of the judgments behind it together, were proposed before."""
    mine = set(draft.cluster.judgments)
    same_words = any(draft.text and one.text and draft.text.casefold() == one.text.casefold() for one in known)
    return same_words or any(2 * len(mine & set(one.judgments)) > len(mine | set(one.judgments)) for one in known)


def _reworded(place: Workplace, lesson: Lesson, text: str, by: str) -> Lesson:
    said = one_sentence(text)
    _check_words(place, said, lesson.judgments)
    new = msgspec.structs.replace(
        lesson,
        id=place.parts.ids.new("lsn"),
        text=said,
        at=place.now(),
        by=by,
        wording=Wording.PERSON,
        replaces=lesson.id,
        decided=LessonState.PROPOSED,
        decided_at=None,
        decided_by=None,
        valid_until=None,
    )
    propose_lesson(place.store, new)
    over = LessonState.RETIRED if lesson.decided is LessonState.APPROVED else LessonState.REJECTED
    decide_lesson(place.store, lesson.id, Decision(state=over, by=by, at=place.now(), reason="said in other words"))
    return new


def _check_words(place: Workplace, text: str, judgments: Sequence[str]) -> None:
    found = findings(_cases_behind(place, judgments))
    wrong = complaint(text, Sources.of(found))
    if wrong:
        raise InputError(f"this may not be a lesson: {wrong}", where="lesson", remedy="Say it in other words.")


def _cases_behind(place: Workplace, judgments: Sequence[str]) -> list[Answered]:
    wanted = set(judgments)
    return [one for one in answered_cases(place) if one.judged.judgment.id in wanted]


def _same_as(place: Workplace, known: Sequence[Lesson]) -> dict[str, str]:
    """By lesson, the older one that says the same; of rejected ones nothing is said."""
    told = [one for one in known if one.text and one.decided is not LessonState.REJECTED]
    places = says_the_same([one.text or "" for one in told], place.parts.embedder)
    return {one.id: told[at].id for one, at in zip(told, places, strict=True) if at is not None}


def _found(platform: Platform, lesson_id: str) -> tuple[Lesson, Workplace]:
    lesson = read_lesson(platform.store, lesson_id)
    if lesson is None:
        raise InputError(f"no lesson {lesson_id} is stored", remedy="`tcap lesson list CAPABILITY` has their ids.")
    return lesson, platform.workplace(lesson.capability)
