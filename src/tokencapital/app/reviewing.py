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
from tokencapital.store.draws import open_draws


class Waiting(Struct, frozen=True, kw_only=True):
    """A case that the queue asks of people. `proposed` None: the machine has no answer."""

    case: str
    draw: str
    kind: ContractKind
    messages: tuple[Message, ...]
    context: Mapping[str, Json]
    proposed: Value
    source: str | None
    confidence: float | None


def waiting_cases(place: Workplace, most: int) -> list[Waiting]:
    """At most `most` open draws, oldest first, with the newest answer to each; more are drawn where few wait."""
    if len(open_draws(place.store, place.name)) < most:
        ask_active(place)
    asked = open_draws(place.store, place.name)[:most]
    cases = read_cases(place.store, [one.case for one in asked])
    return [_waiting(place, one, cases[one.case]) for one in asked if one.case in cases]


def say(
    platform: Platform, waiting: Waiting, expert: str, verdict: Verdict, answer: str | None, reason: str | None = None
) -> Accepted:
    """What the expert said is stored. Raises ContractViolation where the answer does not fit."""
    value = waiting.proposed if verdict is Verdict.RIGHT else _read(waiting.kind, answer if verdict.answers else None)
    said = Said(expert=expert, verdict=verdict, case=waiting.case, draw=waiting.draw, answer=value, reason=reason)
    return judge(platform, said)


def _waiting(place: Workplace, asked: Draw, case: Case) -> Waiting:
    done = trajectories_of_case(place.store, case.id)
    answer = done[-1].answer if done else None
    return Waiting(
        case=case.id,
        draw=asked.id,
        kind=place.capability.contract.kind,
        messages=case.messages,
        context=case.context,
        proposed=answer.value if answer else None,
        source=answer.source.value if answer and answer.source else None,
        confidence=answer.confidence if answer else None,
    )


def _read(kind: ContractKind, answer: str | None) -> Value:
    if answer is None or kind is not ContractKind.FIELDS:
        return answer
    try:
        return msgspec.json.decode(answer, type=dict[str, Json])
    except msgspec.MsgspecError as error:
        raise ContractViolation(f"the answer is no JSON object: {error}") from error
