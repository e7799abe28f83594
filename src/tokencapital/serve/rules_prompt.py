"""The prompt of a request: where it stands in the body, and a name for it that survives what varies in it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from tokencapital.core.call import Wire
from tokencapital.core.case import Json, Message
from tokencapital.core.split import normalize

PROMPT_ROLES = frozenset({"system", "developer"})
NO_PROMPT = "none"
"""The fingerprint of a request that has no system prompt."""
_DIGEST_BYTES = 8
_MOST_CHARS = 20_000
_KEPT = 4_096

_MONTHS = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DAYS = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?)"
_VARIABLE = re.compile(
    r"(?P<mail>[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+)"
    r"|(?P<url>https?://[^\s<>\"')]+)"
    rf"|(?P<date>\b(?:{_DAYS}\b,?\s*)?\b{_MONTHS}\b\.?\s+\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\s+\d{{4}}\b)?"
    rf"|\b(?:{_DAYS}\b,?\s*)?\b\d{{1,2}}(?:st|nd|rd|th)?\.?\s+{_MONTHS}\b\.?(?:,?\s+\d{{4}}\b)?|\b{_DAYS}\b(?=,?\s+\d))"
    r"|(?P<id>\b(?=[\w-]{0,80}\d)\w+(?:-\w+)*)"
)
"""What varies from call to call in one and the same prompt. An id is any word with a digit in it, numbers included."""
_NUMBERS = re.compile(r"#(?:[\s.,:/+%-]*(?:#|\b(?:am|pm|utc|gmt|z|t)\b))*")


class _Said(Struct):
    """A message of a request, as far as rules need it."""

    role: str = ""
    content: Json = None


class _Body(Struct):
    """A request of any wire, its parts unread."""

    messages: list[Raw] = []
    system: Raw = Raw(b"null")
    instructions: Raw = Raw(b"null")
    input: Raw = Raw(b"null")


_BODY = msgspec.json.Decoder(_Body)
read_message = msgspec.json.Decoder(_Said).decode
_LISTED = msgspec.json.Decoder(list[Raw])


def fingerprint(prompt: str) -> str:
    """16 hex digits that stay the same when dates, numbers, ids, addresses and white space of the prompt change.

    `none` for a prompt without words.
    """
    return _digest(prompt_skeleton(prompt))


def _digest(skeleton: str) -> str:
    if not skeleton:
        return NO_PROMPT
    return hashlib.blake2b(skeleton.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def prompt_skeleton(prompt: str) -> str:
    """The prompt normalized, with `#` where a date, a number, an id, a mail or a web address stands."""
    plain = normalize(prompt[:_MOST_CHARS])
    return _NUMBERS.sub("#", _VARIABLE.sub("#", plain))


def prompt_of(messages: Sequence[Message]) -> str:
    """The system prompt of a conversation: what its first messages say that are neither user's nor assistant's."""
    said = []
    for message in messages:
        if message.role not in PROMPT_ROLES:
            break
        said.append(message.content)
    return "\n".join(said)


class Prompts:
    """Fingerprints of the prompts in bodies, each worked out once."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[str, str]] = {}

    def of(self, wire: Wire, body: bytes) -> tuple[str, str]:
        """The fingerprint and the skeleton of the body's prompt; `none` and nothing where it has none."""
        raw = _raw_prompt(wire, body)
        if raw is None:
            return NO_PROMPT, ""
        found = self._known.get(raw)
        if found is None:
            skeleton = prompt_skeleton(_words(msgspec.json.decode(raw)))
            if len(self._known) >= _KEPT:
                self._known.clear()
            found = self._known[raw] = (_digest(skeleton), skeleton)
        return found


def _raw_prompt(wire: Wire, body: bytes) -> bytes | None:
    """The bytes in which the prompt stands; None: there is none, or the body is none that can be read."""
    try:
        read = _BODY.decode(body)
        match wire:
            case Wire.MESSAGES | Wire.COUNT_TOKENS:
                return _said(read.system)
            case Wire.RESPONSES:
                listed = bytes(read.input)[:1] == b"["
                return _said(read.instructions) or (_first_prompts(_LISTED.decode(read.input)) if listed else None)
            case Wire.CHAT:
                return _first_prompts(read.messages)
            case _:
                return None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _said(raw: Raw) -> bytes | None:
    found = bytes(raw)
    return None if found == b"null" else found


def _first_prompts(messages: Sequence[Raw]) -> bytes | None:
    prompts = []
    for raw in messages:
        if read_message(raw).role not in PROMPT_ROLES:
            break
        prompts.append(bytes(raw))
    return b"[" + b",".join(prompts) + b"]" if prompts else None


def _words(said: Json) -> str:
    match said:
        case str():
            return said
        case list():
            return "\n".join(filter(None, map(_words, said)))
        case {"role": str(), "content": content}:
            return _words(content)
        case {"text": str(text)}:
            return text
        case _:
            return ""
