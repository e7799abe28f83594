"""Redaction: what may not be kept is taken out before anything is, and a mark stands in its place.

Secrets always are. They are looked for in the bytes themselves, so that a body without any costs next to nothing.
What else is taken out is looked for inside the strings of JSON and of server-sent events, and everything around them
stays byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import AnyStr

import msgspec
from msgspec import Struct

from tokencapital.core.case import Json, Message, ToolCall, Value
from tokencapital.record.redaction_known import SHAPES, Known
from tokencapital.record.redaction_secrets import ADDRESSED, BEFORE, ESCAPE, LONG, RUN, SECRETS, Secret
from tokencapital.serve.shapes.bodies import is_stream

Swap = Callable[[str], tuple[str, int]]
"""A text with marks in place of what may not be kept, and how many."""
_STRING = re.compile(rb'"(?:[^"\\\n\r]++|\\.)*+(?:"|\\?\Z)')
"""A string of JSON; the last one may have been cut off."""
_NUMBER = re.compile(rb"(?<![\w.+-])\d{9,}(?![\w.])")
_ESCAPED_ASCII = b"\\u00"
_RUNS = bytes(97 if chr(byte) in RUN else 32 for byte in range(256))
_LONG_RUN = b"a" * LONG
_ADDRESSED = ADDRESSED.encode()
_LITERAL = "secret"
_SHORTEST = 8
_DEEPEST = 64


class _Kind(Struct, frozen=True):
    """A kind of secret, ready to be looked for in text and in bytes."""

    mark: str
    raw_signs: tuple[bytes, ...]
    pattern: re.Pattern[str]
    raw_pattern: re.Pattern[bytes]


class Redaction:
    """What an installation takes out: all secrets, the `known` kinds, its own `patterns`, and `literals`, which are
    the secrets that it uses itself."""

    def __init__(
        self,
        known: Iterable[Known] = (),
        patterns: Mapping[str, str] | None = None,
        literals: Iterable[str] = (),
    ) -> None:
        own = sorted({one for one in literals if len(one) >= _SHORTEST}, key=len, reverse=True)
        exact = [Secret(_LITERAL, (one,), re.escape(one)) for one in own]
        self._literals = [_kind(one) for one in exact]
        self._secrets = [_kind(one) for one in SECRETS]
        signs = sorted({sign for one in self._secrets for sign in one.raw_signs})
        self._signs = re.compile(b"|".join(map(re.escape, signs)))
        self._known = [(kind.value, SHAPES[kind]) for kind in sorted(set(known), key=list(SHAPES).index)]
        self._patterns = [(mark_of(name), re.compile(one)) for name, one in (patterns or {}).items()]

    @property
    def secrets_only(self) -> bool:
        """Whether nothing but secrets is taken out."""
        return not self._known and not self._patterns

    def suspects(self, body: bytes) -> bool:
        """Whether something in these bytes, whatever their form, may have to be taken out."""
        return not self.secrets_only or bool(self._likely(body))

    def text(self, text: str) -> tuple[str, int]:
        """The text with marks in place of what may not be kept, and how many."""
        text, count = self._secrets_in(text)
        if self.secrets_only:
            return text, count
        text, more = self._personal_in(text)
        return text, count + more

    def json(self, value: Json) -> tuple[Json, int]:
        """The same for all text in a JSON value, names of fields included."""
        swapping = _Swapping(self.text)
        return swapping.json(value), swapping.count

    def value(self, value: Value) -> Value:
        """The same for an answer, whose shape stays."""
        if isinstance(value, str):
            return self.text(value)[0]
        cleaned, count = self.json(value) if value is not None else (None, 0)
        return cleaned if count and isinstance(cleaned, dict) else value

    def messages(self, messages: Sequence[Message]) -> tuple[tuple[Message, ...], int]:
        """The same for all that messages hold."""
        swapping = _Swapping(self.text)
        cleaned = tuple(swapping.message(one) for one in messages)
        return (cleaned if swapping.count else tuple(messages)), swapping.count

    def body(self, body: bytes) -> tuple[bytes, int]:
        """The same for a body: JSON and server-sent events are still such afterwards."""
        body, count = self._secrets_in_bytes(body)
        if _ESCAPED_ASCII in body:
            body, more = in_strings(body, self._secrets_in)
            count += more
        if self.secrets_only:
            return body, count
        structured = is_stream(body) or body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in {b"{", b"["}
        if structured:
            body, more = in_strings(body, self._personal_in)
        else:
            plain, more = self._personal_in(body.decode("utf-8", "surrogateescape"))
            body = plain.encode("utf-8", "surrogateescape") if more else body
        return body, count + more

    def _secrets_in(self, text: str) -> tuple[str, int]:
        count = 0
        for kind in self._likely(text.encode("utf-8", "surrogatepass")):
            text, more = kind.pattern.subn(_swapped(kind.mark), text)
            count += more
        return text, count

    def _secrets_in_bytes(self, body: bytes) -> tuple[bytes, int]:
        count = 0
        for kind in self._likely(body):
            body, more = kind.raw_pattern.subn(_swapped(kind.mark.encode()), body)
            count += more
        return body, count

    def _likely(self, body: bytes) -> list[_Kind]:
        """The kinds of secrets of which there may be some: nearly always none, and found out fast."""
        found = [kind for kind in self._literals if kind.raw_signs[0] in body]
        suspect = _suspect(body)
        if suspect and self._signs.search(suspect):
            found += [kind for kind in self._secrets if any(sign in suspect for sign in kind.raw_signs)]
        return found

    def _personal_in(self, text: str) -> tuple[str, int]:
        count = 0
        for name, shape in self._known:
            if shape.signs and not any(sign in text for sign in shape.signs):
                continue
            text, more = _checked(text, shape.pattern, shape.length, mark_of(name))
            count += more
        for mark, pattern in self._patterns:
            text, more = _checked(text, pattern, len, mark)
            count += more
        return text, count


def _suspect(body: bytes) -> bytes:
    """The long runs in a body, each with a little of what stands before it."""
    runs = body.translate(_RUNS)
    parts = [_ADDRESSED] if _ADDRESSED in body else []
    start = runs.find(_LONG_RUN)
    while start >= 0:
        end = runs.find(b" ", start + LONG)
        end = len(body) if end < 0 else end
        parts.append(body[max(0, start - BEFORE) : end])
        start = runs.find(_LONG_RUN, end)
    return b" ".join(parts)


def mark_of(name: str) -> str:
    """What stands in place of something that was taken out."""
    return f"[redacted:{name}]"


def in_strings(body: bytes, swap: Swap) -> tuple[bytes, int]:
    """A body of JSON, or of events that hold JSON, after the swap in each of its strings and long numbers.

    A number becomes a string; everything else stays byte for byte.
    """
    count = 0

    def swapped(written: bytes, said: str) -> bytes:
        nonlocal count
        text, more = swap(said)
        count += more
        return msgspec.json.encode(text) if more else written

    def renumbered(found: re.Match[bytes]) -> bytes:
        return swapped(found[0], found[0].decode())

    parts: list[bytes] = []
    end = 0
    for found in _STRING.finditer(body):
        parts += _NUMBER.sub(renumbered, body[end : found.start()]), swapped(found[0], _read_string(found[0]))
        end = found.end()
    parts.append(_NUMBER.sub(renumbered, body[end:]))
    return (b"".join(parts), count) if count else (body, 0)


class _Swapping:
    """Walks through values, swaps their text, counts the marks."""

    def __init__(self, swap: Swap) -> None:
        self._swap = swap
        self.count = 0

    def text(self, text: str) -> str:
        """The text after the swap."""
        swapped, more = self._swap(text)
        self.count += more
        return swapped

    def json(self, value: Json, depth: int = 0) -> Json:
        """The value after the swap in its text; what is nested deeper than anybody means is left out."""
        if isinstance(value, str):
            return self.text(value)
        if depth > _DEEPEST:
            return None if isinstance(value, dict | list | tuple) else value
        if isinstance(value, dict):
            return {self.text(key): self.json(one, depth + 1) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.json(one, depth + 1) for one in value]
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**8:
            before, text = self.count, self.text(str(value))
            return text if self.count > before else value
        return value

    def message(self, message: Message) -> Message:
        """The message after the swap in all its text."""
        calls = tuple(ToolCall(one.id, self.text(one.name), self.text(one.arguments)) for one in message.tool_calls)
        return Message(
            role=message.role,
            content=self.text(message.content),
            name=None if message.name is None else self.text(message.name),
            tool_calls=calls,
            tool_call_id=message.tool_call_id,
            parts=tuple(self.json(one) for one in message.parts),
        )


def _kind(one: Secret) -> _Kind:
    raw = one.pattern.replace(ESCAPE, r"\\").encode()
    return _Kind(
        mark=mark_of(one.name),
        raw_signs=tuple(sign.encode() for sign in one.signs),
        pattern=re.compile(one.pattern.replace(ESCAPE, ""), re.ASCII),
        raw_pattern=re.compile(raw),
    )


def _swapped(mark: AnyStr) -> Callable[[re.Match[AnyStr]], AnyStr]:
    """Puts the mark in place of the secret in what was found, or of all of it."""

    def swap(found: re.Match[AnyStr]) -> AnyStr:
        if "secret" not in found.re.groupindex:
            return mark
        start, end = (place - found.start() for place in found.span("secret"))
        return found[0][:start] + mark + found[0][end:]

    return swap


def _checked(text: str, pattern: re.Pattern[str], length: Callable[[str], int], mark: str) -> tuple[str, int]:
    """The text with a mark in place of what the pattern found and is what it looks like."""
    count = 0

    def swap(found: re.Match[str]) -> str:
        nonlocal count
        real = length(found[0])
        if not real:
            return found[0]
        count += 1
        return mark + found[0][real:]

    return pattern.sub(swap, text), count


def _read_string(written: bytes) -> str:
    """The text of a JSON string that may have been cut off."""
    return read_quoted(written[1:-1] if len(written) > 1 and written.endswith(b'"') else written[1:])


def read_quoted(inner: bytes) -> str:
    """The text that stands between the quotes of a JSON string; where it cannot be read, as it is written."""
    if b"\\" in inner:
        try:
            return msgspec.json.decode(b'"' + inner + b'"', type=str)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass
    return inner.decode("utf-8", "replace")
