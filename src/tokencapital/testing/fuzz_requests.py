"""Requests that nobody should send: seeded, so that what broke once breaks again.

Each is a list of pieces of bytes as they go over the wire, by the kind of malice in it.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from msgspec import Struct

PLANTED_KEY = "tcap_PLANTEDcallerkeyPLANTEDcallerkeyPLANTEDcallerkey1"
"""A key that callers send and that no log, error or answer may repeat."""
_MIB = 1 << 20
_EVIL_TEXT = (
    "", "\x00", "a" * 5000, "\u202e", "’ OR 1=1 --", "' OR '1'='1", "${jndi:ldap://127.0.0.1/x}", "{{7*7}}",
    "{% raw %}",
    "../../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%252e%252e%252f", "<script>alert(1)</script>",
    "a\r\nset-cookie: x=1",
    "http://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "NaN", "-0", "1e400", "true", "null", "𝔘" * 100,
)  # fmt: skip
_EVIL_VALUES: tuple[Any, ...] = (None, True, 0, -1, 2**63, 2**200, 1e308, -1e-308, [], {}, [[]], {"": {}}, *_EVIL_TEXT)
_EVIL_BYTES = (
    b"", b"\x00", b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b'"\\ud800"', b"[" * 100_000, b'{"a":' * 50_000,
    b"9" * 20_000, b"NaN", b'{"a":1,"a":2}', b"\xef\xbb\xbf{}", b"{}garbage", b"[1,", b"'",
    b"\x1f\x8b\x08\x00", b"<xml/>",
)  # fmt: skip
_TYPES = (
    "application/json", "application/x-protobuf", "text/plain", "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    "", "application/json; charset=utf-16", "a/b;" * 200,
)  # fmt: skip
_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "FOO", "post", "PRI")
_EVIL_PATHS = (
    "/", "//", "/..", "/static/../style.css", "/static/..%2f..%2fpyproject.toml",
    "/static/%252e%252e%252fsecret", "/static/%00",
    "/v1/answers/..%2f..", "/v1/answers/%ff", "/v1/answers/" + "a" * 4000, "/capability/%2e%2e/run/x",
    "/knowledge/..%5c..%5cx",
    "/v1//chat/completions", "/V1/chat/completions", "/v1/chat/completions/", "/v1/chat/completions?%ff=%00",
    "/v1/models/%0d%0ax:y",
    "http://127.0.0.1/healthz", "*", "/metrics?x=" + "y" * 3000, "/healthz#x", "/%", "/%zz",
    "/v1/responses/..%2f..%2fmodels",
    "/v1/responses/x%0d%0ay", "/login?onward=//evil.test", "/openapi.json", "/readyz", "/run/%27%20OR%201=1",
    "/review/%F0%9F%98%80",
)  # fmt: skip
_BODIES: Mapping[str, Any] = {
    "/v1/chat/completions": {
        "model": "known-model", "stream": True, "n": 1, "user": "u", "temperature": 0.1, "tools": [],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
    },
    "/v1/responses": {"model": "known-model", "input": "hello", "stream": False, "previous_response_id": "resp_1"},
    "/v1/messages": {"model": "known-model", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]},
    "/v1/messages/count_tokens": {"model": "known-model", "messages": [{"role": "user", "content": "hello"}]},
    "/v1/embeddings": {"model": "known-model", "input": ["a", "b"]},
    "/v1/judgments": {"expert": "ines", "verdict": "corrected", "case": "cas_1", "answer": "a", "minutes": 1.5,
    "reason": "x"},
    "/v1/outcomes": [{"capability": "triage", "key": "k", "name": "n", "value": True,
    "at": "2026-01-01T00:00:00Z", "id": "o1"}],
    "/v1/knowledge/search": {"query": "holidays", "limit": 3},
    "/v1/traces": {
        "resourceSpans": [{"scopeSpans": [{"spans": [{
            "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "chat",
            "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": "1544712661000000000",
            "attributes": [{"key": "gen_ai.request.model", "value": {"stringValue": "m"}}],
        }]}]}],
    },
}  # fmt: skip
_OWN = {**_BODIES["/v1/chat/completions"], "model": "triage", "messages": [{"role": "user", "content": "hello"}]}
_HEADERS = ("x-tcap-case", "x-tcap-group", "x-tcap-key", "x-tcap-unsure", "x-tcap-provider", "x-tcap-tag-a",
            "accept", "cookie",
            "host", "origin", "traceparent", "idempotency-key", "x-forwarded-for", "range", "if-none-match",
            "expect")  # fmt: skip


class Fuzzed(Struct, frozen=True):
    """A request: its kind, and what goes over the wire. `whole` False: it breaks off, and only has to be closed."""

    kind: str
    pieces: tuple[bytes, ...]
    whole: bool = True


def fuzzed(seed: int, count: int, most_mib: int = 50) -> Iterator[Fuzzed]:
    """So many requests; about one in 300 has a body of up to `most_mib`."""
    random = Random(seed)  # noqa: S311
    kinds = [kind for kind, weight in _KINDS.items() for _ in range(weight)]
    for number in range(count):
        kind = "huge" if most_mib and number % 300 == 299 else random.choice(kinds)
        made = _huge(random, most_mib) if kind == "huge" else _MAKERS[kind](random)
        yield made if isinstance(made, Fuzzed) else Fuzzed(kind, (made,))


def request(method: str, path: str, body: bytes = b"", headers: Sequence[tuple[str, str | bytes]] = ()) -> bytes:
    """A request as it goes over the wire; the connection ends with it."""
    lines = [f"{method} {path} HTTP/1.1".encode("utf-8", "surrogateescape")]
    named = {name.lower() for name, _ in headers}
    usual = [("host", "127.0.0.1"), ("authorization", f"Bearer {PLANTED_KEY}"), ("connection", "close")]
    for name, value in [*((n, v) for n, v in usual if n not in named), *headers]:
        lines.append(
            name.encode("latin-1", "replace") + b": " + (value if isinstance(value, bytes) else value.encode())
        )
    if not named & {"content-length", "transfer-encoding"}:
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _body(random: Random) -> tuple[str, bytes]:
    path = random.choice(list(_BODIES))
    asked = _OWN if path == "/v1/chat/completions" and random.random() < 0.3 else _BODIES[path]
    return path, json.dumps(asked).encode()


def _changed(random: Random, value: Any) -> Any:
    """The value with something else somewhere inside."""
    if random.random() < 0.15 or not isinstance(value, dict | list) or not value:
        return random.choice(_EVIL_VALUES)
    if isinstance(value, list):
        place = random.randrange(len(value))
        return [_changed(random, one) if number == place else one for number, one in enumerate(value)]
    name = random.choice(list(value))
    match random.randrange(4):
        case 0:
            return {key: one for key, one in value.items() if key != name}
        case 1:
            return {**value, random.choice(_EVIL_TEXT): random.choice(_EVIL_VALUES)}
        case _:
            return {**value, name: _changed(random, value[name])}


def _field(random: Random) -> bytes:
    path, body = _body(random)
    changed = json.loads(body)
    for _ in range(random.randint(1, 3)):
        changed = _changed(random, changed)
    return request("POST", path, json.dumps(changed, ensure_ascii=random.random() < 0.5).encode(), [_JSON])


def _bytes(random: Random) -> bytes:
    path, body = _body(random)
    place = random.randrange(len(body) + 1)
    match random.randrange(5):
        case 0:
            body = body[:place]
        case 1:
            body = body[:place] + random.choice(_EVIL_BYTES) + body[place:]
        case 2:
            body = random.choice(_EVIL_BYTES)
        case 3:
            body = random.randbytes(random.randrange(2000))
        case _:
            body = bytes(byte ^ (1 << random.randrange(8)) if random.random() < 0.01 else byte for byte in body)
    return request("POST", path, body, [_JSON])


def _type(random: Random) -> bytes:
    path, body = _body(random)
    return request(random.choice(_METHODS), path, body, [("content-type", random.choice(_TYPES))])


def _path(random: Random) -> bytes:
    path = random.choice(_EVIL_PATHS)
    if random.random() < 0.5:
        place = random.randrange(len(path) + 1)
        path = (
            path[:place] + random.choice(("%00", "%2e%2e%2f", "/", "..", "%c0%af", ";", "?", "&", "'")) + path[place:]
        )
    headers = [("accept", "text/html")] if random.random() < 0.5 else []
    return request(random.choice(_METHODS), path, b"", headers)


def _header(random: Random) -> bytes:
    path, body = _body(random)
    headers: list[tuple[str, str | bytes]] = [_JSON]
    for _ in range(random.randint(1, 5)):
        value = random.choice((*(text.replace("\r\n", " ") for text in _EVIL_TEXT), "a" * random.randrange(80_000)))
        headers.append((random.choice(_HEADERS), value.replace("\x00", "\x01").encode()))
    if random.random() < 0.1:
        headers += [(f"x-{number}", "y") for number in range(3000)]
    return request("POST", path, body, headers)


def _packed(random: Random) -> bytes:
    path, body = _body(random)
    packed = gzip.compress(body if random.random() < 0.8 else bytes(200 * _MIB // random.choice((1, 20, 200))), 1)
    if random.random() < 0.4:
        packed = packed[: random.randrange(len(packed))] + random.randbytes(5)
    return request(
        "POST", path, packed, [_JSON, ("content-encoding", random.choice(("gzip", "gzip", "deflate", "br", "x")))]
    )


def _form(random: Random) -> bytes:
    path = random.choice(
        ("/login", "/logout", "/knowledge", "/people", "/review/triage", "/expert", "/me", "/conflicts/triage")
    )
    fields = "&".join(
        f"{random.choice(('token', 'login', 'password', 'x'))}={random.choice(_EVIL_TEXT)}" for _ in range(4)
    )
    body = random.choice((fields.encode(), b"a&" * 2000, random.randbytes(50)))
    return request("POST", path, body, [("content-type", "application/x-www-form-urlencoded")])


def _chunked(random: Random) -> Fuzzed:
    path, body = _body(random)
    sizes = random.choice((b"%x", b"%x;a=b", b"0x%x", b"-%x", b"%x \t", b"fffffffffffffffff%x", b"%x\n"))
    chunks = sizes % len(body) + b"\r\n" + body + b"\r\n0\r\n" + random.choice((b"\r\n", b"x: y\r\n\r\n", b"", b"\r"))
    headers = [
        _JSON,
        ("transfer-encoding", random.choice(("chunked", "chunked, chunked", "gzip, chunked", "identity", "xchunked"))),
    ]
    if random.random() < 0.3:
        headers.append(("content-length", random.choice(("0", "5", "-1", "1e3", "99999999999999999999"))))
    return Fuzzed("chunked", (request("POST", path, chunks, headers),), whole=False)


def _raw(random: Random) -> Fuzzed:
    path, body = _body(random)
    whole = request("POST", path, body, [_JSON])
    place = random.randrange(len(whole))
    sent = random.choice((
        whole[:place], random.randbytes(300), b"\r\n" * 50 + whole, whole.replace(b"HTTP/1.1", b"HTTP/9.9", 1),
        whole.replace(b"\r\n", b"\n"), whole.replace(b": ", b" : ", 3), b"\x16\x03\x01" + random.randbytes(100),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", whole.replace(b"content-length",
        b"content-length: 3\r\ncontent-length", 1),
        whole.replace(b"connection: close", b"connection: upgrade\r\nupgrade: websocket", 1),
        b"GET " + b"/a" * 60_000,
    ))  # fmt: skip
    return Fuzzed("raw", (sent,), whole=False)


def _pipelined(random: Random) -> Fuzzed:
    some = [_MAKERS[random.choice(("field", "bytes"))](random) for _ in range(random.randint(2, 8))]
    joined = b"".join(
        one.replace(b"connection: close", b"connection: keep-alive", 1) for one in some if isinstance(one, bytes)
    )
    return Fuzzed("pipelined", (joined + request("GET", "/healthz"),))


def _dripped(random: Random) -> Fuzzed:
    whole = _field(random)
    step = max(1, len(whole) // 10)
    return Fuzzed("dripped", tuple(whole[start : start + step] for start in range(0, len(whole), step)))


def _huge(random: Random, most_mib: int) -> Fuzzed:
    size = random.choice((1, 2, 5, 10, most_mib)) * _MIB
    path, body = _body(random)
    filler = random.choice((b"a" * size, b"[" * size, b"\x00" * size, b'"a",' * (size // 4), b"\xff" * size))
    start = body[:-1] + b',"x":"' if random.random() < 0.5 else b""
    return Fuzzed("huge", (request("POST", path, start + filler + (b'"}' if start else b""), [_JSON]),))


_JSON: tuple[str, str | bytes] = ("content-type", "application/json")
_MAKERS: Mapping[str, Callable[[Random], bytes | Fuzzed]] = {
    "field": _field, "bytes": _bytes, "type": _type, "path": _path, "header": _header, "packed": _packed,
    "form": _form, "chunked": _chunked, "raw": _raw, "pipelined": _pipelined, "dripped": _dripped,
}  # fmt: skip
_KINDS = {
    "field": 40, "bytes": 20, "type": 8, "path": 10, "header": 6, "packed": 4,
    "form": 4, "chunked": 3, "raw": 3, "pipelined": 1, "dripped": 1,
}  # fmt: skip
