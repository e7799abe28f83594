"""One turn of the loop, top to bottom: whoever reads `turn` knows the system.

Cases are served and recorded, and people judge some of them, all the time; a turn is what follows:
watch what is live, learn from what people said, let the gate decide, and book what it took.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter

from msgspec import Struct

from tokencapital.account.entries import Kind
from tokencapital.account.journal import LearningRun, book_learning, book_serving, booked_until
from tokencapital.app.platform import Workplace
from tokencapital.core.case import Json
from tokencapital.core.policy import Release
from tokencapital.core.quantity import Usage
from tokencapital.evaluate.runner import Result
from tokencapital.improve.dataset import gather
from tokencapital.improve.propose import Asked, Candidate, propose
from tokencapital.meter.meter import Spent
from tokencapital.promote.decide import Gate, decide, watch
from tokencapital.store.cases import count_cases, trajectories_after
from tokencapital.store.draws import drawn_cases
from tokencapital.store.ledger import append_transactions, transactions
from tokencapital.store.releases import lineage_of
from tokencapital.store.turns import Turn


class TurnReport(Struct, frozen=True):
    """What a turn brought. `idle`: no live goal, so nothing was spent. `undone`: a release that did harm.

    `release` is the gate's decision on the candidate; None: there was nothing new to propose.
    """

    idle: bool = False
    undone: Release | None = None
    release: Release | None = None
    train_s: float = 0.0
    evaluate_s: float = 0.0
    usage: Usage = Usage()


async def turn(place: Workplace, number: int) -> TurnReport:
    """Turn `number` of a capability's loop. Done again after a crash, it books nothing twice."""
    if place.goal is None or not place.goal.is_live(place.now()):
        return TurnReport(idle=True)

    gate = Gate(capability=place.name, store=place.store, runner=place.runner, sealed=place.sealed, ids=place.parts.ids)
    started = perf_counter()
    undone = await watch(gate, place.releases.live(place.name), place.now())
    place.sealed.retire_if_spent(place.now(), by="loop")
    watched = perf_counter()

    candidate = learn(place, place.goal.tolerance)
    learned = perf_counter()

    decided = await decide(gate, candidate, place.releases.live(place.name), place.now()) if candidate else None
    ended = perf_counter()

    results = (*(undone.results if undone else ()), *(decided.results if decided else ()))
    report = TurnReport(
        undone=undone.release if undone else None,
        release=decided.release if decided else None,
        train_s=learned - watched,
        evaluate_s=(ended - learned) + (watched - started),
        usage=sum((result.usage for result in results), Usage()),
    )
    account(place, number, report, results)
    return report


def learn(place: Workplace, tolerance: float) -> Candidate | None:
    """The policy that all judgments which hold now make; None: nothing new was said."""
    now, live, memory = place.now(), place.releases.live(place.name), place.engine.memory
    memory.refresh()
    digest = live.policy.specialist
    rebuilds = digest is not None and memory.any_lapsed(lineage_of(place.store, digest), now)
    asked = Asked(tolerance=tolerance, seed=place.parts.seed, now=now, rebuilds=rebuilds)
    return propose(gather(memory, now), live, asked)


def account(place: Workplace, number: int, report: TurnReport, results: Sequence[Result]) -> None:
    """All that was spent on serving since the last turn, and on this turn, is in the books."""
    ids = place.parts.ids
    providers = {place.provider: place.provider} if place.provider else {}
    last = booked_until(transactions(place.store, place.name), Kind.SERVE, place.name)
    served = trajectories_after(place.store, place.name, last)
    trained = place.parts.meter.machine(report.train_s)
    evaluated = place.parts.meter.machine(report.evaluate_s)
    learning = [
        _run(place, number, Kind.TRAIN, trained, Usage()),
        _run(place, number, Kind.EVALUATE, evaluated, report.usage),
    ]
    append_transactions(
        place.store,
        [*book_serving(served, providers, ids), *(book_learning(run, ids) for run in learning)],
    )


def _run(place: Workplace, number: int, kind: Kind, spent: Spent, usage: Usage) -> LearningRun:
    return LearningRun(
        id=f"turn-{number}",
        kind=kind,
        capability=place.name,
        at=place.now(),
        cost=spent.cost,
        energy=spent.energy,
        usage=usage,
    )


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
