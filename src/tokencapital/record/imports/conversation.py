"""Conversations as steps: one for each thing that an assistant said, and one for each answer of a tool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from tokencapital.core.answer import Answer, Stage, Trajectory
from tokencapital.core.call import UNSORTED, Step, StepKind
from tokencapital.core.case import Case, Json, Message, ToolCall
from tokencapital.core.quantity import UNKNOWN_ENERGY, Usage
from tokencapital.record.imports.told import Unreadable, Worked
from tokencapital.record.spans_told import messages_of, text_of
from tokencapital.serve.rules_prompt import PROMPT_ROLES

_ASSISTANT, _TOOL, _PERSON = "assistant", "tool", "person"


class Conversation(Struct, frozen=True, kw_only=True):
    """A conversation as a file tells it. `id` names the trajectory that it becomes.

    `person`: a person and no model spoke for the company. `times` are those of messages, where known, by place.
    """

    id: str
    kind: str
    at: datetime
    messages: tuple[Message, ...]
    group: str
    key: str
    context: Mapping[str, Json] = {}
    model: str | None = None
    person: bool = False
    times: Mapping[int, datetime] = {}
    details: Mapping[int, Mapping[str, Json]] = {}
    usage: Usage = Usage(None, None)


def read_messages(told: Json) -> tuple[Message, ...]:
    """Messages in OpenAI's shape; calls of tools may have their arguments as an object under `args`.

    Raises Unreadable where there are none.
    """
    listed = told.get("messages") if isinstance(told, Mapping) else told
    if not isinstance(listed, Sequence) or isinstance(listed, str | bytes):
        raise Unreadable("there are no messages")
    found: list[Message] = []
    for place, one in enumerate(listed):
        if not isinstance(one, Mapping) or not isinstance(one.get("role"), str):
            raise Unreadable(f"message {place + 1} has no `role`")
        found += messages_of([_with_arguments(one)]) or ()
    if not found:
        raise Unreadable("there are no messages")
    return tuple(found)


def read_answer(told: Json) -> tuple[Message, ...]:
    """What came back, from a response of OpenAI's chat API, a message, or words; empty: nothing did."""
    if isinstance(told, Mapping):
        choices = told.get("choices")
        if isinstance(choices, Sequence) and choices and isinstance(choices[0], Mapping):
            return read_answer(choices[0].get("message") or choices[0].get("text"))
        if isinstance(told.get("messages"), Sequence):
            return messages_of(told) or ()
        if "content" in told or "tool_calls" in told:
            return messages_of([{"role": _ASSISTANT, **_with_arguments(told)}]) or ()
    if isinstance(told, Sequence) and not isinstance(told, str) and all(isinstance(one, Mapping) for one in told):
        return messages_of(told) or ()
    words = text_of(told)
    return (Message(_ASSISTANT, words),) if words else ()


def worked(told: Conversation, where: str, capability: str | None, tags: Mapping[str, Json] = {}) -> Worked:
    """The conversation as a piece of work. Raises Unreadable where nobody answered."""
    said = _last_said(told.messages)
    if not said:
        raise Unreadable("nobody answered")
    case = _case_of(told, capability or UNSORTED)
    head, steps = _head_of(told, case), _steps_of(told)
    return Worked(where=where, capability=capability, case=case, head=head, steps=steps, said=said, tags=tags)


def _case_of(told: Conversation, capability: str) -> Case:
    """What came in: all that was said before the assistant spoke first, without the instructions."""
    spoken = next((place for place, one in enumerate(told.messages) if one.role == _ASSISTANT), len(told.messages))
    asked = tuple(one for one in told.messages[:spoken] if one.role not in PROMPT_ROLES)
    return Case(
        id=f"cas_{told.id.partition('_')[2] or told.id}",
        capability=capability,
        group=told.group,
        at=told.at,
        messages=asked,
        context=told.context,
        key=told.key,
    )


def _head_of(told: Conversation, case: Case) -> Trajectory:
    """The trajectory without what its steps took; its answer is yet to be put into the contract's shape."""
    ended = max(told.times.values(), default=told.at)
    return Trajectory(
        id=told.id,
        case=case.id,
        capability=case.capability,
        at=told.at,
        answer=Answer(value=None, stage=Stage.PERSON if told.person else Stage.GENERALIST),
        policy="",
        memory=0,
        seed=0,
        propensity=1.0,
        elapsed_s=max(0.0, (ended - told.at).total_seconds()),
        energy=UNKNOWN_ENERGY,
        usage=Usage(None, None),
        generalist=None if told.person else told.model,
    )


def _last_said(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The last thing that the assistant said; empty: it never spoke."""
    spoken = [one for one in messages if one.role == _ASSISTANT]
    return tuple(spoken[-1:])


def _steps_of(told: Conversation) -> tuple[Step, ...]:
    """The steps of the conversation, each with the messages that it added, in their order."""
    found: list[Step] = []
    waiting: list[Message] = []
    for place, message in enumerate(told.messages):
        waiting.append(message)
        if message.role in (_ASSISTANT, _TOOL):
            found.append(_step(told, place, tuple(waiting)))
            waiting = []
    if waiting and found:
        last = found[-1]
        found[-1] = msgspec.structs.replace(last, messages=(*(last.messages or ()), *waiting))
    return tuple(found)


def _step(told: Conversation, place: int, added: tuple[Message, ...]) -> Step:
    message = told.messages[place]
    called = message.role == _TOOL
    calls = place == len(told.messages) - 1 or all(one.role != _ASSISTANT for one in told.messages[place + 1 :])
    kind = StepKind.TOOL if called else StepKind.OTHER if told.person else StepKind.CALL
    unknown = Usage(None, None) if kind is StepKind.CALL else Usage()
    return Step(
        id=f"stp_{told.id.partition('_')[2] or told.id}_{place}",
        trajectory=told.id,
        at=told.times.get(place, told.at),
        kind=kind,
        name=(_tool_name(told.messages[:place], message) if called else _PERSON if told.person else "chat"),
        source=told.kind,
        model=told.model if kind is StepKind.CALL else None,
        usage=told.usage if kind is StepKind.CALL and calls else unknown,
        messages=added,
        details=told.details.get(place, {}),
    )


def _tool_name(before: Sequence[Message], message: Message) -> str:
    calls: Iterator[ToolCall] = (call for one in reversed(before) for call in one.tool_calls)
    named = message.name or next((call.name for call in calls if call.id == message.tool_call_id), None)
    return (named or "tool")[:200]


def _with_arguments(told: Mapping[str, Any]) -> Mapping[str, Any]:
    calls = told.get("tool_calls")
    if not isinstance(calls, Sequence) or isinstance(calls, str):
        return told
    return {**told, "tool_calls": [_call(one) for one in calls]}


def _call(told: Json) -> Json:
    if isinstance(told, Mapping) and "args" in told and "arguments" not in told and "function" not in told:
        return {**told, "arguments": told["args"]}
    return told
