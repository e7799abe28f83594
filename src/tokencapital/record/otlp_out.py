"""Trajectories as OpenTelemetry's spans: for any collector, and such that a house which reads them has the same steps.

A step goes out in the `gen_ai.*` names and, for houses, whole in `tcap.step`. The trace's id stands for the
trajectory's: where that was made of a trace it is that one, and where the house made it it can be read back.
"""

from __future__ import annotations

import gzip
import http.client
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from hashlib import blake2b
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tokencapital.core.call import Step, StepKind
from tokencapital.core.case import Json, Message
from tokencapital.core.errors import InputError
from tokencapital.record.exports import Exported, Tell
from tokencapital.record.otlp import PROTOBUF
from tokencapital.record.spans_own import ANSWER, KIND, MESSAGES, STEP
from tokencapital.record.spans_told import nanoseconds
from tokencapital.store.database import Store
from tokencapital.store.exporting import Recorded, Wanted, recorded
from tokencapital.store.spans import trace_of_trajectory

_AT_ONCE = 64
"""So many trajectories go out in one batch."""
_SPAN_BYTES, _TRACE_BYTES, _SPAN_DIGITS = 8, 16, 16
_OPERATIONS = {StepKind.CALL: "chat", StepKind.TOOL: "execute_tool", StepKind.AGENT: "invoke_agent"}
_encode = msgspec.json.Encoder().encode


def write_otlp(store: Store, wanted: Wanted, out: Callable[[bytes], object], tell: Tell) -> Exported:
    """The trajectories have gone out, batch by batch; nothing but one page of them is held in memory."""
    counted = Exported()
    for page in recorded(store, wanted):
        for start in range(0, len(page), _AT_ONCE):
            some = page[start : start + _AT_ONCE]
            out(write_batch(some))
            counted.trajectories += len(some)
            counted.steps += sum(len(one.steps) for one in some)
            counted.erased += sum(one.case is None for one in some)
        tell(counted.trajectories)
    return counted


def write_batch(outgoing: Iterable[Recorded]) -> bytes:
    """The trajectories as one batch in protobuf."""
    from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

    batch = TracesData()
    told = batch.resource_spans.add()
    _put(told.resource.attributes, {"service.name": "tokencapital"})
    scope = told.scope_spans.add()
    scope.scope.name = "tokencapital.export"
    for one in outgoing:
        _add(scope, one)
    return bytes(batch.SerializeToString())


