"""Asking without showing what the machine says: probes among uniform draws, and hidden repeats.

Nobody is asked so before an agreement of their group is on record.
"""

from __future__ import annotations

from datetime import timedelta

from tokencapital.app.platform import Workplace
from tokencapital.core.judgment import Draw, DrawKind
from tokencapital.core.split import unit_hash
from tokencapital.store.contributors import read_contributor
from tokencapital.store.draws import append_draws
from tokencapital.store.experts import once_answered
from tokencapital.store.notices import has_agreed

FORGOTTEN = timedelta(days=7)
"""A case is put before the same person again after so long at the earliest."""
TOO_OLD = timedelta(days=60)
"""After so long rules may have changed: it would measure that."""


def agreed(place: Workplace, expert: str) -> bool:
    """Whether the expert's group has agreed to probes and hidden repeats."""
    return has_agreed(place.store, read_contributor(place.store, expert).group, place.now())


def asks_blind(place: Workplace, asked: Draw, expert: str) -> bool:
    """Whether this draw is put before this expert without the machine's answer.

    Which uniform draws are probes is decided by a keyed hash of the draw's id, whoever is asked.
    """
    if asked.kind is DrawKind.REPEAT:
        return True
    if asked.kind is not DrawKind.UNIFORM or place.goal is None:
        return False
    probe = unit_hash(place.store.key, "probe", asked.id) < place.goal.probe_share
    return probe and agreed(place, expert)


def ask_again(place: Workplace, expert: str) -> list[Draw]:
    """A share of what this expert answered some days ago waits for them again, each case once and blindly.

    Which it is, is decided by a keyed hash of the judgment's id. None of it teaches or vouches for anything:
    it tells how often people say the same again.
    """
    goal, now = place.goal, place.now()
    if goal is None or not goal.repeat_share or not goal.is_live(now) or not agreed(place, expert):
        return []
    answered = once_answered(place.store, place.name, expert, now - TOO_OLD, now - FORGOTTEN)
    again = [
        Draw(
            id=f"drw_{case}_again",
            case=case,
            capability=place.name,
            kind=DrawKind.REPEAT,
            probability=goal.repeat_share,
            at=now,
            asked_of=expert,
        )
        for judgment, case in answered
        if unit_hash(place.store.key, "repeat", judgment) < goal.repeat_share
    ]
    if again:
        append_draws(place.store, again)
    return again
