"""From a candidate to a decision on record: trial, gate, release; and the watch over what is live."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec
from msgspec import Struct

from tokencapital.core.case import Json
from tokencapital.core.errors import GateError
from tokencapital.core.ids import IdSource
from tokencapital.core.policy import Decision, Evidence, Lane, Policy, Release
from tokencapital.evaluate.runner import Result, Runner, Trial
from tokencapital.evaluate.sealed import OpenBatch, SealedCases
from tokencapital.improve.propose import Candidate, newest_recipe
from tokencapital.promote.gate import (
    Estimate,
    Verdict,
    decide_change,
    decide_refresh,
    entities_wanted,
    shows_harm,
)
from tokencapital.promote.releases import load_policy_specialist, rollback
from tokencapital.promote.trial import Comparison, compare_on_sealed
from tokencapital.serve.ports import Live
from tokencapital.store import releases as book
from tokencapital.store.database import Store
from tokencapital.store.lessons import lesson_groups

WATCH_AFTER = 25
"""A release is looked at again each time so many more sealed entities were judged."""
WATCHMAN = "watch"


class Gate(Struct, frozen=True, kw_only=True):
    """What deciding on one capability needs."""

    capability: str
    store: Store
    runner: Runner
    sealed: SealedCases
    ids: IdSource


class Decided(Struct, frozen=True):
    """A decision on record, and the answers that were given for it on sealed cases."""

    release: Release
    results: tuple[Result, ...]


class Watched(Struct, frozen=True):
    """What the watch did: `undone` is the rollback (None: what is live stands), `results` what looking took."""

    undone: Release | None = None
    results: tuple[Result, ...] = ()


async def decide(gate: Gate, candidate: Candidate, live: Live, now: datetime) -> Decided:
    """The candidate is released, held or stopped, and the decision is on record with its evidence.

    A release keeps its artifact; of a candidate that is not released only the policy is kept.
    """
    ours, theirs = _trial_of(gate.store, candidate), trial_of_live(gate.store, live)
    fewest = _fewest_entities(gate, candidate, now)
    comparison = await compare_on_sealed(gate.runner, gate.sealed, ours, theirs, now, fewest)
    verdict = _verdict(gate.store, candidate, live, comparison)
    release = Release(
        id=gate.ids.new("rel"),
        capability=gate.capability,
        policy=candidate.policy.hash,
        at=now,
        lane=candidate.lane,
        decision=verdict.decision,
        evidence=_with_promise(verdict.evidence, candidate, _held_out_of_live(gate.store, live)),
        parent=live.release,
    )
    with gate.store.begin():
        if release.decision is Decision.PROMOTED and candidate.artifact is not None:
            book.save_artifact(gate.store, candidate.artifact)
        book.save_policy(gate.store, candidate.policy)
        book.append_release(gate.store, release)
    return Decided(release, comparison.results)


async def watch(gate: Gate, live: Live, now: datetime) -> Watched:
    """What is live is undone where the sealed cases judged since its release show harm.

    There is no way back to a policy whose specialist was erased.
    """
    release = book.live_release(gate.store, gate.capability)
    parent = _parent_policy(gate.store, release)
    if release is None or parent is None or release.lane is not Lane.REFRESH:
        return Watched()
    if parent.specialist is not None and book.is_erased(gate.store, parent.specialist):
        return Watched()
    if not _is_due(gate, release, parent, gate.sealed.open(now)):
        return Watched()
    before = Live(parent, release.parent, load_policy_specialist(gate.store, parent))
    comparison = await compare_on_sealed(
        gate.runner, gate.sealed, trial_of_live(gate.store, live), trial_of_live(gate.store, before), now
    )
    if not shows_harm(comparison.evidence):
        return Watched(None, comparison.results)
    return Watched(rollback(gate.store, gate.capability, WATCHMAN, now, gate.ids), comparison.results)


def _is_due(gate: Gate, release: Release, parent: Policy, batch: OpenBatch) -> bool:
    """Whether WATCH_AFTER more sealed entities are judged than when the release was last held against its parent."""
    looks = sum((look.candidate, look.live) == (release.policy, parent.hash) for look in gate.sealed.looks(batch))
    if release.evidence.details.get("batch") == batch.id:
        last = release.evidence.n + WATCH_AFTER * (looks - 1)
    else:
        last = WATCH_AFTER * looks
    return len({task.group for task in batch.tasks}) >= last + WATCH_AFTER


def _fewest_entities(gate: Gate, candidate: Candidate, now: datetime) -> int:
    """A refresh is compared on what there is; a change waits until another look at one of its recipe can pay."""
    if candidate.lane is Lane.REFRESH:
        return 1
    batch = gate.sealed.open(now).id
    changes = [one for one in book.releases(gate.store, gate.capability) if one.lane is Lane.CHANGE]
    mine = [one.evidence for one in changes if newest_recipe(one) == (candidate.policy.recipes or (None,))[-1]]
    return entities_wanted([evidence for evidence in mine if evidence.details.get("batch") == batch])


def worth_a_look(gate: Gate, candidate: Candidate, now: datetime) -> bool:
    """Whether enough sealed entities were judged for a look at the candidate that can pay."""
    entities = len({task.group for task in gate.sealed.open(now).tasks})
    return entities >= _fewest_entities(gate, candidate, now)


def trial_of_live(store: Store, live: Live) -> Trial:
    """A policy that was released, with the groups that its specialist and its lessons were made from."""
    digest = live.policy.specialist
    built_from = book.lineage_groups(store, digest) if digest else set()
    return Trial(live, frozenset(built_from | lesson_groups(store, live.policy.lessons)))


def _trial_of(store: Store, candidate: Candidate) -> Trial:
    groups = candidate.groups | lesson_groups(store, candidate.policy.lessons)
    return Trial(Live(candidate.policy, None, candidate.specialist), groups)


def _verdict(store: Store, candidate: Candidate, live: Live, comparison: Comparison) -> Verdict:
    if candidate.lane is Lane.CHANGE:
        return decide_change(comparison.evidence)
    return decide_refresh(comparison.evidence, *_out_of_fold(store, candidate, live))


def _out_of_fold(store: Store, candidate: Candidate, live: Live) -> tuple[Estimate, Estimate]:
    """What the candidate and the live policy are worth out of fold, on the same cases where there are any.

    On the draws since the live policy both are measured fresh, so that a stream that grows harder fells
    neither. A policy that rests on lapsed judgments has to be rebuilt, and its old worth binds nobody.
    """
    if candidate.rebuilds:
        return _estimate(_held_out_details(candidate)), Estimate(None, 0)
    if candidate.beside_live is None:
        return _estimate(_held_out_details(candidate)), _estimate(_held_out_of_live(store, live))
    ours, theirs = candidate.beside_live
    return Estimate(ours.accuracy, len(ours.right)), Estimate(theirs.accuracy, len(theirs.right))


def _estimate(details: Mapping[str, Json] | None) -> Estimate:
    return Estimate(details["share"], details["n"]) if details else Estimate(None, 0)


def _held_out_of_live(store: Store, live: Live) -> Mapping[str, Json] | None:
    """What the live release was estimated at, out of fold; None where nothing was."""
    known = next((one for one in book.releases(store, live.policy.capability) if one.id == live.release), None)
    return known.evidence.details.get("held_out") if known else None


def _held_out_details(candidate: Candidate) -> Mapping[str, Json] | None:
    held_out = candidate.held_out
    return None if held_out is None else {"share": held_out.accuracy, "n": len(held_out.right)}


def _with_promise(evidence: Evidence, candidate: Candidate, inherited: Mapping[str, Json] | None) -> Evidence:
    threshold = candidate.policy.specialist_rule.threshold
    details = {
        **evidence.details,
        "held_out": _held_out_details(candidate) or inherited,
        "promise": msgspec.to_builtins(threshold) if threshold else None,
        "judgments": candidate.judgments,
        "recipes": candidate.policy.recipes,
    }
    return msgspec.structs.replace(evidence, details=details)


def _parent_policy(store: Store, release: Release | None) -> Policy | None:
    if release is None or release.parent is None:
        return None
    parent = next((one for one in book.releases(store, release.capability) if one.id == release.parent), None)
    if parent is None:
        raise GateError("the parent of the live release is not on record", where=release.id)
    return book.read_policy(store, parent.policy)
