"""Forms out of schemas: what is typed comes back with its type, and a fault stands at its field."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.web.schema_form import Control, SchemaForm

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2, "description": "who wrote"},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
        "price": {"type": "number", "exclusiveMinimum": 0},
        "urgent": {"type": "boolean"},
        "kind": {"enum": ["low", "high", 3]},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "sizes": {"type": "array", "items": {"type": "integer"}},
        "due": {"type": "string", "format": "date"},
        "where": {"$ref": "#/$defs/place"},
        "note": {"type": ["string", "null"], "default": "none"},
    },
    "$defs": {"place": {"type": "object", "properties": {"floor": {"type": "integer"}}}},
    "required": ["name", "note"],
    "additionalProperties": False,
}
PROPOSED = {
    "name": "Ada ",
    "count": 3,
    "price": 2.50,
    "urgent": False,
    "kind": 3,
    "tags": ["a", "b"],
    "sizes": [1, 2],
    "due": "2026-01-31",
    "where": {"floor": 3},
    "note": None,
}


def typed(form: SchemaForm, **changed: str) -> dict[str, str]:
    return {one.name: one.typed.strip() for one in form.fields()} | changed


def test_each_type_has_its_control() -> None:
    controls = {one.name: one.control for one in SchemaForm(SCHEMA, (), PROPOSED).fields()}
    assert controls["name"] is Control.LINE
    assert {controls[name] for name in ("urgent", "kind")} == {Control.CHOICE}
    assert {controls[name] for name in ("tags", "sizes")} == {Control.LINES}
    assert controls["where"] is Control.JSON


def test_what_nobody_touched_stays_exactly_as_it_was() -> None:
    form = SchemaForm(SCHEMA, (), PROPOSED)
    filled = form.read(typed(form))
    assert filled.value == PROPOSED
    assert not filled.faults
    assert not any(one.changed for one in filled.fields)


def test_what_is_typed_has_the_type_of_the_schema() -> None:
    form = SchemaForm(SCHEMA, (), PROPOSED)
    filled = form.read(
        typed(form, name="Bo", count="4", price="3", urgent="true", kind="high", tags="x\r\ny\r\n", sizes="5\n6")
        | {"where": '{"floor": 9}', "due": "", "note": "late"}
    )
    assert filled.value == {
        "name": "Bo", "count": 4, "price": 3, "urgent": True, "kind": "high", "tags": ["x", "y"], "sizes": [5, 6],
        "where": {"floor": 9}, "note": "late",
    }  # fmt: skip
    assert {one.name for one in filled.fields if one.changed} == set(SCHEMA["properties"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("name", "", "this field is needed"),
        ("name", "x", "at least 2 characters"),
        ("count", "three", "write a whole number"),
        ("count", "0", "at least 1"),
        ("count", "10", "at most 9"),
        ("price", "0", "more than 0"),
        ("price", "1,5", "write a number"),
        ("price", "nan", "write a number"),
        ("urgent", "maybe", "choose true or false"),
        ("kind", "middle", "choose one of low, high, 3"),
        ("tags", "a\na", "each line only once"),
        ("sizes", "1\nx", "write a whole number"),
        ("due", "31.1.2026", "write it as 2026-01-31"),
        ("where", "{floor", "this is no JSON"),
        ("where", "[1]", "write object as JSON"),
    ],
)
def test_a_fault_stands_at_its_field_with_what_was_typed(name: str, text: str, fault: str) -> None:
    form = SchemaForm(SCHEMA, (), PROPOSED)
    filled = form.read(typed(form, **{name: text}))
    (faulty,) = [one for one in filled.fields if one.fault]
    assert (faulty.name, faulty.typed) == (name, text)
    assert fault in faulty.fault


def test_a_needed_field_that_may_be_null_is_null_when_empty() -> None:
    form = SchemaForm(SCHEMA, (), None)
    assert form.read({"name": "Ada", "note": ""}).value == {"name": "Ada", "note": None}


def test_defaults_stand_where_nothing_is_proposed() -> None:
    (note,) = [one for one in SchemaForm(SCHEMA, (), None).fields() if one.name == "note"]
    assert (note.typed, note.proposed, note.required) == ("none", "", True)
    assert "default none" in note.hint


def test_without_a_schema_fields_keep_the_type_they_were_proposed_in() -> None:
    form = SchemaForm(None, ("room",), {"floor": 3, "who": "7"})
    assert form.open
    assert form.read({"floor": "4", "who": "8", "room": "12"}).value == {"floor": 4, "who": "8", "room": "12"}
    assert form.read({"floor": "four"}).value == {"floor": "four"}


scalars = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
values = st.recursive(
    scalars | texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner), max_leaves=6
)


@given(st.dictionaries(texts.filter(bool), values, max_size=5))
def test_any_object_comes_back_untouched_as_a_browser_sends_it(proposed: dict[str, object]) -> None:
    form = SchemaForm(None, (), proposed)
    sent = {
        one.name: one.typed.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n").strip()
        for one in form.fields()
    }
    filled = form.read(sent)
    assert msgspec.json.encode(filled.value) == msgspec.json.encode(proposed)
