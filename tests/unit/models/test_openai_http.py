"""The HTTP clients against a real server on loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from tokencapital.core.case import Message
from tokencapital.core.errors import ModelError, ModelGarbage, ModelTimeout, ModelUnavailable, SettingsError
from tokencapital.core.quantity import Usage
from tokencapital.models.base import Completion, Delta, ModelRequest
from tokencapital.models.openai_embeddings import OpenAIEmbedder
from tokencapital.models.openai_http import Endpoint, OpenAIClient
from tokencapital.testing.models import Fault, HashEmbedder, Reply, ScriptedModel, scripted_endpoint

ASK = ModelRequest(messages=(Message("user", "Who are you?"),), max_tokens=20, seed=7)
USAGE = Usage(input=5, output=4, cache_read=16, reasoning=2)


def complete(url: str, request: ModelRequest = ASK, timeout_s: float = 5.0, key: str | None = None) -> Completion:
    async def call() -> Completion:
        client = OpenAIClient(Endpoint(url=url, model="m", api_key=key, timeout_s=timeout_s))
        try:
            return await client.complete(request)
        finally:
            await client.close()

    return asyncio.run(call())


def stream(url: str, timeout_s: float = 5.0) -> list[Delta]:
    async def call() -> list[Delta]:
        client = OpenAIClient(Endpoint(url=url, model="m", timeout_s=timeout_s))
        try:
            return [delta async for delta in client.stream(ASK)]
        finally:
            await client.close()

    return asyncio.run(call())


@contextmanager
def raw_endpoint(*bodies: tuple[int, str]) -> Iterator[tuple[str, list[str]]]:
    """A server that gives these statuses and bodies in turn, and the list of what it was sent."""
    left, seen = iter(bodies), list[str]()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            seen.append(f"{self.headers.get('authorization')} {body}")
            status, answer = next(left)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *args: object) -> None:
            """Nothing is logged."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1", seen
        finally:
            server.shutdown()
            thread.join()


def test_a_plain_answer_comes_with_tokens_counted_apart() -> None:
    model = ScriptedModel([Reply("I am a script.", usage=USAGE, logprob=-0.5)])
    with scripted_endpoint(model) as url:
        completion = complete(url)
    assert (completion.text, completion.usage, completion.logprob) == ("I am a script.", USAGE, -0.5)
    assert model.requests == [ASK]


def test_a_streamed_answer_ends_with_its_usage() -> None:
    with scripted_endpoint(ScriptedModel([Reply("one two three", usage=USAGE)])) as url:
        deltas = stream(url)
    assert [delta.text for delta in deltas] == ["one", " two", " three", ""]
    assert deltas[-1] == Delta(finish="stop", usage=USAGE)


def test_a_client_outlives_the_event_loop_that_it_was_used_in() -> None:
    with scripted_endpoint(ScriptedModel(["first", "second"])) as url:
        client = OpenAIClient(Endpoint(url=url, model="m"))
        assert [asyncio.run(client.complete(ASK)).text for _ in range(2)] == ["first", "second"]
        asyncio.run(client.close())


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (ModelTimeout("slow"), ModelTimeout),
        (ModelUnavailable("down"), ModelUnavailable),
        (ModelGarbage("page"), ModelGarbage),
    ],
)
def test_faults_are_attributed(fault: Fault, expected: type[ModelError]) -> None:
    with scripted_endpoint(ScriptedModel([Reply(fault=fault)])) as url, pytest.raises(expected) as raised:
        complete(url, timeout_s=0.3 if expected is ModelTimeout else 5.0)
    assert raised.value.where == f"{url}/chat/completions"
    assert raised.value.remedy


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with scripted_endpoint(ScriptedModel([])) as url:
        gone = url
    with pytest.raises(ModelUnavailable, match="could not be reached"):
        complete(gone)
    with pytest.raises(ModelUnavailable, match="could not be reached"):
        OpenAIEmbedder(Endpoint(url=gone, model="m"), 4).embed(["x"])


def test_a_server_without_response_formats_is_asked_in_words_and_checked_as_strictly() -> None:
    answer = '{"choices": [{"message": {"content": "%s"}}]}'
    bodies = (400, '{"error": "response_format is not supported"}'), (200, answer % "red"), (200, answer % "reddish")
    asked = ModelRequest(messages=ASK.messages, max_tokens=5, labels=("red", "blue"))

    async def calls(url: str) -> str:
        client = OpenAIClient(Endpoint(url=url, model="m"))
        try:
            first = await client.complete(asked)
            with pytest.raises(ModelGarbage):
                await client.complete(asked)
            return first.text
        finally:
            await client.close()

    with raw_endpoint(*bodies) as (url, seen):
        assert asyncio.run(calls(url)) == "red"
    assert ["response_format" in body for body in seen] == [True, False, False]
    assert "red, blue" in seen[1]


def test_a_key_is_sent_and_its_refusal_is_said() -> None:
    with raw_endpoint((401, "no")) as (url, seen), pytest.raises(ModelUnavailable) as raised:
        complete(url, key="secret")
    assert seen[0].startswith("Bearer secret ")
    assert raised.value.remedy == "Check the API key."
    assert "secret" not in str(raised.value)


def test_a_stream_that_breaks_off_is_garbage() -> None:
    with (
        raw_endpoint((200, 'data: {"choices": [{"delta": {"content": "half"}}]}\n\n')) as (url, _),
        pytest.raises(ModelGarbage, match="before the answer did"),
    ):
        stream(url)


def test_vectors_come_back_in_order_and_of_length_one() -> None:
    texts = ["a b", "", "c"]
    with scripted_endpoint(ScriptedModel([]), HashEmbedder()) as url:
        vectors = OpenAIEmbedder(Endpoint(url=url, model="e"), 64).embed(texts)
        with pytest.raises(ModelGarbage, match="declared dimensions"):
            OpenAIEmbedder(Endpoint(url=url, model="e"), 32).embed(texts)
    assert np.allclose(vectors, HashEmbedder().embed(texts), atol=1e-6)


def test_an_embedder_takes_web_addresses_only() -> None:
    with pytest.raises(SettingsError):
        OpenAIEmbedder(Endpoint(url="file:///etc", model="e"), 4)
