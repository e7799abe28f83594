"""Files of JSON: an object a line, or one document with a list of them, plain or packed, and never larger than said."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from tokencapital.core.case import Json
from tokencapital.core.clock import utc
from tokencapital.core.errors import InputError, MalformedLine
from tokencapital.record.importers import numbered_lines, opened

LARGEST_DOCUMENT = 512 * 1024 * 1024
"""A file that is one JSON document is read whole, up to so many bytes when unpacked."""


class Line(Struct, frozen=True):
    """One thing in a file, with where it stands."""

    where: str
    told: Json


def json_lines(path: Path, *lists: str) -> Iterator[Line | MalformedLine]:
    """The objects of a file: one a line, or those in a document that is a list or holds it under one of `lists`.

    Raises InputError where the file cannot be read, or is one document that is too large or none.
    """
    if _is_document(path):
        yield from _in_document(path, lists)
        return
    for number, line in numbered_lines(path):
        where = f"{path}:{number}"
        try:
            told = msgspec.json.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            yield MalformedLine(_why(error), where=where)
            continue
        if isinstance(told, dict):
            yield Line(where, told)
        else:
            yield MalformedLine("this is no JSON object", where=where)


def csv_lines(path: Path) -> Iterator[Line | MalformedLine]:
    """The rows of a table by the names in its first one, as they are written there.

    Raises InputError where the file cannot be read or has no such row.
    """
    names: list[str] | None = None
    reader = csv.reader(_text_lines(path))
    while True:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            yield MalformedLine(f"this is no row of a table: {error}", where=f"{path}:{reader.line_num}")
            continue
        if names is None:
            names = [cell.strip() for cell in row]
        elif any(cell.strip() for cell in row):
            where = f"{path}:{reader.line_num}"
            if len(row) > len(names):
                yield MalformedLine(f"it has {len(row)} cells, and the first row names {len(names)}", where=where)
            else:
                yield Line(where, dict(zip(names, row, strict=False)))
    if names is None:
        raise InputError("the table is empty", where=str(path))


def named_lines(path: Path, *lists: str) -> Iterator[Line | MalformedLine]:
    """The rows of a table where the file's name ends in `.csv`, packed or not, and the objects of any other."""
    table = path.name.lower().removesuffix(".gz").endswith(".csv")
    return csv_lines(path) if table else json_lines(path, *lists)


def moment(told: Json) -> datetime | None:
    """A time as it is told: ISO 8601, or seconds, milliseconds or nanoseconds since 1970; None: it is none.

    A text without a zone is taken as UTC, as the tools that write such texts mean it.
    """
    try:
        if isinstance(told, str) and not told.strip().isdigit():
            read = datetime.fromisoformat(told.strip())
            return utc(read if read.tzinfo else read.replace(tzinfo=UTC))
        if isinstance(told, bool) or not isinstance(told, int | float | str):
            return None
        number = float(told)
        scale = 1e9 if abs(number) > 1e17 else 1e6 if abs(number) > 1e14 else 1e3 if abs(number) > 1e11 else 1.0
        return datetime.fromtimestamp(number / scale, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def text(told: Json) -> str | None:
    """A text that is not empty, or a number as one; None: it is neither."""
    if isinstance(told, bool) or not isinstance(told, str | int | float):
        return None
    return str(told) or None


def _is_document(path: Path) -> bool:
    """Whether the file is one JSON document: a list, one object on one line, or one written over many lines."""
    lines = numbered_lines(path)
    first = next((line for _, line in lines), b"").strip()
    if first[:1] != b"{":
        return first[:1] == b"["
    try:
        msgspec.json.decode(first)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return first == b"{" or ".json" in path.suffixes
    return next(lines, None) is None


def _in_document(path: Path, lists: Sequence[str]) -> Iterator[Line | MalformedLine]:
    with opened(path) as file:
        body = file.read(LARGEST_DOCUMENT + 1)
    if len(body) > LARGEST_DOCUMENT:
        raise InputError(
            f"the document is larger than {LARGEST_DOCUMENT >> 20} MiB",
            where=str(path),
            remedy="Write an object a line.",
        )
    try:
        told = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"this is no JSON: {_why(error)}", where=str(path)) from error
    found = _list_in(told, lists)
    for number, one in enumerate(found, 1):
        where = f"{path}#{number}"
        yield Line(where, one) if isinstance(one, dict) else MalformedLine("this is no JSON object", where=where)


def _list_in(told: Any, lists: Sequence[str]) -> list[Any]:
    if isinstance(told, list):
        return told
    for name in (*lists, "data"):
        if isinstance(told, dict) and isinstance(told.get(name), list):
            return list(told[name])
    return [told]


def _text_lines(path: Path) -> Iterator[str]:
    first = True
    for number, line in numbered_lines(path, blank=True):
        try:
            yield line.decode("utf-8-sig" if first else "utf-8").replace("\0", "")
        except UnicodeDecodeError as error:
            raise InputError(
                f"line {number} is no UTF-8", where=str(path), remedy="Save the table as UTF-8."
            ) from error
        first = False


def _why(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
