"""Waiting for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable

_POLL_S = 0.01


def wait_until(true: Callable[[], bool], limit_s: float = 10.0) -> bool:
    """Whether it came true in time; returns as soon as it did."""
    give_up = time.monotonic() + limit_s
    while not (came := true()) and time.monotonic() < give_up:
        time.sleep(_POLL_S)
    return came
