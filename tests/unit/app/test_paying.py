"""What a generalist is asked is held against the limits, and only what was taken stays taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

import pytest

from tokencapital.app.paying import PayingModel, paid_by
from tokencapital.core.access import Caller
from tokencapital.core.case import Message
from tokencapital.core.errors import LimitReached, ModelTimeout, ModelUnavailable
from tokencapital.core.quantity import Usage
from tokencapital.models.base import Completion, Delta, ModelRequest
from tokencapital.serve.relay_ports import Asked

REQUEST = ModelRequest(messages=(Message("user", "say it"),), max_tokens=40)
USED = Usage(7, 3)


class Model:
    """Answers, or fails as it is told."""

    name = "own-model"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked = 0

    async def complete(self, request: ModelRequest) -> Completion:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return Completion(text="it", usage=USED, model=self.name, elapsed_s=0.1)

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        self.asked += 1
        yield Delta("i")
        if self.error is not None:
            raise self.error
        yield Delta("t", "stop", USED)

    async def close(self) -> None:
        """There is nothing to let go."""


class Purse:
    """Has room for so many calls, and remembers who asked for some and what became of it."""

    def __init__(self, room: int = 9) -> None:
        self.room = room
        self.asked: list[tuple[str | None, str | None, str, str]] = []
        self.settled: list[Usage | str | None] = []

    def hold(self, asked: Asked, capability: str | None, provider: str) -> Purse:
        if len(self.asked) == self.room:
            raise LimitReached("the limit `small` leaves no room")
        assert b'"max_tokens":40' in asked.body
        self.asked.append((asked.caller.application, capability, provider, asked.model))
        return self

    def settle(self, usage: Usage | None, usd: Decimal | None) -> None:
        self.settled.append(usage)

    def release(self) -> None:
        self.settled.append("released")


async def streamed(model: PayingModel) -> Sequence[str]:
    return [one.text async for one in model.stream(REQUEST)]


def test_room_is_taken_for_whoever_asked_and_made_right() -> None:
    purse = Purse()
    model = PayingModel(Model(), purse, "triage", "elsewhere")
    with paid_by(Caller(application="crm")):
        assert asyncio.run(model.complete(REQUEST)).text == "it"
    assert asyncio.run(streamed(model)) == ["i", "t"]
    assert purse.asked == [
        ("crm", "triage", "elsewhere", "own-model"),
        (None, "triage", "elsewhere", "own-model"),
    ]
    assert purse.settled == [USED, USED]


def test_without_room_nothing_is_asked() -> None:
    client = Model()
    model = PayingModel(client, Purse(room=0), "triage", "elsewhere")
    with pytest.raises(ModelUnavailable, match="the limit `small`"):
        asyncio.run(model.complete(REQUEST))
    with pytest.raises(ModelUnavailable, match="the limit `small`"):
        asyncio.run(streamed(model))
    assert client.asked == 0


@pytest.mark.parametrize(
    ("error", "left"), [(ModelUnavailable("away"), "released"), (ModelTimeout("slow"), None)], ids=["away", "slow"]
)
def test_what_failed_took_nothing_only_where_that_is_known(error: Exception, left: str | None) -> None:
    purse = Purse()
    model = PayingModel(Model(error), purse, "triage", "elsewhere")
    for asks in (model.complete, lambda _: streamed(model)):
        with pytest.raises(type(error)):
            asyncio.run(asks(REQUEST))  # type: ignore[arg-type]
    assert purse.settled == [left, left]
