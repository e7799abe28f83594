"""OpenAI's embeddings: what was embedded; the vectors are not kept."""

from __future__ import annotations

from collections.abc import Mapping

from tokencapital.core.case import Json, Message
from tokencapital.serve.shapes.bodies import word
from tokencapital.serve.shapes.pieces import Came, Said, error_code, parameters
from tokencapital.serve.shapes.tokens import usage_in, written_none

_SPOKEN = frozenset({"model", "input"})


def read_request(body: Mapping[str, Json]) -> Said:
    """Each text that is to be embedded as a message; texts given as tokens by how many there are."""
    given = body.get("input")
    listed = given if isinstance(given, list) and not _are_tokens(given) else [given]
    return Said(
        messages=tuple(_message(one) for one in listed if one is not None),
        parameters=parameters(body, _SPOKEN),
        model=word(body.get("model")),
    )


def read_answer(body: Mapping[str, Json]) -> Came:
    """What the answer says besides its vectors; embedding writes no token."""
    failure = error_code(body) or (None if isinstance(body.get("data"), list) else "the answer has no data")
    return Came(
        usage=written_none(usage_in(body.get("usage"))),
        model=word(body.get("model")),
        response=word(body.get("id")),
        failure=failure,
    )


def _are_tokens(given: list[Json]) -> bool:
    return bool(given) and all(isinstance(one, int) for one in given)


def _message(given: Json) -> Message:
    if isinstance(given, str):
        return Message("user", given)
    count = len(given) if isinstance(given, list) else None
    return Message("user", parts=({"type": "tokens", "count": count},))
