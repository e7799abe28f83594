"""Uniform draws spend their parts of the budget, whatever the order of arrival, and say how likely they were."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.judgment import DrawKind
from tokencapital.core.split import Split, assign_split
from tokencapital.review.queue import Rates, draw_active, draw_uniform, uniform_rates
from tokencapital.store.manifest import Assignment

KEY = b"k" * 32
NOW = datetime(2026, 1, 5, tzinfo=UTC)
ARRIVED = [Assignment(f"case-{n}", f"group-{n}", assign_split(f"group-{n}", KEY), f"input-{n}") for n in range(20_000)]


def test_the_uniform_parts_of_the_budget_are_spent_on_the_splits_they_are_meant_for() -> None:
    drawn = draw_uniform(ARRIVED, uniform_rates(4_000, len(ARRIVED)), KEY, "triage", NOW)
    split_of = {one.case_id: one.split for one in ARRIVED}
    sealed = sum(split_of[one.case] is Split.SEALED for one in drawn)
    # 400 and 600 of 4,000 are expected, with standard deviations of at most 20 and 25.
    assert 320 < sealed < 480
    assert 510 < len(drawn) - sealed < 690


def test_each_draw_says_how_it_came_about() -> None:
    rates = Rates(sealed=0.5, train=0.25)
    drawn = draw_uniform(ARRIVED[:400], rates, KEY, "triage", NOW)
    split_of = {one.case_id: one.split for one in ARRIVED}
    assert drawn
    for one in drawn:
        assert one.probability == (0.5 if split_of[one.case] is Split.SEALED else 0.25)
        assert (one.kind, one.capability, one.at) == (DrawKind.UNIFORM, "triage", NOW)
    assert len({one.id for one in drawn}) == len(drawn)


@given(st.permutations(range(60)), st.integers(1, 60))
def test_a_draw_depends_on_nothing_but_the_case(order: list[int], together: int) -> None:
    rates = Rates(0.4, 0.3)
    at_once = {one.case for one in draw_uniform(ARRIVED[:60], rates, KEY, "triage", NOW)}
    shuffled = [ARRIVED[i] for i in order]
    in_parts: set[str] = set()
    for start in range(0, 60, together):
        in_parts |= {one.case for one in draw_uniform(shuffled[start : start + together], rates, KEY, "triage", NOW)}
    assert in_parts == at_once


def test_another_key_draws_others() -> None:
    rates = Rates(0.2, 0.2)
    ours = {one.case for one in draw_uniform(ARRIVED[:2_000], rates, KEY, "triage", NOW)}
    theirs = {one.case for one in draw_uniform(ARRIVED[:2_000], rates, b"o" * 32, "triage", NOW)}
    assert len(ours & theirs) < 0.35 * len(ours)


def test_the_draw_is_independent_of_the_split() -> None:
    """The same hash must not decide both, or sealed cases would be drawn by their own rule."""
    drawn = {one.case for one in draw_uniform(ARRIVED, Rates(0.5, 0.5), KEY, "triage", NOW)}
    sealed = np.array([one.split is Split.SEALED for one in ARRIVED])
    picked = np.array([one.case_id in drawn for one in ARRIVED])
    # The share among some 2,000 sealed groups has a standard deviation of 0.011.
    assert abs(picked[sealed].mean() - 0.5) < 0.045


@pytest.mark.parametrize("active", [True, False])
def test_a_budget_for_every_case_draws_each_with_certainty(active: bool) -> None:
    rates = uniform_rates(500, 500, active=active)
    assert rates == Rates(1.0, 1.0)
    drawn = draw_uniform(ARRIVED[:500], rates, KEY, "triage", NOW)
    assert [one.case for one in drawn] == [one.case_id for one in ARRIVED[:500]]
    assert {one.probability for one in drawn} == {1.0}


@given(st.floats(0, 5_000), st.floats(1, 5_000), st.booleans())
def test_rates_are_probabilities(budget: float, arrivals: float, active: bool) -> None:
    rates = uniform_rates(budget, arrivals, active=active)
    assert 0.0 <= rates.sealed <= 1.0
    assert 0.0 <= rates.train <= 1.0
    if not active:
        assert rates.sealed == rates.train == min(1.0, budget / arrivals)


def test_rates_need_cases_to_come() -> None:
    with pytest.raises(ValueError, match="positive"):
        uniform_rates(10, 0)


def test_active_draws_keep_their_probabilities() -> None:
    drawn = draw_active([("case-1", 0.25), ("case-2", 0.5)], "triage", NOW)
    assert [(one.case, one.kind, one.probability) for one in drawn] == [
        ("case-1", DrawKind.ACTIVE, 0.25),
        ("case-2", DrawKind.ACTIVE, 0.5),
    ]
