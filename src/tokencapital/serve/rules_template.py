"""Templates: the prompt that an application writes around a case, with slots for what varies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

MESSAGE = "message"
"""The slot that holds what the case itself says; the others become its context."""
_SLOT = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Template:
    """Words with slots such as `{message}`; white space between words may be any."""

    def __init__(self, written: str) -> None:
        pieces = _SLOT.split(written.strip())
        self.slots = tuple(pieces[1::2])
        self._between = [_loose(words) for words in pieces[0::2]]
        self.problem = self._problem(pieces)

    def read(self, text: str) -> Mapping[str, str] | None:
        """What fills each slot, without white space around it; None: the text was not made from this template.

        Each slot ends where the words behind it first stand. The time it takes grows with the length of the text.
        """
        text = text.strip()
        first = self._between[0].match(text)
        if first is None:
            return None
        if not self.slots:
            return {} if first.end() == len(text) else None
        found: dict[str, str] = {}
        begin = first.end()
        for slot, behind in zip(self.slots[:-1], self._between[1:-1], strict=True):
            stands = behind.search(text, begin)
            if stands is None:
                return None
            found[slot] = text[begin : stands.start()].strip()
            begin = stands.end()
        end = self._end(text, begin)
        if end is None:
            return None
        found[self.slots[-1]] = text[begin:end].strip()
        return found

    def _end(self, text: str, begin: int) -> int | None:
        """Where the last words of the text begin that end the template; None: it does not end so."""
        if not self._between[-1].pattern:
            return len(text)
        last = None
        for stands in self._between[-1].finditer(text, begin):
            last = stands
        return last.start() if last is not None and last.end() == len(text) else None

    def _problem(self, pieces: list[str]) -> str | None:
        """What is wrong with it, in words; None: nothing is."""
        if not self.slots:
            return "the template has no slot, such as {message}"
        if len(set(self.slots)) < len(self.slots):
            return "the template has a slot twice"
        if any(not words.strip() for words in pieces[2:-1:2]):
            return "two slots of the template stand beside each other with no words between"
        return None


@lru_cache(maxsize=256)
def template_of(written: str) -> Template:
    """The template, made once."""
    return Template(written)


def _loose(words: str) -> re.Pattern[str]:
    return re.compile(r"\s+".join(re.escape(word) for word in words.split()))
