"""Ids sort in the order in which they were made, whatever the clock does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.clock import SystemClock
from tokencapital.core.ids import IdSource

START = datetime(2026, 1, 5, tzinfo=UTC)


class Hand:
    """A clock that shows what it is set to."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60))
def test_ids_sort_as_they_were_made_also_when_the_clock_stands_or_runs_backwards(steps_ms: list[int]) -> None:
    clock = Hand()
    ids = IdSource(clock, entropy=lambda bits: 0)
    made = []
    for step in steps_ms:
        clock.time += timedelta(milliseconds=step)
        made.append(ids.new("trj"))
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_an_id_has_its_prefix_and_twenty_characters_that_nobody_confuses() -> None:
    prefix, _, rest = IdSource(SystemClock()).new("cas").partition("_")
    assert prefix == "cas"
    assert len(rest) == 20
    assert not set(rest) & set("ilouILOU")


def test_entropy_alone_tells_two_sources_of_the_same_moment_apart() -> None:
    clock = Hand()
    assert IdSource(clock, lambda bits: 1).new("a") != IdSource(clock, lambda bits: 2).new("a")
    assert IdSource(clock, lambda bits: 1).new("a") == IdSource(clock, lambda bits: 1).new("a")


def test_threads_never_get_the_same_id() -> None:
    ids = IdSource(Hand(), entropy=lambda bits: 0)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: ids.new("a"), range(2_000)))
    assert len(set(made)) == 2_000
