"""What a conversation is recognized by: digests of all that was said up to an answer, however a client writes it.

White space, empty contents, cache marks, the order of keys in a tool's arguments, and whether an assistant's words and
tool calls stand in one message or in two are all the same here. System prompts are left out: they may hold the time of
day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import msgspec
from msgspec import Struct

from tokencapital.core.call import Reading
from tokencapital.core.case import Json, Message
from tokencapital.serve.rules_prompt import PROMPT_ROLES, fingerprint, prompt_of

ASSISTANT = "assistant"
_TOOL = "tool"
_ROLES = {"function": _TOOL, "model": ASSISTANT}
_BYTES = 16
_MARK = "cache_control"


class Standpoint(Struct, frozen=True):
    """Where a call found its conversation and where it left it.

    `found` is the digest up to the last of the assistant's messages in the request; None: it has none. `left` are those
    of all of it with each of the answers; empty: none came. `prompt` names the system prompt.
    """

    found: str | None
    left: tuple[str, ...]
    prompt: str = ""


def standpoint_of(key: bytes, reading: Reading) -> Standpoint:
    """Where the call found and left its conversation. `key` is the store's."""
    if reading.prefixes:
        *before, last = reading.prefixes
        return Standpoint(before[-1] if before else None, (last,) if reading.failure is None else ())
    running = _Running(hashlib.blake2b(key=key, digest_size=_BYTES))
    found = None
    for message in reading.messages:
        running.add(message)
        if _role(message) == ASSISTANT:
            found = running
            running = running.copy()
    choices = (reading.answer, *reading.others) if reading.answer else ()
    left = tuple(_with(running, choice).digest for choice in choices)
    return Standpoint(found.digest if found else None, left, _name_of(prompt_of(reading.messages)))


def prefixes_of(key: bytes, messages: Sequence[Message], answer: Sequence[Message]) -> tuple[str, ...]:
    """Digests up to each of the assistant's messages of a request, and of all of it with its answer, last.

    They stand in for the messages where those may not be kept.
    """
    running = _Running(hashlib.blake2b(key=key, digest_size=_BYTES))
    found = []
    for message in messages:
        running.add(message)
        if _role(message) == ASSISTANT:
            found.append(running.digest)
    return (*found, _with(running, answer).digest)


class _Running:
    """A digest that grows with each message."""

    __slots__ = ("_hash", "_role")

    def __init__(self, hashed: hashlib.blake2b, role: str = "") -> None:
        self._hash = hashed
        self._role = role

    def add(self, message: Message) -> None:
        """The message is part of what was said."""
        role = _role(message)
        if role in PROMPT_ROLES:
            return
        said = [] if role == self._role else ["\x1e", role, "\x1e"]
        self._role = role
        said.append("".join(message.content.split()))
        for call in message.tool_calls:
            said += ["\x1f", call.id, "\x1f", call.name, "\x1f", _arguments(call.arguments)]
        if role == _TOOL:
            said += ["\x1f", message.tool_call_id or ""]
        self._hash.update("".join(said).encode("utf-8", "surrogatepass"))
        if message.parts and role != ASSISTANT:
            self._hash.update(msgspec.json.encode(_unmarked(message.parts), order="sorted"))

    def copy(self) -> _Running:
        """The same, to go on with by itself."""
        return _Running(self._hash.copy(), self._role)

    @property
    def digest(self) -> str:
        """32 hex digits of all that was said so far."""
        return self._hash.hexdigest()


def _with(running: _Running, more: Sequence[Message]) -> _Running:
    running = running.copy()
    for message in more:
        running.add(message)
    return running


def _role(message: Message) -> str:
    return _ROLES.get(message.role, message.role)


@lru_cache(maxsize=1_024)
def _name_of(prompt: str) -> str:
    return fingerprint(prompt)


def _arguments(written: str) -> str:
    """A tool's arguments however they are spaced and ordered; broken JSON without its white space."""
    try:
        return msgspec.json.encode(msgspec.json.decode(written), order="sorted").decode()
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return "".join(written.split())


def _unmarked(part: Json) -> Json:
    """The part without marks of what may be cached, which move from message to message."""
    if isinstance(part, dict):
        return {name: _unmarked(value) for name, value in part.items() if name != _MARK}
    return [_unmarked(one) for one in part] if isinstance(part, list | tuple) else part
