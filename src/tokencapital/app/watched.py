"""What the parts of a served house show to whoever watches it; each part puts itself here when it is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tokencapital.app.metrics_families import Row
from tokencapital.app.shares import Share
from tokencapital.serve.counts import AnsweringCounts, RelayCounts, RequestCounts


class Watched:
    """The counts of one process. `relay` and `answering` None: nothing is relayed. `limits` gives the shares of limits
    in use, `others` what other workers of the same house count."""

    def __init__(self) -> None:
        self.requests = RequestCounts()
        self.relay: RelayCounts | None = None
        self.answering: AnsweringCounts | None = None
        self.limits: Callable[[], Sequence[Share]] = list
        self.unrecorded: Callable[[], int] = int
        self.others: Callable[[], Sequence[Row]] = list
