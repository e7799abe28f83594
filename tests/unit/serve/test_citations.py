"""Whatever is written, no citation of a passage that does not exist goes out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.answer import Answer, Stage
from tokencapital.core.case import Json
from tokencapital.core.knowledge import Citation, PassageHit
from tokencapital.serve.citations import check_answer, cite, mentioned

NOW = datetime(2026, 2, 1, tzinfo=UTC)
KNOWN = ("psg_aaaa", "psg_bbbb", "psg_cccc")
LOOKS_LIKE_A_PASSAGE = re.compile(r"psg_\w*", re.IGNORECASE)
LOOKS_LIKE_A_NUMBER = re.compile(r"[\[【]\s*\d{1,3}\s*[\]】]")


def hit(identity: str) -> PassageHit:
    return PassageHit(id=identity, title="Rules", heading="Part", document="doc_1", version=1, text="Words.")


class Shelf:
    """Knows some passages, of which some hold."""

    def __init__(self, *holding: str) -> None:
        self.holding = holding

    def find(self, text: str, most: int, now: datetime) -> Sequence[PassageHit]:
        return [hit(one) for one in self.holding[:most]]

    def standing(self, ids: Sequence[str], now: datetime) -> Mapping[str, Citation]:
        return {one: hit(one).citation for one in ids if one in self.holding}


STANDING = Shelf(*KNOWN).standing(KNOWN, NOW)


@pytest.mark.parametrize(
    ("written", "out", "removed"),
    [
        ("So it is [1].", "So it is [psg_aaaa].", 0),
        ("So it is [1][2], or [2, 3].", "So it is [psg_aaaa][psg_bbbb], or [psg_bbbb][psg_cccc].", 0),
        ("So it is [9].", "So it is.", 1),
        ("So it is [0] [1, 9].", "So it is [psg_aaaa].", 2),
        ("See [passage 2] and 【3】 and [^1].", "See [psg_bbbb] and [psg_cccc] and [psg_aaaa].", 0),
        ("See psg_bbbb, [psg_zzzz] and PSG_AAAA.", "See [psg_bbbb], and [psg_aaaa].", 1),
        ("psg_bbbbx is not psg_bbbb", " is not [psg_bbbb]", 1),
        ("In [2024] and (1) and x[i].", "In [2024] and (1) and x[i].", 0),
        ("[psg_[psg_zzzz]yyyy]", "[yyyy]", 2),
        ("Yes [8][2] [1 and psg_cccc].", "Yes [psg_bbbb][psg_aaaa][psg_cccc].", 1),
        ("nothing", "nothing", 0),
    ],
)
def test_what_becomes_of_citations(written: str, out: str, removed: int) -> None:
    found = cite(written, KNOWN, STANDING)
    assert (found.text, found.removed) == (out, removed)


def test_numbers_are_no_citations_where_nothing_was_shown() -> None:
    assert cite("Choose [1] or psg_zzzz.", (), STANDING).text == "Choose [1] or."


PIECES = st.sampled_from(
    [*KNOWN, "psg_", "PSG_", "psg_dddd", "[", "]", "[[", "]]", "【", "】", "1", "2", "9", "12", " ", ",", "and ",
     "passage ", "^", "#", "word", "\n", "１", "\u200b"]
)  # fmt: skip
WRITTEN = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=40).map("".join))


@given(WRITTEN, st.integers(0, 3), st.sets(st.sampled_from(KNOWN)))
def test_no_citation_goes_out_that_does_not_hold(written: str, shown: int, holding: set[str]) -> None:
    numbered = KNOWN[:shown]
    standing = {one: STANDING[one] for one in numbered if one in holding}
    out = cite(written, numbered, standing)
    assert {one.lower() for one in LOOKS_LIKE_A_PASSAGE.findall(out.text)} <= set(standing)
    assert set(out.passages) <= set(standing)
    if shown:
        assert not LOOKS_LIKE_A_NUMBER.search(out.text)


@given(WRITTEN)
def test_what_went_out_stays_as_it_is(written: str) -> None:
    once = cite(written, KNOWN, STANDING)
    again = cite(once.text, KNOWN, STANDING)
    assert (again.text, again.removed) == (once.text, 0)


@given(st.text(st.characters(exclude_characters="[]【】_"), max_size=80))
def test_words_without_citations_are_left_alone(written: str) -> None:
    assert cite(written, KNOWN, STANDING).text == written


@pytest.mark.parametrize(
    "written", [" " * 50_000 + "x", "[1" + " " * 50_000, "[1 " * 20_000, "[psg_" * 9_000 + "]" * 9_000]
)
def test_no_text_takes_long(written: str) -> None:
    started = process_time()
    cite(written, KNOWN, STANDING)
    assert process_time() - started < 1


def answer(value: Json, source: Stage | None = Stage.GENERALIST) -> Answer:
    return Answer(value=value, stage=Stage.PERSON, source=source, because=("jdg_1",))


def test_an_answer_rests_on_what_it_cites() -> None:
    checked = check_answer(answer("Yes [2]. [7]"), [hit(one) for one in KNOWN], Shelf(*KNOWN), NOW)
    assert checked.answer.value == "Yes [psg_bbbb]."
    assert checked.answer.because == ("jdg_1", "psg_bbbb")
    assert [one.id for one in checked.citations] == ["psg_bbbb"]
    assert checked.removed == 1


def test_what_was_retired_while_the_model_wrote_is_taken_out() -> None:
    checked = check_answer(answer("Yes [1][2]."), [hit(one) for one in KNOWN], Shelf("psg_bbbb"), NOW)
    assert (checked.answer.value, checked.removed) == ("Yes [psg_bbbb].", 1)


def test_a_generalist_may_cite_only_what_it_was_shown() -> None:
    checked = check_answer(answer("Yes psg_bbbb."), [hit("psg_aaaa")], Shelf(*KNOWN), NOW)
    assert (checked.answer.value, checked.removed) == ("Yes.", 1)


@pytest.mark.parametrize("source", [None, Stage.SPECIALIST, Stage.RECALL])
def test_what_a_person_wrote_may_cite_whatever_holds(source: Stage | None) -> None:
    checked = check_answer(answer("By [1] psg_bbbb, psg_dddd.", source), (), Shelf(*KNOWN), NOW)
    assert (checked.answer.value, checked.removed) == ("By [1] [psg_bbbb],.", 1)
    assert [one.id for one in checked.citations] == ["psg_bbbb"]


def test_without_knowledge_nothing_can_be_cited() -> None:
    assert check_answer(answer("Yes psg_bbbb [1]."), (), None, NOW).answer.value == "Yes [1]."


def test_where_nothing_is_left_nobody_has_answered() -> None:
    checked = check_answer(answer("[4] psg_zzzz"), [hit("psg_aaaa")], Shelf(*KNOWN), NOW)
    assert (checked.answer, checked.removed) == (Answer(value=None, stage=Stage.PERSON), 2)


def test_the_texts_of_an_object_are_checked_too() -> None:
    value = {"note": "see psg_zzzz", "rooms": ["psg_aaaa", 3], "n": 1, "none": None, "list": "[1]"}
    checked = check_answer(answer(value), [hit("psg_aaaa")], Shelf(*KNOWN), NOW)
    assert checked.answer.value == {"note": "see", "rooms": ["[psg_aaaa]", 3], "n": 1, "none": None, "list": "[1]"}
    assert (checked.removed, [one.id for one in checked.citations]) == (1, ["psg_aaaa"])
    assert mentioned(value) == {"psg_zzzz", "psg_aaaa"}


@pytest.mark.parametrize("value", ["a_label", None])
def test_an_answer_without_citations_is_as_it_was(value: str | None) -> None:
    given_answer = answer(value)
    assert check_answer(given_answer, [hit("psg_aaaa")], Shelf(*KNOWN), NOW).answer == given_answer
