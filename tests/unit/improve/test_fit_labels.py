"""Fitting the label specialist, and held-out predictions that never saw the group."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from tokencapital.core.case import Case, Message
from tokencapital.core.errors import EvaluationError
from tokencapital.core.judgment import DrawKind, JudgedCase, Judgment, Verdict
from tokencapital.improve.ridge import RARITY, Examples, Setting, solve
from tokencapital.improve.specialist import Lessons, Limits, fit_label_specialist
from tokencapital.models.arrays import FloatArray, unit_rows
from tokencapital.models.features import learn_space
from tokencapital.models.meaning import Radial
from tokencapital.models.specialist import LabelSpecialist

AT = datetime(2026, 1, 1, tzinfo=UTC)
SETTING = Setting(gamma=1.0, share=0.3, ridge=0.05)
WORDS = {"card": ("lost", "stolen", "card"), "loan": ("borrow", "loan", "rate"), "mail": ("send", "letter", "mail")}


def judge(text: str, label: str, group: str) -> JudgedCase:
    case = Case(id=f"{group}/{text}", capability="triage", group=group, at=AT, messages=(Message("user", text),))
    judgment = Judgment(
        id=case.id, case=case.id, capability="triage", expert="ada", at=AT, verdict=Verdict.CORRECTED, answer=label,
        drawn=DrawKind.UNIFORM, probability=1.0, valid_from=AT,
    )  # fmt: skip
    return JudgedCase(case, judgment)


def some_work(n: int) -> tuple[list[JudgedCase], FloatArray]:
    rng = np.random.default_rng(3)
    labels = rng.choice(sorted(WORDS), n)
    judged = [judge(" ".join(rng.choice(WORDS[label], 4)), str(label), f"g{i // 3}") for i, label in enumerate(labels)]
    centres = {label: rng.normal(size=6) for label in WORDS}
    vectors = np.array([centres[label] for label in labels]) + rng.normal(size=(n, 6))
    return judged, unit_rows(vectors.astype(np.float32))


def as_examples(judged: list[JudgedCase], vectors: FloatArray, groups: list[int]) -> Examples:
    labels = sorted(WORDS)
    targets = np.full((len(judged), 3), -0.5, np.float32)
    targets[np.arange(len(judged)), [labels.index(str(one.judgment.answer)) for one in judged]] = 1
    cases = [one.case for one in judged]
    return Examples(vectors, learn_space(cases, least_cases=1).matrix(cases), targets, np.array(groups))


@pytest.mark.parametrize("radial", [True, False])
def test_held_out_scores_equal_a_refit_without_the_group(radial: bool) -> None:
    judged, vectors = some_work(30)
    groups = [i // 3 for i in range(30)]
    examples = as_examples(judged, vectors, groups)
    solution = solve(examples, SETTING, radial=radial)
    held_out = solution.held_out - solution.weights.bias
    kernel = reference_kernel(examples, radial=radial)
    for group in range(10):
        out = np.array(groups) == group
        ridge = kernel[np.ix_(~out, ~out)] + SETTING.ridge * np.eye(27)
        refit = kernel[np.ix_(out, ~out)] @ np.linalg.solve(ridge, examples.targets[~out])
        np.testing.assert_allclose(held_out[out], refit, atol=2e-3)


@pytest.mark.parametrize("radial", [True, False])
def test_what_serves_is_what_was_fitted(radial: bool) -> None:
    judged, vectors = some_work(30)
    examples = as_examples(judged, vectors.astype(np.float16).astype(np.float32), list(range(30)))
    weights = solve(examples, SETTING, radial=radial).weights
    kernel = reference_kernel(examples, radial=radial)
    fitted = kernel @ np.linalg.solve(kernel + SETTING.ridge * np.eye(30), examples.targets)
    served = weights.meaning.scores(examples.vectors) + examples.sparse @ weights.linear
    np.testing.assert_allclose(served, fitted, atol=5e-3)


def test_a_rare_label_is_put_ahead_by_the_logarithm_of_its_rarity() -> None:
    judged, vectors = some_work(30)
    examples = as_examples(judged, vectors, list(range(30)))
    often = examples.targets.argmax(axis=1)
    rows = np.concatenate([np.flatnonzero(often == 0), np.flatnonzero(often == 1)[:2]])
    bias = solve(examples.at(rows), SETTING, radial=True).weights.bias
    assert bias.mean() == pytest.approx(0.0, abs=1e-6)
    assert bias[1] - bias[0] == pytest.approx(RARITY * np.log((1 + (often == 0).sum()) / 3), rel=1e-4)


def reference_kernel(examples: Examples, *, radial: bool) -> NDArray[np.float64]:
    vectors = examples.vectors.astype(np.float64)
    if radial:
        meaning = np.exp(-SETTING.gamma * ((vectors[:, None] - vectors[None]) ** 2).sum(axis=2))
    else:  # with all components kept, the axes only turn the centred vectors
        apart = vectors - vectors.mean(axis=0)
        apart /= np.linalg.norm(apart, axis=1, keepdims=True)
        meaning = (vectors @ vectors.T + (apart @ apart.T) ** 2) / 2
    wording = (examples.sparse @ examples.sparse.T).toarray().astype(np.float64)
    return np.asarray(meaning + SETTING.share * wording / np.diag(wording).mean(), np.float64)


def test_it_learns_what_it_is_taught_and_knows_more_than_it_was_told() -> None:
    judged, vectors = some_work(60)
    fit = fit_label_specialist(Lessons(judged[:45], vectors[:45]), seed=0)
    predicted = fit.specialist.predict([one.case for one in judged[45:]], vectors[45:])
    right = [p.value == one.judgment.answer for p, one in zip(predicted, judged[45:], strict=True)]
    assert np.mean(right) > 0.9
    assert np.mean([p.value == o.judgment.answer for p, o in zip(fit.held_out, judged[:45], strict=True)]) > 0.9


def test_a_lone_example_does_not_vouch_for_itself() -> None:
    judged, vectors = some_work(20)
    judged.append(judge("zebra zebra", "zoo", "alone"))
    vectors = np.concatenate([vectors, np.eye(6, dtype=np.float32)[:1]])
    fit = fit_label_specialist(Lessons(judged, vectors), seed=0)
    assert fit.held_out[-1].value != "zoo"
    assert fit.specialist.predict([judged[-1].case], vectors[-1:])[0].value == "zoo"


def test_the_same_input_gives_the_same_bytes() -> None:
    judged, vectors = some_work(20)
    first, second = (fit_label_specialist(Lessons(judged, vectors), seed=4).specialist for _ in range(2))
    assert first.to_bytes() == second.to_bytes()


def test_one_label_is_enough() -> None:
    judged = [judge(f"lost card {i}", "card", f"g{i}") for i in range(10)]
    fit = fit_label_specialist(Lessons(judged, np.ones((10, 1), np.float32)), seed=0)
    assert {prediction.value for prediction in fit.held_out} == {"card"}


def test_where_people_conflict_the_majority_is_answered_with_a_small_lead() -> None:
    judged, vectors = some_work(20)
    said = [judge("where is it", label, "same") for label in ("card", "card", "mail")]
    vectors = np.concatenate([vectors, np.tile(np.eye(6, dtype=np.float32)[:1], (3, 1))])
    fit = fit_label_specialist(Lessons(judged + said, vectors), seed=0)
    (torn,) = fit.specialist.predict([said[0].case], vectors[-1:])
    assert torn.value == "card"
    assert torn.score < 0.8


def test_the_words_of_a_label_help_where_judgments_are_few() -> None:
    judged, vectors = some_work(12)
    lone = msgspec.structs.replace(judged[0].judgment, answer="zoo")
    judged[0] = JudgedCase(judged[0].case, lone)
    names = {label: vectors[i] for i, label in enumerate(["card", "loan", "mail", "zoo"])}
    named = fit_label_specialist(Lessons(judged, vectors, names=names), seed=0)
    plain = fit_label_specialist(Lessons(judged, vectors), seed=0)
    right = [sum(p.value == o.judgment.answer for p, o in zip(f.held_out, judged, strict=True)) for f in (named, plain)]
    assert len(named.held_out) == 12
    assert right[0] >= right[1]


def test_beyond_the_limits_groups_are_drawn_and_the_rest_is_predicted_by_what_they_taught() -> None:
    judged, vectors = some_work(90)
    fit = fit_label_specialist(Lessons(judged, vectors), seed=0, limits=Limits(judgments=70, landmarks=30))
    assert len(fit.held_out) == 90
    assert np.mean([p.value == o.judgment.answer for p, o in zip(fit.held_out, judged, strict=True)]) > 0.85


def test_the_answers_of_calibration_draws_choose_nothing() -> None:
    judged, vectors = some_work(180)
    calibration = np.arange(180) // 3 % 4 == 0
    names = {label: vectors[i] for i, label in enumerate(WORDS)}
    turned = [
        JudgedCase(one.case, msgspec.structs.replace(one.judgment, answer="card")) if held else one
        for one, held in zip(judged, calibration, strict=True)
    ]
    fits = [fit_label_specialist(Lessons(work, vectors, calibration, names), seed=0) for work in (judged, turned)]
    meanings = [fit.specialist.weights.meaning for fit in fits if isinstance(fit.specialist, LabelSpecialist)]
    assert len({(one.gamma, len(one.examples)) for one in meanings if isinstance(one, Radial)}) == 1


def test_nothing_to_learn_from_is_an_error() -> None:
    with pytest.raises(EvaluationError):
        fit_label_specialist(Lessons([], np.empty((0, 4), np.float32)), seed=0)
