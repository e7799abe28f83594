"""The generalist's calls within the limits: room is taken before one is asked, and made right when it has answered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from tokencapital.app.egress import provider_of
from tokencapital.app.settings import GeneralistKind, GeneralistSettings
from tokencapital.core.access import Caller
from tokencapital.core.call import Wire
from tokencapital.core.errors import LimitReached, ModelUnavailable
from tokencapital.models.base import Completion, Delta, ModelClient, ModelRequest
from tokencapital.serve.relay_ports import Asked, Hold, Purse

HOUSE = Caller()
"""Whoever pays where no application asked."""
_PATH = "/v1/chat/completions"
_PAYER: ContextVar[Caller] = ContextVar("tcap_payer", default=HOUSE)


@contextmanager
def paid_by(caller: Caller) -> Iterator[None]:
    """What is asked of a generalist within counts as the caller's."""
    token = _PAYER.set(caller)
    try:
        yield
    finally:
        _PAYER.reset(token)


def within_limits(
    client: ModelClient | None, purse: Purse, capability: str, settings: GeneralistSettings
) -> ModelClient | None:
    """The generalist as a capability asks it within the limits; one that runs in this process is paid by nobody."""
    if client is None or settings.kind is not GeneralistKind.HTTP:
        return client
    return PayingModel(client, purse, capability, provider_of(settings))


class PayingModel:
    """A generalist that a capability asks within the limits; one without room for the call is as good as away."""

    def __init__(self, client: ModelClient, purse: Purse, capability: str, provider: str) -> None:
        self._client = client
        self._purse = purse
        self._capability = capability
        self._provider = provider

    @property
    def name(self) -> str:
        """The model's name."""
        return self._client.name

    async def complete(self, request: ModelRequest) -> Completion:
        """The model's answer. Raises ModelUnavailable too where a limit leaves no room, naming it."""
        hold = self._hold(request)
        try:
            done = await self._client.complete(request)
        except BaseException as error:
            _let_go(hold, error)
            raise
        if hold is not None:
            hold.settle(done.usage, None)
        return done

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        """The same in pieces."""
        hold, usage = self._hold(request), None
        try:
            async for delta in self._client.stream(request):
                usage = delta.usage or usage
                yield delta
        except BaseException as error:
            _let_go(hold, error)
            raise
        if hold is not None:
            hold.settle(usage, None)

    async def close(self) -> None:
        """There is nothing to let go; whoever opened the client closes it."""

    def _hold(self, request: ModelRequest) -> Hold | None:
        body = {
            "model": self.name,
            "max_tokens": request.max_tokens,
            "messages": [{"role": one.role, "content": one.content} for one in request.messages],
        }
        asked = Asked(
            wire=Wire.CHAT,
            path=_PATH,
            model=self.name,
            streamed=False,
            headers={},
            body=msgspec.json.encode(body),
            caller=_PAYER.get(),
        )
        try:
            return self._purse.hold(asked, self._capability, self._provider)
        except LimitReached as error:
            raise ModelUnavailable(error.what) from error


def _let_go(hold: Hold | None, error: BaseException) -> None:
    """A model that could not be reached took nothing; what another one took nobody knows, and it stays taken."""
    if hold is None:
        return
    if isinstance(error, ModelUnavailable):
        hold.release()
    else:
        hold.settle(None, None)
