"""A capability's answer goes out in the shape that the request wants, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tokencapital.core.call import Wire
from tokencapital.core.case import Value
from tokencapital.serve.shapes.reading import read_said
from tokencapital.serve.shapes.wanted import Wanted, shaped, wanted_by

KIND = {"type": "object", "properties": {"kind": {"enum": ["a", "b"]}}, "required": ["kind"]}
TWO = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}


def asked(wire: Wire, **more: Any) -> Wanted | None:
    return wanted_by(read_said(wire, json.dumps({"model": "m", **more}).encode()))


@pytest.mark.parametrize(
    ("wire", "more"),
    [
        (Wire.CHAT, {"n": 2}),
        (Wire.CHAT, {"logprobs": True}),
        (Wire.CHAT, {"modalities": ["text", "audio"]}),
        (Wire.CHAT, {"tool_choice": "required"}),
        (Wire.CHAT, {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
        (Wire.CHAT, {"function_call": {"name": "f"}}),
        (Wire.CHAT, {"response_format": {"type": "grammar"}}),
        (Wire.RESPONSES, {"previous_response_id": "resp_1"}),
        (Wire.RESPONSES, {"conversation": "conv_1"}),
        (Wire.RESPONSES, {"background": True}),
        (Wire.MESSAGES, {"tool_choice": {"type": "any"}}),
        (Wire.MESSAGES, {"tool_choice": {"type": "tool", "name": "f"}}),
    ],
)
def test_what_a_capability_does_not_give_is_left_to_the_provider(wire: Wire, more: dict[str, Any]) -> None:
    assert asked(wire, **more) is None


@pytest.mark.parametrize(
    ("wire", "more"),
    [
        (Wire.CHAT, {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": KIND}}}),
        (Wire.RESPONSES, {"text": {"format": {"type": "json_schema", "name": "x", "schema": KIND}}}),
        (Wire.MESSAGES, {"output_config": {"format": {"type": "json_schema", "schema": KIND}}}),
        (Wire.MESSAGES, {"output_format": {"type": "json_schema", "schema": KIND}}),
    ],
)
def test_the_schema_is_found_in_every_wire(wire: Wire, more: dict[str, Any]) -> None:
    assert asked(wire, **more) == Wanted(as_json=True, schema=KIND)
    plain = {"tool_choice": {"type": "auto"} if wire is Wire.MESSAGES else "auto", "n": 1}
    assert asked(wire, **plain) == Wanted()


@pytest.mark.parametrize(
    ("value", "wanted", "content"),
    [
        ("a", Wanted(), "a"),
        (None, Wanted(), None),
        ({"x": 1}, Wanted(), '{"x":1}'),
        ("a", Wanted(as_json=True, schema=KIND), '{"kind":"a"}'),
        ("c", Wanted(as_json=True, schema=KIND), None),
        ("a", Wanted(as_json=True), None),
        ("a", Wanted(as_json=True, schema=TWO), None),
        ({"city": "Rome", "degrees": 21}, Wanted(as_json=True, schema=TWO), '{"city":"Rome","degrees":21}'),
        ({"city": "Rome"}, Wanted(as_json=True, schema=TWO), None),
        ({"city": "Rome", "degrees": True}, Wanted(as_json=True, schema=TWO), None),
        ({"city": "Rome", "degrees": 21, "more": 1}, Wanted(as_json=True, schema=TWO), None),
        ({"city": "Rome"}, Wanted(as_json=True), '{"city":"Rome"}'),
    ],
)
def test_an_answer_is_never_bent_into_a_shape(value: Value, wanted: Wanted, content: str | None) -> None:
    assert shaped(value, wanted) == content
