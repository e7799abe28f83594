"""How spans of the SDK leave an application: from a thread of their own, out of a queue that is never longer than told.

What cannot be sent is dropped and counted, and the count is told on the log; the application hears of nothing.
"""

from __future__ import annotations

import atexit
import gzip
import http.client
import logging
import os
import threading
from collections import deque
from collections.abc import Mapping
from time import monotonic
from typing import Protocol
from urllib.parse import urlsplit
from weakref import WeakSet

from msgspec import Struct

from tokencapital.serve.sdk_spans import SdkSpan, batch_of

_log = logging.getLogger("tokencapital.sdk")
_RETRIED = frozenset({408, 429, 500, 502, 503, 504})
_LONGEST_WAIT_S, _POLL_S = 10.0, 0.005


class House(Protocol):
    """Where spans go: a house that keeps them."""

    def take(self, batch: bytes) -> None:
        """The batch is kept when this returns. Raises RefusedBatch for good, any other error for now."""
        ...

    def close(self) -> None:
        """Nothing more will come."""
        ...


class RefusedBatch(Exception):
    """The house will never take this batch."""


class SendingSettings(Struct, frozen=True, kw_only=True):
    """How spans are sent: at most `most` wait, `at_once` go together, no later than `every_s` after they ended.

    `timeout_s` is how long one request, and the last flush when the application ends, may take.
    """

    most: int = 20_000
    at_once: int = 512
    every_s: float = 0.5
    timeout_s: float = 5.0


class Sent(Struct, frozen=True):
    """How many spans were taken by the house, were dropped, and still wait."""

    sent: int
    dropped: int
    waiting: int


class HttpHouse:
    """A house behind a URL, which takes OpenTelemetry's batches at `/v1/traces`. Not safe for threads."""

    def __init__(self, url: str, key: str | None, timeout_s: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url} is no address of a house, such as http://127.0.0.1:8000")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout_s)
        self._path = f"{parts.path.rstrip('/').removesuffix('/v1')}/v1/traces"
        self._headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
        if key:
            self._headers["authorization"] = f"Bearer {key}"

    def take(self, batch: bytes) -> None:
        """The batch is kept when this returns."""
        try:
            self._connection.request("POST", self._path, gzip.compress(batch, 1), self._headers)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        if answer.status in _RETRIED:
            raise ConnectionError(f"the house answered {answer.status}")
        if answer.status >= 300:
            raise RefusedBatch(f"the house answered {answer.status}")

    def close(self) -> None:
        """The connection is closed."""
        self._connection.close()


class Sender:
    """Sends spans to a house from a thread of its own. Safe for threads and for forks."""

    def __init__(self, house: House, resource: Mapping[str, str], settings: SendingSettings) -> None:
        self._house = house
        self._resource = dict(resource)
        self._settings = settings
        self._queue: deque[SdkSpan] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._busy = self._closing = False
        self._thread: threading.Thread | None = None
        self._sent = self._dropped = self._told = 0
        atexit.register(self.close)
        _OPEN.add(self)

    def add(self, span: SdkSpan) -> None:
        """The span will be sent, or is counted as dropped."""
        queue, settings = self._queue, self._settings
        if len(queue) >= settings.most or self._closing:
            self._drop(1)
            return
        queue.append(span)
        if self._thread is None and not self._start():
            return
        if len(queue) == settings.at_once:
            self._wake.set()

    @property
    def counts(self) -> Sent:
        """How the sender stands."""
        return Sent(self._sent, self._dropped, len(self._queue))

    def flush(self, timeout_s: float | None = None) -> bool:
        """Whether all that was added until now is with the house or dropped; waits so long for it."""
        until = monotonic() + (self._settings.timeout_s if timeout_s is None else timeout_s)
        while self._queue or self._busy:
            if self._thread is None or monotonic() > until:
                return False
            self._wake.set()
            self._stop.wait(_POLL_S)
        return True

    def close(self) -> None:
        """What can be sent within the time allowed is sent, the rest is counted. Closing twice is harmless."""
        if self._closing:
            return
        self.flush()
        self._closing = True
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(self._settings.timeout_s)
        self._drop(len(self._queue))
        self._queue.clear()
        self._tell()
        self._house.close()
        atexit.unregister(self.close)

    def _start(self) -> bool:
        """Whether the thread runs; where the process lets none begin, what waits is sent when one can."""
        with self._lock:
            if self._thread is None:
                fresh = threading.Thread(target=self._run, name="tokencapital-sdk", daemon=True)
                try:
                    fresh.start()
                except RuntimeError:
                    return False
                self._thread = fresh
        return True

    def begin_anew(self) -> None:
        """In a process that was forked the queue is its parent's business, and there is no thread yet."""
        self._queue, self._thread, self._busy = deque(), None, False
        self._lock, self._wake, self._stop = threading.Lock(), threading.Event(), threading.Event()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(self._settings.every_s)
            self._wake.clear()
            while self._queue and not self._closing:
                self._busy = True
                self._send([self._queue.popleft() for _ in range(min(len(self._queue), self._settings.at_once))])
                self._busy = False
            self._tell()

    def _send(self, spans: list[SdkSpan]) -> None:
        """The spans are with the house, or dropped; a house that is away is tried until nothing more fits."""
        wait_s, until = 0.1, monotonic() + self._settings.timeout_s
        try:
            body = batch_of(spans, self._resource)
            while True:
                try:
                    self._house.take(body)
                except RefusedBatch:
                    raise
                except Exception:
                    full = len(self._queue) + len(spans) >= self._settings.most
                    if full or (self._closing and monotonic() > until):
                        raise
                    self._stop.wait(wait_s)
                    wait_s = min(_LONGEST_WAIT_S, wait_s * 2)
                else:
                    self._sent += len(spans)
                    return
        except Exception as error:  # noqa: BLE001 (whatever it is, the application goes on)
            _log.debug("spans were dropped: %s", type(error).__name__)
            self._drop(len(spans))

    def _drop(self, count: int) -> None:
        with self._lock:
            self._dropped += count

    def _tell(self) -> None:
        """What was dropped since the last time is on the log."""
        if self._dropped > self._told:
            _log.warning("%d spans could not be sent and were dropped", self._dropped - self._told)
            self._told = self._dropped


_OPEN: WeakSet[Sender] = WeakSet()


def _after_fork() -> None:
    for one in _OPEN:
        one.begin_anew()


os.register_at_fork(after_in_child=_after_fork)
