"""Passwords: kept as argon2id secrets, checked at the same cost whether or not there is an account."""

from __future__ import annotations

import secrets
from functools import lru_cache
from typing import TYPE_CHECKING

from tokencapital.core.errors import InputError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

FEWEST, MOST = 10, 1_000
"""Characters of a password."""


def make_secret(password: str) -> str:
    """What is kept of a password; white space around it does not count. Raises InputError for a short one."""
    password = password.strip()
    if not FEWEST <= len(password) <= MOST:
        raise InputError(f"a password has {FEWEST} to {MOST} characters", remedy="A sentence is easy to remember.")
    return _hasher().hash(password)


def matches(secret: str | None, password: str) -> bool:
    """Whether the password is that of the secret; with no secret (None) a wrong one takes just as long."""
    from argon2.exceptions import InvalidHashError, VerificationError

    nobodys = _nobodys()
    try:
        return _hasher().verify(nobodys if secret is None else secret, password.strip()[:MOST]) and secret is not None
    except (VerificationError, InvalidHashError):
        return False


def is_dated(secret: str) -> bool:
    """Whether the secret was made at a lower cost than today's."""
    return _hasher().check_needs_rehash(secret)


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()


@lru_cache(maxsize=1)
def _nobodys() -> str:
    """A secret that no password opens."""
    return _hasher().hash(secrets.token_urlsafe(32))
