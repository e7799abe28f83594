"""The main job on a fresh machine: six weeks of a service desk, played through the loop."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
from msgspec import Struct

from tokencapital.account.statements import Statement, draw_up
from tokencapital.app.arms import ArmResult, arms, run_arm, score_arm
from tokencapital.app.knowing import Handed, add_bytes
from tokencapital.app.pictures import CurveLine, save_pictures
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.played import GainStep, RuleRecovery, Unseen, answers_at, gain_steps, rule_recovery
from tokencapital.app.replay import Budget, Player
from tokencapital.app.settings import GeneralistKind, GeneralistSettings, Settings
from tokencapital.app.simulated import OrganizationScript
from tokencapital.core.case import Capability, Case, Goal, Message, Mode
from tokencapital.core.clock import RecordedClock
from tokencapital.core.errors import SettingsError
from tokencapital.core.policy import Release
from tokencapital.models.base import ModelRequest
from tokencapital.simulate.base import Organization
from tokencapital.simulate.service_desk import START, TICKET, TRIAGE, handbook, service_desk
from tokencapital.store import releases as book
from tokencapital.store.ledger import transactions
from tokencapital.store.turns import Turn, turns

SEED = 1
KEY = hashlib.blake2b(b"service desk", digest_size=32).digest()
"""Fixed, so that the demo splits the same way each time; a store of one's own has a secret one."""
UNSEEN_SHARE = 0.15
"""The last part of the cases is never served, and kept to measure on."""
JUDGED_SHARE = 0.70
TOLERANCE = 0.10
TURNS = 8
ARM_CASES = 60

WARM_UP = ModelRequest(messages=(Message("user", "Hello"),), max_tokens=1)
"""Loads the weights before the clock of the comparison runs."""

Told = Callable[[str, int, int], None]
"""Told what is being done, and how much of how much is done."""


class Played(Struct, frozen=True, kw_only=True):
    """What became of one capability. `steps` say what each turn's judgments brought on unseen cases."""

    capability: str
    cases: int
    judgments: int
    curve: tuple[Turn, ...]
    steps: tuple[GainStep, ...]
    releases: tuple[Release, ...]
    recovery: RuleRecovery | None


class DemoReport(Struct, frozen=True, kw_only=True):
    """All that `tcap demo --json` writes. `arms` is empty, and `no_arms` says why, without the embedded generalist."""

    played: tuple[Played, ...]
    arms: tuple[ArmResult, ...]
    no_arms: str | None
    statement: Statement
    pictures: tuple[str, ...]
    store: str
    seconds: float


def run_demo(folder: Path, told: Told) -> DemoReport:
    """The service desk was played; its store and pictures are in the folder, which starts empty of both."""
    started = perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    store = folder / "demo.sqlite"
    for old in folder.glob("demo.sqlite*"):
        old.unlink()
    desk = service_desk(SEED)
    _add_handbook(str(store))
    played = tuple(asyncio.run(_play(desk, name, str(store), told)) for name in (TRIAGE, TICKET))
    results, why_not = _compare(desk, str(store), told)
    with Platform.open(Settings(store=str(store))) as platform:
        statement = draw_up(transactions(platform.store))
    pictures = save_pictures([curve_line(one) for one in played], folder)
    return DemoReport(
        played=played,
        arms=results,
        no_arms=why_not,
        statement=statement,
        pictures=tuple(str(path) for path in pictures),
        store=str(store),
        seconds=perf_counter() - started,
    )


def _add_handbook(store: str) -> None:
    """The desk's own handbook can be asked from the first day on."""
    with Platform.open(Settings(store=store), clock=RecordedClock(START), key=KEY) as platform:
        add_bytes(platform, "service_desk_handbook.md", handbook(), Handed(owner="head of the service desk"))


