"""A form out of a JSON schema: one control a property, what was typed read back with its type, faults at the field.

What is left as it was proposed stays exactly as it was, type and white space included. An empty control leaves
its field out. What no control fits (objects, arrays of arrays, choices between schemas) is JSON as text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum

import msgspec
from msgspec import Struct

from tokencapital.core.case import Json

_MOST_NESTED = 8
_LONG = 60
_SCALARS = frozenset({"string", "number", "integer", "boolean"})
_YES_NO = {"true": True, "false": False}


class Control(StrEnum):
    """How a field is filled in."""

    LINE = "line"
    TEXT = "text"
    CHOICE = "choice"
    LINES = "lines"
    JSON = "json"


class Field(Struct, frozen=True, kw_only=True):
    """One field of a form. `typed` is what stands in its control, `proposed` what the machine put there as text.

    `kind` None: no single type is declared, so that text stays text unless it was proposed otherwise.
    `fault` says what is wrong with what was typed; empty: nothing is.
    """

    name: str
    control: Control
    kind: str | None
    typed: str = ""
    proposed: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()
    hint: str = ""
    fault: str = ""

    @property
    def changed(self) -> bool:
        """Whether what stands there is not what was proposed."""
        return _plain(self.typed) != _plain(self.proposed)


class Filled(Struct, frozen=True):
    """A form as it was sent: its `value`, and the fields with what was typed and what is wrong with it."""

    value: dict[str, Json]
    fields: tuple[Field, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong, each with its field's name."""
        return tuple(f"{one.name}: {one.fault}" for one in self.fields if one.fault)


class SchemaForm:
    """The form of one object: the properties of `schema` (None: nothing is declared), then the other `names`.

    `proposed` is the machine's object; None: there is none, so that the schema's defaults stand in the controls.
    """

    def __init__(
        self, schema: Mapping[str, Json] | None, names: Sequence[str], proposed: Mapping[str, Json] | None
    ) -> None:
        self._root = schema or {}
        declared = self._root.get("properties") or {}
        self._schemas = {name: _resolved(self._root, one) for name, one in declared.items()}
        for name in [*names, *(proposed or {})]:
            self._schemas.setdefault(name, {})
        self._proposed = proposed
        self._required = frozenset(self._root.get("required") or ())
        self.open = self._root.get("additionalProperties", True) is not False
        """Whether fields that the schema does not name may be added."""

    def fields(self) -> tuple[Field, ...]:
        """The fields as the form first shows them."""
        return tuple(self._field(name, None) for name in self._schemas)

    def read(self, typed: Mapping[str, str]) -> Filled:
        """What was typed, by the name of the field, as an object, with the faults found on the way."""
        value: dict[str, Json] = {}
        fields: list[Field] = []
        for name in self._schemas:
            field = self._field(name, typed.get(name, ""))
            try:
                found = self._value(field)
            except ValueError as fault:
                field = msgspec.structs.replace(field, fault=str(fault))
            else:
                if found is not msgspec.UNSET:
                    value[name] = found
            fields.append(field)
        return Filled(value, tuple(fields))

    def _field(self, name: str, typed: str | None) -> Field:
        schema, proposed = self._schemas[name], self._proposed or {}
        as_text = written(proposed[name], _control(schema, proposed.get(name))) if name in proposed else ""
        start = as_text
        if self._proposed is None and "default" in schema:
            start = written(schema["default"], _control(schema, schema["default"]))
        return Field(
            name=name,
            control=_control(schema, proposed.get(name)),
            kind=_kind(schema),
            typed=start if typed is None else typed,
            proposed=as_text,
            required=name in self._required,
            choices=_choices(schema),
            hint=_hint(schema),
        )

    def _value(self, field: Field) -> Json:
        """What the field stands for; UNSET: it is left out. Raises ValueError that says what is wrong."""
        schema, proposed = self._schemas[field.name], self._proposed or {}
        if field.name in proposed and not field.changed:
            return proposed[field.name]
        if not field.typed:
            if field.required and "null" in _types(schema):
                return None
            if field.required:
                raise ValueError("this field is needed")
            return msgspec.UNSET
        found = _read(field, schema, proposed.get(field.name))
        check(found, schema)
        return found


