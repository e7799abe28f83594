"""Work that nobody waits for, in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine

from tokencapital.models.base import ModelClient

_CLOSING_S = 5.0

Work = Callable[[ModelClient | None], Coroutine[None, None, None]]
"""What is to be done with a model that may be asked; None: there is none."""


class Aside:
    """A thread with an event loop of its own, for work that nobody waits for. `generalist` makes the model that this
    work asks, since one may be used in one loop only."""

    def __init__(self, generalist: Callable[[], ModelClient | None]) -> None:
        self.waiting = 0
        self._generalist = generalist
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._client: ModelClient | None = None

    def do(self, work: Work) -> None:
        """The work will be done; this does not wait for it. Raises SettingsError where the model cannot be made."""
        with self._lock:
            if self._loop is None:
                self._client = self._generalist()
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="tcap-beside", daemon=True)
                self._thread.start()
            self.waiting += 1
        asyncio.run_coroutine_threadsafe(self._done(work), self._loop)

    def wait(self, timeout_s: float) -> bool:
        """Whether nothing is left to do; waits so long for it."""
        with self._idle:
            return self._idle.wait_for(lambda: self.waiting == 0, timeout_s)

    def close(self) -> None:
        """What was begun is done, as far as a few seconds allow."""
        self.wait(_CLOSING_S)
        loop, thread, client = self._loop, self._thread, self._client
        if loop is None or thread is None:
            return
        if client is not None:
            asyncio.run_coroutine_threadsafe(client.close(), loop).result(_CLOSING_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_CLOSING_S)
        loop.close()
        self._loop = self._thread = self._client = None

    async def _done(self, work: Work) -> None:
        try:
            await work(self._client)
        finally:
            with self._idle:
                self.waiting -= 1
                self._idle.notify_all()
