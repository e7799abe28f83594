"""What a message offers to fields: known values, spans written as a field writes, JSON that the conversation holds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.case import Message
from tokencapital.models.candidates import ASKED, FOUND, TALK, USER, FieldKnowledge, Finder
from tokencapital.models.reading import read, words_of
from tokencapital.models.spans import open_spans
from tokencapital.models.writing import CHANGES, Shape, canonical, unwrap, write

BARE = Shape("same", '"', '"')
NUMBER = Shape("same", "", "")


def offered(field: FieldKnowledge, role: str, content: str) -> set[tuple[str, int]]:
    finder = Finder((field,), [0])
    return {(found.value, found.source) for found in finder.find(read(Message(role, content)))}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("7:00 p.m.", ("7", "pm")),
        ("seven PM", ("7", "pm")),
        ("the 7th", ("the", "7")),
        ("seventh", ("7",)),
        ("AB12-x", ("ab", "12", "x")),
        ("...", ()),
    ],
)
def test_texts_that_name_the_same_have_the_same_words(text: str, words: tuple[str, ...]) -> None:
    assert words_of(text) == words


@given(st.text(max_size=40))
def test_tokens_lie_in_order_within_their_text(text: str) -> None:
    tokens = read(Message("user", text)).talk.tokens
    places = [place for token in tokens for place in (token.start, token.end)]
    assert places == sorted(places)
    assert all(0 <= token.start < token.end for token in tokens)


def test_json_in_a_message_is_read_leaf_by_leaf() -> None:
    reading = read(Message("assistant", 'look up {"room": {"number": 12}, "ok": true, "tags": ["a", "b"]} now'))
    leaves = [(leaf.key, leaf.text) for leaf in reading.leaves]
    assert leaves == [("number", "12"), ("ok", "true"), ("tags", '["a", "b"]')]
    assert [token.norm for token in reading.talk.tokens] == ["look", "up", "now"]


def test_broken_json_is_free_text() -> None:
    reading = read(Message("user", "what does {x mean"))
    assert not reading.structured
    assert [token.norm for token in reading.talk.tokens] == ["what", "does", "x", "mean"]


@given(st.text(max_size=20))
def test_a_bare_shape_writes_any_text_as_its_json(text: str) -> None:
    assert write(text, BARE) == canonical(text)
    assert json.loads(write(text, Shape("same", '["', '"]')) or "null") == [text]


@pytest.mark.parametrize(
    ("change", "text", "changed"),
    [
        ("spaced", "6PM", "6 pm"),
        ("ordinal", "2", "2nd"),
        ("ordinal", "11", "11th"),
        ("ordinal", "May", None),
        ("next", "9", "10"),
        ("next", "nine", None),
        ("title", "jane o'hara", "Jane O'hara"),
        ("joined", "432 LSA", "432LSA"),
    ],
)
def test_changes(change: str, text: str, changed: str | None) -> None:
    assert CHANGES[change](text) == changed


def test_a_shape_that_makes_no_json_makes_no_value() -> None:
    assert write("five", NUMBER) is None
    assert write("5", NUMBER) == "5"
    assert unwrap('"max(5)"', Shape("same", '"max(', ')"')) == "5"
    assert unwrap('"min(5)"', Shape("same", '"max(', ')"')) is None


def test_a_known_value_is_found_in_other_letters_and_by_a_word_of_its_own() -> None:
    field = FieldKnowledge(path=("site",), values={'"Harbour Office"': 3, '"Hill Office"': 2}, shapes=(BARE,))
    assert offered(field, "user", "the HARBOUR OFFICE please") >= {('"Harbour Office"', USER)}
    assert offered(field, "assistant", "harbour it is") == {('"Harbour Office"', TALK)}
    assert offered(field, "user", "which office?") == set()


def test_a_known_value_is_found_under_its_wrapper() -> None:
    wrapped = '"any(blue)"'
    field = FieldKnowledge(path=("colour",), values={wrapped: 2}, shapes=(Shape("same", '"any(', ')"'),))
    assert (wrapped, USER) in offered(field, "user", "make it Blue")


def test_unseen_values_are_copied_where_the_kind_of_span_fits() -> None:
    field = FieldKnowledge(path=("ticket",), values={}, shapes=(BARE, NUMBER), kinds=("digits",), longest=1)
    assert offered(field, "user", "My order 7781, please") == {('"7781"', USER), ("7781", USER)}
    assert offered(field, "user", "My order, please") == set()


def test_a_closed_field_copies_nothing() -> None:
    field = FieldKnowledge(path=("ticket",), values={}, shapes=(BARE,))
    assert offered(field, "user", "My order 7781, please") == set()


def test_json_offers_its_values_to_the_field_of_its_key_and_to_linked_ones() -> None:
    field = FieldKnowledge(path=("guest",), values={}, shapes=(BARE,), keys=("holder",))
    assert offered(field, "assistant", 'call {"guest": "is(\\"Ann\\")", "other": "Bo"}') == {
        ('"is(\\"Ann\\")"', ASKED),
        ('"Ann"', ASKED),
    }
    assert offered(field, "tool", '{"holder": "Cy"}') == {('"Cy"', FOUND)}


def test_spans_after_a_trigger_stop_at_a_mark() -> None:
    piece = read(Message("user", "well my name is jo ann, by the way and nothing more than that to say")).talk
    spans = {(s.first, s.last) for s in open_spans(piece, {"is"}, numbers_only=False) if s.trigger == "is"}
    assert spans == {(4, 4), (4, 5)}
