"""The sums of a capability's books, kept current without rereading: what a page may ask for at any time."""

from __future__ import annotations

import copy
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from tokencapital.account.accounts import LEARNING, MINUTE, REVIEW, USD
from tokencapital.account.entries import natural, read_counts
from tokencapital.account.statements import Line, efficiency_of
from tokencapital.meter.efficiency import Efficiencies
from tokencapital.store.database import Store
from tokencapital.store.ledger import Booked, booked_after


class Standing(Struct, frozen=True):
    """What stands in a capability's books: its lines, and by kind the facts behind them (see `Statement`)."""

    lines: tuple[Line, ...]
    counts: Mapping[str, Mapping[str, int]]

    def efficiency(self, accepted_share: float | None) -> Efficiencies | None:
        """What an accepted answer cost; None: nothing was served."""
        return efficiency_of(self.lines, self.counts, accepted_share, None)

    @property
    def learning_usd(self) -> Decimal:
        """Dollars spent on learning: review, training and evaluation."""
        mine = (one for one in self.lines if one.commodity == USD and one.account.startswith(LEARNING))
        return sum((one.quantity for one in mine), Decimal(0))

    @property
    def review_minutes(self) -> Decimal:
        """Minutes of people spent on judgments."""
        mine = (one for one in self.lines if one.commodity == MINUTE and one.account == REVIEW)
        return sum((one.quantity for one in mine), Decimal(0))


class _Sums:
    """Sums up to one place in the books, where `read` transactions were booked."""

    def __init__(self) -> None:
        self.position = self.read = 0
        self._quantities: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, found: Booked) -> None:
        for one in found.movements:
            self._quantities[one.kind, one.account, one.commodity] += one.quantity
        for kind, memo, sign in found.memos:
            for name, count in read_counts(memo).items():
                self._counts[kind][name] += sign * count
        self.position, self.read = found.position, found.transactions

    def standing(self) -> Standing:
        lines = (
            Line(kind, account, commodity, natural(quantity, commodity))
            for (kind, account, commodity), quantity in sorted(self._quantities.items())
        )
        return Standing(tuple(lines), {kind: dict(counts) for kind, counts in self._counts.items()})


class Books:
    """The running sums of one capability. Safe for threads."""

    def __init__(self, store: Store, capability: str) -> None:
        self._store = store
        self._capability = capability
        self._lock = threading.Lock()
        self._sums = _Sums()

    def standing(self) -> Standing:
        """What stands in the books now."""
        with self._lock:
            sums = copy.deepcopy(self._sums)
            found = booked_after(self._store, self._capability, sums.position)
            if found.transactions != sums.read + len(found.memos):
                # Somebody booked behind what was read: on PostgreSQL positions are not taken in order of commit.
                sums = _Sums()
                found = booked_after(self._store, self._capability, 0)
            sums.add(found)
            if not self._store.writing:  # What this very transaction booked may still be undone.
                self._sums = sums
            return sums.standing()


def books_of(store: Store, capability: str) -> Books:
    """The running sums of a capability that all readers of this open store share."""
    books: Books = store.kept.setdefault(("books", capability), Books(store, capability))
    return books
