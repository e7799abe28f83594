"""What the books and the record say of each capability."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from tokencapital.account.books import books_of
from tokencapital.app.limits import limit_reached_in
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.realized import Realized, Share
from tokencapital.core.answer import Stage
from tokencapital.core.policy import Threshold
from tokencapital.meter.efficiency import Efficiency
from tokencapital.store.cases import count_cases, newest_stages
from tokencapital.store.releases import live_release
from tokencapital.store.tally import count_judgments
from tokencapital.store.turns import turns

NEWEST = 1_000
"""So many of the newest answers say who answers now."""


class LearningSpent(Struct, frozen=True, kw_only=True):
    """What learning has cost in all, beside the goal's limits (None: none is set).

    `stopped` says which limit is used up; None: learning may go on.
    """

    usd: Decimal
    minutes: Decimal
    limit_usd: Decimal | None
    limit_minutes: float | None
    stopped: str | None


class CapabilityReport(Struct, frozen=True, kw_only=True):
    """One capability at a glance.

    `purpose` None: no goal, it is idle. `promise` None: the specialist answers nothing alone.
    `agreement` is the share of right answers by turn, as far as it is known (None: no turn yet).
    `marginal` and `all_in` None: nothing was served. `new_labels` were used by people and not declared.
    `stages` counts who stands for the newest answers. `errors` holds by stage the share of wrong answers
    among those given alone under the live release, as people judged uniform draws since; a stage that is
    not in it was not judged, and nothing is known of it.
    """

    capability: str
    mode: str
    purpose: str | None
    cases: int
    judgments: int
    release: str | None
    promise: Threshold | None
    agreement: tuple[float | None, ...] | None
    marginal: Efficiency | None
    all_in: Efficiency | None
    new_labels: tuple[str, ...]
    stages: Mapping[Stage, int]
    errors: Mapping[Stage, Share]
    spent: LearningSpent


class Reports:
    """Reports on the capabilities of an open house, each cheap after the first."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._realized: dict[str, tuple[Workplace, Realized]] = {}

    def all(self) -> list[CapabilityReport]:
        """A report on each capability, by name."""
        return [self.on(one.name) for one in self._platform.capabilities()]

    def on(self, name: str) -> CapabilityReport:
        """A report on one capability. Raises UnknownCapability."""
        place = self._platform.workplace(name)
        played, live = turns(place.store, name), place.releases.live(name)
        shares = tuple(turn.facts.get("accuracy") for turn in played)
        books = books_of(place.store, name).standing()
        cost = books.efficiency(shares[-1] if shares else None)
        return CapabilityReport(
            capability=name,
            mode=place.capability.mode.value,
            purpose=place.goal.purpose if place.goal else None,
            cases=count_cases(place.store, name),
            judgments=count_judgments(place.store, name),
            release=live.release,
            promise=live.policy.specialist_rule.threshold,
            agreement=shares or None,
            marginal=cost.marginal if cost else None,
            all_in=cost.all_in if cost else None,
            new_labels=_new_labels(place),
            stages=newest_stages(place.store, name, NEWEST),
            errors=self._errors(place),
            spent=LearningSpent(
                usd=books.learning_usd,
                minutes=books.review_minutes,
                limit_usd=place.goal.limit_usd if place.goal else None,
                limit_minutes=place.goal.limit_minutes if place.goal else None,
                stopped=limit_reached_in(books, place.goal) if place.goal else None,
            ),
        )

    def _errors(self, place: Workplace) -> Mapping[Stage, Share]:
        live = live_release(place.store, place.name)
        if live is None:
            return {}
        known = self._realized.get(place.name)
        if known is None or known[0] is not place:
            known = self._realized[place.name] = (place, Realized(place))
        return known[1].errors_of(live.id, live.at)


def report_on_capabilities(platform: Platform, name: str | None = None) -> list[CapabilityReport]:
    """A report on one capability or on all. Raises UnknownCapability."""
    reports = Reports(platform)
    return reports.all() if name is None else [reports.on(name)]


def _new_labels(place: Workplace) -> tuple[str, ...]:
    declared = place.capability.contract.labels
    if not declared:
        return ()
    place.engine.memory.refresh()
    return tuple(label for label in place.engine.memory.labels(place.now()) if label not in declared)
