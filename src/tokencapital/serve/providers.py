"""The providers of an installation: where each model is asked, under which name, and with which key."""

from __future__ import annotations

import asyncio
import os
import re
import tomllib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from time import monotonic

import msgspec
from msgspec import Struct

from tokencapital.core.call import Wire
from tokencapital.core.errors import SettingsError
from tokencapital.serve.attempts import Breaker, Retrying
from tokencapital.serve.provider_settings import ProviderSettings
from tokencapital.serve.upstream import Origin, read_origin
from tokencapital.serve.upstream_connection import Patience

COMPATIBLE = "compatible"
CREDENTIALS = frozenset({b"authorization", b"x-api-key", b"api-key"})
"""The headers in which keys of providers travel."""
PATHS: Mapping[Wire, str] = {
    Wire.CHAT: "/chat/completions",
    Wire.RESPONSES: "/responses",
    Wire.EMBEDDINGS: "/embeddings",
    Wire.MESSAGES: "/messages",
    Wire.COUNT_TOKENS: "/messages/count_tokens",
}
_ANOTHER_NAME = re.compile(r"^(\S+) = (\S+)$")
_HEADER_NAME = re.compile(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
_MOST_FOUND = 4096


class Kind(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of a kind of provider; see providers.toml."""

    url: str | None = None
    key: str = "bearer"
    key_env: str | None = None
    wires: tuple[Wire, ...]
    models: tuple[str, ...]
    headers: Mapping[str, str] = {}


class Slots:
    """Room for so many calls at once; who comes when there is none waits in line."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._line: deque[asyncio.Future[None]] = deque()

    def take_now(self) -> bool:
        """Whether there was room; it is taken then."""
        if self._free == 0:
            return False
        self._free -= 1
        return True

    async def take(self) -> None:
        """There is room, and it is taken."""
        if self.take_now():
            return
        waits = asyncio.get_running_loop().create_future()
        self._line.append(waits)
        try:
            await waits
        except BaseException:
            if waits.done() and not waits.cancelled():
                self.give_back()
            raise

    def give_back(self) -> None:
        """The room is free for the next in line."""
        while self._line:
            waits = self._line.popleft()
            if not waits.done():
                waits.set_result(None)
                return
        self._free += 1


class Provider:
    """A provider with all that a call of it needs."""

    def __init__(self, name: str, kind: Kind, said: ProviderSettings, ticks: Callable[[], float] = monotonic) -> None:
        url = said.url or kind.url
        if url is None:
            raise SettingsError("has no `url`", where=f"[providers.{name}]", remedy="Say where the provider is.")
        self.name = name
        self.origin: Origin
        self.origin, self.path = read_origin(url, said.ca_file)
        self.wires = frozenset(said.wires or kind.wires)
        self.passes_credentials = said.key == "caller"
        self.headers = _headers(name, {**kind.headers, **said.headers})
        self.credentials = b"" if self.passes_credentials else _credentials(name, kind, said)
        self.patience = Patience(connect_s=said.connect_s, idle_s=said.idle_s, total_s=said.total_s)
        self.retrying = Retrying(retries=said.retries)
        self.breaker = Breaker(said.failures, said.pause_s, ticks)
        self.fallbacks = said.fallbacks
        self.beginnings = {wire: self.begin("POST", PATHS[wire]) for wire in self.wires}
        self.slots = Slots(said.concurrency) if said.concurrency is not None else None
        self.models = tuple(one for one in said.models or kind.models if not _ANOTHER_NAME.match(one))
        named = [match for one in said.models if (match := _ANOTHER_NAME.match(one))]
        self.other_names: Mapping[str, str] = {match[1]: match[2] for match in named}

    def begin(self, method: str, path: str, query: bytes = b"") -> bytes:
        """A request's first lines: where it goes, and the provider's key. `query` is as `safe_query` lets it pass."""
        asked = f"{path}?{query.decode('ascii')}" if query else path
        line = f"{method} {self.path}{asked} HTTP/1.1\r\nhost: {self.origin.name}\r\n"
        return line.encode("ascii") + self.credentials

    def their_name(self, model: str) -> str | None:
        """What the provider calls the model; None: it is not asked for it."""
        if model in self.other_names:
            return self.other_names[model]
        return model if any(fnmatchcase(model, pattern) for pattern in self.models) else None

    @property
    def listed(self) -> list[str]:
        """The models that are declared by their names, not by a pattern."""
        return [*self.other_names, *(one for one in self.models if not set(one) & set("*?["))]


class Target(Struct, frozen=True):
    """A provider that may be asked, and the model's name there."""

    provider: Provider
    model: str


class Providers:
    """All providers, in the order in which they are declared."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self._by_name = {one.name: one for one in providers}
        self._found: dict[tuple[Wire, str], tuple[Target, ...]] = {}
        for one in providers:
            for fallback in one.fallbacks:
                if fallback.partition("/")[0] not in self._by_name:
                    known = ", ".join(self._by_name)
                    raise SettingsError(
                        f"falls back to `{fallback}`, which is no provider",
                        where=f"[providers.{one.name}]",
                        remedy=f"Declared are: {known}.",
                    )

    def __bool__(self) -> bool:
        return bool(self._by_name)

    def __iter__(self) -> Iterator[Provider]:
        return iter(self._by_name.values())

    def find(self, wire: Wire, model: str) -> tuple[Target, ...]:
        """Who is asked for a model, first to last; empty: nobody knows it.

        `PROVIDER/MODEL` is that model of that provider; any other name is looked for among the names, then among
        the patterns, of each provider that understands the wire.
        """
        found = self._found.get((wire, model))
        if found is None:
            first = self._first(wire, model)
            found = () if first is None else (first, *self._after(wire, model, first))
            if len(self._found) >= _MOST_FOUND:
                self._found.clear()
            self._found[wire, model] = found
        return found

    def speaking(self, wire: Wire, name: str | None) -> Provider | None:
        """The provider of this name, or without one the first, that understands the wire; None: there is none."""
        able = (one for one in self._by_name.values() if wire in one.wires and name in (None, one.name))
        return next(able, None)

    @property
    def known(self) -> str:
        """The models that are known, in words."""
        told = (f"{one.name} ({', '.join([*one.other_names, *one.models])})" for one in self._by_name.values())
        return "; ".join(told)

    @property
    def listed(self) -> list[tuple[str, str]]:
        """Models that are declared by name, each with its provider."""
        return [(model, one.name) for one in self._by_name.values() for model in one.listed]

    def _first(self, wire: Wire, model: str) -> Target | None:
        able = [one for one in self._by_name.values() if wire in one.wires]
        for one in able:
            if model in one.other_names:
                return Target(one, one.other_names[model])
        name, slash, rest = model.partition("/")
        named = self._by_name.get(name)
        if slash and rest and named is not None and wire in named.wires:
            return Target(named, named.other_names.get(rest, rest))
        for one in able:
            theirs = one.their_name(model)
            if theirs is not None:
                return Target(one, theirs)
        return None

    def _after(self, wire: Wire, model: str, first: Target) -> list[Target]:
        targets = []
        for fallback in first.provider.fallbacks:
            name, _, theirs = fallback.partition("/")
            provider = self._by_name[name]
            if wire in provider.wires:
                targets.append(Target(provider, theirs or provider.other_names.get(model) or first.model))
        return targets


def open_providers(said: Mapping[str, ProviderSettings], ticks: Callable[[], float] = monotonic) -> Providers:
    """The providers that the settings name, with their keys. Raises SettingsError."""
    known = kinds()
    providers = []
    for name, one in said.items():
        kind = one.kind or (name if name in known else COMPATIBLE)
        if kind not in known:
            raise SettingsError(
                f"no kind of provider is called `{kind}`",
                where=f"[providers.{name}]",
                remedy=f"Known are: {', '.join(known)}.",
            )
        if "/" in name or not name:
            raise SettingsError("the name of a provider has no slash", where=f"[providers.{name}]")
        providers.append(Provider(name, known[kind], one, ticks))
    return Providers(providers)


@cache
def kinds() -> Mapping[str, Kind]:
    """What is known of providers, by kind."""
    text = files("tokencapital.serve").joinpath("providers.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, Kind])


def _credentials(name: str, kind: Kind, said: ProviderSettings) -> bytes:
    """The line of a request's head that has the key; empty: none is needed."""
    key = _key(name, kind, said)
    if key is None:
        return b""
    return f"authorization: Bearer {key}\r\n".encode() if kind.key == "bearer" else f"{kind.key}: {key}\r\n".encode()


def _key(name: str, kind: Kind, said: ProviderSettings) -> str | None:
    """The provider's key; None: it needs none. The kind's own variable is not read for another address than its own."""
    where = f"[providers.{name}]"
    elsewhere = said.url is not None and kind.url is not None
    variable = said.key_env or (None if elsewhere else kind.key_env)
    if said.key_file is not None:
        try:
            key = Path(said.key_file).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise SettingsError(f"the key in {said.key_file} cannot be read: {reason}", where=where) from None
    elif variable is None:
        return None
    else:
        key = os.environ.get(variable, "").strip()
    if not key:
        source = said.key_file or f"the variable {variable}"
        remedy = 'Put the provider\'s key in it, or say `key = "caller"` where callers send their own.'
        raise SettingsError(f"{source} holds no key", where=where, remedy=remedy)
    if not key.isascii() or not key.isprintable():
        raise SettingsError("the key has characters that no header can carry", where=where)
    return key


def _headers(name: str, said: Mapping[str, str]) -> Mapping[bytes, bytes]:
    for header, value in said.items():
        if not _HEADER_NAME.match(header) or not value.isascii() or not value.isprintable():
            raise SettingsError(f"`{header}` is no header", where=f"[providers.{name}.headers]")
    return {header.lower().encode(): value.encode() for header, value in said.items()}
