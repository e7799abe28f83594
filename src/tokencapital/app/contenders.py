"""Which generalists a swap test asks: the configured one, and those that somebody named."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from tokencapital.app.platform import Platform, Workplace, make_generalist, make_meter
from tokencapital.app.scripted import ScriptedGeneralist, organization_behind, truth_of
from tokencapital.app.settings import GeneralistKind, GeneralistSettings
from tokencapital.core.case import Case
from tokencapital.core.errors import InputError
from tokencapital.meter.meter import Meter
from tokencapital.models.base import ModelClient
from tokencapital.simulate.scripted import scripted_mind

NOBODY = "none"
SCRIPTED = "scripted:"
_WEB = ("http://", "https://")
_AT_ONCE = 64


class Contender(Struct, frozen=True, kw_only=True):
    """A generalist in a swap test. `client` None: no generalist is asked.

    `known_as` tells its kept answers from those of another one with the same name; None: the name does.
    `provider` is to whom its calls are owed; None: it runs on this machine. `greets` False: it answers nothing but
    the cases.
    """

    name: str
    client: ModelClient | None
    meter: Meter
    known_as: str | None = None
    provider: str | None = None
    concurrency: int = 1
    greets: bool = True


def home_contender(platform: Platform, place: Workplace) -> Contender:
    """The configured generalist."""
    settings = platform.settings.generalist
    client = place.parts.generalist
    return Contender(
        name=_name(settings, client),
        client=client,
        meter=place.parts.meter,
        provider=place.provider,
        concurrency=place.parts.concurrency,
    )


def named_contenders(
    platform: Platform, named: Sequence[str], key_env: str | None, cases: Sequence[Case]
) -> list[Contender]:
    """The generalists that somebody named, each once: `none`, `embedded`, `URL`, `URL#model`, `scripted:...`.

    `key_env` names the variable with the key of those behind a URL. Raises InputError for a name that is none
    of these, for the configured generalist itself, and for a scripted one where `cases` are real work.
    """
    if not named:
        raise InputError("a swap test needs a second generalist", remedy="Name one with --against.")
    known = _settings_key(platform.settings.generalist)
    made = []
    for one in dict.fromkeys(named):
        if one.startswith(SCRIPTED):
            made.append(_scripted(platform, one.removeprefix(SCRIPTED), cases))
            continue
        settings = read_generalist(one, key_env, platform.settings.generalist)
        if _settings_key(settings) == known:
            raise InputError(f"`{one}` is the configured generalist", remedy="Name another one with --against.")
        made.append(_configured(platform, settings))
    return made


def read_generalist(named: str, key_env: str | None, like: GeneralistSettings) -> GeneralistSettings:
    """What a name such as `http://127.0.0.1:11434/v1#llama3` means, with the patience of the configured generalist."""
    if named in {GeneralistKind.NONE.value, GeneralistKind.EMBEDDED.value}:
        return GeneralistSettings(kind=GeneralistKind(named), concurrency=1)
    if not named.startswith(_WEB):
        raise InputError(
            f"`{named}` is no generalist",
            remedy="Give `none`, `embedded`, `scripted:0.6` or a URL such as http://127.0.0.1:11434/v1#model.",
        )
    url, _, model = named.partition("#")
    return GeneralistSettings(
        kind=GeneralistKind.HTTP,
        url=url,
        model=model or GeneralistSettings().model,
        key_env=key_env,
        timeout_s=like.timeout_s,
        concurrency=like.concurrency,
    )


def _configured(platform: Platform, settings: GeneralistSettings) -> Contender:
    client = make_generalist(settings)
    rented = settings.kind is GeneralistKind.HTTP
    name = _name(settings, client)
    return Contender(
        name=name,
        client=client,
        meter=make_meter(msgspec.structs.replace(platform.settings, generalist=settings), client),
        known_as=f"{settings.model} at {_address(settings, whole=True)}" if rented else None,
        provider=name if rented else None,
        concurrency=settings.concurrency,
    )


def _scripted(platform: Platform, named: str, cases: Sequence[Case]) -> Contender:
    mind = scripted_mind(named)
    client = ScriptedGeneralist(mind, truth_of(organization_behind(cases), cases, platform.clock.now()))
    return scripted_contender(platform, client)


def scripted_contender(platform: Platform, client: ScriptedGeneralist) -> Contender:
    """A generalist of known ability; it takes this machine's time, that is next to none."""
    here = GeneralistSettings(kind=GeneralistKind.EMBEDDED)
    return Contender(
        name=client.name,
        client=client,
        meter=make_meter(msgspec.structs.replace(platform.settings, generalist=here), client),
        known_as=client.known_as,
        concurrency=_AT_ONCE,
        greets=False,
    )


def _name(settings: GeneralistSettings, client: ModelClient | None) -> str:
    if client is None:
        return NOBODY
    return f"{client.name} at {_address(settings)}" if settings.kind is GeneralistKind.HTTP else client.name


def _address(settings: GeneralistSettings, *, whole: bool = False) -> str:
    """Where it is served, without any name or password that the URL carries."""
    parts = urlsplit(settings.url or "")
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}" if whole else host


def _settings_key(settings: GeneralistSettings) -> tuple[str, ...]:
    rented = settings.kind is GeneralistKind.HTTP
    return (settings.kind.value, settings.model, _address(settings, whole=True)) if rented else (settings.kind.value,)
