"""Guesses are made slow for the login that they are at, and for no other."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from tokencapital.app.throttle import FREE, LONGEST_WAIT, Throttle
from tokencapital.core.errors import TooManyAttempts

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def test_a_login_waits_longer_after_each_failure_but_never_for_long() -> None:
    throttle, now, waits = Throttle(), NOW, []
    for _ in range(FREE):
        throttle.attempt("ines", now)
    for _ in range(12):
        with pytest.raises(TooManyAttempts) as refused:
            throttle.attempt("ines", now)
        found = re.search(r"Wait (\d+) seconds", str(refused.value))
        assert found is not None
        waits.append(int(found[1]))
        now += timedelta(seconds=waits[-1])
        throttle.attempt("ines", now)
    assert waits == sorted(waits)
    assert waits[0] < 5
    assert waits[-1] <= LONGEST_WAIT.total_seconds() + 1


def test_attempts_that_are_refused_make_the_wait_no_longer() -> None:
    throttle = Throttle()
    for _ in range(FREE):
        throttle.attempt("ines", NOW)
    for _ in range(100):
        with pytest.raises(TooManyAttempts):
            throttle.attempt("ines", NOW)
    throttle.attempt("ines", NOW + timedelta(seconds=3))


def test_others_do_not_wait_and_whoever_came_in_starts_anew() -> None:
    throttle = Throttle()
    for _ in range(FREE):
        throttle.attempt("ines", NOW)
    throttle.attempt("otto", NOW)
    throttle.forget("ines")
    for _ in range(FREE):
        throttle.attempt("ines", NOW)
