"""Who may log in: making accounts, changing and disabling them. Each act is on record under a pseudonym."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection

import msgspec
from msgspec import Struct

from tokencapital.app.passwords import make_secret
from tokencapital.app.platform import Platform
from tokencapital.core.errors import InputError
from tokencapital.core.people import Role
from tokencapital.store.accounts import Account, add_account, change_account, read_account
from tokencapital.store.audit import Act, Done, append_audit

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")


class AccountAsked(Struct, frozen=True, kw_only=True):
    """An account as somebody wants it made. `contributor` None: a new pseudonym that tells nothing."""

    login: str
    password: str
    roles: frozenset[Role]
    by: str
    contributor: str | None = None


def make_account(platform: Platform, asked: AccountAsked) -> Account:
    """The account is there, and the house is closed to whoever has none. Raises InputError."""
    if not _LOGIN.fullmatch(asked.login):
        raise InputError("a login has 1 to 64 of a-z, 0-9 and ._@+-, and begins with a letter or digit", where="login")
    made = Account(
        login=asked.login,
        contributor=_pseudonym(asked.contributor),
        roles=_some(asked.roles),
        active=True,
        at=platform.clock.now(),
        by=asked.by,
    )
    secret = make_secret(asked.password)
    with platform.store.begin():
        add_account(platform.store, made, secret)
        _record(platform, made, Done.ACCOUNT_ADDED)
    platform.access.keyring.learn()
    return made


def disable_account(platform: Platform, login: str, by: str) -> Account:
    """Nobody is logged in under this login any more, nor will be. Raises InputError where there is none."""
    return _change(
        platform, msgspec.structs.replace(_known(platform, login), active=False, by=by), Done.ACCOUNT_DISABLED
    )


def enable_account(platform: Platform, login: str, by: str) -> Account:
    """The account's owner may log in again. Raises InputError where there is none."""
    return _change(platform, msgspec.structs.replace(_known(platform, login), active=True, by=by), Done.ACCOUNT_CHANGED)


def give_roles(platform: Platform, login: str, roles: Collection[Role], by: str) -> Account:
    """The account's owner may do what these roles may, after logging in anew. Raises InputError."""
    changed = msgspec.structs.replace(_known(platform, login), roles=_some(roles), by=by)
    return _change(platform, changed, Done.ACCOUNT_CHANGED)


def change_password(platform: Platform, login: str, password: str, by: str) -> Account:
    """Only the new password opens the account, and whoever came in by the old one is out. Raises InputError."""
    secret = make_secret(password)
    return _change(platform, msgspec.structs.replace(_known(platform, login), by=by), Done.ACCOUNT_CHANGED, secret)


def _known(platform: Platform, login: str) -> Account:
    found = read_account(platform.store, login)
    if found is None:
        raise InputError(f"no account is called {login}", remedy="See `tcap account list`.")
    return found


def _change(platform: Platform, changed: Account, what: Done, secret: str | None = None) -> Account:
    changed = msgspec.structs.replace(changed, at=platform.clock.now())
    with platform.store.begin():
        change_account(platform.store, changed, secret)
        _record(platform, changed, what)
    return changed


def _record(platform: Platform, of: Account, what: Done) -> None:
    act = Act(what=what, subject=of.contributor, at=of.at, by=of.by, body={"roles": sorted(of.roles)})
    with platform.store.begin() as connection:
        append_audit(platform.store, connection, act)


def _pseudonym(wanted: str | None) -> str:
    if wanted is None:
        return f"person-{secrets.token_hex(4)}"
    if not 1 <= len(wanted.strip()) <= 64 or not wanted.isprintable():
        raise InputError("a pseudonym has 1 to 64 printable characters", where="contributor")
    return wanted.strip()


def _some(roles: Collection[Role]) -> frozenset[Role]:
    if not roles:
        raise InputError("an account needs at least one role", remedy=f"Roles are: {', '.join(Role)}.")
    return frozenset(roles)
