"""What the relay reads and writes of the wires itself: whose paths they are, a body's head, headers, errors."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from tokencapital.core.access import KEY_PREFIX
from tokencapital.core.call import Wire
from tokencapital.core.errors import (
    AccessRefused,
    InputError,
    KeyRefused,
    LimitReached,
    ModelTimeout,
    ModelUnavailable,
    SettingsError,
    StoreError,
    TokenCapitalError,
    UnknownCapability,
)
from tokencapital.serve.faults import fault_message
from tokencapital.serve.providers import CREDENTIALS, Provider
from tokencapital.serve.upstream_connection import Header
from tokencapital.serve.wire import error_body

WIRES: Mapping[str, Wire] = {
    "/v1/chat/completions": Wire.CHAT,
    "/v1/responses": Wire.RESPONSES,
    "/v1/embeddings": Wire.EMBEDDINGS,
    "/v1/messages": Wire.MESSAGES,
    "/v1/messages/count_tokens": Wire.COUNT_TOKENS,
}
"""The paths at which models are called."""
OF_RESPONSES = re.compile(r"^/v1/responses(/[A-Za-z0-9_-]{1,256}(?:/(?:cancel|input_items))?)$")
"""What OpenAI keeps of an answer, by its id."""
CASE, GROUP, KEY = "x-tcap-case", "x-tcap-group", "x-tcap-key"
"""The headers by which a caller names the conversation, the entity and the business key."""
TRAJECTORY, RECORDED = b"x-tcap-trajectory", b"x-tcap-recorded"
LONGEST_MODEL = 512
"""Names of models are remembered, so that they may not be as long as a body."""

_HOP = frozenset({
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
    b"trailer", b"transfer-encoding", b"upgrade",
})  # fmt: skip
_NOT_SENT = _HOP | CREDENTIALS | {b"host", b"content-length", b"cookie", b"expect", b"forwarded", b"via"}
_NOT_ANSWERED = _HOP | {b"content-length", b"date", b"server", b"set-cookie", b"alt-svc", b"strict-transport-security"}
_QUERY = re.compile(rb"^[\x21-\x7e]*\Z")
_OURS = b"x-tcap-"
OUR_KEY = KEY_PREFIX.encode()
"""A credential with this in it is a key of the house, which goes nowhere."""
_FORWARDED = b"x-forwarded-"
_CODINGS = {b"gzip", b"deflate", b"identity", b"x-gzip"}
_ENCODED = b"content-encoding"


class TooLarge(InputError):
    """A body is longer than the house takes."""


class TooSlow(InputError):
    """A body did not come in time."""


class BrokenCircuit(ModelUnavailable):
    """A provider failed so often that it is left alone for `retry_after_s`."""

    def __init__(self, what: str, *, where: str, retry_after_s: float) -> None:
        super().__init__(what, where=where)
        self.retry_after_s = retry_after_s


class Head(Struct, frozen=True):
    """A call in the wire's own shape. The relay reads two fields; all others reach the provider as they came."""

    model: Any = None
    stream: Any = None


class NoBody(Struct, frozen=True):
    """Nothing is read of the body."""


_HEAD = msgspec.json.Decoder(Head)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


_TOLD: tuple[tuple[tuple[type[Exception], ...], tuple[int, str, str]], ...] = (
    ((KeyRefused,), (401, "invalid_request_error", "authentication_error")),
    ((AccessRefused,), (403, "forbidden", "permission_error")),
    ((UnknownCapability,), (404, "not_found", "not_found_error")),
    ((TooLarge,), (413, "invalid_request_error", "request_too_large")),
    ((TooSlow,), (408, "invalid_request_error", "invalid_request_error")),
    ((InputError,), (400, "invalid_request_error", "invalid_request_error")),
    ((LimitReached,), (429, "rate_limit_error", "rate_limit_error")),
    ((ModelTimeout,), (504, "unavailable", "timeout_error")),
    ((BrokenCircuit, StoreError, SettingsError), (503, "unavailable", "overloaded_error")),
    ((TokenCapitalError,), (502, "unavailable", "api_error")),
)
"""The first that fits, before what is more general."""


def read_head(body: bytes) -> tuple[str, bool]:
    """The model that a body names, and whether the answer is to be streamed. Raises InputError."""
    try:
        head = _HEAD.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise InputError(f"the body is no request in JSON: {error}") from None
    if not isinstance(head.model, str) or not head.model:
        raise InputError("the body names no `model`")
    if len(head.model) > LONGEST_MODEL:
        raise InputError(f"the name of a model has at most {LONGEST_MODEL} characters")
    return head.model, head.stream is True


def with_model(body: bytes, model: str) -> bytes:
    """The same body with another model; every other value stays byte for byte as it was."""
    fields = _FIELDS.decode(body)
    fields["model"] = msgspec.Raw(msgspec.json.encode(model))
    parts = (msgspec.json.encode(name) + b":" + bytes(value) for name, value in fields.items())
    return b"{" + b",".join(parts) + b"}"


