"""What a model sees of a case: one text for the embedder, and sparse n-grams that know their place.

A word means something else in the customer's last message than in a tool's result, so every token
carries the *block* it comes from. Each block of a case is weighted by tf-idf and scaled to unit
length; block weights say how much a block counts in the similarity of two cases.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tokencapital.core.case import Case, Json, Message
from tokencapital.models.arrays import FloatArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BLOCK_WEIGHTS: Mapping[str, float] = {
    "word": 0.35,
    "char": 0.65,
    "prev": 0.5,
    "turn": 1.0,
    "cross": 1.0,
    "said": 1.0,
    "tool": 2.0,
    "past_tool": 1.0,
    "past": 0.5,
    "context": 1.0,
}
"""How much each block counts in the similarity of two cases."""

_WORD = re.compile(r"\w+|[^\w\s]")
_ALPHANUMERIC = re.compile(r"\w+")
_DIGITS = re.compile(r"\d+")
_CHAR_LENGTHS = (2, 3, 4, 5)
_MESSAGE_CHARS = 2_000
_TEXT_MESSAGES = 3
_PAST_MESSAGES = 40
_ID_CHARS = 160
_VALUE_WORDS = 20
_PAIRS = 60


def case_text(case: Case) -> str:
    """What the embedder reads of a case: its last three messages and its context, newest last."""
    parts = [message.content[:_MESSAGE_CHARS] for message in case.messages[-_TEXT_MESSAGES:]]
    parts += [f"{key}: {value}" for key, value in sorted(case.context.items())]
    return "\n".join(parts)


def label_text(label: str) -> str:
    """A label as words: `card_not_working` and `cardNotWorking` read `card not working`."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label)
    return re.sub(r"[_\W]+", " ", spaced).strip()


def case_blocks(case: Case) -> dict[str, list[str]]:
    """The tokens of a case by block; tokens may repeat, blocks that have none are left out."""
    messages = case.messages[-_PAST_MESSAGES:]
    asked = _last(messages, "user")
    request = asked.content[:_MESSAGE_CHARS] if asked else ""
    blocks: dict[str, list[str]] = {"word": list(_word_grams(request)), "char": list(_char_grams(request))}
    if messages and (len(messages) > 1 or asked is None):
        _add_conversation(blocks, messages, request)
    blocks["context"] = [token for pair in _flatten("", case.context) for token in _pair_tokens(*pair)]
    return {name: tokens for name, tokens in blocks.items() if tokens}


class FeatureSpace(Struct, frozen=True):
    """The columns that tokens map to: learned once from cases, then only read.

    `columns` gives each block's tokens their columns, `idf` is (columns,) float32.
    """

    columns: Mapping[str, Mapping[str, int]]
    idf: FloatArray

    def row(self, case: Case) -> tuple[list[int], FloatArray]:
        """Columns and float32 values of one case; tokens that the space does not know are left out.

        Within a block the value of a token is (1 + ln tf) idf; the block's vector is then scaled to the
        square root of its weight.
        """
        indices: list[int] = []
        counts: list[int] = []
        sizes: list[int] = []
        weights: list[float] = []
        for name, tokens in case_blocks(case).items():
            seen = self._counts(name, tokens)
            if seen:
                indices += seen
                counts += seen.values()
                sizes.append(len(seen))
                weights.append(BLOCK_WEIGHTS[name])
        return indices, self._values(indices, counts, np.array(sizes), np.array(weights, np.float32))

    def matrix(self, cases: Sequence[Case]) -> csr_matrix:
        """The rows of many cases, (n, columns) float32."""
        from scipy.sparse import csr_matrix

        rows = [self.row(case) for case in cases]
        starts = np.cumsum([0, *(len(found) for found, _ in rows)])
        indices = np.fromiter((column for found, _ in rows for column in found), np.int32, starts[-1])
        values = np.concatenate([np.empty(0, np.float32), *(value for _, value in rows)])
        return csr_matrix((values, indices, starts), shape=(len(rows), len(self.idf)))

    def _counts(self, name: str, tokens: Iterable[str]) -> dict[int, int]:
        column_of = self.columns.get(name, {}).get
        counts: dict[int, int] = {}
        for column in map(column_of, tokens):
            if column is not None:
                counts[column] = counts.get(column, 0) + 1
        return counts

    def _values(
        self, indices: list[int], counts: list[int], sizes: NDArray[np.intp], weights: FloatArray
    ) -> FloatArray:
        if not indices:
            return np.empty(0, np.float32)
        raw = self.idf[indices] * (np.log(np.array(counts, np.float32)) + np.float32(1))
        squares = np.add.reduceat(raw * raw, np.cumsum(sizes) - sizes)
        return np.asarray(raw * np.repeat(np.sqrt(weights / squares), sizes), np.float32)


