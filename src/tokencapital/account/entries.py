"""Turns flows of value into balanced transactions of whole minor units."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from msgspec import Struct

from tokencapital.account.accounts import find_account
from tokencapital.core.errors import LedgerError
from tokencapital.core.ids import IdSource
from tokencapital.store.ledger import Posting, Transaction, check_balance
from tokencapital.store.schema import COMMODITY_SCALES


class Kind(StrEnum):
    """What the spending in a transaction was for."""

    SERVE = "serve"
    REVIEW = "review"
    EVALUATE = "evaluate"
    TRAIN = "train"


class Flow(Struct, frozen=True):
    """An amount, in natural units, that left the account `source` and was used up on the account `use`."""

    source: str
    use: str
    commodity: str
    amount: Decimal


class Heading(Struct, frozen=True, kw_only=True):
    """All of a transaction but its id and postings.

    `reference` names the facts that it books, and is booked once. `counts` goes into the memo: how many
    facts there are, and how many of them have an amount that is unknown and therefore not booked.
    """

    kind: Kind
    at: datetime
    capability: str
    release: str | None
    reference: str
    counts: Mapping[str, int]


def enter(heading: Heading, flows: Iterable[Flow], ids: IdSource) -> Transaction:
    """The flows as one balanced transaction.

    Flows between the same two accounts become one. Raises LedgerError for an account or a commodity
    that the chart does not have, and for an amount that is negative or not finite.
    """
    entered = Transaction(
        id=ids.new("txn"),
        at=heading.at,
        kind=heading.kind.value,
        memo=write_counts(heading.counts),
        capability=heading.capability,
        release=heading.release,
        reference=heading.reference,
        postings=_postings(flows),
    )
    require_sound(entered)
    return entered


def require_sound(entered: Transaction) -> None:
    """Raises LedgerError unless the transaction balances in each commodity and stands on accounts of the chart."""
    check_balance(entered)
    for post in entered.postings:
        account = find_account(post.account)
        if account is None or post.commodity not in account.commodities:
            raise LedgerError(
                f"{post.account} holds no {post.commodity}.",
                where=f"transaction {entered.id} ({entered.reference})",
                remedy="Book on an account of the chart, in a commodity that it may hold.",
            )


def standing(booked: Iterable[Transaction]) -> list[Transaction]:
    """The transactions without those that were taken back and without what took them back."""
    every = list(booked)
    gone = {taken.reverses for taken in every}
    return [each for each in every if each.reverses is None and each.id not in gone]


def natural(quantity: int, commodity: str) -> Decimal:
    """Minor units as dollars, tokens, joules or minutes."""
    return Decimal(quantity).scaleb(-COMMODITY_SCALES[commodity]) if quantity else Decimal(0)


def write_counts(counts: Mapping[str, int]) -> str:
    """Counts as a memo that people can read, as in `412 answers, 3 unpriced`."""
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def read_counts(memo: str) -> dict[str, int]:
    """The counts of a memo; none where it holds something else."""
    parts = [part.partition(" ") for part in memo.split(", ")]
    return {name: int(count) for count, _, name in parts} if all(part[0].isdigit() for part in parts) else {}


def _postings(flows: Iterable[Flow]) -> tuple[Posting, ...]:
    quantities: defaultdict[tuple[str, str], int] = defaultdict(int)
    for flow, quantity in _in_minor_units(_merged(flows)):
        quantities[flow.use, flow.commodity] += quantity
        quantities[flow.source, flow.commodity] -= quantity
    every = tuple(Posting(account, commodity, quantity) for (account, commodity), quantity in quantities.items())
    # Where all that is known is zero, the zeros stay: the transaction carries the counts of what is unknown.
    return tuple(post for post in every if post.quantity) or every


def _merged(flows: Iterable[Flow]) -> Iterator[Flow]:
    amounts: defaultdict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    for flow in flows:
        if not (flow.amount.is_finite() and flow.amount >= 0):
            raise LedgerError(f"{flow.amount} {flow.commodity} cannot flow from {flow.source} to {flow.use}.")
        amounts[flow.source, flow.use, flow.commodity] += flow.amount
    for (source, use, commodity), amount in amounts.items():
        yield Flow(source, use, commodity, amount)


def _in_minor_units(flows: Iterable[Flow]) -> Iterator[tuple[Flow, int]]:
    """Each flow with its whole minor units; per commodity they sum to the exact total, rounded once.

    Running sums are rounded, not flows, so that what one flow loses the next one gains.
    """
    exact: defaultdict[str, Decimal] = defaultdict(Decimal)
    booked: defaultdict[str, int] = defaultdict(int)
    for flow in flows:
        scale = COMMODITY_SCALES.get(flow.commodity)
        if scale is None:
            raise LedgerError(f"{flow.commodity} is not a commodity of the books.")
        exact[flow.commodity] += flow.amount
        total = int(exact[flow.commodity].scaleb(scale).to_integral_value(ROUND_HALF_EVEN))
        yield flow, total - booked[flow.commodity]
        booked[flow.commodity] = total
