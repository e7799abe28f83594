"""The specialist for fields at serving time, with a ranker written by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from tokencapital.core.case import Case, Message
from tokencapital.core.errors import InputError
from tokencapital.models.arrays import FloatArray
from tokencapital.models.artifacts import load_specialist
from tokencapital.models.candidates import FieldKnowledge
from tokencapital.models.extraction import FieldsSpecialist, put, score_rows
from tokencapital.models.ranking import ABSENT, OTHER, Ranker
from tokencapital.models.rows import BITS, group_probabilities
from tokencapital.models.writing import Shape

FIELDS = (
    FieldKnowledge(path=("seat", "row"), values={"3": 2, "4": 2}, shapes=(Shape("same", "", ""),)),
    FieldKnowledge(path=("window",), values={"true": 3, "false": 2}, common=("true", "false")),
)


def case(text: str, **context: str) -> Case:
    at = datetime(2026, 1, 5, tzinfo=UTC)
    return Case(id="c", capability="seat", group="g", at=at, messages=(Message("user", text),), context=context)


def weights() -> FloatArray:
    return np.random.default_rng(4).normal(0.0, 0.2, 2**BITS).astype(np.float32)


def zeros(n: int) -> FloatArray:
    return np.zeros((n, 2), dtype=np.float32)


def test_every_group_ends_with_leaving_out_and_with_another_value() -> None:
    rows = Ranker(FIELDS, {}).rows([case("row 3"), case("anything")])
    groups = [rows.values[first:end] for first, end in zip(rows.first.tolist(), rows.ends, strict=True)]
    window = ["true", "false", ABSENT, OTHER]
    assert groups == [["3", ABSENT, OTHER], window, [ABSENT, OTHER], window]
    assert rows.cases == [0, 0, 1, 1]


def test_scores_are_sums_of_weighted_features() -> None:
    rows = Ranker(FIELDS, {}).rows([case("row 3 or row 4")])
    drawn = weights()
    expected = [
        sum(float(drawn[i]) * float(w) for i, w in zip(rows.ids[a:b], rows.weights[a:b], strict=True))
        for a, b in zip(rows.starts[:-1], rows.starts[1:], strict=True)
    ]
    np.testing.assert_allclose(score_rows(rows, drawn), expected, rtol=1e-5, atol=1e-5)


def test_probabilities_of_a_group_sum_to_one() -> None:
    chances = group_probabilities(np.array([1.0, 1.0, 900.0, -900.0, 5.0]), np.array([0, 2, 4]))
    np.testing.assert_allclose(chances, [0.5, 0.5, 1.0, 0.0, 1.0])


def test_a_batch_says_the_same_as_its_cases_one_by_one() -> None:
    specialist = FieldsSpecialist(FIELDS, {}, weights())
    cases = [case(f"row {n % 5}, window or not", desk=str(n)) for n in range(300)]
    alone = [specialist.predict([one], zeros(1))[0] for one in cases[:5] + cases[-5:]]
    together = specialist.predict(cases, zeros(300))
    for one, other in zip(alone, together[:5] + together[-5:], strict=True):
        assert one.value == other.value
        assert one.score == pytest.approx(other.score)


def test_bytes_keep_the_specialist() -> None:
    specialist = FieldsSpecialist(FIELDS, {'desk="a"': (1,)}, weights())
    again = load_specialist(specialist.to_bytes())
    assert again.digest == specialist.digest
    assert again.recipe == specialist.recipe
    cases = [case("row 4 by the window"), case("row 3", desk="a")]
    assert again.predict(cases, zeros(2)) == specialist.predict(cases, zeros(2))


def test_bytes_of_something_else_are_refused() -> None:
    with pytest.raises(InputError):
        FieldsSpecialist.from_bytes(b"not an archive")


def test_no_cases_and_no_fields_give_no_answers() -> None:
    assert FieldsSpecialist(FIELDS, {}, weights()).predict([], zeros(0)) == []
    empty = FieldsSpecialist((), {}, weights()).predict([case("hello")], zeros(1))
    assert [(p.value, p.score) for p in empty] == [(None, 0.0)]


def test_a_context_keeps_fields_out_that_it_was_never_judged_with() -> None:
    specialist = FieldsSpecialist(FIELDS, {'desk="a"': (1,)}, weights())
    rows = Ranker(FIELDS, {'desk="a"': (1,)}).rows([case("row 3", desk="a"), case("row 3", desk="new")])
    assert [(c, f) for c, f in zip(rows.cases, rows.fields, strict=True)] == [(0, 1), (1, 0), (1, 1)]
    assert "seat" not in (specialist.predict([case("row 3", desk="a")], zeros(1))[0].fields or {})


def test_values_are_put_under_their_path() -> None:
    answer: dict[str, object] = {"a": 1}
    put(answer, ("b", "c"), [2])
    put(answer, ("a", "d"), 3)
    assert answer == {"a": 1, "b": {"c": [2]}}
