"""Handing a case on: who cannot answer it, or wants a second opinion, leaves it to somebody else."""

from __future__ import annotations

from tokencapital.app.platform import Workplace
from tokencapital.core.judgment import Draw, DrawKind, Judgment
from tokencapital.core.split import Split, unit_hash
from tokencapital.store.contributors import contributors
from tokencapital.store.draws import append_draws
from tokencapital.store.manifest import split_of_cases
from tokencapital.store.queue import draws_of_case, find_draw

FEWEST_PASSES = 2
"""A case is handed on so often, however few people are known."""


def pass_on(place: Workplace, asked: Draw, said: Judgment) -> Draw | None:
    """The case waits for somebody else, under a draw of the same kind and the same probability.

    So does a share of what was answered, for how often people are right is told from what two of them judged.
    None: one answer is enough, the draw asked one person only, or as many people as there are have handed
    the case on. A uniform draw stays one: which cases are asked about was settled by chance when the case
    came in, and handing it on changes who answers, not whether it is asked about.
    """
    if asked.kind is DrawKind.REPEAT or not (said.verdict.passes_on or _overlaps(place, asked, said)):
        return None
    earlier = draws_of_case(place.store, asked.case)
    passes = sum(one.passed_by is not None for one in earlier)
    people = len(contributors(place.store))
    if passes >= (max(FEWEST_PASSES, people - 1) if said.verdict.passes_on else min(1, people - 1)):
        return None
    onward = Draw(
        id=_free_id(place, asked.case, len(earlier) + 1),
        case=asked.case,
        capability=asked.capability,
        kind=asked.kind,
        probability=asked.probability,
        at=said.at,
        passed_by=said.id,
    )
    append_draws(place.store, [onward])
    return onward


def _overlaps(place: Workplace, asked: Draw, said: Judgment) -> bool:
    """Whether a second person is asked about an answered case: a share of `train`'s uniform draws, by keyed hash."""
    goal = place.goal
    if goal is None or asked.kind is not DrawKind.UNIFORM or not said.verdict.answers or asked.passed_by is not None:
        return False
    if unit_hash(place.store.key, "overlap", asked.id) >= goal.overlap_share:
        return False
    return split_of_cases(place.store, [asked.case])[asked.case] is Split.TRAIN


def _free_id(place: Workplace, case: str, number: int) -> str:
    """The id of draw `number` of the case, or of a later one where another case has a name that ends like it."""
    while find_draw(place.store, f"drw_{case}_{number}") is not None:
        number += 1
    return f"drw_{case}_{number}"