class Collector:
    """A collector behind a URL that takes OpenTelemetry's batches over HTTP. `headers` may hold a key."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None, timeout_s: float = 30.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InputError("this is no address of a collector, such as http://127.0.0.1:4318", where=url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout_s)
        path = parts.path.rstrip("/")
        self._path = path if path.endswith("/traces") else f"{path}/v1/traces"
        self._headers = {"content-type": PROTOBUF, "content-encoding": "gzip", **(headers or {})}
        self._where = f"{parts.scheme}://{parts.netloc}{self._path}"

    def close(self) -> None:
        """The connection is closed."""
        self._connection.close()

    def take(self, batch: bytes) -> None:
        """The collector has taken the batch. Raises InputError where it does not."""
        try:
            self._connection.request("POST", self._path, gzip.compress(batch, 1), self._headers)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise InputError("the collector cannot be reached", where=self._where) from error
        if answer.status >= 300:
            raise InputError(f"the collector answered {answer.status}", where=self._where)


def _add(scope: Any, one: Recorded) -> None:
    done = one.done
    trace = _trace_id(done.id)
    names = {step.id: _span_id(step.id, trace) for step in one.steps}
    steps: Sequence[Step | None] = one.steps or (None,)
    for number, step in enumerate(steps):
        span = scope.spans.add()
        span.trace_id = trace
        _put(span.attributes, _head(one) if number == 0 else {})
        if step is None:
            _span(span, _digest(done.id, _SPAN_BYTES), "answer", (done.at, done.elapsed_s))
            _put(span.attributes, {KIND: StepKind.AGENT.value})
            continue
        _span(span, names[step.id], step.name, (step.at, step.elapsed_s))
        span.parent_span_id = names.get(step.parent or "", b"")
        span.status.code = 2 if step.failure else 1
        _put(span.attributes, {**_told(step), STEP: _encode(step).decode()})


def _span(span: Any, name: bytes, called: str, when: tuple[Any, float]) -> None:
    at, elapsed_s = when
    span.span_id, span.name = name, called
    span.start_time_unix_nano = nanoseconds(at)
    span.end_time_unix_nano = nanoseconds(at + timedelta(seconds=elapsed_s))


def _head(one: Recorded) -> dict[str, Json]:
    """What is said of the whole trajectory."""
    done, case = one.done, one.case
    found: dict[str, Json] = {"tcap.capability": done.capability}
    if case is not None:
        found |= {
            "tcap.group": case.group,
            "tcap.key": case.key,
            MESSAGES: _encode([case.messages, case.context]).decode(),
        }
    if done.answer.value is not None:
        found[ANSWER] = _encode(done.answer.value).decode()
    return found


def _told(step: Step) -> dict[str, Json]:
    """The step in the names of OpenTelemetry."""
    usage, messages = step.usage, step.messages
    found: dict[str, Json] = {
        "gen_ai.operation.name": _OPERATIONS.get(step.kind),
        "gen_ai.provider.name": step.provider,
        "gen_ai.response.model": step.model,
        "gen_ai.response.id": step.details.get("response"),
        "error.type": step.failure,
    }
    if step.kind is StepKind.CALL:
        if usage.input is not None:
            found["gen_ai.usage.input_tokens"] = usage.input + usage.cache_read + usage.cache_write
        found["gen_ai.usage.output_tokens"] = usage.output
        if messages:
            said = 1 if messages[-1].role == "assistant" else 0
            found["gen_ai.input.messages"] = _messages(messages[: len(messages) - said])
            found["gen_ai.output.messages"] = _messages(messages[len(messages) - said :])
    return {name: value for name, value in found.items() if value is not None}


def _messages(messages: Sequence[Message]) -> str | None:
    """Messages with OpenTelemetry's parts."""
    told = []
    for one in messages:
        parts: list[Json] = [{"type": "text", "content": one.content}] if one.content else []
        if one.tool_call_id is not None:
            parts = [{"type": "tool_call_response", "id": one.tool_call_id, "response": one.content}]
        calls = [{"type": "tool_call", "id": c.id, "name": c.name, "arguments": c.arguments} for c in one.tool_calls]
        told.append({"role": one.role, "parts": [*parts, *calls, *one.parts]})
    return _encode(told).decode() if told else None


def _trace_id(trajectory: str) -> bytes:
    """The id of the trace that stands for the trajectory, or one that follows from its name."""
    known = trace_of_trajectory(trajectory)
    return _digest(trajectory, _TRACE_BYTES) if known is None else bytes.fromhex(known)


def _span_id(step: str, trace: bytes) -> bytes:
    """The id of the span that the step was made of, or one that follows from the step's."""
    rest = step.partition("_")[2]
    if len(rest) == _TRACE_BYTES * 2 + _SPAN_DIGITS and rest.startswith(trace.hex()):
        return bytes.fromhex(rest[-_SPAN_DIGITS:])
    return _digest(step, _SPAN_BYTES)


def _digest(name: str, size: int) -> bytes:
    """Bytes that follow from the name and begin like no trace that stands for a trajectory of another origin."""
    return b"\x01" + blake2b(name.encode(), digest_size=size - 1).digest()


def _put(into: Any, attributes: Mapping[str, Json]) -> None:
    for name, value in attributes.items():
        one = into.add()
        one.key = name
        if isinstance(value, int):
            one.value.int_value = value
        else:
            one.value.string_value = str(value).encode("utf-8", "replace").decode()
