from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text

from tokencapital.account import accounts
from tokencapital.account.entries import Flow, Heading, Kind, enter
from tokencapital.account.statements import Line, check_balanced, draw_up, spending
from tokencapital.core.clock import RecordedClock
from tokencapital.core.ids import IdSource
from tokencapital.core.quantity import Grade
from tokencapital.store.database import Store
from tokencapital.store.ledger import Posting, Transaction, append_transactions, balances, reverse, transactions

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ESTIMATED = accounts.energy_account(Grade.ESTIMATED)
SPECIALIST = f"{accounts.SPEND}:Specialist"


def entry(kind: Kind, reference: str, counts: dict[str, int], *flows: Flow) -> Transaction:
    heading = Heading(kind=kind, at=AT, capability="triage", release=None, reference=reference, counts=counts)
    return enter(heading, flows, IdSource(RecordedClock(AT)))


def dollars(use: str, amount: str, source: str = accounts.MACHINE_TIME) -> Flow:
    return Flow(source, use, "USD", Decimal(amount))


def energy(joules: str, grade: Grade = Grade.ESTIMATED) -> Flow:
    return Flow(accounts.SUPPLY_ENERGY, accounts.energy_account(grade), "JOULE", Decimal(joules))


def generated(tokens: int) -> Flow:
    return Flow(accounts.SUPPLY_TOKENS, accounts.TOKENS_OUTPUT, "TOK", Decimal(tokens))


def books() -> list[Transaction]:
    minutes = Flow(accounts.MINUTES_ASSUMED, accounts.REVIEW, "MINUTE", Decimal(10))
    return [
        entry(Kind.SERVE, "serve:1", {"answers": 60}, dollars(SPECIALIST, "0.6"), energy("3000"), generated(500)),
        entry(Kind.SERVE, "serve:2", {"answers": 40}, dollars(SPECIALIST, "0.4"), energy("4200"), generated(500)),
        entry(Kind.REVIEW, "review:1", {"judgments": 20}, minutes, dollars(accounts.REVIEW, "7", accounts.WAGES)),
        entry(Kind.TRAIN, "train:1", {"runs": 1}, dollars(accounts.TRAINING, "1.5"), energy("3600"), generated(99)),
        entry(Kind.EVALUATE, "evaluate:1", {"runs": 1}, dollars(accounts.EVALS, "0.5"), energy("3600")),
    ]


def test_a_statement_tells_what_was_spent_on_what() -> None:
    found = draw_up(books(), accepted_share=0.8)

    assert found.balanced
    assert found.trial == {"JOULE": 0, "MINUTE": 0, "TOK": 0, "USD": 0}
    assert Line("serve", SPECIALIST, "USD", Decimal("1.0")) in found.lines
    assert Line("serve", accounts.MACHINE_TIME, "USD", Decimal("-1.0")) in found.lines
    assert Line("review", accounts.REVIEW, "MINUTE", Decimal(10)) in found.lines
    assert found.joules == {Grade.ESTIMATED: Decimal(14_400)}
    assert found.counts["serve"] == {"answers": 100}


def test_the_two_metrics_come_out_of_the_books() -> None:
    found = draw_up(books(), accepted_share=0.8).efficiency

    assert found is not None
    assert found.marginal.usd_per_accepted == pytest.approx(1 / 80)
    assert found.marginal.wh_per_accepted == pytest.approx(2 / 80)
    assert found.marginal.tpdw == pytest.approx((1000 / 1) * (1000 / 7200))
    assert found.marginal.opdw == pytest.approx((80 / 1) * (80 / 7200))
    assert found.all_in.usd_per_accepted == pytest.approx(10 / 80)
    assert found.all_in.wh_per_accepted == pytest.approx(4 / 80)
    assert found.all_in.tokens_per_usd == pytest.approx(1000 / 10)


def test_learning_may_be_spread_over_a_declared_volume() -> None:
    found = draw_up(books(), accepted_share=0.8, volume=900).efficiency

    assert found is not None
    assert found.all_in.usd_per_accepted == pytest.approx((1 + 9 * 100 / 900) / 80)


def test_books_without_answers_have_no_efficiency() -> None:
    learning = [each for each in books() if each.kind != Kind.SERVE]

    assert draw_up(learning).efficiency is None
    assert draw_up([]).efficiency is None
    assert draw_up([]).balanced


