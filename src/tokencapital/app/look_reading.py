"""Recorded work as `tcap look` reads it, from wherever it was recorded. Nothing is kept and nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from tokencapital.core.call import Step, StepKind
from tokencapital.core.case import Json, Message
from tokencapital.core.errors import MalformedLine
from tokencapital.core.judgment import Verdict
from tokencapital.core.quantity import Money, Usage
from tokencapital.meter.meter import Meter
from tokencapital.record.imports.conversation import read_answer, read_messages
from tokencapital.record.imports.lines import json_lines, text
from tokencapital.record.imports.logged import logged_in
from tokencapital.record.imports.told import Judged, Seen, Skip, Source, Traced, Worked
from tokencapital.record.spans_deeds import steps_in
from tokencapital.serve.shapes.tokens import usage_in
from tokencapital.store.spans import trajectory_of_trace

_SCORED = frozenset({"score", "scores", "rating", "user_rating", "annotations", "evaluations"})
_THUMBS = frozenset({"feedback", "thumb", "thumbs", "thumbs_up", "thumbs_down", "like", "liked", "upvote"})
_EDITED = frozenset(
    {"edited", "edited_output", "final", "final_text", "sent", "correction", "corrected", "expected_output"}
)
_OUTCOMES = frozenset({"outcome", "outcomes", "reward", "resolved", "converted"})
_LABELS = frozenset({"label", "gold", "annotation"})
_APPROVING = ("approve", "reject", "confirm", "escalate", "transfer_to_human", "sign_off", "refund")
_SUGGESTED = "suggestions taken or rewritten"


class Spent(Struct, frozen=True):
    """What one call took. `cost` None: the record does not say."""

    model: str | None
    usage: Usage
    cost: Money | None = None


class Recorded(Struct, frozen=True, kw_only=True):
    """One recorded piece of work: a call, or a whole conversation. `id` None: it has no name.

    `tools` are the names of those that were offered, `decisions` what people decided in it, by kind. None: unknown.
    """

    messages: tuple[Message, ...]
    answer: tuple[Message, ...] = ()
    id: str | None = None
    tools: tuple[str, ...] = ()
    spent: tuple[Spent, ...] = ()
    application: str | None = None
    at: datetime | None = None
    decisions: tuple[str, ...] = ()


class Decided(Struct, frozen=True):
    """What a person said, or the business saw, of a piece of work that has this name."""

    id: str
    what: str


Looked = Recorded | Decided | Skip


def read_lines(path: Path) -> Iterator[Looked]:
    """The calls, conversations, cases or runs of a file, an object a line or in a list.

    Raises InputError where the file cannot be read.
    """
    for line in json_lines(path, "data", "logs", "traces"):
        if isinstance(line, MalformedLine):
            yield Skip(line.where or "", "it is no JSON object")
            continue
        try:
            yield recorded_in(line.told)
        except ValueError as error:
            yield Skip(line.where, str(error))


def recorded_in(told: Mapping[str, Json]) -> Recorded:
    """The work in one object of a log. Raises ValueError where nothing was asked in it."""
    logged = logged_in(told)
    request, reply = logged.request, logged.reply
    messages = _asked(request)
    metadata = request.get("metadata")
    spent = Spent(logged.model, usage_in(reply.get("usage") or told.get("usage")))
    return Recorded(
        messages=messages,
        answer=read_answer(logged.response),
        id=text(told.get("id")) or text(reply.get("id")),
        tools=tuple(sorted(_tool_names(request.get("tools")))),
        spent=(spent,),
        application=text(told.get("application")) or _named(metadata, "application", "app", "service"),
        at=logged.at,
        decisions=tuple(decisions_in(told, messages)),
    )


def read_source(source: Source, meter: Meter) -> Iterator[Looked]:
    """What another tool keeps: its traces as conversations, and what was said of them."""
    for bunch in source:
        for one in bunch.told:
            match one:
                case Traced(trace=trace):
                    steps = steps_in(trace, meter, {})
                    yield from _worked(trajectory_of_trace(trace.id), steps, ())
                case Worked(head=head, case=case, steps=steps):
                    yield from _worked(head.id, steps, case.messages)
                case Judged(trajectory=name, case=case, verdict=verdict):
                    yield Decided(name or case or "", "edits" if verdict is Verdict.CORRECTED else "labels")
                case Seen(trajectory=name, key=key):
                    yield Decided(name or key or "", "scores and outcomes")
                case _:
                    yield one


def of_steps(name: str, steps: Sequence[Step], asked: Sequence[Message]) -> Recorded | None:
    """A stored piece of work; None: none of its words are kept."""
    said = [message for step in steps for message in step.messages or ()]
    messages = tuple(said or asked)
    if not messages:
        return None
    calls = [step for step in steps if step.kind is StepKind.CALL]
    return Recorded(
        id=name,
        messages=messages,
        spent=tuple(Spent(step.model, step.usage, step.cost) for step in calls),
        application=next((step.application for step in steps if step.application), None),
        at=steps[0].at if steps else None,
        decisions=tuple(decisions_in({}, messages)),
    )


def decisions_in(told: Mapping[str, Json], messages: Sequence[Message]) -> Iterator[str]:
    """The kinds of human decisions that stand in an object of a log, each once."""
    names = {name for name, value in told.items() if value not in (None, "", [], {})}
    known = (("edits", _EDITED), ("labels", _LABELS), ("scores", _SCORED), ("thumbs", _THUMBS), ("outcomes", _OUTCOMES))
    yield from (kind for kind, signs in known if names & signs)
    if "labels" not in names and "input" in names and "answer" in names:
        yield "labels"
    said = told.get("messages")
    if isinstance(said, list) and any(isinstance(one, dict) and one.get("origin") for one in said):
        yield _SUGGESTED
    called = {call.name.lower() for message in messages for call in message.tool_calls}
    if any(name.startswith(sign) or f"_{sign}" in name for name in called for sign in _APPROVING):
        yield "tool calls that decide"


def _asked(request: Mapping[str, Any]) -> tuple[Message, ...]:
    prompt = request.get("system") or request.get("instructions")
    before = (Message("system", _words(prompt)),) if prompt else ()
    said = request.get("messages") or request.get("input")
    if isinstance(said, str):
        return (*before, Message("user", said))
    if isinstance(said, list):
        said = [one for one in said if not (isinstance(one, dict) and one.get("role") == "draft")]
    return (*before, *read_messages(said))


def _words(prompt: Json) -> str:
    if isinstance(prompt, list):
        return "\n".join(str(part.get("text", "")) for part in prompt if isinstance(part, dict))
    return str(prompt)


def _worked(name: str, steps: Sequence[Step], asked: Sequence[Message]) -> Iterator[Looked]:
    found = of_steps(name, steps, asked)
    yield found if found is not None else Skip(name, "its words are not kept")


def _tool_names(tools: Json) -> Iterator[str]:
    for one in tools if isinstance(tools, list) else ():
        named = one.get("function", one) if isinstance(one, dict) else {}
        if isinstance(named, dict) and isinstance(named.get("name"), str):
            yield named["name"]


def _named(metadata: Json, *names: str) -> str | None:
    found = metadata if isinstance(metadata, Mapping) else {}
    return next((text(found[name]) for name in names if found.get(name)), None)
