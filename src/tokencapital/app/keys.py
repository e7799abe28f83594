"""Keys of applications: making, rotating and revoking them. The secret is told once, and kept nowhere."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import timedelta

from msgspec import Struct

from tokencapital.app.platform import Platform
from tokencapital.core.access import ApiKey, Scope, digest_of_secret, make_secret
from tokencapital.core.errors import InputError
from tokencapital.store import keys as store_keys

GRACE = timedelta(hours=24)
"""So long a key that was rotated goes on unless somebody says otherwise."""
_APPLICATION = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SPAN = re.compile(r"(\d{1,6})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class KeyAsked(Struct, frozen=True, kw_only=True):
    """A key as somebody wants it made. `lasts` None: until it is revoked."""

    application: str
    scopes: frozenset[Scope]
    by: str
    lasts: timedelta | None = None


class MadeKey(Struct, frozen=True, kw_only=True):
    """A key just made, with the only copy of its secret. `rotated` is the one that it takes the place of."""

    key: ApiKey
    secret: str
    rotated: ApiKey | None = None


def make_key(platform: Platform, asked: KeyAsked) -> MadeKey:
    """The key opens what its scopes name, here at once and in other processes within a second. Raises InputError."""
    made = MadeKey(key=_key(platform, asked), secret=make_secret())
    store_keys.add_key(platform.store, made.key, digest_of_secret(made.secret))
    platform.access.keyring.learn()
    return made


def rotate_key(platform: Platform, old: str, by: str, grace: timedelta = GRACE) -> MadeKey:
    """A new key with the scopes of the old one, which goes on for the time of grace. Raises InputError.

    The new one lasts as long as the old one was made to.
    """
    known = {one.id: one for one in store_keys.keys_made(platform.store)}.get(old)
    if known is None:
        raise InputError("there is no such key", where=old, remedy="See `tcap key list`; a key is named by its id.")
    lasts = None if known.expires_at is None else known.expires_at - known.at
    asked = KeyAsked(application=known.application, scopes=known.scopes, by=by, lasts=lasts)
    key, secret = _key(platform, asked), make_secret()
    rotated = store_keys.rotate_key(platform.store, old, key, digest_of_secret(secret), key.at + grace)
    platform.access.keyring.learn()
    return MadeKey(key=key, secret=secret, rotated=rotated)


def revoke_key(platform: Platform, key: str, by: str) -> ApiKey:
    """The key opens nothing, here at once and in other processes within a second. Raises InputError."""
    revoked = store_keys.revoke_key(platform.store, key, platform.clock.now(), by)
    platform.access.keyring.learn()
    return revoked


def span_of(text: str) -> timedelta:
    """The time that `90d`, `12h` or `30m` names. Raises InputError for anything else."""
    found = _SPAN.fullmatch(text.strip())
    if found is None or not int(found[1]):
        raise InputError(f"`{text}` is no span of time", remedy="Write 90d, 12h or 30m.")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _key(platform: Platform, asked: KeyAsked) -> ApiKey:
    if not _APPLICATION.fullmatch(asked.application):
        raise InputError("an application has 1 to 64 of a-z, 0-9 and ._-, and begins with a letter or digit")
    _named(asked.scopes)
    now = platform.clock.now()
    return ApiKey(
        id=platform.ids.new("key"),
        application=asked.application,
        scopes=asked.scopes,
        at=now,
        by=asked.by,
        expires_at=None if asked.lasts is None else now + asked.lasts,
    )


def _named(scopes: Collection[Scope]) -> None:
    if not scopes:
        raise InputError("a key needs at least one scope", remedy=f"Scopes are: {', '.join(Scope)}.")
