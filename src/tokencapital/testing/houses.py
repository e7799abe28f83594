"""A small house to try pages on: the service desk played for both of its capabilities, and one that writes replies.

And what a test needs around it: the time that each page took on the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

import msgspec
from msgspec import Struct
from starlette.types import ASGIApp, Receive, Scope, Send

from tokencapital.app.knowing import Handed, add_bytes
from tokencapital.app.platform import Platform
from tokencapital.app.replay import Budget, Player
from tokencapital.app.settings import Settings
from tokencapital.app.simulated import OrganizationScript
from tokencapital.core.case import Capability, Case, Contract, ContractKind, Goal, Mode
from tokencapital.core.clock import RecordedClock
from tokencapital.models.base import ModelRequest
from tokencapital.simulate.base import Organization
from tokencapital.simulate.service_desk import START, TICKET, TRIAGE, handbook, service_desk
from tokencapital.testing.models import Reply, ScriptedModel
from tokencapital.testing.people import tell_everyone

REPLY = "reply-to-customer"
OWNER = "mira"
_KEY = bytes(range(32))
_SEED = 7
_GUESSED = '{"device": "printer", "urgency": "normal"}'
_WRITTEN = "Thank you for your message.\nWe look into it today and write again tomorrow.\nYour service desk"


class SmallHouse(Struct, frozen=True):
    """What was played: the organization behind it, and the share of each capability's cases that was served."""

    desk: Organization
    share: float

    def unserved(self, capability: str) -> Sequence[Case]:
        """The cases of a capability that nobody has seen yet, nor any in the same words: each text once."""
        cases = [case for case in self.desk.cases if case.capability == capability]
        served = round(len(cases) * self.share)
        seen = {case.messages[-1].content for case in cases[:served]}
        fresh = {case.messages[-1].content: case for case in cases[served:]}
        return [case for text, case in fresh.items() if text not in seen]


def play_small_house(store: str, share: float = 0.5) -> SmallHouse:
    """The store holds the first `share` of each capability's cases of the service desk, played through the loop.

    Its handbook is among the store's documents.
    """
    desk = service_desk(_SEED)
    with Platform.open(Settings(store=store), clock=RecordedClock(START), key=_KEY) as house:
        add_bytes(house, "service_desk_handbook.md", handbook(), Handed(owner=OWNER))
    for name in (TRIAGE, TICKET):
        script = OrganizationScript(desk, name)
        script.cases = script.cases[: round(len(script.cases) * share)]
        capability = next(one for one in desk.capabilities if one.name == name)
        clock = RecordedClock(script.cases[0].at)
        with Platform.open(Settings(store=store), clock=clock, key=_KEY) as house:
            house.declare(msgspec.structs.replace(capability, mode=Mode.ANSWER), small_goal(name), by=OWNER)
            player = Player(house.workplace(name), clock, script, Budget(len(script.cases) // 2, active=True, turns=2))
            asyncio.run(player.play())
    return SmallHouse(desk, share)


def open_small_house(store: str | Path, judged_share: float) -> Platform:
    """The played house at the present time, with a generalist that writes replies; everybody had notice.

    Of what is served from now on people are asked about `judged_share`.
    """
    house = Platform.open(Settings(store=str(store)))
    house.generalist = ScriptedModel(_reply)
    writes = Capability(
        name=REPLY, contract=Contract(kind=ContractKind.TEXT), mode=Mode.ANSWER, instructions="Write a short reply."
    )
    known = [one for one in house.capabilities() if one.name != REPLY]
    for capability in (*known, writes):
        house.declare(capability, small_goal(capability.name, judged_share), by=OWNER)
    tell_everyone(house.store)
    return house


def small_goal(capability: str, judged_share: float = 1.0) -> Goal:
    """A goal of the owner `mira` that tolerates one wrong answer in ten."""
    return Goal(
        capability=capability,
        purpose="Answer at once.",
        owner=OWNER,
        metric="right answers",
        tolerance=0.1,
        judged_share=judged_share,
    )


class TimedApp:
    """An ASGI app that remembers how long each page took on the server, by method and first part of the path."""

    def __init__(self, app: ASGIApp) -> None:
        self.seconds: dict[str, list[float]] = {}
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The request is answered, and its time kept."""
        started = perf_counter()
        await self._app(scope, receive, send)
        if scope["type"] == "http":
            page = f"{scope['method']} /{scope['path'].split('/')[1]}"
            self.seconds.setdefault(page, []).append(perf_counter() - started)

    def medians_ms(self) -> dict[str, float]:
        """The median time of each page in milliseconds."""
        return {page: 1_000 * median(taken) for page, taken in sorted(self.seconds.items())}


def _reply(request: ModelRequest) -> Reply:
    """One polite reply; the first of some labels; an object that guesses."""
    if request.labels is not None:
        return Reply(request.labels[0])
    if request.schema is not None:
        return Reply(_GUESSED)
    return Reply(_WRITTEN)
