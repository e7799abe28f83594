"""Which cases may teach and which may only judge: group assignment by keyed hash."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from enum import StrEnum

import msgspec

from tokencapital.core.case import Case, Message

SEALED_SHARE = 0.10
"""Share of entity groups that are kept for the gate."""

_SPACE = re.compile(r"\s+")


class Split(StrEnum):
    """Where an entity group stands. It is assigned once and leaves `sealed` only by a manifest event."""

    TRAIN = "train"
    SEALED = "sealed"


def assign_split(group: str, key: bytes, sealed_share: float = SEALED_SHARE) -> Split:
    """The split of an entity group: a pure function of the group's name and the store's key."""
    return Split.SEALED if unit_hash(key, "split", group) < sealed_share else Split.TRAIN


def unit_hash(key: bytes, *parts: str) -> float:
    """A number in [0, 1) that only the key and the parts decide, uniform over parts."""
    digest = hashlib.blake2b("\x1f".join(parts).encode(), key=key, digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def keyed_digest(key: bytes, data: bytes) -> str:
    """32 hex digits that tie a fact to its payload and tell nothing to whoever lacks the key."""
    return hashlib.blake2b(data, key=key, digest_size=16).hexdigest()


def normalize(text: str) -> str:
    """Text as it is compared: compatibility forms, case and runs of white space folded."""
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", text)).strip().casefold()


def input_key(case: Case, key: bytes) -> str:
    """The same for two cases exactly when their normalized messages and their contexts are the same."""
    messages = [_compared(message) for message in case.messages]
    content = msgspec.json.encode([messages, case.context], order="deterministic")
    return keyed_digest(key, content)


def _compared(message: Message) -> tuple[object, ...]:
    words = (message.role, normalize(message.content))
    return (*words, message.tool_calls, message.parts) if message.tool_calls or message.parts else words
