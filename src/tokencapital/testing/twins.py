"""Two stores that should answer alike: the same cases put to both, and what came of them side by side."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from tokencapital.app.platform import Platform
from tokencapital.core.answer import Answer
from tokencapital.core.case import Case, Json
from tokencapital.core.policy import Decision, Evidence, Lane, Release, StageRule, Threshold
from tokencapital.models.base import ModelRequest
from tokencapital.serve.engine import Engine
from tokencapital.serve.ports import NoSink
from tokencapital.store.releases import append_release, save_policy
from tokencapital.testing.models import ScriptedModel

SURE = StageRule(threshold=Threshold(score=0.5, tolerance=0.1, delta=0.1, n=50, errors=1, calibrated_on=50))
"""A generalist under this rule answers alone whenever it is asked."""


class Given(Struct, frozen=True):
    """An answer with the probability of its having been let through, and why a stage gave nothing."""

    answer: Answer
    propensity: float
    failure: str | None


def hashing_model() -> ScriptedModel:
    """A generalist whose reply depends on every letter that it is shown, and on nothing else."""
    return ScriptedModel(_reply)


def answers_of(platform: Platform, capability: str, cases: Sequence[Case]) -> list[Given]:
    """What the live release of a capability answers to the cases, recorded nowhere."""
    place = platform.workplace(capability)
    engine = Engine(place.capability, msgspec.structs.replace(place.parts, sink=NoSink()), place.engine.memory)
    done = [exchange.trajectory for exchange in asyncio.run(engine.answer_many(cases))]
    return [Given(one.answer, one.propensity, one.failure) for one in done]


def release_changed(platform: Platform, capability: str, **changes: object) -> None:
    """The live policy with these changes is live."""
    place = platform.workplace(capability)
    policy = msgspec.structs.replace(place.releases.live(capability).policy, **changes)
    save_policy(platform.store, policy)
    release = Release(
        id=platform.ids.new("rel"),
        capability=capability,
        policy=policy.hash,
        at=place.now(),
        lane=Lane.CHANGE,
        decision=Decision.PROMOTED,
        evidence=Evidence(n=0, reason="made live to be compared"),
        decided_by="twins",
    )
    append_release(platform.store, release)


def _reply(request: ModelRequest) -> str:
    shown = "\n".join(f"{message.role}: {message.content}" for message in request.messages)
    number = int.from_bytes(hashlib.sha256(shown.encode()).digest()[:8], "big")
    if request.labels:
        return request.labels[number % len(request.labels)]
    if request.schema is not None:
        return json.dumps({name: _filled(part, number) for name, part in _properties(request.schema).items()})
    return f"reply {number}"


def _properties(schema: Json) -> dict[str, Json]:
    found: dict[str, Json] = schema.get("properties", {})
    return found


def _filled(part: Json, number: int) -> Json:
    choices = part.get("enum") if isinstance(part, dict) else None
    return choices[number % len(choices)] if choices else f"word {number}"
