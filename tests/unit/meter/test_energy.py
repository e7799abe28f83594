from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.quantity import UNKNOWN_ENERGY, Energy, Grade, Usage
from tokencapital.meter.energy import EnergyMeter, LocalEstimate, NoMeter, combine, worse

energies = st.one_of(
    st.just(UNKNOWN_ENERGY),
    st.builds(Energy, st.floats(0, 1e9), st.sampled_from([grade for grade in Grade if grade is not Grade.UNKNOWN])),
)


def test_local_energy_is_power_times_time_times_pue_and_graded_as_an_estimate() -> None:
    meter: EnergyMeter = LocalEstimate(watts=20.0, pue=1.5)

    assert meter.machine(busy_s=3600) == Energy(20.0 * 3600 * 1.5, Grade.ESTIMATED)
    assert meter.machine(busy_s=0) == Energy(0.0, Grade.ESTIMATED)


def test_the_energy_of_a_remote_model_is_unknown_and_not_zero() -> None:
    meter = LocalEstimate(watts=20.0, pue=1.5)

    assert meter.remote("some-model", Usage(1000, 1000)) == UNKNOWN_ENERGY
    assert "20 W" in meter.explain()
    assert "1.5" in meter.explain()


def test_a_meter_that_knows_nothing_says_why() -> None:
    meter: EnergyMeter = NoMeter("no power was declared")

    assert meter.machine(1.0) == UNKNOWN_ENERGY
    assert meter.remote("m", Usage(1, 1)) == UNKNOWN_ENERGY
    assert "no power was declared" in meter.explain()


@given(st.lists(energies, max_size=5))
def test_a_whole_is_as_well_known_as_its_worst_part(parts: list[Energy]) -> None:
    whole = combine(parts)

    if UNKNOWN_ENERGY in parts:
        assert whole == UNKNOWN_ENERGY
    else:
        assert whole.joules == pytest.approx(sum(part.joules or 0.0 for part in parts))
        assert all(worse(whole.grade, part.grade) is whole.grade for part in parts)


def test_grades_are_ordered_from_measured_to_unknown() -> None:
    assert [worse(Grade.ATTRIBUTED, grade) for grade in Grade] == [
        Grade.ATTRIBUTED,
        Grade.ATTRIBUTED,
        Grade.ESTIMATED,
        Grade.ASSUMED,
        Grade.UNKNOWN,
    ]
