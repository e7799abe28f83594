"""One call's way to the providers that may answer it: tries, pauses, fallbacks, and whether the caller still waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from time import perf_counter

import msgspec
from msgspec import Struct
from starlette.types import Receive

from tokencapital.core.clock import Clock
from tokencapital.core.errors import EgressRefused, LimitReached, ModelError, ModelUnavailable
from tokencapital.serve.attempts import ALWAYS_SAFE, Failure, failure_of, is_repeatable, next_pause, read_retry_after
from tokencapital.serve.counts import RelayCounts
from tokencapital.serve.providers import PATHS, Provider, Target
from tokencapital.serve.relay_ports import Asked, Egress, Hold, Purse
from tokencapital.serve.relay_wire import BrokenCircuit, request_bytes, sent_headers, with_model
from tokencapital.serve.upstream import Client, Sent
from tokencapital.serve.upstream_connection import Answer, Header, NotConnected, TookTooLong


class CallerGone(ModelUnavailable):
    """The caller hung up."""


class Way(Struct, frozen=True, kw_only=True):
    """What every call's tries share. `draw` gives numbers in [0, 1) that spread pauses."""

    egress: Egress
    purse: Purse
    counts: RelayCounts
    clock: Clock
    draw: Callable[[], float]


class Request(Struct, frozen=True, kw_only=True):
    """What goes to a provider: `body` as the caller sent it, maybe `packed` (compressed), and its raw headers."""

    asked: Asked
    capability: str | None
    headers: list[Header]
    body: bytes
    packed: bool
    query: bytes


