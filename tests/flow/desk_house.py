"""A small house for the pages: the service desk played for both of its capabilities, and one that writes replies."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from tokencapital.app.platform import Platform
from tokencapital.app.replay import Budget, Player
from tokencapital.app.settings import Settings
from tokencapital.app.simulated import OrganizationScript
from tokencapital.core.case import Capability, Case, Contract, ContractKind, Goal, Mode
from tokencapital.core.clock import RecordedClock
from tokencapital.core.errors import ModelUnavailable
from tokencapital.models.base import ModelRequest
from tokencapital.simulate.service_desk import TICKET, TRIAGE, service_desk
from tokencapital.testing.models import Reply, ScriptedModel
from tokencapital.testing.people import tell_everyone

REPLY = "reply-to-customer"
OWNER = "mira"
KEY = bytes(range(32))
SEED = 7


def play_house(store: Path, cases: int = 260) -> None:
    """The store holds the first `cases` of each capability, played through the loop, and some replies."""
    desk = service_desk(SEED)
    for name in (TRIAGE, TICKET):
        script = OrganizationScript(desk, name)
        script.cases = script.cases[:cases]
        capability = next(one for one in desk.capabilities if one.name == name)
        with Platform.open(Settings(store=str(store)), clock=RecordedClock(script.cases[0].at), key=KEY) as house:
            house.declare(msgspec.structs.replace(capability, mode=Mode.ANSWER), goal_of(name), by=OWNER)
            clock = house.clock
            assert isinstance(clock, RecordedClock)
            player = Player(house.workplace(name), clock, script, Budget(cases // 2, active=True, turns=2))
            asyncio.run(player.play())


def goal_of(name: str) -> Goal:
    return Goal(
        capability=name, purpose="Answer at once.", owner=OWNER, metric="right answers", tolerance=0.1, judged_share=1.0
    )


def replies(request: ModelRequest) -> Reply:
    """A generalist that writes one polite reply, names the first label, and has no objects to give."""
    if request.labels is not None:
        return Reply(request.labels[0])
    if request.schema is not None:
        return Reply(fault=ModelUnavailable("no objects today"))
    return Reply("Thank you for your message.\nWe look into it today and write again tomorrow.\nYour service desk")


def open_desk(store: Path) -> Platform:
    """The played house with its generalist, in which replies are written too and everybody had notice."""
    house = Platform.open(Settings(store=str(store)))
    house.generalist = ScriptedModel(replies)
    writes = Capability(
        name=REPLY, contract=Contract(kind=ContractKind.TEXT), mode=Mode.ANSWER, instructions="Write a short reply."
    )
    house.declare(writes, goal_of(REPLY), by=OWNER)
    tell_everyone(house.store)
    return house


def unserved(capability: str, after: int) -> list[Case]:
    """The cases of a capability that come after those that were played."""
    return [case for case in service_desk(SEED).cases if case.capability == capability][after:]
