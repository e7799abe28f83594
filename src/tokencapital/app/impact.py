"""What an expert's judgments changed: answers that rest on them, and releases that learned from them."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from tokencapital.app.platform import Platform
from tokencapital.core.policy import Decision, Release
from tokencapital.store.impact import answers_resting_on, taught
from tokencapital.store.releases import read_policy, releases

MOST_LINKS = 5


class Impact(Struct, frozen=True, kw_only=True):
    """What an expert's judgments did from `since` on.

    `changed` answers rest on a judgment of theirs that corrected the machine, `confirmed` ones on one that found
    it right and on no correction of theirs. `trajectories` are the newest of the changed answers, and where
    there are none of the confirmed ones; `releases` went live with what they taught.
    """

    since: datetime
    changed: int
    confirmed: int
    trajectories: tuple[str, ...]
    releases: tuple[str, ...]


def impact_since(platform: Platform, expert: str, since: datetime) -> Impact:
    """What the expert's judgments did from `since` on, over all capabilities."""
    resting = answers_resting_on(platform.store, expert, since)
    changed = [one for one in resting if one.corrected]
    confirmed = [one for one in resting if not one.corrected]
    return Impact(
        since=since,
        changed=len(changed),
        confirmed=len(confirmed),
        trajectories=tuple(one.trajectory for one in (changed or confirmed)[:MOST_LINKS]),
        releases=tuple(one.id for one in _releases_taught(platform, expert, since)),
    )


def monday(now: datetime) -> datetime:
    """The beginning of the week of `now`, in UTC."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=now.weekday())


def _releases_taught(platform: Platform, expert: str, since: datetime) -> list[Release]:
    """Releases that went live from `since` on with a specialist built from a judgment of the expert, oldest first."""
    live = [
        one
        for capability in platform.capabilities()
        for one in releases(platform.store, capability.name)
        if one.decision is Decision.PROMOTED and one.at >= since
    ]
    made = {one.id: read_policy(platform.store, one.policy) for one in live}
    specialists = {name: policy.specialist for name, policy in made.items() if policy and policy.specialist}
    theirs = taught(platform.store, specialists.values(), expert)
    return [one for one in live if specialists.get(one.id) in theirs]
