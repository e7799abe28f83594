"""The cases that wait for a person, with what the machine proposes."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from tokencapital.app.asking import ask_active
from tokencapital.app.judging import judge
from tokencapital.app.platform import Platform, Workplace
from tokencapital.core.case import Case, ContractKind, Json, Message, Value
from tokencapital.core.errors import ContractViolation
from tokencapital.core.judgment import Draw, Verdict
from tokencapital.review.judgments import Accepted
from tokencapital.review.routes import Said
from tokencapital.store.cases import read_cases, trajectories_of_case
from tokencapital.store.queue import count_open, draws_for


class Waiting(Struct, frozen=True, kw_only=True):
    """A case that the queue asks of people. `proposed` None: the machine has no answer, or it is not told.

    `trajectory` is the newest run of the case; None: it was never answered, or it is not told.
    """

    capability: str
    case: str
    draw: str
    kind: ContractKind
    messages: tuple[Message, ...]
    context: Mapping[str, Json]
    proposed: Value
    source: str | None
    confidence: float | None
    trajectory: str | None = None


def waiting_cases(place: Workplace, most: int) -> list[Waiting]:
    """At most `most` open draws, oldest first, with the newest answer to each; more are drawn where few wait."""
    if count_open(place.store, place.name) < most:
        ask_active(place)
    asked = draws_for(place.store, place.name, None, most)
    cases = read_cases(place.store, [one.case for one in asked])
    return [waiting_of(place, one, cases[one.case]) for one in asked if one.case in cases]


def say(
    platform: Platform, waiting: Waiting, expert: str, verdict: Verdict, answer: str | None, reason: str | None = None
) -> Accepted:
    """What the expert said is stored. Raises ContractViolation where the answer does not fit."""
    value = waiting.proposed if verdict is Verdict.RIGHT else read_answer(waiting.kind, verdict, answer)
    said = Said(expert=expert, verdict=verdict, case=waiting.case, draw=waiting.draw, answer=value, reason=reason)
    return judge(platform, said)


def waiting_of(place: Workplace, asked: Draw, case: Case) -> Waiting:
    """The drawn case with the newest answer to it."""
    done = trajectories_of_case(place.store, case.id)
    answer = done[-1].answer if done else None
    return Waiting(
        capability=place.name,
        case=case.id,
        draw=asked.id,
        kind=place.capability.contract.kind,
        messages=case.messages,
        context=case.context,
        proposed=answer.value if answer else None,
        source=answer.source.value if answer and answer.source else None,
        confidence=answer.confidence if answer else None,
        trajectory=done[-1].id if done else None,
    )


def newest_answer(place: Workplace, case_id: str) -> Value:
    """What the machine said of the case last; None: nothing."""
    done = trajectories_of_case(place.store, case_id)
    return done[-1].answer.value if done else None


def without_answer(waiting: Waiting) -> Waiting:
    """The case with nothing of what the machine said."""
    return msgspec.structs.replace(waiting, proposed=None, source=None, confidence=None, trajectory=None)


def read_answer(kind: ContractKind, verdict: Verdict, answer: str | None) -> Value:
    """The answer that was typed, None where the verdict carries none.

    Raises ContractViolation where an object of fields was wanted and none was typed.
    """
    if answer is None or not verdict.answers or kind is not ContractKind.FIELDS:
        return answer if verdict.answers else None
    try:
        return msgspec.json.decode(answer, type=dict[str, Json])
    except msgspec.MsgspecError as error:
        raise ContractViolation(f"the answer is no JSON object: {error}") from error
