"""The two seams of this room: a generalist that completes and an embedder that embeds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from msgspec import Struct

from tokencapital.core.case import Json, Message
from tokencapital.core.quantity import Usage
from tokencapital.models.arrays import FloatArray


class ModelRequest(Struct, frozen=True, kw_only=True):
    """What a generalist is asked.

    With `labels` the whole answer is one of them; with `schema` it is JSON text that fits this JSON
    schema; with neither it is free text. At most one of the two is given. `max_tokens` bounds the
    answer, reasoning included.
    """

    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float = 0.0
    seed: int = 0
    labels: tuple[str, ...] | None = None
    schema: dict[str, Json] | None = None

    def __post_init__(self) -> None:
        if self.labels is not None and self.schema is not None:
            raise ValueError("a request is bound to labels or to a schema, not to both")
        if self.labels is not None and not self.labels:
            raise ValueError("a request bound to labels needs at least one")


class Completion(Struct, frozen=True, kw_only=True):
    """What a generalist answered.

    `logprob` is the sum, over the tokens generated for the answer, of the natural log-probability that
    the model itself gave them, before any constraint: its exponential is a score in (0, 1] that says
    little until it is calibrated. None: the model does not tell. `elapsed_s` is wall time of the call.
    """

    text: str
    usage: Usage
    model: str
    elapsed_s: float
    logprob: float | None = None


class Delta(Struct, frozen=True):
    """A piece of a streamed answer. The last one of a stream, and only that, has `finish` and `usage`.

    `finish` is the provider's reason for ending, `stop` or `length` as a rule.
    """

    text: str = ""
    finish: str | None = None
    usage: Usage | None = None


class ModelClient(Protocol):
    """A rented or open generalist.

    Every method raises ModelTimeout, ModelUnavailable or ModelGarbage, and nothing else, where the
    model gives nothing usable.
    """

    @property
    def name(self) -> str:
        """The model's name as prices and trajectories know it."""
        ...

    async def complete(self, request: ModelRequest) -> Completion:
        """The whole answer. With `labels` its text is exactly one of them, with `schema` it is JSON."""
        ...

    def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        """The answer in pieces, whose texts joined are the whole answer."""
        ...

    async def close(self) -> None:
        """Connections, threads and weights are let go. May be called again."""
        ...


class Embedder(Protocol):
    """Turns texts into vectors whose dot product is their similarity."""

    @property
    def name(self) -> str:
        """The embedder's name; vectors under one name can be compared with each other."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """A float32 array of shape (len(texts), dimensions) with rows of length 1; empty text: zeros."""
        ...
