"""Cases and what was done on them: the record of every exchange."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, Select, func, select

from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.case import Case, Json, Message
from tokencapital.store.database import Store, chunks
from tokencapital.store.manifest import Assignment, freeze
from tokencapital.store.payloads import Payloads, decoded
from tokencapital.store.schema import answer_basis, payload, step, trajectory, work_case
from tokencapital.store.taken import taken_of, taken_row
from tokencapital.store.tally import tally

_encode = msgspec.json.Encoder().encode


class CaseInput(Struct, frozen=True):
    """The payload of a case."""

    messages: tuple[Message, ...]
    context: Mapping[str, Json]


decode_input = msgspec.json.Decoder(CaseInput).decode


def record_exchanges(store: Store, exchanges: Sequence[Exchange]) -> list[Assignment]:
    """All of the exchanges are stored, or none; each case and trajectory once, however often it comes.

    Returns where each case stands, in the order of the exchanges.
    """
    if not exchanges:
        return []
    payloads = Payloads(store.key)
    with store.begin() as connection:
        assignments = freeze(store, connection, [exchange.case for exchange in exchanges])
        cases = [
            _case_row(exchange.case, place, payloads) for exchange, place in zip(exchanges, assignments, strict=True)
        ]
        trajectories = [_trajectory_row(exchange.trajectory, payloads) for exchange in exchanges]
        payloads.write(store, connection)
        store.add_new(connection, work_case, cases)
        store.add_new(connection, trajectory, trajectories)
        store.add_new(connection, answer_basis, _basis_rows(exchanges))
    return assignments


def record_cases(store: Store, connection: Connection, cases: Sequence[Case]) -> list[Assignment]:
    """The cases are stored, without anything having been done on them here; returns where each stands."""
    payloads = Payloads(store.key)
    assignments = freeze(store, connection, cases)
    rows = [_case_row(case, place, payloads) for case, place in zip(cases, assignments, strict=True)]
    payloads.write(store, connection)
    store.add_new(connection, work_case, rows)
    return assignments


def read_case(store: Store, case_id: str) -> Case | None:
    """The case with its group as assigned; None where there is none or its words were erased."""
    return read_cases(store, [case_id]).get(case_id)


def read_cases(store: Store, case_ids: Iterable[str]) -> dict[str, Case]:
    """The cases by id, without those that are not stored or whose words were erased."""
    found: dict[str, Case] = {}
    with store.read() as connection:
        for some in chunks(case_ids):
            for row in connection.execute(_CASES.where(work_case.c.id.in_(some), payload.c.body.is_not(None))):
                found[row.id] = case_of(row)
    return found


def read_trajectory(store: Store, trajectory_id: str) -> Trajectory | None:
    """What was done, by its own id or that of one of its steps; None where there is none.

    The answer of an erased one is None.
    """
    of_step = select(step.c.trajectory).where(step.c.id == trajectory_id).scalar_subquery()
    with store.read() as connection:
        row = connection.execute(_TRAJECTORIES.where(trajectory.c.id == trajectory_id)).first()
        row = row or connection.execute(_TRAJECTORIES.where(trajectory.c.id == of_step)).first()
    return _trajectory_of(row) if row else None


def trajectories_named(store: Store, ids: Iterable[str]) -> dict[str, Trajectory]:
    """The trajectories with these ids; those that are not there are left out."""
    found: dict[str, Trajectory] = {}
    with store.read() as connection:
        for some in chunks(ids):
            rows = connection.execute(_TRAJECTORIES.where(trajectory.c.id.in_(some)))
            found.update((row.id, _trajectory_of(row)) for row in rows)
    return found


def recent_trajectories(store: Store, capability: str, limit: int) -> list[Trajectory]:
    """The newest trajectories of a capability, newest first."""
    newest = _TRAJECTORIES.where(trajectory.c.capability == capability).order_by(trajectory.c.position.desc())
    with store.read() as connection:
        return [_trajectory_of(row) for row in connection.execute(newest.limit(limit))]


def trajectories_of_case(store: Store, case_id: str) -> list[Trajectory]:
    """All that was done on a case, oldest first."""
    query = _TRAJECTORIES.where(trajectory.c.case_id == case_id).order_by(trajectory.c.position)
    with store.read() as connection:
        return [_trajectory_of(row) for row in connection.execute(query)]


def trajectories_after(store: Store, capability: str, after: str | None) -> list[Trajectory]:
    """What was done since the trajectory with the id `after` (None: all), oldest first."""
    query = _TRAJECTORIES.where(trajectory.c.capability == capability).order_by(trajectory.c.position)
    if after is not None:
        place = select(trajectory.c.position).where(trajectory.c.id == after).scalar_subquery()
        query = query.where(trajectory.c.position > place)
    with store.read() as connection:
        return [_trajectory_of(row) for row in connection.execute(query)]


def count_cases(store: Store, capability: str) -> int:
    """How many cases of the capability came in, sealed and erased ones included."""
    return tally(store, work_case, capability)


def newest_stages(store: Store, capability: str, limit: int) -> dict[Stage, int]:
    """Which stages stand for the newest `limit` answers of a capability, and for how many of them."""
    query = (
        select(trajectory.c.stage)
        .where(trajectory.c.capability == capability)
        .order_by(trajectory.c.position.desc())
        .limit(limit)
    )
    with store.read() as connection:
        counts = Counter(connection.execute(query).scalars())
    return {stage: counts[stage.value] for stage in Stage if counts[stage.value]}


def trajectories_of_cases(store: Store, case_ids: Iterable[str]) -> dict[str, list[Trajectory]]:
    """All that was done on these cases, oldest first in each."""
    found: defaultdict[str, list[Trajectory]] = defaultdict(list)
    with store.read() as connection:
        for some in chunks(case_ids):
            query = _TRAJECTORIES.where(trajectory.c.case_id.in_(some)).order_by(trajectory.c.position)
            for row in connection.execute(query):
                found[row.case_id].append(_trajectory_of(row))
    return dict(found)


def answers_resting_on(store: Store, basis: str, limit: int) -> tuple[int, list[Trajectory]]:
    """How many answers rest on a judgment, lesson or passage, and the newest `limit` of them, newest first."""
    rests = answer_basis.c.basis == basis
    newest = (
        select(answer_basis.c.trajectory).where(rests).order_by(answer_basis.c.at.desc()).limit(limit).scalar_subquery()
    )
    query = _TRAJECTORIES.where(trajectory.c.id.in_(newest)).order_by(trajectory.c.position.desc())
    with store.read() as connection:
        count = connection.execute(select(func.count()).select_from(answer_basis).where(rests)).scalar_one()
        return int(count), [_trajectory_of(row) for row in connection.execute(query)]


def case_of(row: Row[Any]) -> Case:
    """The case in a row with the columns of `work_case` and the payload as `body`."""
    content = decode_input(row.body)
    return Case(
        id=row.id,
        capability=row.capability,
        group=row.entity_group,
        at=row.at,
        messages=content.messages,
        context=content.context,
        key=row.business_key,
    )


_CASES: Select[Any] = select(work_case, payload.c.body).join_from(
    work_case, payload, work_case.c.payload == payload.c.digest
)
_TRAJECTORIES: Select[Any] = select(trajectory, payload.c.body).join_from(
    trajectory, payload, trajectory.c.payload == payload.c.digest
)


def _case_row(case: Case, place: Assignment, payloads: Payloads) -> dict[str, object]:
    return {
        "id": case.id,
        "capability": case.capability,
        "given_group": case.group,
        "entity_group": place.group,
        "at": case.at,
        "business_key": case.key,
        "input_key": place.input_key,
        "payload": payloads.add(case.id, CaseInput(case.messages, case.context)),
    }


def _trajectory_row(done: Trajectory, payloads: Payloads) -> dict[str, object]:
    answer = done.answer
    return {
        "id": done.id,
        "case_id": done.case,
        "capability": done.capability,
        "at": done.at,
        "payload": payloads.add(done.case, answer.value),
        "stage": answer.stage.value,
        "source": answer.source.value if answer.source else None,
        "confidence": answer.confidence,
        "fields": None if answer.fields is None else _encode(answer.fields).decode(),
        "because": _encode(answer.because).decode(),
        "policy": done.policy,
        "memory": done.memory,
        "seed": done.seed,
        "propensity": done.propensity,
        "elapsed_s": done.elapsed_s,
        **taken_row(done),
        "release": done.release,
        "generalist": done.generalist,
        "failure": done.failure,
        "false_citations": done.false_citations,
    }


def _basis_rows(exchanges: Sequence[Exchange]) -> list[dict[str, object]]:
    """What each answer rests on, found from there: which answers a judgment, lesson or passage is in."""
    done = [exchange.trajectory for exchange in exchanges]
    return [{"basis": basis, "trajectory": one.id, "at": one.at} for one in done for basis in one.answer.because]


def _trajectory_of(row: Row[Any]) -> Trajectory:
    return Trajectory(
        id=row.id,
        case=row.case_id,
        capability=row.capability,
        at=row.at,
        answer=_answer_of(row),
        policy=row.policy,
        memory=row.memory,
        seed=row.seed,
        propensity=row.propensity,
        elapsed_s=row.elapsed_s,
        **taken_of(row),
        release=row.release,
        generalist=row.generalist,
        failure=row.failure,
        false_citations=row.false_citations,
    )


def _answer_of(row: Row[Any]) -> Answer:
    return Answer(
        value=None if row.body is None else decoded(row.body),
        stage=Stage(row.stage),
        source=Stage(row.source) if row.source else None,
        confidence=row.confidence,
        fields=None if row.fields is None else msgspec.json.decode(row.fields),
        because=tuple(msgspec.json.decode(row.because)),
    )
