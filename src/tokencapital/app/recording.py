"""The house's record of what was acknowledged: its spool, and the drain that carries it into the store."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection

from tokencapital.app.asking import asking
from tokencapital.app.platform import Platform, make_meter
from tokencapital.app.settings import Settings
from tokencapital.core.call import UNSORTED, Call, Reading
from tokencapital.core.case import Capability, Contract, ContractKind
from tokencapital.core.clock import Clock
from tokencapital.core.errors import SpoolFull
from tokencapital.core.judgment import Outcome
from tokencapital.meter.meter import Meter
from tokencapital.promote.releases import observing_policy
from tokencapital.record.drain import LONG_TURN_S, TURN_S, Drain, Handler
from tokencapital.record.joining import Joining
from tokencapital.record.observed import Asked, CallRecorder, Heard, Joined, Observed
from tokencapital.record.recorder import Recorder
from tokencapital.record.spans import SpanKeeper
from tokencapital.record.spans_settling import Rules as SpanRules
from tokencapital.record.spans_settling import Settler
from tokencapital.record.spans_sorting import RuleSorter
from tokencapital.record.spool import Spool, WhenFull, drained_now
from tokencapital.record.spool_frames import ExchangeBatch, Frame, FrameKind, OutcomeBatch
from tokencapital.serve.rules import NamedRules, Rule
from tokencapital.serve.rules_case import extract
from tokencapital.serve.shapes import read_call
from tokencapital.store.capabilities import declare_capability, read_capability, read_goal
from tokencapital.store.database import Store
from tokencapital.store.durability import settle
from tokencapital.store.outcomes import append_outcomes
from tokencapital.store.steps import steps_by_response

_BY = "gateway"
_FRESH_S = 2.0
"""A capability that was declared meanwhile is known to the drain so soon."""
GRACE_S = 5.0
"""So long what is left is drained when the house closes; the rest is there when it opens again."""


class Recording:
    """The record of one open house: keeps what is to be acknowledged, and drains it where nobody else does.

    Nothing is made on disk before something is kept.
    """

    def __init__(self, platform: Platform, *, drains: bool = True) -> None:
        self.root = spool_folder(platform.settings)
        self.dropped = 0
        self._platform = platform
        self._settings = platform.settings.spool
        self._drains = drains
        self._lock = threading.Lock()
        self._spool: Spool | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        platform.closers.append(self.close)

    @property
    def spool(self) -> Spool:
        """The spool, opened the first time that it is needed. Raises StoreUnavailable."""
        if self._spool is None:
            with self._lock:
                if self._spool is None:
                    self._spool = Spool(self.root, self._platform.ids.new("spl"), self._settings)
                    self._start()
        return self._spool

    async def keep(self, frame: Frame) -> None:
        """What was done is durable when this returns. Raises SpoolFull: what becomes of it then is the caller's."""
        await self.spool.keep(frame)

    async def keep_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """The outcomes are durable here when this returns, and in the store once it is back. Raises SpoolFull: they
        are no answers, and nobody is told that what was not kept was."""
        ids, clock = self._platform.ids, self._platform.clock
        await self.keep(OutcomeBatch(id=ids.new("obt"), at=clock.now(), outcomes=tuple(outcomes)))

    def keep_now(self, frame: Frame) -> None:
        """The same for answers of engines, which go out and are counted where the spool is full and recording stops."""
        try:
            self.spool.keep_now(frame)
        except SpoolFull:
            if self._settings.when_full is WhenFull.REFUSE:
                raise
            self.dropped += 1

    def flush(self, timeout_s: float = 2.0) -> bool:
        """Whether all that was acknowledged until now is in the store; the thread waits so long for it."""
        return drained_now(self.root, timeout_s)

    def close(self) -> None:
        """What was taken is durable, and as far as time allows in the store. Closing twice is harmless."""
        if self._spool is not None:
            self._spool.close()
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _start(self) -> None:
        if self._drains and self._thread is None:
            drain = make_drain(self._platform.store, self._platform.settings, self._platform.clock)
            self._thread = threading.Thread(target=drain.run, args=(self._stop, GRACE_S), name="drain", daemon=True)
            self._thread.start()


def recording_of(platform: Platform, *, drains: bool = True) -> Recording:
    """The record of this house; `drains` says, the first time, whether a thread of this process drains it."""
    if Recording not in platform.shared:
        platform.shared[Recording] = Recording(platform, drains=drains)
    recording: Recording = platform.shared[Recording]
    return recording


