"""Public fakes of the models room, and the checks that every generalist and embedder passes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from tokencapital.core.case import Json, Message
from tokencapital.core.errors import ModelGarbage, ModelTimeout, ModelUnavailable
from tokencapital.core.quantity import Usage
from tokencapital.models.arrays import FloatArray, unit_rows
from tokencapital.models.base import Completion, Delta, Embedder, ModelClient, ModelRequest
from tokencapital.testing.servers import served

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_NAME = "scripted"


Fault = ModelTimeout | ModelUnavailable | ModelGarbage
"""What a generalist may raise."""


class Reply(Struct, frozen=True):
    """What the scripted model says. `delay_s` passes first; `fault` then takes the place of the answer."""

    text: str = ""
    usage: Usage = Usage(input=10, output=2)
    logprob: float | None = -0.1
    delay_s: float = 0.0
    fault: Fault | None = None


Script = Callable[[ModelRequest], Reply | str]
"""Decides the reply by the request."""


class ScriptedModel:
    """A `ModelClient` that says what it is told to and remembers what it was asked.

    `script` is a function, or replies in order; once they run out every further call raises
    ModelUnavailable. Whatever the request's labels or schema, the text is given as it is.
    """

    name = _NAME

    def __init__(self, script: Script | Sequence[Reply | str]) -> None:
        self.requests: list[ModelRequest] = []
        self.closed = False
        self._script: Script = script if callable(script) else _in_order(script)

    async def complete(self, request: ModelRequest) -> Completion:
        """The scripted reply."""
        reply = await self._reply(request)
        return Completion(
            text=reply.text, usage=reply.usage, model=self.name, elapsed_s=reply.delay_s, logprob=reply.logprob
        )

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        """The scripted reply, one word at a time."""
        reply = await self._reply(request)
        for piece in _words(reply.text):
            yield Delta(piece)
        yield Delta(finish="stop", usage=reply.usage)

    async def close(self) -> None:
        """`closed` is true."""
        self.closed = True

    async def _reply(self, request: ModelRequest) -> Reply:
        self.requests.append(request)
        said = self._script(request)
        reply = Reply(said) if isinstance(said, str) else said
        await asyncio.sleep(reply.delay_s)
        if reply.fault is not None:
            raise reply.fault
        return reply


class HashEmbedder:
    """An `Embedder` that knows words only: each has a fixed direction of its own, and a text is their sum."""

    name = "hash-64"
    dimensions = 64

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """A float32 array of shape (len(texts), 64) with rows of length 1; blank text: zeros."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
                vectors[row] += np.random.default_rng(seed).standard_normal(self.dimensions)
        return unit_rows(vectors)


@contextmanager
def scripted_endpoint(model: ScriptedModel, embedder: Embedder | None = None) -> Iterator[str]:
    """A real OpenAI-compatible server on loopback, up while the block runs; gives the URL that ends in `/v1`.

    ModelUnavailable is answered as 500, ModelTimeout by never answering, ModelGarbage by a body that
    is not JSON. A fault in the middle of a stream does not happen: the reply is known before it starts.
    """
    with served(_application(model, embedder)) as address:
        yield f"{address}/v1"


async def check_model_client(client: ModelClient) -> None:
    """Raises AssertionError where a generalist does not keep what `ModelClient` promises.

    A scripted one must answer `red` where labels are given, `{"colour": "red"}` to a schema and some
    text else.
    """
    ask = (Message("system", "Name the colour."), Message("user", "The apple is red."))
    assert client.name, "a generalist has a name"
    label = await client.complete(ModelRequest(messages=ask, max_tokens=16, labels=("red", "dark_blue")))
    assert label.text in {"red", "dark_blue"}, f"{label.text!r} is none of the labels"
    assert label.model == client.name, "a completion says who made it"
    assert label.elapsed_s >= 0, "and how long that took"
    assert label.usage.output is None or label.usage.output > 0, "output tokens are counted, or unknown"
    assert label.logprob is None or label.logprob <= 0, "a log-probability is never above zero"
    filled = await client.complete(ModelRequest(messages=ask, max_tokens=64, schema=_COLOUR))
    assert set(json.loads(filled.text)) == {"colour"}, f"{filled.text!r} does not fit the schema"
    deltas = [delta async for delta in client.stream(ModelRequest(messages=ask, max_tokens=12))]
    assert "".join(delta.text for delta in deltas), "a stream has text"
    assert deltas[-1].finish, "the last piece says why the stream ended"
    assert deltas[-1].usage is not None, "and what it took"
    assert not any(delta.finish or delta.usage for delta in deltas[:-1]), "only the last piece ends the stream"
    told = [d async for d in client.stream(ModelRequest(messages=ask, max_tokens=16, labels=("red", "dark_blue")))]
    assert "".join(delta.text for delta in told) in {"red", "dark_blue"}, "a streamed label is one of the labels"
    await client.close()
    await client.close()


