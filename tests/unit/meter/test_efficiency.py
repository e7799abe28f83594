from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.quantity import Grade
from tokencapital.meter.efficiency import Efficiency, Spending, Work, efficiencies, efficiency

counts = st.integers(1, 10**6)
dollars = st.decimals(Decimal("0.000001"), Decimal(10**6), places=9)
joules = st.floats(1e-3, 1e9)
shares = st.floats(0.01, 1)


def spending(usd: Decimal | None, joules: float | None) -> Spending:
    return Spending(usd=usd, joules=joules, grade=Grade.UNKNOWN if joules is None else Grade.ESTIMATED)


def test_the_worked_example_of_ten_cents_per_million_tokens_and_0_3_joules_per_token() -> None:
    work = Work(cases=1000, accepted_share=0.5, output_tokens=1_000_000)

    found = efficiency(work, spending(Decimal("0.10"), 300_000.0))

    assert found.tokens_per_usd == pytest.approx(1e7)
    assert found.tokens_per_joule == pytest.approx(1 / 0.3)
    assert found.tpdw == pytest.approx(1e7 / 0.3)
    assert found.usd_per_accepted == pytest.approx(0.10 / 500)
    assert found.wh_per_accepted == pytest.approx(300_000 / 3600 / 500)
    assert found.opdw == pytest.approx((0.5 / 1e-4) * (0.5 / 300))
    assert found.grade is Grade.ESTIMATED


@given(cases=counts, tokens=counts, share=shares, usd=dollars, joules=joules, times=st.integers(2, 1000))
def test_neither_metric_depends_on_the_length_of_the_window_or_the_size_of_the_fleet(
    cases: int, tokens: int, share: float, usd: Decimal, joules: float, times: int
) -> None:
    once = efficiency(Work(cases=cases, accepted_share=share, output_tokens=tokens), spending(usd, joules))
    longer = Work(cases=cases * times, accepted_share=share, output_tokens=tokens * times)
    often = efficiency(longer, spending(usd * times, joules * times))

    assert often.tpdw == pytest.approx(once.tpdw, rel=1e-9)
    assert often.opdw == pytest.approx(once.opdw, rel=1e-9)


@given(cases=counts, share=shares, usd=dollars, joules=joules)
def test_opdw_is_the_accepted_share_per_dollar_and_per_joule_of_one_case(
    cases: int, share: float, usd: Decimal, joules: float
) -> None:
    found = efficiency(Work(cases=cases, accepted_share=share, output_tokens=0), spending(usd, joules))

    by_definition = 2 * math.log(share) - math.log(float(usd) / cases) - math.log(joules / cases)
    assert found.opdw is not None
    assert math.log(found.opdw) == pytest.approx(by_definition, abs=1e-9)


def test_where_nothing_was_generated_there_is_no_tpdw_and_opdw_stands() -> None:
    found = efficiency(Work(cases=10, accepted_share=1.0, output_tokens=0), spending(Decimal(1), 1.0))

    assert found.tpdw is None
    assert found.tokens_per_usd is None
    assert found.opdw == pytest.approx(100)


def test_where_nothing_was_accepted_outcomes_per_dollar_are_zero_and_dollars_per_outcome_are_not_a_number() -> None:
    found = efficiency(Work(cases=10, accepted_share=0.0, output_tokens=5), spending(Decimal(1), 1.0))

    assert found.opdw == 0
    assert found.usd_per_accepted is None
    assert found.wh_per_accepted is None


@pytest.mark.parametrize(
    ("work", "spent", "unknown"),
    [
        (Work(cases=9, accepted_share=None, output_tokens=9), spending(Decimal(1), 1.0), {"opdw", "usd_per_accepted"}),
        (Work(cases=9, accepted_share=0.9, output_tokens=None), spending(Decimal(1), 1.0), {"tpdw"}),
        (Work(cases=9, accepted_share=0.9, output_tokens=9), spending(None, 1.0), {"tpdw", "opdw", "usd_per_accepted"}),
        (Work(cases=9, accepted_share=0.9, output_tokens=9), spending(Decimal(1), None), {"tpdw", "opdw"}),
    ],
)
def test_unknown_stays_unknown(work: Work, spent: Spending, unknown: set[str]) -> None:
    found = efficiency(work, spent)

    for name in ("tpdw", "opdw", "usd_per_accepted"):
        assert (getattr(found, name) is None) == (name in unknown), name


def test_learning_falls_on_the_cases_of_the_window_or_on_a_declared_volume() -> None:
    work = Work(cases=100, accepted_share=1.0, output_tokens=10)
    serving, learning = spending(Decimal(1), 3600.0), spending(Decimal(9), 3600.0)

    here = efficiencies(work, serving, learning)
    spread = efficiencies(work, serving, learning, volume=900)

    assert _per_accepted(here.marginal) == pytest.approx((0.01, 0.01))
    assert _per_accepted(here.all_in) == pytest.approx((0.10, 0.02))
    assert _per_accepted(spread.all_in) == pytest.approx((0.02, 0.01 + 0.01 / 9))
    assert spread.marginal == here.marginal


def test_learning_of_unknown_energy_leaves_the_marginal_figures_standing() -> None:
    work = Work(cases=100, accepted_share=1.0, output_tokens=10)

    found = efficiencies(work, spending(Decimal(1), 1.0), spending(Decimal(1), None))

    assert found.marginal.opdw is not None
    assert found.all_in.opdw is None
    assert found.all_in.usd_per_accepted == pytest.approx(0.02)
    assert (found.marginal.grade, found.all_in.grade) == (Grade.ESTIMATED, Grade.UNKNOWN)


def test_the_worse_grade_covers_a_sum() -> None:
    measured = Spending(joules=1.0, grade=Grade.MEASURED)

    assert (measured + Spending(joules=1.0, grade=Grade.ESTIMATED)).grade is Grade.ESTIMATED
    assert (Spending(joules=1.0, grade=Grade.ASSUMED) + measured).grade is Grade.ASSUMED


def test_spending_cannot_be_spread_over_no_cases() -> None:
    with pytest.raises(ValueError, match="0 cases"):
        spending(Decimal(1), 1.0).share(1, 0)


def _per_accepted(found: Efficiency) -> tuple[float | None, float | None]:
    return found.usd_per_accepted, found.wh_per_accepted
