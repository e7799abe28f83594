"""Whether a server that keeps the store can be reached: nobody waits long for one that cannot.

A server may vanish, or be there and say nothing. Both show as an operation that fails, the second after a limit that
is short where an event loop waits. From then on operations fail at once, and somebody tries once a second, off the
loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from time import monotonic
from typing import Any

from tokencapital.core.errors import StoreUnavailable

CONNECT_S = 3
"""So long a server may take to let somebody in."""
PROBE_S, LOOP_S, ELSE_S = 1.0, 2.0, 60.0
"""So long it may take to answer a probe, what an event loop waits for, and what a thread waits for."""
_EVERY_S = 1.0


def loop_waits() -> bool:
    """Whether an event loop stands still until the caller goes on."""
    return asyncio._get_running_loop() is not None  # noqa: SLF001 (the public one costs an exception where there is none)


class Reach:
    """Whether a store is there. `ping` tries, and raises where it is not. Safe for threads."""

    def __init__(self, ping: Callable[[], None]) -> None:
        self._ping = ping
        self._lock = threading.Lock()
        self._away: StoreUnavailable | None = None
        self._contact = monotonic()
        self._next_try = 0.0
        self._trying = False
        self._closed = threading.Event()

    @property
    def age_s(self) -> float | None:
        """How long the store has not been heard of; None: it is there, as far as anybody knows."""
        return None if self._away is None else monotonic() - self._contact

    def check(self) -> None:
        """Returns where it is worth trying. Raises StoreUnavailable where the store is away and somebody else tries."""
        away = self._away
        if away is None:
            return
        with self._lock:
            if not loop_waits() and monotonic() >= self._next_try:
                self._next_try = monotonic() + _EVERY_S
                return
            if not self._trying and not self._closed.is_set():
                self._trying = True
                threading.Thread(target=self._try, name="reach", daemon=True).start()
        raise StoreUnavailable(away.what, where=away.where, remedy=away.remedy)

    def heard(self) -> None:
        """The store answered."""
        self._contact = monotonic()
        if self._away is not None:
            self._away = None

    def lost(self, error: StoreUnavailable) -> None:
        """The store did not answer."""
        self._away = error
        self._next_try = monotonic() + _EVERY_S

    def close(self) -> None:
        """Nobody tries any more."""
        self._closed.set()

    def _try(self) -> None:
        while self._away is not None and not self._closed.wait(_EVERY_S):
            with suppress(StoreUnavailable):
                self._ping()
                self.heard()
        self._trying = False


def bounded(driver: Any, reach: Reach) -> Any:
    """The connections of psycopg, of which none waits for its server beyond the limit.

    Once the server is known to be away the limit of a thread is that of a loop.
    """

    class Bounded(driver.Connection):  # type: ignore[misc]
        """A connection that is given up when the server says nothing for too long. `limit_s` None: by who waits."""

        limit_s: float | None = None

        def wait(self, generator: Any, *options: Any, **named: Any) -> Any:
            """What the server answers. Raises the driver's OperationalError."""
            began, mine = monotonic(), self.limit_s or (LOOP_S if loop_waits() else ELSE_S)

            def too_long() -> bool:
                return monotonic() - began > (mine if reach.age_s is None else min(mine, LOOP_S))

            return super().wait(_within(generator, too_long, self._give_up), *options, **named)

        def _give_up(self) -> Exception:
            self.close()
            error: Exception = driver.OperationalError("the server does not answer")
            return error

    return Bounded


def _within(work: Generator[Any, Any, Any], too_long: Callable[[], bool], give_up: Callable[[], Exception]) -> Any:
    """The driver's own waiting, ended when it takes too long."""
    try:
        wanted = next(work)
        while True:
            ready = yield wanted
            if not ready and too_long():
                raise give_up()
            wanted = work.send(ready)
    except StopIteration as done:
        return done.value
