"""The capabilities behind the relay: what becomes of their own answers to calls that a rule named, mode by mode.

A capability never stands in the way: where it has no answer, is not sure, or fails, the provider's answer goes out.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from tokencapital.app.aside import Aside
from tokencapital.app.asking import asking
from tokencapital.app.outage import age_header
from tokencapital.app.paying import paid_by, within_limits
from tokencapital.app.platform import Platform, Workplace, make_generalist
from tokencapital.app.settings import GeneralistKind
from tokencapital.core.answer import Answer, Exchange
from tokencapital.core.call import Call, Ending
from tokencapital.core.case import Capability, Case, ContractKind, Mode
from tokencapital.core.errors import TokenCapitalError
from tokencapital.models.base import ModelClient
from tokencapital.serve.counts import AnsweringCounts
from tokencapital.serve.engine import Engine
from tokencapital.serve.ports import Sink
from tokencapital.serve.relay_ports import Asked, Cleaner, Purse, Reply, Sorted
from tokencapital.serve.relay_wire import CASE, GROUP, KEY
from tokencapital.serve.rules import NamedRules
from tokencapital.serve.rules_case import extract
from tokencapital.serve.shapes.pieces import Said
from tokencapital.serve.shapes.reading import read_call, read_said
from tokencapital.serve.shapes.wanted import Wanted, shaped, wanted_by
from tokencapital.serve.shapes.written import written
from tokencapital.serve.wire import ANSWERING, answer_headers, is_textual, write_stream, write_whole

MOST_BESIDE = 64
"""So many answers in `shadow` mode are made or wait at once; what comes beyond is passed over and counted."""
_log = logging.getLogger(__name__)


class HouseAnswerer:
    """The capabilities of an open house, as the relay's `Answerer`. `cleaner` takes out of a case what may not be
    kept, before anything is made of it. What a generalist behind a URL is asked is paid from the `purse`: by whoever
    called, or in `shadow` mode by the house."""

    def __init__(
        self, platform: Platform, cleaner: Cleaner, patient: Callable[[Workplace, Sink], Sink], purse: Purse
    ) -> None:
        self.counts = AnsweringCounts()
        self._platform = platform
        self._cleaner = cleaner
        self._patient = patient
        self._purse = purse
        self._rules = NamedRules(platform.settings.rules)
        self._stands: dict[tuple[str, Mode], _Stand] = {}
        self._aside = Aside(lambda: _own_generalist(platform))

    async def answer(self, asked: Asked, sorted_: Sorted, call_id: str) -> Reply | None:
        """The capability's answer in the wire's shape: in `answer` mode where a stage is sure, in `suggest` mode where
        there is a draft. None: the provider's goes out."""
        if sorted_.capability is None or sorted_.mode not in (Mode.SUGGEST, Mode.ANSWER):
            return None
        try:
            reply = await self._reply(asked, sorted_, call_id)
        except Exception as error:  # noqa: BLE001 whatever it is, the provider answers
            self.counts.failed += 1
            _log.warning("%s gave no answer: %s", sorted_.capability, _reason(error))
            return None
        if reply is None:
            self.counts.left += 1
        else:
            self.counts.given += 1
        return reply

    def beside(self, asked: Asked, sorted_: Sorted, call_id: str) -> None:
        """The capability answers too, in a thread of its own, and its answer is recorded with propensity 0."""
        if self._aside.waiting >= MOST_BESIDE:
            self.counts.skipped += 1
            return
        try:
            self._aside.do(lambda generalist: self._shadow(asked, sorted_, call_id, generalist))
        except Exception as error:  # noqa: BLE001 the provider answers all the same
            self._failed_beside(sorted_, error)

    def close(self) -> None:
        """What is answered beside is recorded, as far as a few seconds allow."""
        self._aside.close()

    def wait(self, timeout_s: float) -> bool:
        """Whether all that was to be answered beside has been; waits so long for it."""
        return self._aside.wait(timeout_s)

    async def _reply(self, asked: Asked, sorted_: Sorted, call_id: str) -> Reply | None:
        place, said, wanted, case = self._look(asked, sorted_, call_id)
        if wanted is None or case is None:
            return None
        stand = self._stand(place, sorted_.mode)
        with paid_by(asked.caller):
            exchange = await stand.engine.answer(case)
        answer = exchange.trajectory.answer
        content = shaped(answer.value, wanted) if _goes_out(answer, sorted_.mode) else None
        stand.record(exchange, shown=content is not None)
        if content is None:
            return None
        return _written(asked, said, exchange, content, age_header(self._platform.store))

    async def _shadow(self, asked: Asked, sorted_: Sorted, call_id: str, generalist: ModelClient | None) -> None:
        try:
            place, _, _, case = self._look(asked, sorted_, call_id)
            if case is None:
                self.counts.skipped += 1
                return
            sink = self._patient(place, place.parts.sink)
            asks = self._within(place, generalist)
            parts = msgspec.structs.replace(place.parts, shown=False, sink=sink, generalist=asks)
            await Engine(_in(place.capability, Mode.SHADOW), parts, place.engine.memory).answer(case)
            self.counts.beside += 1
        except Exception as error:  # noqa: BLE001 nobody is there to be told
            self._failed_beside(sorted_, error)

    def _look(self, asked: Asked, sorted_: Sorted, call_id: str) -> tuple[Workplace, Said, Wanted | None, Case | None]:
        """Who answers, what the request says and wants, and the case; no case where the capability does not answer."""
        place = self._platform.workplace(sorted_.capability or "")
        said = read_said(asked.wire, asked.body)
        wanted = _wanted(place.capability, asked, said)
        return place, said, wanted, None if wanted is None else self._case(asked, sorted_, call_id)

    def _failed_beside(self, sorted_: Sorted, error: Exception) -> None:
        self.counts.failed_beside += 1
        _log.warning("%s did not answer beside: %s", sorted_.capability, _reason(error))

    def _stand(self, place: Workplace, mode: Mode) -> _Stand:
        """The engine of a capability in a mode, made anew where the capability was declared anew."""
        made = self._stands.get((place.name, mode))
        if made is None or made.place is not place:
            sink = place.parts.sink
            drawn = asking(sink, place.store, place.goal)
            asks = self._within(place, place.parts.generalist)
            parts = msgspec.structs.replace(place.parts, sink=_Unrecorded(), generalist=asks)
            engine = Engine(_in(place.capability, mode), parts, place.engine.memory)
            made = _Stand(place, engine, self._patient(place, drawn), self._patient(place, sink))
            self._stands[place.name, mode] = made
        return made

    def _within(self, place: Workplace, generalist: ModelClient | None) -> ModelClient | None:
        """The generalist as the capability may ask it: where its data may go, and within the limits."""
        settings = self._platform.settings.generalist
        allowed = self._platform.egress.client_for(place.name, generalist, settings)
        return within_limits(allowed, self._purse, place.name, settings)

    def _case(self, asked: Asked, sorted_: Sorted, call_id: str) -> Case | None:
        """The case, told apart from the prompt as the record will tell it; None: nothing of it may be kept, or it
        cannot be read as text."""
        now = self._platform.clock.now()
        call = Call(
            id=call_id,
            at=now,
            wire=asked.wire,
            asked=asked.model,
            provider="",
            status=0,
            ending=Ending.DONE,
            capability=sorted_.capability,
            tags=sorted_.tags,
            request=asked.body,
        )
        reading = read_call(self._cleaner.clean(call))
        found = extract(self._rules.named(sorted_.tags, sorted_.capability), reading, sorted_.tags)
        if not found.messages or not is_textual(found.messages):
            return None
        headers = asked.headers
        return Case(
            id=f"cas_{call_id.partition('_')[2] or call_id}",
            capability=sorted_.capability or "",
            group=headers.get(GROUP) or found.group or headers.get(CASE) or call_id,
            at=now,
            messages=found.messages,
            context=found.context,
            key=headers.get(KEY) or found.key or call_id,
        )


