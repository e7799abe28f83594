"""What is recorded, page by page, for whoever takes it elsewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, func, select

from tokencapital.core.answer import Trajectory
from tokencapital.core.call import Step
from tokencapital.core.case import Case
from tokencapital.core.judgment import Judgment, Outcome
from tokencapital.core.split import Split
from tokencapital.store.cases import read_cases, trajectories_named
from tokencapital.store.database import Store, chunks
from tokencapital.store.manifest import splits_of
from tokencapital.store.outcomes import outcomes_of_cases
from tokencapital.store.rows import ends, judgment_of, judgments_with_words, stands
from tokencapital.store.schema import judgment, trajectory, work_case
from tokencapital.store.steps import steps_of

PAGE = 200


class Wanted(Struct, frozen=True, kw_only=True):
    """Which trajectories: of one capability (None: of all), from `since` on (None: all), before `until` (None: all)."""

    capability: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Place(Struct, frozen=True):
    """The facts of a case that stay when its words are erased."""

    group: str
    key: str
    at: datetime


class Recorded(Struct, frozen=True, kw_only=True):
    """A trajectory with all that belongs to it. `case` None: its words were erased.

    `judgments` are those of `train` groups that were not withdrawn; `sealed` counts those that are kept back.
    """

    done: Trajectory
    place: Place
    case: Case | None
    steps: Sequence[Step]
    judgments: Sequence[Judgment]
    outcomes: Sequence[Outcome]
    sealed: int


def recorded(store: Store, wanted: Wanted) -> Iterator[list[Recorded]]:
    """The trajectories in the order in which they were recorded, up to 200 at a time. Each page is one view."""
    after = 0
    while True:
        with store.read():
            positions = _positions(store, wanted, after)
            if not positions:
                return
            page = _page(store, [name for _, name in positions])
        yield page
        after = positions[-1][0]


def count(store: Store, wanted: Wanted) -> int:
    """How many trajectories there are."""
    with store.read() as connection:
        query = select(func.count()).select_from(trajectory).where(*_conditions(wanted))
        return int(connection.execute(query).scalar_one())


def _positions(store: Store, wanted: Wanted, after: int) -> list[tuple[int, str]]:
    query = select(trajectory.c.position, trajectory.c.id).where(*_conditions(wanted), trajectory.c.position > after)
    with store.read() as connection:
        rows = connection.execute(query.order_by(trajectory.c.position).limit(PAGE))
        return [(row.position, row.id) for row in rows]


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.capability is not None:
        found.append(trajectory.c.capability == wanted.capability)
    if wanted.since is not None:
        found.append(trajectory.c.at >= wanted.since)
    if wanted.until is not None:
        found.append(trajectory.c.at < wanted.until)
    return found


def _page(store: Store, names: Sequence[str]) -> list[Recorded]:
    done = trajectories_named(store, names)
    cases = {done[name].case for name in names}
    words, places = read_cases(store, cases), _places(store, cases)
    steps, seen = steps_of(store, names), outcomes_of_cases(store, cases)
    said, sealed = _judgments(store, cases)
    return [
        Recorded(
            done=one,
            place=places[one.case],
            case=words.get(one.case),
            steps=steps.get(one.id, ()),
            judgments=said.get(one.case, ()),
            outcomes=seen.get(one.case, ()),
            sealed=sealed.get(one.case, 0),
        )
        for one in (done[name] for name in names)
    ]


def _places(store: Store, cases: set[str]) -> dict[str, Place]:
    found: dict[str, Place] = {}
    with store.read() as connection:
        for some in chunks(cases):
            for row in connection.execute(select(work_case).where(work_case.c.id.in_(some))):
                found[row.id] = Place(row.entity_group, row.business_key, row.at)
    return found


def _judgments(store: Store, cases: set[str]) -> tuple[dict[str, list[Judgment]], dict[str, int]]:
    found: defaultdict[str, list[Judgment]] = defaultdict(list)
    sealed: defaultdict[str, int] = defaultdict(int)
    with store.read() as connection:
        for some in chunks(cases):
            query = judgments_with_words().add_columns(ends().label("ends_at"))
            rows = list(connection.execute(query.where(judgment.c.case_id.in_(some), stands())))
            splits = splits_of(connection, {row.entity_group for row in rows})
            for row in sorted(rows, key=lambda row: row.sequence):
                if splits[row.entity_group] is Split.SEALED:
                    sealed[row.case_id] += 1
                else:
                    found[row.case_id].append(msgspec.structs.replace(judgment_of(row), valid_until=row.ends_at))
    return dict(found), dict(sealed)
