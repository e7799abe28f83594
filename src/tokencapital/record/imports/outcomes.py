"""Outcomes in tables and lists: what the business saw, by business key or trajectory."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from pathlib import Path

from tokencapital.core.case import Json
from tokencapital.core.errors import MalformedLine
from tokencapital.record.imports.lines import Line, moment, named_lines, text
from tokencapital.record.imports.told import Seen, Skip, Source, Told, bunches, digest

KIND = "outcomes"
_BUNCH = 500
_VALUES: Mapping[str, bool | None] = {
    **dict.fromkeys(("yes", "true", "y", "t"), True),
    **dict.fromkeys(("no", "false", "n", "f"), False),
    **dict.fromkeys(("", "null", "none", "unknown"), None),
}


def read_outcomes(path: Path, capability: str | None, now: datetime) -> Source:
    """The outcomes of a table (CSV) or a list (JSONL) with `key` or `trajectory`, `name`, `value`, and where known
    `at`, `capability` and `id`. One without `at` is as of `now`; the same row twice is one outcome."""
    return bunches(((_read(one, capability, now),) for one in named_lines(path, "outcomes")), _BUNCH)


def _read(line: Line | MalformedLine, capability: str | None, now: datetime) -> Told:
    if isinstance(line, MalformedLine):
        return Skip(line.where or "", line.what)
    try:
        named = {name.lower(): value for name, value in line.told.items()}
        return _seen(named, line.where, capability, now)
    except ValueError as error:
        return Skip(line.where, str(error))


def _seen(told: Mapping[str, Json], where: str, capability: str | None, now: datetime) -> Seen:
    """The outcome in a row. Raises ValueError where it is none."""
    key, trajectory, name = (_cell(told.get(one)) for one in ("key", "trajectory", "name"))
    if (key is None) == (trajectory is None):
        raise ValueError("it names neither a `key` nor a `trajectory`, or both")
    if name is None:
        raise ValueError("it has no `name`")
    if "value" not in told:
        raise ValueError("it has no `value`; leave it empty where it is not known yet")
    value = value_of(told["value"])
    at = moment(told.get("at"))
    if at is None and _cell(told.get("at")):
        raise ValueError("`at` is no time")
    of = _cell(told.get("capability")) or capability
    said = (of or "", key or "", trajectory or "", name, repr(value), at.isoformat() if at else "")
    own = _cell(told.get("id")) or f"out_{digest(KIND, *said)}"
    return Seen(
        where=where, id=own, name=name, value=value, at=at or now, capability=of, key=key, trajectory=trajectory
    )


def value_of(told: Json) -> bool | float | None:
    """Yes, no, a number, or None where it is not known yet. Raises ValueError for anything else."""
    if told is None or isinstance(told, bool):
        return told
    if isinstance(told, int | float):
        return _finite(float(told))
    if isinstance(told, str):
        word = told.strip().lower()
        if word in _VALUES:
            return _VALUES[word]
        try:
            return _finite(float(word))
        except ValueError:
            pass
    raise ValueError("`value` is neither yes, no, true, false, a number nor empty")


def _finite(number: float) -> float:
    if not isfinite(number):
        raise ValueError("`value` is not finite")
    return number


def _cell(told: Json) -> str | None:
    found = text(told)
    return found.strip() or None if found else None
