"""What is counted while a process serves: plain numbers that cost nothing to raise; `/metrics` reads them."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence

REQUEST_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""The upper bounds of the buckets of times until the head of an answer."""
CALL_BOUNDS_S = (*REQUEST_BOUNDS_S, 120.0)
"""Those of times of calls of providers."""


class Times:
    """How many durations fell into each bucket, one more for what took longer than all bounds, and their sum."""

    __slots__ = ("_bounds_s", "buckets", "sum_s")

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._bounds_s = bounds_s
        self.buckets = [0] * (len(bounds_s) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """One more took so long."""
        self.buckets[bisect_left(self._bounds_s, seconds)] += 1
        self.sum_s += seconds


class RequestCounts:
    """The requests of one process. Only its event loop writes."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.body_bytes = 0
        self.answered: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        """By method, route and status."""
        self.times: defaultdict[str, Times] = defaultdict(lambda: Times(REQUEST_BOUNDS_S))
        """By route, until the head of the answer."""
        self.turned_away: defaultdict[str, int] = defaultdict(int)
        """By reason: what was refused before any route saw it."""
        self.faults = 0


class RelayCounts:
    """Since the process began, in this process.

    `requests` by (wire, provider, class of the status such as 2; 0: no answer of a provider). `refused` by the name
    of the error of ours. `upstream` has the time until the head of a provider's answer by provider, `kept` how long
    keeping took, `whole` all of a call. `retries` and `fallbacks` count tries after the first; `disconnected`
    callers that hung up; `unrecorded` answers that nothing was kept of.
    """

    __slots__ = (
        "disconnected",
        "fallbacks",
        "in_flight",
        "kept",
        "refused",
        "requests",
        "retries",
        "unrecorded",
        "upstream",
        "whole",
    )

    def __init__(self) -> None:
        self.requests: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self.refused: defaultdict[str, int] = defaultdict(int)
        self.upstream: defaultdict[str, Times] = defaultdict(lambda: Times(CALL_BOUNDS_S))
        self.kept = Times(CALL_BOUNDS_S)
        self.whole = Times(CALL_BOUNDS_S)
        self.in_flight = self.retries = self.fallbacks = self.disconnected = self.unrecorded = 0

    def answered(self, wire: str, provider: str, status: int) -> None:
        """A call of a provider ended with this status; 0: no answer of it came."""
        self.requests[wire, provider, status // 100] += 1

    def refuse(self, error: Exception) -> None:
        """A request was refused with an error of ours."""
        self.refused[type(error).__name__] += 1


class AnsweringCounts:
    """What became of the capabilities' own answers since the process began.

    `given` ones went out. Where the provider's went out instead, no stage was sure or another shape was wanted
    (`left`), or the capability `failed`. In `shadow` mode answers were made `beside`, `skipped`, or `failed_beside`.
    """

    def __init__(self) -> None:
        self.given = self.left = self.failed = self.beside = self.skipped = self.failed_beside = 0
