"""While the store is away: answers go on and are kept on disk, and callers hear for how long it has been away."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.recording import recording_of
from tokencapital.core.answer import Exchange
from tokencapital.core.errors import StoreUnavailable
from tokencapital.core.ids import IdSource
from tokencapital.record.spool_frames import ExchangeBatch
from tokencapital.serve.ports import Sink
from tokencapital.store.database import Store

STORE_AGE = "x-tcap-store-age"
"""The header that says for how many seconds the store has not been heard of."""


class PatientSink:
    """Records exchanges; while the store is away `aside` keeps them until it is back."""

    def __init__(self, sink: Sink, aside: Callable[[ExchangeBatch], None], ids: IdSource) -> None:
        self._sink = sink
        self._aside = aside
        self._ids = ids

    def record(self, exchanges: Sequence[Exchange]) -> None:
        """The exchanges are durable when this returns, all or none of them. Raises SpoolFull."""
        try:
            self._sink.record(exchanges)
        except StoreUnavailable:
            first = exchanges[0]
            self._aside(
                ExchangeBatch(
                    id=self._ids.new("xbt"),
                    at=first.trajectory.at,
                    capability=first.case.capability,
                    exchanges=tuple(exchanges),
                )
            )


def patient_sink(platform: Platform, place: Workplace, sink: Sink) -> Sink:
    """The sink, with the spool behind it unless the capability demands the store."""
    return sink if place.store_only else PatientSink(sink, recording_of(platform).keep_now, platform.ids)


class StoreAge:
    """Says in every answer for how long the store has been away, if it is."""

    def __init__(self, app: ASGIApp, store: Store) -> None:
        self._app = app
        self._store = store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The request goes on; its answer carries the header where the store is away as the answer goes out."""

        async def with_age(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(age_header(self._store))
            await send(message)

        await self._app(scope, receive, with_age if scope["type"] == "http" else send)


def age_header(store: Store) -> dict[str, str]:
    """The header of an answer that was given without the store; nothing while the store is there."""
    age_s = store.reach.age_s
    return {} if age_s is None else {STORE_AGE: f"{age_s:.0f}"}
