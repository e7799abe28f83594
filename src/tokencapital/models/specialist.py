"""The specialist at serving time: what it predicts, and the one for labels.

The label specialist is a kernel machine in two parts: a function of the embedding, which sees meaning,
plus weights on sparse n-grams, which see wording and the state of the conversation. For a case with
vector v and sparse row x its scores are meaning(v) + x W + b, one column per label.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol
from zipfile import BadZipFile

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tokencapital.core.case import Case, Value
from tokencapital.core.errors import InputError
from tokencapital.models.arrays import FloatArray
from tokencapital.models.features import FeatureSpace
from tokencapital.models.meaning import Quadratic, Radial
from tokencapital.models.told import Gazetteer

_ALTERNATIVES = 5
_CHUNK = 2_048


class Prediction(Struct, frozen=True):
    """What a specialist says of a case.

    `score` grows with how sure it is and can be compared across cases; it is no probability.
    `alternatives` are the best few labels with their raw scores, best first. `fields` holds the raw
    score of each field of an object; None: the value is no object.
    """

    value: Value
    score: float
    alternatives: tuple[tuple[str, float], ...] = ()
    fields: Mapping[str, float] | None = None


class Specialist(Protocol):
    """A small model that was trained here."""

    @property
    def digest(self) -> str:
        """The SHA-256 of its bytes, in hex."""
        ...

    @property
    def recipe(self) -> str:
        """How it was made, with the version of the making."""
        ...

    def predict(self, cases: Sequence[Case], vectors: FloatArray) -> list[Prediction]:
        """One prediction per case; `vectors` are the (n, d) float32 unit rows of the cases' texts."""
        ...

    def to_bytes(self) -> bytes:
        """The artifact that `load_specialist` reads."""
        ...


class Weights(Struct, frozen=True):
    """The numbers of a label specialist: its `meaning`, `linear` (V, C) on its n-grams, `bias` (C,), float32.

    Examples and linear weights hold only what float16 can, which artifacts are written in.
    """

    meaning: Radial | Quadratic
    linear: FloatArray
    bias: FloatArray


class _Header(Struct, frozen=True):
    kind: str
    recipe: str
    labels: tuple[str, ...]
    gamma: float | None


class LabelSpecialist:
    """Chooses one of the labels that it was taught."""

    def __init__(self, labels: Sequence[str], space: FeatureSpace, weights: Weights, recipe: str) -> None:
        self.labels = tuple(labels)
        self.space = space
        self.weights = weights
        self.recipe = recipe

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of its bytes, in hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def scores(self, cases: Sequence[Case], vectors: FloatArray) -> FloatArray:
        """Raw scores of shape (n, labels): near 1 for the right label, near -1 / (labels - 1) else."""
        parts = [
            self.weights.meaning.scores(vectors[start : start + _CHUNK]) + self._linear(cases[start : start + _CHUNK])
            for start in range(0, len(cases), _CHUNK)
        ]
        scores = np.concatenate(parts) if parts else np.empty((0, len(self.labels)), np.float32)
        scores += self.weights.bias
        return scores

    def predict(self, cases: Sequence[Case], vectors: FloatArray) -> list[Prediction]:
        """One prediction per case, the score being the lead of the best label over the next one."""
        return predictions_of(self.scores(cases, vectors), self.labels)

    def to_bytes(self) -> bytes:
        """An npz archive with a JSON header; the same specialist gives the same bytes."""
        meaning = self.weights.meaning
        header = _Header("label", self.recipe, self.labels, meaning.gamma if isinstance(meaning, Radial) else None)
        arrays: dict[str, NDArray[Any]] = {
            "header": np.frombuffer(msgspec.json.encode(header), np.uint8),
            "linear": self.weights.linear.astype(np.float16),
            "bias": self.weights.bias,
            "numbers": self.space.numbers,
            "idf": self.space.idf,
            "usual_values": self.space.gazetteer.values,
            "usual_fields": self.space.gazetteer.fields,
            "weights": meaning.weights,
        }
        if isinstance(meaning, Radial):
            arrays["examples"] = meaning.examples.astype(np.float16)
        else:
            arrays |= {"mean": meaning.mean, "axes": meaning.axes}
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **arrays)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> LabelSpecialist:
        """The specialist that `to_bytes` wrote. Raises InputError where the bytes are something else."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                header = msgspec.json.decode(arrays["header"].tobytes(), type=_Header)
                linear = arrays["linear"].astype(np.float32)
                weights = Weights(_meaning(header, arrays), linear, arrays["bias"])
                gazetteer = Gazetteer(arrays["usual_values"], arrays["usual_fields"])
                space = FeatureSpace(arrays["numbers"], arrays["idf"], gazetteer)
        except (ValueError, OSError, EOFError, KeyError, BadZipFile, msgspec.DecodeError) as error:
            raise InputError("these bytes are no label specialist", remedy="Fit it anew.") from error
        specialist = cls(header.labels, space, weights, header.recipe)
        specialist.__dict__["digest"] = hashlib.sha256(data).hexdigest()
        return specialist

    def _linear(self, cases: Sequence[Case]) -> FloatArray:
        if len(cases) == 1:
            row = self.space.rows(cases)
            return np.asarray((row.values @ self.weights.linear[row.columns])[None, :], np.float32)
        return np.asarray(self.space.matrix(cases) @ self.weights.linear, np.float32)


def _meaning(header: _Header, arrays: Mapping[str, FloatArray]) -> Radial | Quadratic:
    if header.gamma is not None:
        return Radial(arrays["examples"].astype(np.float32), arrays["weights"], header.gamma)
    return Quadratic(arrays["mean"], arrays["axes"], arrays["weights"])


def predictions_of(scores: FloatArray, labels: Sequence[str]) -> list[Prediction]:
    """Raw scores (n, labels) as predictions; with a single label the score is its raw score."""
    few = min(_ALTERNATIVES, len(labels))
    top = np.argpartition(-scores, few - 1, axis=1)[:, :few]
    best = np.take_along_axis(top, np.argsort(-np.take_along_axis(scores, top, 1), axis=1, kind="stable"), 1)
    values = np.take_along_axis(scores, best, 1)
    lead = values[:, 0] - values[:, 1] if few > 1 else values[:, 0]
    return [
        Prediction(labels[row[0]], score, tuple((labels[i], raw) for i, raw in zip(row, raws, strict=True)))
        for row, raws, score in zip(best.tolist(), values.tolist(), lead.tolist(), strict=True)
    ]
