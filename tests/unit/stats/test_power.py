from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokencapital.stats.power import PairedDesign, cases_needed, smallest_detectable
from tokencapital.stats.sequential import e_value

DESIGN = PairedDesign(alpha=0.05, discordant=0.2)


def found_share(n: int, effect: float, design: PairedDesign) -> float:
    gains = (design.discordant + effect) / 2
    luck = np.random.default_rng(0).random((500, n))
    differences = (luck < gains).astype(float) - ((luck >= gains) & (luck < design.discordant))
    return float((e_value(differences, design.null_mean) >= 1 / design.alpha).any(axis=1).mean())


@pytest.mark.parametrize(
    ("effect", "design"),
    [
        (0.05, DESIGN),
        (0.10, PairedDesign(alpha=0.05, discordant=0.12)),
        (0.0, PairedDesign(alpha=0.03, discordant=0.1, null_mean=-0.03)),
    ],
)
def test_cases_needed_suffice_and_half_of_them_do_not(effect: float, design: PairedDesign) -> None:
    n = cases_needed(effect, design)
    assert n is not None
    assert found_share(n, effect, design) >= 0.8
    assert found_share(n // 2, effect, design) < 0.8


@given(st.integers(50, 20_000))
@settings(max_examples=30, deadline=None)
def test_both_functions_tell_the_same_story(n: int) -> None:
    effect = smallest_detectable(n, DESIGN)
    if effect is None:
        return
    needed = cases_needed(effect, DESIGN)
    assert needed is not None
    assert needed <= n
    assert smallest_detectable(2 * n, DESIGN) <= effect  # type: ignore[operator]


def test_what_cannot_be_seen_is_none() -> None:
    assert smallest_detectable(0, DESIGN) is None
    assert smallest_detectable(5, DESIGN) is None
    assert smallest_detectable(1000, PairedDesign(alpha=0.05, discordant=0.0)) is None
    assert cases_needed(0.0, DESIGN) is None
    assert cases_needed(0.3, DESIGN) is None


def test_a_stricter_level_needs_more_cases() -> None:
    loose, strict = cases_needed(0.05, DESIGN), cases_needed(0.05, PairedDesign(alpha=0.005, discordant=0.2))
    assert loose is not None
    assert strict is not None
    assert strict > loose
