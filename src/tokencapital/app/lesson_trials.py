"""Which lessons the gate is asked about."""

from __future__ import annotations

import msgspec
import numpy as np

from tokencapital.app.platform import Workplace
from tokencapital.core.policy import Decision
from tokencapital.improve.dataset import gather
from tokencapital.improve.exemplars import recalibrated
from tokencapital.improve.playbook import RECIPE, propose_lessons
from tokencapital.improve.propose import Asked, Candidate, newest_recipe
from tokencapital.promote.decide import Gate, worth_a_look
from tokencapital.serve.generalist import GeneralistAnswer
from tokencapital.serve.ports import lessons_that_hold
from tokencapital.serve.prompt import Shown
from tokencapital.store.lessons import lesson_groups
from tokencapital.store.playbook import approved_lessons
from tokencapital.store.releases import read_policy, releases


async def lessons_to_try(
    place: Workplace, gate: Gate, asked: Asked
) -> tuple[list[Candidate], tuple[GeneralistAnswer, ...]]:
    """The live policy with the approved lessons, where it does not show them yet; and every answer that it took.

    Lessons change what the generalist's certainty is worth, so that is found out anew, on uniform draws of entities
    that no lesson came from. Empty: there is nothing to try, the gate has stopped these lessons together, or too
    few sealed entities were judged for a look that can pay.
    """
    stage, live = place.engine.generalist, place.releases.live(place.name)
    approved = approved_lessons(place.store, place.name, asked.now)
    shown = tuple(lessons_that_hold(place.parts.lessons, live.policy, asked.now))
    groups = frozenset(lesson_groups(place.store, [one.id for one in approved]))
    candidate = propose_lessons(live, approved, shown, groups)
    if stage is None or candidate is None or _stopped(place, candidate.policy.lessons):
        return [], ()
    if not worth_a_look(gate, candidate, asked.now):
        return [], ()
    dataset = gather(place.engine.memory, asked.now)
    elsewhere = dataset.subset(np.flatnonzero([group not in groups for group in dataset.groups]))
    labels = place.capability.contract.labels or place.engine.memory.labels(asked.now)
    beside = Shown(labels=labels, lessons={one.id: one.text or "" for one in approved})
    policy, answers = await recalibrated(elsewhere, candidate.policy, stage, beside, asked)
    return [msgspec.structs.replace(candidate, policy=policy)], answers


def _stopped(place: Workplace, lessons: tuple[str, ...]) -> bool:
    """Whether the gate has stopped these lessons together."""
    for release in releases(place.store, place.name):
        if release.decision is Decision.STOPPED and newest_recipe(release) == RECIPE:
            policy = read_policy(place.store, release.policy)
            if policy is not None and set(policy.lessons) == set(lessons):
                return True
    return False
