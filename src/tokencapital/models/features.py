"""What a model sees of a case: one text for the embedder, and sparse n-grams that know their place.

A word means something else in the customer's last message than in a tool's result, so every token
carries the *block* it comes from. Each block of a case is weighted by tf-idf and scaled to unit
length; block weights say how much a block counts in the similarity of two cases.

Tokens are kept as numbers only (hashed as in Weinberger et al. 2009, *Feature hashing for large scale
multitask learning*): neither an artifact nor the cache holds a customer's words.
"""

from __future__ import annotations

import hashlib
import re
import threading
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain
from typing import TYPE_CHECKING
from zlib import crc32

import msgspec
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

TOKEN_NUMBERS = 1 << 22
"""Tokens are numbered below this; of 70,000 known ones 1 in 60 shares its number with another."""
CACHED_CASES = 32_768
"""Cases whose token numbers are kept, a kilobyte or two each."""

_BLOCKS = tuple(BLOCK_WEIGHTS)
_WEIGHTS = np.array(list(BLOCK_WEIGHTS.values()), np.float32)
_STARTS = {name: crc32(name.encode()) for name in _BLOCKS}
_MOST_COUNTED = 255
_COUNT_WEIGHTS = (1 + np.log(np.maximum(np.arange(_MOST_COUNTED + 1), 1))).astype(np.float32)
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
_STATE_PAIRS = 4
_STATE_CHARS = 40


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
    """The tokens of a case by block, but for `char`; tokens may repeat, empty blocks are left out."""
    messages = case.messages[-_PAST_MESSAGES:]
    asked = _last(messages, "user")
    request = asked.content[:_MESSAGE_CHARS] if asked else ""
    pairs = _flatten("", case.context)
    blocks: dict[str, list[str]] = {"word": _word_grams(request)}
    if messages and (len(messages) > 1 or asked is None):
        _add_conversation(blocks, messages, request, pairs)
    blocks["context"] = [token for pair in pairs for token in _pair_tokens(*pair)]
    return {name: tokens for name, tokens in blocks.items() if tokens}


class CaseTokens(Struct, frozen=True):
    """The tokens of a case as numbers: no word can be read from them.

    `numbers` are uint32, `counts` uint8, block after block; `sizes` uint16, how many tokens each of the
    blocks has. Bytes, because those of many cases are joined.
    """

    numbers: bytes
    counts: bytes
    sizes: bytes


class Rows(Struct, frozen=True):
    """Rows of a sparse matrix: row i has `values` at `columns` from `starts[i]` up to `starts[i + 1]`."""

    columns: NDArray[np.int32]
    values: FloatArray
    starts: NDArray[np.intp]


class FeatureSpace:
    """The columns that tokens map to: learned once from cases, then only read.

    `numbers` (columns,) uint32 ascending are the tokens that have a column, `idf` (columns,) float32 is
    what a rare token counts more.
    """

    def __init__(self, numbers: NDArray[np.uint32], idf: FloatArray) -> None:
        self.numbers = numbers
        self.idf = idf

    def __len__(self) -> int:
        return len(self.numbers)

    def rows(self, cases: Sequence[Case]) -> Rows:
        """The rows of the cases; tokens that the space does not know are left out.

        Within a block the value of a token is (1 + ln tf) idf; the block's vector is then scaled to the
        square root of its weight.
        """
        tokens = [tokens_of(case) for case in cases]
        sizes = np.frombuffer(b"".join([one.sizes for one in tokens]), np.uint16)
        columns = self._column_of[np.frombuffer(b"".join([one.numbers for one in tokens]), np.uint32)]
        counts = np.frombuffer(b"".join([one.counts for one in tokens]), np.uint8)
        known = columns >= 0
        columns, block = columns[known], np.repeat(np.arange(len(sizes)), sizes)[known]
        raw = self.idf[columns] * _COUNT_WEIGHTS[counts[known]]
        squares = np.bincount(block, raw * raw, minlength=len(sizes)).reshape(-1, len(_BLOCKS))
        scales = np.sqrt(_WEIGHTS / np.maximum(squares, np.finfo(np.float32).tiny)).astype(np.float32)
        ends = np.cumsum(sizes.reshape(-1, len(_BLOCKS)).sum(axis=1, dtype=np.intp))
        starts = np.append(0, np.append(0, np.cumsum(known))[ends])
        return Rows(columns, raw * scales.ravel()[block], starts)

    def matrix(self, cases: Sequence[Case]) -> csr_matrix:
        """The rows of many cases, (n, columns) float32."""
        from scipy.sparse import csr_matrix

        rows = self.rows(cases)
        return csr_matrix((rows.values, rows.columns, rows.starts), shape=(len(cases), len(self)))

    @cached_property
    def _column_of(self) -> NDArray[np.int32]:
        column_of = np.full(TOKEN_NUMBERS, -1, np.int32)
        column_of[self.numbers] = np.arange(len(self.numbers), dtype=np.int32)
        return column_of


def learn_space(cases: Sequence[Case], *, least_cases: int = 2) -> FeatureSpace:
    """The space of all tokens that at least `least_cases` of the cases hold.

    idf = ln((1 + n) / (1 + df)) + 1, as in scikit-learn's TfidfVectorizer with smoothing.
    """
    seen = np.frombuffer(b"".join([tokens_of(case).numbers for case in cases]), np.uint32)
    frequency = np.bincount(seen, minlength=TOKEN_NUMBERS)
    numbers = np.flatnonzero(frequency >= least_cases).astype(np.uint32)
    idf = np.log((1 + len(cases)) / (1 + np.minimum(frequency[numbers], len(cases)))) + 1
    return FeatureSpace(numbers, idf.astype(np.float32))


