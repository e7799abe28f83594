"""Identifiers that sort by time."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable

from tokencapital.core.clock import Clock

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_BITS, _COUNT_BITS, _ENTROPY_BITS = 48, 20, 32


class IdSource:
    """Makes ids such as `trj_01jd…` that sort in the order in which they were made.

    20 characters of Crockford's base 32: 48 bits of milliseconds, a 20-bit counter within the
    millisecond, 32 bits of entropy. `entropy` is handed in so that a replay can repeat its ids.
    """

    def __init__(self, clock: Clock, entropy: Callable[[int], int] = secrets.randbits) -> None:
        self._clock = clock
        self._entropy = entropy
        self._lock = threading.Lock()
        self._last = 0

    def new(self, prefix: str) -> str:
        """An id that was never given before and sorts after all that were."""
        with self._lock:
            now_ms = int(self._clock.now().timestamp() * 1000)
            self._last = moment = max(self._last + 1, now_ms << _COUNT_BITS)
        return f"{prefix}_{_base32((moment << _ENTROPY_BITS) | self._entropy(_ENTROPY_BITS))}"


def _base32(number: int) -> str:
    width = (_TIME_BITS + _COUNT_BITS + _ENTROPY_BITS) // 5
    return "".join(_ALPHABET[(number >> (5 * place)) & 31] for place in range(width - 1, -1, -1))
