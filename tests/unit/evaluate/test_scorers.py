"""How right an answer is: missing is wrong, a scorer that cannot score says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.case import ContractKind, Value
from tokencapital.core.errors import ScorerError
from tokencapital.evaluate.scorers import Score, score

LABEL, FIELDS, TEXT, TOOLS = ContractKind.LABEL, ContractKind.FIELDS, ContractKind.TEXT, ContractKind.TOOLS
ORDER = {"city": "Rome", "nights": 2}


@pytest.mark.parametrize(
    ("kind", "expected", "given_answer", "right"),
    [
        (LABEL, "a", "a", True),
        (LABEL, "a", "A", False),
        (LABEL, "a", None, False),
        (LABEL, "a", {"label": "a"}, False),
        (TEXT, "Thank you.", "Thank you.", True),
        (TEXT, "Thank you.", "Thank you", False),
    ],
)
def test_labels_and_texts_are_right_exactly_where_they_are_equal(
    kind: ContractKind, expected: str, given_answer: Value, right: bool
) -> None:
    assert score(kind, expected, given_answer) == Score(right)
    assert score(kind, expected, given_answer).share == float(right)


@pytest.mark.parametrize(
    ("given_answer", "wanted"),
    [
        ({"nights": 2, "city": "Rome"}, Score(right=True, fields=2, fields_right=2)),
        ({"city": "Rome"}, Score(right=False, fields=2, fields_right=1)),
        ({"city": "Rome", "nights": "2"}, Score(right=False, fields=2, fields_right=1)),
        ({"city": "Rome", "nights": 2, "extra": 1}, Score(right=False, fields=2, fields_right=2)),
        ({}, Score(right=False, fields=2, fields_right=0)),
        (None, Score(right=False, fields=2, fields_right=0)),
        ("Rome", Score(right=False, fields=2, fields_right=0)),
    ],
)
def test_fields_count_one_by_one_and_as_a_whole(given_answer: Value, wanted: Score) -> None:
    assert score(FIELDS, ORDER, given_answer) == wanted


def test_a_field_that_is_null_has_to_be_there() -> None:
    assert score(FIELDS, {"city": None}, {}) == Score(right=False, fields=1, fields_right=0)
    assert score(FIELDS, {"city": None}, {"city": None}).right


@pytest.mark.parametrize(
    ("kind", "expected"), [(TOOLS, "a"), (LABEL, {"a": 1}), (TEXT, None), (FIELDS, "Rome"), (FIELDS, None)]
)
def test_what_cannot_be_scored_is_no_score(kind: ContractKind, expected: Value) -> None:
    with pytest.raises(ScorerError):
        score(kind, expected, "a")


VALUES = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2), min_size=1)


@given(VALUES, VALUES)
def test_a_share_is_one_where_the_object_is_right_and_never_outside_its_interval(
    expected: dict[str, int], given_answer: dict[str, int]
) -> None:
    scored = score(FIELDS, expected, given_answer)
    assert 0.0 <= scored.share <= 1.0
    assert scored.right == (expected == given_answer)
    if scored.right:
        assert scored.share == 1.0
