"""What has been committed stays, even where the machine loses power at once."""

from __future__ import annotations

import os

from tokencapital.store.database import Store

_FILE = "SELECT file FROM pragma_database_list WHERE name = 'main'"


def settle(store: Store) -> None:
    """All that any process has committed to the store so far is on its disk.

    SQLite writes its log at each commit and leaves it to the system when it reaches the disk; PostgreSQL waits for it.
    """
    if store.dialect != "sqlite":
        return
    try:
        log = os.open(f"{store.probe(_FILE)}-wal", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # the log was written back, which syncs
        return
    try:
        os.fdatasync(log)
    finally:
        os.close(log)
