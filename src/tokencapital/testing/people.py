"""A company that has told its people, for tests of what judgments teach."""

from __future__ import annotations

from datetime import UTC, datetime

from tokencapital.core.people import EVERYONE, Notice, NoticeKind
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
