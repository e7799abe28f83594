"""A call of a model as it went over the wire, and what it says: the raw material of observed trajectories."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from tokencapital.core.case import Json, Message
from tokencapital.core.quantity import UNKNOWN_ENERGY, Energy, Money, Usage

UNSORTED = "unsorted"
"""The capability of work that no rule has named yet: it is observed, and nothing is learned from it."""


class Wire(StrEnum):
    """The shape in which a call is written."""

    CHAT = "chat"
    RESPONSES = "responses"
    MESSAGES = "messages"
    EMBEDDINGS = "embeddings"
    COUNT_TOKENS = "count_tokens"


class Ending(StrEnum):
    """How a call ended."""

    DONE = "done"
    REFUSED = "refused"
    """The provider answered with an error."""
    BROKEN = "broken"
    """The provider's answer broke off, or no head of it came in time."""
    UNREACHABLE = "unreachable"
    """No provider could be reached."""
    DISCONNECTED = "disconnected"
    """The caller hung up; what had come until then is kept."""


class StepKind(StrEnum):
    """What was done in a step of a trajectory."""

    CALL = "call"
    TOOL = "tool"
    AGENT = "agent"
    RETRIEVAL = "retrieval"
    OTHER = "other"


class Reading(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a call says, whatever its wire: a pure function of its two bodies.

    `messages` is what was asked and `answer` what came back, in the shape of OpenAI's chat API; with several
    choices `answer` holds the first and `others` the rest. `model` is the one that the provider says it used,
    `response` the id of its answer, `previous` that of the answer before, where the caller named one; `finish` is
    the provider's own word; `tools` and `parameters` are what the caller set. `failure` says why nothing usable
    came back. None: it was not said. `prefixes` are digests of the conversation up to each of the assistant's
    messages and of all of it, answer included, last; empty where the messages themselves are there.
    """

    messages: tuple[Message, ...] = ()
    answer: tuple[Message, ...] = ()
    others: tuple[tuple[Message, ...], ...] = ()
    usage: Usage = Usage(None, None)
    model: str | None = None
    response: str | None = None
    previous: str | None = None
    finish: str | None = None
    tools: tuple[Json, ...] = ()
    parameters: Mapping[str, Json] = {}
    failure: str | None = None
    prefixes: tuple[str, ...] = ()


class Call(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call of a model that went through the gateway, as it is acknowledged.

    `id` is that of the trajectory that the call begins, or of the step that it is in an earlier one.
    `capability` None: no rule named one. `application` is whose key it came with; None: it came without.
    `case`, `group` and `key` are what the caller said of it: which conversation, entity and business key.
    `provider` and `asked` (the model's name as the caller wrote it) say where it went. `first_s` is the time until
    the first byte of the answer, `elapsed_s` until its last. `attempts` counts the tries, `status` is the last
    one's; 0: no answer came. `request` and `response` are the bodies after redaction; None: they are not kept,
    and `reading` holds what of them may be.
    """

    id: str
    at: datetime
    wire: Wire
    asked: str
    provider: str
    status: int
    ending: Ending
    streamed: bool = False
    capability: str | None = None
    application: str | None = None
    case: str | None = None
    group: str | None = None
    key: str | None = None
    tags: Mapping[str, str] = {}
    elapsed_s: float = 0.0
    first_s: float | None = None
    attempts: int = 1
    redacted: int = 0
    request: bytes | None = None
    response: bytes | None = None
    reading: Reading | None = None


class Step(Struct, frozen=True, kw_only=True):
    """One thing done in a trajectory: a call of a model, of a tool, a part of an agent's work.

    `messages` are those that this step added to the conversation, what came back included; None: they are not
    kept, or were erased. `parent` is the step that it was done within. `source` says how it came here: `gateway`,
    `otlp`, `sdk`, or the kind of an import. `details` are facts without anybody's words. Unknown is None.
    """

    id: str
    trajectory: str
    at: datetime
    kind: StepKind
    name: str
    source: str
    parent: str | None = None
    application: str | None = None
    provider: str | None = None
    model: str | None = None
    ending: Ending = Ending.DONE
    elapsed_s: float = 0.0
    first_s: float | None = None
    usage: Usage = Usage(None, None)
    cost: Money | None = None
    price: str | None = None
    energy: Energy = UNKNOWN_ENERGY
    failure: str | None = None
    messages: tuple[Message, ...] | None = None
    details: Mapping[str, Json] = {}
