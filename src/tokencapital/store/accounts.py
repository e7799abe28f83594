"""Local accounts: who may log in, as which contributor, with which roles. Passwords are kept as argon2 secrets only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Row, select

from tokencapital.core.errors import InputError
from tokencapital.core.people import Role
from tokencapital.store.database import Store
from tokencapital.store.schema import account
from tokencapital.store.sessions import end_sessions

_ANY = "SELECT EXISTS (SELECT 1 FROM account)"


class Account(Struct, frozen=True, kw_only=True):
    """Somebody who may log in while `active`, known to the capital as the `contributor` of that pseudonym.

    `at` and `by` are when and by whom it was last changed.
    """

    login: str
    contributor: str
    roles: frozenset[Role]
    active: bool
    at: datetime
    by: str


def has_accounts(store: Store) -> bool:
    """Whether any account was ever made: one that was disabled still closes the house. Fit for every request."""
    return bool(store.probe(_ANY))


def add_account(store: Store, made: Account, secret: str) -> None:
    """The account is there. Raises InputError where its login or its contributor has one already."""
    with store.begin() as connection:
        known = list(connection.execute(select(account.c.login, account.c.contributor)))
        if any(row.login == made.login for row in known):
            raise InputError(f"the login {made.login} is taken", remedy="Change it with `tcap account passwd`.")
        if any(row.contributor == made.contributor for row in known):
            raise InputError(f"the contributor {made.contributor} has an account already")
        connection.execute(account.insert(), _row_of(made) | {"secret": secret})


def accounts(store: Store) -> list[Account]:
    """All accounts by login, disabled ones too."""
    with store.read() as connection:
        return [account_of(row) for row in connection.execute(select(account).order_by(account.c.login))]


def read_account(store: Store, login: str) -> Account | None:
    """The account with this login; None: there is none."""
    with store.read() as connection:
        row = connection.execute(select(account).where(account.c.login == login)).first()
    return None if row is None else account_of(row)


def secret_of(store: Store, login: str) -> str | None:
    """The secret of an active account; None: nobody may log in under this name."""
    query = select(account.c.secret).where(account.c.login == login, account.c.active)
    with store.read() as connection:
        return connection.execute(query).scalar()


def change_account(store: Store, changed: Account, secret: str | None = None) -> None:
    """The account is as told, its sessions are over, and its secret is as before where `secret` is None.

    Raises InputError where there is none.
    """
    values: Mapping[str, Any] = _row_of(changed) | ({} if secret is None else {"secret": secret})
    with store.begin() as connection:
        done = connection.execute(account.update().where(account.c.login == changed.login).values(values))
        if done.rowcount != 1:
            raise InputError(f"no account is called {changed.login}", remedy="See `tcap account list`.")
        end_sessions(store, changed.login)


def renew_secret(store: Store, login: str, secret: str) -> None:
    """The same password is kept in a newer form; nothing else changes."""
    with store.begin() as connection:
        connection.execute(account.update().where(account.c.login == login).values(secret=secret))


def account_of(row: Row[Any]) -> Account:
    """The account in a row of its table."""
    return Account(
        login=row.login,
        contributor=row.contributor,
        roles=frozenset(msgspec.json.decode(row.roles, type=list[Role])),
        active=row.active,
        at=row.at,
        by=row.by,
    )


def _row_of(made: Account) -> dict[str, Any]:
    roles = msgspec.json.encode(sorted(made.roles)).decode()
    return msgspec.structs.asdict(made) | {"roles": roles}
