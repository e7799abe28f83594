"""Checks of where things are kept: the store, the spool in front of it, and the disk under both."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select

from tokencapital.account.statements import check_balanced
from tokencapital.app.checkup_findings import FAIL, OK, WARN, Finding
from tokencapital.app.draining import spool_state
from tokencapital.app.health import Ready, drain_standing, spool_standing
from tokencapital.app.recording import spool_folder
from tokencapital.app.settings import Settings
from tokencapital.core.clock import SystemClock
from tokencapital.core.errors import TokenCapitalError
from tokencapital.record.spool import WhenFull
from tokencapital.record.spool_folder import depth
from tokencapital.store.capabilities import list_capabilities, mode_since
from tokencapital.store.database import Store, dialect_of
from tokencapital.store.schema import SCHEMA_VERSION, trajectory

_STATES = {Ready.READY: OK, Ready.DEGRADED: WARN, Ready.NOT_READY: FAIL}
_LITTLE_BYTES, _LITTLE_SHARE = 2 << 30, 0.05
_GIB = 1 << 30


def check_store(settings: Settings) -> Iterator[Finding]:
    """The store can be opened and written, has the schema of this version, and its books balance."""
    store = Store.open(settings.store)
    try:
        names = [one.name for one in list_capabilities(store)]
        with store.begin():
            pass
        where = f"schema {SCHEMA_VERSION}, {len(names)} capabilities, can be written"
        yield Finding(what="store", state=OK, detail=where)
        if not check_balanced(store):
            yield Finding(what="books", state=FAIL, detail="they do not balance", remedy="See `tcap verify`.")
        else:
            yield Finding(what="books", state=OK, detail="they balance")
        yield from _modes(store, settings)
        if store.dialect == "sqlite":
            yield from _log_of_sqlite(store)
    finally:
        store.close()


def _modes(store: Store, settings: Settings) -> Iterator[Finding]:
    """Each capability that stands in another mode than the settings say: they hold for a new one alone."""
    for name, declared in settings.capabilities.items():
        stands = mode_since(store, name)
        if stands is None or stands.mode is declared.mode:
            continue
        detail = (
            f"{name} stands in `{stands.mode}` since {stands.at:%Y-%m-%d %H:%M} UTC by {stands.by};"
            f" the settings say `{declared.mode}`, which holds for a new capability alone"
        )
        remedy = f"Write `{stands.mode}` there, or change it: `tcap mode {name} {declared.mode} --by YOU`."
        yield Finding(what=f"mode of {name}", state=WARN, detail=detail, remedy=remedy)


def check_spool(settings: Settings) -> Iterator[Finding]:
    """What was acknowledged and waits is little, is drained, and was never lost."""
    waits, state = depth(spool_folder(settings)), spool_state(settings)
    refuses = settings.spool.when_full is WhenFull.REFUSE
    ready, why = spool_standing(waits, settings.spool.max_bytes, refuses=refuses)
    detail = why or f"{waits.frames} frames wait, {waits.bytes / settings.spool.max_bytes:.1%} full"
    yield Finding(what="spool", state=_STATES[ready], detail=detail, remedy="Bring the store back." if why else None)
    drained, why = drain_standing(waits, state.drain, SystemClock().now())
    if drained is Ready.NOT_READY:
        yield Finding(
            what="drain", state=WARN, detail=why or "", remedy="Start `tcap serve`, or carry it over with `tcap drain`."
        )
    else:
        yield Finding(what="drain", state=_STATES[drained], detail=why or "nothing waits too long")
    dead = sum(state.dead.values())
    if dead:
        reasons = "; ".join(f"{number} x {reason}" for reason, number in state.dead.items())
        yield Finding(what="dead letters", state=WARN, detail=reasons, remedy="See `tcap drain --help`.")
    if state.drain is not None and state.drain.damaged_bytes:
        detail = f"{state.drain.damaged_bytes} bytes came back from the disk other than they were written"
        yield Finding(what="damage", state=WARN, detail=detail, remedy="Check the disk.")
    if state.drain is not None and state.drain.torn_bytes:
        detail = f"{state.drain.torn_bytes} bytes that were never acknowledged, of processes that were killed"
        yield Finding(what="torn tails", state=OK, detail=detail)


def check_disk(settings: Settings) -> Iterator[Finding]:
    """There is room where the spool and the store grow."""
    places = {"spool": spool_folder(settings)}
    if dialect_of(settings.store) == "sqlite" and "://" not in settings.store:
        places["store"] = Path(settings.store).expanduser().absolute()
    for name, place in places.items():
        there = next(one for one in (place, *place.parents) if one.exists())
        usage = shutil.disk_usage(there)
        little = usage.free < _LITTLE_BYTES or usage.free < _LITTLE_SHARE * usage.total
        detail = f"{usage.free / _GIB:.1f} of {usage.total / _GIB:.1f} GiB free"
        remedy = "Free some space, or move it: when the disk is full nothing more is kept." if little else None
        yield Finding(what=f"disk of the {name}", state=WARN if little else OK, detail=detail, remedy=remedy)


def newest_fact(settings: Settings) -> datetime | None:
    """When the newest trajectory was; None: there is none, or the store cannot be read."""
    try:
        store = Store.open(settings.store)
    except TokenCapitalError:
        return None
    try:
        with store.read() as connection:
            newest: datetime | None = connection.execute(select(func.max(trajectory.c.at))).scalar()
        return newest
    finally:
        store.close()


def _log_of_sqlite(store: Store) -> Iterator[Finding]:
    mode = store.probe("PRAGMA journal_mode")
    if mode != "wal":
        yield Finding(
            what="write-ahead log",
            state=WARN,
            detail=f"SQLite's journal is `{mode}`: readers wait for whoever writes",
            remedy="Keep the store on a local disk; network file systems cannot have a write-ahead log.",
        )
    else:
        yield Finding(what="write-ahead log", state=OK, detail="readers do not wait for whoever writes")
