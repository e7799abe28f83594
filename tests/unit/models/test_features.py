"""What a model sees of a case."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.case import Case, Message
from tokencapital.models.features import BLOCK_WEIGHTS, FeatureSpace, learn_space
from tokencapital.models.tokens import case_blocks, case_text, label_text, token_number, tokens_of

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


def columns_of(space: FeatureSpace, block: str, tokens: Iterable[str]) -> set[int]:
    numbers = [token_number(block, token) for token in tokens]
    return set(np.flatnonzero(np.isin(space.numbers, numbers)).tolist())


def test_a_single_message_has_words_and_characters_only() -> None:
    case = make_case(("user", "Lost card"))
    assert case_blocks(case) == {"word": ["lost", "card", "^ lost", "lost card", "card $"]}
    space = learn_space([case], least_cases=1)
    words = columns_of(space, "word", case_blocks(case)["word"])
    grams = columns_of(space, "char", [" l", "los", "card", "card "])
    assert len(words) == 5
    assert len(grams) == 4
    assert len(space) == 5 + 2 * (5 + 4 + 3 + 2)


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
    row = space.rows([CONVERSATION])
    for name, tokens in case_blocks(CONVERSATION).items():
        own = np.isin(row.columns, list(columns_of(space, name, tokens)))
        assert (row.values[own] ** 2).sum() == pytest.approx(BLOCK_WEIGHTS[name], rel=1e-4), tokens


def test_tokens_of_one_case_only_get_no_column() -> None:
    space = learn_space([make_case(("user", "lost card")), make_case(("user", "lost phone"))])
    assert columns_of(space, "word", ["lost"])
    assert not columns_of(space, "word", ["card"])


def test_an_unknown_case_is_a_row_of_nothing() -> None:
    space = learn_space([make_case(("user", "abc")), make_case(("user", "abc"))])
    row = space.rows([make_case(("user", "xyz"))])
    assert len(row.columns) == len(row.values) == 0
    assert space.matrix([make_case(("user", "xyz")), make_case(("user", "abc"))]).getnnz(axis=1).tolist()[0] == 0


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "tool", "system"]), st.text(max_size=30)), max_size=5))
def test_any_conversation_has_a_matrix_row_like_its_own(messages: list[tuple[str, str]]) -> None:
    case = make_case(*messages)
    space = learn_space([case, CONVERSATION], least_cases=1)
    matrix = space.matrix([CONVERSATION, case])
    row = space.rows([case])
    alone = np.zeros(len(space), np.float32)
    alone[row.columns] = row.values
    assert np.isfinite(alone).all()
    np.testing.assert_array_equal(matrix[1].toarray()[0], alone)


def test_a_known_value_of_the_context_gives_the_state_another_meaning() -> None:
    messages = (("user", "hi"), ("assistant", "your name?"), ("user", "Ada"))
    turns = [case_blocks(make_case(*messages, workflow=name))["turn"] for name in ("taxi", "bank")]
    assert "workflow=taxi user your name ?" in turns[0]
    assert "workflow=taxi user your name ?" not in turns[1]


def test_the_content_of_a_case_decides_its_tokens_and_no_word_is_kept() -> None:
    again = msgspec.structs.replace(CONVERSATION, id="another", group="h")
    assert tokens_of(again) is tokens_of(CONVERSATION)
    assert tokens_of(make_case(*[(m.role, m.content) for m in CONVERSATION.messages], tier="gold")) != tokens_of(again)
    assert b"taxi" not in tokens_of(CONVERSATION).numbers


def test_a_token_that_comes_very_often_still_counts() -> None:
    case = make_case(("user", "no " * 600))
    row = learn_space([case, case]).rows([case])
    assert np.isfinite(row.values).all()
    assert (row.values > 0).all()
