"""What people said, in the order in which memory takes it.

Every judgment, withdrawal and expiry takes the next number of one counter inside the transaction that
stores it. The counter's row is locked until that transaction ends, so that whoever has read up to a
number has read all below it. Memory hears only of entity groups that are in `train`, and only of people
who had notice of what their judgments teach; anything else that is said is numbered too, and told under
a new number once the entity group leaves `sealed` and the people have had notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import BindParameter, ColumnElement, Connection, Row, bindparam, exists, select, true

from tokencapital.core.errors import InputError
from tokencapital.core.judgment import DrawKind, JudgedCase, Judgment, Verdict
from tokencapital.core.people import Notice
from tokencapital.core.split import Split
from tokencapital.store.database import Store, chunks, next_numbers
from tokencapital.store.manifest import Departure, groups_of_cases, mark_departure, splits_of
from tokencapital.store.notices import may_teach, write_notice
from tokencapital.store.payloads import Payloads
from tokencapital.store.playbook import judgments_changed
from tokencapital.store.queue import bring_up_to_date
from tokencapital.store.rows import ends, judged_of, judgment_of, judgments_with_words, stands
from tokencapital.store.schema import judgment, memory_event, work_case

_NEVER = 2**62
ERASED, TAKEN_BACK_BEFORE = "erased", "taken back at its origin"
WORDS = "payload "
"""Before the digest of a reason that somebody wrote."""
_SOME: BindParameter[str] = bindparam("some", expanding=True)
_THERE = select(judgment.c.id).where(judgment.c.id.in_(_SOME))
_EVENTS = (
    judgments_with_words()
    .add_columns(
        memory_event.c.sequence.label("event_sequence"),
        memory_event.c.kind.label("event_kind"),
        memory_event.c.valid_until.label("event_valid_until"),
    )
    .join(memory_event, memory_event.c.judgment_id == judgment.c.id)
    .where(memory_event.c.capability == bindparam("of"), memory_event.c.learnable)
    .where(memory_event.c.sequence > bindparam("after"), memory_event.c.sequence <= bindparam("until"))
    .order_by(memory_event.c.sequence)
)


class MemoryEventKind(StrEnum):
    """What happened to a judgment."""

    JUDGED = "judged"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class MemoryEvent(Struct, frozen=True, kw_only=True):
    """One change of what may be recalled. `judged` is None unless the kind is `judged`.

    `valid_until` is the end of the judgment's validity as decided by this event (None: open).
    """

    sequence: int
    kind: MemoryEventKind
    judgment_id: str
    judged: JudgedCase | None = None
    valid_until: datetime | None = None


class Change(Struct, frozen=True):
    """Who changed what a judgment is worth, when and why."""

    by: str
    at: datetime
    reason: str | None = None


def append_judgments(store: Store, judgments: Sequence[Judgment]) -> list[Judgment]:
    """The judgments with their place in the memory; one whose id is there already keeps what it had.

    A volunteered judgment of a sealed group first takes the group out of `sealed` for good. Raises
    InputError where a judgment is of a case that is not stored.
    """
    if not judgments:
        return []
    with store.begin() as connection:
        hold_memory(connection)
        known = _known(connection, [said.id for said in judgments])
        fresh = list({said.id: said for said in judgments if said.id not in known}.values())
        if fresh:
            groups = groups_of_cases(connection, [said.case for said in fresh])
            _refuse_unknown_cases(fresh, groups)
            _open_volunteered(store, connection, fresh, groups)
            known.update(_append(store, connection, fresh, groups))
    return [known[said.id] for said in judgments]


def withdraw(store: Store, judgment_id: str, *, by: str, at: datetime, reason: str | None = None) -> None:
    """The judgment neither answers nor teaches any more. Raises InputError where there is none.

    The reason is what somebody wrote, and kept as a payload of the case.
    """
    with store.begin() as connection:
        kept = None if reason is None else _keep_reason(store, connection, judgment_id, reason)
        _change(store, [judgment_id], MemoryEventKind.WITHDRAWN, None, Change(by, at, kept))


def withdraw_all(store: Store, judgment_ids: Sequence[str], change: Change) -> None:
    """The judgments neither answer nor teach any more. The reason is one of a few fixed words."""
    if judgment_ids:
        _change(store, judgment_ids, MemoryEventKind.WITHDRAWN, None, change)


def expire(store: Store, judgment_ids: Iterable[str], valid_until: datetime, *, by: str, at: datetime) -> None:
    """The judgments hold until `valid_until` and no longer. Raises InputError where one is not there."""
    _change(store, list(judgment_ids), MemoryEventKind.EXPIRED, valid_until, Change(by, at))


def memory_events(store: Store, capability: str, after: int, until: int | None = None) -> list[MemoryEvent]:
    """What memory has to learn after the sequence `after`, up to `until` (None: all), in order.

    Judgments of sealed groups are not among them, nor those whose words were erased.
    """
    wanted = {"of": capability, "after": after, "until": _NEVER if until is None else until}
    with store.read() as connection:
        events = [_event_of(row) for row in connection.execute(_EVENTS, wanted)]
    return [event for event in events if event is not None]


def latest_sequence(store: Store) -> int:
    """The newest number that memory has given out, over all capabilities; 0: none yet. Fit for every request."""
    return int(store.probe("SELECT value FROM counter WHERE name = 'memory'"))


def read_judgments(store: Store, case_id: str) -> list[Judgment]:
    """All that people said of a case in a `train` group, oldest first, withdrawn ones left out."""
    query = judgments_with_words().where(judgment.c.case_id == case_id, stands()).order_by(judgment.c.sequence)
    with store.read() as connection:
        rows = list(connection.execute(query))
        splits = splits_of(connection, {row.entity_group for row in rows})
    return [judgment_of(row) for row in rows if splits[row.entity_group] is Split.TRAIN]


def find_judgments(store: Store, ids: Iterable[str]) -> dict[str, Judgment]:
    """The judgments with these ids, withdrawn ones included; those that nobody gave are left out."""
    with store.read() as connection:
        return _known(connection, ids)


def leave_sealed(store: Store, connection: Connection, groups: Iterable[str], why: Departure) -> None:
    """The groups are in `train` for good, and memory hears now what was judged of them before."""
    leaving = sorted(group for group, split in splits_of(connection, groups).items() if split is Split.SEALED)
    mark_departure(store, connection, leaving, why)
    for some in chunks(leaving):
        _tell_untold(store, connection, work_case.c.entity_group.in_(some), Change(why.by, why.at, why.reason))


def record_notice(store: Store, given: Notice) -> int:
    """The notice is on record; returns how many judgments that were kept until now may teach from now on.

    A notice whose id is there already changes nothing.
    """
    with store.begin() as connection:
        hold_memory(connection)
        if not write_notice(store, connection, given):
            return 0
        return _tell_untold(store, connection, true(), Change(given.by, given.at, f"notice {given.id}"))


def hear_noticed(store: Store, change: Change) -> int:
    """Memory hears of every judgment that may teach by now, as after people joined a group that had notice."""
    with store.begin() as connection:
        hold_memory(connection)
        return _tell_untold(store, connection, true(), change)


def hold_memory(connection: Connection) -> None:
    """Nobody else can judge, or move a group, until this transaction ends."""
    next_numbers(connection, "memory", 0)


def _tell_untold(store: Store, connection: Connection, which: ColumnElement[bool], change: Change) -> int:
    """How many standing judgments memory hears of now: those of `train` that may teach and never did."""
    told = exists().where(
        memory_event.c.judgment_id == judgment.c.id,
        memory_event.c.kind == MemoryEventKind.JUDGED.value,
        memory_event.c.learnable,
    )
    query = (
        select(judgment, work_case.c.entity_group, ends().label("ends_at"))
        .join_from(judgment, work_case, judgment.c.case_id == work_case.c.id)
        .where(which, stands(), ~told.correlate(judgment), _can_teach())
        .order_by(judgment.c.sequence)
    )
    rows = list(connection.execute(query))
    splits = splits_of(connection, {row.entity_group for row in rows})
    taught = may_teach(connection, rows)
    telling = [row for row in rows if splits[row.entity_group] is Split.TRAIN and row.id in taught]
    first = next_numbers(connection, "memory", len(telling))
    events = [
        _event_row(first + place, MemoryEventKind.JUDGED, row, learnable=True, change=change)
        | {"valid_until": row.ends_at}
        for place, row in enumerate(telling)
    ]
    store.add_new(connection, memory_event, events)
    return len(events)


def _can_teach() -> ColumnElement[bool]:
    """`Judgment.can_teach` of a row."""
    sent_as_drafted = (judgment.c.drawn == DrawKind.IN_WORK.value) & (judgment.c.verdict != Verdict.CORRECTED.value)
    return (judgment.c.drawn != DrawKind.REPEAT.value) & ~sent_as_drafted


def _known(connection: Connection, ids: Iterable[str]) -> dict[str, Judgment]:
    found: dict[str, Judgment] = {}
    for some in chunks(ids):
        there = list(connection.execute(_THERE, {"some": some}).scalars())
        if there:
            rows = connection.execute(judgments_with_words().where(judgment.c.id.in_(there)))
            found.update((row.id, judgment_of(row)) for row in rows)
    return found


def _refuse_unknown_cases(judgments: Iterable[Judgment], groups: dict[str, str]) -> None:
    for said in judgments:
        if said.case not in groups:
            raise InputError(
                f"no case {said.case} is stored", where=f"judgment {said.id}", remedy="Record the case first."
            )


def _open_volunteered(
    store: Store, connection: Connection, judgments: Iterable[Judgment], groups: dict[str, str]
) -> None:
    for said in judgments:
        if said.drawn is DrawKind.VOLUNTEERED:
            why = Departure(said.at, said.expert, "volunteered judgment")
            leave_sealed(store, connection, [groups[said.case]], why)


def _append(
    store: Store, connection: Connection, judgments: Sequence[Judgment], groups: dict[str, str]
) -> dict[str, Judgment]:
    first = next_numbers(connection, "memory", len(judgments))
    numbered = [msgspec.structs.replace(said, sequence=first + place) for place, said in enumerate(judgments)]
    payloads = Payloads(store.key)
    rows = [_judgment_row(said, payloads) for said in numbered]
    payloads.write(store, connection)
    store.add_new(connection, judgment, rows)
    splits = splits_of(connection, groups.values())
    taught = may_teach(connection, numbered)
    events = [
        _event_row(
            said.sequence,
            MemoryEventKind.JUDGED,
            said,
            learnable=splits[groups[said.case]] is Split.TRAIN and said.id in taught and said.can_teach,
            change=Change(said.expert, said.at),
        )
        for said in numbered
    ]
    store.add_new(connection, memory_event, events)
    bring_up_to_date(store, connection, groups)
    return {said.id: said for said in numbered}


def _change(
    store: Store, judgment_ids: Sequence[str], kind: MemoryEventKind, valid_until: datetime | None, change: Change
) -> None:
    with store.begin() as connection:
        hold_memory(connection)
        known = _known(connection, judgment_ids)
        for missing in set(judgment_ids) - set(known):
            raise InputError(f"no judgment {missing} is stored")
        groups = groups_of_cases(connection, [said.case for said in known.values()])
        splits = splits_of(connection, groups.values())
        first = next_numbers(connection, "memory", len(known))
        events = []
        for place, judgment_id in enumerate(sorted(known)):
            said = msgspec.structs.replace(known[judgment_id], valid_until=valid_until)
            learnable = splits[groups[said.case]] is Split.TRAIN
            events.append(_event_row(first + place, kind, said, learnable=learnable, change=change))
        store.add_new(connection, memory_event, events)
        judgments_changed(store, connection, sorted(known), by=change.by, at=change.at)
        if kind is MemoryEventKind.WITHDRAWN:
            bring_up_to_date(store, connection, groups)


def _keep_reason(store: Store, connection: Connection, judgment_id: str, words: str) -> str:
    """What a memory event names instead of the words."""
    query = select(judgment.c.case_id).where(judgment.c.id == judgment_id)
    payloads = Payloads(store.key)
    digest = payloads.add(connection.execute(query).scalar() or judgment_id, words)
    payloads.write(store, connection)
    return f"{WORDS}{digest}"


def _judgment_row(said: Judgment, payloads: Payloads) -> dict[str, Any]:
    return {
        "sequence": said.sequence,
        "id": said.id,
        "case_id": said.case,
        "capability": said.capability,
        "expert": said.expert,
        "at": said.at,
        "verdict": said.verdict.value,
        "payload": payloads.add(said.case, said.answer),
        "drawn": said.drawn.value,
        "probability": said.probability,
        "valid_from": said.valid_from,
        "valid_until": said.valid_until,
        "reason_payload": None if said.reason is None else payloads.add(said.case, said.reason),
        "minutes": said.minutes,
        "blind": said.blind,
    }


def _event_row(
    sequence: int, kind: MemoryEventKind, of: Judgment | Row[Any], *, learnable: bool, change: Change
) -> dict[str, Any]:
    return {
        "sequence": sequence,
        "kind": kind.value,
        "judgment_id": of.id,
        "capability": of.capability,
        "learnable": learnable,
        "valid_until": of.valid_until,
        "at": change.at,
        "by": change.by,
        "reason": change.reason,
    }


def _event_of(row: Row[Any]) -> MemoryEvent | None:
    kind = MemoryEventKind(row.event_kind)
    judged = None
    if kind is MemoryEventKind.JUDGED:
        judged = judged_of(row)
        if judged is None:
            return None
        said = msgspec.structs.replace(judged.judgment, sequence=row.event_sequence, valid_until=row.event_valid_until)
        judged = JudgedCase(judged.case, said)
    return MemoryEvent(
        sequence=row.event_sequence,
        kind=kind,
        judgment_id=row.id,
        judged=judged,
        valid_until=row.event_valid_until,
    )
