"""How many exemplars a generalist is shown: chosen on uniform draws, never out of the case's own entity."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from tokencapital.core.case import Case, Contract, ContractKind, Message
from tokencapital.core.judgment import DrawKind, JudgedCase, Judgment, Verdict
from tokencapital.core.policy import Lane, Policy
from tokencapital.improve.dataset import Dataset
from tokencapital.improve.exemplars import FEWEST_CASES, SIZES, nearest_of_others, propose_exemplars
from tokencapital.improve.propose import Asked
from tokencapital.models.base import ModelRequest
from tokencapital.serve.generalist import GeneralistStage
from tokencapital.serve.ports import Live
from tokencapital.serve.prompt import Shown
from tokencapital.testing.models import HashEmbedder, ScriptedModel

NOW = datetime(2026, 1, 5, tzinfo=UTC)
LIVE = Live(Policy(capability="triage", contract=Contract(kind=ContractKind.LABEL), exemplars=0))
BESIDE = Shown(labels=("phone", "printer"))
ASKED = Asked(tolerance=0.1, seed=0, now=NOW, rebuilds=False)


def judged(number: int) -> JudgedCase:
    text, label = (f"printer {number}", "printer") if number % 2 else (f"phone {number}", "phone")
    case = Case(
        id=f"c{number}", capability="triage", group=f"g{number // 2}", at=NOW, messages=(Message("user", text),)
    )
    said = Judgment(
        id=f"j{number}",
        case=case.id,
        capability="triage",
        expert="ines",
        at=NOW,
        verdict=Verdict.CORRECTED,
        answer=label,
        drawn=DrawKind.UNIFORM,
        probability=1.0,
        valid_from=NOW,
        sequence=number + 1,
    )
    return JudgedCase(case, said)


def dataset(count: int) -> Dataset:
    lessons = tuple(judged(number) for number in range(count))
    vectors = HashEmbedder().embed([one.case.messages[0].content for one in lessons])
    return Dataset(lessons, vectors, np.ones(count, bool), count)


def stage(needed: int) -> GeneralistStage:
    """A model that is right only when it is shown at least so many exemplars."""

    def reply(request: ModelRequest) -> str:
        shown = sum(message.role == "assistant" for message in request.messages)
        asked = request.messages[-1].content.split()[0]
        return asked if shown >= needed else ("phone" if asked == "printer" else "printer")

    return GeneralistStage(ScriptedModel(reply), seed=0, concurrency=4)


async def test_the_fewest_exemplars_that_do_as_well_are_proposed_as_a_change() -> None:
    for needed, chosen in ((1, SIZES[0]), (SIZES[1], SIZES[1])):
        candidate, answers = await propose_exemplars(dataset(30), LIVE, stage(needed), BESIDE, ASKED)
        assert candidate is not None
        assert candidate.lane is Lane.CHANGE
        assert candidate.policy.exemplars == chosen
        assert candidate.policy.memory == 30
        assert candidate.policy.generalist_rule.threshold is None
        assert len(answers) == 30 * len(SIZES)


async def test_too_few_uniform_draws_propose_nothing_and_cost_nothing() -> None:
    assert await propose_exemplars(dataset(FEWEST_CASES - 1), LIVE, stage(1), BESIDE, ASKED) == (None, ())


def test_nobody_is_shown_a_case_of_their_own_entity() -> None:
    lessons = dataset(12)
    for row, near in enumerate(nearest_of_others(lessons, np.arange(12), 4)):
        assert len(near) == 4
        assert all(lessons.judged[i].case.group != lessons.judged[row].case.group for i in near)
