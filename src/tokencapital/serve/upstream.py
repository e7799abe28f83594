"""The gateway's own HTTP/1.1 client: a pool of open connections for each provider, in one event loop.

It does little and does it fast (docs/decisions/0017): no redirects are followed, nothing is decompressed, no cookies
are kept, and proxies named in the environment are not used.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

from msgspec import Struct

from tokencapital.core.errors import SettingsError
from tokencapital.serve.upstream_connection import (
    Answer,
    BrokenOff,
    Connection,
    NotConnected,
    Patience,
)

TICK_S = 0.05
"""How often patience is looked at."""
_IDLE_CONNECTIONS, _KEPT_IDLE_S, _MOST_HEAD_BYTES = 128, 45.0, 1 << 16
_PATIENCE = Patience()
_PORTS = {"http": 80, "https": 443}
_PATH = re.compile(r"[!-~]*\Z")


class Origin(Struct, frozen=True):
    """Where a provider listens. `tls` None: in the clear; `name` is how errors call it and what `Host` says."""

    host: str
    port: int
    name: str
    tls: ssl.SSLContext | None = None


class Sent(Struct, frozen=True, kw_only=True):
    """A request as it goes over the wire, head and body. `on_slow` is called once with an
    answer that is not whole at once."""

    wire: bytes
    patience: Patience = _PATIENCE
    on_slow: Callable[[Answer], None] | None = None


def read_origin(url: str, ca_file: str | None = None) -> tuple[Origin, str]:
    """Where an address leads, and the path on it without a slash at the end.

    Certificates are verified against the system's authorities, or those in `ca_file`. Raises SettingsError.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"is no address: {error}", where=url) from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise SettingsError("is no address of a provider", where=url, remedy="Write it as in https://HOST/v1.")
    if parts.username or parts.password:
        raise SettingsError("a provider's url carries no password", remedy="Use `key_env` or `key_file`.")
    if parts.query or parts.fragment or not _PATH.match(parts.path):
        raise SettingsError("a provider's url ends with a plain path", where=url, remedy="Leave out what follows it.")
    standard = _PORTS[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    name = host if port in (None, standard) else f"{host}:{port}"
    tls = _tls(ca_file) if parts.scheme == "https" else None
    return Origin(parts.hostname, port or standard, name, tls), parts.path.rstrip("/")


class Pool:
    """The connections to one origin. Bounded: what is over the bound when it falls idle is closed."""

    def __init__(self, origin: Origin, client: Client) -> None:
        self.origin = origin
        self.where = origin.name
        self.loop = client.loop
        self.active = client.active
        self.most_head_bytes = _MOST_HEAD_BYTES
        self._client = client
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()

    async def connection(self, patience: Patience, *, fresh: bool) -> Connection:
        """One that is open and idle, or a new one. Raises NotConnected."""
        while self._idle and not fresh:
            found = self._idle.pop()
            if not found.closed:
                return found
        return await self._connect(patience)

    def give_back(self, connection: Connection) -> None:
        """The connection is idle."""
        connection.idle_s = 0.0
        if len(self._idle) < _IDLE_CONNECTIONS and not self._client.closed:
            self._idle.append(connection)
        else:
            connection.abort()

    def lost(self, connection: Connection) -> None:
        """The connection is gone."""
        self._open.discard(connection)
        if connection.used:
            with contextlib.suppress(ValueError):
                self._idle.remove(connection)

    def tick(self, seconds: float) -> None:
        """So much time went by; what was idle for long is closed."""
        for connection in list(self._idle):
            connection.idle_s += seconds
            if connection.idle_s > _KEPT_IDLE_S:
                connection.abort()

    @property
    def idle(self) -> int:
        """How many connections wait for work."""
        return len(self._idle)

    def close(self) -> None:
        """All connections are closed."""
        for connection in list(self._open):
            connection.abort()
        self._idle.clear()

    async def _connect(self, patience: Patience) -> Connection:
        origin = self.origin
        try:
            async with asyncio.timeout(patience.connect_s):
                _, connection = await self.loop.create_connection(
                    lambda: Connection(self),
                    origin.host,
                    origin.port,
                    ssl=origin.tls,
                    server_hostname=origin.host if origin.tls else None,
                )
        except TimeoutError:
            raise NotConnected(f"no connection within {patience.connect_s:g} s", where=origin.name) from None
        except ssl.SSLError as error:
            raise NotConnected(f"no safe connection: {error.reason or 'TLS failed'}", where=origin.name) from None
        except OSError as error:
            raise NotConnected(f"no connection: {error.strerror or type(error).__name__}", where=origin.name) from None
        self._open.add(connection)
        return connection


class Client:
    """Sends requests and hands out answers, in the event loop in which it was made.

    A caretaker runs in that loop while there is something to look after; where the loop ends it closes everything.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.active: set[Answer] = set()
        self.closed = False
        self._pools: dict[Origin, Pool] = {}
        self._caretaker: asyncio.Task[None] | None = None

    async def send(self, origin: Origin, sent: Sent) -> Answer:
        """The answer as soon as its head is there. Raises ModelError.

        A connection that was used before may have been closed by the other side in the meantime: where no byte of an
        answer came on such a one the request is sent once more on a new one.
        """
        pool = self.pool(origin)
        connection = await pool.connection(sent.patience, fresh=False)
        used = connection.used
        answer = await self._exchange(connection, sent, once_more=used)
        if answer is None:
            connection = await pool.connection(sent.patience, fresh=True)
            answer = await self._exchange(connection, sent, once_more=False)
        assert answer is not None
        return answer

    def pool(self, origin: Origin) -> Pool:
        """The connections to an origin."""
        return self._pools.get(origin) or self._new_pool(origin)

    async def close(self) -> None:
        """All connections are closed."""
        self.closed = True
        caretaker, self._caretaker = self._caretaker, None
        if caretaker is not None:
            caretaker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await caretaker
        self._close_all()
        await asyncio.sleep(0)

    async def _exchange(self, connection: Connection, sent: Sent, *, once_more: bool) -> Answer | None:
        """The answer with its head; None: the connection was stale."""
        answer = Answer(connection, sent.patience, sent.on_slow)
        connection.ask(sent.wire, answer)
        try:
            await answer.head()
        except BrokenOff:
            if once_more and not answer.heard:
                return None
            raise
        except BaseException:
            answer.close()
            raise
        return answer

    def _new_pool(self, origin: Origin) -> Pool:
        pool = self._pools[origin] = Pool(origin, self)
        if self._caretaker is None:
            self._caretaker = self.loop.create_task(self._take_care())
        return pool

    async def _take_care(self) -> None:
        """Time goes by for every answer and idle connection, until the loop ends."""
        last = self.loop.time()
        try:
            while True:
                await asyncio.sleep(TICK_S)
                now = self.loop.time()
                passed, last = now - last, now
                for answer in list(self.active):
                    answer.tick(passed)
                for pool in self._pools.values():
                    pool.tick(passed)
        finally:
            self._close_all()

    def _close_all(self) -> None:
        for pool in self._pools.values():
            pool.close()


def _tls(ca_file: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise SettingsError(f"cannot be read: {error.strerror or error}", where=str(ca_file)) from None
    context.set_alpn_protocols(["http/1.1"])
    return context
