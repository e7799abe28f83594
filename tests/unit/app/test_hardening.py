"""Bounds of requests against a real server: each is answered or closed in time, and the rest goes on."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep
from typing import Any

import msgspec
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message

from tokencapital.app.hardening import Bounds, RequestSettings
from tokencapital.app.hardening_protocol import server_options
from tokencapital.serve.counts import RequestCounts
from tokencapital.serve.gateway import refuse
from tokencapital.testing.waiting import wait_until

SETTINGS = RequestSettings(
    body_mib=1, bodies_mib=2, head_kib=16, head_s=1.0, body_s=2.0, pause_s=1.0, unread_s=1.0, connections=20
)
SLACK_S = 2.5


async def echo(request: Request) -> Response:
    body = await request.body()
    return JSONResponse({"bytes": len(body), "names": sorted(name for name, _ in request.headers.items())})


async def broken(request: Request) -> Response:
    raise ValueError("dear customer")


async def slow(request: Request) -> Response:
    await asyncio.sleep(1.5)
    return JSONResponse("slept")


async def endless(request: Request) -> Response:
    async def chunks():  # type: ignore[no-untyped-def]
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0)

    return StreamingResponse(chunks())


ROUTES = [
    Route("/echo/{name}", echo, methods=["POST"]),
    Route("/broken", broken),
    Route("/slow", slow),
    Route("/endless", endless),
]


class Served:
    def __init__(self, port: int, counts: RequestCounts) -> None:
        self.port = port
        self.counts = counts

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.settimeout(8)
        return connection

    def say(self, sent: bytes, *more: bytes, pause_s: float = 0.0) -> tuple[bytes, float]:
        """All that is answered until the connection is closed, and how long that took."""
        began = monotonic()
        with self.connect() as connection:
            try:
                for part in (sent, *more):
                    connection.sendall(part)
                    sleep(pause_s)
            except (BrokenPipeError, ConnectionResetError):
                pass
            heard = b""
            try:
                while part := connection.recv(65536):
                    heard += part
            except ConnectionResetError:
                pass
        return heard, monotonic() - began


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    counts = RequestCounts()
    app = Starlette(routes=ROUTES, exception_handlers=dict.fromkeys((HTTPException, Exception), refuse))
    config = uvicorn.Config(Bounds(app, SETTINGS, counts, ROUTES), **server_options(SETTINGS, counts))
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    assert wait_until(lambda: server.started)
    yield Served(listener.getsockname()[1], counts)
    server.should_exit = server.force_exit = True
    thread.join(10)


def post(size: int | str, body: bytes = b"", *headers: str) -> bytes:
    lines = ["POST /echo/x HTTP/1.1", "host: 127.0.0.1", "connection: close", *headers]
    if size != "chunked":
        lines.append(f"content-length: {size}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def test_a_body_within_bounds_is_read(served: Served) -> None:
    heard, _ = served.say(post(1 << 20, b"a" * (1 << 20)))
    assert b'"bytes":1048576' in heard


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_large_is_refused_whether_or_not_it_says_so(served: Served, declared: bool) -> None:
    size = (1 << 20) + 1
    chunk = b"%x\r\n" % size + b"a" * size + b"\r\n0\r\n\r\n"
    request = post(size, b"a" * 100) if declared else post("chunked", chunk, "transfer-encoding: chunked")
    heard, took_s = served.say(request)
    assert heard.startswith(b"HTTP/1.1 413 ") or (heard == b"" and not declared)
    assert took_s < SLACK_S


def test_bodies_together_have_a_bound(served: Served) -> None:
    part = b"a" * (900 << 10)
    with served.connect() as first, served.connect() as second:
        for one in (first, second):
            one.sendall(post(1 << 20, part))
        wait_until(lambda: served.counts.body_bytes >= 2 * len(part), 3.0)
        heard, _ = served.say(post(len(part), part))
        assert b" 429 " in heard.splitlines()[0]
    assert wait_until(lambda: served.counts.body_bytes == 0, 3.0)


REFUSED = [
    (b"", b"408"),
    (b"GET / HT", b"408"),
    (b"\r\n", b"408"),
    (b"POST /echo/x HTTP/1.1\r\nhost: a\r\n", b"408"),
    (b"POST /echo/x HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nab", b"408"),
    (b"POST /echo/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", b"408"),
    (b"GET /x HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 20_000 + b"\r\n\r\n", b"431"),
    (b"GET /x HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 20_000, b"431"),
    (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n", b"431"),
    (b"".join([b"GET /x HTTP/1.1\r\n", *(b"x%d: 1\r\n" % n for n in range(3000)), b"\r\n"]), b"431"),
    (b"nonsense\r\n\r\n", b"400"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
    (b"POST /echo/x HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", b"400"),
    (b"POST /echo/x HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n", b"400"),
    (b"POST /echo/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\nab", b"400"),
    (b"POST /echo/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", b"400"),
]


def test_what_is_unfinished_too_large_or_no_http_is_told_so_and_closed(served: Served) -> None:
    with ThreadPoolExecutor(len(REFUSED)) as threads:
        heard = list(threads.map(served.say, [sent for sent, _ in REFUSED]))
    for (sent, status), (answer, took_s) in zip(REFUSED, heard, strict=True):
        assert answer.startswith(b"HTTP/1.1 " + status), sent[:100]
        assert answer.count(b"HTTP/1.1") == 1, sent[:100]
        assert took_s < SETTINGS.head_s + SLACK_S, sent[:100]


def test_a_byte_now_and_then_does_not_hold_a_connection(served: Served) -> None:
    """Slowloris: each byte comes in time, the whole does not."""
    with ThreadPoolExecutor(2) as threads:
        head = threads.submit(served.say, b"GET / HTTP/1.1\r\n", *[b"x"] * 15, pause_s=0.2)
        body = threads.submit(served.say, post(1000), *[b"x"] * 12, pause_s=0.3)
    for heard, took_s in (head.result(), body.result()):
        assert b" 408 " in heard or heard == b""
        assert took_s < 12 * 0.3 + SLACK_S


def test_an_answer_that_takes_its_time_is_waited_for(served: Served) -> None:
    heard, _ = served.say(b"GET /slow HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    assert b'"slept"' in heard


def test_who_does_not_read_is_hung_up_on(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n")
        before = served.counts.turned_away["unread"]
        wait_until(lambda: served.counts.turned_away["unread"] > before, SETTINGS.unread_s + SLACK_S)
        assert served.counts.turned_away["unread"] == before + 1


def test_those_that_ask_nothing_make_room_for_those_that_do(served: Served) -> None:
    idle = [served.connect() for _ in range(SETTINGS.connections + 5)]
    heard, took_s = served.say(post(2, b"ok"))
    assert b'"bytes":2' in heard and took_s < 1
    for one in idle:
        one.close()


def test_what_stands_behind_a_body_is_no_header(served: Served) -> None:
    """Header smuggling: a trailer is not among the headers of the request."""
    body = b"2\r\nok\r\n0\r\nauthorization: Bearer x\r\n\r\n"
    heard, _ = served.say(post("chunked", body, "transfer-encoding: chunked", "trailer: authorization"))
    assert b'"bytes":2' in heard
    assert b'"authorization"' not in heard


def test_requests_that_come_in_one_piece_are_answered_in_order(served: Served) -> None:
    one = b"POST /echo/x HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n"
    heard, _ = served.say(b"".join(one % n + b"a" * n for n in range(50)) + post(0))
    assert [b'"bytes":%d,' % n in heard for n in range(50)] == [True] * 50


def test_an_error_that_nobody_foresaw_is_told_by_its_id_alone(served: Served) -> None:
    heard, _ = served.say(b"GET /broken HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    assert heard.startswith(b"HTTP/1.1 500 ")
    assert b"flt_" in heard and b"dear customer" not in heard


def test_requests_are_counted_by_route_and_not_by_what_callers_write(served: Served) -> None:
    served.say(b"GET /nobody/dear-customer HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    assert served.counts.answered["POST", "/echo/{name}", 200] > 0
    assert served.counts.answered["GET", "none", 404] > 0
    assert not any("dear" in route for _, route, _ in served.counts.answered)


async def test_an_error_before_any_route_has_an_answer_too() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    counts = RequestCounts()
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    await Bounds(app, RequestSettings(), counts)(scope, receive, send)
    assert sent[0]["status"] == 500
    assert msgspec.json.decode(sent[1]["body"])["error"]["type"] == "internal_error"
    assert (counts.faults, counts.in_flight) == (1, 0)


async def test_a_caller_who_hung_up_before_any_answer_is_counted_without_a_time() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise ClientDisconnect

    async def send(message: Message) -> None:
        raise AssertionError("nobody is there")

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    counts = RequestCounts()
    scope = {"type": "http", "method": "GET", "path": "/slow", "headers": []}
    await Bounds(app, SETTINGS, counts, ROUTES)(scope, receive, send)
    assert counts.answered["GET", "/slow", 0] == 1
    assert not counts.times
