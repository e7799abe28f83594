"""Steps of trajectories: calls of models and tools as they were observed, each once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, null, select

from tokencapital.core.call import Ending, Step, StepKind
from tokencapital.core.case import Message
from tokencapital.store.database import Store, chunks, there
from tokencapital.store.payloads import Payloads
from tokencapital.store.schema import payload, step, trajectory
from tokencapital.store.taken import taken_of, taken_row

_encode = msgspec.json.Encoder().encode
_messages = msgspec.json.Decoder(tuple[Message, ...]).decode
_STEPS: Select[Any] = select(step, payload.c.body).outerjoin(payload, step.c.payload == payload.c.digest)


def append_steps(store: Store, connection: Connection, steps: Sequence[Step]) -> int:
    """The steps are stored, each id once; returns how many were new. Their trajectories are stored already."""
    if not steps:
        return 0
    places = _places(connection, {one.trajectory for one in steps})
    payloads = Payloads(store.key)
    rows = [_row(one, *places[one.trajectory], payloads) for one in steps]
    payloads.write(store, connection)
    return store.add_new(connection, step, rows)


def steps_there(connection: Connection, ids: Iterable[str]) -> set[str]:
    """Those of the ids of steps that are stored."""
    return there(connection, step.c.id, ids)


def steps_of(store: Store, trajectories: Iterable[str]) -> dict[str, list[Step]]:
    """The steps of each of these trajectories that has some, in the order of their times."""
    found: defaultdict[str, list[Step]] = defaultdict(list)
    with store.read() as connection:
        for some in chunks(trajectories):
            query = _STEPS.where(step.c.trajectory.in_(some)).order_by(step.c.at, step.c.position)
            for row in connection.execute(query):
                found[row.trajectory].append(step_of(row))
    return dict(found)


def steps_after(store: Store, capability: str, position: int) -> list[tuple[int, Step]]:
    """What was done in the capability after the step at this position (0: all), each with its own, without words."""
    query = select(step, null().label("body")).where(step.c.capability == capability, step.c.position > position)
    with store.read() as connection:
        return [(row.position, step_of(row)) for row in connection.execute(query.order_by(step.c.position))]


def with_steps(store: Store, trajectories: Iterable[str]) -> set[str]:
    """Those of the trajectories that have steps."""
    with store.read() as connection:
        return there(connection, step.c.trajectory, trajectories)


def trajectory_named(store: Store, name: str) -> str | None:
    """The id of the trajectory with this id, or of the one that has a step with this id; None: there is none."""
    with store.read() as connection:
        known: str | None = connection.execute(select(trajectory.c.id).where(trajectory.c.id == name)).scalar()
        return known or connection.execute(select(step.c.trajectory).where(step.c.id == name)).scalar()


def capabilities_of(store: Store, names: Iterable[str]) -> dict[str, str]:
    """The capability of each trajectory that has one of these ids, or a step with one; ids of none are left out."""
    found: dict[str, str] = {}
    with store.read() as connection:
        for some in chunks(names):
            for table in (step, trajectory):
                rows = connection.execute(select(table.c.id, table.c.capability).where(table.c.id.in_(some)))
                found.update((row.id, row.capability) for row in rows)
    return found


def application_of_response(store: Store, response: str) -> str | None:
    """The application that was first given the answer of a provider; None: nobody knows, or none was named."""
    query = select(step.c.application).where(step.c.response == response).order_by(step.c.position).limit(1)
    with store.read() as connection:
        found: str | None = connection.execute(query).scalar()
    return found


def steps_by_response(store: Store, responses: Iterable[str]) -> dict[str, str]:
    """By the id of a provider's answer the step that it was given in, the first where several say so."""
    found: dict[str, str] = {}
    with store.read() as connection:
        for some in chunks(responses):
            query = select(step.c.response, step.c.id).where(step.c.response.in_(some)).order_by(step.c.position.desc())
            found.update((row.response, row.id) for row in connection.execute(query))
    return found


def step_of(row: Row[Any]) -> Step:
    """The step in a row with the columns of `step` and the payload as `body`."""
    return Step(
        id=row.id,
        trajectory=row.trajectory,
        at=row.at,
        kind=StepKind(row.kind),
        name=row.name,
        source=row.source,
        parent=row.parent,
        application=row.application,
        provider=row.provider,
        model=row.model,
        ending=Ending(row.ending),
        elapsed_s=row.elapsed_s,
        first_s=row.first_s,
        failure=row.failure,
        **taken_of(row),
        messages=None if row.body is None else _messages(row.body),
        details=msgspec.json.decode(row.details),
    )


def _places(connection: Connection, names: set[str]) -> dict[str, tuple[str, str]]:
    """The case and the capability of each trajectory."""
    found: dict[str, tuple[str, str]] = {}
    for some in chunks(names):
        query = select(trajectory.c.id, trajectory.c.case_id, trajectory.c.capability).where(trajectory.c.id.in_(some))
        found.update((row.id, (row.case_id, row.capability)) for row in connection.execute(query))
    return found


def _row(one: Step, case_id: str, capability: str, payloads: Payloads) -> dict[str, Any]:
    return {
        "id": one.id,
        "trajectory": one.trajectory,
        "case_id": case_id,
        "capability": capability,
        "at": one.at,
        "kind": one.kind.value,
        "name": one.name,
        "source": one.source,
        "parent": one.parent,
        "application": one.application,
        "provider": one.provider,
        "model": one.model,
        "ending": one.ending.value,
        "elapsed_s": one.elapsed_s,
        "first_s": one.first_s,
        **taken_row(one),
        "failure": one.failure,
        "response": one.details.get("response"),
        "payload": None if one.messages is None else payloads.add(case_id, one.messages),
        "details": _encode(one.details).decode(),
    }
