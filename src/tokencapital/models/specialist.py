"""The specialist at serving time: what it predicts, and the one for labels.

The label specialist is a kernel machine in two parts: radial basis functions of the embedding around
landmark cases, which see meaning, plus weights on sparse n-grams, which see wording and the state of
the conversation. For a case with vector v and sparse row x its scores are
f(v, x) = exp(2 g (v Z' - 1)) B + x W, one column per label.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol
from zipfile import BadZipFile

import msgspec
import numpy as np
from msgspec import Struct

from tokencapital.core.case import Case, Value
from tokencapital.core.errors import InputError
from tokencapital.models.arrays import FloatArray
from tokencapital.models.features import FeatureSpace

RBF_GAMMA = 1.0
"""g in exp(-g |v - z|^2) between unit vectors."""
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
    """The numbers of a label specialist, for m landmarks, d dimensions, C labels and V columns.

    `landmarks` (m, d), `radial` (m, C) and `linear` (V, C), all float32; landmarks and linear weights
    hold only what float16 can.
    """

    landmarks: FloatArray
    radial: FloatArray
    linear: FloatArray


class _Header(Struct, frozen=True):
    kind: str
    recipe: str
    labels: tuple[str, ...]


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
            self._radial(vectors[start : start + _CHUNK]) + self._linear(cases[start : start + _CHUNK])
            for start in range(0, len(cases), _CHUNK)
        ]
        return np.concatenate(parts) if parts else np.empty((0, len(self.labels)), np.float32)

    def predict(self, cases: Sequence[Case], vectors: FloatArray) -> list[Prediction]:
        """One prediction per case, the score being the lead of the best label over the next one."""
        return predictions_of(self.scores(cases, vectors), self.labels)

    def to_bytes(self) -> bytes:
        """An npz archive with a JSON header; the same specialist gives the same bytes."""
        header = _Header("label", self.recipe, self.labels)
        file = io.BytesIO()
        np.savez(
            file,
            header=np.frombuffer(msgspec.json.encode(header), np.uint8),
            landmarks=self.weights.landmarks.astype(np.float16),
            radial=self.weights.radial,
            linear=self.weights.linear.astype(np.float16),
            numbers=self.space.numbers,
            idf=self.space.idf,
        )
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> LabelSpecialist:
        """The specialist that `to_bytes` wrote. Raises InputError where the bytes are something else."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                header = msgspec.json.decode(arrays["header"].tobytes(), type=_Header)
                weights = Weights(
                    arrays["landmarks"].astype(np.float32),
                    arrays["radial"],
                    arrays["linear"].astype(np.float32),
                )
                space = FeatureSpace(arrays["numbers"], arrays["idf"])
        except (ValueError, OSError, EOFError, KeyError, BadZipFile, msgspec.DecodeError) as error:
            raise InputError("these bytes are no label specialist", remedy="Fit it anew.") from error
        specialist = cls(header.labels, space, weights, header.recipe)
        specialist.__dict__["digest"] = hashlib.sha256(data).hexdigest()
        return specialist

    def _radial(self, vectors: FloatArray) -> FloatArray:
        closeness = vectors @ self.weights.landmarks.T
        closeness -= 1
        closeness *= 2 * RBF_GAMMA
        np.exp(closeness, out=closeness)
        return np.asarray(closeness @ self.weights.radial, np.float32)

    def _linear(self, cases: Sequence[Case]) -> FloatArray:
        if len(cases) == 1:
            row = self.space.rows(cases)
            return np.asarray((row.values @ self.weights.linear[row.columns])[None, :], np.float32)
        return np.asarray(self.space.matrix(cases) @ self.weights.linear, np.float32)


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