class HouseDesks:
    """The house as the record of calls sees it."""

    def __init__(self, store: Store, clock: Clock, rules: Sequence[Rule] = ()) -> None:
        self._store = store
        self._clock = clock
        self._joining = Joining(store)
        self._rules = NamedRules(rules)
        self._known: dict[str, tuple[float, Observed]] = {}

    def observed(self, capability: str | None) -> Observed:
        """Where the calls of a capability are put down; those of one that nobody declared, or of none, as unsorted."""
        name, now = capability or UNSORTED, self._clock.now().timestamp()
        since, known = self._known.get(name, (0.0, None))
        if known is None or not since <= now < since + _FRESH_S:
            known = self._look(name)
            self._known[name] = (now, known)
        return known

    def read(self, call: Call) -> Reading:
        """What the call says."""
        return read_call(call)

    def join(self, connection: Connection, heard: Sequence[Heard]) -> Sequence[Joined]:
        """Which trajectory each of the calls belongs to."""
        return self._joining.join(connection, heard)

    def separate(self, capability: Capability, heard: Heard) -> Asked:
        """The case in a call, told apart as the rule says that named its work."""
        call = heard.call
        found = extract(self._rules.named(call.tags, call.capability), heard.reading, call.tags)
        return Asked(found.messages, found.context, found.group, found.key)

    def _look(self, name: str) -> Observed:
        capability = read_capability(self._store, name)
        if capability is None and name != UNSORTED:
            return self.observed(UNSORTED)
        if capability is None:
            capability = Capability(name=UNSORTED, contract=Contract(kind=ContractKind.TEXT))
            declare_capability(self._store, capability, by=_BY, at=self._clock.now())
        silent = Recorder(self._store)
        sink = asking(silent, self._store, read_goal(self._store, name))
        return Observed(capability=capability, policy=observing_policy(capability).hash, sink=sink, silent=silent)


def make_drain(store: Store, settings: Settings, clock: Clock, meter: Meter | None = None) -> Drain:
    """The drain of the house's spool."""
    meter = meter or make_meter(settings, None)
    settler = Settler(store, clock, span_rules(store, meter, clock, settings.rules))
    handled = handlers(store, meter, clock, settings.rules)
    drain = Drain(spool_folder(settings), handled, clock, lambda: settle(store), settler.turn)
    drain.turn_s = TURN_S if store.dialect == "sqlite" else LONG_TURN_S
    drain.ease_below_bytes = settings.spool.max_bytes // 4
    return drain


def drain_all(store: Store, settings: Settings, clock: Clock) -> None:
    """All that waits, but what a server writes meanwhile, is in the store or set aside. Raises StoreUnavailable."""
    drain = make_drain(store, settings, clock)
    try:
        while drain.turn():
            pass
    finally:
        drain.close()


def span_rules(store: Store, meter: Meter, clock: Clock, rules: Sequence[Rule]) -> SpanRules:
    """What makes trajectories of spans has to know of the house."""
    desks = HouseDesks(store, clock, rules)
    return SpanRules(meter, desks.observed, RuleSorter(rules), lambda responses: steps_by_response(store, responses))


def handlers(store: Store, meter: Meter, clock: Clock, rules: Sequence[Rule] = ()) -> Mapping[FrameKind, Handler]:
    """What becomes of each kind of frame."""
    desks = HouseDesks(store, clock, rules)
    calls = CallRecorder(store, meter, desks)
    return {
        FrameKind.CALL: calls.record,
        FrameKind.SPANS: SpanKeeper(store, clock),
        FrameKind.OUTCOMES: _outcomes(store),
        FrameKind.EXCHANGES: _exchanges(store, desks),
    }


def _outcomes(store: Store) -> Handler:
    def record(batches: Sequence[OutcomeBatch]) -> None:
        append_outcomes(store, [one for batch in batches for one in batch.outcomes])

    return record


def _exchanges(store: Store, desks: HouseDesks) -> Handler:
    def record(batches: Sequence[ExchangeBatch]) -> None:
        with store.begin():
            for capability in dict.fromkeys(batch.capability for batch in batches):
                of_it = [batch.exchanges for batch in batches if batch.capability == capability]
                desks.observed(capability).sink.record([one for exchanges in of_it for one in exchanges])

    return record


def spool_folder(settings: Settings) -> Path:
    """Where what was acknowledged waits: as set, else beside the store; for a server, here, under a name of its own."""
    if settings.spool.folder is not None:
        return Path(settings.spool.folder).expanduser().absolute()
    if "://" not in settings.store:
        return Path(f"{Path(settings.store).expanduser().absolute()}.spool")
    named = hashlib.sha256(settings.store.encode()).hexdigest()[:12]
    return Path(f"tokencapital-{named}.spool").absolute()
