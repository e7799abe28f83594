"""Inputs on which people disagree: opened when the second answer comes, until a named person settles it.

Events name judgments; what people said stays with these.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from tokencapital.core.judgment import DrawKind, Judgment, Verdict
from tokencapital.core.split import keyed_digest
from tokencapital.store.database import Store, chunks
from tokencapital.store.payloads import Payloads, decoded
from tokencapital.store.rows import ends, judgment_of, judgments_with_words, stands
from tokencapital.store.schema import conflict_event, judgment, payload, work_case

_ANSWERS = tuple(one.value for one in Verdict if one.answers)
_NO_REVIEWS = tuple(one.value for one in DrawKind if not one.is_review)
_ID_LENGTH = 20


class ConflictKind(StrEnum):
    """What became of a conflict."""

    OPENED = "opened"
    SETTLED = "settled"


class ConflictEvent(Struct, frozen=True, kw_only=True):
    """A conflict between `judgments` of one input, of which `case` is one. `reason` None: none was given.

    Where it was settled `kept` are the judgments that stand, and `judgments` all that it was about.
    """

    conflict: str
    capability: str
    kind: ConflictKind
    case: str
    judgments: tuple[str, ...]
    at: datetime
    by: str
    kept: tuple[str, ...] = ()
    reason: str | None = None


class _Body(Struct, frozen=True):
    case: str
    judgments: tuple[str, ...]
    kept: tuple[str, ...] = ()


def open_disagreements(
    store: Store, said: Sequence[Judgment], now: datetime, alike: Mapping[str, Collection[str]] | None = None
) -> list[str]:
    """The ids of conflicts that these judgments, stored in the same transaction, open or widen.

    Two that hold at the time `now` disagree where they answer one input differently: one case, or cases of
    one entity group that are alike to the letter. `alike` names, by case, further judgments of the same input.
    """
    answering = [one for one in said if one.verdict.answers and one.drawn.is_review]
    if not answering:
        return []
    with store.begin() as connection:
        by_input = _of_same_input(connection, answering, alike or {}, now)
        opened = []
        for key, (capability, rows) in sorted(by_input.items()):
            answers = {msgspec.json.encode(decoded(row.body), order="deterministic") for row in rows}
            if len(answers) > 1:
                name = conflict_id(store.key, capability, key)
                newest = rows[-1]
                event = ConflictEvent(
                    conflict=name,
                    capability=capability,
                    kind=ConflictKind.OPENED,
                    case=newest.case_id,
                    judgments=tuple(row.id for row in rows),
                    at=now,
                    by=newest.expert,
                )
                if _is_news(connection, event):
                    _append(store, connection, event)
                    opened.append(name)
    return opened


def settle_conflict(store: Store, event: ConflictEvent) -> None:
    """The conflict is settled, on record with its reason."""
    with store.begin() as connection:
        _append(store, connection, event)


def find_conflict(store: Store, conflict: str) -> ConflictEvent | None:
    """What happened to the conflict last; None: there is none with this id."""
    query = _events().where(conflict_event.c.conflict == conflict).order_by(conflict_event.c.position.desc()).limit(1)
    with store.read() as connection:
        row = connection.execute(query).first()
    return _event_of(row) if row else None


def unsettled(store: Store, capability: str, most: int) -> list[ConflictEvent]:
    """Conflicts that nobody has settled, the newest first; their judgments may have lapsed since."""
    newest = (
        select(func.max(conflict_event.c.position))
        .where(conflict_event.c.capability == capability)
        .group_by(conflict_event.c.conflict)
    )
    query = (
        _events()
        .where(conflict_event.c.position.in_(newest), conflict_event.c.kind == ConflictKind.OPENED.value)
        .order_by(conflict_event.c.position.desc())
        .limit(most)
    )
    with store.read() as connection:
        return [_event_of(row) for row in connection.execute(query)]


def newest_settled(store: Store, capability: str, most: int) -> list[ConflictEvent]:
    """How conflicts were settled, the newest first."""
    query = (
        _events()
        .where(conflict_event.c.capability == capability, conflict_event.c.kind == ConflictKind.SETTLED.value)
        .order_by(conflict_event.c.position.desc())
        .limit(most)
    )
    with store.read() as connection:
        return [_event_of(row) for row in connection.execute(query)]


def holding(store: Store, judgments: Iterable[str], now: datetime) -> dict[str, Judgment]:
    """Those of the judgments that hold at the time `now` and whose words were not erased, by id."""
    found = {}
    with store.read() as connection:
        for some in chunks(judgments):
            query = judgments_with_words().add_columns(ends().label("ends_at")).where(judgment.c.id.in_(some), stands())
            for row in connection.execute(query.order_by(judgment.c.sequence)):
                said = msgspec.structs.replace(judgment_of(row), valid_until=row.ends_at)
                if said.answer is not None and said.holds_at(now):
                    found[said.id] = said
    return found


def conflict_id(key: bytes, capability: str, input_key: str) -> str:
    """The id of the conflict on an input of a capability."""
    return f"cfl_{keyed_digest(key, f'conflict {capability} {input_key}'.encode())[:_ID_LENGTH]}"


def _of_same_input(
    connection: Connection, said: Sequence[Judgment], alike: Mapping[str, Collection[str]], now: datetime
) -> dict[str, tuple[str, list[Row[Any]]]]:
    """By input key the capability and the judgments that hold, oldest first."""
    cases = {one.case for one in said}
    rows: dict[str, Row[Any]] = {}
    for some in chunks(_same_cases(connection, cases)):
        rows.update((row.id, row) for row in connection.execute(_answers(judgment.c.case_id.in_(some))))
    for some in chunks(name for case in cases for name in alike.get(case, ())):
        rows.update((row.id, row) for row in connection.execute(_answers(judgment.c.id.in_(some))))
    found: dict[str, tuple[str, list[Row[Any]]]] = {}
    by_key: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in sorted(rows.values(), key=lambda row: row.sequence):
        if row.valid_from <= now and (row.ends_at is None or now < row.ends_at):
            by_key[row.input_key].append(row)
    for key, held in by_key.items():
        found[key] = (held[0].capability, held)
    return found


def _same_cases(connection: Connection, cases: Collection[str]) -> set[str]:
    """The cases, and those of their entity groups with the same input."""
    found: set[str] = set()
    for some in chunks(cases):
        own = select(work_case.c.entity_group, work_case.c.input_key).where(work_case.c.id.in_(some))
        places = {(row.entity_group, row.input_key) for row in connection.execute(own)}
        groups, keys = sorted({group for group, _ in places}), sorted({key for _, key in places})
        same = select(work_case.c.id).where(work_case.c.entity_group.in_(groups), work_case.c.input_key.in_(keys))
        found.update(connection.execute(same).scalars())
    return found


def _answers(which: ColumnElement[bool]) -> Select[Any]:
    return (
        select(
            judgment.c.id,
            judgment.c.sequence,
            judgment.c.case_id,
            judgment.c.capability,
            judgment.c.expert,
            judgment.c.valid_from,
            ends().label("ends_at"),
            work_case.c.input_key,
            payload.c.body,
        )
        .join_from(judgment, work_case, judgment.c.case_id == work_case.c.id)
        .join(payload, judgment.c.payload == payload.c.digest)
        .where(which, judgment.c.verdict.in_(_ANSWERS), judgment.c.drawn.not_in(_NO_REVIEWS))
        .where(stands(), payload.c.body.is_not(None))
    )


def _is_news(connection: Connection, event: ConflictEvent) -> bool:
    """Whether the conflict is new, was settled, or was between other judgments."""
    query = _events().where(conflict_event.c.conflict == event.conflict).order_by(conflict_event.c.position.desc())
    row = connection.execute(query.limit(1)).first()
    if row is None:
        return True
    known = _event_of(row)
    return known.kind is ConflictKind.SETTLED or set(known.judgments) != set(event.judgments)


def _events() -> Select[Any]:
    return select(conflict_event, payload.c.body.label("reason_body")).outerjoin_from(
        conflict_event, payload, conflict_event.c.reason_payload == payload.c.digest
    )


def _append(store: Store, connection: Connection, event: ConflictEvent) -> None:
    payloads = Payloads(store.key)
    row = {
        "conflict": event.conflict,
        "capability": event.capability,
        "kind": event.kind.value,
        "body": msgspec.json.encode(_Body(event.case, event.judgments, event.kept)).decode(),
        "reason_payload": None if event.reason is None else payloads.add(event.conflict, event.reason),
        "at": event.at,
        "by": event.by,
    }
    payloads.write(store, connection)
    connection.execute(conflict_event.insert(), row)


def _event_of(row: Row[Any]) -> ConflictEvent:
    body = msgspec.json.decode(row.body, type=_Body)
    return ConflictEvent(
        conflict=row.conflict,
        capability=row.capability,
        kind=ConflictKind(row.kind),
        case=body.case,
        judgments=body.judgments,
        at=row.at,
        by=row.by,
        kept=body.kept,
        reason=None if row.reason_body is None else decoded(row.reason_body),
    )