class _TokenCache:
    """The tokens of the cases that were last asked for, by a digest of their content."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._tokens: dict[bytes, CaseTokens] = {}

    def get(self, case: Case) -> CaseTokens:
        key = _digest(case)
        with self._lock:
            found = self._tokens.pop(key, None)
            if found is not None:
                self._tokens[key] = found
                return found
        made = _numbered(case)
        with self._lock:
            self._tokens[key] = made
            if len(self._tokens) > self._most:
                del self._tokens[next(iter(self._tokens))]
        return made


_CACHE = _TokenCache(CACHED_CASES)


def tokens_of(case: Case) -> CaseTokens:
    """The tokens of a case, from the cache where they are. May be called from several threads."""
    return _CACHE.get(case)


def token_number(block: str, token: str) -> int:
    """The number of a token of a block, 0 to `TOKEN_NUMBERS` - 1, the same in every process."""
    return crc32(token.encode("utf-8", "surrogatepass"), _STARTS[block]) % TOKEN_NUMBERS


def _digest(case: Case) -> bytes:
    content = msgspec.msgpack.encode((case.messages, case.context))
    return hashlib.blake2b(content, digest_size=16).digest()


def _numbered(case: Case) -> CaseTokens:
    asked = _last(case.messages[-_PAST_MESSAGES:], "user")
    blocks: dict[str, Iterable[int]] = {name: _numbers_of(name, tokens) for name, tokens in case_blocks(case).items()}
    if asked is not None:
        blocks["char"] = _char_grams(asked.content[:_MESSAGE_CHARS])
    numbers, counts, sizes = array("I"), bytearray(), array("H", [0] * len(_BLOCKS))
    for place, name in enumerate(_BLOCKS):
        if name in blocks:
            counted = Counter(blocks[name])
            numbers.extend(counted)
            counts += _as_bytes(counted)
            sizes[place] = len(counted)
    return CaseTokens(numbers.tobytes(), bytes(counts), sizes.tobytes())


def _numbers_of(block: str, tokens: Iterable[str]) -> list[int]:
    start = _STARTS[block]
    return [crc32(token.encode("utf-8", "surrogatepass"), start) % TOKEN_NUMBERS for token in tokens]


def _as_bytes(counted: Counter[int]) -> bytes:
    try:
        return bytes(counted.values())
    except ValueError:
        return bytes([min(count, _MOST_COUNTED) for count in counted.values()])


def _add_conversation(
    blocks: dict[str, list[str]], messages: Sequence[Message], request: str, pairs: Sequence[tuple[str, str]]
) -> None:
    said = [_identity(message.content) for message in messages if message.role == "assistant"]
    roles = [message.role for message in messages]
    newest, before = [*reversed(said), "-", "-"][:2]
    state = f"{roles[-1]} {newest}"
    places = [f"{key}={value}" for key, value in pairs if len(value) <= _STATE_CHARS][:_STATE_PAIRS]
    blocks["turn"] = [
        *(f"roles {' '.join(roles[-depth:])}" for depth in (1, 2, 3)),
        f"length {min(len(roles) // 2, 8)}",
        f"said {newest}",
        f"before {before}",
        f"both {newest} {before}",
        *(f"{place} {state}" for place in places),
        *(f"{place} {state} {before}" for place in places),
    ]
    blocks["cross"] = [f"{state} {word}" for word in set(_words(request))]
    blocks["said"] = sorted(set(said))
    answered = _last(messages, "assistant")
    blocks["prev"] = _word_grams(answered.content[:_MESSAGE_CHARS]) if answered else []
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


def _words(text: str) -> list[str]:
    return _WORD.findall(text[:_MESSAGE_CHARS].lower())


def _identity(text: str) -> str:
    """What a canned message is known by: its words with numbers masked."""
    return _DIGITS.sub("#", " ".join(_words(text)))[:_ID_CHARS]


def _word_grams(text: str) -> list[str]:
    words = _words(text)
    if not words:
        return []
    return [*words, *(f"{left} {right}" for left, right in zip(("^", *words), (*words, "$"), strict=True))]


def _char_grams(text: str) -> Iterable[int]:
    return chain.from_iterable([_grams_of_word(word) for word in _ALPHANUMERIC.findall(text.lower())])


@lru_cache(maxsize=16_384)
def _grams_of_word(word: str) -> tuple[int, ...]:
    padded = f" {word} "
    return tuple(
        token_number("char", padded[start : start + length])
        for length in _CHAR_LENGTHS
        for start in range(len(padded) - length + 1)
    )


def _tool_pairs(content: str) -> list[tuple[str, str]]:
    try:
        return _flatten("", msgspec.json.decode(content))[:_PAIRS]
    except (msgspec.DecodeError, UnicodeEncodeError):
        return [("text", content[:_MESSAGE_CHARS])]


def _flatten(path: str, value: Json) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [pair for key in value for pair in _flatten(f"{path}.{key}" if path else str(key), value[key])]
    if isinstance(value, list | tuple):
        return [pair for item in value for pair in _flatten(path, item)]
    return [(path, str(value))]


def _pair_tokens(key: str, value: str) -> list[str]:
    words = _words(value)[:_VALUE_WORDS]
    return [key, f"{key}={' '.join(words)}", *(f"{key} {word}" for word in words)]
