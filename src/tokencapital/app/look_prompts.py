"""Which system prompts are one and the same but for what varies in them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from tokencapital.serve.rules_prompt import NO_PROMPT, fingerprint, prompt_skeleton

_ALIKE = 0.7
_MOST_NAMED = 20
_SHORTEST_PREFIX = 20
_KEPT_CHARS = 4_000
_FEWEST = 10
"""What fewer cases than that have in common may be some customers' words, and not the application's."""


class PromptFamilies:
    """Families of prompts: two are of one family if at least seven in ten of their words are the same.

    Family 0 is that of requests without a system prompt.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {NO_PROMPT: 0}
        self._by_text: dict[str, int] = {}
        self._words: list[frozenset[str]] = [frozenset()]
        self._skeletons: list[str] = [""]

    def number(self, prompt: str) -> int:
        """The number of the family of a prompt."""
        if prompt not in self._by_text:
            if len(self._by_text) >= _KEPT_CHARS:
                self._by_text.clear()
            self._by_text[prompt] = self._find(prompt)
        return self._by_text[prompt]

    def fingerprints(self, family: int) -> tuple[str, ...]:
        """The fingerprints of the family's prompts, as rules name them."""
        return tuple(name for name, number in self._numbers.items() if number == family)

    def pattern(self, family: int) -> str | None:
        """What rules match instead where there are many fingerprints: how all of the prompts begin; None: they do not
        begin alike, or are few."""
        if len(self.fingerprints(family)) <= _MOST_NAMED:
            return None
        begin = self._skeletons[family].translate({ord("*"): "?"})
        return f"{begin}*" if len(begin) >= _SHORTEST_PREFIX else None

    def _find(self, prompt: str) -> int:
        name = fingerprint(prompt)
        known = self._numbers.get(name)
        if known is not None:
            return known
        skeleton = prompt_skeleton(prompt)[:_KEPT_CHARS]
        words = frozenset(skeleton.split())
        alike = [_share(words, other) for other in self._words]
        number = max(range(len(alike)), key=alike.__getitem__)
        if alike[number] < _ALIKE:
            number = len(self._words)
            self._words.append(words)
            self._skeletons.append(skeleton)
        self._numbers[name] = number
        self._skeletons[number] = _common_beginning(self._skeletons[number], skeleton)
        return number


def _share(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of their words that two texts have in common (Jaccard)."""
    return len(one & other) / len(one | other) if one and other else 0.0


def template_in(openings: Sequence[str]) -> str | None:
    """The words that all openings begin and end with, around `{message}`; None: they have none in common."""
    begin = reduce(_common_beginning, openings)
    begin = begin[: max(begin.rfind(" "), begin.rfind("\n")) + 1]
    end = reduce(_common_beginning, (one[len(begin) :][::-1] for one in openings))[::-1]
    spaces = [place for place in (end.find(" "), end.find("\n")) if place >= 0]
    end = end[min(spaces) :] if spaces else ""
    if len(set(openings)) < _FEWEST or len(begin) < _SHORTEST_PREFIX or {"{", "}"} & set(begin + end):
        return None
    return f"{begin}{{message}}{end}".strip()


def _common_beginning(one: str, other: str) -> str:
    for place, (mine, its) in enumerate(zip(one, other, strict=False)):
        if mine != its:
            return one[:place]
    return min(one, other, key=len)
