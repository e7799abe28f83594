"""What an application may do with its key."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Scope(StrEnum):
    """What a key opens."""

    INFER = "infer"
    """Ask models and capabilities."""
    RECORD = "record"
    """Tell what was done and what came of it: spans, outcomes, what people sent."""
    REVIEW = "review"
    """Judge, and read what judging needs."""
    ADMIN = "admin"
    """Everything, keys included."""


class Caller(Struct, frozen=True, kw_only=True):
    """Who sent a request: an `application` under a `key` (its id, never the secret) with `scopes`.

    `application` and `key` None: the house runs open, or a person is logged in.
    """

    application: str | None = None
    key: str | None = None
    scopes: frozenset[Scope] = frozenset()

    def may(self, scope: Scope) -> bool:
        """Whether the caller may do what the scope names."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


ANYONE = Caller(scopes=frozenset(Scope))
"""Whoever reaches an open house."""
