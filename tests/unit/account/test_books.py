"""The running sums say what a statement over all transactions says, however the books grow."""

from __future__ import annotations

import random
from collections.abc import Mapping
from decimal import Decimal

import pytest

from tokencapital.account.books import Books, books_of
from tokencapital.account.entries import Flow, Heading, Kind, enter
from tokencapital.account.statements import draw_up
from tokencapital.core.clock import SystemClock
from tokencapital.core.ids import IdSource
from tokencapital.store.database import Store
from tokencapital.store.ledger import Transaction, append_transactions, reverse, transactions

IDS = IdSource(SystemClock())


def entry(kind: Kind, number: int, usd: str, minutes: str = "0", capability: str = "triage") -> Transaction:
    heading = Heading(
        kind=kind,
        at=SystemClock().now(),
        capability=capability,
        release=None,
        reference=f"{kind}:{capability}:{number}",
        counts={"answers": number} if kind is Kind.SERVE else {"runs": 1, "unpriced": number % 2},
    )
    uses = {Kind.SERVE: "Expenses:Inference:Spend:Recall", Kind.REVIEW: "Expenses:Learning:Review"}
    flows = [Flow("Assets:Machine:Time", uses.get(kind, "Expenses:Learning:Training"), "USD", Decimal(usd))]
    if Decimal(minutes):
        flows.append(Flow("Equity:Supply:Minutes:Assumed", "Expenses:Learning:Review", "MINUTE", Decimal(minutes)))
    return enter(heading, flows, IDS)


def known(counts: Mapping[str, Mapping[str, int]]) -> set[tuple[str, str, int]]:
    return {(kind, name, count) for kind, of in counts.items() for name, count in of.items() if count}


def says_the_same(books: Books, store: Store) -> None:
    found, whole = books.standing(), draw_up(transactions(store, "triage"), 0.8)
    assert {line for line in found.lines if line.quantity} == {line for line in whole.lines if line.quantity}
    assert known(found.counts) == known(whole.counts)
    assert found.efficiency(0.8) == whole.efficiency


def test_the_sums_follow_the_books(store: Store) -> None:
    books = books_of(store, "triage")
    assert books.standing().lines == ()
    first = [entry(Kind.SERVE, 3, "0.5"), entry(Kind.REVIEW, 1, "2", "4"), entry(Kind.TRAIN, 2, "1")]
    append_transactions(store, [*first, entry(Kind.SERVE, 9, "7", capability="other")])
    says_the_same(books, store)
    assert books.standing().learning_usd == 3
    assert books.standing().review_minutes == 4
    append_transactions(store, [entry(Kind.SERVE, 4, "0.25")])
    says_the_same(books, store)
    reverse(store, first[1].id, reversal_id="back", at=first[1].at, reason="typed twice")
    says_the_same(books, store)
    assert books.standing().review_minutes == 0
    assert books_of(store, "triage") is books


def test_what_is_undone_is_not_kept(store: Store) -> None:
    books = books_of(store, "triage")
    with pytest.raises(RuntimeError, match="undone"), store.begin():
        append_transactions(store, [entry(Kind.TRAIN, 1, "5")])
        assert books.standing().learning_usd == 5
        raise RuntimeError("undone")
    append_transactions(store, [entry(Kind.TRAIN, 3, "2")])
    says_the_same(books, store)


@pytest.mark.parametrize("seed", range(12))
def test_sums_read_in_parts_are_the_sums_of_all(store: Store, seed: int) -> None:
    chance = random.Random(seed)
    books = Books(store, "triage")
    for place in range(12):
        kind = chance.choice([Kind.SERVE, Kind.TRAIN, Kind.REVIEW])
        made = entry(kind, place, f"0.{chance.randrange(100):02d}")
        append_transactions(store, [made])
        if chance.random() < 0.3:
            reverse(store, made.id, reversal_id=f"back-{place}", at=made.at, reason="typed twice")
        if chance.random() < 0.4:
            says_the_same(books, store)
    says_the_same(books, store)
