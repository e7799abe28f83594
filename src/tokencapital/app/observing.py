"""Trajectories that were observed: what they took is what their steps took."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal

import msgspec

from tokencapital.core.answer import Trajectory
from tokencapital.core.call import Step
from tokencapital.core.quantity import Energy, Grade, Money, Usage
from tokencapital.meter.energy import combine
from tokencapital.meter.meter import Spent

_NOTHING = Spent(Money(Decimal(0)), None, Energy(0.0, Grade.MEASURED))


def in_all(done: Trajectory, steps: Sequence[Step]) -> Trajectory:
    """The trajectory with what all its steps took; without any it is as it was.

    What one of them took and nobody knows makes the sum unknown. A step within another one takes no time of its own.
    """
    if not steps:
        return done
    within = {one.id for one in steps}
    known = [one.cost for one in steps if one.cost is not None]
    return msgspec.structs.replace(
        done,
        usage=sum((one.usage for one in steps), Usage()),
        cost=sum(known[1:], known[0]) if len(known) == len(steps) else None,
        price="; ".join(dict.fromkeys(one.price for one in steps if one.price)) or None,
        energy=combine([one.energy for one in steps]),
        elapsed_s=sum(one.elapsed_s for one in steps if one.parent not in within),
    )


def without_steps_own(served: Sequence[Trajectory], observed: Collection[str]) -> list[Trajectory]:
    """The same, but those that were observed took nothing themselves: their steps are booked apart."""
    return [
        msgspec.structs.replace(one, usage=Usage(), cost=_NOTHING.cost, energy=_NOTHING.energy)
        if one.id in observed
        else one
        for one in served
    ]