def curve_line(one: Played) -> CurveLine:
    """The curve of a capability as a picture shows it."""
    return CurveLine(
        one.capability, tuple(step.judgments for step in one.steps), tuple(step.right for step in one.steps)
    )


def split_unseen(script: OrganizationScript) -> tuple[list[Case], list[Case]]:
    """The cases to serve, and the last of them in time, which are kept unseen."""
    kept = round(len(script.cases) * (1 - UNSEEN_SHARE))
    return list(script.cases[:kept]), list(script.cases[kept:])


async def _play(desk: Organization, name: str, store: str, told: Told) -> Played:
    script = OrganizationScript(desk, name)
    served, unseen = split_unseen(script)
    script.cases = served
    clock = RecordedClock(served[0].at)
    with Platform.open(Settings(store=store), clock=clock, key=KEY) as platform:
        place = declare(platform, _capability(desk, name), TOLERANCE)
        budget = Budget(round(len(served) * JUDGED_SHARE), active=True, turns=TURNS)
        player = Player(place, clock, script, budget)
        await player.play(lambda done, total: told(f"playing {name}", done, total))
        truths = [script.right(case, case.at) for case in unseen]
        never = Unseen(unseen, truths, [case.group for case in unseen])
        played = turns(place.store, name)
        answers = [await answers_at(place, turn, unseen) for turn in played]
        return Played(
            capability=name,
            cases=len(served),
            judgments=played[-1].judgments,
            curve=tuple(played),
            steps=tuple(gain_steps(played, answers, never, place.capability.contract.kind)),
            releases=tuple(book.releases(place.store, name)),
            recovery=rule_recovery(place, script, TOLERANCE),
        )


def declare(platform: Platform, capability: Capability, tolerance: float) -> Workplace:
    """The workplace of a simulated capability in `answer` mode, with a goal that tolerates so many errors."""
    goal = Goal(
        capability=capability.name,
        purpose="Put each message where it is dealt with, without asking twice.",
        owner="head of the service desk",
        metric="resolved the first time",
        tolerance=tolerance,
    )
    raised = Capability(
        name=capability.name,
        contract=capability.contract,
        mode=Mode.ANSWER,
        instructions=capability.instructions,
    )
    platform.declare(raised, goal, by="head of the service desk")
    return platform.workplace(capability.name)


def _capability(desk: Organization, name: str) -> Capability:
    return next(one for one in desk.capabilities if one.name == name)


def _compare(desk: Organization, store: str, told: Told) -> tuple[tuple[ArmResult, ...], str | None]:
    """The cascade beside the generalist alone, on the same unseen cases chosen by chance once for all."""
    script = OrganizationScript(desk, TRIAGE)
    _, unseen = split_unseen(script)
    chosen = np.random.default_rng(SEED).choice(len(unseen), min(ARM_CASES, len(unseen)), replace=False)
    cases = [unseen[i] for i in sorted(chosen)]
    settings = Settings(store=store, generalist=GeneralistSettings(kind=GeneralistKind.EMBEDDED, concurrency=1))
    try:
        with Platform.open(settings, clock=RecordedClock(cases[-1].at)) as platform:
            return asyncio.run(_run_arms(platform.workplace(TRIAGE), script, cases, told)), None
    except SettingsError as error:
        return (), str(error)


def _tell_arm(told: Told, name: str, total: int, done: int) -> None:
    told(name, done, total)


async def _run_arms(
    place: Workplace, script: OrganizationScript, cases: Sequence[Case], told: Told
) -> tuple[ArmResult, ...]:
    truths, groups = [script.right(case, case.at) for case in cases], [case.group for case in cases]
    if place.parts.generalist is not None:
        await place.parts.generalist.complete(WARM_UP)
    results = []
    for arm in arms(place.releases.live(place.name)):
        done = await run_arm(place, arm, cases, partial(_tell_arm, told, arm.name, len(cases)))
        results.append(score_arm(arm.name, done, truths, groups))
    return tuple(results)
