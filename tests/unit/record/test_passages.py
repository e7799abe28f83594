"""Passages stand under one heading, are of a size to read, and cut nothing in the middle."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tokencapital.record.passages import FEWEST_WORDS, MOST_WORDS, Block, pack, sentences

words = st.integers(1, 60).flatmap(
    lambda n: st.lists(st.sampled_from(["rule", "desk", "form", "Team"]), min_size=n, max_size=n)
)
sentence = words.map(lambda said: " ".join(said).capitalize() + ".")
blocks = st.lists(
    st.builds(
        lambda path, said, whole: Block((path,), " ".join(said), whole),
        st.sampled_from(["One", "Two"]),
        st.lists(sentence, min_size=1, max_size=9),
        st.booleans(),
    ),
    max_size=12,
)


@given(blocks)
def test_no_word_is_lost_or_moved(given_blocks: list[Block]) -> None:
    packed = " ".join(piece.text for piece in pack(given_blocks))
    assert packed.split() == " ".join(block.text for block in given_blocks).split()


@given(blocks)
def test_nothing_is_cut_in_the_middle(given_blocks: list[Block]) -> None:
    pieces = list(pack(given_blocks))
    for block in given_blocks:
        units = [block.text] if block.whole else sentences(block.text)
        for unit in units:
            assert any(unit in piece.text and piece.heading == block.path for piece in pieces), unit


@given(blocks)
def test_a_passage_is_long_only_where_one_block_is(given_blocks: list[Block]) -> None:
    for piece in pack(given_blocks):
        longest = max(len(line.split()) for line in piece.text.splitlines())
        assert len(piece.text.split()) <= max(MOST_WORDS, longest)


@given(st.lists(sentence, min_size=3, max_size=30))
def test_short_paragraphs_of_one_section_are_gathered(said: list[str]) -> None:
    pieces = list(pack(Block(("One",), one) for one in said))
    assert all(len(piece.text.split()) >= FEWEST_WORDS for piece in pieces[:-1])


def test_a_lead_in_stays_with_what_it_leads_to() -> None:
    filler = " ".join(["word"] * FEWEST_WORDS) + "."
    found = list(pack([Block((), filler), Block((), "You need:"), Block((), "- a badge", whole=True)]))
    assert [piece.text for piece in found] == [filler, "You need:\n- a badge"]


def test_abbreviations_end_no_sentence() -> None:
    text = "Ask Dr. Lang, e.g. by phone. She is in room 4.02. Is she away? Then write!"
    assert sentences(text) == ["Ask Dr. Lang, e.g. by phone.", "She is in room 4.02.", "Is she away?", "Then write!"]
    assert sentences("一つ目。二つ目。") == ["一つ目。", "二つ目。"]
