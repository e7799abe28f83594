"""Our endpoints as OpenAPI 3.1, made from the routes, the structs of their bodies and the rules of the door."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tokencapital.app.guard import MACHINES, PUBLIC, RUNNING
from tokencapital.app.health import Alive, Ready
from tokencapital.record.knowledge_routes import KnowledgeQuery
from tokencapital.record.otlp_routes import TraceBody
from tokencapital.record.routes import OutcomeBody
from tokencapital.review.routes import JudgmentBody
from tokencapital.serve.gateway import UNSURE, Unsure
from tokencapital.serve.relay_wire import GROUP, KEY, Head, NoBody
from tokencapital.serve.wire import ChatRequest

Schema = dict[str, Any]

PATH = "/openapi.json"
OURS = ("/v1/", "/healthz", "/readyz", "/metrics", PATH)
"""Where the paths begin that programs use; the others are pages."""
BODIES: Mapping[str, type[Struct]] = {
    "/v1/chat/completions": ChatRequest,
    "/v1/judgments": JudgmentBody,
    "/v1/knowledge/search": KnowledgeQuery,
    "/v1/responses": Head,
    "/v1/responses/{response}/cancel": NoBody,
    "/v1/embeddings": Head,
    "/v1/messages": Head,
    "/v1/messages/count_tokens": Head,
    "/v1/outcomes": OutcomeBody,
    "/v1/traces": TraceBody,
}
"""What each posted endpoint takes. Of a wire that is passed on it is what we read; the rest is the provider's."""
LISTED = frozenset({"/v1/judgments", "/v1/outcomes"})
"""Endpoints that take one thing or a list of them."""
_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")


class Waiting(Struct, frozen=True):
    """A case that waits for a person, and where the answer will stand."""

    id: str
    object: str
    status: str
    url: str


class ReadyBody(Struct, frozen=True):
    """How the house stands."""

    status: Ready
    parts: dict[str, Ready]
    reasons: list[str]


_ANY: Schema = {"type": "object"}
_ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type"],
            "properties": {"message": {"type": "string"}, "type": {"type": "string"}},
        }
    },
}
_RECORDED: Schema = {"type": "object", "required": ["recorded"], "properties": {"recorded": {}}}
_HITS: Schema = {
    "type": "object",
    "required": ["query", "hits"],
    "properties": {"query": {"type": "string"}, "hits": {"type": "array", "items": _ANY}},
}
_MODELS: Schema = {
    "type": "object",
    "required": ["object", "data"],
    "properties": {
        "object": {"const": "list"},
        "data": {"type": "array", "items": {"type": "object", "required": ["id", "object", "owned_by"]}},
    },
}
_DECIDED: Schema = {
    "type": "object",
    "required": ["id", "status", "content"],
    "properties": {"id": {"type": "string"}, "status": {"const": "decided"}, "content": {"type": ["string", "null"]}},
}
_ANSWERS: Mapping[str, Mapping[int, Schema | type[Struct]]] = {
    "/v1/chat/completions": {200: _ANY, 202: Waiting},
    "/v1/responses": {200: _ANY, 202: Waiting},
    "/v1/messages": {200: _ANY, 202: Waiting},
    "/v1/judgments": {201: _ANY, 207: _RECORDED},
    "/v1/outcomes": {201: _RECORDED, 202: _ANY, 207: _RECORDED},
    "/v1/knowledge/search": {200: _HITS},
    "/v1/models": {200: _MODELS},
    "/v1/answers/{trajectory}": {200: _DECIDED, 202: Waiting},
    "/healthz": {200: Alive},
    "/readyz": {200: ReadyBody, 503: ReadyBody},
}
"""What our endpoints answer; of those that are not here it is an object, in the provider's shape."""
_REFUSED: Schema = {"$ref": "#/components/responses/Refused"}
_REFUSALS = (400, 401, 403, 404, 405, 408, 409, 413, 415, 421, 422, 429, 431, 500, 502, 503, 504)
_TEXT: Mapping[str, str] = {"/metrics": "text/plain"}
_TRACES = "/v1/traces"
_OTLP: Schema = {
    "content": {"application/json": {"schema": {"type": "object"}}, "application/x-protobuf": {"schema": {}}}
}
"""OpenTelemetry says what is in them."""
_HEADERS: Mapping[str, tuple[tuple[str, Schema], ...]] = {
    "/v1/chat/completions": (
        (GROUP, {"type": "string"}),
        (KEY, {"type": "string"}),
        (UNSURE, {"enum": [one.value for one in Unsure]}),
    ),
}


