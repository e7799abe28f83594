"""Imports into the house: what is read where, how it comes down, and what is told of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from tokencapital.app.platform import Platform
from tokencapital.app.recording import HouseDesks
from tokencapital.core.call import UNSORTED
from tokencapital.core.errors import InputError, SettingsError
from tokencapital.record.imports.cases import read_cases_file
from tokencapital.record.imports.chat import read_chat
from tokencapital.record.imports.landing import Landed, Lander, Landing, pseudonym
from tokencapital.record.imports.langfuse import read_langfuse
from tokencapital.record.imports.langfuse_api import LangfuseApi
from tokencapital.record.imports.litellm import read_litellm
from tokencapital.record.imports.mlflow import MlflowApi, read_mlflow
from tokencapital.record.imports.outcomes import read_outcomes
from tokencapital.record.imports.phoenix import PhoenixApi, read_phoenix
from tokencapital.record.imports.remote import Login, Remote
from tokencapital.record.imports.tensorzero import TensorZero
from tokencapital.record.imports.told import Bunch, People, Skip, Source
from tokencapital.record.imports.trajectories import read_trajectories
from tokencapital.record.spans_settling import Rules
from tokencapital.record.spans_sorting import RuleSorter
from tokencapital.store.cursors import read_cursor
from tokencapital.store.steps import steps_by_response

SETTLED = timedelta(seconds=30)
"""While an import follows a server it leaves what is younger for the next round: it may still grow."""
FOLLOW_S = 15.0
MOST_TRIED = 200_000
"""So many things of a server are held in memory at most, to see what would become of them."""

ToldOf = Callable[[int, int], None]
"""Hears how much of how much is done."""


class ImportKind(StrEnum):
    """What work is imported from."""

    CHAT = "chat"
    CASES = "cases"
    TRAJECTORIES = "trajectories"
    LANGFUSE = "langfuse"
    MLFLOW = "mlflow"
    PHOENIX = "phoenix"
    LITELLM = "litellm"
    TENSORZERO = "tensorzero"
    OUTCOMES = "outcomes"


class ImportAsked(Struct, frozen=True, kw_only=True):
    """An import as somebody wants it: from a file, or from a server by its `url`.

    `since` None: all there is. `project` None: all of them. `rounds` is how often a server is asked: None for ever.
    """

    kind: ImportKind
    file: Path | None = None
    url: str | None = None
    since: datetime | None = None
    capability: str | None = None
    project: str | None = None
    dry_run: bool = False
    rounds: int | None = 1
    every_s: float = FOLLOW_S


class ImportReport(Struct, frozen=True, kw_only=True):
    """What an import brought: what was new, what was here `known` already, and what was left out, by reason.

    `unsorted` is how many of the new trajectories stand under no capability that was declared. `skipped` says of
    the first of what was left out where it stands and why.
    """

    kind: str
    source: str
    dry_run: bool
    trajectories: int
    steps: int
    outcomes: int
    judgments: int
    known: int
    unsorted: int
    skipped_by_reason: dict[str, int]
    skipped: tuple[Skip, ...]


class _Origin(Struct, frozen=True):
    """Where an import reads: the `name` under which its cursor stands, and what reads from a cursor on until a time."""

    name: str
    read: Callable[[str | None, datetime], Source]


class _Undone(Exception):
    """Ends the transaction of a dry run."""


def run_import(
    platform: Platform, asked: ImportAsked, told: ToldOf, sleep: Callable[[float], None] = time.sleep
) -> ImportReport:
    """All that the source holds is in the store, each thing once; with `dry_run` nothing is, and the report says what
    would be.

    An import from a server goes on where the last one stopped. Raises InputError, SettingsError, AccessRefused.
    """
    if (asked.file is None) == (asked.url is None) and asked.kind is not ImportKind.TENSORZERO:
        raise InputError("an import is of a file, or of a server", remedy="Give FILE or --url.")
    if asked.capability not in (None, UNSORTED):
        platform.workplace(asked.capability or "")
    origin = _origin(platform.store.key, platform.clock.now(), asked, sleep)
    desks = HouseDesks(platform.store, platform.clock)
    sort = RuleSorter(platform.settings.rules)
    rules = Rules(platform.meter, desks.observed, sort, lambda ids: steps_by_response(platform.store, ids))
    landing = Landing(
        kind=asked.kind.value,
        source=origin.name,
        rules=rules,
        capability=asked.capability,
        redaction=platform.redaction,
    )
    lander = Lander(platform.store, platform.clock, landing)
    if asked.dry_run:
        _try(platform, lander, _read_all(platform, asked, origin, told))
    else:
        _rounds(platform, asked, lander, origin, told, sleep)
    return _report(asked, origin.name, lander.landed)


def _rounds(
    platform: Platform,
    asked: ImportAsked,
    lander: Lander,
    origin: _Origin,
    told: ToldOf,
    sleep: Callable[[float], None],
) -> None:
    played = 0
    while asked.rounds is None or played < asked.rounds:
        if played:
            sleep(asked.every_s)
        now = platform.clock.now()
        until = now if asked.rounds == 1 else now - SETTLED
        cursor = read_cursor(platform.store, origin.name) if asked.file is None else None
        done = 0
        for bunch in origin.read(cursor, until):
            lander.land(bunch)
            done = bunch.done or done + len(bunch.told)
            told(done, bunch.total or done)
        played += 1


def _read_all(platform: Platform, asked: ImportAsked, origin: _Origin, told: ToldOf) -> Iterable[Bunch]:
    """All that the source holds. What a server has is read before anything is tried, so that nobody who writes waits
    for it. Raises InputError where that is more than memory is meant to hold."""
    if asked.file is not None:
        return origin.read(None, platform.clock.now())
    bunches: list[Bunch] = []
    done = 0
    for bunch in origin.read(read_cursor(platform.store, origin.name), platform.clock.now()):
        bunches.append(bunch)
        done += len(bunch.told)
        told(bunch.done or done, bunch.total or done)
        if done > MOST_TRIED:
            raise InputError(
                f"a dry run tries at most {MOST_TRIED:,} things of a server at once, and there are more",
                remedy="Say since when with --since, or import without --dry-run.",
            )
    return bunches


def _try(platform: Platform, lander: Lander, bunches: Iterable[Bunch]) -> None:
    """It is known what would become of them, and nothing of it is kept."""
    with suppress(_Undone), platform.store.begin():
        for bunch in bunches:
            lander.land(bunch)
        raise _Undone


def open_source(asked: ImportAsked, now: datetime, key: bytes) -> Source:
    """All that the source holds, for who only looks at it; people appear under pseudonyms that `key` makes."""
    return _origin(key, now, asked, time.sleep).read(None, now)


def _origin(key: bytes, now: datetime, asked: ImportAsked, sleep: Callable[[float], None]) -> _Origin:
    def people(told: str) -> str:
        return pseudonym(key, asked.kind.value, told)

    if asked.kind is ImportKind.TENSORZERO:
        if asked.file is not None:
            raise InputError("`tensorzero` is imported from its database", remedy="Give --url instead of a file.")
        database = TensorZero(asked.url or _variable("TENSORZERO_POSTGRES_URL", "the address of the database"), people)
        return _Origin(database.name, lambda cursor, _: database.read(cursor, asked.since))
    if asked.file is None:
        return _server(asked, people, sleep)
    file = asked.file
    readers: dict[ImportKind, Callable[[], Source]] = {
        ImportKind.CHAT: lambda: read_chat(file, now),
        ImportKind.CASES: lambda: read_cases_file(file),
        ImportKind.TRAJECTORIES: lambda: read_trajectories(file, now),
        ImportKind.LANGFUSE: lambda: read_langfuse(file, people),
        ImportKind.MLFLOW: lambda: read_mlflow(file, people),
        ImportKind.PHOENIX: lambda: read_phoenix(file),
        ImportKind.LITELLM: lambda: read_litellm(file),
        ImportKind.OUTCOMES: lambda: read_outcomes(file, asked.capability, now),
    }
    return _Origin(str(file), lambda _, __: readers[asked.kind]())


def _server(asked: ImportAsked, people: People, sleep: Callable[[float], None]) -> _Origin:
    url = asked.url or ""
    match asked.kind:
        case ImportKind.LANGFUSE:
            login = Login(
                _variable("LANGFUSE_PUBLIC_KEY", "the project's public key"),
                _variable("LANGFUSE_SECRET_KEY", "the project's secret key"),
            )
            langfuse = LangfuseApi(Remote(url, login, sleep), people)
            return _Origin(f"langfuse {url}", lambda cursor, until: langfuse.read(cursor, asked.since, until))
        case ImportKind.MLFLOW:
            mlflow = MlflowApi(Remote(url, _mlflow_login(), sleep), people, asked.project)
            name = f"mlflow {url} {asked.project or ''}".strip()
            return _Origin(name, lambda cursor, until: mlflow.read(cursor, asked.since, until))
        case ImportKind.PHOENIX:
            phoenix = PhoenixApi(Remote(url, Login(None, os.environ.get("PHOENIX_API_KEY")), sleep), asked.project)
            name = f"phoenix {url} {asked.project or ''}".strip()
            return _Origin(name, lambda cursor, until: phoenix.read(cursor, asked.since, until))
        case _:
            remedy = "Give FILE. A running LiteLLM sends its calls itself: see docs/how-to/import.md."
            raise InputError(f"`{asked.kind.value}` is imported from a file", remedy=remedy)


def _mlflow_login() -> Login:
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    if token:
        return Login(None, token)
    return Login(os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD"))


def _variable(name: str, what: str) -> str:
    found = os.environ.get(name)
    if not found:
        raise SettingsError(f"the variable {name} is not set", remedy=f"Export {what} in it.")
    return found


def _report(asked: ImportAsked, source: str, landed: Landed) -> ImportReport:
    return ImportReport(
        kind=asked.kind.value,
        source=source,
        dry_run=asked.dry_run,
        trajectories=landed.trajectories,
        steps=landed.steps,
        outcomes=landed.outcomes,
        judgments=landed.judgments,
        known=landed.known,
        unsorted=landed.unsorted,
        skipped_by_reason=dict(sorted(landed.reasons.items(), key=lambda one: -one[1])),
        skipped=tuple(landed.skipped),
    )
