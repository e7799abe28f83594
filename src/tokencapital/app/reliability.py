"""How often people are right: for learning, for each person's own eyes, and for teams that are big enough."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from msgspec import Struct

from tokencapital.app.platform import Platform, Workplace
from tokencapital.core.judgment import JudgedCase
from tokencapital.improve.dataset import Weigh
from tokencapital.review.reliability import Reliability, Retest, estimate_reliability, weights
from tokencapital.stats.raters import Ability
from tokencapital.stats.suppression import FEWEST
from tokencapital.store.contributors import contributors
from tokencapital.store.judgments import latest_sequence
from tokencapital.store.opinions import opinions

NEWEST = 5_000
"""Of so many newest opinions reliability is found."""
FRESH = 50
"""Pages show what was found no more than so many numbers of the memory ago."""


class OwnReliability(Struct, frozen=True, kw_only=True):
    """How often a person is right on one capability, and says the same again; None: too little is known."""

    capability: str
    ability: Ability | None
    repeats: Retest | None


class TeamReliability(Struct, frozen=True, kw_only=True):
    """How often the `people` of a team are right on one capability, all their judgments together."""

    team: str
    people: int
    right: float
    n: int


def reliability(place: Workplace) -> Reliability | None:
    """What is known of the experts of a capability; None: too few inputs were judged by several of them."""
    return estimate_reliability(opinions(place.store, place.name, NEWEST), place.capability.contract.kind)


def recent_reliability(place: Workplace) -> Reliability | None:
    """The same as of the last `FRESH` numbers of the memory, for pages: finding it takes a while."""
    name, latest = ("reliability", place.name), latest_sequence(place.store)
    sequence, known = place.store.kept.get(name, (-FRESH, None))
    if latest - sequence >= FRESH:
        sequence, known = latest, reliability(place)
        place.store.keep(name, (sequence, known))
    found: Reliability | None = known
    return found


def weigh(place: Workplace) -> Weigh:
    """What each judgment counts for a learner of this capability: all the same unless people certainly differ."""

    def counted(judged: Sequence[JudgedCase]) -> list[float] | None:
        return weights(reliability(place), ((one.judgment.id, one.judgment.expert) for one in judged))

    return counted


def reliability_of(platform: Platform, expert: str) -> tuple[OwnReliability, ...]:
    """What is known of this person, by capability, for nobody's eyes but their own."""
    found = []
    for one in platform.capabilities():
        known = recent_reliability(platform.workplace(one.name))
        ability = known.abilities.get(expert) if known else None
        repeats = known.repeats.get(expert) if known else None
        if ability or repeats:
            found.append(OwnReliability(capability=one.name, ability=ability, repeats=repeats))
    return tuple(found)


def reliability_of_teams(platform: Platform, capability: str) -> tuple[TeamReliability, ...]:
    """How often teams are right; a team of whom fewer than `FEWEST` people are known is left out.

    So are all of them where those left out together are fewer: their part could be told from the whole.
    """
    known = recent_reliability(platform.workplace(capability))
    if known is None:
        return ()
    team_of = {one.pseudonym: one.team for one in contributors(platform.store)}
    members: dict[str, list[Ability]] = defaultdict(list)
    for expert, ability in known.abilities.items():
        members[team_of.get(expert, "")].append(ability)
    shown = {team: them for team, them in members.items() if team and len(them) >= FEWEST}
    hidden = sum(len(them) for team, them in members.items() if team not in shown)
    if 0 < hidden < FEWEST:
        return ()
    return tuple(_of_team(team, shown[team]) for team in sorted(shown))


def _of_team(team: str, them: Sequence[Ability]) -> TeamReliability:
    n = sum(one.n for one in them)
    return TeamReliability(team=team, people=len(them), right=sum(one.estimate * one.n for one in them) / n, n=n)
