"""A reason becomes a lesson: proposed by the loop, approved by a person, let through by the gate, shown, retired."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

import pytest

from tokencapital.app.house import turn_once
from tokencapital.app.judging import judge
from tokencapital.app.lesson_effects import measure_lessons
from tokencapital.app.lessons import ByHand, approve, playbook, propose_by_hand, propose_lessons_anew, retire
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.server import answering_engine
from tokencapital.app.settings import CapabilitySettings, GoalSettings, Settings
from tokencapital.core.case import Case, ContractKind, Message, Mode
from tokencapital.core.errors import InputError
from tokencapital.core.judgment import Verdict
from tokencapital.core.lesson import LessonState, Wording
from tokencapital.core.policy import Decision
from tokencapital.core.split import Split
from tokencapital.models.base import ModelRequest
from tokencapital.review.routes import Said
from tokencapital.store.cases import trajectories_of_case
from tokencapital.store.draws import open_draws
from tokencapital.store.judgments import find_judgments
from tokencapital.store.manifest import split_of_cases
from tokencapital.testing.models import ScriptedModel
from tokencapital.testing.people import tell_everyone

NAME = "sort-cards"
REASON = "Cards of the blue series are always lost and never stolen."
FIRST, MORE = 240, 160


def is_lost(text: str) -> bool:
    """The rule that only experts know: nothing in the words of one message tells it to a small model."""
    return crc32(text.encode()) % 2 == 0


def expert(request: ModelRequest) -> str:
    """A generalist that knows which series is blue, and sorts rightly once it is told what that means."""
    if request.labels is None:
        return '{"lesson": "Say sorry."}'
    told = REASON in request.messages[0].content
    return "lost" if told and is_lost(request.messages[-1].content) else "stolen"


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel(expert)


@pytest.fixture
def house(model: ScriptedModel, tmp_path: Path) -> Iterator[Platform]:
    goal = GoalSettings(purpose="Sort at once.", owner="maria", judged_share=1.0, tolerance=0.01)
    declared = CapabilitySettings(
        contract=ContractKind.LABEL, labels=("lost", "stolen"), mode=Mode.ANSWER, mode_by="maria", goal=goal
    )
    settings = Settings(store=str(tmp_path / "s.db"), capabilities={NAME: declared})
    with Platform.open(settings, key=bytes(32)) as platform:
        platform.generalist = model
        tell_everyone(platform.store)
        yield platform


def card(number: int, text: str | None = None) -> Case:
    said = text or f"my card is gone {(number * 2654435761) % 2**32:08x}"
    return Case(
        id=f"cas_{number:04}", capability=NAME, group=f"customer-{number}", at=datetime.now(UTC),
        messages=(Message("user", said),),
    )  # fmt: skip


async def serve_and_judge(house: Platform, place: Workplace, first: int, count: int) -> None:
    engine = answering_engine(place)
    cases = {one.id: one for one in (card(number) for number in range(first, first + count))}
    await engine.answer_many(list(cases.values()))
    for number, draw in enumerate(open_draws(house.store, NAME)):
        case = cases[draw.case]
        given = trajectories_of_case(house.store, case.id)[-1].answer.value
        right = "lost" if is_lost(case.messages[0].content) else "stolen"
        verdict = Verdict.RIGHT if given == right else Verdict.CORRECTED
        reason = REASON if verdict is Verdict.CORRECTED and number % 9 == 0 else None
        judge(house, Said(expert="ines", verdict=verdict, case=case.id, draw=draw.id, answer=right, reason=reason))


async def system_prompt(model: ScriptedModel, place: Workplace, number: int) -> str:
    await place.engine.answer(card(number))
    return model.requests[-1].messages[0].content


async def test_a_reason_becomes_a_lesson_that_is_shown_until_it_is_retired(
    house: Platform, model: ScriptedModel
) -> None:
    place = house.workplace(NAME)
    await serve_and_judge(house, place, 0, FIRST)
    await turn_once(place)

    proposed = playbook(place).of(LessonState.PROPOSED)
    [found] = [one.lesson for one in proposed if one.lesson.wording is Wording.PERSON]
    assert found.text == REASON
    assert found.by == "loop" and found.people == 1 and found.entities > 100 and found.out_of > found.entities
    cases = {one.case for one in find_judgments(house.store, found.judgments).values()}
    assert set(split_of_cases(house.store, cases).values()) == {Split.TRAIN}
    assert (await propose_lessons_anew(place)).proposed == (), "nothing is proposed twice"
    assert REASON not in await system_prompt(model, place, 9_001), "a proposal is shown to nobody"

    approve(house, found.id, "maria")
    assert REASON not in await system_prompt(model, place, 9_002), "an approved lesson waits for the gate"
    await serve_and_judge(house, place, FIRST, MORE)
    report = await turn_once(place)
    [released] = [one for one in report.releases if "playbook/1" in one.evidence.details["recipes"]]
    assert released.decision is Decision.PROMOTED, released.evidence
    assert released.evidence.lower is not None and released.evidence.lower > 0
    assert place.releases.live(NAME).policy.lessons == (found.id,)

    assert REASON in await system_prompt(model, place, 9_003)
    answered = trajectories_of_case(house.store, card(9_003).id)[-1].answer
    assert found.id in answered.because

    [effect] = await measure_lessons(place, "maria")
    assert effect.lessons == (found.id,)
    assert effect.evidence.lower is not None and effect.evidence.lower > 0
    assert effect.asked > 15 and effect.evidence.detectable is not None
    assert playbook(place).effect == effect

    other = propose_by_hand(place, ByHand(text="A card that comes back by mail was lost.", by="ines"))
    approve(house, other.id, "maria")
    looks = len(place.sealed.looks(place.sealed.open(place.now())))
    together, alone, idle = await measure_lessons(place, "maria", each=True)
    assert [one.lessons for one in (together, alone, idle)] == [(found.id, other.id), (found.id,), (other.id,)]
    assert alone.evidence.effect == together.evidence.effect and idle.evidence.effect == 0.0
    assert len(place.sealed.looks(place.sealed.open(place.now()))) == looks + 3, "each comparison is a look"
    retire(house, other.id, "maria")

    retire(house, found.id, "maria", "the blue series is sold out")
    assert REASON not in await system_prompt(model, place, 9_004)
    assert found.id not in trajectories_of_case(house.store, card(9_004).id)[-1].answer.because
    with pytest.raises(InputError, match="no approved lesson"):
        await measure_lessons(place, "maria")
