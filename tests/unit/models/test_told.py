"""What people have told in a conversation so far."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.case import Case, Message
from tokencapital.models.told import MOST_COUNTED, NO_GAZETTEER, field_number, learn_gazetteer, telling_of

CITY, DAY = field_number("city"), field_number("day")


def make_case(group: str, *messages: tuple[str, str]) -> Case:
    return Case(
        id=group,
        capability="triage",
        group=group,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        messages=tuple(Message(role, content) for role, content in messages),
    )


def call(**fields: object) -> tuple[str, str]:
    return "assistant", f"query weather {json.dumps(fields)}"


def learned_from(*asked: str) -> Sequence[Case]:
    """Two conversations for each city, in which the weather there on Monday is asked and looked up."""
    return [
        make_case(f"{city}{copy}", ("user", f"How will it be in {city} on monday?"), call(city=city, day="Monday"))
        for city in asked
        for copy in "ab"
    ]


def test_a_usual_value_in_other_words_tells_its_field() -> None:
    gazetteer = learn_gazetteer(learned_from("New York", "Bonn"))
    assert sorted(gazetteer.told(make_case("c", ("user", "I am off to new york")))) == [(CITY, 1)]
    both = make_case("c", ("user", "Monday it is."), ("assistant", "Where?"), ("user", "Bonn or New York"))
    assert gazetteer.told(both) == sorted([(CITY, 2), (DAY, 1)])


def test_only_what_a_person_said_counts() -> None:
    gazetteer = learn_gazetteer(learned_from("Bonn"))
    assert gazetteer.told(make_case("c", ("user", "hello"), ("assistant", "Bonn on Monday?"))) == []


def test_a_value_of_one_conversation_is_not_usual() -> None:
    once = learned_from("Bonn")[:1]
    assert len(learn_gazetteer([*once, *once])) == 0


def test_what_is_repeated_after_a_result_was_not_told_first() -> None:
    cases = [
        make_case(copy, ("user", "the weather?"), ("tool", '{"sky": "clear"}'), ("user", "clear, fine"))
        for copy in "ab"
    ]
    assert len(learn_gazetteer(cases)) == 0


def test_numbers_are_one_word_and_a_quoted_part_is_the_value() -> None:
    cases = [
        make_case(copy, ("user", f"room {room}, in Bonn"), call(room=room, city='is("Bonn")'))
        for copy, room in (("a", 17), ("b", 301))
    ]
    told = learn_gazetteer(cases).told(make_case("c", ("user", "I am in 5 at Bonn")))
    assert {field for field, _ in told} == {CITY, field_number("room")}


def test_a_phrase_does_not_reach_over_messages() -> None:
    gazetteer = learn_gazetteer(learned_from("New York"))
    assert gazetteer.told(make_case("c", ("user", "what is new"), ("user", "york"))) == []


def test_a_count_stops_at_the_most() -> None:
    cities = ("Bonn", "Rome", "Oslo", "Bern", "Riga")
    gazetteer = learn_gazetteer(learned_from(*cities))
    assert gazetteer.told(make_case("c", ("user", " ".join(cities)))) == [(CITY, MOST_COUNTED)]


def test_no_word_is_kept() -> None:
    assert b"onn" not in b"".join(vars_of(learned_from("Bonn")[0]))
    assert NO_GAZETTEER.told(learned_from("Bonn")[0]) == []


def vars_of(case: Case) -> list[bytes]:
    telling = telling_of(case)
    return [telling.phrases, telling.values, telling.fields]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
CONTENT = st.text(max_size=40) | JSON.map(json.dumps)


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "tool"]), CONTENT), max_size=6))
def test_any_conversation_tells_phrases_ascending_and_values_among_them(messages: list[tuple[str, str]]) -> None:
    telling = telling_of(make_case("g", *messages))
    phrases, values = np.frombuffer(telling.phrases, np.uint32), np.frombuffer(telling.values, np.uint32)
    assert (np.diff(phrases.astype(np.int64)) > 0).all()
    assert np.isin(values, phrases).all()
    assert len(telling.fields) == len(telling.values)
