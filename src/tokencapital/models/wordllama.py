"""Embedded static embeddings: a vector per token, added up, from the weights inside the `wordllama` wheel.

Miller, WordLlama: Recycled Token Embeddings from Large Language Models (2024). Only the two data
files of the wheel are read: its own loader asks the network for what the wheel carries.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import accumulate, chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tokencapital.core.errors import SettingsError
from tokencapital.models.arrays import FloatArray, unit_rows

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_WEIGHTS = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
_TEXTS_AT_ONCE = 32
"""So many gathered rows stay in the second-level cache, which halves the time of a large batch."""
_CACHED_WORDS = 50_000
_CACHED_WORD_LENGTH = 40


class WordLlamaEmbedder:
    """256 dimensions in about 20 microseconds a text, without network. Weights are read on first use.

    They take 32 MB as float32: half of that as float16 would double the time. May be used from
    several threads.
    """

    name = "wordllama-l2-supercat-256"
    dimensions = 256

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: tuple[Tokenizer, FloatArray] | None = None
        self._words: dict[str, list[int]] = {}

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """A float32 array of shape (len(texts), 256) with rows of length 1; text without words: zeros.

        Raises SettingsError where the files of the `wordllama` wheel are missing.
        """
        tokenizer, vectors = self._loaded or self._load()
        tokens = [self._tokens(tokenizer, text) for text in texts]
        if len(tokens) == 1 and tokens[0]:
            total = np.add.reduce(vectors.take(tokens[0], axis=0), axis=0)
            return np.asarray((total / np.sqrt(total @ total))[None, :])
        sums = np.zeros((len(tokens), self.dimensions), dtype=np.float32)
        _add_up(vectors, tokens, sums)
        return unit_rows(sums)

    def _tokens(self, tokenizer: Tokenizer, text: str) -> list[int]:
        # No token of this vocabulary reaches over a space, so words may be encoded, and kept, one by one.
        tokens: list[int] = []
        for word in text.split():
            tokens += self._words.get(word) or self._encode(tokenizer, word)
        return tokens

    def _encode(self, tokenizer: Tokenizer, word: str) -> list[int]:
        ids: list[int] = tokenizer.encode(word, add_special_tokens=False).ids
        if len(word) <= _CACHED_WORD_LENGTH:
            if len(self._words) >= _CACHED_WORDS:
                self._words.clear()
            self._words[word] = ids
        return ids

    def _load(self) -> tuple[Tokenizer, FloatArray]:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        with self._lock:
            if self._loaded is None:
                folder = _package_folder()
                vectors = load_file(folder / _WEIGHTS)["embedding.weight"].astype(np.float32)
                self._loaded = Tokenizer.from_file(str(folder / _TOKENIZER)), vectors
            return self._loaded


def _add_up(vectors: FloatArray, tokens: Sequence[Sequence[int]], sums: FloatArray) -> None:
    """Writes into each row of `sums` the sum of the vectors of that text's tokens."""
    worded = [row for row, ids in enumerate(tokens) if ids]
    for start in range(0, len(worded), _TEXTS_AT_ONCE):
        rows = worded[start : start + _TEXTS_AT_ONCE]
        flat = list(chain.from_iterable(tokens[row] for row in rows))
        starts = list(accumulate((len(tokens[row]) for row in rows[:-1]), initial=0))
        sums[rows] = np.add.reduceat(vectors.take(flat, axis=0), starts, axis=0)


def _package_folder() -> Path:
    spec = find_spec("wordllama")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place)
        if (folder / _WEIGHTS).is_file() and (folder / _TOKENIZER).is_file():
            return folder
    raise SettingsError(
        "the embedded embeddings are not installed",
        where="package wordllama",
        remedy="Run: pip install 'wordllama>=0.4.0'",
    )
