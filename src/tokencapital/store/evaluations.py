"""Results of evaluations, kept by all that decides them, so that nothing is paid for twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import select

from tokencapital.core.case import Json
from tokencapital.store.database import Store, chunks
from tokencapital.store.schema import evaluation


class EvaluationKey(Struct, frozen=True, kw_only=True):
    """What decides an answer and its score, apart from the case. `generalist` None: none may be asked."""

    policy: str
    memory: int
    seed: int
    scorer: str
    generalist: str | None = None


def cached_evaluations(store: Store, key: EvaluationKey, case_ids: Iterable[str]) -> dict[str, Json]:
    """The results by case, of those that were evaluated before."""
    found: dict[str, Json] = {}
    table = evaluation.c
    with store.read() as connection:
        for some in chunks(case_ids):
            query = select(table.case_id, table.result).where(table.case_id.in_(some))
            for name, value in _key_row(key).items():
                query = query.where(table[name] == value)
            found.update((case_id, msgspec.json.decode(result)) for case_id, result in connection.execute(query))
    return found


def save_evaluations(store: Store, key: EvaluationKey, results: Mapping[str, Json]) -> None:
    """The results are kept by case; one that is there already stays as it is."""
    rows = [
        {**_key_row(key), "case_id": case_id, "result": msgspec.json.encode(result).decode()}
        for case_id, result in sorted(results.items())
    ]
    with store.begin() as connection:
        store.add_new(connection, evaluation, rows)


def _key_row(key: EvaluationKey) -> dict[str, Any]:
    return {
        "policy": key.policy,
        "memory": key.memory,
        "seed": key.seed,
        "scorer": key.scorer,
        "generalist": key.generalist or "",
    }
