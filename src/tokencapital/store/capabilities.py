"""What the company wants done: capabilities and goals as declared, each declaration kept with its author."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import Table, func, select

from tokencapital.core.case import Capability, Goal, Mode
from tokencapital.core.errors import InputError, UnknownCapability
from tokencapital.store.audit import Act, Done, append_audit
from tokencapital.store.database import Store
from tokencapital.store.schema import capability_event, goal_event


class ModeSince(Struct, frozen=True, kw_only=True):
    """The mode in which a capability stands, who put it there, and when."""

    mode: Mode
    by: str
    at: datetime


def declare_capability(store: Store, declared: Capability, *, by: str, at: datetime) -> None:
    """The capability is as declared from now on. Raises InputError where nobody is named."""
    with store.begin() as connection:
        before = read_capability(store, declared.name)
        _append(store, capability_event, declared.name, declared, by, at)
        what = _what(before, declared)
        body = {"mode": declared.mode.value}
        append_audit(store, connection, Act(what=what, subject=declared.name, at=at, by=by, body=body))


def set_mode(store: Store, name: str, mode: Mode, *, by: str, at: datetime) -> Capability:
    """The capability in its new mode. Raises UnknownCapability, and InputError where nobody is named."""
    with store.begin():
        known = read_capability(store, name)
        if known is None:
            raise UnknownCapability(f"no capability is called {name!r}", remedy="Declare it first.")
        changed = msgspec.structs.replace(known, mode=mode)
        declare_capability(store, changed, by=by, at=at)
    return changed


def declare_goal(store: Store, declared: Goal, *, by: str, at: datetime) -> None:
    """The goal of its capability is as declared from now on. Raises InputError where nobody is named."""
    with store.begin() as connection:
        _append(store, goal_event, declared.capability, declared, by, at)
        append_audit(store, connection, Act(what=Done.GOAL_DECLARED, subject=declared.capability, at=at, by=by))


def read_capability(store: Store, name: str) -> Capability | None:
    """The capability as last declared; None where it never was."""
    body = _latest(store, capability_event, name)
    return None if body is None else msgspec.json.decode(body, type=Capability)


def read_goal(store: Store, capability: str) -> Goal | None:
    """The capability's goal as last declared, expired or not; None where it never was."""
    body = _latest(store, goal_event, capability)
    return None if body is None else msgspec.json.decode(body, type=Goal)


def list_capabilities(store: Store) -> list[Capability]:
    """All capabilities as last declared, by name."""
    found = [msgspec.json.decode(body, type=Capability) for body in _all_latest(store, capability_event)]
    return sorted(found, key=lambda known: known.name)


def list_goals(store: Store) -> list[Goal]:
    """All goals as last declared, by capability."""
    found = [msgspec.json.decode(body, type=Goal) for body in _all_latest(store, goal_event)]
    return sorted(found, key=lambda known: known.capability)


def mode_since(store: Store, name: str) -> ModeSince | None:
    """Since when the capability has stood in its mode, and who put it there; None where it was never declared."""
    query = select(capability_event).where(capability_event.c.capability == name)
    since: ModeSince | None = None
    with store.read() as connection:
        for row in connection.execute(query.order_by(capability_event.c.position)):
            mode = msgspec.json.decode(row.body, type=Capability).mode
            if since is None or since.mode is not mode:
                since = ModeSince(mode=mode, by=row.by, at=row.at)
    return since


def _what(before: Capability | None, declared: Capability) -> Done:
    """Whether more or less becomes of the capability's answers than before it was declared so."""
    modes = list(Mode)
    rise = modes.index(declared.mode) - modes.index(before.mode if before else Mode.OBSERVE)
    if rise == 0:
        return Done.CAPABILITY_DECLARED
    return Done.MODE_RAISED if rise > 0 else Done.MODE_LOWERED


def _append(store: Store, table: Table, name: str, declared: Capability | Goal, by: str, at: datetime) -> None:
    if not by.strip():
        raise InputError("a declaration needs the name of who makes it", where=name)
    body = msgspec.json.encode(declared).decode()
    with store.begin() as connection:
        connection.execute(table.insert(), {"capability": name, "body": body, "by": by, "at": at})


def _all_latest(store: Store, table: Table) -> list[str]:
    """What was declared last of each capability."""
    newest = select(func.max(table.c.position)).group_by(table.c.capability)
    with store.read() as connection:
        return list(connection.execute(select(table.c.body).where(table.c.position.in_(newest))).scalars())


def _latest(store: Store, table: Table, name: str) -> str | None:
    query = select(table.c.body).where(table.c.capability == name).order_by(table.c.position.desc()).limit(1)
    with store.read() as connection:
        body: str | None = connection.execute(query).scalar()
    return body
