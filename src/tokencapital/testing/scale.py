"""A store as large as a year of a company's work, for measuring: the loop played for a while, then facts in bulk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from tokencapital.account.journal import book_review, book_serving
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.replay import Budget, Player
from tokencapital.app.settings import CapabilitySettings, GoalSettings, Settings
from tokencapital.app.simulated import OrganizationScript
from tokencapital.app.telling import tell_players
from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.case import Case, ContractKind, Message, Mode
from tokencapital.core.clock import RecordedClock
from tokencapital.core.judgment import Draw, DrawKind, Judgment, Verdict
from tokencapital.core.quantity import Energy, Grade, Money
from tokencapital.core.split import Split
from tokencapital.promote.releases import starting_policy
from tokencapital.simulate.organization import CAPABILITY, Plan, simulated_organization
from tokencapital.store.cases import record_exchanges
from tokencapital.store.draws import append_draws
from tokencapital.store.judgments import append_judgments
from tokencapital.store.ledger import append_transactions
from tokencapital.store.manifest import Assignment

KEY = bytes(range(32))
_AT_ONCE = 5_000
_STAGES = (Stage.RECALL, Stage.SPECIALIST, Stage.GENERALIST, Stage.PERSON)
_SHARES = (0.15, 0.5, 0.15, 0.2)
_PLAYED = 3_000
_DAYS = 300

Told = Callable[[int, int], None]
"""Told how many trajectories of how many are stored."""


class Scale(Struct, frozen=True, kw_only=True):
    """How much is stored: each draw is of one case, and the first `judgments` of the draws were answered."""

    trajectories: int = 1_000_000
    draws: int = 200_000
    judgments: int = 50_000


class _Day(Struct, frozen=True):
    """What came in on a day: exchanges, those asked of people, and how many of these were answered."""

    exchanges: Sequence[Exchange]
    asked: int
    answered: int


def settings_at(path: Path) -> Settings:
    """One capability in `answer` mode with a goal, on the store at the path."""
    goal = GoalSettings(purpose="Put each piece of work where it is dealt with.", owner="head of work", tolerance=0.15)
    declared = CapabilitySettings(contract=ContractKind.LABEL, mode=Mode.ANSWER, mode_by="head of work", goal=goal)
    return Settings(store=str(path), capabilities={CAPABILITY: declared})


def build_store(path: Path, scale: Scale, told: Told = lambda done, total: None) -> None:
    """A store of this scale is at the path: the loop turned three times, the rest was added as it would have come."""
    organization = simulated_organization(1, Plan(cases=20_000, overlap=0.3, ambiguous=0.05))
    script = OrganizationScript(organization, CAPABILITY)
    texts = [(case.messages[0].content, str(organization.facts[case.id].value)) for case in script.cases]
    script.cases = script.cases[:_PLAYED]
    start = datetime.now(UTC) - timedelta(days=_DAYS)
    clock = RecordedClock(start)
    script.cases = [msgspec.structs.replace(case, at=start) for case in script.cases]
    with Platform.open(settings_at(path), clock=clock, key=KEY) as platform:
        place = platform.workplace(CAPABILITY)
        tell_players(platform.store, script.experts, start)
        asyncio.run(Player(place, clock, script, Budget(_PLAYED // 2, active=True, turns=3)).play())
        _fill(place, texts, scale, told)


def _fill(place: Workplace, texts: Sequence[tuple[str, str]], scale: Scale, told: Told) -> None:
    rng = np.random.default_rng(1)
    total = scale.trajectories - _PLAYED
    made = _exchanges(place, texts, total, rng)
    stored = 0
    while batch := list(islice(made, _AT_ONCE)):
        before, stored = stored, stored + len(batch)
        asked = _share(scale.draws, before, stored, total)
        _store_day(place, _Day(batch, asked, min(asked, _share(scale.judgments, before, stored, total))), rng)
        told(_PLAYED + stored, scale.trajectories)


def _share(whole: int, before: int, after: int, total: int) -> int:
    return whole * after // total - whole * before // total


def _exchanges(
    place: Workplace, texts: Sequence[tuple[str, str]], count: int, rng: np.random.Generator
) -> Iterator[Exchange]:
    live = place.releases.live(place.name)
    policy = (live.policy if live.release else starting_policy(place.capability)).hash
    start, step = place.now(), timedelta(days=_DAYS) / count
    stages = rng.choice(len(_STAGES), size=count, p=_SHARES)
    sure = rng.random(count)
    for number in range(count):
        text, label = texts[number % len(texts)]
        at = start + number * step
        case = Case(
            id=f"big-{number:07d}",
            capability=place.name,
            group=f"customer-{number // 3}",
            at=at,
            messages=(Message("user", f"{text} {number}"),),
        )
        stage = _STAGES[stages[number]]
        answer = Answer(
            value=label,
            stage=stage,
            source=Stage.SPECIALIST if stage is Stage.PERSON else stage,
            confidence=round(0.6 + 0.4 * float(sure[number]), 4),
            because=(f"jdg_{script_case(number)}",) if stage is Stage.RECALL else (),
        )
        yield Exchange(
            case,
            Trajectory(
                id=place.parts.ids.new("trj"),
                case=case.id,
                capability=place.name,
                at=at,
                answer=answer,
                policy=policy,
                memory=live.policy.memory,
                seed=0,
                propensity=0.98,
                elapsed_s=0.004,
                energy=Energy(0.1, Grade.ESTIMATED),
                cost=Money(Decimal("0.0000001")),
                release=live.release,
            ),
        )


def script_case(number: int) -> str:
    """The case in the played part whose judgment the answer `number` rests on."""
    return f"case-{number % _PLAYED:05d}"


def _store_day(place: Workplace, day: _Day, rng: np.random.Generator) -> None:
    store = place.store
    with store.begin():
        assigned = record_exchanges(store, day.exchanges)
        chosen = sorted(rng.choice(len(day.exchanges), size=day.asked, replace=False).tolist())
        draws = [_draw(place, day.exchanges[i], assigned[i], rng) for i in chosen]
        append_draws(store, draws)
        answered = [(draws[n], day.exchanges[i]) for n, i in enumerate(chosen[: day.answered])]
        said = append_judgments(store, [_judgment(asked, done, rng) for asked, done in answered])
    booked = list(book_serving((one.trajectory for one in day.exchanges), {}, place.parts.ids))
    for one in said:
        booked += book_review([one], place.assumptions, place.parts.ids)
    append_transactions(store, booked)


def _draw(place: Workplace, done: Exchange, assigned: Assignment, rng: np.random.Generator) -> Draw:
    uniform = assigned.split is Split.SEALED or rng.random() < 0.25
    return Draw(
        id=f"drw_{done.case.id}",
        case=done.case.id,
        capability=place.name,
        kind=DrawKind.UNIFORM if uniform else DrawKind.ACTIVE,
        probability=0.05 if uniform else float(rng.random()),
        at=done.trajectory.at,
    )


def _judgment(asked: Draw, done: Exchange, rng: np.random.Generator) -> Judgment:
    wrong = rng.random() < 0.08
    return Judgment(
        id=f"jdg_{asked.case}",
        case=asked.case,
        capability=asked.capability,
        expert=f"expert-{int(rng.integers(12)):02d}",
        at=asked.at,
        verdict=Verdict.CORRECTED if wrong else Verdict.RIGHT,
        answer="kind_00" if wrong else done.trajectory.answer.value,
        drawn=asked.kind,
        probability=asked.probability,
        valid_from=asked.at,
        reason="It says so in the first line." if wrong else None,
        minutes=0.3,
    )
