"""Groups are assigned by a keyed hash; inputs are compared as people would."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.case import Case, Message
from tokencapital.core.split import Split, assign_split, input_key, keyed_digest, normalize, unit_hash

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
GROUPS = [f"customer-{number}" for number in range(20_000)]


def case(*contents: str, **more: Any) -> Case:
    messages = tuple(Message("user", content) for content in contents)
    return Case(id="1", capability="triage", group="g", at=datetime(2026, 1, 5, tzinfo=UTC), messages=messages, **more)


def test_about_a_tenth_of_the_groups_is_sealed() -> None:
    sealed = sum(assign_split(group, KEY) is Split.SEALED for group in GROUPS)
    # 2,000 are expected, with a standard deviation of 42.
    assert 1_830 < sealed < 2_170


@pytest.mark.parametrize(("share", "split"), [(0.0, Split.TRAIN), (1.0, Split.SEALED)])
def test_a_share_of_nothing_or_of_everything_is_kept_exactly(share: float, split: Split) -> None:
    assert {assign_split(group, KEY, share) for group in GROUPS[:500]} == {split}


def test_a_larger_share_seals_every_group_of_a_smaller_one() -> None:
    small = {group for group in GROUPS[:2_000] if assign_split(group, KEY, 0.1) is Split.SEALED}
    large = {group for group in GROUPS[:2_000] if assign_split(group, KEY, 0.3) is Split.SEALED}
    assert small < large


def test_the_key_decides_and_without_it_nothing_can_be_foretold() -> None:
    ours = [assign_split(group, KEY) for group in GROUPS[:2_000]]
    assert ours == [assign_split(group, KEY) for group in GROUPS[:2_000]]
    theirs = [assign_split(group, OTHER_KEY) for group in GROUPS[:2_000]]
    both = sum(a is b is Split.SEALED for a, b in zip(ours, theirs, strict=True))
    # Independent keys agree on a hundredth of the groups: 20 of 2,000, with a deviation of 4.4.
    assert both < 45


def test_assignments_do_not_move_between_versions() -> None:
    assert assign_split("customer-1", KEY) is Split.TRAIN
    assert round(unit_hash(KEY, "split", "customer-1"), 6) == 0.165363


@given(st.binary(min_size=1, max_size=64), st.lists(st.text(), min_size=1, max_size=3))
def test_a_unit_hash_lies_in_its_interval(key: bytes, parts: list[str]) -> None:
    assert 0.0 <= unit_hash(key, *parts) < 1.0


def test_purposes_draw_independently() -> None:
    assert unit_hash(KEY, "split", "a") != unit_hash(KEY, "draw", "a")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("My card was stolen", "  my   CARD\twas\nstolen "),
        ("ﬁne", "fine"),
        ("Straße", "STRASSE"),
        ("a\u00a0b", "a b"),
        ("２", "2"),
    ],
)
def test_spelling_that_means_the_same_is_one_input(left: str, right: str) -> None:
    assert normalize(left) == normalize(right)
    assert input_key(case(left), KEY) == input_key(case(right), KEY)


@given(st.text())
def test_normalizing_twice_changes_nothing_that_is_compared(text: str) -> None:
    once = normalize(text)
    assert normalize(once + " ") == normalize(once)
    assert once == once.strip()


@pytest.mark.parametrize(
    "other",
    [
        case("stolen card"),
        case("card stolen", "please"),
        case("card stolen", context={"tier": "gold"}),
        case("cardstolen"),
    ],
)
def test_other_words_order_or_context_is_another_input(other: Case) -> None:
    assert input_key(case("card stolen"), KEY) != input_key(other, KEY)


def test_who_says_it_matters_and_who_asks_when_does_not() -> None:
    asked = case("hello")
    said = Case(id="2", capability="x", group="other", at=asked.at, messages=(Message("assistant", "hello"),))
    again = Case(id="3", capability="y", group="another", at=datetime(2027, 1, 1, tzinfo=UTC), messages=asked.messages)
    assert input_key(asked, KEY) != input_key(said, KEY)
    assert input_key(asked, KEY) == input_key(again, KEY)


def test_the_order_of_context_keys_does_not_matter() -> None:
    one, two = case("x", context={"a": 1, "b": {"c": 2, "d": 3}}), case("x", context={"b": {"d": 3, "c": 2}, "a": 1})
    assert input_key(one, KEY) == input_key(two, KEY)


def test_a_digest_tells_nothing_to_whoever_lacks_the_key() -> None:
    assert keyed_digest(KEY, b"words") != keyed_digest(OTHER_KEY, b"words")
    assert len(keyed_digest(KEY, b"words")) == 32