class OpenApi:
    """Serves the description of the routes that it was given."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._routes = [*routes, *self.routes()]
        self._written: bytes | None = None

    def routes(self) -> list[Route]:
        """What the platform mounts."""
        return [Route(PATH, self.describe)]

    async def describe(self, request: Request) -> Response:
        """Our endpoints, their bodies and answers, as OpenAPI 3.1."""
        if self._written is None:
            self._written = msgspec.json.encode(described(self._routes))
        return Response(self._written, media_type="application/json")


def described(routes: Sequence[BaseRoute]) -> Schema:
    """The OpenAPI description of the endpoints among the routes."""
    ours = [one for one in routes if isinstance(one, Route) and one.path.startswith(OURS)]
    structs = [*BODIES.values(), *(one for told in _ANSWERS.values() for one in told.values() if isinstance(one, type))]
    written, components = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    refs = dict(zip(structs, written, strict=True))
    paths: dict[str, dict[str, Schema]] = {}
    for route in ours:
        for method in sorted((route.methods or set()) - {"HEAD"}):
            paths.setdefault(route.path, {}).setdefault(method.lower(), _operation(route, method, refs))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Token Capital", "version": version("tokencapital")},
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {"Refused": {"description": "Refused, and why.", **_json(_ERROR)}},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, method: str, refs: Mapping[type[Struct], Schema]) -> Schema:
    rule = None if route.path in (*PUBLIC, PATH) else MACHINES.get(route.path, RUNNING)
    said = inspect.cleandoc(route.endpoint.__doc__ or "")
    operation: Schema = {
        "operationId": f"{method.lower()}{re.sub(r'[^a-z0-9]+', '_', route.path)}",
        "summary": said.splitlines()[0] if said else "",
        "parameters": _parameters(route, method),
        "responses": _answers(route, refs),
    }
    body = BODIES.get(route.path)
    if method == "POST" and body is not None and body is not NoBody:
        one = refs[body]
        schema = {"anyOf": [one, {"type": "array", "items": one}]} if route.path in LISTED else one
        operation["requestBody"] = {"required": True, **_json(schema)}
    if route.path == _TRACES:
        operation["requestBody"] = {"required": True, **_OTLP}
    if rule is not None:
        scopes = ", ".join(sorted(rule.scopes))
        operation["security"] = [{"key": []}, {}]
        operation["description"] = f"Needs a key with one of the scopes: {scopes}; none in a house that runs open."
    return operation


def _parameters(route: Route, method: str) -> list[Schema]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PARAMETER.findall(route.path)
    ]
    found += [{"name": name, "in": "header", "schema": schema} for name, schema in _HEADERS.get(route.path, ())]
    if route.path == "/v1/knowledge/search" and method == "GET":
        found.append({"name": "query", "in": "query", "required": True, "schema": {"type": "string", "minLength": 1}})
        found.append({"name": "most", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 50}})
    return found


def _answers(route: Route, refs: Mapping[type[Struct], Schema]) -> Schema:
    if route.path == _TRACES:
        told: Schema = {str(one): {"description": "As OTLP says.", **_OTLP} for one in (200, 400, 413, 415, 503)}
        return {**told, "401": _REFUSED, "403": _REFUSED, "429": _REFUSED}
    media = _TEXT.get(route.path)
    if media is not None:
        told = {"200": {"description": "Done.", "content": {media: {"schema": {"type": "string"}}}}}
    else:
        answers = _ANSWERS.get(route.path, {200: _ANY})
        told = {
            str(status): {"description": "Done.", **_json(refs[one] if isinstance(one, type) else one)}
            for status, one in answers.items()
        }
    for status in _REFUSALS:
        told.setdefault(str(status), _REFUSED)
    return told


def _json(schema: Schema) -> Schema:
    return {"content": {"application/json": {"schema": schema}}}
