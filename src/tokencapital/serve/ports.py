"""What serving needs from the rest of the house, as protocols that it owns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from tokencapital.core.answer import Exchange
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


class Sink(Protocol):
    """Takes what was done."""

    def record(self, exchanges: Sequence[Exchange]) -> None:
        """The exchanges are durable when this returns, all or none of them."""
        ...


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