class _Unrecorded:
    """A sink for answers of which it is not settled yet whether they go out."""

    def record(self, exchanges: Sequence[Exchange]) -> None:
        """Nothing is kept."""


class _Stand(Struct, frozen=True):
    """An engine in a mode, and the sinks for its answers: `shown` draws cases for people, `unshown` does not."""

    place: Workplace
    engine: Engine
    shown: Sink
    unshown: Sink

    def record(self, exchange: Exchange, *, shown: bool) -> None:
        """What goes out is on record. Of what does not, only what a model was asked is: the provider's answer, which
        goes out instead, is recorded by itself."""
        if shown:
            self.shown.record([exchange])
        elif exchange.trajectory.generalist is not None:
            done = msgspec.structs.replace(exchange.trajectory, propensity=0.0)
            self.unshown.record([msgspec.structs.replace(exchange, trajectory=done)])


def _reason(error: Exception) -> str:
    """Why there is no answer, in nobody's words."""
    return error.without_words if isinstance(error, TokenCapitalError) else type(error).__name__


def _goes_out(answer: Answer, mode: Mode) -> bool:
    """Whether somebody stands for the answer, or in `suggest` mode, whether there is a draft."""
    return answer.value is not None and (answer.sure or mode is Mode.SUGGEST)


def _wanted(capability: Capability, asked: Asked, said: Said) -> Wanted | None:
    """The shape of the answer; None: the capability does not answer such requests."""
    if asked.wire not in ANSWERING or capability.contract.kind is ContractKind.TOOLS:
        return None
    return wanted_by(said)


def _written(asked: Asked, said: Said, exchange: Exchange, content: str, age: Mapping[str, str]) -> Reply:
    """The answer as a reply in the wire of the request; `age` says for how long the store has been away, if it is."""
    options = said.parameters.get("stream_options")
    tells = isinstance(options, dict) and options.get("include_usage") is True
    answer = msgspec.structs.replace(written(exchange, asked.model, tells_usage=tells), content=content)
    headers = {**answer_headers(exchange.trajectory), **age}
    if asked.streamed:
        headers["content-type"] = "text/event-stream; charset=utf-8"
        return Reply(status=200, headers=headers, pieces=_pieces(write_stream(asked.wire, answer)))
    headers["content-type"] = "application/json"
    return Reply(status=200, headers=headers, body=write_whole(asked.wire, answer))


async def _pieces(written_: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in written_:
        yield piece


def _in(capability: Capability, mode: Mode) -> Capability:
    """The capability as it stands when it is in this mode."""
    return msgspec.structs.replace(capability, mode=mode)


def _own_generalist(platform: Platform) -> ModelClient | None:
    """A generalist for another event loop: one over HTTP belongs to one loop, one in this process to all."""
    settings = platform.settings.generalist
    return make_generalist(settings) if settings.kind is GeneralistKind.HTTP else platform.generalist
