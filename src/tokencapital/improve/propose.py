"""The next policy: the specialist fitted anew, and thresholds that its held-out scores allow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
import numpy as np
from msgspec import Struct

from tokencapital.core.case import ContractKind
from tokencapital.core.policy import Lane, Policy, Release, StageRule
from tokencapital.improve.calibrate import HeldOut, held_out_uniform, stage_rule
from tokencapital.improve.dataset import Dataset
from tokencapital.improve.extraction import fit_fields_specialist
from tokencapital.improve.recall import nearest_elsewhere
from tokencapital.improve.specialist import Fit, Lessons, fit_label_specialist
from tokencapital.models.base import Embedder
from tokencapital.models.replies import as_reply, with_canned_replies
from tokencapital.models.specialist import Prediction, Specialist
from tokencapital.models.tokens import label_text
from tokencapital.serve.ports import Live
from tokencapital.stats.calibration import fit_calibration
from tokencapital.store.memory import Vectors
from tokencapital.store.releases import Artifact

FEWEST_JUDGMENTS = 10
"""Below so many judgments nothing is fitted."""
REFRESH_GROWTH = 0.15
"""Growth that a turn which others follow may wait for: so all fits together take a few times as long as the last."""
THRESHOLD_RECIPE = "learn-then-test/1"
MEMORY_RECIPE = "nearest/1"


class Asked(Struct, frozen=True, kw_only=True):
    """What a proposal has to heed: the goal's tolerance, the seed, the time, and whether the live policy
    rests on judgments that have lapsed. `least_growth` are the new judgments that it takes, as a share of
    those that the live policy has learned from. `embedder` reads the labels' names; None: they teach nothing."""

    tolerance: float
    seed: int
    now: datetime
    rebuilds: bool
    least_growth: float = 0.0
    embedder: Embedder | None = None


class Candidate(Struct, frozen=True, kw_only=True):
    """A policy that is proposed, with what was made for it.

    `artifact` is what was trained (None: nothing new), `held_out` its answers on the uniform draws, out
    of fold; they estimate what it will do on cases like those. `groups` are the entities that it was
    built from, `rebuilds` says that the live policy rests on judgments that have lapsed since.
    `beside_live` has its held-out answers and the live specialist's on the uniform draws that came after
    the live policy, which neither learned from; None: there are none.
    """

    policy: Policy
    specialist: Specialist | None
    artifact: Artifact | None
    lane: Lane
    held_out: HeldOut | None
    groups: frozenset[str]
    judgments: int
    rebuilds: bool
    beside_live: tuple[HeldOut, HeldOut] | None = None


def propose(dataset: Dataset, live: Live, asked: Asked) -> Candidate | None:
    """The live policy with its specialist, thresholds and memory brought up to the dataset.

    None where there are too few judgments, or too few that the live policy has not learned from.
    """
    if len(dataset) < FEWEST_JUDGMENTS or not _pays(dataset, live, asked):
        return None
    fit = _fit(dataset, live.policy.contract.kind, asked)
    held_out = held_out_uniform(dataset, fit.held_out)
    recipe = fit.specialist.recipe
    policy = msgspec.structs.replace(
        live.policy,
        memory=dataset.sequence,
        specialist=fit.specialist.digest,
        specialist_rule=_with_fields(stage_rule(held_out, asked.tolerance, asked.seed), dataset, fit.held_out),
        recall=stage_rule(nearest_elsewhere(dataset), asked.tolerance, asked.seed),
        recipes=_recipes(live.policy.recipes, recipe),
    )
    return Candidate(
        policy=policy,
        specialist=fit.specialist,
        artifact=Artifact(
            kind="specialist", recipe=recipe, body=fit.specialist.to_bytes(), lineage=dataset.lineage, at=asked.now
        ),
        lane=Lane.REFRESH if policy.recipes == live.policy.recipes else Lane.CHANGE,
        held_out=held_out,
        groups=frozenset(dataset.groups),
        judgments=len(dataset),
        rebuilds=asked.rebuilds,
        beside_live=_beside_live(dataset, fit.held_out, live),
    )