def check_embedder(embedder: Embedder) -> None:
    """Raises AssertionError where an embedder does not keep what `Embedder` promises."""
    texts = ["my card was stolen", "someone stole my card", "", "what is the exchange rate"]
    vectors = embedder.embed(texts)
    assert vectors.shape == (4, embedder.dimensions), "a row for each text"
    assert vectors.dtype == np.float32, "in float32"
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.allclose(lengths, [1, 1, 0, 1], atol=1e-5), "rows have length 1, that of empty text 0"
    assert np.allclose(embedder.embed(texts[:1])[0], vectors[0], atol=1e-5), "a vector does not depend on the batch"
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[3], "what means the same is closer"
    assert embedder.embed([""]).shape == (1, embedder.dimensions), "one empty text is a row"
    assert embedder.embed([]).shape == (0, embedder.dimensions), "no texts, no rows"
    assert embedder.name, "an embedder has a name"


_COLOUR: dict[str, Json] = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}},
    "required": ["colour"],
    "additionalProperties": False,
}


def colour_script(request: ModelRequest) -> Reply:
    """Replies with which a scripted generalist passes `check_model_client`."""
    if request.labels is not None:
        return Reply("red")
    return Reply('{"colour": "red"}' if request.schema is not None else "It is red.")


def _in_order(replies: Sequence[Reply | str]) -> Script:
    left = iter(tuple(replies))
    spent = Reply(fault=ModelUnavailable("the script has no more replies"))
    return lambda _: next(left, spent)


def _words(text: str) -> list[str]:
    first, *rest = text.split(" ")
    return [first, *(f" {word}" for word in rest)]


def _application(model: ScriptedModel, embedder: Embedder | None) -> Starlette:
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
    from starlette.routing import Route

    async def chat(request: Request) -> Response:
        body = json.loads(await request.body())
        try:
            completion = await model.complete(_asked(body))
        except ModelTimeout:
            await asyncio.sleep(60)
            return PlainTextResponse("late", 504)
        except ModelUnavailable as error:
            return JSONResponse({"error": {"message": error.what}}, 500)
        except ModelGarbage as error:
            return PlainTextResponse(f"<html>{error.what}</html>")
        text = _wrapped(completion.text, body)
        if body.get("stream"):
            return StreamingResponse(_events(text, completion), media_type="text/event-stream")
        return JSONResponse(_response(text, completion))

    async def embeddings(request: Request) -> Response:
        if embedder is None:
            return JSONResponse({"error": {"message": "no embedder"}}, 404)
        vectors = embedder.embed(json.loads(await request.body())["input"])
        rows = [{"index": row, "embedding": vector.tolist()} for row, vector in enumerate(vectors)]
        return JSONResponse({"data": rows[::-1]})

    paths = (
        Route("/v1/chat/completions", chat, methods=["POST"]),
        Route("/v1/embeddings", embeddings, methods=["POST"]),
    )
    return Starlette(routes=paths)


def _asked(body: Mapping[str, Json]) -> ModelRequest:
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    choices = (schema or {}).get("properties", {}).get("label", {}).get("enum")
    return ModelRequest(
        messages=tuple(Message(message["role"], message["content"]) for message in body["messages"]),
        max_tokens=body["max_tokens"],
        temperature=body["temperature"],
        seed=body["seed"],
        labels=tuple(choices) if choices else None,
        schema=None if choices else schema,
    )


def _wrapped(text: str, body: Mapping[str, Json]) -> str:
    """A label goes over the wire as the object that the response format asks for."""
    return json.dumps({"label": text}) if _asked(body).labels is not None else text


def _response(text: str, completion: Completion) -> dict[str, Json]:
    logprobs = None if completion.logprob is None else {"content": [{"token": text, "logprob": completion.logprob}]}
    choice = {"index": 0, "finish_reason": "stop", "logprobs": logprobs}
    message = {"role": "assistant", "content": text}
    return {"model": completion.model, "choices": [{**choice, "message": message}], "usage": _usage(completion.usage)}


async def _events(text: str, completion: Completion) -> AsyncIterator[str]:
    yield ": a comment, as servers send them to keep a connection open\n\n"
    for piece in _words(text):
        yield _event({"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]})
    yield _event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    yield _event({"choices": [], "usage": _usage(completion.usage)})
    yield "data: [DONE]\n\n"


def _event(payload: Json) -> str:
    return f"data: {json.dumps(payload)}\n\n"


def _usage(usage: Usage) -> Json:
    if usage.input is None or usage.output is None:
        return None
    prompt = usage.input + usage.cache_read
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output,
        "total_tokens": prompt + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
