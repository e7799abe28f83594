"""The embedded embeddings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokencapital.models.wordllama import WordLlamaEmbedder


@pytest.fixture(scope="module")
def embedder() -> WordLlamaEmbedder:
    return WordLlamaEmbedder()


def test_paraphrases_are_nearer_than_other_subjects(embedder: WordLlamaEmbedder) -> None:
    stolen, theft, rate = embedder.embed(
        ["My card was stolen yesterday", "Someone stole my bank card", "What is today's exchange rate for euros?"]
    )
    assert stolen @ theft > 0.5 > stolen @ rate


def test_rows_agree_with_sums_over_the_tokens_of_the_whole_text(embedder: WordLlamaEmbedder) -> None:
    """An oracle that encodes the text in one piece, as the tokenizer's makers do."""
    text = "Why hasn't my 2nd top-up (£20) arrived?"
    embedder.embed([text])
    assert embedder._loaded is not None
    tokenizer, vectors = embedder._loaded
    total = vectors[tokenizer.encode(text, add_special_tokens=False).ids].sum(axis=0)
    assert np.allclose(embedder.embed([text])[0], total / np.linalg.norm(total), atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text(max_size=30), max_size=70))
def test_a_batch_gives_what_its_texts_give_alone(embedder: WordLlamaEmbedder, texts: list[str]) -> None:
    together = embedder.embed(texts)
    assert together.shape == (len(texts), 256)
    for row, text in enumerate(texts):
        assert np.allclose(embedder.embed([text])[0], together[row], atol=1e-5)


def test_text_without_words_is_a_row_of_zeros(embedder: WordLlamaEmbedder) -> None:
    assert not embedder.embed([" \n\t"]).any()


def test_only_short_words_are_kept(embedder: WordLlamaEmbedder) -> None:
    embedder.embed(["a" * 100, "hello"])
    assert "hello" in embedder._words
    assert "a" * 100 not in embedder._words
