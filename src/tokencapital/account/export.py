"""The books as plain text for beancount and hledger, rolled up by day, kind and capability."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date

from tokencapital.account.entries import natural
from tokencapital.store.ledger import Transaction

_Day = tuple[date, str, str]


def to_beancount(booked: Iterable[Transaction]) -> str:
    """The books in beancount's syntax, each account opened on the first day."""
    days = _rolled_up(booked)
    if not days:
        return ""
    first = min(day for day, _, _ in days)
    names = sorted({account for amounts in days.values() for account, _ in amounts})
    lines = [f"{first} open {name}" for name in names]
    for (day, kind, capability), amounts in days.items():
        lines += ["", f'{day} * "{_quoted(capability)}" "{_quoted(kind)}"', *_posting_lines(amounts)]
    return "\n".join(lines) + "\n"


def to_hledger(booked: Iterable[Transaction]) -> str:
    """The books in hledger's journal syntax."""
    lines: list[str] = []
    for (day, kind, capability), amounts in _rolled_up(booked).items():
        lines += [f"{day} * {_plain(capability)} | {_plain(kind)}", *_posting_lines(amounts), ""]
    return "\n".join(lines)


def _rolled_up(booked: Iterable[Transaction]) -> dict[_Day, dict[tuple[str, str], int]]:
    """Minor units by account and commodity, for each day in order; what sums to zero is left out."""
    days: defaultdict[_Day, defaultdict[tuple[str, str], int]] = defaultdict(lambda: defaultdict(int))
    for each in booked:
        amounts = days[each.at.astimezone(UTC).date(), each.kind, each.capability or ""]
        for post in each.postings:
            amounts[post.account, post.commodity] += post.quantity
    known = {day: {key: quantity for key, quantity in days[day].items() if quantity} for day in sorted(days)}
    return {day: amounts for day, amounts in known.items() if amounts}


def _posting_lines(amounts: dict[tuple[str, str], int]) -> Iterator[str]:
    for (account, commodity), quantity in sorted(amounts.items()):
        yield f"  {account}  {natural(quantity, commodity):f} {commodity}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def _plain(text: str) -> str:
    return text.replace("\n", " ").replace("|", "/").replace(";", ",")
