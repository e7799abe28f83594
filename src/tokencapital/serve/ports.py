"""What serving needs from the rest of the house, as protocols that it owns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from tokencapital.core.answer import Exchange
from tokencapital.core.knowledge import Citation, PassageHit
from tokencapital.core.policy import Policy
from tokencapital.models.specialist import Specialist


class Live(Struct, frozen=True):
    """A policy ready to answer.

    `release` None: nothing was released yet; `specialist` None: there is none. `memory` is the state of
    the memory to answer from; None: the newest.
    """

    policy: Policy
    release: str | None = None
    specialist: Specialist | None = None
    memory: int | None = None


class ReleaseReader(Protocol):
    """Knows which release is live."""

    def live(self, capability: str) -> Live:
        """The policy that answers now."""
        ...


class LessonReader(Protocol):
    """Knows the sentences of lessons, and which of them hold."""

    def texts(self, ids: Sequence[str], now: datetime) -> Mapping[str, str]:
        """The sentences by id of those lessons that hold at the time `now`, in the order of `ids`."""
        ...


class PassageReader(Protocol):
    """Finds passages of the company's documents, and knows which of them hold."""

    def find(self, text: str, most: int, now: datetime) -> Sequence[PassageHit]:
        """At most so many passages that hold at the time `now` and fit the text, best first."""
        ...

    def standing(self, ids: Sequence[str], now: datetime) -> Mapping[str, Citation]:
        """Those of the passages that exist and hold at the time `now`, by id."""
        ...


class Sink(Protocol):
    """Takes what was done."""

    def record(self, exchanges: Sequence[Exchange]) -> None:
        """The exchanges are durable when this returns, all or none of them."""
        ...


def lessons_that_hold(reader: LessonReader | None, policy: Policy, now: datetime) -> Mapping[str, str]:
    """The sentences by id of the policy's lessons that hold at the time `now`; none without a reader."""
    return reader.texts(policy.lessons, now) if policy.lessons and reader is not None else {}


class FixedRelease:
    """A reader that always gives the same policy: for evaluating one that is not live."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def live(self, capability: str) -> Live:
        """The policy that this was made with."""
        return self._live


class NoSink:
    """A sink that keeps nothing: for evaluation, whose answers are no one's work."""

    def record(self, exchanges: Sequence[Exchange]) -> None:
        """Nothing is kept."""
