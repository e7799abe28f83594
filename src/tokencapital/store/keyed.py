"""Cases by the business key that the company knows them by."""

from __future__ import annotations

from sqlalchemy import select

from tokencapital.store.database import Store
from tokencapital.store.schema import work_case


def newest_with_key(store: Store, capability: str, key: str) -> str | None:
    """The id of the newest case of the capability with this business key; None: there is none."""
    query = (
        select(work_case.c.id)
        .where(work_case.c.capability == capability, work_case.c.business_key == key)
        .order_by(work_case.c.position.desc())
        .limit(1)
    )
    with store.read() as connection:
        found: str | None = connection.execute(query).scalar()
    return found
