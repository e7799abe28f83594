"""Books that balance: what is accepted, and what never is."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.errors import LedgerError
from tokencapital.store.ledger import Posting, Transaction, check_balance
from tokencapital.store.schema import COMMODITY_SCALES

COMMODITIES = st.sampled_from(sorted(COMMODITY_SCALES))
QUANTITIES = st.integers(-(2**60), 2**60)
POSTINGS = st.lists(st.builds(Posting, st.sampled_from("abc"), COMMODITIES, QUANTITIES), min_size=1, max_size=8)


def transaction(postings: list[Posting]) -> Transaction:
    return Transaction(id="t", at=datetime(2026, 1, 1, tzinfo=UTC), kind="k", memo="m", postings=tuple(postings))


@given(POSTINGS)
def test_a_transaction_is_accepted_exactly_when_each_commodity_sums_to_zero(postings: list[Posting]) -> None:
    balanced = all(sum(p.quantity for p in postings if p.commodity == commodity) == 0 for commodity in COMMODITY_SCALES)
    if balanced:
        check_balance(transaction(postings))
    else:
        with pytest.raises(LedgerError, match="does not balance"):
            check_balance(transaction(postings))


@given(POSTINGS)
def test_a_transaction_with_its_opposite_balances(postings: list[Posting]) -> None:
    opposite = [Posting(f"{p.account}:back", p.commodity, -p.quantity) for p in postings]
    check_balance(transaction(postings + opposite))


@given(POSTINGS, st.integers(1, 10**6))
def test_what_is_left_over_is_said_to_the_minor_unit(postings: list[Posting], extra: int) -> None:
    opposite = [Posting("back", p.commodity, -p.quantity) for p in postings]
    with pytest.raises(LedgerError, match=f"{extra} minor units of TOK remain"):
        check_balance(transaction([*postings, *opposite, Posting("a", "TOK", extra)]))


def test_each_posting_counts_once() -> None:
    sums: dict[str, int] = defaultdict(int)
    postings = [Posting("a", "USD", 3), Posting("a", "USD", 3), Posting("b", "USD", -6)]
    for posting in postings:
        sums[posting.commodity] += posting.quantity
    assert sums["USD"] == 0
    check_balance(transaction(postings))
