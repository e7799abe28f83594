"""Rows are counted once, and never too few."""

from __future__ import annotations

from typing import Any

import pytest

from tokencapital.store.cases import count_cases
from tokencapital.store.database import Store
from tokencapital.store.schema import work_case
from tokencapital.store.tally import tally


def test_the_count_follows_the_rows(store: Store, desk: Any) -> None:
    for number in range(1, 25):
        desk.record(desk.case(f"case {number}"))
        assert tally(store, work_case, desk.capability, settled_after=3) == number
    settled, counted = store.kept["tally", "work_case", desk.capability]
    assert settled == counted
    assert 10 < counted < 24
    assert count_cases(store, desk.capability) == 24
    assert count_cases(store, "other") == 0


def test_what_is_undone_is_not_counted(store: Store, desk: Any) -> None:
    with pytest.raises(RuntimeError, match="undone"), store.begin():
        for number in range(9):
            desk.record(desk.case(f"case {number}"))
        assert tally(store, work_case, desk.capability, settled_after=1) == 9
        raise RuntimeError("undone")
    assert store.kept == {}
    assert tally(store, work_case, desk.capability, settled_after=1) == 0
