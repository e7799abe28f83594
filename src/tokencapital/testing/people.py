"""A company that has told its people, for tests of what judgments teach."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime

from tokencapital.app.accounts import AccountAsked, make_account
from tokencapital.app.platform import Platform
from tokencapital.core.people import ANYBODY, EVERYONE, Notice, NoticeKind, Role
from tokencapital.store.database import Store
from tokencapital.store.judgments import record_notice

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def tell_everyone(store: Store, group: str = EVERYONE, kind: NoticeKind = NoticeKind.NOTICE) -> None:
    """The group has had notice, or agreed, since before anything was judged."""
    record_notice(
        store,
        Notice(
            id=f"ntc_{group}_{kind}",
            group=group,
            kind=kind,
            text="What you say of answers teaches the machine.",
            terms="none",
            given_on=_LONG_AGO,
            at=_LONG_AGO,
            by="works council",
        ),
    )


def log_in(platform: Platform, pseudonym: str, roles: frozenset[Role] = ANYBODY) -> str:
    """The token of a session of this person, who has an account with these roles; the house is closed from then on."""
    password = secrets.token_urlsafe(16)
    asked = AccountAsked(login="tester", password=password, roles=roles, by="tester", contributor=pseudonym)
    make_account(platform, asked)
    return asyncio.run(platform.access.log_in(asked.login, password))
