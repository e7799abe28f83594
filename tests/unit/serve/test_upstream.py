"""The HTTP client against servers that behave and servers that do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tokencapital.core.errors import SettingsError
from tokencapital.serve.upstream import Client, Origin, Sent, read_origin
from tokencapital.serve.upstream_connection import Answer, BrokenOff, NotConnected, Patience, TookTooLong

GET = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """A server that talks as it is told; `connections` and `requests` count what came."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.connections = 0
        self.ended = asyncio.Event()
        self.origin = Origin("127.0.0.1", 0, "127.0.0.1")

    async def greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.ended.set()
            writer.close()


@asynccontextmanager
async def listening(talk: Talk) -> AsyncIterator[tuple[Client, Server]]:
    server = Server(talk)
    listener = await asyncio.start_server(server.greet, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    server.origin = Origin("127.0.0.1", port, f"127.0.0.1:{port}")
    client = Client()
    try:
        yield client, server
    finally:
        await client.close()
        listener.close()
        await asyncio.sleep(0)


def saying(*pieces: bytes, pause_s: float = 0.0) -> Talk:
    """Answers each request with the pieces."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                if pause_s:
                    await asyncio.sleep(pause_s)

    return talk


def once(*pieces: bytes) -> Talk:
    """Answers one request and closes."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
        await writer.drain()

    return talk


async def body(answer: Answer) -> bytes:
    while not answer.whole:
        await answer.more(answer.size)
    return answer.take()


def sent(wire: bytes = GET, **patience: float) -> Sent:
    return Sent(wire=wire, patience=Patience(**patience))


async def test_an_answer_comes_over_a_connection_that_is_used_again() -> None:
    async with listening(saying(OK)) as (client, server):
        for _ in range(5):
            answer = await client.send(server.origin, sent())
            assert (answer.status, await body(answer)) == (200, b"hi")
        assert server.connections == 1
        assert client.pool(server.origin).idle == 1
        assert not client.active


@pytest.mark.parametrize(
    ("pieces", "status", "expected"),
    [
        (
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"),
            200,
            b"abcde",
        ),
        ((b"HTTP/1.1 204 No Content\r\n\r\n",), 204, b""),
        ((b"HTTP/1.1 100 Continue\r\n\r\n", OK), 200, b"hi"),
        ((b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK,), 200, b"hi"),
        ((b"HTTP/1.1 529 Overloaded\r\ncontent-length: 0\r\n\r\n",), 529, b""),
        (tuple(OK[place : place + 1] for place in range(len(OK))), 200, b"hi"),
    ],
)
async def test_bodies_of_every_kind_are_read(pieces: tuple[bytes, ...], status: int, expected: bytes) -> None:
    async with listening(saying(*pieces)) as (client, server):
        for _ in range(2):
            answer = await client.send(server.origin, sent())
            assert (answer.status, await body(answer)) == (status, expected)
        assert server.connections == 1
        assert b"link" not in dict(answer.headers)


async def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    async with listening(once(b"HTTP/1.1 200 OK\r\n\r\nall of ", b"it")) as (client, server):
        answer = await client.send(server.origin, sent())
        assert await body(answer) == b"all of it"
        assert client.pool(server.origin).idle == 0


async def test_what_the_provider_wants_closed_is_not_used_again() -> None:
    async with listening(saying(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi")) as (
        client,
        server,
    ):
        for _ in range(2):
            assert await body(await client.send(server.origin, sent())) == b"hi"
        assert server.connections == 2


async def test_a_stale_connection_is_replaced_unseen() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.readuntil(b"\r\n\r\n")  # the second request is read and never answered

    async with listening(talk) as (client, server):
        for _ in range(3):
            assert await body(await client.send(server.origin, sent())) == b"hi"
        assert server.connections == 3


async def test_a_new_connection_that_breaks_off_is_not_tried_again() -> None:
    async with listening(once()) as (client, server):
        with pytest.raises(BrokenOff):
            await client.send(server.origin, sent())
        assert server.connections == 1


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 7\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 30_000,
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
    ],
)
async def test_what_is_no_http_or_without_bounds_breaks_off(said: bytes) -> None:
    async with listening(saying(said)) as (client, server):
        with pytest.raises(BrokenOff):
            await body(await client.send(server.origin, sent(idle_s=2.0)))
        assert not client.active


