"""Guessing passwords is made slow: after a few failures a login waits, longer each time."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from msgspec import Struct

from tokencapital.core.errors import TooManyAttempts

FREE = 5
"""Attempts in a row that cost nothing."""
_FIRST_WAIT = timedelta(seconds=2)
LONGEST_WAIT = timedelta(minutes=5)
"""So long at most is anybody kept out by somebody else's guesses."""
_MOST_LOGINS = 10_000


class _Failures(Struct):
    """Attempts on one login since the last that succeeded, and until when the next has to wait."""

    count: int
    until: datetime


class Throttle:
    """Failed attempts by login, in this process. Safe for threads.

    An attempt counts as failed when it is begun, so that many at once are no way around the wait.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[str, _Failures] = {}

    def attempt(self, login: str, now: datetime) -> None:
        """The attempt is counted. Raises TooManyAttempts where the login has to wait."""
        with self._lock:
            failed = self._failures.pop(login, None) or _Failures(0, now)
            self._failures[login] = failed
            if now < failed.until:
                seconds = int((failed.until - now).total_seconds()) + 1
                raise TooManyAttempts("too many attempts failed", remedy=f"Wait {seconds} seconds.")
            failed.count += 1
            if failed.count >= FREE:
                failed.until = now + min(_FIRST_WAIT * 2 ** min(failed.count - FREE, 16), LONGEST_WAIT)
            while len(self._failures) > _MOST_LOGINS:
                del self._failures[next(iter(self._failures))]

    def forget(self, login: str) -> None:
        """The login's owner came in: nothing is held against it any more."""
        with self._lock:
            self._failures.pop(login, None)
