"""Double-entry books: transactions whose postings sum to zero per commodity, only ever added."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Row, Select, func, select

from tokencapital.core.errors import LedgerError
from tokencapital.store.database import Store, chunks
from tokencapital.store.schema import COMMODITY_SCALES, ledger_posting, ledger_transaction
from tokencapital.store.tally import tally

_LARGEST = 2**63 - 1


class Posting(Struct, frozen=True):
    """An amount that goes to an account (positive: debit) or comes from it (negative: credit).

    `quantity` counts minor units of the commodity: 1e-9 USD, 1 TOK, 1e-3 JOULE, 1e-3 MINUTE.
    """

    account: str
    commodity: str
    quantity: int


class Transaction(Struct, frozen=True, kw_only=True):
    """What happened, once, with its postings.

    `reference` names its source: a second transaction with the same one is not booked. `reverses` is
    the id of the transaction that this one takes back.
    """

    id: str
    at: datetime
    kind: str
    memo: str
    postings: tuple[Posting, ...]
    capability: str | None = None
    release: str | None = None
    reference: str | None = None
    reverses: str | None = None


def append_transactions(store: Store, transactions: Sequence[Transaction]) -> int:
    """All are booked, or none; returns how many were new by id and reference.

    Raises LedgerError where one does not sum to zero in each commodity, names an unknown commodity or
    has no posting; nothing is ever added to make it balance.
    """
    for transaction in transactions:
        check_balance(transaction)
    with store.begin() as connection:
        fresh = [
            transaction
            for transaction in transactions
            if store.add_new(connection, ledger_transaction, [_transaction_row(transaction)])
        ]
        rows = [_posting_row(transaction.id, posting) for transaction in fresh for posting in transaction.postings]
        store.add_new(connection, ledger_posting, rows)
    return len(fresh)


def reverse(store: Store, transaction_id: str, *, reversal_id: str, at: datetime, reason: str) -> Transaction:
    """The transaction is taken back by its opposite, which is returned; both stay in the books.

    Raises LedgerError where there is no such transaction or it was reversed before.
    """
    with store.begin() as connection:
        found = connection.execute(select(ledger_transaction).where(ledger_transaction.c.id == transaction_id)).first()
        if found is None:
            raise LedgerError(f"no transaction {transaction_id} is booked")
        original = _with_postings(store, [found])[0]
        opposite = Transaction(
            id=reversal_id,
            at=at,
            kind="reversal",
            memo=reason,
            postings=tuple(Posting(p.account, p.commodity, -p.quantity) for p in original.postings),
            capability=original.capability,
            release=original.release,
            reverses=original.id,
        )
        if append_transactions(store, [opposite]) == 0:
            raise LedgerError(f"transaction {transaction_id} was reversed before, or {reversal_id} is taken")
    return opposite


def balances(store: Store, capability: str | None = None, until: datetime | None = None) -> dict[tuple[str, str], int]:
    """The sum of each account and commodity in minor units, over transactions before `until` (None: all)."""
    total = func.sum(ledger_posting.c.quantity)
    query = (
        select(ledger_posting.c.account, ledger_posting.c.commodity, total)
        .join_from(ledger_posting, ledger_transaction, ledger_posting.c.transaction_id == ledger_transaction.c.id)
        .group_by(ledger_posting.c.account, ledger_posting.c.commodity)
        .order_by(ledger_posting.c.account, ledger_posting.c.commodity)
    )
    with store.read() as connection:
        rows = connection.execute(_selected(query, capability, until))
        return {(account, commodity): int(quantity) for account, commodity, quantity in rows}


def transactions(store: Store, capability: str | None = None, until: datetime | None = None) -> list[Transaction]:
    """The transactions before `until` (None: all) in the order in which they were booked."""
    query = select(ledger_transaction).order_by(ledger_transaction.c.position)
    with store.read() as connection:
        return _with_postings(store, list(connection.execute(_selected(query, capability, until))))


class Movement(Struct, frozen=True):
    """What one kind of activity moved on an account in some transactions, in minor units."""

    kind: str
    account: str
    commodity: str
    quantity: int


class Booked(Struct, frozen=True, kw_only=True):
    """What stands in the transactions of a capability after one place in the books, up to `position`.

    Of a transaction that was taken back, and of what took it back, nothing stands: what took back one of
    before counts against its kind, with negative counts. `transactions` says how many rows there are in
    all up to `position`. `memos` are those of the kinds, each with 1 or, taken back, -1.
    """

    position: int
    transactions: int
    movements: tuple[Movement, ...]
    memos: tuple[tuple[str, str, int], ...]


def booked_after(store: Store, capability: str, after: int) -> Booked:
    """What was booked after the position `after` (0: all), summed up."""
    table, undone = ledger_transaction, ledger_transaction.alias("undone")
    kind, mine = func.coalesce(undone.c.kind, table.c.kind), table.c.capability == capability
    new = [mine, table.c.position > after]
    joined = table.outerjoin(undone, table.c.reverses == undone.c.id)
    sums = (
        select(kind, ledger_posting.c.account, ledger_posting.c.commodity, func.sum(ledger_posting.c.quantity))
        .select_from(joined.join(ledger_posting, ledger_posting.c.transaction_id == table.c.id))
        .where(*new)
        .group_by(kind, ledger_posting.c.account, ledger_posting.c.commodity)
    )
    memos = select(kind, func.coalesce(undone.c.memo, table.c.memo), undone.c.id).select_from(joined).where(*new)
    with store.read() as connection:
        newest = connection.execute(select(func.max(table.c.position)).where(mine)).scalar() or 0
        count = tally(store, table, capability)
        if newest <= after:
            return Booked(position=newest, transactions=count, movements=(), memos=())
        return Booked(
            position=newest,
            transactions=count,
            movements=tuple(Movement(*row[:3], int(row[3])) for row in connection.execute(sums)),
            memos=tuple((of, memo, -1 if taken else 1) for of, memo, taken in connection.execute(memos)),
        )


def check_balance(transaction: Transaction) -> None:
    """Returns where the postings sum to zero in each commodity. Raises LedgerError where they do not."""
    where = f"transaction {transaction.id}"
    if not transaction.postings:
        raise LedgerError("it has no posting", where=where)
    sums: dict[str, int] = defaultdict(int)
    for posting in transaction.postings:
        if posting.commodity not in COMMODITY_SCALES:
            raise LedgerError(f"{posting.commodity!r} is no commodity of these books", where=where)
        if abs(posting.quantity) > _LARGEST:
            raise LedgerError(f"{posting.quantity} {posting.commodity} does not fit 64 bits", where=where)
        sums[posting.commodity] += posting.quantity
    left = {commodity: quantity for commodity, quantity in sums.items() if quantity}
    if left:
        remains = ", ".join(f"{quantity} minor units of {commodity}" for commodity, quantity in sorted(left.items()))
        raise LedgerError(f"it does not balance: {remains} remain", where=where)


def _selected(query: Select[Any], capability: str | None, until: datetime | None) -> Select[Any]:
    if capability is not None:
        query = query.where(ledger_transaction.c.capability == capability)
    if until is not None:
        query = query.where(ledger_transaction.c.at < until)
    return query


def _with_postings(store: Store, rows: Sequence[Row[Any]]) -> list[Transaction]:
    postings: dict[str, list[Posting]] = defaultdict(list)
    with store.read() as connection:
        for some in chunks(row.id for row in rows):
            query = select(ledger_posting).where(ledger_posting.c.transaction_id.in_(some))
            for found in connection.execute(query.order_by(ledger_posting.c.id)):
                postings[found.transaction_id].append(Posting(found.account, found.commodity, found.quantity))
    return [_transaction_of(row, tuple(postings[row.id])) for row in rows]


def _transaction_of(row: Row[Any], postings: tuple[Posting, ...]) -> Transaction:
    return Transaction(
        id=row.id,
        at=row.at,
        kind=row.kind,
        memo=row.memo,
        postings=postings,
        capability=row.capability,
        release=row.release,
        reference=row.reference,
        reverses=row.reverses,
    )


def _transaction_row(transaction: Transaction) -> dict[str, Any]:
    return {
        "id": transaction.id,
        "at": transaction.at,
        "kind": transaction.kind,
        "memo": transaction.memo,
        "capability": transaction.capability,
        "release": transaction.release,
        "reference": transaction.reference,
        "reverses": transaction.reverses,
    }


def _posting_row(transaction_id: str, posting: Posting) -> dict[str, Any]:
    return {
        "transaction_id": transaction_id,
        "account": posting.account,
        "commodity": posting.commodity,
        "quantity": posting.quantity,
    }