def learn_space(cases: Sequence[Case], *, least_cases: int = 2) -> FeatureSpace:
    """The space of all tokens that at least `least_cases` of the cases hold.

    idf = ln((1 + n) / (1 + df)) + 1, as in scikit-learn's TfidfVectorizer with smoothing.
    """
    frequency: dict[str, Counter[str]] = {name: Counter() for name in BLOCK_WEIGHTS}
    for case in cases:
        for name, tokens in case_blocks(case).items():
            frequency[name].update(set(tokens))
    columns: dict[str, dict[str, int]] = {}
    counts: list[int] = []
    for name, seen in frequency.items():
        kept = sorted(token for token, count in seen.items() if count >= least_cases)
        columns[name] = {token: len(counts) + place for place, token in enumerate(kept)}
        counts += [seen[token] for token in kept]
    idf = np.log((1 + len(cases)) / (1 + np.array(counts, np.float64))) + 1
    return FeatureSpace(columns, idf.astype(np.float32))


def _add_conversation(blocks: dict[str, list[str]], messages: Sequence[Message], request: str) -> None:
    said = [_identity(message.content) for message in messages if message.role == "assistant"]
    roles = [message.role for message in messages]
    newest, before = [*reversed(said), "-", "-"][:2]
    state = f"{roles[-1]} {newest}"
    blocks["turn"] = [
        *(f"roles {' '.join(roles[-depth:])}" for depth in (1, 2, 3)),
        f"length {min(len(roles) // 2, 8)}",
        f"said {newest}",
        f"before {before}",
        f"both {newest} {before}",
    ]
    blocks["cross"] = [f"{state} {word}" for word in set(_words(request))]
    blocks["said"] = sorted(set(said))
    answered = _last(messages, "assistant")
    blocks["prev"] = list(_word_grams(answered.content[:_MESSAGE_CHARS])) if answered else []
    blocks["past"] = sorted({word for m in messages[:-1] if m.role == "user" for word in _words(m.content)})
    _add_tool(blocks, messages, request)


def _add_tool(blocks: dict[str, list[str]], messages: Sequence[Message], request: str) -> None:
    places = [place for place, message in enumerate(messages) if message.role == "tool"]
    if not places:
        return
    asked = set(_words(request))
    tokens = [f"age {min(len(messages) - 1 - places[-1], 4)}"]
    for key, value in _tool_pairs(messages[places[-1]].content):
        tokens += _pair_tokens(key, value)
        words = _words(value)
        if words and asked.issuperset(words):
            tokens.append(f"{key} was said")
    blocks["tool" if places[-1] == len(messages) - 1 else "past_tool"] = tokens


def _last(messages: Sequence[Message], role: str) -> Message | None:
    return next((message for message in reversed(messages) if message.role == role), None)


@lru_cache(maxsize=4096)
def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text[:_MESSAGE_CHARS].lower()))


@lru_cache(maxsize=4096)
def _identity(text: str) -> str:
    """What a canned message is known by: its words with numbers masked."""
    return _DIGITS.sub("#", " ".join(_words(text)))[:_ID_CHARS]


def _word_grams(text: str) -> list[str]:
    words = _words(text)
    return [*words, *(f"{left} {right}" for left, right in zip(("^", *words), (*words, "$"), strict=True))]


def _char_grams(text: str) -> list[str]:
    return [gram for word in _ALPHANUMERIC.findall(text.lower()) for gram in _grams_of_word(word)]


@lru_cache(maxsize=16_384)
def _grams_of_word(word: str) -> tuple[str, ...]:
    padded = f" {word} "
    return tuple(
        padded[start : start + length] for length in _CHAR_LENGTHS for start in range(len(padded) - length + 1)
    )


@lru_cache(maxsize=1024)
def _tool_pairs(content: str) -> tuple[tuple[str, str], ...]:
    try:
        return tuple(_flatten("", json.loads(content)))[:_PAIRS]
    except ValueError:
        return (("text", content[:_MESSAGE_CHARS]),)


def _flatten(path: str, value: Json) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [pair for key in value for pair in _flatten(f"{path}.{key}" if path else str(key), value[key])]
    if isinstance(value, list | tuple):
        return [pair for item in value for pair in _flatten(path, item)]
    return [(path, str(value))]


def _pair_tokens(key: str, value: str) -> list[str]:
    words = _words(value)[:_VALUE_WORDS]
    return [key, f"{key}={' '.join(words)}", *(f"{key} {word}" for word in words)]
