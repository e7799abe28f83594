"""Time is UTC and comes from a clock that is handed in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Anything that knows the time."""

    def now(self) -> datetime:
        """The time, with UTC as its zone."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """The time, with UTC as its zone."""
        return datetime.now(UTC)


class RecordedClock:
    """A clock that stands at the time of the recorded work being played; it never runs backwards."""

    def __init__(self, start: datetime) -> None:
        self._now = utc(start)

    def now(self) -> datetime:
        """The latest time that the clock was moved to."""
        return self._now

    def advance_to(self, moment: datetime) -> None:
        """The clock stands at `moment`, or where it was if that is later."""
        self._now = max(self._now, utc(moment))


def utc(moment: datetime) -> datetime:
    """The same moment in UTC. Raises ValueError for a time without a zone, which could be any moment."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; write it in UTC, as in 2026-01-31T09:30:00Z")
    return moment.astimezone(UTC)
