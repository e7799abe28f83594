"""How well rows of text fit a query: by their words (BM25) and by their meaning (embeddings), on one core.

Words: Robertson and Zaragoza, *The Probabilistic Relevance Framework: BM25 and Beyond* (2009); a word of the
query and others for the same thing count as one, by whichever a row has most of. Meanings: sums of word
vectors in which function words count for less. Postings are arrays that only grow, rows are numbered as they
come, and a removed row is masked until the next `compact`.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from tokencapital.store.words import STOP_WORDS, others

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

Embed = Callable[[Sequence[str]], Floats]
"""Texts to their unit vectors, one row each."""

SATURATION, LENGTH_PART = 1.2, 0.75
"""BM25's k1 and b."""
OTHER_PART = 0.8
"""What another word for the same thing counts for."""
FUNCTION_WORD_PART = 0.7
"""What words such as *when* and *to* count for in a meaning."""
_MOST_VECTORS = 20_000
_MOST_COUNTED = 255
_ROWS_AT_ONCE = 4_096


class WordScores:
    """Postings of rows by the numbers of their words."""

    def __init__(self) -> None:
        self._postings: dict[int, tuple[array[int], array[int]]] = {}
        self._lengths = array("I")

    def __len__(self) -> int:
        return len(self._lengths)

    @property
    def size_bytes(self) -> int:
        """The memory that the postings take, without Python's own part."""
        return 4 * len(self._lengths) + sum(5 * len(rows) for rows, _ in self._postings.values())

    def add(self, counts: Mapping[int, int]) -> None:
        """One more row, with how often each word occurs in it."""
        row = len(self._lengths)
        for number, count in counts.items():
            held = self._postings.get(number)
            if held is None:
                held = self._postings[number] = array("I"), array("B")
            held[0].append(row)
            held[1].append(min(count, _MOST_COUNTED))
        self._lengths.append(min(sum(counts.values()), 2**32 - 1))

    def scores(self, query: Mapping[int, int]) -> Floats:
        """BM25 of every row, shape (n,), as a share in [0, 1] of what a row could reach that has every word often.

        Words that no row has count in that share, so that scores of different queries can be compared.
        """
        total = np.zeros(len(self._lengths), np.float32)
        if not len(total) or not query:
            return total
        lengths = np.frombuffer(self._lengths, np.uint32).astype(np.float32)
        damping = SATURATION * (1 - LENGTH_PART + LENGTH_PART * lengths / max(float(lengths.mean()), 1.0))
        reachable = 0.0
        for number, times in query.items():
            rarity = self._rarity(number) if number in self._postings else None
            same = [other for other in others(number) if other in self._postings]
            most = rarity or max((self._rarity(other) for other in same), default=self._rarity(number))
            reachable += times * most
            weights = {other: OTHER_PART * min(most, self._rarity(other)) for other in same}
            total += times * self._best_of(weights | ({number: rarity} if rarity else {}), damping)
        return total / np.float32(reachable)

    def compact(self, kept: Mask) -> None:
        """Only the rows in the mask (n,) are left, numbered anew in their order; words that no row has are gone."""
        numbers = np.cumsum(kept, dtype=np.uint32) - 1
        postings: dict[int, tuple[array[int], array[int]]] = {}
        for number, (rows, counts) in self._postings.items():
            places = np.frombuffer(rows, np.uint32)
            keep = kept[places]
            if keep.any():
                left = array("I", numbers[places[keep]].astype(np.uint32).tobytes())
                postings[number] = left, array("B", np.frombuffer(counts, np.uint8)[keep].tobytes())
        self._postings = postings
        self._lengths = array("I", np.frombuffer(self._lengths, np.uint32)[kept].tobytes())

    def _rarity(self, number: int) -> float:
        held, rows = self._postings.get(number), len(self._lengths)
        found = len(held[0]) if held else 0
        return float(np.log1p((rows - found + 0.5) / (found + 0.5)))

    def _best_of(self, weights: Mapping[int, float], damping: Floats) -> Floats:
        """For every row what the best of these words brings it."""
        found = np.zeros(len(damping), np.float32)
        for number, weight in weights.items():
            rows, times = self._postings[number]
            places = np.frombuffer(rows, np.uint32)
            counts = np.frombuffer(times, np.uint8).astype(np.float32)
            found[places] = np.maximum(found[places], np.float32(weight) * counts / (counts + damping[places]))
        return found


