"""Which of the waiting draws an expert gets next."""

from __future__ import annotations

from tokencapital.app.asking import ask_active
from tokencapital.app.platform import Platform, Workplace
from tokencapital.store.experts import judges_of
from tokencapital.store.leases import Lease, take
from tokencapital.store.queue import draws_for

WINDOW = 200
"""So many of the oldest waiting draws are looked at."""
FEW = 50
"""Where fewer wait, more are drawn."""


class Offers:
    """Finds the next draw for an expert."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def take(self, place: Workplace, expert: str) -> Lease | None:
        """The best waiting draw for the expert that nobody else has in hand, now in theirs; None: there is none."""
        asked = draws_for(place.store, place.name, expert, WINDOW)
        if len(asked) < FEW and ask_active(place):
            asked = draws_for(place.store, place.name, expert, WINDOW)
        judged = judges_of(place.store, [one.case for one in asked])
        mine = [one.id for one in asked if one.asked_of == expert or expert not in judged.get(one.case, ())]
        return take(place.store, mine, expert, place.now())
