"""The served house: the gateway and each room's routes in one ASGI app."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from tokencapital.app.asking import asking
from tokencapital.app.guard import keep
from tokencapital.app.hardening import Bounds
from tokencapital.app.hardening_protocol import server_options
from tokencapital.app.health import Health
from tokencapital.app.judging import judge
from tokencapital.app.knowing import ask_knowledge
from tokencapital.app.metrics import Metrics
from tokencapital.app.openapi import OpenApi
from tokencapital.app.outage import StoreAge, patient_sink
from tokencapital.app.paying import within_limits
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.processes import BACKLOG, GRACEFUL_S, KEPT_ALIVE_S, told_to_stop
from tokencapital.app.recording import recording_of
from tokencapital.app.relay import RelayedApp, RelayRoutes, models_passed_on, purse_of, relay_of
from tokencapital.app.telling import why_untaught
from tokencapital.app.timing import ServerTiming
from tokencapital.app.tracing import trace_routes
from tokencapital.core.answer import Answer, Stage
from tokencapital.core.case import Capability, Case, Mode
from tokencapital.core.clock import Clock
from tokencapital.core.errors import TokenCapitalError
from tokencapital.core.ids import IdSource
from tokencapital.evaluate.sealed import judgments_of_sealed
from tokencapital.promote.releases import observing_policy
from tokencapital.record.cleaned import cleaned_case
from tokencapital.record.knowledge_routes import KnowledgeRoutes
from tokencapital.record.routes import OutcomeRoutes
from tokencapital.review.routes import JudgmentRoutes
from tokencapital.serve.citations import check_answer
from tokencapital.serve.engine import Engine
from tokencapital.serve.gateway import Gateway, Settled, refuse
from tokencapital.serve.ports import FixedRelease, Live, Sink
from tokencapital.store.cases import read_trajectory
from tokencapital.store.judgments import read_judgments


class PlatformDesks:
    """The house as the gateway sees it."""

    def __init__(self, platform: Platform) -> None:
        self.clock: Clock = platform.clock
        self.ids: IdSource = platform.ids
        self._platform = platform
        self._patient = partial(patient_sink, platform)
        self._engines: dict[str, Engine] = {}
        self._shadows: dict[str, Engine] = {}

    def engine(self, capability: str) -> Engine:
        """The engine that answers callers of a capability. Raises UnknownCapability."""
        place, known = self._platform.workplace(capability), self._engines.get(capability)
        if known is None or known.capability is not place.capability:
            known = self._engines[capability] = answering_engine(self._within(place), self._patient)
        return known

    def shadow(self, capability: str) -> Engine | None:
        """The engine that answers beside, shown to nobody; None unless the capability is in `shadow` mode."""
        place = self._platform.workplace(capability)
        if place.capability.mode is not Mode.SHADOW:
            return None
        known = self._shadows.get(capability)
        if known is None or known.capability is not place.capability:
            sink = self._patient(place, place.parts.sink)
            parts = msgspec.structs.replace(self._within(place).parts, shown=False, sink=sink)
            known = self._shadows[capability] = Engine(place.capability, parts, place.engine.memory)
        return known

    def capabilities(self) -> Sequence[Capability]:
        """All capabilities."""
        return self._platform.capabilities()

    def settled(self, trajectory: str) -> Settled | None:
        """How a trajectory stands; None: there is none with this id."""
        done = read_trajectory(self._platform.store, trajectory)
        if done is None:
            return None
        store = self._platform.store
        heard = read_judgments(store, done.case) or judgments_of_sealed(store, done.case)
        said = sorted((one for one in heard if one.verdict.answers), key=lambda one: one.drawn.is_review)
        decided = Answer(value=said[-1].answer if said else None, stage=Stage.PERSON)
        checked = check_answer(decided, (), self._platform.knowledge, self.clock.now())
        return Settled(done, decided=bool(said), value=checked.answer.value)

    def clean(self, case: Case) -> Case:
        """The case with marks in place of what may not be kept; nothing is made of what they stand for."""
        return cleaned_case(case, self._platform.redaction)

    def _within(self, place: Workplace) -> Workplace:
        """The workplace with a generalist that is asked within the limits."""
        settings, purse = self._platform.settings.generalist, purse_of(self._platform)
        asks = within_limits(place.parts.generalist, purse, place.name, settings)
        return msgspec.structs.replace(place, parts=msgspec.structs.replace(place.parts, generalist=asks))


def answering_engine(place: Workplace, patient: Callable[[Workplace, Sink], Sink] = lambda _, sink: sink) -> Engine:
    """What answers callers in the capability's mode, and draws cases for review where there is a goal.

    In `observe` and `shadow` mode nothing that was learned reaches a caller. `patient` makes of a sink one that can
    do without the store for a while.
    """
    sink = asking(place.parts.sink, place.store, place.goal)
    parts = msgspec.structs.replace(place.parts, sink=patient(place, sink))
    if place.capability.mode in (Mode.OBSERVE, Mode.SHADOW):
        live = Live(observing_policy(place.capability))
        parts = msgspec.structs.replace(parts, releases=FixedRelease(live))
    return Engine(place.capability, parts, place.engine.memory)


class Readable(Protocol):
    """Pages that people read, mounted beside the gateway."""

    def routes(self) -> Sequence[BaseRoute]:
        """The pages."""
        ...

    async def refuse(self, request: Request, error: Exception) -> Response:
        """An error as who sent the request can read it."""
        ...


def build_app(platform: Platform, site: Readable | None = None) -> Starlette:
    """The ASGI app of an open house; without a `site` it has no pages."""
    gateway = Gateway(PlatformDesks(platform), lambda: models_passed_on(platform))
    aside = recording_of(platform).keep_outcomes
    outcomes = OutcomeRoutes(
        platform.store, platform.clock, platform.ids, aside, lambda name: platform.redaction.text(name)[0]
    )
    judgments = JudgmentRoutes(lambda said: judge(platform, said), lambda one: why_untaught(platform.store, one))
    knowledge = KnowledgeRoutes(lambda asked: ask_knowledge(platform, asked))
    health = Health(platform)
    watching = [*health.routes(), *Metrics(platform, health).routes()]
    machines = [*gateway.routes(), *outcomes.routes(), *judgments.routes(), *knowledge.routes(), *watching]
    programs = [*machines, *RelayRoutes().routes(), *trace_routes(platform).routes()]
    app = RelayedApp(
        routes=[
            *keep([*programs, *OpenApi(programs).routes()], platform.access),
            *(site.routes() if site else ()),
        ],
        exception_handlers=dict.fromkeys(
            (TokenCapitalError, HTTPException, Exception), site.refuse if site else refuse
        ),
        middleware=[Middleware(ServerTiming), Middleware(StoreAge, platform.store)],
    )
    app.relay = relay_of(platform, app)
    platform.watched.relay = app.relay.counts
    platform.watched.unrecorded = lambda: recording_of(platform).dropped
    return app


def run(app: ASGIApp, platform: Platform, listener: socket.socket, routes: Sequence[BaseRoute] = ()) -> None:
    """Serves until the process is told to stop, and then finishes what is on its way.

    `routes` are those of the app within, by which requests are counted.
    """
    import uvicorn

    settings, counts = platform.settings.requests, platform.watched.requests
    config = uvicorn.Config(
        Bounds(app, settings, counts, routes),
        timeout_graceful_shutdown=GRACEFUL_S,
        timeout_keep_alive=KEPT_ALIVE_S,
        backlog=BACKLOG,
        **server_options(settings, counts),
    )
    gc.collect()
    gc.freeze()  # what the house is made of is not looked through again and again, while callers wait
    with told_to_stop():  # uvicorn repeats the signal at its end, which is not to be the process's
        uvicorn.Server(config).run(sockets=[listener])
