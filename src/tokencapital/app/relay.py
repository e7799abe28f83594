"""The house's relay: its parts joined, and the app that stands behind it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from time import monotonic

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tokencapital.app.answering import HouseAnswerer
from tokencapital.app.cleaning import CallCleaner
from tokencapital.app.guard import Door
from tokencapital.app.outage import patient_sink
from tokencapital.app.platform import Platform
from tokencapital.app.purse import Purse, open_purse
from tokencapital.app.recording import recording_of
from tokencapital.app.sorting import sorter_of
from tokencapital.core.call import UNSORTED, Call, Wire
from tokencapital.core.errors import StoreError, UnknownCapability
from tokencapital.record.spool import WhenFull
from tokencapital.serve.providers import Providers, open_providers
from tokencapital.serve.relay import Relay, RelayParts
from tokencapital.serve.relay_call import Took
from tokencapital.serve.relay_wire import WIRES, refusal
from tokencapital.serve.shapes import usage_of
from tokencapital.serve.shapes.tokens import UNKNOWN
from tokencapital.serve.wire import ANSWERING
from tokencapital.store.steps import application_of_response

_FRESH_S = 1.0


class RelayedApp(Starlette):
    """The house's routes, with the relay before them where there is one."""

    relay: Relay | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The request is answered by the relay, or else by the routes."""
        if self.relay is None:
            await self.within(scope, receive, send)
        else:
            await self.relay(scope, receive, send)

    async def within(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The request is answered by the routes."""
        await super().__call__(scope, receive, send)


class CapabilityNames:
    """The names of the declared capabilities, about a second old, and still known while the store is away.

    The store is asked by a thread of its own, so that one that hangs keeps no caller waiting.
    """

    def __init__(self, declared: Callable[[], Sequence[str]], ticks: Callable[[], float] = monotonic) -> None:
        self._declared = declared
        self._ticks = ticks
        self._known: AbstractSet[str] | None = None
        self._tried_at = 0.0
        self._asking: threading.Thread | None = None

    def known(self) -> AbstractSet[str]:
        """The names as they were lately. Fit for every request."""
        if self._known is None:
            return self.look()
        if self._ticks() - self._tried_at > _FRESH_S and (self._asking is None or not self._asking.is_alive()):
            self._tried_at = self._ticks()
            self._asking = threading.Thread(target=self.look, name="tcap-names", daemon=True)
            self._asking.start()
        return self._known

    def look(self) -> AbstractSet[str]:
        """The names as they are now, or were when the store was there last."""
        self._tried_at = self._ticks()
        try:
            self._known = frozenset(self._declared())
        except StoreError:
            self._known = self._known or frozenset()
        return self._known

    def close(self) -> None:
        """Nothing is asked of the store any more."""
        if self._asking is not None:
            self._asking.join()


class RelayRoutes:
    """The relay's endpoints as a house without providers has them, and as documentation and guard know them."""

    def routes(self) -> list[Route]:
        """What is mounted behind the relay."""
        wires = {path: wire for path, wire in WIRES.items() if wire not in ANSWERING}
        asked = [Route(path, self._endpoints[wire], methods=["POST"]) for path, wire in wires.items()]
        one = "/v1/responses/{response}"
        return [
            *asked,
            Route(one, self.response, methods=["GET", "DELETE"]),
            Route(f"{one}/input_items", self.response, methods=["GET"]),
            Route(f"{one}/cancel", self.response, methods=["POST"]),
        ]

    @property
    def _endpoints(self) -> Mapping[Wire, Callable[[Request], object]]:
        return {
            Wire.EMBEDDINGS: self.embeddings,
            Wire.COUNT_TOKENS: self.count_tokens,
        }

    async def embeddings(self, request: Request) -> Response:
        """OpenAI's Embeddings: passed on to the provider of the model, and kept."""
        return _unknown(Wire.EMBEDDINGS)

    async def count_tokens(self, request: Request) -> Response:
        """Anthropic's count of tokens: passed on to the provider of the model, and kept."""
        return _unknown(Wire.COUNT_TOKENS)

    async def response(self, request: Request) -> Response:
        """What OpenAI keeps of an answer, passed on: to the provider that `x-tcap-provider` names, or the first one."""
        return _unknown(Wire.RESPONSES)


def relay_of(platform: Platform, app: RelayedApp) -> Relay:
    """The relay before the app. Raises SettingsError for a provider that cannot be used as it is declared."""
    recording = recording_of(platform)
    names = CapabilityNames(lambda: [one.name for one in platform.capabilities() if one.name != UNSORTED])
    platform.closers.append(names.close)
    purse = purse_of(platform)
    stops = platform.settings.spool.when_full is WhenFull.STOP_RECORDING
    cleaner = CallCleaner(platform.settings, platform.redaction, platform.store.key)
    answerer = answerer_of(platform, cleaner, purse)
    relay = Relay(
        RelayParts(
            providers=providers_of(platform),
            keeper=recording,
            clock=platform.clock,
            ids=platform.ids,
            capabilities=names,
            took=_took,
            full=lambda: recording.spool.full,
            owner=lambda response: application_of_response(platform.store, response),
            doorman=Door(platform.access),
            egress=platform.egress,
            purse=purse,
            answerer=answerer,
            cleaner=cleaner,
            sorter=sorter_of(platform),
            settings=platform.settings.relay,
            unrecorded=stops,
        ),
        app.within,
    )
    platform.shared[Relay] = relay
    return relay


def purse_of(platform: Platform) -> Purse:
    """The limits of the house, as this process holds them."""
    found: Purse | None = platform.shared.get(Purse)
    if found is None:
        found = open_purse(platform.settings, platform.store, platform.clock, platform.meter.prices)
        platform.closers.append(found.close)
        platform.watched.limits = found.standing
        platform.shared[Purse] = found
    return found


def answerer_of(platform: Platform, cleaner: CallCleaner, purse: Purse) -> HouseAnswerer:
    """The capabilities' own answers; while the store is away they wait in the spool, unless the store is demanded."""
    answerer = HouseAnswerer(platform, cleaner, partial(patient_sink, platform), purse)
    platform.closers.append(answerer.close)
    platform.shared[HouseAnswerer] = answerer
    platform.watched.answering = answerer.counts
    return answerer


def find_relay(platform: Platform) -> Relay | None:
    """The relay of a house that is served in this process; None: none was made."""
    return platform.shared.get(Relay)


def models_passed_on(platform: Platform) -> list[tuple[str, str]]:
    """The models that the house's providers declare by name, each with its provider."""
    relay = find_relay(platform)
    return [] if relay is None else relay.providers.listed


def providers_of(platform: Platform) -> Providers:
    """The providers that the house's settings name, with their keys. Raises SettingsError."""
    return open_providers(platform.settings.providers)


def _took(call: Call) -> Took:
    """What a call says it took; what it cost is found by whoever holds the limits."""
    return usage_of(call.wire, call.response or b"") or UNKNOWN, None


def _unknown(wire: Wire) -> Response:
    error = UnknownCapability(
        "no provider is declared here to which this could be passed on",
        remedy="Declare one under [providers.NAME]: docs/how-to/gateway.md.",
    )
    status, body, headers = refusal(wire, error)
    response = Response(body, status)
    response.raw_headers = headers
    return response
