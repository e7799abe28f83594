"""The specialist for `fields`: fills an object out of a conversation by copying and by choosing."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tokencapital.core.case import Case, Json
from tokencapital.core.errors import InputError
from tokencapital.models.arrays import FloatArray
from tokencapital.models.candidates import FieldKnowledge
from tokencapital.models.ranking import ABSENT, Ranker
from tokencapital.models.rows import BITS, Rows, group_probabilities
from tokencapital.models.specialist import Prediction

KIND = "fields"
RECIPE = "fields-ranker/1"


class _Header(msgspec.Struct, frozen=True):
    kind: str
    recipe: str
    fields: tuple[FieldKnowledge, ...]
    contexts: dict[str, tuple[int, ...]]


class FieldsSpecialist:
    """A linear ranker over candidates of each field, with the fields' knowledge. Never changes once made.

    `weights` has 2**BITS entries, one for each hashed feature; they are kept as exactly as float16 can.
    """

    def __init__(
        self, fields: tuple[FieldKnowledge, ...], contexts: Mapping[str, Sequence[int]], weights: FloatArray
    ) -> None:
        known = {item: tuple(numbers) for item, numbers in sorted(contexts.items())}
        self._header = _Header(KIND, RECIPE, fields, known)
        self._weights = weights.astype(np.float16).astype(np.float32)
        self._ranker = Ranker(fields, known)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of its bytes, in hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def recipe(self) -> str:
        """How it was made, without what it was made from."""
        return RECIPE

    def predict(self, cases: Sequence[Case], vectors: FloatArray) -> list[Prediction]:
        """An object for each case; None where no field was ever judged.

        `fields` holds the ranker's probability of each field given, `score` that of the whole object,
        fields left out included; neither is calibrated. `vectors` are not used: words tell the values.
        """
        rows = self._ranker.rows(cases)
        scores = score_rows(rows, self._weights)
        return _assemble(rows, group_probabilities(scores, rows.first), self._header.fields, len(cases))

    def to_bytes(self) -> bytes:
        """An npz archive with a JSON header; the same specialist gives the same bytes."""
        at = np.flatnonzero(self._weights)
        header = np.frombuffer(msgspec.json.encode(self._header), dtype=np.uint8)
        buffer = io.BytesIO()
        np.savez(buffer, header=header, at=at.astype(np.uint32), weights=self._weights[at].astype(np.float16))
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> FieldsSpecialist:
        """The specialist that `to_bytes` wrote. Raises InputError where the bytes are something else."""
        weights = np.zeros(2**BITS, dtype=np.float32)
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:
                header = msgspec.json.decode(stored["header"].tobytes(), type=_Header)
                weights[stored["at"]] = stored["weights"]
        except (ValueError, OSError, KeyError, IndexError, msgspec.DecodeError) as error:
            raise InputError("these bytes are no specialist for fields", remedy="Fit it anew.") from error
        if header.kind != KIND:
            raise InputError(f"these bytes hold a specialist of the kind {header.kind!r}", remedy="Fit it anew.")
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
    scores = [1.0] * n
    for place, field, first, end in zip(rows.cases, rows.fields, rows.first.tolist(), rows.ends, strict=True):
        best = first + int(probability[first : end - 1].argmax())  # OTHER stands last and is no answer
        chance = float(probability[best])
        scores[place] *= chance
        if rows.values[best] != ABSENT:
            path = fields[field].path
            put(answers[place], path, json.loads(rows.values[best]))
            sure[place][path[0]] = sure[place].get(path[0], 1.0) * chance
    if not fields:
        return [Prediction(None, 0.0)] * n
    return [Prediction(value, score, (), each) for value, score, each in zip(answers, scores, sure, strict=True)]


def put(answer: dict[str, Any], path: tuple[str, ...], value: Json) -> None:
    """`value` stands in the object under `path`; a part that already holds something else keeps it."""
    for name in path[:-1]:
        inner = answer.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        answer = inner
    answer.setdefault(path[-1], value)
