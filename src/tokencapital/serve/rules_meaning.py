"""Kinds of work told apart by what is said: the centre of each in the embedder's space, and which is nearest."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import msgspec
import numpy as np
from msgspec import Raw, Struct

from tokencapital.core.case import Json, Message
from tokencapital.models.arrays import FloatArray, unit_rows
from tokencapital.models.base import Embedder
from tokencapital.serve.rules_prompt import read_message

MOST_CHARS = 1_000
_USER = "user"
_FINEST = 127.0


class _Body(Struct):
    messages: list[Raw] = []
    input: Json = None


_BODY = msgspec.json.Decoder(_Body)


def write_centre(centre: FloatArray) -> str:
    """A unit vector as text: one signed byte for each dimension, base 64."""
    scaled = np.asarray(centre, dtype=np.float64) / max(float(np.abs(centre).max()), 1e-12) * _FINEST
    return base64.b64encode(np.round(scaled).astype(np.int8).tobytes()).decode()


def read_centre(written: str, dimensions: int) -> FloatArray | None:
    """The unit vector that was written so; None: this is none of so many dimensions."""
    try:
        stored = np.frombuffer(base64.b64decode(written, validate=True), dtype=np.int8)
    except (binascii.Error, ValueError):
        return None
    if len(stored) != dimensions or not stored.any():
        return None
    centre: FloatArray = unit_rows(stored.astype(np.float32)[None, :])[0]
    return centre


def opening(messages: Sequence[Message]) -> str:
    """What a conversation begins with: its first user's message, which no later call of it changes."""
    first = next((one.content for one in messages if one.role == _USER), "")
    return first[:MOST_CHARS]


def opening_of(body: bytes) -> str:
    """The same out of the body of a request of any wire; nothing where it cannot be read."""
    try:
        read = _BODY.decode(body)
        said = (read_message(raw) for raw in read.messages)
        first = next((one.content for one in said if one.role == _USER), None)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    if first is None and isinstance(read.input, list):
        first = next(
            (one.get("content") for one in read.input if isinstance(one, dict) and one.get("role") == _USER), None
        )
    return _words(read.input if first is None and isinstance(read.input, str) else first)[:MOST_CHARS]


class Meanings:
    """The centres of several kinds of work."""

    def __init__(self, embedder: Embedder, centres: FloatArray) -> None:
        self._embedder = embedder
        self._centres = centres

    def nearest(self, text: str) -> int | None:
        """Which centre is nearest to the text; None: it has no words."""
        if not text.strip():
            return None
        vector = self._embedder.embed([text])[0]
        return int(np.argmax(self._centres @ vector)) if vector.any() else None


def _words(content: Json) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "\n".join(text for text in texts if isinstance(text, str))
