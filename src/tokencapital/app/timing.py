"""How long an answer took on the server, told in its head."""

from __future__ import annotations

from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class ServerTiming:
    """Adds `server-timing: app;dur=MS` to every response: from when the request came in until its head goes out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The request is answered by the app within, which never sees that it is timed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()

        async def timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                took_ms = 1000 * (perf_counter() - started)
                message["headers"] = [*message.get("headers", ()), (b"server-timing", b"app;dur=%.2f" % took_ms)]
            await send(message)

        await self._app(scope, receive, timed)