class Meanings:
    """Texts as unit vectors: the sum of their words' own, of which the most frequent are kept at hand by hash."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._places: dict[int, int] = {}
        self._vectors: Floats = np.empty((0, 0), np.float32)

    def of(self, texts: Sequence[Sequence[str]]) -> Floats:
        """The vectors (n, d) of texts that are given as their words; one without words is zeros."""
        hashed = [[crc32(word.encode("utf-8", "surrogatepass")) for word in text] for text in texts]
        self._learn(
            {
                number: word
                for said, text in zip(hashed, texts, strict=True)
                for number, word in zip(said, text, strict=True)
            }
        )
        sums = np.zeros((len(texts), self._vectors.shape[1]), np.float32)
        for row, (numbers, text) in enumerate(zip(hashed, texts, strict=True)):
            if text:
                parts = np.array([FUNCTION_WORD_PART if word in STOP_WORDS else 1.0 for word in text], np.float32)
                sums[row] = parts @ self._vectors[[self._places[number] for number in numbers]]
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        return np.asarray(sums / np.maximum(lengths, np.float32(1e-12)))

    def _learn(self, said: Mapping[int, str]) -> None:
        fresh = {number: word for number, word in said.items() if number not in self._places}
        if not fresh and len(self._vectors):
            return
        if len(self._places) + len(fresh) > _MOST_VECTORS:
            self._places, self._vectors, fresh = {}, self._vectors[:0], dict(said)
        vectors = self._embed(list(fresh.values()) or [""])
        start = len(self._vectors)
        self._vectors = np.concatenate([self._vectors, vectors]) if start else vectors
        self._places |= {number: start + place for place, number in enumerate(fresh)}


class MeaningScores:
    """Unit vectors of rows, each number kept in a byte: a quarter of the memory, errors of a hundredth of a cosine."""

    def __init__(self) -> None:
        self._bytes = np.empty((0, 0), np.int8)
        self._scales = np.empty(0, np.float32)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def size_bytes(self) -> int:
        """The memory that the vectors take."""
        return self._bytes.nbytes + self._scales.nbytes

    def add(self, vectors: Floats) -> None:
        """More rows, shape (m, d)."""
        if not len(vectors):
            return
        needed = self._count + len(vectors)
        if needed > len(self._scales):
            self._grow(needed, vectors.shape[1])
        scales = np.maximum(np.abs(vectors).max(axis=1), np.float32(1e-12)) / np.float32(127)
        self._bytes[self._count : needed] = np.rint(vectors / scales[:, None])
        self._scales[self._count : needed] = scales
        self._count = needed

    def scores(self, query: Floats) -> Floats:
        """The cosine of every row with the query (d,), shape (n,)."""
        found = np.empty(self._count, np.float32)
        room = np.empty((min(_ROWS_AT_ONCE, self._count), len(query)), np.float32)
        for start in range(0, self._count, _ROWS_AT_ONCE):
            part = self._bytes[start : min(start + _ROWS_AT_ONCE, self._count)]
            room[: len(part)] = part
            found[start : start + len(part)] = room[: len(part)] @ query
        return found * self._scales[: self._count]

    def forget(self, row: int) -> None:
        """Nothing can be read from the row's vector any more."""
        self._bytes[row] = 0

    def compact(self, kept: Mask) -> None:
        """Only the rows in the mask (n,) are left, numbered anew in their order."""
        self._bytes = self._bytes[: self._count][kept]
        self._scales = self._scales[: self._count][kept]
        self._count = int(kept.sum())

    def _grow(self, needed: int, dimensions: int) -> None:
        room = max(needed, len(self._scales) + len(self._scales) // 2, 256)
        bytes_, scales = np.zeros((room, dimensions), np.int8), np.zeros(room, np.float32)
        if self._count:
            bytes_[: self._count], scales[: self._count] = self._bytes[: self._count], self._scales[: self._count]
        self._bytes, self._scales = bytes_, scales


def best(scores: Floats, allowed: Mask, most: int) -> NDArray[np.intp]:
    """The rows of the highest scores above 0 among those allowed, at most so many, best first."""
    masked = np.where(allowed, scores, np.float32(0))
    most = min(most, len(masked))
    if most < 1:
        return np.empty(0, np.intp)
    top = np.argpartition(-masked, most - 1)[:most]
    top = top[np.lexsort((top, -masked[top]))]
    return top[masked[top] > 0]
