"""The gateway: capabilities behind OpenAI's and Anthropic's APIs, so that an app changes one base URL."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tokencapital.core.answer import Answer, Exchange, Trajectory
from tokencapital.core.call import UNSORTED, Wire
from tokencapital.core.case import Capability, Case, Value
from tokencapital.core.clock import Clock
from tokencapital.core.errors import (
    AccessRefused,
    InputError,
    KeyRefused,
    LimitReached,
    ModelError,
    StoreConflict,
    StoreError,
    TokenCapitalError,
    UnknownCapability,
)
from tokencapital.core.ids import IdSource
from tokencapital.serve.engine import Engine
from tokencapital.serve.faults import fault_message
from tokencapital.serve.relay_wire import GROUP, KEY
from tokencapital.serve.shapes.written import write_value, written
from tokencapital.serve.wire import (
    CapabilityRequest,
    answer_headers,
    error_body,
    read_request,
    write_stream,
    write_whole,
)

_ANTHROPIC = "/v1/messages"
_ANTHROPIC_KINDS = {
    "forbidden": "permission_error",
    "not_found": "not_found_error",
    "unavailable": "overloaded_error",
    "internal_error": "api_error",
    "conflict": "invalid_request_error",
    "unprocessable": "invalid_request_error",
}
UNSURE = "x-tcap-unsure"


class Unsure(StrEnum):
    """What a caller wants where no stage is sure: the best answer, or to wait for a person."""

    ANSWER = "answer"
    WAIT = "wait"


class Settled(Struct, frozen=True):
    """What was done on a case, and what a person decided since; `decided` False: nobody has yet."""

    trajectory: Trajectory
    decided: bool
    value: Value


class Desks(Protocol):
    """What the gateway needs of the house."""

    clock: Clock
    ids: IdSource

    def engine(self, capability: str) -> Engine:
        """The engine of a capability. Raises UnknownCapability."""
        ...

    def shadow(self, capability: str) -> Engine | None:
        """The engine that answers beside, shown to nobody; None: there is none. Raises UnknownCapability."""
        ...

    def capabilities(self) -> Sequence[Capability]:
        """All capabilities."""
        ...

    def settled(self, trajectory: str) -> Settled | None:
        """How a trajectory stands; None: there is none with this id."""
        ...

    def clean(self, case: Case) -> Case:
        """The case without what may not be kept."""
        ...


class Gateway:
    """Serves chat completions, responses, messages, the list of models, and answers that were waited for.

    `passed` gives the models that are passed on to providers, each with its provider's name.
    """

    def __init__(self, desks: Desks, passed: Callable[[], Sequence[tuple[str, str]]] = tuple) -> None:
        self._desks = desks
        self._passed = passed

    def routes(self) -> list[Route]:
        """What the platform mounts."""
        return [
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/responses", self.respond, methods=["POST"]),
            Route("/v1/messages", self.message, methods=["POST"]),
            Route("/v1/models", self.models),
            Route("/v1/answers/{trajectory}", self.answer),
        ]

    async def chat(self, request: Request) -> Response:
        """The capability's answer as a chat completion; 202 with an address where the caller waits for a person."""
        return await self._ask(Wire.CHAT, request)

    async def respond(self, request: Request) -> Response:
        """The capability's answer as a response of OpenAI's newer API; 202 as above."""
        return await self._ask(Wire.RESPONSES, request)

    async def message(self, request: Request) -> Response:
        """The capability's answer as a message of Anthropic's API; 202 as above."""
        return await self._ask(Wire.MESSAGES, request)

    async def models(self, request: Request) -> Response:
        """Capabilities, and the models that providers declare by name, in the shape of OpenAI's list of models; to
        who sends `anthropic-version` in that of Anthropic's."""
        named = {one.name: "tokencapital" for one in self._desks.capabilities() if one.name != UNSORTED}
        named = {**dict(self._passed()), **named}
        if "anthropic-version" in request.headers:
            one = {"type": "model", "created_at": "1970-01-01T00:00:00Z"}
            theirs = [{**one, "id": name, "display_name": name} for name in named]
            ends = {"first_id": next(iter(named), None), "last_id": next(reversed(named), None)}
            return JSONResponse({"data": theirs, "has_more": False, **ends})
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": owner} for name, owner in named.items()]
        return JSONResponse({"object": "list", "data": listed})

    async def answer(self, request: Request) -> Response:
        """What a person decided on a case that is waited for; 202 until somebody has."""
        settled = self._desks.settled(request.path_params["trajectory"])
        if settled is None:
            return JSONResponse(error_body("there is no such trajectory", "not_found"), 404)
        if not settled.decided:
            return _waiting(settled.trajectory)
        content = write_value(settled.value)
        return JSONResponse({"id": settled.trajectory.id, "status": "decided", "content": content})

    async def _ask(self, wire: Wire, request: Request) -> Response:
        asked = read_request(wire, await request.body())
        unsure = _unsure(request)
        engine, shadow = self._desks.engine(asked.model), self._desks.shadow(asked.model)
        case = self._desks.clean(self._case(asked, request))
        response = _respond(asked, await engine.answer(case), unsure)
        if shadow is not None:
            response.background = BackgroundTask(shadow.answer, case)
        return response

    def _case(self, asked: CapabilityRequest, request: Request) -> Case:
        identity = self._desks.ids.new("cas")
        return Case(
            id=identity,
            capability=asked.model,
            group=request.headers.get(GROUP) or asked.user or identity,
            at=self._desks.clock.now(),
            messages=asked.messages,
            context=asked.context,
            key=request.headers.get(KEY) or identity,
        )


