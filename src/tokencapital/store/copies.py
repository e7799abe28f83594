"""Words of an answer that found their way into other answers: what recall and copying specialists leave behind.

A word that a machine or somebody else had used before, or that a case itself says, is nobody's copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from sqlalchemy import Connection, select

from tokencapital.core.case import Json
from tokencapital.store.payloads import decoded
from tokencapital.store.schema import judgment, payload, trajectory, work_case

_AT_ONCE = 1_000


def strings_of(value: Json) -> Iterator[str]:
    """Every string in a JSON value, names of fields left out."""
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from strings_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings_of(inner)


def copied_answers(
    connection: Connection, capability: str, said: Mapping[str, datetime], scope: Iterable[str]
) -> list[str]:
    """The payloads of answers in the capability that hold one of the strings `said` (with when it was first said).

    `scope` are the judgments that said them: a string that another judgment holds is left alone, and so is
    one in an answer given before, or in the very case that was answered.
    """
    left = dict(said)
    for value in _other_answers(connection, capability, frozenset(scope)):
        for string in strings_of(value):
            left.pop(string, None)
    return list(_holding(connection, capability, left)) if left else []


def _other_answers(connection: Connection, capability: str, scope: frozenset[str]) -> Iterator[Json]:
    query = (
        select(judgment.c.id, payload.c.body)
        .join_from(judgment, payload, judgment.c.payload == payload.c.digest)
        .where(judgment.c.capability == capability, payload.c.body.is_not(None))
    )
    for row in connection.execute(query).yield_per(_AT_ONCE):
        if row.id not in scope:
            yield decoded(row.body)


def _holding(connection: Connection, capability: str, left: dict[str, datetime]) -> Iterator[str]:
    query = (
        select(trajectory.c.at, trajectory.c.case_id, payload.c.digest, payload.c.body)
        .join_from(trajectory, payload, trajectory.c.payload == payload.c.digest)
        .where(trajectory.c.capability == capability, payload.c.body.is_not(None))
        .order_by(trajectory.c.at, trajectory.c.position)
    )
    held: list[tuple[str, str, set[str]]] = []
    for row in connection.execute(query):
        strings = {string for string in strings_of(decoded(row.body)) if string in left}
        for string in strings:
            if row.at < left[string]:
                del left[string]
        found = strings & set(left)
        if found:
            held.append((row.digest, row.case_id, found))
    for digest, case_id, found in held:
        if not _says(connection, case_id, found & set(left)):
            yield digest


def _says(connection: Connection, case_id: str, strings: set[str]) -> bool:
    """Whether the case itself says all of the strings; of an erased case nothing is known."""
    query = (
        select(payload.c.body)
        .join_from(work_case, payload, work_case.c.payload == payload.c.digest)
        .where(work_case.c.id == case_id)
    )
    body = connection.execute(query).scalar()
    if body is None:
        return not strings
    whole = "\n".join(strings_of(decoded(body)))
    return all(string in whole for string in strings)
