from __future__ import annotations

import math

import pytest

from tokencapital.stats.spending import look_alpha


def test_all_looks_together_spend_the_budget_and_no_more() -> None:
    spent = math.fsum(look_alpha(0.05, look) for look in range(1, 20_001))
    assert 0.04999 < spent < 0.05


def test_the_first_look_gets_most() -> None:
    assert look_alpha(0.05, 1) == pytest.approx(0.0303963, abs=1e-6)
    assert look_alpha(0.05, 3) == pytest.approx(look_alpha(0.05, 1) / 9)


def test_there_is_no_look_before_the_first() -> None:
    with pytest.raises(ValueError, match="look 0"):
        look_alpha(0.05, 0)
