"""When a call is tried again, and when a provider is left alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tokencapital.core.call import Wire
from tokencapital.serve.attempts import (
    Breaker,
    Failure,
    Retrying,
    failure_of,
    is_repeatable,
    next_pause,
    read_retry_after,
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
RETRYING = Retrying(retries=2, first_s=0.25, most_s=8.0)


class Ticks:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (200, None), (400, None), (401, None), (404, None), (422, None), (429, Failure.BUSY), (500, Failure.INTERNAL),
        (502, Failure.GATEWAY), (503, Failure.BUSY), (504, Failure.GATEWAY), (522, Failure.GATEWAY),
        (529, Failure.BUSY), (599, Failure.INTERNAL),
    ],
)  # fmt: skip
def test_a_status_says_whether_the_provider_did_its_part(status: int, failure: Failure | None) -> None:
    assert failure_of(status) is failure


def pause(failure: Failure, tried: int = 1, *, repeatable: bool = True, asked_s: float | None = None) -> float | None:
    return next_pause(RETRYING, tried, failure, repeatable=repeatable, asked_s=asked_s, draw=0.5)


def test_only_what_is_safe_is_tried_again() -> None:
    assert pause(Failure.UNCONNECTED, repeatable=False) == 0.125
    assert pause(Failure.BUSY, repeatable=False) == 0.125
    assert pause(Failure.GATEWAY, repeatable=False) is None
    assert pause(Failure.BROKEN, repeatable=False) is None
    assert pause(Failure.GATEWAY) == pause(Failure.BROKEN) == 0.125
    assert pause(Failure.TIMEOUT) is None
    assert pause(Failure.INTERNAL) is None


def test_pauses_double_and_end() -> None:
    assert [pause(Failure.BUSY, tried) for tried in (1, 2, 3)] == [0.125, 0.25, None]


def test_what_a_provider_asks_to_wait_is_waited_within_reason() -> None:
    assert pause(Failure.BUSY, asked_s=3.0) == 3.125
    assert pause(Failure.BUSY, asked_s=9.0) is None


def test_a_stored_response_is_not_asked_for_twice_without_a_key() -> None:
    assert not is_repeatable(Wire.RESPONSES, keyed=False)
    assert is_repeatable(Wire.RESPONSES, keyed=True)
    assert all(is_repeatable(wire, keyed=False) for wire in Wire if wire is not Wire.RESPONSES)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None), ("7", 7.0), (" 1.5 ", 1.5), ("Tue, 24 Nov 2026 12:00:30 GMT", 30.0),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0.0), ("soon", None), ("-3", None), ("", None), ("9" * 400, None),
    ],
)  # fmt: skip
def test_both_forms_of_retry_after_are_read(value: str | None, seconds: float | None) -> None:
    assert read_retry_after(value, NOW) == seconds


@given(some.text())
def test_no_retry_after_breaks_anything(value: str) -> None:
    seconds = read_retry_after(value, NOW)
    assert seconds is None or seconds >= 0


def test_a_provider_that_fails_in_a_row_is_left_alone_until_one_call_finds_it_back() -> None:
    ticks = Ticks()
    breaker = Breaker(3, 10.0, ticks)
    for _ in range(3):
        assert breaker.admit()
        breaker.failed(Failure.INTERNAL)
    assert not breaker.admit()
    ticks.now += 9.0
    assert breaker.closed_for() == pytest.approx(1.0)
    ticks.now += 1.5
    assert breaker.admit()
    assert not breaker.admit(), "only one call tries"
    breaker.failed(Failure.UNCONNECTED)
    assert not breaker.admit()
    ticks.now += 10.5
    assert breaker.admit()
    breaker.succeeded()
    assert breaker.admit()
    assert breaker.in_a_row == 0


def test_being_busy_and_single_failures_close_nothing() -> None:
    breaker = Breaker(2, 10.0, Ticks())
    for _ in range(5):
        breaker.failed(Failure.BUSY)
    breaker.failed(Failure.TIMEOUT)
    breaker.succeeded()
    breaker.failed(Failure.TIMEOUT)
    assert breaker.admit()
