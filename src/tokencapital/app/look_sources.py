"""Where `tcap look` reads: files of any shape, servers of other tools, and what this house has not sorted yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from msgspec import Struct

from tokencapital.app.importing import ImportAsked, ImportKind, open_source
from tokencapital.app.look_reading import Looked, of_steps, read_lines, read_source
from tokencapital.app.platform import make_meter
from tokencapital.app.settings import Settings
from tokencapital.core.call import UNSORTED
from tokencapital.core.errors import InputError
from tokencapital.record.importers import numbered_lines
from tokencapital.record.imports.told import Bunch, Source, Traced
from tokencapital.record.otlp import read_json, spans_of
from tokencapital.record.spans import bundles
from tokencapital.record.spans_deeds import read_trace
from tokencapital.store.database import Store
from tokencapital.store.steps import steps_after, steps_of

_AT_ONCE = 200
_PEOPLE_KEY = b"look"


class Kept(StrEnum):
    """Who keeps the recorded work, where it is not a plain file."""

    LANGFUSE = "langfuse"
    MLFLOW = "mlflow"
    PHOENIX = "phoenix"
    LITELLM = "litellm"
    TENSORZERO = "tensorzero"
    OTLP = "otlp"
    STORE = "store"


class Where(Struct, frozen=True, kw_only=True):
    """What to look at. `kept` None: `file` is a log of calls, of conversations, of cases or of runs."""

    kept: Kept | None = None
    file: Path | None = None
    url: str | None = None
    since: datetime | None = None
    project: str | None = None


def open_work(where: Where, settings: Settings, now: datetime) -> Iterator[Looked]:
    """The recorded work. Raises InputError and SettingsError where it cannot be read."""
    meter = make_meter(settings, None)
    if where.kept is None and where.file is not None:
        return read_lines(where.file)
    if where.kept is Kept.OTLP and where.file is not None:
        return read_source(_traces(where.file), meter)
    told = where.file is not None or where.url is not None or where.kept is Kept.TENSORZERO
    if where.kept is None or where.kept is Kept.OTLP or not told:
        raise InputError("there is nothing to look at", remedy="Name a file, or a tool with --file or --url.")
    asked = ImportAsked(
        kind=ImportKind(where.kept.value), file=where.file, url=where.url, since=where.since, project=where.project
    )
    return read_source(open_source(asked, now, _PEOPLE_KEY), meter)


def unsorted_work(store: Store) -> Iterator[Looked]:
    """What went through the gateway and no rule named, as far as its words are kept."""
    names = dict.fromkeys(step.trajectory for _, step in steps_after(store, UNSORTED, 0))
    ordered = list(names)
    for start in range(0, len(ordered), _AT_ONCE):
        for name, steps in steps_of(store, ordered[start : start + _AT_ONCE]).items():
            found = of_steps(name, steps, ())
            if found is not None:
                yield found


def _traces(path: Path) -> Source:
    """The traces in a file of batches in OTLP's JSON, one a line."""
    told: defaultdict[str, list[tuple[str | None, bytes]]] = defaultdict(list)
    for _, line in numbered_lines(path):
        by_trace: defaultdict[str, list[tuple[Any, Any, Any]]] = defaultdict(list)
        for placed in spans_of(read_json(line)):
            by_trace[placed[2].trace_id.hex()].append(placed)
        for one in bundles(dict(by_trace), frozenset()):
            told[one.trace].append((None, one.body))
    for trace, bodies in told.items():
        yield Bunch((Traced(where=str(path), trace=read_trace(trace, bodies)),))
