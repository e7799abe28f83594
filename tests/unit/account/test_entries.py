from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.account import accounts
from tokencapital.account.entries import (
    Flow,
    Heading,
    Kind,
    enter,
    natural,
    read_counts,
    require_sound,
    standing,
    write_counts,
)
from tokencapital.core.clock import RecordedClock
from tokencapital.core.errors import LedgerError
from tokencapital.core.ids import IdSource
from tokencapital.core.quantity import Grade
from tokencapital.store.ledger import Posting, Transaction
from tokencapital.store.schema import COMMODITY_SCALES

AT = datetime(2026, 3, 1, tzinfo=UTC)
HEADING = Heading(kind=Kind.SERVE, at=AT, capability="triage", release=None, reference="serve:1", counts={"answers": 1})

ROUTES = [
    (accounts.MACHINE_TIME, accounts.EVALS, "USD"),
    (accounts.provider_account("acme"), accounts.EVALS, "USD"),
    (accounts.MACHINE_TIME, accounts.TRAINING, "USD"),
    (accounts.SUPPLY_ENERGY, accounts.energy_account(Grade.ESTIMATED), "JOULE"),
    (accounts.SUPPLY_ENERGY, accounts.energy_account(Grade.MEASURED), "JOULE"),
    (accounts.MINUTES_ASSUMED, accounts.REVIEW, "MINUTE"),
    (accounts.SUPPLY_TOKENS, accounts.TOKENS_OUTPUT, "TOK"),
]
amounts = st.decimals(0, 10**6, allow_nan=False, allow_infinity=False, places=15)
flows = st.builds(lambda route, amount: Flow(route[0], route[1], route[2], amount), st.sampled_from(ROUTES), amounts)


def ids() -> IdSource:
    return IdSource(RecordedClock(AT), entropy=lambda bits: 0)


@given(st.lists(flows, min_size=1, max_size=40))
def test_whatever_flows_the_books_balance_and_nothing_is_lost_to_rounding(given_flows: list[Flow]) -> None:
    entered = enter(HEADING, given_flows, ids())

    for commodity, places in COMMODITY_SCALES.items():
        quantities = [post.quantity for post in entered.postings if post.commodity == commodity]
        used = sum(quantity for quantity in quantities if quantity > 0)
        exact = sum((Fraction(flow.amount) for flow in given_flows if flow.commodity == commodity), Fraction(0))
        assert sum(quantities) == 0
        assert abs(used - exact * 10**places) <= Fraction(1, 2)


@given(st.lists(flows, min_size=1, max_size=40))
def test_no_account_is_off_by_more_than_one_minor_unit_per_account_opposite(given_flows: list[Flow]) -> None:
    entered = enter(HEADING, given_flows, ids())

    booked = {(post.account, post.commodity): post.quantity for post in entered.postings}
    for source, use, commodity in ROUTES:
        opposite = {flow.source for flow in given_flows if (flow.use, flow.commodity) == (use, commodity)}
        exact = sum(
            (Fraction(flow.amount) for flow in given_flows if (flow.use, flow.commodity) == (use, commodity)),
            Fraction(0),
        )
        off = abs(booked.get((use, commodity), 0) - exact * 10 ** COMMODITY_SCALES[commodity])
        assert off <= max(len(opposite), 1), source


def test_a_thousand_thirds_of_a_minor_unit_are_not_rounded_away() -> None:
    third = Decimal("0.0000000003333333333")
    entered = enter(HEADING, [Flow(accounts.MACHINE_TIME, accounts.EVALS, "USD", third)] * 1_000, ids())

    assert {post.quantity for post in entered.postings} == {333, -333}


@pytest.mark.parametrize("amount", [Decimal(-1), Decimal("NaN"), Decimal("Infinity")])
def test_amounts_that_nothing_can_cost_are_refused(amount: Decimal) -> None:
    with pytest.raises(LedgerError, match="cannot flow"):
        enter(HEADING, [Flow(accounts.MACHINE_TIME, accounts.EVALS, "USD", amount)], ids())


def test_commodities_and_accounts_outside_the_chart_are_refused() -> None:
    with pytest.raises(LedgerError, match="EUR is not a commodity"):
        enter(HEADING, [Flow(accounts.MACHINE_TIME, accounts.EVALS, "EUR", Decimal(1))], ids())
    with pytest.raises(LedgerError, match="Equity:Plug holds no USD"):
        enter(HEADING, [Flow("Equity:Plug", accounts.EVALS, "USD", Decimal(1))], ids())
    with pytest.raises(LedgerError, match=f"{accounts.EVALS} holds no TOK"):
        enter(HEADING, [Flow(accounts.SUPPLY_TOKENS, accounts.EVALS, "TOK", Decimal(1))], ids())


def test_a_posting_without_its_other_leg_is_refused() -> None:
    lone = Transaction(
        id="txn_1", at=AT, kind="serve", memo="", reference="serve:1", postings=(Posting(accounts.EVALS, "USD", 1),)
    )

    with pytest.raises(LedgerError, match="does not balance"):
        require_sound(lone)


def test_a_leg_in_another_commodity_does_not_balance() -> None:
    mixed = Transaction(
        id="txn_1",
        at=AT,
        kind="review",
        memo="",
        postings=(Posting(accounts.REVIEW, "USD", 5), Posting(accounts.MINUTES_ASSUMED, "MINUTE", -5)),
    )

    with pytest.raises(LedgerError, match="does not balance"):
        require_sound(mixed)


def test_known_zeros_are_left_out_unless_nothing_else_is_known() -> None:
    nothing = Flow(accounts.SUPPLY_TOKENS, accounts.TOKENS_OUTPUT, "TOK", Decimal(0))
    something = Flow(accounts.MACHINE_TIME, accounts.EVALS, "USD", Decimal(1))

    assert [post.quantity for post in enter(HEADING, [nothing], ids()).postings] == [0, 0]
    assert {post.commodity for post in enter(HEADING, [nothing, something], ids()).postings} == {"USD"}


def test_what_was_taken_back_no_longer_stands_and_neither_does_its_reversal() -> None:
    kept = enter(HEADING, [Flow(accounts.MACHINE_TIME, accounts.EVALS, "USD", Decimal(1))], ids())
    wrong = Transaction(id="txn_w", at=AT, kind="serve", memo="", postings=kept.postings)
    opposite = tuple(Posting(post.account, post.commodity, -post.quantity) for post in kept.postings)
    back = Transaction(id="txn_b", at=AT, kind="reversal", memo="", postings=opposite, reverses="txn_w")

    assert standing([kept, wrong, back]) == [kept]


@given(
    st.dictionaries(st.sampled_from(["answers", "unpriced", "without energy", "of assumed minutes"]), st.integers(0))
)
def test_counts_come_back_out_of_the_memo(counts: dict[str, int]) -> None:
    assert read_counts(write_counts(counts)) == counts


def test_a_memo_of_words_holds_no_counts() -> None:
    assert read_counts("booked twice, see the ticket") == {}


def test_minor_units_are_shown_in_natural_ones() -> None:
    assert natural(1_500_000_000, "USD") == Decimal("1.5")
    assert natural(2_500, "JOULE") == Decimal("2.5")
    assert natural(7, "TOK") == 7
