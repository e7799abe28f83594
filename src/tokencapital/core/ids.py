"""Identifiers that sort by time."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from tokencapital.core.clock import Clock

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_TIME_BITS, _COUNT_BITS, _ENTROPY_BITS = 48, 20, 32


class IdSource:
    """Makes ids such as `trj_01jd…` that sort in the order in which they were made.

    20 characters of Crockford's base 32: 48 bits of milliseconds, a 20-bit counter within the
    millisecond, 32 bits of entropy. `entropy` is handed in so that a replay can repeat its ids; None: chance, seeded
    by the system. An id is no secret.
    """

    def __init__(self, clock: Clock, entropy: Callable[[int], int] | None = None) -> None:
        self._clock = clock
        self._entropy = entropy or random.Random().getrandbits  # noqa: S311 an id is no secret
        self._lock = threading.Lock()
        self._last = 0

    def new(self, prefix: str) -> str:
        """An id that was never given before and sorts after all that were."""
        with self._lock:
            now_ms = int(self._clock.now().timestamp() * 1000)
            self._last = moment = max(self._last + 1, now_ms << _COUNT_BITS)
        return f"{prefix}_{_base32((moment << _ENTROPY_BITS) | self._entropy(_ENTROPY_BITS))}"


def _base32(number: int) -> str:
    pairs = (_TIME_BITS + _COUNT_BITS + _ENTROPY_BITS) // 10
    return "".join([_PAIRS[(number >> (10 * place)) & 1023] for place in range(pairs - 1, -1, -1)])