def unpacked(body: bytes, coding: str | None, most: int) -> bytes:
    """A body as it was before it was compressed. Raises InputError for a coding that is not known, or a broken body,
    and TooLarge for one of more than `most` bytes."""
    if not coding or coding == "identity":
        return body
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise InputError(f"content-encoding `{coding[:40]}` is not known", remedy="Send gzip, deflate, or plain JSON.")
    reader = zlib.decompressobj(47)
    try:
        plain = reader.decompress(body, most + 1)
    except zlib.error:
        raise InputError(f"the body is not {coding}") from None
    if len(plain) > most:
        raise TooLarge(f"the body is longer than {most} bytes")
    if not reader.eof:
        raise InputError(f"the body is not {coding}: it ends too early")
    return plain


def readable(body: bytes, headers: Iterable[Header], most: int) -> tuple[bytes, bool]:
    """What is kept of an answer: unpacked where it was compressed, at most `most` bytes; and whether that is all."""
    coding = next((value for name, value in headers if name == _ENCODED), b"")
    if coding in (b"", b"identity") or not body:
        return body[:most], len(body) <= most
    try:
        plain = zlib.decompressobj(47).decompress(body, most + 1)
    except zlib.error:
        return body[:most], False
    return plain[:most], len(plain) <= most


def sent_headers(provider: Provider, headers: Iterable[Header], *, repacked: bool) -> bytes:
    """The headers that go on to a provider, as they are written. `repacked`: the body is no longer compressed.

    Hop-by-hop headers, those of ours and our credentials stay here. Raises InputError for one that would end the head.
    """
    lines, missing = [], dict(provider.headers)
    for name, value in headers:
        if name in _NOT_SENT:
            if not (provider.passes_credentials and name in CREDENTIALS) or OUR_KEY in value:
                continue
        elif name.startswith((_OURS, _FORWARDED)) or (repacked and name == _ENCODED):
            continue
        missing.pop(name, None)
        lines.append(name + b": " + (_codings(value) if name == b"accept-encoding" else value) + b"\r\n")
    lines += [name + b": " + value + b"\r\n" for name, value in missing.items()]
    block = b"".join(lines)
    if block.count(b"\n") != len(lines) or block.count(b"\r") != len(lines):
        raise InputError("a header has a line break in it")
    return block


def request_bytes(beginning: bytes, headers: bytes, body: bytes) -> bytes:
    """A request as it goes over the wire."""
    return b"%b%bcontent-length: %d\r\n\r\n%b" % (beginning, headers, len(body), body)


def safe_query(query: bytes) -> bytes:
    """The query of a request as it may stand in another one's first line. Raises InputError."""
    if query and not _QUERY.match(query):
        raise InputError("the query has characters that belong in no address")
    return query


def plain_headers(headers: Iterable[Header]) -> list[Header]:
    """The headers of a provider's answer that go back to the caller."""
    return [one for one in headers if one[0] not in _NOT_ANSWERED and not one[0].startswith(_OURS)]


def answer_headers(headers: Iterable[Header], call: str, length: int | None, *, recorded: bool) -> list[Header]:
    """The headers that go back to the caller. `length` None: it is not known yet."""
    kept = plain_headers(headers)
    kept.append((TRAJECTORY, call.encode()))
    if not recorded:
        kept.append((RECORDED, b"no"))
    if length is not None:
        kept.append((b"content-length", b"%d" % length))
    return kept


def refusal(wire: Wire | None, error: Exception) -> tuple[int, bytes, list[Header]]:
    """An error of ours as status, body and headers, in the shape of the wire."""
    status, kind, theirs = _told(error)
    foreseen = isinstance(error, TokenCapitalError)
    message = str(error) if foreseen else fault_message(error)
    shape: dict[str, Any]
    if wire in (Wire.MESSAGES, Wire.COUNT_TOKENS):
        shape = {"type": "error", "error": {"type": theirs, "message": message}}
    else:
        code = "model_not_found" if isinstance(error, UnknownCapability) else None
        shape = error_body(message, kind, code)
    body = msgspec.json.encode(shape)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    wait_s = getattr(error, "retry_after_s", None)
    if wait_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, -int(-wait_s // 1))))
    return status, body, headers


def _told(error: Exception) -> tuple[int, str, str]:
    """An error's status, and what OpenAI and Anthropic call it."""
    found = (told for kinds, told in _TOLD if isinstance(error, kinds))
    return next(found, (500, "internal_error", "api_error"))


def _codings(value: bytes) -> bytes:
    """The codings that the caller reads and we can read too, so that what is kept can be read."""
    wanted = [one.strip() for one in value.split(b",")]
    return b", ".join(one for one in wanted if one.partition(b";")[0].strip() in _CODINGS) or b"identity"
