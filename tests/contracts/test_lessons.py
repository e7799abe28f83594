"""Lessons in the store: proposed, decided, expired, unfounded, erased; on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.case import Case, Message
from tokencapital.core.errors import InputError, StoreConflict
from tokencapital.core.judgment import DrawKind, Judgment, Verdict
from tokencapital.core.lesson import Lesson, LessonState, Measured, Wording
from tokencapital.core.policy import Evidence
from tokencapital.core.quantity import UNKNOWN_ENERGY
from tokencapital.core.split import Split, assign_split
from tokencapital.store.audit import acts_on
from tokencapital.store.cases import record_exchanges
from tokencapital.store.database import Store
from tokencapital.store.erasure import erase_case
from tokencapital.store.judgments import append_judgments, expire, withdraw
from tokencapital.store.lessons import (
    Decision,
    decide_lesson,
    keep_measured,
    lesson_groups,
    lessons,
    measured,
    propose_lesson,
    read_lesson,
)
from tokencapital.store.marks import Subject, clear_mark, open_marks
from tokencapital.store.playbook import LessonTexts, approved_lessons, knowledge_state, lesson_texts
from tokencapital.store.schema import lesson_event

KEY = b"k" * 32
START = datetime(2026, 1, 1, 9, tzinfo=UTC)
NOW = START + timedelta(days=30)
UNTIL = NOW + timedelta(days=180)
SEALED = next(name for name in (f"c{n}" for n in range(300)) if assign_split(name, KEY) is Split.SEALED)
TRAIN = [name for name in (f"c{n}" for n in range(300)) if assign_split(name, KEY) is Split.TRAIN]
WORDS = "A lost card is not a stolen one."


def judge(store: Store, number: int, group: str, drawn: DrawKind = DrawKind.UNIFORM) -> str:
    case = Case(
        id=f"case-{number}", capability="triage", group=group, at=START, messages=(Message("user", f"card {number}"),)
    )
    done = Trajectory(
        id=f"trj-{number}",
        case=case.id,
        capability="triage",
        at=START,
        answer=Answer(value="stolen", stage=Stage.PERSON),
        policy="0" * 16,
        memory=0,
        seed=0,
        propensity=1.0,
        elapsed_s=0.0,
        energy=UNKNOWN_ENERGY,
    )
    record_exchanges(store, [Exchange(case, done)])
    said = Judgment(
        id=f"jdg-{number}",
        case=case.id,
        capability="triage",
        expert="ines",
        at=START,
        verdict=Verdict.CORRECTED,
        answer="lost",
        drawn=drawn,
        probability=0.1,
        valid_from=START,
    )
    return append_judgments(store, [said])[0].id


def proposed(name: str = "lsn-1", judgments: tuple[str, ...] = (), text: str = WORDS) -> Lesson:
    return Lesson(
        id=name,
        capability="triage",
        text=text,
        at=NOW,
        by="loop",
        judgments=judgments,
        wording=Wording.PATTERN,
        people=1,
        entities=len(judgments),
    )


def approve(store: Store, name: str = "lsn-1", until: datetime = UNTIL) -> Lesson:
    return decide_lesson(store, name, Decision(state=LessonState.APPROVED, by="maria", at=NOW, valid_until=until))


def held(store: Store, now: datetime = NOW) -> dict[str, str]:
    return lesson_texts(store, ["lsn-1", "lsn-2"], now)


def test_a_lesson_is_shown_from_its_approval_until_it_expires(store: Store) -> None:
    sources = (judge(store, 1, TRAIN[0]), judge(store, 2, TRAIN[1]))
    propose_lesson(store, proposed(judgments=sources))
    kept = read_lesson(store, "lsn-1")
    assert kept == proposed(judgments=sources)
    assert kept.state_at(NOW) is LessonState.PROPOSED
    assert held(store) == {}
    approved = approve(store)
    assert [link.what for link in acts_on(store, "lsn-1")] == ["lesson approved"]
    assert (approved.decided_by, approved.valid_until, approved.text) == ("maria", UNTIL, WORDS)
    assert held(store) == {"lsn-1": WORDS}
    assert [one.id for one in approved_lessons(store, "triage", NOW)] == ["lsn-1"]
    assert held(store, UNTIL) == {}
    assert approved.state_at(UNTIL) is LessonState.EXPIRED
    assert lesson_groups(store, ["lsn-1"]) == {TRAIN[0], TRAIN[1]}


def test_a_reader_sees_each_decision_at_the_next_request(store: Store) -> None:
    reader = LessonTexts(store)
    propose_lesson(store, proposed())
    assert reader.texts(["lsn-1"], NOW) == {}
    before = knowledge_state(store)
    approve(store)
    assert knowledge_state(store) > before
    assert reader.texts(["lsn-1"], NOW) == {"lsn-1": WORDS}
    decide_lesson(store, "lsn-1", Decision(state=LessonState.RETIRED, by="maria", at=NOW, reason="the rule changed"))
    assert reader.texts(["lsn-1"], NOW) == {}
    assert reader.texts(["lsn-unknown"], NOW) == {}


def test_what_was_decided_otherwise_stays_decided(store: Store) -> None:
    propose_lesson(store, proposed())
    decide_lesson(store, "lsn-1", Decision(state=LessonState.REJECTED, by="maria", at=NOW))
    with pytest.raises(StoreConflict, match="rejected"):
        approve(store)
    with pytest.raises(InputError, match="no lesson"):
        approve(store, "lsn-9")
    propose_lesson(store, proposed("lsn-2"))
    with pytest.raises(StoreConflict, match="proposed"):
        decide_lesson(store, "lsn-2", Decision(state=LessonState.RETIRED, by="maria", at=NOW))


def test_an_approval_is_renewed_by_another(store: Store) -> None:
    propose_lesson(store, proposed())
    approve(store, until=NOW + timedelta(days=1))
    assert held(store, NOW + timedelta(days=2)) == {}
    approve(store)
    assert held(store, NOW + timedelta(days=2)) == {"lsn-1": WORDS}


def test_a_lesson_stands_while_one_of_its_judgments_does_and_is_marked_after_the_last(store: Store) -> None:
    sources = (judge(store, 1, TRAIN[0]), judge(store, 2, TRAIN[1]))
    propose_lesson(store, proposed(judgments=sources))
    approve(store)
    reader = LessonTexts(store)
    assert reader.texts(["lsn-1"], NOW) == {"lsn-1": WORDS}
    withdraw(store, sources[0], by="ines", at=NOW)
    assert reader.texts(["lsn-1"], NOW) == {"lsn-1": WORDS}
    assert open_marks(store, "triage") == []
    withdraw(store, sources[1], by="ines", at=NOW)
    assert reader.texts(["lsn-1"], NOW) == {}
    [mark] = open_marks(store, "triage", Subject.LESSON)
    assert (mark.subject, mark.because) == ("lsn-1", sources[1])
    clear_mark(store, mark, by="maria", at=NOW)
    assert open_marks(store, "triage") == []


def test_a_lesson_of_judgments_that_lapse_lapses_with_them(store: Store) -> None:
    source = judge(store, 1, TRAIN[0])
    propose_lesson(store, proposed(judgments=(source,)))
    approve(store)
    expire(store, [source], NOW + timedelta(days=5), by="maria", at=NOW)
    assert held(store, NOW) == {"lsn-1": WORDS}
    assert held(store, NOW + timedelta(days=5)) == {}


def test_a_lesson_of_an_erased_case_is_shown_to_nobody(store: Store) -> None:
    propose_lesson(store, proposed(judgments=(judge(store, 1, TRAIN[0]),)))
    approve(store)
    erase_case(store, "case-1", by="maria", at=NOW)
    assert held(store) == {}
    assert [mark.subject for mark in open_marks(store, "triage")] == ["lsn-1"]


def test_no_lesson_rests_on_a_sealed_a_withdrawn_or_an_unknown_judgment(store: Store) -> None:
    withdrawn = judge(store, 1, TRAIN[0])
    withdraw(store, withdrawn, by="ines", at=NOW)
    for source in (judge(store, 2, SEALED), withdrawn, "jdg-unknown"):
        with pytest.raises(InputError, match="teaches nothing"):
            propose_lesson(store, proposed(judgments=(source,)))
    with pytest.raises(InputError, match="no passage"):
        propose_lesson(store, Lesson(id="l", capability="triage", text="x", at=NOW, by="m", passages=("psg-1",)))
    assert lessons(store, "triage") == []


def test_what_lessons_are_worth_is_kept_with_its_interval(store: Store) -> None:
    evidence = Evidence(n=30, alpha=0.05, effect=0.1, lower=-0.02, upper=0.2, detectable=0.15)
    found = [
        Measured(lessons=("lsn-1", "lsn-2"), generalist="m", evidence=evidence, asked=20, at=NOW, by="maria"),
        Measured(lessons=("lsn-1",), generalist="m", evidence=evidence, asked=20, at=NOW, by="maria"),
    ]
    propose_lesson(store, proposed())
    keep_measured(store, "triage", found)
    assert measured(store, "triage") == found
    assert measured(store, "other") == []
    assert [one.id for one in lessons(store, "triage")] == ["lsn-1"]


def test_words_stand_in_payloads_alone(store: Store) -> None:
    propose_lesson(store, proposed())
    decide_lesson(store, "lsn-1", Decision(state=LessonState.REJECTED, by="maria", at=NOW, reason="says too much"))
    with store.read() as connection:
        rows = [str(row) for row in connection.execute(select(lesson_event))]
    assert not any("card" in row or "says too much" in row for row in rows)
