"""Whether a store is what it claims to be: each check gives one sentence for everything that is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Column, Connection, Select, Table, func, inspect, select

from tokencapital.core.policy import Policy
from tokencapital.core.split import assign_split, keyed_digest
from tokencapital.store.audit import COUNTER, Head, broken_links, head_of, links
from tokencapital.store.database import Store
from tokencapital.store.judgments import WORDS
from tokencapital.store.queue import recount
from tokencapital.store.rebuilds import waiting_rebuilds
from tokencapital.store.schema import (
    CHANGEABLE,
    artifact,
    artifact_lineage,
    conflict_event,
    counter,
    draw,
    group_manifest,
    judgment,
    lesson_event,
    memory_event,
    metadata,
    open_draw,
    passage,
    payload,
    policy,
    release,
    span,
    step,
    trajectory,
    work_case,
)

_AT_ONCE = 2_000
_MOST_ERASURES = 1_000


class Owned(Struct, frozen=True):
    """Facts of a table that name payloads in a column, each payload belonging to what `owner` names."""

    table: Table
    owner: Column[Any]
    column: Column[Any]


OWNED = (
    Owned(work_case, work_case.c.id, work_case.c.payload),
    Owned(trajectory, trajectory.c.case_id, trajectory.c.payload),
    Owned(step, step.c.case_id, step.c.payload),
    Owned(span, span.c.trace, span.c.payload),
    Owned(judgment, judgment.c.case_id, judgment.c.payload),
    Owned(judgment, judgment.c.case_id, judgment.c.reason_payload),
    Owned(lesson_event, lesson_event.c.lesson, lesson_event.c.text_payload),
    Owned(passage, passage.c.document, passage.c.payload),
    Owned(conflict_event, conflict_event.c.conflict, conflict_event.c.reason_payload),
)


def check_chain(store: Store, kept: Head | None) -> tuple[list[str], Head]:
    """The chain of acts, against its counter and a head that was kept elsewhere (None: none was), and its head."""
    chain = links(store)
    found, head = broken_links(chain), head_of(chain)
    counted = _counted(store, COUNTER)
    if counted != head.count:
        found.append(f"audit: the counter says {counted} acts and the chain ends at {head.count}")
    if kept is not None:
        by_number = {link.number: link.digest.hex() for link in chain} | {0: head_of([]).digest}
        if kept.count not in by_number:
            found.append(f"audit: the head that was kept is act {kept.count}, and the chain has none of that number")
        elif by_number[kept.count] != kept.digest:
            found.append(f"audit: act {kept.count} is not the one whose digest was kept")
    return found, head


def check_payloads(store: Store) -> Iterator[str]:
    """Every payload that a fact names is there, under the keyed digest of what it says, or empty with a date."""
    known: set[str] = set()
    for owned in OWNED:
        yield from _check_owned(store, owned, known)
    yield from _check_retractions(store, known)
    query = select(payload.c.digest, payload.c.erased_at, payload.c.body.is_(None).label("empty"))
    with store.read() as connection:
        for row in connection.execute(query).yield_per(_AT_ONCE):
            if row.digest not in known:
                yield f"payload {row.digest}: no fact names it"
            if row.empty != (row.erased_at is not None):
                yield f"payload {row.digest}: it is empty without a date, or has one without being empty"


def check_memory(store: Store) -> Iterator[str]:
    """Memory's numbers run from 1 to its counter without a gap, and every judgment has its own."""
    with store.read() as connection:
        numbers = list(connection.execute(select(memory_event.c.sequence).order_by(memory_event.c.sequence)).scalars())
        lost = (
            select(judgment.c.id)
            .outerjoin(
                memory_event,
                (memory_event.c.sequence == judgment.c.sequence) & (memory_event.c.judgment_id == judgment.c.id),
            )
            .where(memory_event.c.sequence.is_(None))
        )
        for name in connection.execute(lost).scalars():
            yield f"memory: judgment {name} has no event under its own number"
    expected = 1
    for number in numbers:
        if number != expected:
            yield f"memory: number {expected} is missing before {number}"
        expected = number + 1
    counted = _counted(store, "memory")
    if counted != expected - 1:
        yield f"memory: the counter says {counted} and the last number is {expected - 1}"


def check_queue(store: Store) -> Iterator[str]:
    """The queue holds exactly the draws that wait by the facts."""
    with store.read() as connection:
        held = {row.draw: row.capability for row in connection.execute(select(open_draw))}
        names = list(connection.execute(select(draw.c.capability).distinct().order_by(draw.c.capability)).scalars())
    for name in names:
        wanted = {one.id for one in recount(store, name)}
        there = {one for one, capability in held.items() if capability == name}
        if wanted != there:
            yield (
                f"queue: of `{name}` {len(wanted - there)} draws that wait are missing, and {len(there - wanted)} "
                "are there that do not"
            )


def check_artifacts(store: Store) -> Iterator[str]:
    """Every artifact has the content that its digest names, or none and a date; lineage names numbers that exist."""
    with store.read() as connection:
        for row in connection.execute(select(artifact)):
            erased = row.erased_at is not None
            if erased and row.body:
                yield f"artifact {row.digest}: it was erased and still has content"
            elif not erased and hashlib.sha256(row.body).hexdigest() != row.digest:
                yield f"artifact {row.digest}: its content is not what its digest names"
        missing = (
            select(artifact_lineage.c.digest, func.count().label("missing"))
            .outerjoin(memory_event, artifact_lineage.c.sequence == memory_event.c.sequence)
            .where(memory_event.c.sequence.is_(None))
            .group_by(artifact_lineage.c.digest)
        )
        for row in connection.execute(missing):
            yield f"artifact {row.digest}: {row.missing} judgments of its lineage are not in the memory"


