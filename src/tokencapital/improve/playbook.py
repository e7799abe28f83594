"""The playbook: lessons drafted from like corrections, and a policy that shows the approved ones.

Lessons are added and taken away one by one and never rewritten as a whole: a playbook that a model writes
anew each time collapses (Zhang et al. 2025, Agentic Context Engineering, arXiv 2510.04618).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec
import numpy as np
from msgspec import Struct

from tokencapital.core.lesson import Lesson, Wording
from tokencapital.core.policy import Lane
from tokencapital.core.quantity import Usage
from tokencapital.improve.corrections import (
    FEWEST_ENTITIES,
    About,
    Answered,
    Finding,
    Kind,
    findings,
    kinds_of_work,
    where_of,
)
from tokencapital.improve.patterns import pattern
from tokencapital.improve.propose import Candidate
from tokencapital.improve.wording import Sources, Worded, ask_for_wording, complaint, reason_as_lesson
from tokencapital.models.base import Embedder, ModelClient
from tokencapital.serve.ports import Live

RECIPE = "playbook/1"
LIKE_REASONS = 0.7
"""Cosine from which on two reasons say the same."""
SAYS_THE_SAME = 0.9
"""Cosine from which on a lesson is shown as one that says the same as another."""
_ON_THE_SUBJECT = 0.5
"""Cosine to what is known, below which a generalist's sentence is about something else."""
MOST_DRAFTS = 20
"""Lessons that are proposed at once, those with the most entities behind them; the rest waits for the next time."""


class Cluster(Struct, frozen=True):
    """Corrections of one kind for like reasons."""

    about: About
    found: tuple[Finding, ...]

    @property
    def entities(self) -> int:
        """How many customers, threads or dialogues they are of."""
        return len({one.case.judged.case.group for one in self.found})

    @property
    def people(self) -> int:
        """How many people made them."""
        return len({one.case.judged.judgment.expert for one in self.found})

    @property
    def judgments(self) -> tuple[str, ...]:
        """The judgments that they are, in the order of the memory."""
        return tuple(dict.fromkeys(one.case.judged.judgment.id for one in self.found))


class Draft(Struct, frozen=True):
    """A lesson in words. `text` None: none that passes the checks is known yet."""

    cluster: Cluster
    text: str | None
    wording: Wording


def drafts(answered: Sequence[Answered], embedder: Embedder) -> list[Draft]:
    """What the corrections among the judged cases teach, most entities first.

    A cluster is heard where FEWEST_ENTITIES entities are in it, or a reason is clear by itself. The words are a
    person's reason, else a pattern that the judged cases keep to.
    """
    names = kinds_of_work(answered)
    peers: dict[tuple[tuple[str, str], ...], list[Answered]] = defaultdict(list)
    for one in answered:
        peers[where_of(one, names)].append(one)
    made = [_draft(cluster, peers[cluster.about.where]) for cluster in clusters(findings(answered), embedder)]
    told: dict[str, Draft] = {}
    for draft in sorted((one for one in made if one is not None), key=lambda one: -one.cluster.entities):
        told.setdefault(draft.text.casefold() if draft.text else repr(draft.cluster.about), draft)
    return list(told.values())


def clusters(found: Sequence[Finding], embedder: Embedder) -> list[Cluster]:
    """Corrections of one kind, split where their reasons differ; those without a reason go with the only one given."""
    by_kind: dict[About, list[Finding]] = defaultdict(list)
    for one in found:
        by_kind[one.about].append(one)
    return [cluster for about, alike in by_kind.items() for cluster in _split(about, alike, embedder)]


async def worded_by(
    client: ModelClient, drafted: Sequence[Draft], embedder: Embedder, seed: int
) -> tuple[list[Draft], Usage]:
    """The drafts in a generalist's words where these pass the checks and keep to the subject; and what that took."""
    asked = [await ask_for_wording(client, one.cluster.found, one.text, seed) for one in drafted]
    better = [_better(one, worded, embedder) for one, worded in zip(drafted, asked, strict=True)]
    return better, sum((one.usage for one in asked), Usage())


def propose_lessons(
    live: Live, approved: Sequence[Lesson], shown: Sequence[str], groups: frozenset[str]
) -> Candidate | None:
    """The live policy with the approved lessons, oldest approval first; None where it shows these already.

    `shown` are those of the live policy's lessons that hold, `groups` the entities behind the approved ones.
    """
    wanted = tuple(one.id for one in approved)
    if set(wanted) == set(shown):
        return None
    policy = msgspec.structs.replace(
        live.policy,
        lessons=wanted,
        recipes=(*(recipe for recipe in live.policy.recipes if recipe != RECIPE), RECIPE),
    )
    return Candidate(
        policy=policy,
        specialist=live.specialist,
        artifact=None,
        lane=Lane.CHANGE,
        held_out=None,
        groups=groups,
        judgments=len({source for one in approved for source in one.judgments}),
        rebuilds=False,
    )


def says_the_same(texts: Sequence[str], embedder: Embedder) -> list[int | None]:
    """For each text the place of the earlier one that is most like it and says the same; None: none does."""
    if not texts:
        return []
    vectors = embedder.embed(texts)
    likeness = np.tril(vectors @ vectors.T, -1)
    nearest = likeness.argmax(axis=1)
    return [int(at) if row[at] >= SAYS_THE_SAME else None for row, at in zip(likeness, nearest, strict=True)]


def _split(about: About, alike: Sequence[Finding], embedder: Embedder) -> list[Cluster]:
    reasoned = [one for one in alike if one.reason]
    silent = [one for one in alike if not one.reason]
    parts = _by_reason(reasoned, embedder)
    if len(parts) == 1:
        return [Cluster(about, (*parts[0], *silent))]
    return [Cluster(about, tuple(part)) for part in [*parts, silent] if part]


def _by_reason(reasoned: Sequence[Finding], embedder: Embedder) -> list[list[Finding]]:
    """Each reason joins the first group whose first reason says the same, in the order in which they came."""
    vectors = embedder.embed([one.reason or "" for one in reasoned])
    leaders: list[int] = []
    parts: list[list[Finding]] = []
    for row, one in enumerate(reasoned):
        likeness = vectors[leaders] @ vectors[row] if leaders else np.zeros(0)
        if len(likeness) and likeness.max() >= LIKE_REASONS:
            parts[int(likeness.argmax())].append(one)
        else:
            leaders.append(row)
            parts.append([one])
    return parts


def _draft(cluster: Cluster, peers: Sequence[Answered]) -> Draft | None:
    many = cluster.entities >= FEWEST_ENTITIES and cluster.about.kind is not Kind.SAME
    if not many and not any(one.reason for one in cluster.found):
        return None
    sources = Sources.of(cluster.found)
    for one in cluster.found:
        text = reason_as_lesson(one.reason, cluster.found, sources) if one.reason else None
        if text is not None:
            return Draft(cluster, text, Wording.PERSON)
    known = pattern(cluster.about, cluster.found, peers) if many else None
    if known is None:
        return None
    fits = known.text is not None and complaint(known.text, sources) is None
    return Draft(cluster, known.text if fits else None, Wording.PATTERN)


def _better(draft: Draft, worded: Worded, embedder: Embedder) -> Draft:
    if worded.text is None:
        return draft
    known = [text for text in (draft.text, *(one.reason for one in draft.cluster.found)) if text]
    if known and float((embedder.embed([worded.text]) @ embedder.embed(known).T).max()) < _ON_THE_SUBJECT:
        return draft
    return Draft(draft.cluster, worded.text, Wording.GENERALIST)
