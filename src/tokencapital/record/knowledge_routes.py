"""Company knowledge over HTTP: what was found, with where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tokencapital.core.errors import InputError
from tokencapital.core.knowledge import Hit, HitKind

MOST_HITS = 50
LONGEST_QUERY = 4_000


class KnowledgeQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is looked for in words: at most so many hits, of these `kinds` (empty: all).

    Over GET the same as `?query=…&most=…&kinds=…`.
    """

    query: str
    most: int = 10
    kinds: tuple[HitKind, ...] = ()

    def __post_init__(self) -> None:
        if not self.query.strip() or len(self.query) > LONGEST_QUERY:
            raise InputError(f"`query` has 1 to {LONGEST_QUERY} characters")
        if not 1 <= self.most <= MOST_HITS:
            raise InputError(f"`most` is not between 1 and {MOST_HITS}")


Search = Callable[[KnowledgeQuery], Sequence[Hit]]
"""Finds what holds now, best first."""


class KnowledgeRoutes:
    """Answers what programs ask of the company's knowledge."""

    def __init__(self, search: Search) -> None:
        self._search = search

    def routes(self) -> list[Route]:
        """What the platform mounts."""
        return [Route("/v1/knowledge/search", self.search, methods=["GET", "POST"])]

    async def search(self, request: Request) -> Response:
        """Passages, lessons and judgments that fit, best first: each with its words, its source and a score."""
        asked = _read(request) if request.method == "GET" else _decoded(await request.body())
        hits = await run_in_threadpool(self._search, asked)
        return JSONResponse({"query": asked.query, "hits": [msgspec.to_builtins(hit) for hit in hits]})


def _decoded(body: bytes) -> KnowledgeQuery:
    try:
        return msgspec.json.decode(body, type=KnowledgeQuery)
    except msgspec.MsgspecError as error:
        raise InputError(f"the body asks nothing: {error}") from error


def _read(request: Request) -> KnowledgeQuery:
    given: dict[str, Any] = {name: value for name, value in request.query_params.items() if name != "kinds"}
    kinds = ",".join(request.query_params.getlist("kinds"))
    if kinds:
        given["kinds"] = [kind.strip() for kind in kinds.split(",")]
    try:
        return msgspec.convert(given, KnowledgeQuery, strict=False)
    except msgspec.MsgspecError as error:
        raise InputError(f"the address asks nothing: {error}", remedy="Send `?query=…`.") from error
