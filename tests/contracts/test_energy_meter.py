"""What every energy meter keeps to."""

from __future__ import annotations

import pytest

from tokencapital.core.quantity import Grade, Usage
from tokencapital.meter.energy import EnergyMeter, LocalEstimate, NoMeter

METERS: list[EnergyMeter] = [LocalEstimate(watts=15.0, pue=1.2), NoMeter("no power was declared")]


@pytest.mark.parametrize("meter", METERS, ids=lambda meter: type(meter).__name__)
def test_energy_is_unknown_or_grows_with_the_work(meter: EnergyMeter) -> None:
    short, long = meter.machine(1.0), meter.machine(2.0)

    assert short.grade is long.grade
    assert (short.joules is None) == (short.grade is Grade.UNKNOWN)
    if short.joules is not None and long.joules is not None:
        assert 0 < short.joules < long.joules


@pytest.mark.parametrize("meter", METERS, ids=lambda meter: type(meter).__name__)
def test_no_meter_claims_that_a_remote_call_was_free(meter: EnergyMeter) -> None:
    assert meter.remote("some-model", Usage(1000, 1000)).joules != 0


@pytest.mark.parametrize("meter", METERS, ids=lambda meter: type(meter).__name__)
def test_every_meter_explains_itself_in_a_sentence(meter: EnergyMeter) -> None:
    assert meter.explain().strip()
