"""What the relay counts while it works: plain numbers that cost nothing to raise; /metrics reads them."""

from __future__ import annotations

from bisect import bisect_left

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Upper bounds of the histograms' buckets in seconds; one more bucket holds what is longer."""


class Histogram:
    """How many durations fell into each bucket, how many in all, and their sum in seconds."""

    __slots__ = ("buckets", "count", "sum_s")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS_S) + 1)
        self.count = 0
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """One more duration."""
        self.buckets[bisect_left(BOUNDS_S, seconds)] += 1
        self.count += 1
        self.sum_s += seconds


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
        self.requests: dict[tuple[str, str, int], int] = {}
        self.refused: dict[str, int] = {}
        self.upstream: dict[str, Histogram] = {}
        self.kept = Histogram()
        self.whole = Histogram()
        self.in_flight = self.retries = self.fallbacks = self.disconnected = self.unrecorded = 0

    def answered(self, wire: str, provider: str, status: int) -> None:
        """A call of a provider ended with this status; 0: no answer of it came."""
        key = (wire, provider, status // 100)
        self.requests[key] = self.requests.get(key, 0) + 1

    def refuse(self, error: Exception) -> None:
        """A request was refused with an error of ours."""
        name = type(error).__name__
        self.refused[name] = self.refused.get(name, 0) + 1

    def heard(self, provider: str, seconds: float) -> None:
        """The head of a provider's answer came after so long."""
        histogram = self.upstream.get(provider)
        if histogram is None:
            histogram = self.upstream[provider] = Histogram()
        histogram.add(seconds)
