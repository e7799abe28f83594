"""What is counted of the requests of this process, in plain numbers: `/metrics` reads them when somebody asks."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict

LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""The upper bounds of the buckets of times; one more holds what took longer."""


class Times:
    """How long something took, in buckets."""

    __slots__ = ("buckets", "total_s")

    def __init__(self) -> None:
        self.buckets = [0] * (len(LATENCY_S) + 1)
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        """One more took so long."""
        self.buckets[bisect_left(LATENCY_S, seconds)] += 1
        self.total_s += seconds


class RequestCounts:
    """The requests of one process. Only its event loop writes."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.body_bytes = 0
        self.answered: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        """By method, route and status."""
        self.times: defaultdict[str, Times] = defaultdict(Times)
        """By route, until the head of the answer."""
        self.turned_away: defaultdict[str, int] = defaultdict(int)
        """By reason: what was refused before any route saw it."""
        self.faults = 0
