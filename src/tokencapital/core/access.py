"""What an application may do with its key, and what such a key looks like."""

from __future__ import annotations

import hashlib
import secrets
import zlib
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

KEY_PREFIX = "tcap_"
CALLER = "tcap.caller"
"""Where a request's scope names its `Caller`."""
_BYTES, _BODY, _CHECK = 32, 43, 6
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


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


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key of an `application`, known by its `id`; the secret itself is kept nowhere.

    `by` made it. `expires_at` None: it does not end by itself. `revoked_at` None: nobody has revoked it.
    """

    id: str
    application: str
    scopes: frozenset[Scope]
    at: datetime
    by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def why_refused(self, now: datetime) -> str | None:
        """Why the key opens nothing at the time `now`; None: it opens what its scopes name."""
        if self.revoked_at is not None:
            return "this key was revoked"
        if self.expires_at is not None and now >= self.expires_at:
            return "this key has expired"
        return None


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


def make_secret() -> str:
    """A new key: 32 bytes of chance in base 62 and a checksum, so that one that leaked is told from other text."""
    body = _base62(int.from_bytes(secrets.token_bytes(_BYTES)), _BODY)
    return f"{KEY_PREFIX}{body}{_checksum(body)}"


def digest_of_secret(secret: str) -> str:
    """SHA-256 in hex. Whoever reads it cannot guess the key, which is 256 bits of chance."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECK)


def _base62(number: int, width: int) -> str:
    return "".join(_ALPHABET[number // 62**place % 62] for place in range(width - 1, -1, -1))