async def refuse(request: Request, error: Exception) -> Response:
    """Any error as a response with the status that fits it, in the shape of the API that was asked."""
    headers: dict[str, str] = {}
    match error:
        case KeyRefused():
            status, kind, headers = 401, "authentication_error", {"www-authenticate": "Bearer"}
        case AccessRefused():
            status, kind = 403, "forbidden"
        case LimitReached():
            status, kind = 429, "rate_limit_error"
            headers = {} if error.retry_after_s is None else {"retry-after": f"{math.ceil(error.retry_after_s)}"}
        case UnknownCapability():
            status, kind = 404, "not_found"
        case InputError():
            status, kind = 400, "invalid_request_error"
        case StoreConflict():
            status, kind = 409, "conflict"
        case ModelError() | StoreError():
            status, kind = 503, "unavailable"
        case TokenCapitalError():
            status, kind = 422, "unprocessable"
        case _:
            status, kind, headers = _not_ours(error)
    body = error_body(_message(error), kind)
    if str(request.scope.get("path")).startswith(_ANTHROPIC):
        body = {"type": "error", "error": {"type": _ANTHROPIC_KINDS.get(kind, kind), "message": _message(error)}}
    return JSONResponse(body, status, headers=headers)


def _not_ours(error: Exception) -> tuple[int, str, dict[str, str]]:
    match error:
        case HTTPException():
            return error.status_code, "invalid_request_error", dict(error.headers or {})
        case ClientDisconnect() | RecursionError() | UnicodeError():
            return 400, "invalid_request_error", {}
        case _:
            return 500, "internal_error", {}


def _message(error: Exception) -> str:
    match error:
        case TokenCapitalError() | HTTPException():
            return str(error)
        case ClientDisconnect():
            return "the caller hung up"
        case RecursionError():
            return "the body is nested too deeply"
        case UnicodeError():
            return "the body is no UTF-8"
        case _:
            return fault_message(error)


def _respond(asked: CapabilityRequest, exchange: Exchange, unsure: Unsure) -> Response:
    done = exchange.trajectory
    if _must_wait(done.answer, unsure):
        return _waiting(done)
    headers = answer_headers(done)
    answer = written(exchange, asked.model, tells_usage=asked.tells_usage)
    if asked.streamed:
        stream = write_stream(asked.wire, answer)
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)
    return Response(write_whole(asked.wire, answer), media_type="application/json", headers=headers)


def _unsure(request: Request) -> Unsure:
    wanted = request.headers.get(UNSURE, Unsure.ANSWER)
    try:
        return Unsure(wanted)
    except ValueError:
        raise InputError(f"{UNSURE} is {wanted!r}", remedy="Send `answer` or `wait`.") from None


def _must_wait(answer: Answer, unsure: Unsure) -> bool:
    return answer.value is None or (unsure is Unsure.WAIT and not answer.sure)


def _waiting(done: Trajectory) -> Response:
    address = f"/v1/answers/{done.id}"
    body = {"id": done.id, "object": "tcap.waiting", "status": "waiting for a person", "url": address}
    return JSONResponse(body, 202, headers={**answer_headers(done), "location": address, "retry-after": "60"})
