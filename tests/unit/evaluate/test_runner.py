"""Evaluation refuses leaks before it runs anything, resumes, and never pays twice."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tokencapital.core.answer import Stage
from tokencapital.core.case import Contract, ContractKind
from tokencapital.core.errors import LineageError, ModelUnavailable
from tokencapital.core.policy import Policy
from tokencapital.evaluate.runner import Runner, Trial
from tokencapital.evaluate.tasks import Task
from tokencapital.models.base import ModelRequest
from tokencapital.models.specialist import Prediction
from tokencapital.serve.ports import Live
from tokencapital.store.cases import count_cases
from tokencapital.store.database import Store
from tokencapital.testing.models import Reply, ScriptedModel

LABEL = Contract(kind=ContractKind.LABEL, labels=("a", "b"))
POLICY = Policy(capability="triage", contract=LABEL)


def last_word(request: ModelRequest) -> str:
    return request.messages[-1].content.split()[-1]


def tasks_of(desk: Any, count: int) -> list[Task]:
    made = []
    for number in range(count):
        case = desk.case(f"request {number} {'ab'[number % 2]}", desk.sealed[number])
        made.append(Task(case, "a", case.group))
    return made


def runner_of(desk: Any, model: ScriptedModel | None, concurrency: int = 2) -> Runner:
    live = Live(POLICY)
    return Runner(desk.wanted(LABEL), desk.parts(live, model, concurrency=concurrency), desk.memory())


async def test_one_result_a_task_in_their_order_and_no_word_of_it_recorded_as_work(desk: Any, store: Store) -> None:
    tasks = tasks_of(desk, 5)
    results = await runner_of(desk, ScriptedModel(last_word)).run(Trial(Live(POLICY), frozenset()), tasks)
    assert [result.case for result in results] == [task.case.id for task in tasks]
    assert [result.group for result in results] == [task.group for task in tasks]
    assert [result.score.right for result in results] == [True, False, True, False, True]
    assert all(result.asked_generalist and result.usage.output == 2 for result in results)
    assert "request" not in repr(results)
    assert count_cases(store, "triage") == 0


async def test_a_case_of_the_lineage_stops_everything_before_anything_is_paid(desk: Any) -> None:
    model = ScriptedModel(last_word)
    tasks = tasks_of(desk, 5)
    leaky = Trial(Live(POLICY), frozenset({tasks[3].group, "somebody else"}))
    with pytest.raises(LineageError, match="1 of 5") as raised:
        await runner_of(desk, model).run(leaky, tasks)
    assert tasks[3].case.id in str(raised.value.where)
    assert model.requests == []


async def test_nothing_is_paid_twice_also_by_another_runner(desk: Any) -> None:
    model = ScriptedModel(last_word)
    tasks, trial = tasks_of(desk, 6), Trial(Live(POLICY), frozenset())
    first = await runner_of(desk, model).run(trial, tasks[:4])
    assert len(model.requests) == 4
    again = await runner_of(desk, model).run(trial, tasks[::-1])
    assert len(model.requests) == 6
    assert [one.paid for one in again] == [True, True, False, False, False, False]
    assert again[::-1][:4] == [msgspec.structs.replace(one, paid=False) for one in first]


class Cut(Exception):
    """The process dies in the middle."""


async def test_a_run_that_was_cut_off_goes_on_where_it_stood(desk: Any) -> None:
    tasks, trial = tasks_of(desk, 9), Trial(Live(POLICY), frozenset())

    def dying(request: ModelRequest) -> str:
        if "request 5" in request.messages[-1].content:
            raise Cut
        return last_word(request)

    with pytest.raises(Cut):
        await runner_of(desk, ScriptedModel(dying)).run(trial, tasks)
    model = ScriptedModel(last_word)
    results = await runner_of(desk, model).run(trial, tasks)
    # Chunks are as large as the concurrency: the first two of them were kept.
    assert len(model.requests) == 5
    assert [result.score.right for result in results] == [number % 2 == 0 for number in range(9)]


@pytest.mark.parametrize(
    "change",
    [{"instructions": "Be brief."}, {"exemplars": 3}, {"memory": 5}],
    ids=["instructions", "exemplars", "memory"],
)
async def test_another_policy_is_another_content(desk: Any, change: dict[str, Any]) -> None:
    model = ScriptedModel(last_word)
    tasks = tasks_of(desk, 3)
    await runner_of(desk, model).run(Trial(Live(POLICY), frozenset()), tasks)
    changed = msgspec.structs.replace(POLICY, **change)
    await runner_of(desk, model).run(Trial(Live(changed), frozenset()), tasks)
    assert len(model.requests) == 6


async def test_a_call_that_failed_is_told_and_made_again_and_an_unfit_answer_is_neither(desk: Any) -> None:
    tasks, trial = tasks_of(desk, 3), Trial(Live(POLICY), frozenset())

    def failing(request: ModelRequest) -> Reply:
        if "request 1" in request.messages[-1].content:
            return Reply(fault=ModelUnavailable("away"))
        return Reply("" if "request 2" in request.messages[-1].content else "a")

    results = await runner_of(desk, ScriptedModel(failing)).run(trial, tasks)
    assert [one.failed for one in results] == [False, True, False]
    assert [one.score.right for one in results] == [True, False, False]
    model = ScriptedModel(last_word)
    again = await runner_of(desk, model).run(trial, tasks)
    assert [request.messages[-1].content for request in model.requests] == ["request 1 b"]
    assert [one.failed for one in again] == [False, False, False]


async def test_a_case_on_which_people_changed_their_mind_is_scored_anew(desk: Any) -> None:
    tasks, trial = tasks_of(desk, 2), Trial(Live(POLICY), frozenset())
    await runner_of(desk, ScriptedModel(last_word)).run(trial, tasks)
    changed = [tasks[0], msgspec.structs.replace(tasks[1], expected="b")]
    model = ScriptedModel(last_word)
    results = await runner_of(desk, model).run(trial, changed)
    assert [one.score.right for one in results] == [True, True]
    assert len(model.requests) == 1


async def test_generalists_of_one_name_are_told_apart_and_a_fixed_state_is_found_again(desk: Any) -> None:
    tasks, trial = tasks_of(desk, 3), Trial(Live(POLICY, memory=0), frozenset())
    for known_as, said in (("here", "a"), ("there", "b"), ("here", "b")):
        model = ScriptedModel(lambda request, said=said: said)
        runner = Runner(desk.wanted(LABEL), desk.parts(Live(POLICY), model, concurrency=2), desk.memory(), known_as)
        results = await runner.run(trial, tasks)
        assert {one.score.right for one in results} == {known_as == "here"}
        desk.told(f"something new {said} {known_as}", "a")


async def test_without_a_generalist_nothing_needs_to_be_kept(desk: Any) -> None:
    specialist = desk.keywords({"request": Prediction("a", 0.9)})
    live = Live(POLICY, None, specialist)
    tasks = tasks_of(desk, 3)
    results = await runner_of(desk, None).run(Trial(live, frozenset()), tasks)
    assert [(one.stage, one.source, one.score.right) for one in results] == [(Stage.PERSON, Stage.SPECIALIST, True)] * 3
    assert not any(one.asked_generalist for one in results)