def check_policies(store: Store) -> Iterator[str]:
    """Every policy says what its hash names, and every release has its policy, and the policy its artifact."""
    with store.read() as connection:
        made = set(connection.execute(select(artifact.c.digest)).scalars())
        hashes = set()
        for row in connection.execute(select(policy)):
            hashes.add(row.hash)
            frozen = msgspec.json.decode(row.body, type=Policy)
            if frozen.hash != row.hash:
                yield f"policy {row.hash}: it says something else than its hash names"
        promoted = select(release.c.id, release.c.policy, policy.c.body).outerjoin(
            policy, release.c.policy == policy.c.hash
        )
        for row in connection.execute(promoted.where(release.c.decision == "promoted")):
            if row.policy not in hashes:
                yield f"release {row.id}: its policy is not stored"
            else:
                specialist = msgspec.json.decode(row.body, type=Policy).specialist
                if specialist is not None and specialist not in made:
                    yield f"release {row.id}: the artifact of its specialist is not stored"


def check_splits(store: Store) -> Iterator[str]:
    """Every group that was assigned by hash is where the hash puts it."""
    query = select(group_manifest.c.entity_group, group_manifest.c.split)
    with store.read() as connection:
        assigned = query.where(group_manifest.c.ordinal == 0, group_manifest.c.by == "hash")
        moved = [
            row.entity_group
            for row in connection.execute(assigned).yield_per(_AT_ONCE)
            if assign_split(row.entity_group, store.key).value != row.split
        ]
    for group in moved:
        yield f"group {group}: its split is not the one that the store's key gives it"


def check_guards(store: Store) -> Iterator[str]:
    """The database itself refuses to change facts."""
    with store.read() as connection:
        there = _triggers(connection)
        tables = {name for name in inspect(connection).get_table_names() if name in metadata.tables}
    for table in sorted(tables - CHANGEABLE):
        missing = [verb for verb in ("update", "delete") if f"{table}_{verb}" not in there]
        if missing:
            yield f"table {table}: nothing in the database refuses to {' or to '.join(missing)} its rows"


def check_rebuilds(store: Store, due_before: datetime) -> Iterator[str]:
    """No artifact that rests on erased judgments has waited since before `due_before`."""
    for one in waiting_rebuilds(store):
        if one.at < due_before:
            yield (
                f"artifact {one.artifact}: it rests on judgments erased on {one.at:%Y-%m-%d} and was not made anew; "
                f"run `tcap improve {one.capability}`, or `tcap erase` with `--rebuild`"
            )


def count_rows(store: Store) -> dict[str, int]:
    """How many rows each table has, by name."""
    with store.read() as connection:
        return {
            name: int(connection.execute(select(func.count()).select_from(table)).scalar_one())
            for name, table in sorted(metadata.tables.items())
        }


def _check_owned(store: Store, owned: Owned, known: set[str]) -> Iterator[str]:
    query = (
        select(owned.owner.label("owner"), owned.column.label("named"), payload.c.digest, payload.c.body)
        .select_from(owned.table)
        .outerjoin(payload, owned.column == payload.c.digest)
        .where(owned.column.is_not(None))
    )
    with store.read() as connection:
        for row in connection.execute(query).yield_per(_AT_ONCE):
            known.add(row.named)
            if row.digest is None:
                yield f"{owned.table.name} of {row.owner}: its payload {row.named} is missing"
            elif row.body is not None and not _says(store.key, row.owner, row.body, row.named):
                yield f"{owned.table.name} of {row.owner}: its payload {row.named} is not what was written"


def _check_retractions(store: Store, known: set[str]) -> Iterator[str]:
    query: Select[Any] = (
        select(judgment.c.case_id, memory_event.c.reason)
        .join_from(memory_event, judgment, memory_event.c.judgment_id == judgment.c.id)
        .where(memory_event.c.reason.startswith(WORDS))
    )
    with store.read() as connection:
        named = {row.reason.removeprefix(WORDS): row.case_id for row in connection.execute(query)}
        known |= set(named)
        for digest, case_id in named.items():
            row = connection.execute(select(payload).where(payload.c.digest == digest)).first()
            if row is None:
                yield f"memory_event of {case_id}: its payload {digest} is missing"
            elif row.body is not None and not _says(store.key, case_id, row.body, digest):
                yield f"memory_event of {case_id}: its payload {digest} is not what was written"


def _says(key: bytes, owner: str, body: bytes, digest: str) -> bool:
    """Whether the digest is that of the body as the owner's; a document whose words were erased owns anew."""
    if keyed_digest(key, owner.encode() + b"\x1f" + body) == digest:
        return True
    later = (f"{owner}#{erasures}".encode() for erasures in range(1, _MOST_ERASURES))
    return any(keyed_digest(key, one + b"\x1f" + body) == digest for one in later)


def _counted(store: Store, name: str) -> int:
    with store.read() as connection:
        return int(connection.execute(select(counter.c.value).where(counter.c.name == name)).scalar_one())


def _triggers(connection: Connection) -> set[str]:
    if connection.dialect.name == "sqlite":
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    else:
        query = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'"
    return set(connection.exec_driver_sql(query).scalars())
