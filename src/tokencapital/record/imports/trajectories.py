"""Our own trajectories files, and what `tcap export` wrote: one piece of work a line, with all that is known of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from tokencapital.core.answer import Answer, Stage, Trajectory
from tokencapital.core.call import Ending, Step, StepKind
from tokencapital.core.case import Case, Json, Message, Value
from tokencapital.core.clock import utc
from tokencapital.core.errors import MalformedLine
from tokencapital.core.judgment import DrawKind, Verdict
from tokencapital.core.quantity import Energy, Grade, Money, Usage
from tokencapital.record.imports.conversation import Conversation, read_messages, worked
from tokencapital.record.imports.lines import Line, json_lines, moment, text
from tokencapital.record.imports.told import Judged, Seen, Skip, Source, Told, Worked, bunches, digest
from tokencapital.record.spans_told import text_of

KIND = "trajectories"
_BUNCH = 100
_FACTS = ("action", "origin")
_LONGEST_FACT = 80


class Made(Struct, frozen=True, kw_only=True):
    """How an answer was made, as `tcap export` writes it."""

    stage: Stage
    policy: str
    memory: int
    seed: int
    propensity: float
    elapsed_s: float
    usage: Usage
    energy: Energy
    source: Stage | None = None
    confidence: float | None = None
    release: str | None = None
    cost: Money | None = None
    price: str | None = None
    failure: str | None = None
    false_citations: int = 0
    fields: dict[str, float] | None = None
    because: tuple[str, ...] = ()


class StepLine(Struct, frozen=True, kw_only=True):
    """One step in an exported line. `added` is how many of the line's messages it added; None: they are not kept.

    What was said in a tool or an agent's part, beside the conversation, are its own `messages`.
    """

    id: str
    at: datetime
    kind: StepKind
    name: str
    source: str
    added: int | None
    parent: str | None = None
    application: str | None = None
    provider: str | None = None
    model: str | None = None
    ending: Ending = Ending.DONE
    elapsed_s: float = 0.0
    first_s: float | None = None
    usage: Usage = Usage(None, None)
    cost: Money | None = None
    price: str | None = None
    energy: Energy = Energy(None, Grade.UNKNOWN)
    failure: str | None = None
    details: dict[str, Json] = {}
    messages: tuple[Message, ...] | None = None


class JudgmentLine(Struct, frozen=True, kw_only=True):
    """One judgment in an exported line."""

    id: str
    expert: str
    at: datetime
    verdict: Verdict
    answer: Value
    drawn: DrawKind
    probability: float | None
    valid_from: datetime
    valid_until: datetime | None = None
    reason: str | None = None
    minutes: float | None = None
    blind: bool = False


class OutcomeLine(Struct, frozen=True, kw_only=True):
    """One outcome in an exported line, which names the work by a business `key`; None: by the line's own id."""

    id: str
    name: str
    value: bool | float | None
    at: datetime
    key: str | None = None


class ExportedLine(Struct, frozen=True, kw_only=True):
    """A line that `tcap export` wrote. `erased`: its words are no more, and it cannot be imported."""

    id: str
    capability: str
    group: str
    at: datetime
    case: str
    key: str
    made: Made
    case_at: datetime
    model: str | None = None
    context: dict[str, Json] = {}
    input: tuple[Message, ...] = ()
    messages: tuple[Message, ...] = ()
    answer: Value = None
    steps: tuple[StepLine, ...] = ()
    outcomes: tuple[OutcomeLine, ...] = ()
    judgments: tuple[JudgmentLine, ...] = ()
    erased: bool = False


def read_trajectories(path: Path, now: datetime) -> Source:
    """The pieces of work of a file; one that does not say when it was is taken as of `now`."""
    return bunches((_read(one, now) for one in json_lines(path, "trajectories")), _BUNCH)


def _read(line: Line | MalformedLine, now: datetime) -> list[Told]:
    if isinstance(line, MalformedLine):
        return [Skip(line.where or "", line.what)]
    try:
        if "made" in line.told and "case" in line.told:
            return list(_exported(msgspec.convert(line.told, ExportedLine), line.where))
        return list(_foreign(line.told, line.where, now))
    except (msgspec.ValidationError, ValueError) as error:
        return [Skip(line.where, str(error))]


