"""What the approved lessons are worth on sealed cases, each measurement a look that is counted."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import msgspec

from tokencapital.app.loop import TurnReport, account
from tokencapital.app.platform import Workplace
from tokencapital.core.errors import InputError
from tokencapital.core.lesson import Measured
from tokencapital.core.quantity import Usage
from tokencapital.evaluate.runner import Trial
from tokencapital.promote.decide import trial_of_live
from tokencapital.promote.trial import Comparison, compare_on_sealed
from tokencapital.serve.ports import Live
from tokencapital.store.lessons import keep_measured
from tokencapital.store.playbook import approved_lessons


async def measure_lessons(place: Workplace, by: str, *, each: bool = False) -> list[Measured]:
    """The live policy with all lessons that hold against the same without any; with `each` also each left out alone.

    Every comparison is a look at the sealed batch in use, at the level that is left. What it took is booked, what
    it showed is on record. Raises InputError where there is no generalist, no lesson that holds or no sealed case.
    """
    started, held = perf_counter(), [one.id for one in approved_lessons(place.store, place.name, place.now())]
    generalist = place.parts.generalist
    if generalist is None or not held:
        raise InputError(
            "there is no generalist to show lessons to" if generalist is None else "no approved lesson holds",
            where=place.name,
            remedy="Set [generalist] in tokencapital.toml, and approve a lesson with `tcap lesson approve`.",
        )
    wanted = [tuple(held), *((one,) for one in held if each and len(held) > 1)]
    found: list[Measured] = []
    usage = Usage()
    for left_out in wanted:
        comparison = await _compare(place, held, left_out)
        usage = sum((one.usage for one in comparison.results if one.paid), usage)
        if comparison.evidence.n:
            found.append(_measured(place, left_out, comparison, generalist.name, by))
    account(place, place.parts.ids.new("measure"), TurnReport(evaluate_s=perf_counter() - started, usage=usage))
    if not found:
        raise InputError("no sealed case was judged yet", where=place.name, remedy="Judge cases; one in ten is sealed.")
    keep_measured(place.store, place.name, found)
    return found


async def _compare(place: Workplace, held: Sequence[str], left_out: Sequence[str]) -> Comparison:
    rest = tuple(one for one in held if one not in left_out)
    ours, theirs = showing(place, tuple(held)), showing(place, rest)
    return await compare_on_sealed(place.runner, place.sealed, ours, theirs, place.now())


def showing(place: Workplace, lessons: tuple[str, ...]) -> Trial:
    """The live policy as it would be with these lessons and no others."""
    live = place.releases.live(place.name)
    policy = msgspec.structs.replace(live.policy, lessons=lessons)
    return trial_of_live(place.store, Live(policy, None, live.specialist))


def _measured(place: Workplace, left_out: tuple[str, ...], found: Comparison, generalist: str, by: str) -> Measured:
    ours = found.results[: len(found.results) // 2]
    return Measured(
        lessons=left_out,
        generalist=generalist,
        evidence=found.evidence,
        asked=sum(one.asked_generalist for one in ours),
        at=place.now(),
        by=by,
    )