async def test_a_body_that_is_cut_off_breaks_off() -> None:
    async with listening(once(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")) as (client, server):
        answer = await client.send(server.origin, sent())
        with pytest.raises(BrokenOff):
            await body(answer)
        assert answer.take() == b"half"


async def test_bytes_that_nobody_asked_for_end_the_connection() -> None:
    async with listening(saying(OK + OK)) as (client, server):
        assert await body(await client.send(server.origin, sent())) == b"hi"
        assert await body(await client.send(server.origin, sent())) == b"hi"
        assert server.connections == 2


async def test_silence_and_slowness_have_an_end() -> None:
    async with listening(saying(pause_s=0.0)) as (client, server):
        with pytest.raises(TookTooLong, match="nothing came"):
            await client.send(server.origin, sent(idle_s=0.1))
    slow = saying(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", *[b"1\r\na\r\n"] * 100, pause_s=0.02)
    async with listening(slow) as (client, server):
        answer = await client.send(server.origin, sent(idle_s=5.0, total_s=0.3))
        with pytest.raises(TookTooLong, match="not answered within"):
            await body(answer)
        assert answer.size > 1


async def test_nobody_listening_is_not_connected() -> None:
    async with listening(once()) as (client, _server):
        with pytest.raises(NotConnected):
            await client.send(Origin("127.0.0.1", 1, "127.0.0.1:1"), sent())


async def test_a_reader_that_is_slow_holds_the_provider_back() -> None:
    piece, count = b"x" * 65536, 400
    written = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (len(piece) * count))
        for _ in range(count):
            writer.write(piece)
            await writer.drain()
            written += len(piece)

    async with listening(talk) as (client, server):
        answer = await client.send(server.origin, sent())
        await asyncio.sleep(0.3)
        assert written < len(piece) * count
        size = 0
        while True:
            size += len(answer.take())
            if answer.whole:
                break
            await answer.more()
        assert size + len(answer.take()) == len(piece) * count


async def test_a_connection_that_was_held_back_to_the_last_byte_is_read_from_again() -> None:
    size = (1 << 20) + 1
    async with listening(saying(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size, b"x" * size)) as (
        client,
        server,
    ):
        for _ in range(2):
            answer = await asyncio.wait_for(client.send(server.origin, sent()), 2)
            while not answer.whole:
                await answer.more(unread=answer.size)
            assert len(answer.take()) == size
        assert server.connections == 1


async def test_a_call_that_is_given_up_closes_its_connection() -> None:
    async with listening(saying()) as (client, server):
        task = asyncio.create_task(client.send(server.origin, sent()))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(server.ended.wait(), 2)
        assert not client.active


async def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    async with listening(saying(OK)) as (client, server):
        origin, _ = read_origin(f"https://127.0.0.1:{server.origin.port}/v1")
        with pytest.raises(NotConnected):
            await client.send(origin, sent(connect_s=2.0))


def test_addresses_are_read() -> None:
    origin, path = read_origin("http://127.0.0.1:8080/v1/")
    assert (origin.host, origin.port, origin.name, origin.tls, path) == (
        "127.0.0.1",
        8080,
        "127.0.0.1:8080",
        None,
        "/v1",
    )
    origin, path = read_origin("https://[::1]/v1")
    assert (origin.host, origin.port, origin.name, path) == ("::1", 443, "[::1]", "/v1")
    assert origin.tls is not None
    assert origin.tls.check_hostname
    with pytest.raises(SettingsError):
        read_origin("https://x/v1", ca_file="/nowhere.pem")


@pytest.mark.parametrize("tail", ["?api-version=2024", "#x", " /x", "/\u00e9"])
def test_an_address_of_which_a_part_would_be_lost_is_refused(tail: str) -> None:
    with pytest.raises(SettingsError, match="plain path"):
        read_origin(f"https://example.com/v1{tail}")