def _beside_live(dataset: Dataset, held_out: Sequence[Prediction], live: Live) -> tuple[HeldOut, HeldOut] | None:
    since = np.array([one.judgment.sequence > live.policy.memory for one in dataset.judged], bool)
    rows = np.flatnonzero(dataset.calibration & since)
    if live.specialist is None or not len(rows):
        return None
    newer = dataset.subset(rows)
    theirs = live.specialist.predict([one.case for one in newer.judged], newer.vectors)
    if live.policy.contract.kind is ContractKind.TEXT:
        theirs = [as_reply(prediction) for prediction in theirs]
    return held_out_uniform(newer, [held_out[row] for row in rows.tolist()]), held_out_uniform(newer, theirs)


def _recipes(live: Sequence[str], specialist: str) -> tuple[str, ...]:
    """The recipes of this optimizer at their versions, then those of others as they are."""
    own = (specialist, THRESHOLD_RECIPE, MEMORY_RECIPE)
    kinds = {_kind_of(recipe) for recipe in own}
    return (*own, *(recipe for recipe in live if _kind_of(recipe) not in kinds))


def newest_recipe(release: Release) -> str | None:
    """The recipe that a decided policy got last of those that are not the specialist's; None: it has none."""
    recipes = list(release.evidence.details.get("recipes", ()))
    return recipes[-1] if recipes else None


def _kind_of(recipe: str) -> str:
    return recipe.partition("/")[0]


def _pays(dataset: Dataset, live: Live, asked: Asked) -> bool:
    """Whether a fit is worth its time: nothing was fitted yet, something lapsed, or judgments grew enough."""
    if live.policy.specialist is None or asked.rebuilds:
        return True
    known = sum(sequence <= live.policy.memory for sequence in dataset.lineage)
    return len(dataset) - known >= max(1.0, asked.least_growth * known)


def _fit(dataset: Dataset, kind: ContractKind, asked: Asked) -> Fit:
    match kind:
        case ContractKind.FIELDS:
            return fit_fields_specialist(dataset.judged, dataset.vectors, seed=asked.seed, weights=dataset.weights)
        case ContractKind.TEXT:
            canned = with_canned_replies(dataset.judged)
            lessons = Lessons(canned, dataset.vectors, dataset.calibration, weights=dataset.weights)
            fit = fit_label_specialist(lessons, seed=asked.seed)
            return Fit(fit.specialist, tuple(as_reply(prediction) for prediction in fit.held_out))
        case _:
            names = _names(dataset, asked.embedder)
            lessons = Lessons(dataset.judged, dataset.vectors, dataset.calibration, names, dataset.weights)
            return fit_label_specialist(lessons, seed=asked.seed)


def _names(dataset: Dataset, embedder: Embedder | None) -> dict[str, Vectors]:
    """The vector of each label's name, for labels that occur."""
    if embedder is None:
        return {}
    labels = sorted({str(one.judgment.answer) for one in dataset.judged})
    return dict(zip(labels, embedder.embed([label_text(label) for label in labels]), strict=True))


def _with_fields(rule: StageRule, dataset: Dataset, predictions: Sequence[Prediction]) -> StageRule:
    """The rule with what the score of a single field is worth, from the uniform draws."""
    scores: list[float] = []
    right: list[bool] = []
    for row in np.flatnonzero(dataset.calibration).tolist():
        prediction, answer = predictions[row], dataset.judged[row].judgment.answer
        if prediction.fields is None or not isinstance(prediction.value, dict) or not isinstance(answer, dict):
            continue
        for name, score in prediction.fields.items():
            scores.append(score)
            right.append(prediction.value.get(name) == answer.get(name))
    return msgspec.structs.replace(rule, fields=fit_calibration(scores, right)) if scores else rule
