"""Exports out of the house, into a file that is whole or not there."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote

from msgspec import Struct

from tokencapital.app.platform import Platform
from tokencapital.core.errors import InputError
from tokencapital.record.exports import Exported, Tell, write_jsonl, write_parquet
from tokencapital.record.otlp_out import Collector, write_otlp
from tokencapital.store.database import Store
from tokencapital.store.exporting import Wanted, count

_STDOUT = Path("-")
_HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"


class ExportKind(StrEnum):
    """What is written."""

    JSONL = "jsonl"
    PARQUET = "parquet"
    OTLP = "otlp"


class ExportAsked(Struct, frozen=True, kw_only=True):
    """An export as somebody wants it, into a `file`, or for OTLP to a collector at a `url`.

    `capability` None: of all; `since` and `until` None: without end.
    """

    file: Path = _STDOUT
    url: str | None = None
    kind: ExportKind = ExportKind.JSONL
    capability: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class ExportReport(Struct, frozen=True, kw_only=True):
    """Where it was written, and what."""

    file: str
    kind: str
    written: Exported


def run_export(platform: Platform, asked: ExportAsked, told: Callable[[int, int], None]) -> ExportReport:
    """The trajectories are in the file, in the order in which they were recorded; `-` is standard output for JSONL.

    A file that is there is replaced when all is written. Raises InputError where it cannot be written.
    """
    if asked.capability is not None:
        platform.workplace(asked.capability)
    store = platform.store
    wanted = Wanted(capability=asked.capability, since=asked.since, until=asked.until)
    total = count(store, wanted)

    def tell(done: int) -> None:
        told(done, total)

    if asked.url is not None:
        collector = Collector(asked.url, _headers())
        try:
            written = write_otlp(store, wanted, collector.take, tell)
        finally:
            collector.close()
    elif asked.file == _STDOUT and asked.kind is ExportKind.JSONL:
        written = write_jsonl(store, wanted, sys.stdout.buffer, tell)
        sys.stdout.buffer.flush()
    else:
        written = _write(asked, store, wanted, tell)
    return ExportReport(file=asked.url or str(asked.file), kind=asked.kind.value, written=written)


def _write(asked: ExportAsked, store: Store, wanted: Wanted, tell: Tell) -> Exported:
    """The file is whole, or as it was before."""
    beside = asked.file.with_name(f".{asked.file.name}.{os.getpid()}")
    try:
        if asked.kind is ExportKind.PARQUET:
            written = write_parquet(store, wanted, beside, tell)
        else:
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                if asked.kind is ExportKind.OTLP:
                    written = write_otlp(store, wanted, file.write, tell)
                else:
                    written = write_jsonl(store, wanted, file, tell)
        beside.replace(asked.file)
    except OSError as error:
        raise InputError(f"the file cannot be written: {error.strerror}", where=str(asked.file)) from None
    finally:
        beside.unlink(missing_ok=True)
    return written


def _headers() -> dict[str, str]:
    """What OpenTelemetry's own variable says is sent along, such as a key: `name=value,name=value`."""
    pairs = (one.partition("=") for one in os.environ.get(_HEADERS, "").split(","))
    return {name.strip().lower(): unquote(value.strip()) for name, equals, value in pairs if equals and name.strip()}