def written(value: Json, control: Control) -> str:
    """A value as it stands in its control."""
    if control is Control.LINES and isinstance(value, list):
        return "\n".join(_word(one) for one in value)
    if value is None:
        return ""
    if control is Control.JSON:
        return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return _word(value)


def check(value: Json, schema: Mapping[str, Json]) -> None:
    """Returns where the value keeps what the schema says of length, range, pattern, choice and format.

    Raises ValueError that says what is wrong.
    """
    if "enum" in schema and value not in schema["enum"]:
        raise ValueError(f"choose one of {', '.join(_word(one) for one in schema['enum'])}")
    if "const" in schema and value != schema["const"]:
        raise ValueError(f"only {_word(schema['const'])} is allowed")
    if isinstance(value, str):
        _check_text(value, schema)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _check_number(value, schema)
    elif isinstance(value, list):
        _check_list(value, schema)


def _check_text(value: str, schema: Mapping[str, Json]) -> None:
    if len(value) < schema.get("minLength", 0):
        raise ValueError(f"at least {schema['minLength']} characters")
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        raise ValueError(f"at most {schema['maxLength']} characters")
    if "pattern" in schema and not _fits_pattern(schema["pattern"], value):
        raise ValueError(f"this does not fit the pattern {schema['pattern']}")
    reader = {"date": date.fromisoformat, "date-time": datetime.fromisoformat}.get(schema.get("format", ""))
    if reader is not None:
        try:
            reader(value)
        except ValueError:
            example = "2026-01-31" if schema["format"] == "date" else "2026-01-31T09:30:00Z"
            raise ValueError(f"write it as {example}") from None


def _fits_pattern(pattern: str, value: str) -> bool:
    """A pattern that this Python cannot read refuses nothing."""
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return True


def _check_number(value: float, schema: Mapping[str, Json]) -> None:
    if "minimum" in schema and value < schema["minimum"]:
        raise ValueError(f"at least {schema['minimum']}")
    if "maximum" in schema and value > schema["maximum"]:
        raise ValueError(f"at most {schema['maximum']}")
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        raise ValueError(f"more than {schema['exclusiveMinimum']}")
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        raise ValueError(f"less than {schema['exclusiveMaximum']}")
    step = schema.get("multipleOf")
    if step and abs(value / step - round(value / step)) > 1e-9:
        raise ValueError(f"a multiple of {step}")


def _check_list(value: Sequence[Json], schema: Mapping[str, Json]) -> None:
    if len(value) < schema.get("minItems", 0):
        raise ValueError(f"at least {schema['minItems']} lines")
    if "maxItems" in schema and len(value) > schema["maxItems"]:
        raise ValueError(f"at most {schema['maxItems']} lines")
    if schema.get("uniqueItems") and len({msgspec.json.encode(one) for one in value}) < len(value):
        raise ValueError("each line only once")
    items = schema.get("items")
    if isinstance(items, Mapping):
        for number, one in enumerate(value, 1):
            try:
                check(one, items)
            except ValueError as fault:
                raise ValueError(f"line {number}: {fault}") from None


def _read(field: Field, schema: Mapping[str, Json], proposed: Json) -> Json:
    if field.control is Control.JSON:
        return _read_json(field.typed, schema)
    if field.control is Control.LINES:
        items = schema.get("items") or {}
        kind = _kind(items) or ("string" if not isinstance(proposed, list) else None)
        lines = [line.strip() for line in field.typed.splitlines() if line.strip()]
        return [_scalar(line, kind, _choices(items), items.get("enum")) for line in lines]
    if field.kind is None:
        return _as_proposed(field.typed, proposed)
    return _scalar(field.typed, field.kind, field.choices, schema.get("enum"))


def _read_json(typed: str, schema: Mapping[str, Json]) -> Json:
    try:
        found = msgspec.json.decode(typed)
    except msgspec.DecodeError as error:
        raise ValueError(f"this is no JSON: {error}") from error
    wanted = _types(schema) & {"object", "array"}
    is_a = "object" if isinstance(found, dict) else "array" if isinstance(found, list) else "other"
    if wanted and is_a not in wanted:
        raise ValueError(f"write {' or '.join(sorted(wanted))} as JSON")
    return found


