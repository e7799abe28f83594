"""The specialist for `fields`: fills an object out of a conversation by copying and by choosing."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tokencapital.core.case import Case, Json
from tokencapital.models.arrays import FloatArray
from tokencapital.models.candidates import FieldKnowledge
from tokencapital.models.ranking import ABSENT, Ranker
from tokencapital.models.rows import BITS, Rows, group_probabilities
from tokencapital.models.specialist import Prediction

KIND = "fields"
RECIPE = "fields-ranker-1"


class _Header(msgspec.Struct, frozen=True):
    kind: str
    recipe: str
    fields: tuple[FieldKnowledge, ...]
    contexts: dict[str, tuple[int, ...]]


class FieldsSpecialist:
    """A linear ranker over candidates of each field, with the fields' knowledge. Never changes once made.

    `weights` has 2**BITS entries, one for each hashed feature.
    """

    def __init__(
        self, fields: tuple[FieldKnowledge, ...], contexts: Mapping[str, Sequence[int]], weights: FloatArray
    ) -> None:
        known = {item: tuple(numbers) for item, numbers in sorted(contexts.items())}
        self._header = _Header(KIND, RECIPE, fields, known)
        self._weights = weights
        self._ranker = Ranker(fields, known)
        self._digest = hashlib.sha256(msgspec.json.encode(self._header) + weights.tobytes()).hexdigest()

    @property
    def digest(self) -> str:
        """The same for two specialists exactly when they predict alike for the same reasons."""
        return self._digest

    @property
    def recipe(self) -> str:
        """How it was made, without what it was made from."""
        return RECIPE

    def predict(self, cases: Sequence[Case], vectors: FloatArray) -> list[Prediction]:
        """An object for each case.

        `fields` holds a probability for each field given, `score` that of the whole object, fields
        left out included; neither is calibrated. `vectors` are not used: values are told by words.
        """
        rows = self._ranker.rows(cases)
        scores = score_rows(rows, self._weights)
        return _assemble(rows, group_probabilities(scores, rows.first), self._header.fields, len(cases))

    def to_bytes(self) -> bytes:
        """The specialist as an npz file."""
        at = np.flatnonzero(self._weights)
        header = np.frombuffer(msgspec.json.encode(self._header), dtype=np.uint8)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, header=header, at=at.astype(np.uint32), weights=self._weights[at])
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> FieldsSpecialist:
        """The specialist that `to_bytes` wrote. Raises ValueError where the bytes are of another kind."""
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            header = msgspec.json.decode(stored["header"].tobytes(), type=_Header)
            if header.kind != KIND:
                raise ValueError(f"these bytes hold a specialist of the kind {header.kind!r}, not {KIND!r}")
            weights = np.zeros(2**BITS, dtype=np.float32)
            weights[stored["at"]] = stored["weights"]
        return cls(header.fields, header.contexts, weights)


def score_rows(rows: Rows, weights: FloatArray) -> NDArray[np.float64]:
    """The linear score of each row."""
    if not len(rows.values):
        return np.zeros(0)
    return np.add.reduceat(weights[rows.ids] * rows.weights, rows.starts[:-1], dtype=np.float64)


def _assemble(
    rows: Rows, probability: NDArray[np.float64], fields: Sequence[FieldKnowledge], n: int
) -> list[Prediction]:
    answers: list[dict[str, Json]] = [{} for _ in range(n)]
    sure: list[dict[str, float]] = [{} for _ in range(n)]
    scores = [1.0 if rows.cases else 0.0] * n
    for place, field, first, end in zip(rows.cases, rows.fields, rows.first.tolist(), rows.ends, strict=True):
        best = first + int(probability[first : end - 1].argmax())  # OTHER stands last and is no answer
        chance = float(probability[best])
        scores[place] *= chance
        if rows.values[best] != ABSENT:
            path = fields[field].path
            put(answers[place], path, json.loads(rows.values[best]))
            sure[place][path[0]] = sure[place].get(path[0], 1.0) * chance
    return [
        Prediction(value=answer or None, score=score if answer else 0.0, fields=field or None)
        for answer, score, field in zip(answers, scores, sure, strict=True)
    ]


def put(answer: dict[str, Any], path: tuple[str, ...], value: Json) -> None:
    """`value` stands in the object under `path`; a part that already holds something else keeps it."""
    for name in path[:-1]:
        inner = answer.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        answer = inner
    answer.setdefault(path[-1], value)
