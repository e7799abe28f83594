"""One turn of the loop, top to bottom: whoever reads `turn` knows the system.

Cases are served and recorded, and people judge some of them, all the time; a turn is what follows:
watch what is live, learn from what people said, let the gate decide, and book what it took.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from time import perf_counter

import msgspec
from msgspec import Struct

from tokencapital.account.entries import Kind
from tokencapital.account.journal import (
    LearningRun,
    book_learning,
    book_serving,
    book_steps,
    booked_until,
    steps_booked_until,
)
from tokencapital.app.lesson_trials import lessons_to_try
from tokencapital.app.limits import limit_reached
from tokencapital.app.observing import without_steps_own
from tokencapital.app.platform import Workplace
from tokencapital.app.reliability import weigh
from tokencapital.core.case import Json
from tokencapital.core.policy import Release
from tokencapital.core.quantity import Usage
from tokencapital.improve.dataset import gather
from tokencapital.improve.exemplars import propose_exemplars, tries_exemplars
from tokencapital.improve.propose import Asked, Candidate, propose
from tokencapital.meter.meter import Spent
from tokencapital.models.threads import all_cores_for_algebra
from tokencapital.promote.decide import Gate, decide, watch
from tokencapital.serve.generalist import GeneralistAnswer
from tokencapital.serve.ports import lessons_that_hold
from tokencapital.serve.prompt import Shown
from tokencapital.store.cases import count_cases, trajectories_after
from tokencapital.store.draws import drawn_cases
from tokencapital.store.ledger import append_transactions, transactions
from tokencapital.store.rebuilds import Rebuild, finish_rebuilds, rests_on_erased
from tokencapital.store.releases import lineage_of, releases
from tokencapital.store.steps import steps_after, with_steps
from tokencapital.store.turns import Turn


class TurnReport(Struct, frozen=True):
    """What a turn brought. `idle` says why nothing was spent; None: the loop turned. `undone`: a release that did harm.

    `releases` are the gate's decisions on what was proposed; empty: there was nothing new to propose. `swap` is the
    id of the swap test that was due with it, `swap_failure` why that gave nothing; None: none was, or it gave one.
    """

    idle: str | None = None
    undone: Release | None = None
    releases: tuple[Release, ...] = ()
    train_s: float = 0.0
    evaluate_s: float = 0.0
    usage: Usage = Usage()
    swap: str | None = None
    swap_failure: str | None = None


async def turn(place: Workplace, number: int, *, least_growth: float = 0.0) -> TurnReport:
    """Turn `number` of a capability's loop. Done again after a crash, it books nothing twice.

    Without `least_growth` as a share of new judgments it leaves the specialist as it is.
    """
    goal, now = place.goal, place.now()
    if goal is None or not goal.is_live(now):
        return TurnReport(idle="no live goal is declared")
    spent_up = limit_reached(place.store, goal)
    if spent_up is not None:
        return TurnReport(idle=spent_up)
    gate = Gate(capability=place.name, store=place.store, runner=place.runner, sealed=place.sealed, ids=place.parts.ids)
    clock = Stopwatch()

    with clock.on(Kind.EVALUATE):
        watched = await watch(gate, place.releases.live(place.name), now)
        place.sealed.retire_if_spent(now, by="loop")
    with clock.on(Kind.TRAIN), all_cores_for_algebra():
        specialist = learn(place, goal.tolerance, least_growth)
    with clock.on(Kind.EVALUATE):
        decided = [await decide(gate, one, place.releases.live(place.name), now) for one in specialist]
    let_go_of_erased(place)
    with clock.on(Kind.TRAIN):
        shown, tried = await learn_to_show(place, goal.tolerance)
    with clock.on(Kind.EVALUATE):
        decided += [await decide(gate, one, place.releases.live(place.name), now) for one in shown]
    with clock.on(Kind.TRAIN):
        taught, heard = await lessons_to_try(place, gate, _asked(place, goal.tolerance))
    with clock.on(Kind.EVALUATE):
        decided += [await decide(gate, one, place.releases.live(place.name), now) for one in taught]

    results = chain(watched.results, *(one.results for one in decided))
    report = TurnReport(
        undone=watched.undone,
        releases=tuple(one.release for one in decided),
        train_s=clock.seconds[Kind.TRAIN],
        evaluate_s=clock.seconds[Kind.EVALUATE],
        usage=sum([*(one.usage for one in results if one.paid), *(one.usage for one in (*tried, *heard))], Usage()),
    )
    account(place, f"turn-{number}", report)
    return report


def learn(place: Workplace, tolerance: float, least_growth: float = 0.0) -> list[Candidate]:
    """The policy that all judgments which hold now make; empty: too little new was said."""
    now, live, memory = place.now(), place.releases.live(place.name), place.engine.memory
    memory.refresh()
    digest = live.policy.specialist
    rebuilds = digest is not None and (
        memory.any_lapsed(lineage_of(place.store, digest), now) or rests_on_erased(place.store, digest)
    )
    dataset = gather(memory, now, weigh(place))
    candidate = propose(dataset, live, _asked(place, tolerance, rebuilds=rebuilds, least_growth=least_growth))
    return [candidate] if candidate else []


def let_go_of_erased(place: Workplace) -> list[Rebuild]:
    """What rested on erased judgments has no content any more, now that the loop has tried to make it anew."""
    live = place.releases.live(place.name).policy.specialist
    return finish_rebuilds(place.store, place.name, live, at=place.now(), by="loop")


async def learn_to_show(place: Workplace, tolerance: float) -> tuple[list[Candidate], tuple[GeneralistAnswer, ...]]:
    """How many exemplars the generalist is shown, tried anew whenever there are twice the judgments.

    Empty without a generalist. The second part is every answer that trying took.
    """
    stage, now = place.engine.generalist, place.now()
    dataset = gather(place.engine.memory, now)
    tried = [one for one in releases(place.store, place.name) if tries_exemplars(one)]
    if stage is None or (tried and len(dataset) < 2 * tried[-1].evidence.details["judgments"]):
        return [], ()
    labels = place.capability.contract.labels or place.engine.memory.labels(now)
    live = place.releases.live(place.name)
    beside = Shown(labels=labels, lessons=lessons_that_hold(place.parts.lessons, live.policy, now))
    candidate, answers = await propose_exemplars(dataset, live, stage, beside, _asked(place, tolerance))
    return [candidate] if candidate else [], answers


def _asked(place: Workplace, tolerance: float, *, rebuilds: bool = False, least_growth: float = 0.0) -> Asked:
    return Asked(
        tolerance=tolerance,
        seed=place.parts.seed,
        now=place.now(),
        rebuilds=rebuilds,
        least_growth=least_growth,
        embedder=place.parts.embedder,
    )


class Stopwatch:
    """Adds up wall seconds by what they were spent on."""

    def __init__(self) -> None:
        self.seconds: dict[Kind, float] = {Kind.TRAIN: 0.0, Kind.EVALUATE: 0.0}

    @contextmanager
    def on(self, kind: Kind) -> Iterator[None]:
        """The seconds of the block are counted as `kind`."""
        started = perf_counter()
        try:
            yield
        finally:
            self.seconds[kind] += perf_counter() - started


def account(place: Workplace, name: str, report: TurnReport) -> None:
    """All that was spent on serving since the last turn, and on what is called `name`, is in the books, once."""
    ids = place.parts.ids
    providers = {place.provider: place.provider} if place.provider else {}
    booked = transactions(place.store, place.name)
    served = trajectories_after(place.store, place.name, booked_until(booked, Kind.SERVE, place.name))
    observed = steps_after(place.store, place.name, steps_booked_until(booked, place.name))
    served = without_steps_own(served, with_steps(place.store, (one.id for one in served)))
    learning = _learning_runs(place, name, report)
    append_transactions(
        place.store,
        [
            *book_serving(served, providers, ids),
            *book_steps(place.name, observed, ids),
            *(book_learning(run, ids) for run in learning),
        ],
    )


def _learning_runs(place: Workplace, name: str, report: TurnReport) -> Iterator[LearningRun]:
    """The machine's time by what it was spent on, and what is owed for calls to somebody else's generalist."""
    meter, model = place.parts.meter, place.parts.generalist
    yield _run(place, name, Kind.TRAIN, meter.machine(report.train_s))
    evaluating = _run(place, name, Kind.EVALUATE, meter.machine(report.evaluate_s))
    if model is None or place.provider is None:
        yield msgspec.structs.replace(evaluating, usage=report.usage)
        return
    yield evaluating
    if report.usage != Usage():
        calls = _run(place, f"{name}-calls", Kind.EVALUATE, meter.call(model.name, report.usage, place.now(), 0.0))
        yield msgspec.structs.replace(calls, usage=report.usage, provider=place.provider)


def _run(place: Workplace, name: str, kind: Kind, spent: Spent) -> LearningRun:
    return LearningRun(id=name, kind=kind, capability=place.name, at=place.now(), cost=spent.cost, energy=spent.energy)


def turn_record(place: Workplace, number: int, facts: Mapping[str, Json]) -> Turn:
    """How things stand after turn `number`, for the curve."""
    return Turn(
        capability=place.name,
        number=number,
        at=place.now(),
        cases=count_cases(place.store, place.name),
        judgments=len(drawn_cases(place.store, place.name)),
        memory=place.engine.memory.sequence,
        release=place.releases.live(place.name).release,
        facts=facts,
    )
