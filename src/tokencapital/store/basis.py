"""What judgments rest on: the passages that people named when they judged."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from tokencapital.core.errors import InputError
from tokencapital.store.database import Store, chunks
from tokencapital.store.schema import judgment_basis, passage


def record_basis(store: Store, judgment_id: str, passages: Collection[str]) -> None:
    """The judgment rests on the passages. Raises InputError where one is not there."""
    if not passages:
        return
    with store.begin() as connection:
        known: set[str] = set()
        for some in chunks(passages):
            known.update(connection.execute(select(passage.c.id).where(passage.c.id.in_(some))).scalars())
        missing = sorted(set(passages) - known)
        if missing:
            raise InputError(f"no passage {', '.join(missing)} is stored", remedy="Name passages that the page showed.")
        rows = [{"judgment_id": judgment_id, "passage": one} for one in sorted(known)]
        store.add_new(connection, judgment_basis, rows)


def basis_of(store: Store, judgment_id: str) -> list[str]:
    """The passages that a judgment rests on."""
    query = select(judgment_basis.c.passage).where(judgment_basis.c.judgment_id == judgment_id)
    with store.read() as connection:
        return list(connection.execute(query.order_by(judgment_basis.c.passage)).scalars())
