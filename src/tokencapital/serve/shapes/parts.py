"""Contents of messages: the text apart from what else they hold, which is kept small."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from tokencapital.core.case import Json
from tokencapital.serve.shapes.bodies import text

_MOST_CHARS = 4096
"""Longer runs of base64 are kept as their digest."""
_DEEPEST = 40
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\s]+={0,2}\s*")
_DATA_URL = re.compile(r"data:([\w.+/-]{0,80})[^,]{0,80};base64,")


def kept(part: Json, depth: int = 0) -> Json:
    """The part as it may be kept: long base64 stands as `sha256:DIGEST;bytes=N`, what is nested deeper as None."""
    if depth > _DEEPEST:
        return None
    if isinstance(part, dict):
        return {key: kept(value, depth + 1) for key, value in part.items() if key != "cache_control"}
    if isinstance(part, list):
        return [kept(value, depth + 1) for value in part]
    return _digested(part) if isinstance(part, str) and len(part) > _MOST_CHARS else part


def split_content(content: Json, textual: Iterable[str] = ("text",)) -> tuple[str, tuple[Json, ...]]:
    """The text of a message's content, lines between its pieces, and its other parts as they may be kept."""
    if isinstance(content, str):
        return content, ()
    if content is None:
        return "", ()
    texts, others = list[str](), list[Json]()
    kinds = frozenset(textual)
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict) and part.get("type") in kinds and isinstance(part.get("text"), str):
            texts.append(part["text"])
        else:
            others.append(kept(part))
    return "\n".join(texts), tuple(others)


def refusal(said: Json) -> tuple[Json, ...]:
    """The part that holds why a model would not answer; none where it says nothing."""
    return ({"type": "refusal", "refusal": said},) if text(said) else ()


def reasoning(said: Json) -> tuple[Json, ...]:
    """The part that holds what a model thought; none where it says nothing."""
    return ({"type": "reasoning", "text": said},) if text(said) else ()


def _digested(value: str) -> str:
    url = _DATA_URL.match(value)
    packed = value[url.end() :] if url else value
    if url is None and not _BASE64.fullmatch(packed):
        return value
    digest = hashlib.sha256(packed.encode("utf-8", "replace")).hexdigest()
    told = f"sha256:{digest};bytes={len(packed) * 3 // 4}"
    return f"data:{url.group(1)};{told}" if url else told
