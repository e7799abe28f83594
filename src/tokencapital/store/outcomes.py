"""What the business saw, joined to cases by business key or by the name of what was done, often late."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from tokencapital.core.call import UNSORTED
from tokencapital.core.judgment import Outcome
from tokencapital.store.database import Store, chunks
from tokencapital.store.schema import outcome, step, trajectory, work_case


def append_outcomes(store: Store, outcomes: Sequence[Outcome]) -> int:
    """The outcomes are on record, each id once; returns how many were new.

    A later one of the same key and name replaces it on reading. The key is a business key, or the id of a
    trajectory or step, which may be recorded later.
    """
    with store.begin() as connection:
        return store.add_new(connection, outcome, [_outcome_row(seen) for seen in outcomes])


def known_outcomes(store: Store, ids: Iterable[str]) -> dict[str, Outcome]:
    """The outcomes with these ids that are on record."""
    found: dict[str, Outcome] = {}
    with store.read() as connection:
        for some in chunks(ids):
            rows = connection.execute(select(outcome).where(outcome.c.id.in_(some)))
            found.update((row.id, _outcome_of(row)) for row in rows)
    return found


def outcomes_for(store: Store, capability: str, keys: Iterable[str]) -> dict[tuple[str, str], Outcome]:
    """What is known by (business key, name): the outcome with the latest `at`, then the last written.

    A key that is missing was never asked for; one whose value is None is not yet known.
    """
    newest: dict[tuple[str, str], Outcome] = {}
    with store.read() as connection:
        for some in chunks(keys):
            query = select(outcome).where(outcome.c.capability == capability, outcome.c.business_key.in_(some))
            for row in connection.execute(query.order_by(outcome.c.at, outcome.c.position)):
                newest[row.business_key, row.name] = _outcome_of(row)
    return newest


def outcomes_of_cases(store: Store, case_ids: Iterable[str]) -> dict[str, list[Outcome]]:
    """All that the business saw of each of these cases, oldest first, whether it named the key or what was done.

    Of several with one name the last one holds; those before it were superseded. A case of which nothing was
    said is not among them.
    """
    found: defaultdict[str, list[Outcome]] = defaultdict(list)
    with store.read() as connection:
        for cases in chunks(case_ids):
            by_key, by_name, capabilities = _names(connection, cases)
            named = sorted({key for _, key in by_key} | set(by_name))
            query = select(outcome).where(outcome.c.capability.in_(capabilities), outcome.c.business_key.in_(named))
            for row in connection.execute(query.order_by(outcome.c.at, outcome.c.position)):
                of = set(by_key.get((row.capability, row.business_key), ()))
                of |= {by_name[row.business_key]} if row.business_key in by_name else set()
                for case in sorted(of):
                    found[case].append(_outcome_of(row))
    return dict(found)


def _names(
    connection: Connection, cases: Sequence[str]
) -> tuple[dict[tuple[str, str], list[str]], dict[str, str], list[str]]:
    """The cases by (capability, business key) and by the ids of their trajectories and steps, and the capabilities.

    What was said of a trajectory before it came may stand under no capability yet.
    """
    capabilities = {UNSORTED}
    by_key: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    query = select(work_case.c.id, work_case.c.capability, work_case.c.business_key).where(work_case.c.id.in_(cases))
    for row in connection.execute(query):
        capabilities.add(row.capability)
        if row.business_key:
            by_key[row.capability, row.business_key].append(row.id)
    by_name: dict[str, str] = {}
    for table in (trajectory, step):
        named = select(table.c.id, table.c.case_id).where(table.c.case_id.in_(cases))
        by_name.update((row.id, row.case_id) for row in connection.execute(named))
    return dict(by_key), by_name, sorted(capabilities)


def _outcome_row(seen: Outcome) -> dict[str, Any]:
    return {
        "id": seen.id,
        "capability": seen.capability,
        "business_key": seen.key,
        "name": seen.name,
        "value": msgspec.json.encode(seen.value).decode(),
        "at": seen.at,
    }


def _outcome_of(row: Row[Any]) -> Outcome:
    return Outcome(
        id=row.id,
        capability=row.capability,
        key=row.business_key,
        name=row.name,
        value=msgspec.json.decode(row.value, type=bool | float | None),
        at=row.at,
    )
