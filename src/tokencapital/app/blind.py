"""Asking without showing what the machine says: probes among uniform draws, and hidden repeats.

Nobody is asked so before an agreement of their group is on record.
"""

from __future__ import annotations

from tokencapital.app.platform import Workplace
from tokencapital.core.judgment import Draw, DrawKind
from tokencapital.core.split import unit_hash
from tokencapital.store.contributors import read_contributor
from tokencapital.store.notices import has_agreed


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
