"""What the label specialist does at serving time."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from tokencapital.core.case import Case, Message
from tokencapital.core.errors import InputError
from tokencapital.models.arrays import unit_rows
from tokencapital.models.artifacts import load_specialist
from tokencapital.models.features import learn_space
from tokencapital.models.meaning import Quadratic, Radial, products, quadratic_kernel
from tokencapital.models.specialist import LabelSpecialist, Weights, predictions_of

AT = datetime(2026, 1, 1, tzinfo=UTC)
TEXTS = ("lost my card", "card is lost", "open an account", "account to open")
CASES = [Case(id=text, capability="triage", group=text, at=AT, messages=(Message("user", text),)) for text in TEXTS]
VECTORS = unit_rows(np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32))


RNG = np.random.default_rng(2)
RADIAL = Radial(VECTORS.astype(np.float16).astype(np.float32), RNG.normal(size=(4, 3)).astype(np.float32), 1.5)
QUADRATIC = Quadratic(
    VECTORS.mean(axis=0),
    np.linalg.qr(RNG.normal(size=(8, 3)))[0].astype(np.float32),
    RNG.normal(size=(8 + 6, 3)).astype(np.float32),
)


@pytest.fixture(params=[RADIAL, QUADRATIC], ids=["radial", "quadratic"])
def specialist(request: pytest.FixtureRequest) -> LabelSpecialist:
    rng = np.random.default_rng(1)
    space = learn_space(CASES)
    linear = rng.normal(size=(len(space), 3)).astype(np.float16).astype(np.float32)
    return LabelSpecialist(
        ("a", "b", "c"), space, Weights(request.param, linear, np.array([0.0, 0.1, -0.1], np.float32)), "by-hand/1"
    )


def test_bytes_give_back_the_same_specialist(specialist: LabelSpecialist) -> None:
    again = load_specialist(specialist.to_bytes())
    assert again.digest == specialist.digest
    assert again.recipe == "by-hand/1"
    assert again.to_bytes() == specialist.to_bytes()
    assert again.predict(CASES, VECTORS) == specialist.predict(CASES, VECTORS)


def test_one_case_scores_as_it_does_among_many(specialist: LabelSpecialist) -> None:
    alone = np.concatenate([specialist.scores([case], VECTORS[i : i + 1]) for i, case in enumerate(CASES)])
    np.testing.assert_allclose(alone, specialist.scores(CASES, VECTORS), rtol=1e-5, atol=1e-5)


def test_radial_scores_follow_the_formula() -> None:
    apart = ((VECTORS[:, None] - RADIAL.examples[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(RADIAL.scores(VECTORS), np.exp(-1.5 * apart) @ RADIAL.weights, atol=5e-3)


def test_products_are_features_of_the_quadratic_kernel() -> None:
    made = products(VECTORS, QUADRATIC.mean, QUADRATIC.axes)
    kernel = quadratic_kernel(VECTORS, QUADRATIC.mean, QUADRATIC.axes)
    np.testing.assert_allclose(made.T @ made, kernel, atol=1e-5)
    np.testing.assert_allclose(QUADRATIC.scores(VECTORS), made.T @ QUADRATIC.weights, atol=1e-5)


def test_a_specialist_adds_meaning_and_wording(specialist: LabelSpecialist) -> None:
    wording = specialist.space.matrix(CASES).toarray() @ specialist.weights.linear
    expected = specialist.weights.meaning.scores(VECTORS) + wording + specialist.weights.bias
    np.testing.assert_allclose(specialist.scores(CASES, VECTORS), expected, atol=1e-5)


def test_the_lead_of_the_best_label_is_the_score() -> None:
    (prediction,) = predictions_of(np.array([[0.1, 0.7, 0.4]], np.float32), ("a", "b", "c"))
    assert prediction.value == "b"
    assert prediction.score == pytest.approx(0.3)
    assert [label for label, _ in prediction.alternatives] == ["b", "c", "a"]


def test_no_cases_give_no_predictions(specialist: LabelSpecialist) -> None:
    assert specialist.predict([], VECTORS[:0]) == []


@pytest.mark.parametrize("data", [b"", b"nothing of the kind", b"PK\x03\x04 cut short"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        load_specialist(data)