class Caller:
    """Whoever waits for a call; looked after only where it takes longer."""

    __slots__ = ("_answer", "_receive", "_watch", "_work", "gone")

    def __init__(self, receive: Receive) -> None:
        self.gone = False
        self._receive = receive
        self._answer: Answer | None = None
        self._watch: asyncio.Task[None] | None = None
        self._work: asyncio.Task[None] | None = None

    def look_after(self, answer: Answer) -> None:
        """From now on the answer is given up as soon as the caller hangs up."""
        self._answer = answer
        if self.gone:
            answer.fail(CallerGone("the caller hung up"))
        self._watch_it()

    async def wait(self, work: Coroutine[None, None, None]) -> None:
        """The work is done. Raises CallerGone as soon as the caller hangs up; it is given up then."""
        self._answer = None
        self._work = asyncio.get_running_loop().create_task(work)
        if self.gone:
            self._work.cancel()
        self._watch_it()
        try:
            await self._work
        except asyncio.CancelledError:
            if not self.gone:
                raise
            raise CallerGone("the caller hung up") from None
        finally:
            self._work = None

    def leave(self) -> None:
        """Nobody looks any more."""
        if self._watch is not None:
            self._watch.cancel()

    def _watch_it(self) -> None:
        if self._watch is None:
            self._watch = asyncio.get_running_loop().create_task(self._wait_for_end())

    async def _wait_for_end(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        if self._answer is not None:
            self._answer.fail(CallerGone("the caller hung up"))
        if self._work is not None:
            self._work.cancel()


class Tries:
    """One call on its way. After `ask`, `target` is the provider that answered or failed last."""

    __slots__ = ("_caller", "_client", "_request", "_way", "attempts", "hold", "slot", "target")

    def __init__(self, way: Way, client: Client, request: Request, caller: Caller) -> None:
        self._way = way
        self._client = client
        self._request = request
        self._caller = caller
        self.attempts = 0
        self.target: Target | None = None
        self.hold: Hold | None = None
        self.slot: Provider | None = None

    async def ask(self, targets: tuple[Target, ...]) -> Answer:
        """The first answer that is no failure, or else the last one's failure as it came.

        Raises EgressRefused and LimitReached for the first target, ModelError where no answer came.
        """
        outcome: Answer | ModelError | None = None
        for target in targets:
            if target is not targets[0]:
                if not self._may_go_on(target):
                    continue
                self._let_go(outcome)
                self._way.counts.fallbacks += 1
            else:
                self._hold(target)
            self.target = target
            outcome, failure = await self._try(target)
            if failure is None or self._caller.gone or not self._may_be_asked_elsewhere(failure):
                break
        if outcome is None:
            raise ModelUnavailable("nobody was asked")
        if isinstance(outcome, ModelError):
            raise outcome
        return outcome

    def leave(self) -> None:
        """The call's room at the provider is free."""
        slot, self.slot = self.slot, None
        if slot is not None and slot.slots is not None:
            slot.slots.give_back()

    def _hold(self, target: Target) -> None:
        """Room for the call there, at the price of the model that is asked there."""
        asked, capability, provider = self._request.asked, self._request.capability, target.provider.name
        self._way.egress.check(capability, provider)
        if asked.model != target.model:
            asked = msgspec.structs.replace(asked, model=target.model)
        self.hold = self._way.purse.hold(asked, capability, provider)

    def _may_go_on(self, target: Target) -> bool:
        """Whether the next target may be asked; what the last one held is given back then."""
        held, self.hold = self.hold, None
        try:
            self._hold(target)
        except (EgressRefused, LimitReached):
            self.hold = held
            return False
        if held is not None:
            held.release()
        return True

    def _let_go(self, outcome: Answer | ModelError | None) -> None:
        """What came is not wanted."""
        if isinstance(outcome, Answer):
            outcome.close()
        self.leave()

    def _may_be_asked_elsewhere(self, failure: Failure) -> bool:
        return failure in ALWAYS_SAFE or self._repeatable

    @property
    def _repeatable(self) -> bool:
        asked = self._request.asked
        return is_repeatable(asked.wire, keyed="idempotency-key" in asked.headers)

    async def _try(self, target: Target) -> tuple[Answer | ModelError, Failure | None]:
        """What came of one provider, and how it failed; None: it did not."""
        provider, tried = target.provider, 0
        sent = self._sent(target)
        while True:
            if not provider.breaker.admit():
                return _left_alone(provider), Failure.UNCONNECTED
            tried += 1
            self.attempts += 1
            outcome, failure = await self._once(provider, sent)
            if failure is None:
                provider.breaker.succeeded()
                return outcome, None
            if self._caller.gone:
                return outcome, failure
            provider.breaker.failed(failure)
            pause = self._pause(provider, tried, failure, outcome)
            if pause is None:
                return outcome, failure
            self._let_go(outcome)
            self._way.counts.retries += 1
            try:
                await self._caller.wait(asyncio.sleep(pause))
            except CallerGone as gone:
                return gone, failure

    async def _once(self, provider: Provider, sent: Sent) -> tuple[Answer | ModelError, Failure | None]:
        try:
            await self._take_slot(provider)
            started = perf_counter()
            answer = await self._client.send(provider.origin, sent)
        except NotConnected as error:
            return error, Failure.UNCONNECTED
        except TookTooLong as error:
            return error, Failure.TIMEOUT
        except ModelError as error:
            return error, Failure.BROKEN
        self._way.counts.upstream[provider.name].add(perf_counter() - started)
        return answer, failure_of(answer.status)

    async def _take_slot(self, provider: Provider) -> None:
        """The call has its room at the provider. Raises CallerGone where nobody waits for it any more."""
        slots = provider.slots
        if slots is None or self.slot is not None:
            return
        if not slots.take_now():
            await self._caller.wait(slots.take())
        self.slot = provider

    def _pause(self, provider: Provider, tried: int, failure: Failure, outcome: Answer | ModelError) -> float | None:
        """Seconds until this provider is tried again; None: it is not."""
        asked_s = None
        if isinstance(outcome, Answer):
            headers = dict(outcome.headers)
            if headers.get(b"x-should-retry") == b"false":
                return None
            after = headers.get(b"retry-after")
            asked_s = read_retry_after(after.decode("latin-1") if after else None, self._way.clock.now())
        return next_pause(
            provider.retrying, tried, failure, repeatable=self._repeatable, asked_s=asked_s, draw=self._way.draw()
        )

    def _sent(self, target: Target) -> Sent:
        """The request as it goes to a target: only the model's name differs, where it is called otherwise there."""
        request, provider = self._request, target.provider
        body, repacked = request.body, False
        if target.model != request.asked.model:
            body, repacked = with_model(request.asked.body, target.model), request.packed
        asked = request.asked.wire
        beginning = provider.beginnings[asked]
        if request.query:
            beginning = provider.begin("POST", PATHS[asked], request.query)
        wire = request_bytes(beginning, sent_headers(provider, request.headers, repacked=repacked), body)
        return Sent(wire=wire, patience=provider.patience, on_slow=self._caller.look_after)


def _left_alone(provider: Provider) -> BrokenCircuit:
    wait_s = provider.breaker.closed_for() or 1.0
    return BrokenCircuit(
        f"{provider.name} failed {provider.breaker.in_a_row} times in a row and is asked again in {wait_s:.0f} s",
        where=provider.origin.name,
        retry_after_s=wait_s,
    )
