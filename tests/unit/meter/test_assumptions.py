from __future__ import annotations

from decimal import Decimal

import pytest

from tokencapital.core.errors import SettingsError
from tokencapital.core.quantity import Grade
from tokencapital.meter.assumptions import Assumptions


def test_wages_are_minutes_of_an_hourly_wage() -> None:
    declared = Assumptions(wage_usd_per_hour=Decimal(60))

    assert declared.wages_usd(Decimal("2.5")) == Decimal("2.5")
    assert declared.grade is Grade.ASSUMED


@pytest.mark.parametrize(
    "figures",
    [
        {"watts": -1.0},
        {"watts": float("nan")},
        {"pue": 0.99},
        {"pue": float("inf")},
        {"machine_usd_per_hour": Decimal("-0.01")},
        {"wage_usd_per_hour": Decimal("NaN")},
        {"minutes_per_judgment": -0.5},
    ],
)
def test_impossible_figures_are_refused_by_name(figures: dict[str, float]) -> None:
    (name,) = figures
    with pytest.raises(SettingsError, match=name):
        Assumptions(**figures)  # type: ignore[arg-type]
