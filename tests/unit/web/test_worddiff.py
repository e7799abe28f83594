"""The difference between two texts adds up to both of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tokencapital.web.worddiff import Piece, word_diff


def test_a_word_that_was_changed_is_removed_and_added() -> None:
    assert word_diff("it leaves today.", "it leaves tomorrow.") == [
        Piece("kept", "it leaves "),
        Piece("removed", "today"),
        Piece("added", "tomorrow"),
        Piece("kept", "."),
    ]


@given(st.text(max_size=60), st.text(max_size=60))
def test_pieces_add_up_to_both_texts(before: str, after: str) -> None:
    pieces = word_diff(before, after)
    assert "".join(one.text for one in pieces if one.change != "added") == before
    assert "".join(one.text for one in pieces if one.change != "removed") == after


def test_long_texts_are_compared_by_lines() -> None:
    before = "word " * 5_000 + "\nend"
    assert [one.change for one in word_diff(before, before + " of it")] == ["kept", "removed", "added"]