def test_one_unpriced_answer_makes_the_cost_of_answers_unknown_and_is_counted() -> None:
    dark = entry(Kind.SERVE, "serve:3", {"answers": 5, "unpriced": 1}, energy("1"))

    found = draw_up([*books(), dark], accepted_share=0.8)

    assert found.counts["serve"] == {"answers": 105, "unpriced": 1}
    assert found.efficiency is not None
    assert found.efficiency.marginal.usd_per_accepted is None
    assert found.efficiency.marginal.opdw is None
    assert found.efficiency.marginal.wh_per_accepted is not None


def test_unknown_learning_touches_the_all_in_figures_only() -> None:
    dark = entry(Kind.EVALUATE, "evaluate:2", {"runs": 1, "without energy": 1}, dollars(accounts.EVALS, "1"))

    found = draw_up([*books(), dark], accepted_share=0.8).efficiency

    assert found is not None
    assert found.marginal.opdw is not None
    assert (found.all_in.opdw, found.all_in.wh_per_accepted, found.all_in.grade) == (None, None, Grade.UNKNOWN)


def test_unknown_tokens_make_the_token_metric_unknown() -> None:
    dark = entry(Kind.SERVE, "serve:3", {"answers": 5, "without tokens": 1}, energy("1"))

    found = draw_up([*books(), dark], accepted_share=0.8).efficiency

    assert found is not None
    assert found.marginal.tpdw is None
    assert found.marginal.opdw is not None


def test_joules_of_two_grades_are_listed_apart_and_summed_under_the_worse() -> None:
    mixed = [
        entry(Kind.SERVE, "serve:1", {"answers": 1}, energy("1", Grade.MEASURED), energy("2", Grade.ESTIMATED)),
    ]

    assert draw_up(mixed).joules == {Grade.MEASURED: 1, Grade.ESTIMATED: 2}
    spent = spending(mixed, [Kind.SERVE])
    assert (spent.joules, spent.grade) == (3.0, Grade.ESTIMATED)


def test_a_lost_leg_shows_in_the_statement() -> None:
    lost = books()
    lost[0] = Transaction(id="txn_l", at=AT, kind="serve", memo="60 answers", postings=lost[0].postings[1:])

    found = draw_up(lost)

    assert not found.balanced
    assert any(total != 0 for total in found.trial.values())


def test_two_wrongs_that_cancel_are_still_wrong() -> None:
    halves = [
        Transaction(id="a", at=AT, kind="serve", memo="", postings=(Posting(SPECIALIST, "USD", 5),)),
        Transaction(id="b", at=AT, kind="serve", memo="", postings=(Posting(accounts.MACHINE_TIME, "USD", -5),)),
    ]

    found = draw_up(halves)

    assert found.trial == {"USD": 0}
    assert not found.balanced


def test_the_store_is_checked_posting_by_posting(tmp_path: Path) -> None:
    store = Store.open(str(tmp_path / "books.db"))
    assert append_transactions(store, books()) == 5
    assert append_transactions(store, books()) == 0
    assert check_balanced(store)
    assert balances(store)["Expenses:Learning:Review", "MINUTE"] == 10_000
    store.close()


def test_what_was_taken_back_is_in_no_figure(tmp_path: Path) -> None:
    store = Store.open(str(tmp_path / "books.db"))
    append_transactions(store, books())
    dark = entry(Kind.SERVE, "serve:3", {"answers": 9, "unpriced": 9}, energy("900"))
    append_transactions(store, [dark])
    reverse(store, dark.id, reversal_id="txn_back", at=AT, reason="booked twice")

    found = draw_up(transactions(store), accepted_share=0.8)

    assert found == draw_up(books(), accepted_share=0.8)
    assert check_balanced(store)
    store.close()


def test_a_posting_added_behind_the_back_of_the_books_is_found(tmp_path: Path) -> None:
    path = tmp_path / "books.db"
    store = Store.open(str(path))
    append_transactions(store, books())
    with store.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO ledger_posting (transaction_id, account, commodity, quantity) VALUES (:id, :to, 'USD', 1)"
            ),
            {"id": transactions(store)[0].id, "to": SPECIALIST},
        )

    assert not check_balanced(store)
    store.close()
