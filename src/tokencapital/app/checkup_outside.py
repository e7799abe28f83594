"""Checks of what the house deals with: callers at its door, providers, and the generalist."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import aiohttp
import msgspec

from tokencapital.app.access import Access
from tokencapital.app.checkup_findings import FAIL, OK, WARN, Finding
from tokencapital.app.guard import check_address, is_loopback
from tokencapital.app.platform import make_generalist
from tokencapital.app.settings import GeneralistKind, Settings
from tokencapital.core.case import Message
from tokencapital.core.clock import SystemClock
from tokencapital.core.errors import SettingsError, TokenCapitalError
from tokencapital.models.base import ModelClient, ModelRequest
from tokencapital.serve.providers import Provider, open_providers
from tokencapital.store.database import Store

_PATIENCE_S = 10.0
_WELL, _REFUSED = 400, frozenset({401, 403})


def check_listening(settings: Settings, host: str) -> Iterator[Finding]:
    """Who may come in fits the address that the house is to be served on."""
    store = Store.open(settings.store)
    try:
        access = Access(store, SystemClock(), settings.access)
        try:
            check_address(access, host)
        except SettingsError as error:
            yield Finding(what="keys and accounts", state=FAIL, detail=error.what, remedy=error.remedy)
            return
        if access.open and not access.keyed:
            detail = f"runs open on {host}: whoever reaches it may do everything"
            remedy = "Before others may reach it: `tcap key add`, `tcap account add`."
            yield Finding(what="keys and accounts", state=WARN, detail=detail, remedy=remedy)
        elif not is_loopback(host):
            detail = f"closed; passwords and keys pass {host} unless a proxy with TLS stands in front"
            yield Finding(what="keys and accounts", state=OK, detail=detail)
        else:
            yield Finding(what="keys and accounts", state=OK, detail="closed: callers need a key or an account")
        access.close()
    finally:
        store.close()


def check_providers(settings: Settings, *, online: bool) -> Iterator[Finding]:
    """Each provider can be used as it is declared; `online`: its list of models is asked for."""
    for name, one in settings.providers.items():
        what = f"provider {name}"
        try:
            (provider,) = open_providers({name: msgspec.structs.replace(one, fallbacks=())})
        except TokenCapitalError as error:
            yield Finding(what=what, state=FAIL, detail=error.what, remedy=error.remedy)
            continue
        if not online:
            yield Finding(what=what, state=OK, detail="declared, its key is there; not asked (`--online` asks)")
            continue
        yield asyncio.run(_asked(what, provider))


def check_generalist(settings: Settings, *, online: bool) -> Iterator[Finding]:
    """The generalist loads; one behind a URL is asked only `online`."""
    kind = settings.generalist.kind
    if kind is GeneralistKind.NONE:
        detail = "none: memory and specialists answer, or people do"
        yield Finding(what="generalist", state=OK, detail=detail)
        return
    generalist = make_generalist(settings.generalist)
    assert generalist is not None
    if kind is GeneralistKind.HTTP and not online:
        yield Finding(what="generalist", state=OK, detail=f"{generalist.name}; not asked (`--online` asks)")
        return
    yield asyncio.run(_tried(generalist))


async def _tried(generalist: ModelClient) -> Finding:
    try:
        await generalist.complete(ModelRequest(messages=(Message("user", "Say yes."),), max_tokens=4))
    except TokenCapitalError as error:
        return Finding(what="generalist", state=FAIL, detail=error.without_words, remedy=error.remedy)
    finally:
        await generalist.close()
    return Finding(what="generalist", state=OK, detail=f"{generalist.name} answers")


async def _asked(what: str, provider: Provider) -> Finding:
    """The provider's list of models, as it answers now."""
    origin = provider.origin
    address = f"{'https' if origin.tls else 'http'}://{origin.name}{provider.path}/models"
    lines = provider.credentials.decode("latin-1").splitlines()
    headers = dict(line.split(": ", 1) for line in lines)
    headers |= {name.decode("latin-1"): value.decode("latin-1") for name, value in provider.headers.items()}
    try:
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(address, headers=headers, allow_redirects=False, ssl=origin.tls or True) as answer,
        ):
            status = answer.status
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        detail = f"cannot be reached: {type(error).__name__}"
        return Finding(what=what, state=FAIL, detail=detail, remedy="See its `url`, and what stands between.")
    if status in _REFUSED:
        return Finding(what=what, state=FAIL, detail=f"refuses the key ({status})", remedy="Export a key that holds.")
    if status >= _WELL:
        return Finding(what=what, state=WARN, detail=f"answers, but {status} to the question for its models")
    return Finding(what=what, state=OK, detail="answers and takes the key")
