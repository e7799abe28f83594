"""The only place that wires concrete parts together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from msgspec import Struct

from tokencapital.app.access import Access
from tokencapital.app.cleaning import make_redaction
from tokencapital.app.declared import Declared, as_it_stands, declare_by_rules
from tokencapital.app.egress import EgressRules
from tokencapital.app.knowledge import Knowledge
from tokencapital.app.settings import GeneralistKind, GeneralistSettings, Settings
from tokencapital.app.watched import Watched
from tokencapital.core.case import Capability, Goal
from tokencapital.core.clock import Clock, SystemClock
from tokencapital.core.errors import UnknownCapability
from tokencapital.core.ids import IdSource
from tokencapital.evaluate.runner import Runner
from tokencapital.evaluate.sealed import SealedCases
from tokencapital.meter.assumptions import Assumptions
from tokencapital.meter.energy import LocalEstimate
from tokencapital.meter.meter import Meter
from tokencapital.meter.prices import PriceBook
from tokencapital.models.base import Embedder, ModelClient
from tokencapital.models.threads import one_thread_for_algebra
from tokencapital.models.wordllama import WordLlamaEmbedder
from tokencapital.promote.releases import LiveReleases, starting_policy
from tokencapital.record.recorder import Recorder
from tokencapital.record.redaction import Redaction
from tokencapital.serve.engine import Engine, Parts
from tokencapital.store.capabilities import (
    declare_capability,
    declare_goal,
    list_capabilities,
    read_capability,
    read_goal,
)
from tokencapital.store.database import Store
from tokencapital.store.people import UntaughtJudgments
from tokencapital.store.playbook import LessonTexts


class Workplace(Struct, frozen=True, kw_only=True):
    """One capability with all that serves and teaches it.

    `goal` None: nobody declared one, it is idle. `provider` is to whom calls of the generalist are owed;
    None: it runs on this machine, or there is none. `store_only`: nothing is answered that the store cannot take.
    """

    capability: Capability
    goal: Goal | None
    engine: Engine
    runner: Runner
    sealed: SealedCases
    parts: Parts
    releases: LiveReleases
    assumptions: Assumptions
    provider: str | None
    store_only: bool = False

    @property
    def store(self) -> Store:
        """Where everything is kept."""
        return self.parts.store

    @property
    def name(self) -> str:
        """The capability's name."""
        return self.capability.name

    def now(self) -> datetime:
        """The time by the house's clock."""
        return self.parts.clock.now()


