"""Scores of rows against plain implementations that are easy to believe."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.models.wordllama import WordLlamaEmbedder
from tokencapital.store.ranking import (
    LENGTH_PART,
    OTHER_PART,
    SATURATION,
    Meanings,
    MeaningScores,
    WordScores,
    best,
)
from tokencapital.store.words import counted, others, stem, words

TEXTS = st.lists(
    st.lists(st.sampled_from(["phone", "mobile", "desk", "printer", "zebra", "quartz", "lamp"]), max_size=12),
    min_size=1,
    max_size=9,
)


def plain(texts: list[list[str]], query: list[str]) -> list[float]:
    """BM25 word by word, as the share of what could be reached."""
    rows = [counted(text) for text in texts]
    mean = max(sum(sum(row.values()) for row in rows) / len(rows), 1)

    def rarity(number: int) -> float:
        found = sum(number in row for row in rows)
        return math.log1p((len(rows) - found + 0.5) / (found + 0.5))

    def part(number: int, row: Counter[int]) -> float:
        damping = SATURATION * (1 - LENGTH_PART + LENGTH_PART * sum(row.values()) / mean)
        return row[number] / (row[number] + damping)

    scores, reachable = [0.0] * len(rows), 0.0
    for number, times in counted(query).items():
        same = [other for other in others(number) if any(other in row for row in rows)]
        known = any(number in row for row in rows)
        most = rarity(number) if known or not same else max(rarity(other) for other in same)
        reachable += times * most
        for place, row in enumerate(rows):
            own = most * part(number, row) if known else 0.0
            other = max((OTHER_PART * min(most, rarity(one)) * part(one, row) for one in same), default=0.0)
            scores[place] += times * max(own, other)
    return [score / reachable for score in scores]


@given(TEXTS, st.lists(st.sampled_from(["phone", "zebra", "lamp", "unheard"]), min_size=1, max_size=4))
def test_scores_are_those_of_the_formula(texts: list[list[str]], query: list[str]) -> None:
    index = WordScores()
    for text in texts:
        index.add(counted(text))
    assert index.scores(counted(query)) == pytest.approx(plain(texts, query), abs=1e-5)


@given(TEXTS, st.data())
def test_compacting_is_as_if_the_rest_had_never_come(texts: list[list[str]], data: st.DataObject) -> None:
    kept = data.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts)))
    index, fresh = WordScores(), WordScores()
    for text, stays in zip(texts, kept, strict=True):
        index.add(counted(text))
        if stays:
            fresh.add(counted(text))
    index.compact(np.array(kept))
    query = counted(["phone", "zebra"])
    assert index.scores(query) == pytest.approx(fresh.scores(query))
    assert (len(index), index.size_bytes) == (len(fresh), fresh.size_bytes)


def test_a_word_finds_others_for_the_same_thing_at_a_discount() -> None:
    index = WordScores()
    for text in (["mobile"], ["phone"], ["printer"]):
        index.add(counted(text))
    mobile, phone, printer = index.scores(counted(["phone"])).tolist()
    assert phone > mobile > printer == 0.0


def test_cosines_in_bytes_are_close_to_those_of_floats() -> None:
    vectors = np.random.default_rng(0).standard_normal((5_000, 256)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = MeaningScores()
    for start in range(0, len(vectors), 700):
        index.add(vectors[start : start + 700])
    assert np.abs(index.scores(vectors[3]) - vectors @ vectors[3]).max() < 0.01
    index.forget(3)
    assert index.scores(vectors[3])[3] == 0.0
    kept = np.arange(5_000) % 2 == 0
    index.compact(kept)
    index.add(vectors[:1])
    assert np.abs(index.scores(vectors[4]) - np.append(vectors[kept], vectors[:1], axis=0) @ vectors[4]).max() < 0.01


def test_meanings_are_unit_vectors_whatever_was_asked_before(embedder: WordLlamaEmbedder) -> None:
    texts = [["invoice"], ["pay", "the", "bill"], [], ["the"]]
    found = Meanings(embedder.embed).of(texts)
    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 1, 0, 1])
    warmed = Meanings(embedder.embed)
    warmed.of([["something", "else"]])
    assert warmed.of(texts) == pytest.approx(found, abs=1e-6)
    assert found[0] @ found[1] > found[0] @ found[3]


def test_the_best_come_first_and_none_that_is_not_allowed() -> None:
    scores = np.array([0.2, 0.0, 0.9, 0.2, 0.5], np.float32)
    allowed = np.array([True, True, True, True, False])
    assert best(scores, allowed, 9).tolist() == [2, 0, 3]
    assert best(scores, allowed, 1).tolist() == [2]
    assert best(scores[:0], allowed[:0], 3).tolist() == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("booking", "booked"),
        ("invoices", "invoice"),
        ("policies", "policy"),
        ("reservation", "reserve"),
        ("boxes", "box"),
        ("pass", "passing"),
    ],
)
def test_bent_words_are_one(one: str, other: str) -> None:
    assert stem(one) == stem(other)


@pytest.mark.parametrize(("one", "other"), [("bus", "bu"), ("thing", "th"), ("status", "statu"), ("need", "ne")])
def test_no_more_is_cut_than_leaves_a_word(one: str, other: str) -> None:
    assert stem(one) != stem(other)


def test_words_are_folded_and_split() -> None:
    assert words("askDay ask_name Größe café 4.02 it’s") == [
        "ask", "day", "ask", "name", "grosse", "cafe", "4", "02", "it’s",
    ]  # fmt: skip
    assert words("東京都") == ["東京", "京都"]
    assert counted(["the", "of"]) == {}
