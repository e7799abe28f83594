"""What a model sees of a case."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.case import Case, Message
from tokencapital.models.features import BLOCK_WEIGHTS, case_blocks, case_text, label_text, learn_space

AT = datetime(2026, 1, 1, tzinfo=UTC)


def make_case(*messages: tuple[str, str], **context: object) -> Case:
    return Case(
        id="c",
        capability="triage",
        group="g",
        at=AT,
        messages=tuple(Message(role, content) for role, content in messages),
        context=context,
    )


CONVERSATION = make_case(
    ("user", "I need a taxi to the station"),
    ("assistant", "What is your name?"),
    ("user", "Ada"),
    ("assistant", "Booking for 4 people"),
    ("tool", '{"ride": {"driver": "Ada", "price": 12}}'),
)


def test_a_single_message_has_words_and_characters_only() -> None:
    blocks = case_blocks(make_case(("user", "Lost card")))
    assert set(blocks) == {"word", "char"}
    assert "lost card" in blocks["word"]
    assert " lo" in blocks["char"]


def test_a_conversation_knows_who_said_what() -> None:
    blocks = case_blocks(CONVERSATION)
    assert "ada" in blocks["word"]
    assert "taxi" in blocks["past"]
    assert "taxi" not in blocks["word"]
    assert "said booking for # people" in blocks["turn"]
    assert "ride.price=12" in blocks["tool"]
    assert "ride.driver was said" in blocks["tool"]


def test_context_counts_as_key_and_value() -> None:
    assert "tier=gold" in case_blocks(make_case(("user", "hi"), tier="Gold"))["context"]


def test_the_text_ends_with_the_newest_message_and_the_context() -> None:
    text = case_text(make_case(("user", "one"), ("assistant", "two"), ("user", "three"), ("user", "four"), tier="gold"))
    assert text == "two\nthree\nfour\ntier: gold"


@pytest.mark.parametrize("label", ["card_not_working", "cardNotWorking", "card-not working"])
def test_a_label_reads_as_words(label: str) -> None:
    assert label_text(label).lower() == "card not working"


def test_each_block_is_scaled_to_its_weight() -> None:
    space = learn_space([CONVERSATION, CONVERSATION])
    columns, values = space.row(CONVERSATION)
    for name, tokens in case_blocks(CONVERSATION).items():
        own = set(space.columns[name].values())
        squares = sum(value**2 for column, value in zip(columns, values, strict=True) if column in own)
        assert squares == pytest.approx(BLOCK_WEIGHTS[name], rel=1e-4), tokens


def test_tokens_of_one_case_only_get_no_column() -> None:
    space = learn_space([make_case(("user", "lost card")), make_case(("user", "lost phone"))])
    assert "lost" in space.columns["word"]
    assert "card" not in space.columns["word"]


def test_an_unknown_case_is_a_row_of_nothing() -> None:
    space = learn_space([make_case(("user", "abc")), make_case(("user", "abc"))])
    columns, values = space.row(make_case(("user", "xyz")))
    assert columns == []
    assert len(values) == 0


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "tool", "system"]), st.text(max_size=30)), max_size=5))
def test_any_conversation_has_a_matrix_row_like_its_own(messages: list[tuple[str, str]]) -> None:
    case = make_case(*messages)
    space = learn_space([case, CONVERSATION], least_cases=1)
    matrix = space.matrix([CONVERSATION, case])
    columns, values = space.row(case)
    alone = np.zeros(len(space.idf), np.float32)
    alone[columns] = values
    assert np.isfinite(alone).all()
    np.testing.assert_array_equal(matrix[1].toarray()[0], alone)
