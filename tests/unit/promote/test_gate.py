"""What the gate says to evidence that is known."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.policy import Decision, Evidence
from tokencapital.promote.gate import (
    FEWEST_SEALED,
    LOOK_GROWTH,
    Estimate,
    compare,
    decide_change,
    decide_refresh,
    entities_wanted,
    shows_harm,
)
from tokencapital.stats.spending import look_alpha

UNKNOWN = Estimate(None, 0)


def evidence(lower: float | None, upper: float | None, n: int = 100) -> Evidence:
    return Evidence(n=n, alpha=0.05, effect=0.0, lower=lower, upper=upper)


@pytest.mark.parametrize(
    ("seen", "margin", "decision"),
    [
        (evidence(0.01, 0.2), 0.0, Decision.PROMOTED),
        (evidence(0.0, 0.2), 0.0, Decision.HELD),
        (evidence(-0.01, 0.2), 0.0, Decision.HELD),
        (evidence(-0.2, -0.01), 0.0, Decision.STOPPED),
        (evidence(-0.01, 0.02), 0.02, Decision.PROMOTED),
        (evidence(-0.03, 0.02), 0.02, Decision.HELD),
        (evidence(-0.09, -0.03), 0.02, Decision.STOPPED),
        (Evidence(n=3, reason="too few sealed entities"), 0.0, Decision.HELD),
    ],
)
def test_a_change_has_to_be_proven(seen: Evidence, margin: float, decision: Decision) -> None:
    verdict = decide_change(seen, margin)
    assert verdict.decision is decision
    assert verdict.evidence.reason
    assert verdict.evidence.n == seen.n


HARMLESS, HARMFUL = evidence(-0.1, 0.1), evidence(-0.2, -0.01)


@pytest.mark.parametrize(
    ("seen", "ours", "live", "decision"),
    [
        (HARMLESS, Estimate(0.9, 400), Estimate(0.9, 400), Decision.PROMOTED),
        (HARMLESS, Estimate(0.89, 400), Estimate(0.9, 400), Decision.PROMOTED),
        (HARMLESS, Estimate(0.8, 400), Estimate(0.9, 400), Decision.HELD),
        (HARMLESS, Estimate(0.8, 10), Estimate(0.9, 10), Decision.PROMOTED),
        (HARMFUL, Estimate(0.99, 400), Estimate(0.5, 400), Decision.STOPPED),
        (HARMLESS, UNKNOWN, Estimate(0.9, 400), Decision.PROMOTED),
        (HARMLESS, Estimate(0.5, 400), UNKNOWN, Decision.PROMOTED),
        (Evidence(n=0), Estimate(0.9, 400), Estimate(0.9, 400), Decision.PROMOTED),
    ],
)
def test_a_refresh_must_neither_fall_nor_harm(
    seen: Evidence, ours: Estimate, live: Estimate, decision: Decision
) -> None:
    assert decide_refresh(seen, ours, live).decision is decision


def test_a_refresh_claims_nothing() -> None:
    verdict = decide_refresh(HARMLESS, Estimate(0.9, 400), Estimate(0.9, 400))
    assert "unproven" in verdict.evidence.reason


@pytest.mark.parametrize(("upper", "harm"), [(-0.001, True), (0.0, False), (0.3, False), (None, False)])
def test_harm_is_an_upper_bound_below_zero(upper: float | None, harm: bool) -> None:
    assert shows_harm(evidence(-0.5, upper)) is harm


def test_a_small_estimate_is_less_certain_also_where_all_were_right() -> None:
    errors = [Estimate(1.0, n).standard_error for n in (1, 10, 100, 1_000)]
    assert all(error is not None and error > 0 for error in errors)
    assert errors == sorted(errors, reverse=True)  # type: ignore[type-var]
    assert UNKNOWN.standard_error is None


def test_a_comparison_counts_entities_not_cases() -> None:
    seen = compare([1, 1, 1, 0], [0, 0, 0, 0], ["a", "a", "b", "b"], 0.05)
    assert seen.n == 2
    assert seen.effect == pytest.approx((1.0 + 0.5) / 2)
    assert seen.alpha == 0.05


def test_a_large_effect_is_seen_in_its_direction() -> None:
    groups = [str(n) for n in range(100)]
    better, worse = [1.0] * 100, [1.0] * 60 + [0.0] * 40
    up, down = compare(better, worse, groups, 0.05), compare(worse, better, groups, 0.05)
    assert up.lower is not None and up.lower > 0
    assert shows_harm(down)
    assert down.effect == pytest.approx(-0.4)
    assert decide_change(up).decision is Decision.PROMOTED
    assert decide_change(down).decision is Decision.STOPPED


def test_a_smaller_level_is_harder_to_pass() -> None:
    groups = [str(n) for n in range(60)]
    ours, theirs = [1.0] * 60, [1.0] * 46 + [0.0] * 14
    lowers = [compare(ours, theirs, groups, alpha).lower for alpha in (0.05, 0.005, 0.0005)]
    assert lowers == sorted(lowers, reverse=True)  # type: ignore[type-var]
    assert len(set(lowers)) == 3


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 9)), min_size=1, max_size=60))
def test_bounds_enclose_the_effect_and_equal_policies_never_differ(rows: list[tuple[bool, bool, int]]) -> None:
    ours, theirs = [float(row[0]) for row in rows], [float(row[1]) for row in rows]
    groups = [str(row[2]) for row in rows]
    seen = compare(ours, theirs, groups, 0.05)
    assert seen.lower is not None and seen.effect is not None and seen.upper is not None
    assert -1.0 <= seen.lower <= seen.effect + 1e-9 <= seen.upper + 2e-9
    same = compare(ours, ours, groups, 0.05)
    assert same.effect == 0.0
    assert decide_change(same).decision is Decision.HELD
    assert not shows_harm(same)


def test_the_next_look_at_a_change_waits_until_it_can_see_more() -> None:
    assert entities_wanted([]) == FEWEST_SEALED
    looked = [FEWEST_SEALED]
    for _ in range(4):
        looked.append(entities_wanted([Evidence(n=n) for n in looked]))
    assert all(later >= LOOK_GROWTH * earlier for earlier, later in pairwise(looked))
    # Nothing smaller could show even the largest effect at the first level.
    groups = [str(n) for n in range(FEWEST_SEALED)]
    best = compare([1.0] * FEWEST_SEALED, [0.0] * FEWEST_SEALED, groups, look_alpha(0.05, 1))
    assert decide_change(best).decision is Decision.PROMOTED


def test_no_sealed_case_is_no_evidence_and_says_so() -> None:
    seen = compare([], [], [], 0.05)
    assert (seen.n, seen.effect, seen.lower, seen.upper) == (0, None, None, None)
    assert decide_change(seen).decision is Decision.HELD
