"""Statements read out of the books: what was spent on what, and what an accepted answer cost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import reduce

from msgspec import Struct

from tokencapital.account import accounts
from tokencapital.account.entries import Kind, natural, read_counts, require_sound, standing
from tokencapital.account.journal import ANSWERS, UNPRICED, WITHOUT_ENERGY, WITHOUT_TOKENS
from tokencapital.core.errors import LedgerError
from tokencapital.core.quantity import Grade
from tokencapital.meter.efficiency import Efficiencies, Spending, Work, efficiencies
from tokencapital.meter.energy import worse
from tokencapital.store.database import Store
from tokencapital.store.ledger import Transaction
from tokencapital.store.ledger import transactions as booked_transactions


class Line(Struct, frozen=True):
    """What one kind of activity put on one account, in dollars, tokens, joules or minutes."""

    kind: str
    account: str
    commodity: str
    quantity: Decimal


class Statement(Struct, frozen=True, kw_only=True):
    """What the books say.

    `trial` is the sum over all accounts by commodity; `balanced`: each of them, in each transaction, is
    zero. `lines` are the accounts that stand, by what they were used for. `joules` has the energy by
    grade, never added up over grades. `counts` holds by kind the facts behind the lines, and how many of
    them have an amount that is unknown: those amounts are in no line. `efficiency` None: nothing was
    served.
    """

    balanced: bool
    trial: Mapping[str, Decimal]
    lines: tuple[Line, ...]
    joules: Mapping[Grade, Decimal]
    counts: Mapping[str, Mapping[str, int]]
    efficiency: Efficiencies | None


def check_balanced(store: Store) -> bool:
    """Whether each transaction in the store sums to zero in each commodity, on accounts of the chart.

    Computed from the postings as they are stored now.
    """
    return _is_sound(booked_transactions(store))


def draw_up(booked: Sequence[Transaction], accepted_share: float | None = None, volume: int | None = None) -> Statement:
    """The statement of these transactions, such as all of one capability.

    `accepted_share` of the answers served were accepted; None: not measured. The learning falls on the
    answers in these transactions, or spread over `volume` answers where that many are declared.
    """
    books = standing(booked)
    counts, lines = _counts(books), _lines(books)
    return Statement(
        balanced=_is_sound(booked),
        trial=_trial(booked),
        lines=lines,
        joules=_joules(lines),
        counts=counts,
        efficiency=efficiency_of(lines, counts, accepted_share, volume),
    )


def spending(books: Iterable[Transaction], kinds: Collection[str]) -> Spending:
    """Dollars and joules that these kinds of activity used up.

    Each is None where the amount of one fact is unknown. The grade is the worst one among the joules.
    """
    chosen = [each for each in books if each.kind in kinds]
    return _spent(_lines(chosen), _counts(chosen), kinds)


def _spent(lines: Iterable[Line], counts: Mapping[str, Mapping[str, int]], kinds: Collection[str]) -> Spending:
    chosen = [line for line in lines if line.kind in kinds]
    unknown: Counter[str] = Counter()
    for kind in kinds:
        unknown.update(counts.get(kind, {}))
    usd = sum((line.quantity for line in chosen if _is_expense(line, accounts.USD)), Decimal(0))
    joules = _joules(chosen)
    return Spending(
        usd=None if unknown[UNPRICED] else usd,
        joules=None if unknown[WITHOUT_ENERGY] else float(sum(joules.values())),
        grade=Grade.UNKNOWN if unknown[WITHOUT_ENERGY] else reduce(worse, joules, Grade.MEASURED),
    )


def efficiency_of(
    lines: Sequence[Line],
    counts: Mapping[str, Mapping[str, int]],
    accepted_share: float | None,
    volume: int | None,
) -> Efficiencies | None:
    """What answers cost by these lines and counts of a statement; None: nothing was served."""
    served = counts.get(Kind.SERVE, {})
    if not served.get(ANSWERS):
        return None
    generated = sum(
        line.quantity for line in lines if line.kind == Kind.SERVE and line.account == accounts.TOKENS_OUTPUT
    )
    work = Work(
        cases=served[ANSWERS],
        accepted_share=accepted_share,
        output_tokens=None if served.get(WITHOUT_TOKENS) else int(generated),
    )
    learning = [kind for kind in Kind if kind is not Kind.SERVE]
    return efficiencies(work, _spent(lines, counts, [Kind.SERVE]), _spent(lines, counts, learning), volume)


def _is_sound(booked: Iterable[Transaction]) -> bool:
    try:
        for each in booked:
            require_sound(each)
    except LedgerError:
        return False
    return True


def _trial(booked: Iterable[Transaction]) -> dict[str, Decimal]:
    sums: defaultdict[str, int] = defaultdict(int)
    for each in booked:
        for post in each.postings:
            sums[post.commodity] += post.quantity
    return {commodity: natural(total, commodity) for commodity, total in sorted(sums.items())}


def _lines(books: Iterable[Transaction]) -> tuple[Line, ...]:
    sums: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    for each in books:
        for post in each.postings:
            sums[each.kind, post.account, post.commodity] += post.quantity
    return tuple(
        Line(kind, account, commodity, natural(quantity, commodity))
        for (kind, account, commodity), quantity in sorted(sums.items())
    )


def _joules(lines: Iterable[Line]) -> dict[Grade, Decimal]:
    sums: defaultdict[Grade, Decimal] = defaultdict(Decimal)
    for line in lines:
        if _is_expense(line, accounts.JOULE):
            sums[accounts.energy_grade(line.account)] += line.quantity
    return dict(sums)


def _counts(books: Iterable[Transaction]) -> dict[str, dict[str, int]]:
    sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for each in books:
        sums[each.kind].update(read_counts(each.memo))
    return {kind: dict(counts) for kind, counts in sums.items()}


def _is_expense(line: Line, commodity: str) -> bool:
    return line.commodity == commodity and line.account.startswith("Expenses:")