def _exported(line: ExportedLine, where: str) -> Iterator[Told]:
    if line.erased:
        yield Skip(where, "its words were erased")
        return
    made = line.made
    case = Case(
        id=line.case,
        capability=line.capability,
        group=line.group,
        at=utc(line.case_at),
        messages=line.input,
        context=line.context,
        key=line.key,
    )
    head = Trajectory(
        id=line.id,
        case=case.id,
        capability=case.capability,
        at=utc(line.at),
        answer=Answer(
            value=line.answer,
            stage=made.stage,
            source=made.source,
            confidence=made.confidence,
            fields=made.fields,
            because=made.because,
        ),
        policy=made.policy,
        memory=made.memory,
        seed=made.seed,
        propensity=made.propensity,
        elapsed_s=made.elapsed_s,
        energy=made.energy,
        usage=made.usage,
        cost=made.cost,
        price=made.price,
        release=made.release,
        generalist=line.model,
        failure=made.failure,
        false_citations=made.false_citations,
    )
    yield Worked(where=where, capability=line.capability, case=case, head=head, steps=tuple(_steps(line)))
    for seen in line.outcomes:
        named: dict[str, Any] = {"key": seen.key, "trajectory": line.id if seen.key is None else None}
        named |= {"where": where, "capability": line.capability}
        yield Seen(id=seen.id, name=seen.name, value=seen.value, at=utc(seen.at), **named)
    for said in line.judgments:
        facts = {name: getattr(said, name) for name in said.__struct_fields__}
        yield Judged(where=where, case=line.case, **facts)


def _steps(line: ExportedLine) -> Iterator[Step]:
    place = 0
    for one in line.steps:
        facts = {name: getattr(one, name) for name in one.__struct_fields__ if name not in ("added", "messages")}
        added = None if one.added is None else line.messages[place : place + one.added]
        place += one.added or 0
        yield Step(trajectory=line.id, messages=added if one.messages is None else one.messages, **facts)


def _foreign(told: Mapping[str, Json], where: str, now: datetime) -> Iterator[Told]:
    """A line as design section 10 describes it; what is not told is not made up."""
    own = text(told.get("id"))
    if own is None:
        raise ValueError("it has no `id`")
    listed: Any = told.get("messages")
    messages = read_messages(listed)
    at = moment(told.get("at")) or now
    expert = text(told.get("expert"))
    conversation = Conversation(
        id=own,
        kind=KIND,
        at=at,
        messages=messages,
        group=next((name for one in ("group", "customer", "task_id") if (name := text(told.get(one)))), own),
        key=text(told.get("key")) or own,
        context=told["context"] if isinstance(told.get("context"), Mapping) else {},
        model=text(told.get("model")),
        person=expert is not None and not told.get("model"),
        times=_times(listed) if len(messages) == len(listed) else {},
        details=_details(listed) if len(messages) == len(listed) else {},
    )
    yield worked(conversation, where, text(told.get("capability")))
    yield from _outcomes(told, conversation, where)


def _outcomes(told: Mapping[str, Json], of: Conversation, where: str) -> Iterator[Told]:
    listed = told.get("outcomes")
    seen = list(listed) if isinstance(listed, list) else []
    if "reward" in told:
        seen.append({"name": "reward", "value": told["reward"]})
    for one in seen:
        name = text(one.get("name")) if isinstance(one, Mapping) else None
        if name is None or not isinstance(one.get("value"), bool | int | float | None):
            yield Skip(where, "an outcome has no name, or its value is neither yes, no, a number nor null")
            continue
        at = moment(one.get("at")) or max(of.times.values(), default=of.at)
        value = one.get("value")
        own = f"out_{digest(KIND, of.id, name, text_of(one.get('at')) or '')}"
        yield Seen(where=where, id=own, name=name, value=value, at=at, trajectory=of.id)


def _times(listed: Json) -> dict[int, datetime]:
    found = ((place, moment(one.get("at"))) for place, one in enumerate(listed))
    return {place: at for place, at in found if at is not None}


def _details(listed: Json) -> dict[int, dict[str, Json]]:
    """What is known of a message without words: what the action is called, and where it comes from."""
    return {
        place: found
        for place, one in enumerate(listed)
        if (found := {name: one[name] for name in _FACTS if _is_name(one.get(name))})
    }


def _is_name(told: Json) -> bool:
    return isinstance(told, str) and 0 < len(told) <= _LONGEST_FACT and not any(sign.isspace() for sign in told)
