"""Spans in our own names: those of the SDK, and those that trajectories go out as.

`tcap.kind` says what a span is. `tcap.input` and `tcap.answer` are JSON. `tcap.step` is a whole step, `tcap.messages`
what came in with its case, so that what went out comes back as it was; a trajectory's id is never taken from there.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tokencapital.core.call import Step, StepKind
from tokencapital.core.case import Json, Message
from tokencapital.core.quantity import Usage
from tokencapital.record.spans_told import Deed, Span, text_of

KIND, INPUT, ANSWER, STEP, OUTCOME = "tcap.kind", "tcap.input", "tcap.answer", "tcap.step", "tcap.outcome"
MESSAGES = "tcap.messages"
_KINDS = {one.value: one for one in StepKind}
_step = msgspec.json.Decoder(Step)
_came_in = msgspec.json.Decoder(tuple[tuple[Message, ...], dict[str, Json]])


def read_own(span: Span) -> Deed | None:
    """What was done in the span; None where it is not told in these names, or is a call that tells it in others."""
    told = span.attributes
    if STEP in told:
        return Deed(span=span, kind=StepKind.OTHER, name=span.name, usage=Usage())
    kind = _KINDS.get(str(told.get(KIND)))
    if kind is None or kind is StepKind.CALL:
        return None
    given, answer = told.get(INPUT), told.get(ANSWER)
    role = "tool" if kind in (StepKind.TOOL, StepKind.RETRIEVAL) else "assistant"
    return Deed(
        span=span,
        kind=kind,
        name=span.name,
        asked=None if given is None else (Message("user", plain(given)),),
        said=None if answer is None else (Message(role, plain(answer)),),
        usage=Usage(),
        failure=span.failure,
    )


def step_told(span: Span, step: Step) -> Step | None:
    """The step that the span says it is, at the place of `step` in its trajectory; None: it says none.

    Whose it is says the key that it was sent with, if it was sent with one.
    """
    whole = span.attributes.get(STEP)
    if not isinstance(whole, str):
        return None
    try:
        told = _step.decode(whole.encode())
    except (msgspec.MsgspecError, ValueError):
        return None
    return msgspec.structs.replace(told, trajectory=step.trajectory, application=step.application or told.application)


def came_in(span: Span) -> tuple[tuple[Message, ...], dict[str, Json]] | None:
    """The messages and the context that the span says came in with the case; None: it does not."""
    told = span.attributes.get(MESSAGES)
    try:
        return _came_in.decode(told.encode()) if isinstance(told, str) else None
    except (msgspec.MsgspecError, ValueError):
        return None


def decoded(value: Json) -> Any:
    """What a JSON text says; what is none as it is."""
    try:
        return msgspec.json.decode(value) if isinstance(value, str) else value
    except (msgspec.MsgspecError, RecursionError):
        return value


def plain(value: Json) -> str:
    """A JSON text as words: a string without its quotes, anything else as JSON."""
    return text_of(decoded(value)) or ""
