"""Figures are written as people read them, and unknown is never a number."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tokencapital.web.pages import dollars_each, energy, figure


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "0"),
        (0.5, "0.5"),
        (1234.567, "1,235"),
        (0.0000012345, "0.00000123"),
        (12.345, "12.3"),
        (Decimal("194.2"), "194"),
    ],
)
def test_a_figure_has_three_digits_and_no_exponent(amount: float | Decimal, shown: str) -> None:
    assert figure(amount) == shown


@pytest.mark.parametrize(
    ("amount", "shown"), [(None, "unknown"), (0.0, "$0"), (0.25, "$0.25"), (8.78e-9, "$0.00878 a million")]
)
def test_what_one_answer_costs(amount: float | None, shown: str) -> None:
    assert dollars_each(amount) == shown


@pytest.mark.parametrize(
    ("wh", "shown"), [(None, "unknown"), (0.0, "0 Wh"), (2.05e-6, "2.05 µWh"), (0.0031, "3.1 mWh"), (1500.0, "1.5 kWh")]
)
def test_energy_takes_a_fitting_prefix(wh: float | None, shown: str) -> None:
    assert energy(wh) == shown