class Platform:
    """The house, open: one store, the parts that all capabilities share, and a workplace for each."""

    def __init__(self, settings: Settings, store: Store, clock: Clock) -> None:
        self.settings = settings
        self.store = store
        self.clock = clock
        self.access = Access(store, clock, settings.access)
        self.egress = EgressRules(settings)
        self.watched = Watched()
        self.untaught = UntaughtJudgments(store)
        self.ids = IdSource(SystemClock())
        self.embedder: Embedder = WordLlamaEmbedder()
        self.generalist = make_generalist(settings.generalist)
        self.meter = make_meter(settings, self.generalist)
        self.knowledge = Knowledge(store, self.embedder)
        self.closers: list[Callable[[], None]] = []
        """What is called, last first, before the store is closed."""
        self.shared: dict[type, Any] = {}
        """What is made when it is first wanted and shared by all who want it, by what it is."""
        self.declared = Declared(store)
        self._workplaces: dict[str, Workplace] = {}

    @staticmethod
    def open(settings: Settings, *, clock: Clock | None = None, key: bytes | None = None) -> Platform:
        """The house on the store that the settings name, with its capabilities and goals declared."""
        one_thread_for_algebra()
        platform = Platform(settings, Store.open(settings.store, key=key), clock or SystemClock())
        for name, declared in settings.capabilities.items():
            stands = as_it_stands(platform.store, declared.capability(name))
            platform.declare(stands, declared.live_goal(name), declared.mode_by or "settings")
        declare_by_rules(platform.store, settings.rules, platform.clock)
        return platform

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def declare(self, capability: Capability, goal: Goal | None, by: str) -> None:
        """The capability and its goal are as declared; what was declared before stays on record."""
        now = self.clock.now()
        if read_capability(self.store, capability.name) != capability:
            declare_capability(self.store, capability, by=by, at=now)
        if goal is not None and read_goal(self.store, capability.name) != goal:
            declare_goal(self.store, goal, by=by, at=now)
        self._workplaces.pop(capability.name, None)

    def workplace(self, name: str) -> Workplace:
        """The workplace of a capability. Raises UnknownCapability where none has this name."""
        self.declared.look()
        before = self._workplaces.get(name)
        if before is None or self.declared.has_changed(before.capability, before.goal):
            capability = read_capability(self.store, name)
            if capability is None:
                known = ", ".join(one.name for one in list_capabilities(self.store)) or "none"
                raise UnknownCapability(
                    f"no capability is called `{name}`", remedy=f"Declared are: {known}. Add it to tokencapital.toml."
                )
            self._workplaces[name] = self._wire(capability, before)
        return self._workplaces[name]

    def capabilities(self) -> list[Capability]:
        """All capabilities that were declared, by name."""
        return list_capabilities(self.store)

    def close(self) -> None:
        """Models and the store are let go."""
        while self.closers:
            self.closers.pop()()
        self.access.close()
        if self.generalist is not None:
            asyncio.run(self.generalist.close())
        self.store.close()

    @cached_property
    def redaction(self) -> Redaction:
        """What is taken out of everything that comes in, before anything is kept."""
        return make_redaction(self.settings)

    def _store_only(self, name: str) -> bool:
        declared = self.settings.capabilities.get(name)
        return declared is not None and declared.store_only

    def _wire(self, capability: Capability, before: Workplace | None) -> Workplace:
        releases = LiveReleases(self.store, {capability.name: starting_policy(capability)})
        parts = Parts(
            store=self.store,
            releases=releases,
            sink=Recorder(self.store),
            embedder=self.embedder,
            meter=self.meter,
            clock=self.clock,
            ids=self.ids,
            generalist=self.egress.client_for(capability.name, self.generalist, self.settings.generalist),
            lessons=LessonTexts(self.store),
            knowledge=self.knowledge,
            seed=self.settings.seed,
            concurrency=self.settings.generalist.concurrency,
        )
        engine = Engine(capability, parts, before.engine.memory if before else None)
        return Workplace(
            capability=capability,
            goal=read_goal(self.store, capability.name),
            engine=engine,
            runner=Runner(capability, parts, engine.memory),
            sealed=SealedCases(self.store, capability.name),
            parts=parts,
            releases=releases,
            assumptions=self.settings.assumptions,
            store_only=self._store_only(capability.name),
            provider=self.settings.generalist.model if self.settings.generalist.kind is GeneralistKind.HTTP else None,
        )


def make_generalist(settings: GeneralistSettings) -> ModelClient | None:
    """The generalist that the settings name; None: none is asked."""
    match settings.kind:
        case GeneralistKind.NONE:
            return None
        case GeneralistKind.EMBEDDED:
            from tokencapital.models.smollm import SmolLM

            return SmolLM()
        case GeneralistKind.HTTP:
            from tokencapital.models.openai_http import Endpoint, OpenAIClient

            return OpenAIClient(
                Endpoint(
                    url=settings.url or "", model=settings.model, api_key=settings.key, timeout_s=settings.timeout_s
                )
            )


def make_meter(settings: Settings, generalist: ModelClient | None) -> Meter:
    """Prices and energy as declared; an embedded generalist costs the time of this machine."""
    declared = settings.assumptions
    embedded = settings.generalist.kind is GeneralistKind.EMBEDDED and generalist is not None
    return Meter(
        PriceBook(
            contracts=settings.prices,
            local=frozenset({generalist.name}) if embedded and generalist else frozenset(),
            machine_usd_per_hour=declared.machine_usd_per_hour,
            endpoints={settings.generalist.model: settings.generalist.url} if settings.generalist.url else {},
        ),
        LocalEstimate(declared.watts, declared.pue),
    )
