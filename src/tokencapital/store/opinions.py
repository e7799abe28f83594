"""What several people said of the same inputs: the ground on which reliability stands.

Only what may teach is read: standing judgments of `train` groups by people who had notice, hidden repeats
among them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Row, Select, select

from tokencapital.core.case import Value
from tokencapital.core.judgment import DrawKind, Verdict
from tokencapital.core.split import Split
from tokencapital.store.database import Store
from tokencapital.store.judgments import latest_sequence
from tokencapital.store.manifest import splits_of
from tokencapital.store.notices import may_teach
from tokencapital.store.payloads import decoded
from tokencapital.store.rows import stands
from tokencapital.store.schema import judgment, payload, work_case

_LOOKED_AT = 4
"""So many numbers of the memory are looked at for each opinion that is wanted: others take some of them."""

_VERDICTS = {one.value: one for one in Verdict}
_KINDS = {one.value: one for one in DrawKind}
_COLUMNS = tuple(judgment.c[name] for name in ("id", "case_id", "expert", "at", "verdict", "drawn"))


class Opinion(Struct, frozen=True, kw_only=True):
    """What one person said. `input` is the same for identical inputs; `answer` None: none was given."""

    id: str
    case: str
    input: str
    expert: str
    at: datetime
    verdict: Verdict
    answer: Value
    drawn: DrawKind


def opinions(store: Store, capability: str, most: int) -> list[Opinion]:
    """About the newest `most` opinions, oldest first; those whose words were erased are left out."""
    after = latest_sequence(store) - _LOOKED_AT * most
    query: Select[Any] = (
        select(*_COLUMNS, work_case.c.input_key, work_case.c.entity_group, payload.c.body)
        .join_from(judgment, work_case, judgment.c.case_id == work_case.c.id)
        .join(payload, judgment.c.payload == payload.c.digest)
        .where(judgment.c.capability == capability, judgment.c.sequence > after, payload.c.body.is_not(None), stands())
        .order_by(judgment.c.sequence.desc())
        .limit(most)
    )
    with store.read() as connection:
        rows = list(connection.execute(query))[::-1]
        splits = splits_of(connection, {row.entity_group for row in rows})
        taught = may_teach(connection, rows)
    return [_opinion_of(row) for row in rows if splits[row.entity_group] is Split.TRAIN and row.id in taught]


def _opinion_of(row: Row[Any]) -> Opinion:
    return Opinion(
        id=row.id,
        case=row.case_id,
        input=row.input_key,
        expert=row.expert,
        at=row.at,
        verdict=_VERDICTS[row.verdict],
        answer=decoded(row.body),
        drawn=_KINDS[row.drawn],
    )
