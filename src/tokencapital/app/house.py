"""What commands ask of an open house."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from tokencapital.app.asking import ask_active
from tokencapital.app.lessons import propose_lessons_anew
from tokencapital.app.loop import TurnReport, turn, turn_record
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.realized import Realized
from tokencapital.app.settings import Settings, load_settings
from tokencapital.core.policy import Evidence, Release
from tokencapital.evaluate.runner import Trial
from tokencapital.promote.decide import trial_of_live
from tokencapital.promote.trial import compare_on_sealed
from tokencapital.store.releases import releases
from tokencapital.store.turns import append_turn, turns

_EVER = datetime.min.replace(tzinfo=UTC)


def open_house(config: Path | None, store: str | None) -> Platform:
    """The house as configured; `store` overrides where it keeps everything."""
    return Platform.open(settings_of(config, store))


def settings_of(config: Path | None, store: str | None) -> Settings:
    """The settings as configured; `store` overrides where everything is kept."""
    settings = load_settings(config)
    return settings if store is None else msgspec.structs.replace(settings, store=store)


def releases_of(platform: Platform, capability: str | None) -> list[Release]:
    """All decisions of the gate, of one capability or of all, oldest first within each.

    Raises UnknownCapability.
    """
    names = (
        [one.name for one in platform.capabilities()] if capability is None else [platform.workplace(capability).name]
    )
    return [one for name in names for one in releases(platform.store, name)]


class LiveScore(Struct, frozen=True):
    """The live release on the sealed batch in use, and its uplift over the starting policy.

    `right` None: no sealed case was judged.
    """

    release: str | None
    cases: int
    right: float | None
    evidence: Evidence


async def evaluate_live(place: Workplace) -> LiveScore:
    """The live release scored on the sealed batch in use, as one more look at it."""
    live = place.releases.live(place.name)
    start = Trial(place.releases.starting(place.name), frozenset())
    comparison = await compare_on_sealed(
        place.runner, place.sealed, trial_of_live(place.store, live), start, place.now()
    )
    ours = comparison.results[: len(comparison.results) // 2]
    right = sum(result.score.share for result in ours) / len(ours) if ours else None
    return LiveScore(live.release, len(ours), right, comparison.evidence)


async def turn_once(place: Workplace) -> TurnReport:
    """The loop's next turn, on record, and with what it learned the next cases for people.

    Its point on the curve is the share of right answers among those that chance put before people since the
    turn before; unknown where none was judged.
    """
    played = turns(place.store, place.name)
    number = len(played) + 1
    since = played[-1].at if played else _EVER
    right = Realized(place).right_since(since)
    report = await turn(place, number)
    if report.idle is None:
        facts = {"train_s": report.train_s, "accuracy": right.share if right else None}
        append_turn(place.store, turn_record(place, number, facts))
        ask_active(place)
        await propose_lessons_anew(place)
    return report
