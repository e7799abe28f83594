"""Unknown amounts stay unknown, and grades and amounts go together."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.quantity import UNKNOWN_ENERGY, Energy, Grade, Money, Usage

COUNTS = st.none() | st.integers(0, 10**9)
USAGES = st.builds(Usage, COUNTS, COUNTS, st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
ONE = Usage(3, 5, 7, 11, 2)


@given(USAGES, USAGES)
def test_a_sum_is_known_exactly_where_both_parts_are(left: Usage, right: Usage) -> None:
    total = left + right
    for kind in ("input", "output"):
        parts = [getattr(left, kind), getattr(right, kind)]
        assert getattr(total, kind) == (None if None in parts else sum(parts))
    for kind in ("cache_read", "cache_write", "reasoning"):
        assert getattr(total, kind) == getattr(left, kind) + getattr(right, kind)


@given(USAGES, USAGES, USAGES)
def test_usage_adds_up_in_any_order(a: Usage, b: Usage, c: Usage) -> None:
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + Usage() == a


def test_unknown_tokens_are_not_taken_for_none() -> None:
    assert ONE + Usage(None, None) == Usage(None, None, 7, 11, 2)
    assert Usage() != Usage(None, None)


def test_money_adds_exactly_and_in_one_currency_only() -> None:
    assert Money(Decimal("0.1")) + Money(Decimal("0.2")) == Money(Decimal("0.3"))
    with pytest.raises(ValueError, match="no exchange rate"):
        Money(Decimal(1)) + Money(Decimal(1), "EUR")


@pytest.mark.parametrize(
    ("joules", "grade"), [(None, Grade.MEASURED), (None, Grade.ESTIMATED), (0.0, Grade.UNKNOWN), (3.5, Grade.UNKNOWN)]
)
def test_joules_are_unknown_exactly_where_their_grade_is(joules: float | None, grade: Grade) -> None:
    with pytest.raises(ValueError, match="cannot have the grade"):
        Energy(joules, grade)


def test_unknown_energy_is_a_value() -> None:
    assert Energy(None, Grade.UNKNOWN) == UNKNOWN_ENERGY
    assert Energy(0.0, Grade.MEASURED).joules == 0.0
