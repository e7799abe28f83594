"""Making anew what rests on erased judgments, without waiting for the loop's next turn."""

from __future__ import annotations

from tokencapital.account.entries import Kind
from tokencapital.app.loop import Stopwatch, TurnReport, account, learn, let_go_of_erased
from tokencapital.app.platform import Workplace
from tokencapital.core.policy import Release
from tokencapital.core.quantity import Usage
from tokencapital.models.threads import all_cores_for_algebra
from tokencapital.promote.decide import Gate, decide

CAREFUL = 0.05
"""What is tolerated where neither a goal nor the live policy says so."""


async def rebuild(place: Workplace, name: str) -> tuple[Release, ...]:
    """The gate's decision on a specialist made from what is left; the old one's content is gone.

    Empty: too few judgments are left, and the capability answers without a specialist. What it took is booked
    as `name`, once.
    """
    now, clock = place.now(), Stopwatch()
    gate = Gate(capability=place.name, store=place.store, runner=place.runner, sealed=place.sealed, ids=place.parts.ids)
    with clock.on(Kind.TRAIN), all_cores_for_algebra():
        candidates = learn(place, _tolerance(place))
    with clock.on(Kind.EVALUATE):
        decided = [await decide(gate, one, place.releases.live(place.name), now) for one in candidates]
    let_go_of_erased(place)
    report = TurnReport(
        releases=tuple(one.release for one in decided),
        train_s=clock.seconds[Kind.TRAIN],
        evaluate_s=clock.seconds[Kind.EVALUATE],
        usage=sum((one.usage for decision in decided for one in decision.results if one.paid), Usage()),
    )
    account(place, name, report)
    return report.releases


def _tolerance(place: Workplace) -> float:
    """What the goal tolerates, expired or not; else what the live policy promises."""
    if place.goal is not None:
        return place.goal.tolerance
    promised = place.releases.live(place.name).policy.specialist_rule.threshold
    return CAREFUL if promised is None else promised.tolerance
