"""Trajectories of functions and agents that run in your own process, without a gateway in between.

    from tokencapital.serve.sdk import connect, trace

    connect("http://127.0.0.1:8000", key="tcap_...")

    @trace(capability="triage")
    def triage(mail: str) -> str:
        with trace("look up the customer", kind="tool") as step:
            step.answer(find(mail))
        return "billing"

Functions may be plain, async, generators or async generators; what is called within belongs to what called it. What a
function is given and what it returns is recorded, and an exception, which goes on. Nothing here ever raises into the
application: what cannot be sent is dropped, counted (`connection().counts`) and told on the log `tokencapital.sdk`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, overload

from msgspec import Struct

from tokencapital.serve.sdk_functions import traced
from tokencapital.serve.sdk_sending import SendingSettings, Sent
from tokencapital.serve.sdk_spans import Plain
from tokencapital.serve.sdk_steps import Step, begin, connect, connection, disconnect, end, flush

__all__ = [
    "ModelCall",
    "SendingSettings",
    "Sent",
    "Step",
    "Usage",
    "connect",
    "connection",
    "disconnect",
    "flush",
    "record_call",
    "trace",
]
_log = logging.getLogger("tokencapital.sdk")
_Function = TypeVar("_Function", bound=Callable[..., Any])


class Told(Struct, frozen=True, kw_only=True):
    """What is said of a piece of work: see `trace`."""

    capability: str | None = None
    case: str | None = None
    group: str | None = None
    key: str | None = None
    kind: str = "agent"

    def attributes(self) -> dict[str, Plain]:
        """The same as attributes of a span."""
        named = {"capability": self.capability, "case": self.case, "group": self.group, "key": self.key}
        found: dict[str, Plain] = {f"tcap.{name}": value for name, value in named.items() if value}
        return {"tcap.kind": self.kind, **found}


@overload
def trace(work: _Function) -> _Function: ...
@overload
def trace(
    work: str | None = None,
    *,
    capability: str | None = None,
    case: str | None = None,
    group: str | None = None,
    key: str | None = None,
    kind: str = "agent",
) -> _Traced: ...
def trace(work: Any = None, **told: Any) -> Any:
    """Records functions as a decorator, with or without arguments, and anything else as a context manager.

    `capability`, `case`, `group` (the entity) and `key` (the business key) say whose work it is; the outermost counts.
    `kind` is `agent`, `tool`, `retrieval` or `other`.
    """
    if callable(work):
        return traced(work, work.__qualname__, Told().attributes())
    return _Traced(work or "", Told(**told).attributes())


class _Traced(Step):
    """What `trace(...)` gives: a step, and a decorator."""

    __slots__ = ()

    def __call__(self, function: _Function) -> _Function:
        recorded: _Function = traced(function, self.name or function.__qualname__, self._told)
        return recorded


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens of a call; `input` counts all of the input, cached or not. None: the provider did not say."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None


class ModelCall(Struct, frozen=True, kw_only=True):
    """A call of a model that was made otherwise: its messages and answer in the shape of OpenAI's chat API.

    `began_ns` is when it began, in nanoseconds since 1970; None: just now. `response` is the provider's id of the
    answer, by which a call that another instrument tells too is counted once.
    """

    model: str
    messages: Sequence[Mapping[str, Any]] | None = None
    answer: str | Mapping[str, Any] | None = None
    usage: Usage = Usage()
    provider: str | None = None
    response: str | None = None
    began_ns: int | None = None
    error: BaseException | None = None


def record_call(call: ModelCall) -> None:
    """The call is a step of what goes on now, or else a trajectory of its own."""
    span = begin(f"chat {call.model}", {})
    if span is None:
        return
    try:
        span.began = call.began_ns or span.began
        usage = call.usage
        told = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": call.model,
            "gen_ai.provider.name": call.provider,
            "gen_ai.response.id": call.response,
            "gen_ai.usage.input_tokens": usage.input,
            "gen_ai.usage.output_tokens": usage.output,
            "gen_ai.usage.cache_read.input_tokens": usage.cache_read,
            "gen_ai.usage.cache_creation.input_tokens": usage.cache_write,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning,
        }
        span.attributes.update({name: value for name, value in told.items() if value is not None})
        if call.messages is not None:
            span.put("gen_ai.input.messages", call.messages)
        if call.answer is not None:
            said = {"role": "assistant", "content": call.answer} if isinstance(call.answer, str) else call.answer
            span.put("gen_ai.output.messages", [said])
    except Exception:  # noqa: BLE001 (the application goes on)
        _log.debug("a call could not be described")
    end(span, call.error)
