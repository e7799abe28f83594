"""How a span of text becomes a field's value, as JSON text: a change of letters and a constant wrapper."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from msgspec import Struct

from tokencapital.core.case import Json
from tokencapital.models.reading import words_of


class Shape(Struct, frozen=True):
    """`prefix` + the span after `change` + `suffix` is the value's JSON text, as in `"api.max(` 5 `)"`."""

    change: str
    prefix: str
    suffix: str


_ESCAPED = re.compile(r'["\\]')


def canonical(value: Json) -> str:
    """The one JSON text of a value: equal texts exactly for equal values."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def plain_text(value: str) -> str:
    """What a value's JSON text says: a string without its quotes, anything else as it is."""
    return str(json.loads(value)) if value.startswith('"') else value


def write(text: str, shape: Shape) -> str | None:
    """The JSON text of the value that the shape makes of a span; None: that is no value."""
    changed = CHANGES[shape.change](text)
    if changed is None:
        return None
    if shape.prefix.startswith('"'):
        return f"{shape.prefix}{_escape(changed)}{shape.suffix}"
    inside = _escape(changed) if '"' in shape.prefix else changed
    try:
        return canonical(json.loads(f"{shape.prefix}{inside}{shape.suffix}"))
    except ValueError:
        return None


def _escape(text: str) -> str:
    """Text as it stands within a JSON string."""
    return text if text.isprintable() and not _ESCAPED.search(text) else canonical(text)[1:-1]


def unwrap(value: str, shape: Shape) -> str | None:
    """What stands inside the shape's wrapper in a value's JSON text; None: it is not wrapped so."""
    if len(value) <= len(shape.prefix) + len(shape.suffix):
        return None
    if not (value.startswith(shape.prefix) and value.endswith(shape.suffix)):
        return None
    return value[len(shape.prefix) : len(value) - len(shape.suffix)]


def kind_of(text: str) -> str:
    """What a text is made of: `digits`, `mixed` (digits among others) or `words`."""
    if text.isdigit():
        return "digits"
    return "mixed" if any(letter.isdigit() for letter in text) else "words"


def _next(text: str) -> str | None:
    return str(int(text) + 1) if text.isdecimal() and len(text) < 10 else None


def _ordinal(text: str) -> str | None:
    words = words_of(text)
    if len(words) != 1 or not words[0].isdecimal():
        return None
    number = words[0]
    teen = number[-2:] in {"11", "12", "13"}
    return number + ("th" if teen else {"1": "st", "2": "nd", "3": "rd"}.get(number[-1], "th"))


def _title(text: str) -> str:
    if text.isalpha():
        return text.capitalize()
    return " ".join(word[:1].upper() + word[1:].lower() for word in text.split(" "))


CHANGES: dict[str, Callable[[str], str | None]] = {
    "same": lambda text: text,
    "title": _title,
    "lower": str.lower,
    "upper": str.upper,
    "first": lambda text: text[:1].upper() + text[1:],
    "spaced": lambda text: " ".join(words_of(text)) or None,
    "joined": lambda text: "".join(text.split()) or None,
    "ordinal": _ordinal,
    "next": _next,
}
"""What may be done to a span's letters, plainest first; None: it cannot be done to this span."""
