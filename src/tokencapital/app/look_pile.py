"""A pile of recorded work: for each case some bytes, whatever its length, so that a million calls fit in memory."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import msgspec
import numpy as np
from msgspec import Struct

from tokencapital.app.look_clusters import Floats
from tokencapital.app.look_prompts import PromptFamilies
from tokencapital.app.look_reading import Decided, Recorded
from tokencapital.core.call import Reading
from tokencapital.core.case import Message
from tokencapital.core.quantity import Usage
from tokencapital.core.split import normalize
from tokencapital.meter.prices import PriceBook
from tokencapital.models.base import Embedder
from tokencapital.record.joining_digests import standpoint_of
from tokencapital.serve.rules_meaning import opening
from tokencapital.serve.rules_prompt import prompt_of

SAMPLE = 2_500
_WIDTH = 128
_CHARS = 1_000
_BLOCK = 256
_NANO = 10**9
_FINEST, _LARGEST = 127.0, 0.5
ANSWERS = ("none", "label", "json", "text")
_LONGEST_LABEL = 60


class Drawn(Struct):
    """A case of the sample: what rules are tried on, and what `--examples` shows."""

    case: int
    messages: tuple[Message, ...]
    tools: tuple[str, ...]
    application: str | None
    model: str | None


class Pile:
    """What `tcap look` remembers of each case. Lines that go on with a conversation add to its case."""

    def __init__(self, embedder: Embedder, prices: PriceBook, now: datetime, seed: int = 0) -> None:
        self._embedder = embedder
        self._prices = prices
        self._now = now
        self._dice = np.random.default_rng(seed + 1)
        self._mix = np.random.default_rng(seed).normal(size=(2 * embedder.dimensions, _WIDTH)) / np.sqrt(_WIDTH)
        self._waiting: dict[int, tuple[str, str]] = {}
        self._vectors = bytearray()
        self._ends: dict[bytes, int] = {}
        self._names: dict[str, int] = {}
        self._costs: dict[tuple[object, ...], int | None] = {}
        self.families, self.offers = PromptFamilies(), PromptFamilies()
        self.frames: dict[tuple[int, int], int] = {}
        self._families: list[int] = []
        self.frame, self.shape, self.tool_sets = array("i"), array("B"), array("i")
        self.calls, self.inputs = array("I"), array("Q")
        self.nano_usd, self.unpriced = array("q"), array("I")
        self.decisions: Counter[tuple[int, str]] = Counter()
        self.tools: dict[tuple[str, ...], int] = {}
        self.sample: list[Drawn] = []
        self.first: datetime | None = None
        self.last: datetime | None = None

    def __len__(self) -> int:
        return len(self.frame)

    def add(self, one: Recorded | Decided) -> None:
        """The work, or what was decided on some, is part of the pile."""
        if isinstance(one, Decided):
            if one.id in self._names:
                self.decisions[self._names[one.id], one.what] += 1
            return
        one = _answered(one)
        said = (*one.messages, *one.answer)
        stand = standpoint_of(b"", Reading(messages=one.messages, answer=one.answer))
        before = self._ends.get(bytes.fromhex(stand.found)[:8]) if stand.found and one.answer else None
        case = self._begin(one) if before is None else before
        for end in stand.left:
            self._ends[bytes.fromhex(end)[:8]] = case
        if one.id:
            self._names[one.id] = case
        self._count(case, one)
        self._describe(case, said, one)
        if len(self._waiting) >= _BLOCK:
            self._embed()

    def points(self, cases: Sequence[int] | None = None) -> Floats:
        """The mixed vectors of the words of the cases, of users and of assistants, shape (n, 128)."""
        self._embed()
        rows = np.frombuffer(bytes(self._vectors), np.int8).reshape(-1, _WIDTH)
        return (rows if cases is None else rows[list(cases)]).astype(np.float64) * (_LARGEST / _FINEST)

    def prompt_of_case(self, case: int) -> int:
        """The family of the case's system prompt; 0: it has none."""
        return self._families[self.frame[case]]

    def tools_named(self) -> list[tuple[str, ...]]:
        """The sets of tools by their numbers."""
        return list(self.tools)

    def _begin(self, one: Recorded) -> int:
        case = len(self)
        frame = self.families.number(prompt_of(one.messages)), self.offers.number(" ".join(one.tools))
        if frame not in self.frames:
            self.frames[frame] = len(self.frames)
            self._families.append(frame[0])
        self.frame.append(self.frames[frame])
        for column in (self.shape, self.tool_sets, self.calls, self.nano_usd, self.unpriced):
            column.append(0)
        words = normalize(opening(one.messages))
        self.inputs.append(int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "big"))
        self._vectors += bytes(_WIDTH)
        self._draw(case, one)
        return case

    def _draw(self, case: int, one: Recorded) -> None:
        """The case is in the sample with the same chance as any other (Vitter 1985, algorithm R)."""
        model = one.spent[0].model if one.spent else None
        drawn = Drawn(case, one.messages, one.tools, one.application, model)
        if len(self.sample) < SAMPLE:
            self.sample.append(drawn)
            return
        place = int(self._dice.integers(case + 1))
        if place < SAMPLE:
            self.sample[place] = drawn

    def _count(self, case: int, one: Recorded) -> None:
        self.calls[case] += max(1, len(one.spent))
        for spent in one.spent:
            cost = _nano(spent.cost.amount) if spent.cost else self._priced(one, spent.model, spent.usage)
            if cost is None:
                self.unpriced[case] += 1
            else:
                self.nano_usd[case] += cost
        self.decisions.update((case, what) for what in one.decisions)
        if one.at is not None:
            self.first = min(self.first or one.at, one.at)
            self.last = max(self.last or one.at, one.at)

    def _priced(self, one: Recorded, model: str | None, usage: Usage) -> int | None:
        if model is None:
            return None
        moment = one.at or self._now
        key = (model, usage, moment.date())
        if key not in self._costs:
            quote = self._prices.cost(model, usage, moment, 0.0)
            self._costs[key] = None if quote is None else _nano(quote.amount.amount)
        return self._costs[key]

    def _describe(self, case: int, said: Sequence[Message], one: Recorded) -> None:
        used = {call.name for message in said for call in message.tool_calls}
        names = tuple(sorted(used.union(one.tools)))
        users = sum(message.role == "user" for message in said)
        self.shape[case] = (users > 1) + 2 * bool(names) + 4 * ANSWERS.index(_answer_shape(said))
        self.tool_sets[case] = self.tools.setdefault(names, len(self.tools))
        self._waiting[case] = (_words(said, "user"), _words(said, "assistant"))

    def _embed(self) -> None:
        if not self._waiting:
            return
        asked = self._embedder.embed([user for user, _ in self._waiting.values()])
        answered = self._embedder.embed([assistant for _, assistant in self._waiting.values()])
        mixed = np.hstack([asked, answered]) @ self._mix
        rows = np.clip(np.round(mixed / _LARGEST * _FINEST), -_FINEST, _FINEST).astype(np.int8)
        for case, row in zip(self._waiting, rows, strict=True):
            self._vectors[case * _WIDTH : (case + 1) * _WIDTH] = row.tobytes()
        self._waiting.clear()


def _answered(one: Recorded) -> Recorded:
    """The work with its last words as the answer, where they are the assistant's and stand among the messages."""
    if one.answer or not one.messages or one.messages[-1].role != "assistant":
        return one
    return msgspec.structs.replace(one, messages=one.messages[:-1], answer=one.messages[-1:])


def _words(said: Sequence[Message], role: str) -> str:
    return " ".join(message.content for message in said if message.role == role)[:_CHARS]


def _answer_shape(said: Sequence[Message]) -> str:
    """What the assistant's last words look like."""
    words = next((one.content.strip() for one in reversed(said) if one.role == "assistant" and one.content), "")
    if not words:
        return "none"
    if words[0] in "{[":
        return "json"
    return "label" if len(words) <= _LONGEST_LABEL and not any(map(str.isspace, words)) else "text"


def _nano(usd: Decimal) -> int:
    return round(usd * _NANO)