def _scalar(typed: str, kind: str | None, choices: Sequence[str], enum: Sequence[Json] | None) -> Json:
    """A single value of a known kind. Raises ValueError where the text is none."""
    if enum is not None:
        if typed not in choices:
            raise ValueError(f"choose one of {', '.join(choices)}")
        return enum[list(choices).index(typed)]
    if kind == "integer":
        if not re.fullmatch(r"[+-]?\d+", typed):
            raise ValueError("write a whole number, such as 3")
        return int(typed)
    if kind == "number":
        return _number(typed)
    if kind == "boolean":
        if typed not in _YES_NO:
            raise ValueError("choose true or false")
        return _YES_NO[typed]
    return typed if kind == "string" else _as_proposed(typed, 0)


def _number(typed: str) -> float:
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", typed):
        raise ValueError("write a number, such as 3 or 2.5")
    return int(typed) if re.fullmatch(r"[+-]?\d+", typed) else float(typed)


def _as_proposed(typed: str, proposed: Json) -> Json:
    """Text where text or nothing was proposed, else JSON such as a number where it is some."""
    if proposed is None or isinstance(proposed, str):
        return typed
    try:
        return msgspec.json.decode(typed)
    except msgspec.DecodeError:
        return typed


def _control(schema: Mapping[str, Json], proposed: Json) -> Control:
    kinds = _types(schema) - {"null"}
    if "enum" in schema or kinds == {"boolean"}:
        return Control.CHOICE
    if kinds <= _SCALARS and len(kinds) == 1:
        long = isinstance(proposed, str) and ("\n" in proposed or len(proposed) > _LONG)
        return Control.TEXT if long else Control.LINE
    if kinds == {"array"} and _holds_scalars(schema.get("items")):
        return Control.LINES
    if kinds or isinstance(proposed, dict) or set(schema) & {"anyOf", "oneOf", "allOf"}:
        return Control.JSON
    if isinstance(proposed, list):
        plain = all(isinstance(one, str) and one.strip() and "\n" not in one for one in proposed)
        return Control.LINES if plain else Control.JSON
    long = isinstance(proposed, str) and ("\n" in proposed or len(proposed) > _LONG)
    return Control.TEXT if long else Control.LINE


def _holds_scalars(items: Json) -> bool:
    return isinstance(items, Mapping) and (("enum" in items) or (_kind(items) in _SCALARS))


def _types(schema: Mapping[str, Json]) -> set[str]:
    declared = schema.get("type") or []
    return {declared} if isinstance(declared, str) else set(declared)


def _kind(schema: Mapping[str, Json]) -> str | None:
    """The one type besides null; None: none is declared, or several are."""
    kinds = _types(schema) - {"null"}
    return next(iter(kinds)) if len(kinds) == 1 else None


def _choices(schema: Mapping[str, Json]) -> tuple[str, ...]:
    if "enum" in schema:
        return tuple(_word(one) for one in schema["enum"])
    return tuple(_YES_NO) if _kind(schema) == "boolean" else ()


def _hint(schema: Mapping[str, Json]) -> str:
    """What helps to fill the field in: its description, its default, how it is written."""
    parts = [str(schema["description"])] if schema.get("description") else []
    if "default" in schema:
        parts.append(f"default {_word(schema['default'])}")
    if _kind(schema) == "array" and _holds_scalars(schema.get("items")):
        parts.append("one per line")
    if schema.get("format") in {"date", "date-time"}:
        parts.append("as in 2026-01-31" if schema["format"] == "date" else "as in 2026-01-31T09:30:00Z")
    return "; ".join(parts)


def _word(value: Json) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _plain(text: str) -> str:
    """Text as a browser sends it back: lines end alike, white space around it is gone."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _resolved(root: Mapping[str, Json], schema: Json, depth: int = 0) -> dict[str, Json]:
    """The schema with its reference into the same document followed; one that leads nowhere says nothing."""
    if not isinstance(schema, Mapping):
        return {}
    reference = schema.get("$ref")
    if not isinstance(reference, str) or depth == _MOST_NESTED:
        return dict(schema)
    found: Json = root
    for step in reference.removeprefix("#/").split("/"):
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    rest = {name: value for name, value in schema.items() if name != "$ref"}
    return _resolved(root, found, depth + 1) | rest
