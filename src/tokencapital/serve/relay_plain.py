"""Requests that are no call of a model, passed on as they are: what OpenAI keeps of an answer, by its id."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from tokencapital.core.errors import ModelError
from tokencapital.serve.providers import Provider
from tokencapital.serve.relay_tries import Caller, CallerGone
from tokencapital.serve.relay_wire import plain_headers, request_bytes, safe_query, sent_headers
from tokencapital.serve.upstream import Client, Sent
from tokencapital.serve.upstream_connection import Answer


async def pass_plain(
    client: Client, provider: Provider, path: str, scope: Scope, ends: tuple[bytes, Receive, Send]
) -> None:
    """The provider's answer goes out as it comes. Nothing is kept, tried again or sent elsewhere. Raises ModelError."""
    body, receive, send = ends
    beginning = provider.begin(scope["method"], path, safe_query(scope["query_string"]))
    wire = request_bytes(beginning, sent_headers(provider, scope["headers"], repacked=False), body)
    caller = Caller(receive)
    answer: Answer | None = None
    started = False
    try:
        answer = await client.send(
            provider.origin, Sent(wire=wire, patience=provider.patience, on_slow=caller.look_after)
        )
        started = True
        await send({"type": "http.response.start", "status": answer.status, "headers": plain_headers(answer.headers)})
        while not answer.whole:
            await answer.more()
            await send({"type": "http.response.body", "body": answer.take(), "more_body": True})
        await send({"type": "http.response.body", "body": answer.take()})
    except CallerGone:
        pass
    except ModelError:
        if not started:
            raise
    finally:
        caller.leave()
        if answer is not None:
            answer.close()
