"""The drain as a process of its own: beside a server, or alone for what a server left behind."""

from __future__ import annotations

import os
import threading
from datetime import datetime

from msgspec import Struct

from tokencapital.app.recording import GRACE_S, drain_all, make_drain, spool_folder
from tokencapital.app.settings import Settings
from tokencapital.core.clock import SystemClock
from tokencapital.core.errors import StoreUnavailable
from tokencapital.record.drain import DrainReport, read_report, write_report
from tokencapital.record.spool import Spool
from tokencapital.record.spool_dead import dead_letters, exhumed
from tokencapital.record.spool_folder import depth
from tokencapital.store.database import Store

_NICE, _RETRY_S = 19, 1.0


class SpoolState(Struct, frozen=True, kw_only=True):
    """How a house's spool stands: what waits (`oldest` None: nothing), and what its drain says of itself."""

    folder: str
    frames: int
    bytes: int
    oldest: datetime | None
    dead: dict[str, int]
    drain: DrainReport | None


def spool_state(settings: Settings) -> SpoolState:
    """How the spool stands now; dead letters by their reason."""
    root = spool_folder(settings)
    waits, reasons = depth(root), [one.reason for one in dead_letters(root)]
    return SpoolState(
        folder=str(root),
        frames=waits.frames,
        bytes=waits.bytes,
        oldest=waits.oldest,
        dead={reason: reasons.count(reason) for reason in dict.fromkeys(reasons)},
        drain=read_report(root),
    )


def drain_once(settings: Settings) -> None:
    """All that waits, but what a server writes meanwhile, is in the store or set aside. Raises StoreUnavailable."""
    store = Store.open(settings.store)
    try:
        drain_all(store, settings, SystemClock())
    finally:
        store.close()


def drain_until(settings: Settings, stop: threading.Event) -> None:
    """Drains until it is told to stop, however often the store is away, and then what is left for a while."""
    os.nice(_NICE)
    store = _opened(settings, stop)
    if store is None:
        return
    try:
        make_drain(store, settings, SystemClock()).run(stop, GRACE_S)
    finally:
        store.close()


def put_back(settings: Settings, by: str) -> int:
    """The dead letters wait once more, for a version that can store them; returns how many."""
    root = spool_folder(settings)
    if not root.is_dir():
        return 0
    with exhumed(root) as letters:
        if letters:
            with Spool(root, by, settings.spool) as spool:
                for letter in letters:
                    spool.put_back(letter)
        return len(letters)


def _opened(settings: Settings, stop: threading.Event) -> Store | None:
    """The store, once it can be opened; None where it could not before the drain was told to stop."""
    clock, root = SystemClock(), spool_folder(settings)
    while not stop.is_set():
        try:
            return Store.open(settings.store)
        except StoreUnavailable as error:
            if root.is_dir():
                write_report(root, DrainReport(pid=os.getpid(), at=clock.now(), away=error.without_words))
            stop.wait(_RETRY_S)
    return None
