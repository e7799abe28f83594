"""Swap tests on record, whichever database keeps them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from tokencapital.core.errors import StoreConflict
from tokencapital.store.database import Store
from tokencapital.store.swaps import SwapTest, append_swap, newest_swap, swap_tests

START = datetime(2026, 1, 1, 9, tzinfo=UTC)


def swap(number: int, capability: str = "triage") -> SwapTest:
    body = {"portable": None, "generalists": [{"name": "none", "uplift": 0.5}], "n": number}
    return SwapTest(id=f"swp-{number}", capability=capability, at=START + timedelta(days=number), by="loop", body=body)


def test_the_newest_is_the_last_on_record(store: Store) -> None:
    assert newest_swap(store, "triage") is None
    for number, capability in ((1, "triage"), (2, "triage"), (3, "other")):
        append_swap(store, swap(number, capability))
    assert newest_swap(store, "triage") == swap(2)
    assert swap_tests(store, "triage") == [swap(1), swap(2)]
    assert swap_tests(store, "nothing") == []


def test_a_test_is_on_record_once_and_for_good(store: Store) -> None:
    append_swap(store, swap(1))
    append_swap(store, SwapTest(id="swp-1", capability="triage", at=START, by="other", body={}))
    assert swap_tests(store, "triage") == [swap(1)]
    for change in ("UPDATE swap_test SET body = '{}'", "DELETE FROM swap_test"):
        with pytest.raises(StoreConflict, match="append-only"), store.begin() as connection:
            connection.execute(text(change))
