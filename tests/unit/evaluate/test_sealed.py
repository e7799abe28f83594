"""Sealed cases judge in batches: each look is counted and costs, and only what is spent may teach."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from tokencapital.core.judgment import DrawKind, Verdict
from tokencapital.evaluate.sealed import ALPHA, SealedCases
from tokencapital.evaluate.tasks import tasks_from
from tokencapital.improve.dataset import gather
from tokencapital.store.database import Store
from tokencapital.store.judgments import expire, withdraw
from tokencapital.store.sealed import looks

SIZE = 6


@pytest.fixture
def sealed(store: Store) -> SealedCases:
    return SealedCases(store, "triage", SIZE)


def judge_sealed(desk: Any, count: int, start: int = 0, **more: Any) -> list[str]:
    return [desk.told(f"request {n}", "a", desk.sealed[n], **more).case for n in range(start, start + count)]


def test_only_uniform_draws_of_sealed_groups_that_hold_are_asked_of_a_policy(desk: Any, sealed: SealedCases) -> None:
    kept = judge_sealed(desk, 2)
    desk.told("of a train group", "a")
    desk.told("came by itself", "a", desk.sealed[20], drawn=DrawKind.VOLUNTEERED)
    desk.told("over by now", "a", desk.sealed[21], valid_until=desk.now)
    desk.told("declined", None, desk.sealed[22], verdict=Verdict.CANNOT_TELL)
    gone = desk.told("withdrawn", "a", desk.sealed[23])
    withdraw(desk.store, gone.id, by="ines", at=desk.now)
    lapsed = desk.told("expired", "a", desk.sealed[24])
    expire(desk.store, [lapsed.id], desk.now, by="owner", at=desk.now)
    torn = desk.told("torn", "a", desk.sealed[25])
    desk.judge(desk.case_of(torn), "b", expert="bert")
    batch = sealed.open(desk.now)
    assert [task.case.id for task in batch.tasks] == kept
    assert [task.group for task in batch.tasks] == desk.sealed[:2]
    assert lapsed.case in {task.case.id for task in sealed.open(desk.now - timedelta(days=1)).tasks}


def test_a_task_has_the_answer_that_all_who_gave_one_agree_on(desk: Any) -> None:
    case, torn = desk.case("agreed", "g"), desk.case("torn", "h")
    said = [desk.judged(case, "a"), desk.judged(case, None, Verdict.CANNOT_TELL), desk.judged(case, "a")]
    said += [desk.judged(torn, "a"), desk.judged(torn, "b")]
    (task,) = tasks_from(said, {case.id: "group of the manifest", torn.id: "h"})
    assert (task.case, task.expected, task.group) == (case, "a", "group of the manifest")


def test_identical_inputs_count_for_the_group_that_came_first(desk: Any, sealed: SealedCases) -> None:
    first, second = desk.sealed[0], desk.train[0]
    desk.told("the same words", "a", first)
    desk.told("The same  words", "a", second)
    assert {task.group for task in sealed.open(desk.now).tasks} == {first}
    memory = desk.memory()
    memory.refresh()
    assert len(memory) == 0


def test_looks_are_numbered_before_their_result_and_spend_alpha_together(desk: Any, sealed: SealedCases) -> None:
    judge_sealed(desk, 2)
    batch = sealed.open(desk.now)
    made = [sealed.look(batch, "candidate", "live", desk.now + timedelta(hours=hour)) for hour in range(2)]
    judge_sealed(desk, 1, start=2)
    grown = sealed.open(desk.now)
    assert grown.id == batch.id
    made.append(sealed.look(grown, "candidate", "live", desk.now + timedelta(hours=2)))
    assert [look.comparison for look in made] == [1, 2, 3]
    assert [look.alpha for look in made] == pytest.approx([ALPHA * 6 / (math.pi**2 * k**2) for k in (1, 2, 3)])
    assert looks(desk.store, batch.id) == made
    assert sum(ALPHA * 6 / (math.pi**2 * k**2) for k in range(1, 100_000)) < ALPHA


def test_a_look_that_a_crash_made_twice_is_one(desk: Any, sealed: SealedCases) -> None:
    judge_sealed(desk, 2)
    batch = sealed.open(desk.now)
    once = sealed.look(batch, "candidate", "live", desk.now)
    assert SealedCases(desk.store, "triage", SIZE).look(batch, "candidate", "live", desk.now) == once
    assert sealed.look(batch, "another", "live", desk.now).comparison == 2
    assert len(looks(desk.store, batch.id)) == 2


def test_a_batch_takes_no_more_than_its_size(desk: Any, sealed: SealedCases) -> None:
    cases = judge_sealed(desk, SIZE + 3)
    batch = sealed.open(desk.now)
    assert batch.full
    assert [task.case.id for task in batch.tasks] == cases[:SIZE]


@pytest.mark.parametrize(
    ("judged", "looked", "retires"),
    [(2 * SIZE, True, True), (2 * SIZE, False, False), (2 * SIZE - 1, True, False), (SIZE, True, False)],
)
def test_a_batch_retires_only_when_it_is_spent_and_another_waits(
    desk: Any, sealed: SealedCases, judged: int, looked: bool, retires: bool
) -> None:
    judge_sealed(desk, judged)
    if looked:
        sealed.look(sealed.open(desk.now), "candidate", "live", desk.now)
    assert sealed.retire_if_spent(desk.now, by="loop") is retires


def test_what_retired_teaches_and_judges_nobody_any_more(desk: Any, sealed: SealedCases) -> None:
    cases = judge_sealed(desk, 2 * SIZE)
    memory = desk.memory()
    memory.refresh()
    assert len(gather(memory, desk.now)) == 0
    first = sealed.open(desk.now)
    sealed.look(first, "candidate", "live", desk.now)
    sealed.retire_if_spent(desk.now, by="loop")
    memory.refresh()
    dataset = gather(memory, desk.now)
    assert {one.case.id for one in dataset.judged} == set(cases[:SIZE])
    second = sealed.open(desk.now)
    assert second.id != first.id
    assert [task.case.id for task in second.tasks] == cases[SIZE:]
    assert sealed.look(second, "candidate", "live", desk.now).comparison == 1
    assert not set(dataset.groups) & {task.group for task in second.tasks}
