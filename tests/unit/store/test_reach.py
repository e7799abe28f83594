"""A store that is away keeps nobody waiting, and is found again."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from tokencapital.core.errors import StoreUnavailable
from tokencapital.store.reach import Reach
from tokencapital.testing.waiting import wait_until

AWAY = StoreUnavailable("the database server cannot be reached")


def nothing() -> None:
    """The store answers."""


def test_a_store_that_answers_has_no_age_and_is_tried() -> None:
    reach = Reach(nothing)
    reach.check()
    assert reach.age_s is None


def test_a_thread_tries_a_store_that_is_away_once_a_second_and_fails_at_once_in_between() -> None:
    reach = Reach(nothing)
    reach.close()
    reach.lost(AWAY)
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        reach.check()
    assert reach.age_s is not None
    time.sleep(1.05)
    reach.check()
    with pytest.raises(StoreUnavailable):
        reach.check()
    reach.heard()
    reach.check()
    assert reach.age_s is None


def test_a_loop_never_tries_itself_and_goes_on_once_a_thread_has_found_the_store() -> None:
    found = threading.Event()
    reach = Reach(found.set)
    reach.lost(AWAY)

    async def ask() -> None:
        with pytest.raises(StoreUnavailable):
            reach.check()

    asyncio.run(ask())
    assert found.wait(5.0)
    assert wait_until(lambda: reach.age_s is None, 5.0)
    reach.close()
