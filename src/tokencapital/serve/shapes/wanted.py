"""In which shape a caller wants the answer, and a capability's answer in that shape where it has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from tokencapital.core.case import Json, Value
from tokencapital.serve.shapes.bodies import mapping
from tokencapital.serve.shapes.pieces import Said
from tokencapital.serve.shapes.written import write_value


class Wanted(Struct, frozen=True, kw_only=True):
    """What the answer is to be. `as_json`: a JSON object, one of the `schema` where there is one."""

    as_json: bool = False
    schema: Mapping[str, Json] | None = None


def wanted_by(said: Said) -> Wanted | None:
    """What the request wants; None: something that a capability does not give, such as several choices, log-
    probabilities, sound, a call of a tool, or a state that the provider keeps."""
    given = said.parameters
    if _must_call(given.get("tool_choice")) or _must_call(given.get("function_call")):
        return None
    several = given.get("n") not in (None, 1)
    sound = "audio" in _listed(given.get("modalities"))
    kept = said.previous is not None or given.get("conversation") is not None or given.get("background") is True
    if several or sound or kept or given.get("logprobs") is True or given.get("top_logprobs"):
        return None
    return _format(given)


def shaped(value: Value, wanted: Wanted) -> str | None:
    """The answer as the content that is wanted; None: it cannot be put so."""
    if value is None:
        return None
    if not wanted.as_json:
        return write_value(value)
    schema = wanted.schema
    if isinstance(value, dict):
        return write_value(value) if schema is None or _fits(value, schema) else None
    names = list(mapping(schema.get("properties"))) if schema is not None else []
    if len(names) != 1 or schema is None:
        return None
    filled: dict[str, Any] = {names[0]: value}
    return msgspec.json.encode(filled).decode() if _fits(filled, schema) else None


def _listed(value: Json) -> list[Json]:
    """What stands in a list; nothing where it is none."""
    return value if isinstance(value, list) else []


def _format(given: Mapping[str, Json]) -> Wanted | None:
    """The format by any of the names that the wires have for it."""
    places = (
        given.get("response_format"),
        mapping(given.get("text")).get("format"),
        mapping(given.get("output_config")).get("format"),
        given.get("output_format"),
    )
    asked = next((mapping(one) for one in places if one), {})
    match asked.get("type"):
        case None | "text":
            return Wanted()
        case "json_object":
            return Wanted(as_json=True)
        case "json_schema":
            schema = asked.get("schema") or mapping(asked.get("json_schema")).get("schema")
            return Wanted(as_json=True, schema=mapping(schema))
        case _:
            return None


def _must_call(choice: Json) -> bool:
    """Whether the answer has to be a call of a tool."""
    if isinstance(choice, dict):
        return choice.get("type") not in ("auto", "none")
    return choice in ("required", "any")


def _fits(value: Mapping[str, Json], schema: Mapping[str, Json]) -> bool:
    """Whether the object has what the schema needs, nothing that it forbids, and only values that it lists.

    It is the outline that is looked at: what is nested deeper is the contract's to say.
    """
    properties = mapping(schema.get("properties"))
    needed = _listed(schema.get("required"))
    closed = schema.get("additionalProperties") is False
    if any(name not in value for name in needed) or (closed and not set(value) <= set(properties)):
        return False
    return all(_allowed(value[name], mapping(rule)) for name, rule in properties.items() if name in value)


_KINDS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


def _allowed(value: Json, rule: Mapping[str, Json]) -> bool:
    listed = rule.get("enum", [rule["const"]] if "const" in rule else None)
    if isinstance(listed, list) and value not in listed:
        return False
    named = rule.get("type")
    kinds = named if isinstance(named, list) else [named]
    known = [_KINDS[one] for one in kinds if isinstance(one, str) and one in _KINDS]
    if not known:
        return True
    return any(isinstance(value, kind) and (bool in kind or not isinstance(value, bool)) for kind in known)
