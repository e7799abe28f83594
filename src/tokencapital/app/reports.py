"""What the books and the record say of each capability."""

from __future__ import annotations

from msgspec import Struct

from tokencapital.account.statements import draw_up
from tokencapital.app.platform import Platform, Workplace
from tokencapital.core.policy import Threshold
from tokencapital.meter.efficiency import Efficiency
from tokencapital.store.cases import count_cases
from tokencapital.store.draws import all_draws
from tokencapital.store.ledger import transactions
from tokencapital.store.turns import turns


class CapabilityReport(Struct, frozen=True, kw_only=True):
    """One capability at a glance.

    `purpose` None: no goal, it is idle. `promise` None: the specialist answers nothing alone.
    `agreement` is the share of right answers by turn, as far as it is known (None: no turn yet).
    `marginal` and `all_in` None: nothing was served. `new_labels` were used by people and not declared.
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


def report_on_capabilities(platform: Platform, name: str | None = None) -> list[CapabilityReport]:
    """A report on one capability or on all. Raises UnknownCapability."""
    names = [one.name for one in platform.capabilities()] if name is None else [name]
    return [_report(platform.workplace(one)) for one in names]


def _report(place: Workplace) -> CapabilityReport:
    played = turns(place.store, place.name)
    live = place.releases.live(place.name)
    shares = tuple(turn.facts.get("accuracy") for turn in played)
    statement = draw_up(transactions(place.store, place.name), shares[-1] if shares else None)
    place.engine.memory.refresh()
    labels = place.engine.memory.labels(place.now())
    declared = place.capability.contract.labels
    return CapabilityReport(
        capability=place.name,
        mode=place.capability.mode.value,
        purpose=place.goal.purpose if place.goal else None,
        cases=count_cases(place.store, place.name),
        judgments=len(all_draws(place.store, place.name)),
        release=live.release,
        promise=live.policy.specialist_rule.threshold,
        agreement=shares or None,
        marginal=statement.efficiency.marginal if statement.efficiency else None,
        all_in=statement.efficiency.all_in if statement.efficiency else None,
        new_labels=tuple(label for label in labels if label not in declared) if declared else (),
    )
