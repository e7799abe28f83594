"""Outcomes over HTTP: what the business saw, often late, by business key."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tokencapital.core.clock import Clock, utc
from tokencapital.core.errors import InputError, UnknownCapability
from tokencapital.core.ids import IdSource
from tokencapital.core.judgment import Outcome
from tokencapital.store.capabilities import read_capability
from tokencapital.store.database import Store
from tokencapital.store.outcomes import append_outcomes


class OutcomeBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One outcome as a caller sends it. `value` null: asked for, not yet known. `id` makes it idempotent."""

    capability: str
    key: str
    name: str
    value: bool | float | None
    at: datetime | None = None
    id: str | None = None


class OutcomeRoutes:
    """Takes outcomes down."""

    def __init__(self, store: Store, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids

    def routes(self) -> list[Route]:
        """What the platform mounts."""
        return [Route("/v1/outcomes", self.post, methods=["POST"])]

    async def post(self, request: Request) -> Response:
        """One outcome or a list of them, durable when this answers."""
        try:
            body = msgspec.json.decode(await request.body(), type=OutcomeBody | list[OutcomeBody])
        except msgspec.MsgspecError as error:
            raise InputError(f"the body is no outcome: {error}") from error
        bodies = body if isinstance(body, list) else [body]
        self._refuse_unknown({one.capability for one in bodies})
        outcomes = [self._outcome(one) for one in bodies]
        append_outcomes(self._store, outcomes)
        return JSONResponse({"recorded": [outcome.id for outcome in outcomes]}, 201)

    def _refuse_unknown(self, names: Iterable[str]) -> None:
        for name in names:
            if read_capability(self._store, name) is None:
                raise UnknownCapability(f"no capability is called `{name}`")

    def _outcome(self, body: OutcomeBody) -> Outcome:
        try:
            at = utc(body.at) if body.at else self._clock.now()
        except ValueError as error:
            raise InputError(f"`at`: {error}") from error
        return Outcome(
            id=body.id or self._ids.new("out"),
            capability=body.capability,
            key=body.key,
            name=body.name,
            value=body.value,
            at=at,
        )
