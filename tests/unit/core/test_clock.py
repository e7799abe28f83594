"""Time is UTC and never runs backwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.clock import RecordedClock, SystemClock, utc

START = datetime(2026, 1, 5, tzinfo=UTC)


@given(st.lists(st.integers(-1_000, 1_000)))
def test_a_recorded_clock_stands_at_the_latest_moment_it_was_moved_to(offsets_s: list[int]) -> None:
    clock = RecordedClock(START)
    seen = [clock.now()]
    for offset in offsets_s:
        clock.advance_to(START + timedelta(seconds=offset))
        seen.append(clock.now())
    assert seen == sorted(seen)
    assert seen[-1] == max([START, *(START + timedelta(seconds=offset) for offset in offsets_s)])


def test_a_moment_elsewhere_is_the_same_moment_in_utc() -> None:
    berlin = datetime(2026, 1, 5, 10, tzinfo=timezone(timedelta(hours=1)))
    assert utc(berlin) == berlin
    assert utc(berlin).tzinfo is UTC
    assert RecordedClock(berlin).now().hour == 9


def test_a_time_without_a_zone_could_be_any_moment() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        utc(datetime(2026, 1, 5))  # noqa: DTZ001 - that is the point
    with pytest.raises(ValueError, match="no time zone"):
        RecordedClock(datetime(2026, 1, 5))  # noqa: DTZ001


def test_the_machines_clock_tells_utc() -> None:
    assert SystemClock().now().tzinfo is UTC
