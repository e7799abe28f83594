"""What a model sees of a case: one text for the embedder, and tokens that know their place.

A word means something else in the customer's last message than in a tool's result, so every token
carries the *block* it comes from.

Tokens are kept as numbers only (hashed as in Weinberger et al. 2009, *Feature hashing for large scale
multitask learning*): neither an artifact nor the cache holds a customer's words.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from zlib import crc32

import msgspec
from msgspec import Struct

from tokencapital.core.case import Case, Json, Message
from tokencapital.models.case_cache import CaseCache

BLOCKS = ("word", "char", "prev", "turn", "cross", "said", "tool", "past_tool", "past", "context", "told")
"""Where a token can come from. `told`, the last, is filled in by who knows the usual values of fields."""

TOKEN_NUMBERS = 1 << 22
"""Tokens are numbered below this; of 70,000 known ones 1 in 60 shares its number with another."""
MOST_COUNTED = 255
"""A token that occurs more often counts as if so often."""

_STARTS = {name: crc32(name.encode()) for name in BLOCKS}
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
_COUNTED = 7
"""Tells fields with their counts from fields alone."""
_SIZE_BYTES = array("H").itemsize


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
    blocks has. Bytes, because those of many cases are joined. `place` and `state` say by number what kind
    of conversation it is and where it stands.
    """

    numbers: bytes
    counts: bytes
    sizes: bytes
    place: int
    state: int


def token_number(block: str, token: str) -> int:
    """The number of a token of a block, 0 to `TOKEN_NUMBERS` - 1, the same in every process."""
    return crc32(token.encode("utf-8", "surrogatepass"), _STARTS[block]) % TOKEN_NUMBERS


def with_told(tokens: CaseTokens, told: Sequence[tuple[int, int]]) -> CaseTokens:
    """The tokens of a case with those of the fields `told` in it: their numbers, each with how many values.

    A field counts by itself, in this kind of conversation and where this one stands, and so do all together.
    """
    fields = [field for field, _ in told]
    counted = [number for one in told for number in one]
    combinations = [
        (tokens.place, *fields),
        (tokens.place, tokens.state, *fields),
        (tokens.place, _COUNTED, *counted),
    ]
    for field, count in told:
        combinations += [(field,), (field, count), (tokens.place, field, count), (tokens.place, tokens.state, field)]
    numbers = array("I", [crc32(array("I", one).tobytes(), _STARTS["told"]) % TOKEN_NUMBERS for one in combinations])
    return CaseTokens(
        tokens.numbers + numbers.tobytes(),
        tokens.counts + b"\1" * len(numbers),
        tokens.sizes[:-_SIZE_BYTES] + array("H", [len(numbers)]).tobytes(),
        tokens.place,
        tokens.state,
    )


def _numbered(case: Case) -> CaseTokens:
    messages = case.messages[-_PAST_MESSAGES:]
    asked = _last(messages, "user")
    blocks: dict[str, Iterable[int]] = {name: _numbers_of(name, tokens) for name, tokens in case_blocks(case).items()}
    if asked is not None:
        blocks["char"] = _char_grams(asked.content[:_MESSAGE_CHARS])
    numbers, counts, sizes = array("I"), bytearray(), array("H", [0] * len(BLOCKS))
    for place, name in enumerate(BLOCKS):
        if name in blocks:
            counted = Counter(blocks[name])
            numbers.extend(counted)
            counts += _as_bytes(counted)
            sizes[place] = len(counted)
    return CaseTokens(
        numbers.tobytes(),
        bytes(counts),
        sizes.tobytes(),
        place=token_number("told", " ".join(_places(_flatten("", case.context)))),
        state=token_number("told", _state(messages)[0]),
    )


tokens_of = CaseCache(_numbered)
"""The tokens of a case but for those of `told`, from the cache where they are. May be called from several threads."""


def _numbers_of(block: str, tokens: Iterable[str]) -> list[int]:
    start = _STARTS[block]
    return [crc32(token.encode("utf-8", "surrogatepass"), start) % TOKEN_NUMBERS for token in tokens]


def _as_bytes(counted: Counter[int]) -> bytes:
    try:
        return bytes(counted.values())
    except ValueError:
        return bytes([min(count, MOST_COUNTED) for count in counted.values()])


def _add_conversation(
    blocks: dict[str, list[str]], messages: Sequence[Message], request: str, pairs: Sequence[tuple[str, str]]
) -> None:
    said = [_identity(message.content) for message in messages if message.role == "assistant"]
    roles = [message.role for message in messages]
    state, newest, before = _state(messages)
    places = _places(pairs)
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


def _state(messages: Sequence[Message]) -> tuple[str, str, str]:
    """Where a conversation stands, and the last two messages of the assistant that say so, newest first."""
    said = [message.content for message in reversed(messages) if message.role == "assistant"][:2]
    newest, before = [*(_identity(content) for content in said), "-", "-"][:2]
    return f"{messages[-1].role if messages else '-'} {newest}", newest, before


def _places(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """The short pairs of a context, which say what kind of conversation it is."""
    return [f"{key}={value}" for key, value in pairs if len(value) <= _STATE_CHARS][:_STATE_PAIRS]


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
