"""A played service desk in which both capabilities answer with a specialist: something to erase, pack and carry."""

from __future__ import annotations

import asyncio

import msgspec
from msgspec import Struct

from tokencapital.app.loop import learn
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.replay import Budget, Player
from tokencapital.app.settings import Settings
from tokencapital.app.simulated import OrganizationScript
from tokencapital.core.case import Case, Goal, Mode
from tokencapital.core.clock import RecordedClock
from tokencapital.core.policy import Decision, Evidence, Lane, Release
from tokencapital.simulate.service_desk import TICKET, TRIAGE, service_desk
from tokencapital.store.releases import append_release, save_artifact, save_policy

OWNER = "mira"
TOLERANCE = 0.1
_KEY = bytes(range(1, 33))


class PlayedDesk(Struct, frozen=True):
    """The cases that nobody has seen yet, by capability."""

    unseen: dict[str, tuple[Case, ...]]


def play_desk(store: str, cases: int, seed: int = 7) -> PlayedDesk:
    """The first `cases` of both capabilities were served and half of them judged; both have a live specialist."""
    desk = service_desk(seed)
    unseen: dict[str, tuple[Case, ...]] = {}
    for name in (TRIAGE, TICKET):
        script = OrganizationScript(desk, name)
        unseen[name] = tuple(script.cases[cases:])
        script.cases = script.cases[:cases]
        capability = next(one for one in desk.capabilities if one.name == name)
        clock = RecordedClock(script.cases[0].at)
        with Platform.open(Settings(store=store), clock=clock, key=_KEY) as platform:
            platform.declare(msgspec.structs.replace(capability, mode=Mode.ANSWER), _goal(name), by=OWNER)
            place = platform.workplace(name)
            asyncio.run(Player(place, clock, script, Budget(cases // 2, active=True, turns=2)).play())
            promote(place)
    return PlayedDesk(unseen)


def promote(place: Workplace) -> None:
    """What all judgments make is live, whatever a gate would say of so few."""
    for candidate in learn(place, TOLERANCE):
        if candidate.artifact is not None:
            save_artifact(place.store, candidate.artifact)
        save_policy(place.store, candidate.policy)
        released = Release(
            id=place.parts.ids.new("rel"),
            capability=place.name,
            policy=candidate.policy.hash,
            at=place.now(),
            lane=Lane.CHANGE,
            decision=Decision.PROMOTED,
            evidence=Evidence(n=0, reason="made live for a test"),
            decided_by=OWNER,
        )
        append_release(place.store, released)


def _goal(capability: str) -> Goal:
    return Goal(
        capability=capability,
        purpose="Answer at once.",
        owner=OWNER,
        metric="right answers",
        tolerance=TOLERANCE,
    )
