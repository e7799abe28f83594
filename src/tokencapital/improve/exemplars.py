"""How many judged cases a generalist is shown, and what its own certainty is worth.

Tried on uniform draws, each with its nearest judged cases of other entities as exemplars; what wins is
proposed as a change, for the gate to decide. So few cases say how sure a generalist is, but vouch for no
threshold: it never answers alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tokencapital.core.answer import Answer, Stage
from tokencapital.core.policy import Lane, Policy, Release, StageRule
from tokencapital.improve.calibrate import HeldOut
from tokencapital.improve.dataset import Dataset
from tokencapital.improve.propose import Asked, Candidate, newest_recipe
from tokencapital.serve.generalist import GeneralistAnswer, GeneralistStage, Question, answer_score
from tokencapital.serve.ports import Live
from tokencapital.serve.prompt import Shown
from tokencapital.stats.calibration import fit_calibration

RECIPE = "exemplars/1"
SIZES = (4, 8)
"""Numbers of exemplars that are tried, cheapest first."""
MOST_CASES = 40
"""Uniform draws that each size is tried on: every one costs a call."""
FEWEST_CASES = 20


class ExemplarTrial(Struct, frozen=True):
    """A number of exemplars with what came of it on the calibration cases."""

    size: int
    held_out: HeldOut
    answers: tuple[GeneralistAnswer, ...]


async def propose_exemplars(
    dataset: Dataset, live: Live, stage: GeneralistStage, beside: Shown, asked: Asked
) -> tuple[Candidate | None, tuple[GeneralistAnswer, ...]]:
    """The live policy showing as many exemplars as pay, and every answer that finding out took.

    `beside` is what is shown apart from them. None where there are too few uniform draws to try it on.
    """
    rows = np.flatnonzero(dataset.uniform)
    if len(rows) < FEWEST_CASES:
        return None, ()
    chosen = np.random.default_rng(asked.seed).permutation(rows)[:MOST_CASES]
    trials = [await _try(dataset, live.policy, stage, beside, chosen, size) for size in SIZES]
    best = max(trials, key=lambda trial: (int(trial.held_out.right.sum()), -trial.size))
    policy = msgspec.structs.replace(
        live.policy,
        memory=dataset.sequence,
        exemplars=best.size,
        generalist_rule=StageRule(calibration=fit_calibration(best.held_out.scores, best.held_out.right)),
        recipes=(*(recipe for recipe in live.policy.recipes if recipe != RECIPE), RECIPE),
    )
    candidate = Candidate(
        policy=policy,
        specialist=live.specialist,
        artifact=None,
        lane=Lane.CHANGE,
        held_out=None,
        groups=frozenset(dataset.groups),
        judgments=len(dataset),
        rebuilds=False,
    )
    return candidate, tuple(answer for trial in trials for answer in trial.answers)


async def recalibrated(
    dataset: Dataset, policy: Policy, stage: GeneralistStage, beside: Shown, asked: Asked
) -> tuple[Policy, tuple[GeneralistAnswer, ...]]:
    """The policy with what its generalist's certainty is worth, shown what it is now; and what finding out took.

    As it was where there are too few uniform draws to try it on.
    """
    rows = np.flatnonzero(dataset.uniform)
    if len(rows) < FEWEST_CASES:
        return policy, ()
    chosen = np.random.default_rng(asked.seed).permutation(rows)[:MOST_CASES]
    trial = await _try(dataset, policy, stage, beside, chosen, policy.exemplars)
    rule = StageRule(calibration=fit_calibration(trial.held_out.scores, trial.held_out.right))
    return msgspec.structs.replace(policy, generalist_rule=rule), trial.answers


def tries_exemplars(release: Release) -> bool:
    """Whether a decision was on a number of exemplars, promoted or not."""
    return release.lane is Lane.CHANGE and newest_recipe(release) == RECIPE


async def _try(
    dataset: Dataset,
    policy: Policy,
    stage: GeneralistStage,
    beside: Shown,
    rows: NDArray[np.intp],
    size: int,
) -> ExemplarTrial:
    shown = nearest_of_others(dataset, rows, size)
    unsure = Answer(value=None, stage=Stage.PERSON)
    questions = [
        Question(dataset.judged[row].case, _with(beside, dataset, near), unsure)
        for row, near in zip(rows, shown, strict=True)
    ]
    answers = await asyncio.gather(*(stage.ask(policy, question) for question in questions))
    scores = [answer_score(answer.completion) if answer.completion else None for answer in answers]
    right = [
        answer.answer.value == dataset.judged[row].judgment.answer for row, answer in zip(rows, answers, strict=True)
    ]
    held_out = HeldOut(
        np.array([0.0 if score is None else score for score in scores]),
        np.array(right, bool),
        tuple(dataset.judged[row].case.group for row in rows),
    )
    return ExemplarTrial(size, held_out, tuple(answers))


def _with(beside: Shown, dataset: Dataset, rows: Sequence[int]) -> Shown:
    return msgspec.structs.replace(beside, exemplars=[dataset.judged[row] for row in rows])


def nearest_of_others(dataset: Dataset, rows: NDArray[np.intp], size: int) -> list[list[int]]:
    """For each row the `size` most similar judged cases of other entity groups, nearest first."""
    groups = np.array(dataset.groups, dtype=object)
    found = []
    for row in rows:
        cosines = dataset.vectors @ dataset.vectors[row]
        cosines[groups == groups[row]] = -np.inf
        nearest = np.argsort(-cosines, kind="stable")[:size]
        found.append([int(i) for i in nearest if np.isfinite(cosines[i])])
    return found
