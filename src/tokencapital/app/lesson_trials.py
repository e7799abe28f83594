"""Which lessons the gate is asked about."""

from __future__ import annotations

from tokencapital.app.platform import Workplace
from tokencapital.core.policy import Decision
from tokencapital.improve.playbook import RECIPE, propose_lessons
from tokencapital.improve.propose import Candidate, newest_recipe
from tokencapital.promote.decide import Gate, worth_a_look
from tokencapital.serve.ports import lessons_that_hold
from tokencapital.store.lessons import lesson_groups
from tokencapital.store.playbook import approved_lessons
from tokencapital.store.releases import read_policy, releases


def lessons_to_try(place: Workplace, gate: Gate) -> list[Candidate]:
    """The live policy with the approved lessons, where it does not show them yet; empty: there is nothing to try.

    Lessons that were found to do harm together are not tried together again, and none is while too few sealed
    entities were judged for a look that can pay.
    """
    if place.engine.generalist is None:
        return []
    now, live = place.now(), place.releases.live(place.name)
    approved = approved_lessons(place.store, place.name, now)
    shown = tuple(lessons_that_hold(place.parts.lessons, live.policy, now))
    groups = frozenset(lesson_groups(place.store, [one.id for one in approved]))
    candidate = propose_lessons(live, approved, shown, groups)
    if candidate is None or _stopped(place, candidate.policy.lessons) or not worth_a_look(gate, candidate, now):
        return []
    return [candidate]


def _stopped(place: Workplace, lessons: tuple[str, ...]) -> bool:
    """Whether the gate has stopped these lessons together."""
    for release in releases(place.store, place.name):
        if release.decision is Decision.STOPPED and newest_recipe(release) == RECIPE:
            policy = read_policy(place.store, release.policy)
            if policy is not None and set(policy.lessons) == set(lessons):
                return True
    return False
