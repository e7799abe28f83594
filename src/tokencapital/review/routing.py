"""Who is asked what: each case goes to whoever most likely knows, and nobody's case waits for ever.

Pure: what is known of people and cases comes in, an order goes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

DECLARED, UNSAID, STRANGE = 0.9, 0.7, 0.4
"""How likely somebody knows a case of a kind that they named among their fields, where they named none, and where
they named others."""
STRENGTH = 4.0
"""What people say of themselves counts as much as so many results."""
OVERDUE = timedelta(days=2)
"""A case that has waited so long goes to whoever comes next."""
STEP = 0.05
"""Differences below this are none: the older case comes first."""


class Results(Struct, frozen=True):
    """Of `n` cases of one label that somebody was asked about, how many they answered as was agreed in the end."""

    agreed: float
    n: float


class Knower(Struct, frozen=True, kw_only=True):
    """What is known of what somebody knows: the `fields` that they named, and their results by label."""

    pseudonym: str
    team: str = ""
    fields: tuple[str, ...] = ()
    results: Mapping[str, Results] = {}


class Candidate(Struct, frozen=True, kw_only=True):
    """A draw that waits since `at`. `label` is what the machine takes the case for (None: it does not say), `barred`
    are those who may not be asked, as they have judged it."""

    draw: str
    capability: str
    label: str | None
    at: datetime
    barred: frozenset[str] = frozenset()


def knows(one: Knower, candidate: Candidate) -> float:
    """How likely somebody knows a case, in [0, 1]: what they declared, corrected by their results.

    (STRENGTH * declared + agreed) / (STRENGTH + n), the mean of a Beta posterior.
    """
    declared = _declared(one, candidate)
    seen = one.results.get(candidate.label) if candidate.label is not None else None
    if seen is None:
        return declared
    return (STRENGTH * declared + seen.agreed) / (STRENGTH + seen.n)


def order(candidates: Sequence[Candidate], me: Knower, active: Sequence[Knower], now: datetime) -> list[str]:
    """The draws that may be put before `me`, best first.

    Of the candidates, oldest first, those that are overdue come first; then those that `me` most likely knows,
    less by how much better the best of the others who are `active` knows them. Where that is about the
    same the older one comes first.
    """
    ranked = []
    known: dict[tuple[str, str, str | None], float] = {}

    def knowing(one: Knower, candidate: Candidate) -> float:
        key = (one.pseudonym, candidate.capability, candidate.label)
        if key not in known:
            known[key] = knows(one, candidate)
        return known[key]

    for place, candidate in enumerate(candidates):
        if me.pseudonym in candidate.barred:
            continue
        mine = knowing(me, candidate)
        others = [knowing(one, candidate) for one in active if one.pseudonym not in candidate.barred]
        value = mine - max(0.0, max(others, default=0.0) - mine)
        overdue = now - candidate.at >= OVERDUE
        ranked.append((not overdue, 0 if overdue else -round(value / STEP), place, candidate.draw))
    return [draw for *_, draw in sorted(ranked)]


def barred_from(judged: Mapping[str, str], asker: str | None, people: Sequence[Knower]) -> frozenset[str]:
    """Who is not asked about a case that the people in `judged` have judged, as pseudonym -> team.

    A second opinion, wanted by `asker`, comes from another team than theirs where somebody of one is left.
    """
    barred = frozenset(judged)
    team = judged.get(asker, "") if asker is not None else ""
    if not team:
        return barred
    elsewhere = [one for one in people if one.team and one.team != team and one.pseudonym not in barred]
    return barred | {one.pseudonym for one in people if one.team == team} if elsewhere else barred


def _declared(one: Knower, candidate: Candidate) -> float:
    if candidate.capability in one.fields or (candidate.label is not None and candidate.label in one.fields):
        return DECLARED
    return UNSAID if not one.fields or candidate.label is None else STRANGE
