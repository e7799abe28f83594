"""Egress: which providers may see the data of which capability. What is forbidden is refused before a byte leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from tokencapital.app.settings import GeneralistKind, GeneralistSettings, Settings
from tokencapital.core.errors import EgressRefused, ModelUnavailable
from tokencapital.models.base import Completion, Delta, ModelClient, ModelRequest

LOCAL = "local"
"""How the generalist that runs inside this process is called."""
_ALL = "egress"


class EgressRules:
    """The rules as the settings declare them; an `Egress` of the relay."""

    def __init__(self, settings: Settings) -> None:
        self._default = None if settings.egress is None else frozenset(settings.egress)
        self._rules = {
            name: frozenset(declared.egress)
            for name, declared in settings.capabilities.items()
            if declared.egress is not None
        }

    def check(self, capability: str | None, provider: str) -> None:
        """Returns where the request may go there. Raises EgressRefused, naming the rule."""
        allowed = self._default if capability is None else self._rules.get(capability, self._default)
        if allowed is not None and provider not in allowed:
            rule = f"[capabilities.{capability}] {_ALL}" if capability in self._rules else _ALL
            named = ", ".join(sorted(allowed)) or "nowhere"
            raise EgressRefused(f"the rule `{rule}` lets data go to {named}, not to {provider}")

    def check_generalist(self, capability: str, generalist: GeneralistSettings) -> None:
        """Returns where this generalist may see the data. Raises EgressRefused."""
        if generalist.kind is not GeneralistKind.NONE:
            self.check(capability, provider_of(generalist))

    def client_for(
        self, capability: str, client: ModelClient | None, generalist: GeneralistSettings
    ) -> ModelClient | None:
        """The generalist as the capability may ask it: one that may not see its data answers nothing."""
        try:
            self.check_generalist(capability, generalist)
        except EgressRefused as error:
            return None if client is None else KeptIn(client, error)
        return client


class KeptIn:
    """A generalist that is never asked, because its provider may not see the data."""

    def __init__(self, client: ModelClient, why: EgressRefused) -> None:
        self._client = client
        self._why = why

    @property
    def name(self) -> str:
        """The model's name."""
        return self._client.name

    async def complete(self, request: ModelRequest) -> Completion:
        """Nothing leaves. Raises ModelUnavailable with the rule."""
        raise self._refused()

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        """Nothing leaves. Raises ModelUnavailable with the rule."""
        raise self._refused()
        yield Delta()

    async def close(self) -> None:
        """There is nothing to let go; whoever opened the client closes it."""

    def _refused(self) -> ModelUnavailable:
        return ModelUnavailable(self._why.what)


def provider_of(generalist: GeneralistSettings) -> str:
    """How `egress` calls a generalist: as it is said, else `local`, or by the host that it is behind."""
    if generalist.provider is not None:
        return generalist.provider
    if generalist.kind is not GeneralistKind.HTTP:
        return LOCAL
    return urlsplit(generalist.url or "").hostname or LOCAL
