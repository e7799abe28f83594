"""Run by alembic inside the transaction that `Store.open` hands in."""

from __future__ import annotations

from alembic import context

from tokencapital.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
