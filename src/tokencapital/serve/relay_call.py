"""One call that is passed on: asked of a provider, its answer handed to the caller, and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from time import perf_counter

from msgspec import Struct
from starlette.types import Send

from tokencapital.core.call import Call, Ending
from tokencapital.core.errors import ModelError, SpoolFull, StoreError
from tokencapital.core.quantity import Usage
from tokencapital.serve.provider_settings import RelaySettings
from tokencapital.serve.providers import Target
from tokencapital.serve.relay_ports import Asked, Cleaner, Keeper, Sorted
from tokencapital.serve.relay_stream import Copy, LastPiece
from tokencapital.serve.relay_tries import Caller, CallerGone, Tries, Way
from tokencapital.serve.relay_wire import CASE, GROUP, KEY, TRAJECTORY, BrokenCircuit, answer_headers, readable, refusal
from tokencapital.serve.upstream_connection import Answer, NotConnected

_LAST_EVENT_S = 0.25
"""So long is waited for the end of a stream whose last event is there."""
CUT = "tcap.cut"
"""The tag of a call of which less was kept than came."""

Took = tuple[Usage | None, Decimal | None]


class Keeping(Struct, frozen=True, kw_only=True):
    """What every call's keeping shares. `took` says what a call took, in tokens and dollars; it is asked only where a
    limit holds. `goes_unrecorded`: where nothing more can be kept, answers go out all the same."""

    keeper: Keeper
    cleaner: Cleaner
    took: Callable[[Call], Took]
    goes_unrecorded: bool
    settings: RelaySettings


class Begun(Struct, frozen=True, kw_only=True):
    """A call that is about to be made. `recorded` False: nothing can be kept now."""

    id: str
    at: datetime
    started: float
    asked: Asked
    sorted_: Sorted
    recorded: bool


class Passage:
    """A call from the first try to the last byte."""

    __slots__ = ("_begun", "_copy", "_first_s", "_keeping", "_kept", "_send", "_started", "_tries", "_way")

    def __init__(self, way: Way, keeping: Keeping, begun: Begun, tries: Tries, send: Send) -> None:
        self._way = way
        self._keeping = keeping
        self._begun = begun
        self._tries = tries
        self._send = send
        self._copy = Copy(keeping.settings.max_kept_bytes)
        self._first_s: float | None = None
        self._kept = self._started = False

    async def run(self, targets: tuple[Target, ...], caller: Caller) -> None:
        """The caller has the answer, and it is kept; an answer that cannot be kept any more ends without its end.

        Raises EgressRefused, LimitReached, InputError before anything was sent, StoreError where nothing could be kept.
        """
        answer: Answer | None = None
        try:
            answer = await self._tries.ask(targets)
            self._first_s = perf_counter() - self._begun.started
            if not self._streams(answer):
                await self._gather(answer)
            if answer.whole and not self._streams(answer):
                await self._hand_over(answer)
            else:
                await self._pass_on(answer)
        except CallerGone:
            await self._end(Ending.DISCONNECTED, answer)
        except ModelError as error:
            await self._break(error, answer)
        except StoreError:
            if not self._started:
                raise
        finally:
            caller.leave()
            if answer is not None:
                answer.close()
            self._tries.leave()
            hold, self._tries.hold = self._tries.hold, None
            if hold is not None:
                hold.settle(None, None)

    def _streams(self, answer: Answer) -> bool:
        """Whether the answer goes out in pieces: the provider says so, or the caller asked for it and has it."""
        if self._begun.asked.streamed and answer.status < 400:
            return True
        kind = next((value for name, value in answer.headers if name == b"content-type"), b"")
        return kind.startswith(b"text/event-stream")

    async def _gather(self, answer: Answer) -> None:
        """The answer is whole, or longer than what is kept of one."""
        while not answer.whole and answer.size <= self._keeping.settings.max_kept_bytes:
            await answer.more(unread=answer.size)

    async def _hand_over(self, answer: Answer) -> None:
        """A whole answer goes out when it is kept."""
        body = answer.take()
        self._copy.add(body)
        recorded = await self._keep(_ending(answer), answer)
        headers = answer_headers(answer.headers, self._begun.id, len(body), recorded=recorded)
        await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def _pass_on(self, answer: Answer) -> None:
        """Pieces go out as they come; the last event, or the end where none can be told, waits until they are kept."""
        length = _length(answer)
        headers = answer_headers(answer.headers, self._begun.id, length, recorded=self._begun.recorded)
        self._started = True
        await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})
        last, held = LastPiece(self._begun.asked.wire), b""
        while True:
            piece = answer.take()
            if piece:
                self._copy.add(piece)
                begins = 0 if held or answer.size == length else last.begins_at(piece)
                place = len(piece) if begins is None or self._kept else begins
                await self._out(piece[:place])
                held += piece[place:]
            if answer.whole:
                break
            if not held:
                await answer.more()
            elif not await _more_within(answer, _LAST_EVENT_S):
                await self._keep(_ending(answer), answer)
                await self._out(held)
                held = b""
        await self._keep(_ending(answer), answer)
        await self._send({"type": "http.response.body", "body": held})

    async def _out(self, piece: bytes) -> None:
        if piece:
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def _break(self, error: ModelError, answer: Answer | None) -> None:
        """No answer came, or not all of it: the caller is told, or the answer ends for it where it broke off."""
        unreached = answer is None and isinstance(error, NotConnected | BrokenCircuit)
        await self._end(Ending.UNREACHABLE if unreached else Ending.BROKEN, answer)
        if self._started:
            return
        status, body, headers = refusal(self._begun.asked.wire, error)
        headers.append((TRAJECTORY, self._begun.id.encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def _end(self, ending: Ending, answer: Answer | None) -> None:
        """What came until the call ended too early is kept."""
        if answer is not None:
            self._copy.add(answer.take())
        if ending is Ending.DISCONNECTED:
            self._way.counts.disconnected += 1
        await self._keep(ending, answer)

    async def _keep(self, ending: Ending, answer: Answer | None) -> bool:
        """The call is durable, and what it took is off its limits; False: nothing could be kept.

        Raises SpoolFull where the house answers nothing that it cannot keep.
        """
        if self._kept:
            return True
        self._kept = True
        counts, keeping = self._way.counts, self._keeping
        provider = self._tries.target.provider.name if self._tries.target else ""
        counts.answered(self._begun.asked.wire, provider, 0 if answer is None else answer.status)
        call = self._call(ending, answer, provider)
        self._settle(call)
        before = perf_counter()
        try:
            await keeping.keeper.keep(keeping.cleaner.clean(call))
        except SpoolFull:
            if not keeping.goes_unrecorded:
                raise
            counts.unrecorded += 1
            return False
        after = perf_counter()
        counts.kept.add(after - before)
        counts.whole.add(after - self._begun.started)
        return True

    def _settle(self, call: Call) -> None:
        hold, self._tries.hold = self._tries.hold, None
        if hold is None:
            return
        if call.ending in (Ending.REFUSED, Ending.UNREACHABLE):
            hold.release()
        elif call.ending is Ending.DONE:
            hold.settle(*self._keeping.took(call))
        else:
            hold.settle(None, None)

    def _call(self, ending: Ending, answer: Answer | None, provider: str) -> Call:
        begun, asked = self._begun, self._begun.asked
        most, headers = self._keeping.settings.max_kept_bytes, asked.headers
        response, all_there = (None, True) if answer is None else readable(self._copy.whole(), answer.headers, most)
        cut = len(asked.body) > most or self._copy.cut or not all_there
        return Call(
            id=begun.id,
            at=begun.at,
            wire=asked.wire,
            asked=asked.model,
            provider=provider,
            status=0 if answer is None else answer.status,
            ending=ending,
            streamed=asked.streamed,
            capability=begun.sorted_.capability,
            application=asked.caller.application,
            case=headers.get(CASE),
            group=headers.get(GROUP),
            key=headers.get(KEY),
            tags={**begun.sorted_.tags, CUT: "yes"} if cut else begun.sorted_.tags,
            elapsed_s=perf_counter() - begun.started,
            first_s=self._first_s,
            attempts=self._tries.attempts,
            request=asked.body if len(asked.body) <= most else asked.body[:most],
            response=response,
        )


def _ending(answer: Answer) -> Ending:
    return Ending.DONE if answer.status < 400 else Ending.REFUSED


def _length(answer: Answer) -> int | None:
    """How long the body says it will be; None: it does not say."""
    said = next((value for name, value in answer.headers if name == b"content-length"), None)
    return int(said) if said is not None else None


async def _more_within(answer: Answer, seconds: float) -> bool:
    """Whether more came in this time."""
    try:
        async with asyncio.timeout(seconds):
            await answer.more()
    except TimeoutError:
        return False
    return True
