from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tokencapital.account import accounts
from tokencapital.account.export import to_beancount, to_hledger
from tokencapital.store.ledger import Posting, Transaction

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
POSTING = re.compile(r"^  (\S+)  (-?\d+(?:\.\d+)?) ([A-Z]+)$")


def booked(number: int, quantity: int, *, capability: str = "triage", at: datetime = AT) -> Transaction:
    return Transaction(
        id=f"txn_{number}",
        at=at,
        kind="serve",
        memo="1 answers",
        capability=capability,
        postings=(
            Posting(accounts.TOKENS_OUTPUT, "TOK", quantity),
            Posting(accounts.SUPPLY_TOKENS, "TOK", -quantity),
            Posting(f"{accounts.SPEND}:Recall", "USD", quantity),
            Posting(accounts.MACHINE_TIME, "USD", -quantity),
        ),
    )


def test_beancount_gets_one_entry_a_day_and_its_accounts_opened_first() -> None:
    text = to_beancount([booked(1, 5), booked(2, 7), booked(3, 1, at=AT + timedelta(days=1))])

    assert text == (
        "2026-03-01 open Assets:Machine:Time\n"
        "2026-03-01 open Equity:Supply:Tokens\n"
        "2026-03-01 open Expenses:Inference:Spend:Recall\n"
        "2026-03-01 open Expenses:Inference:Tokens:Output\n"
        "\n"
        '2026-03-01 * "triage" "serve"\n'
        "  Assets:Machine:Time  -0.000000012 USD\n"
        "  Equity:Supply:Tokens  -12 TOK\n"
        "  Expenses:Inference:Spend:Recall  0.000000012 USD\n"
        "  Expenses:Inference:Tokens:Output  12 TOK\n"
        "\n"
        '2026-03-02 * "triage" "serve"\n'
        "  Assets:Machine:Time  -0.000000001 USD\n"
        "  Equity:Supply:Tokens  -1 TOK\n"
        "  Expenses:Inference:Spend:Recall  0.000000001 USD\n"
        "  Expenses:Inference:Tokens:Output  1 TOK\n"
    )


def test_hledger_reads_the_same_postings() -> None:
    text = to_hledger([booked(1, 5, capability='a|b "c"')])

    assert text.startswith('2026-03-01 * a/b "c" | serve\n  Assets:Machine:Time  -0.000000005 USD\n')
    assert [line for line in text.splitlines() if POSTING.match(line)] == [
        line for line in to_beancount([booked(1, 5)]).splitlines() if POSTING.match(line)
    ]


def test_quotes_in_a_name_do_not_end_the_string() -> None:
    assert '"a \\"b\\" \\\\ c"' in to_beancount([booked(1, 5, capability='a "b" \\ c')])


def test_empty_books_and_known_zeros_are_empty_files() -> None:
    assert to_beancount([]) == ""
    assert to_beancount([booked(1, 0)]) == ""
    assert to_hledger([booked(1, 0)]) == ""


@given(st.lists(st.tuples(st.integers(-(10**15), 10**15), st.integers(0, 3)), max_size=20))
def test_every_entry_that_is_written_balances_to_the_last_digit(drawn: list[tuple[int, int]]) -> None:
    books = [booked(n, quantity, at=AT + timedelta(days=day)) for n, (quantity, day) in enumerate(drawn)]

    for block in to_beancount(books).split("\n\n"):
        sums: defaultdict[str, Decimal] = defaultdict(Decimal)
        for found in map(POSTING.match, block.splitlines()):
            if found:
                sums[found[3]] += Decimal(found[2])
        assert not any(sums.values())
