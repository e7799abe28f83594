"""What the relay needs of the house, as protocols that it owns, each with an answer for a house that sets nothing up.

The relay is the part of the gateway that passes calls on to providers. On its way a request is admitted, sorted to a
capability, checked for where it may go, held against limits, answered or passed on, cleaned, and kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from tokencapital.core.access import ANYONE, Caller, Scope
from tokencapital.core.call import Call, Wire
from tokencapital.core.case import Mode
from tokencapital.core.quantity import Usage


class Asked(Struct, frozen=True, kw_only=True):
    """A request as it came: its headers by lower-case name, its body untouched.

    `model` and `streamed` are what the body says; `model` is empty where it does not.
    """

    wire: Wire
    path: str
    model: str
    streamed: bool
    headers: Mapping[str, str]
    body: bytes
    caller: Caller = ANYONE


class Sorted(Struct, frozen=True, kw_only=True):
    """The kind of work that a request is. `capability` None: no rule named one.

    `mode` says what becomes of the capability's own answers. `tags` are kept with the call; one of them names the rule.
    """

    capability: str | None = None
    mode: Mode = Mode.OBSERVE
    tags: Mapping[str, str] = {}


class Reply(Struct, frozen=True, kw_only=True):
    """A capability's own answer in the wire's shape: a status, headers, and the body in one or in many pieces."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    pieces: AsyncIterator[bytes] | None = None


class Doorman(Protocol):
    """Knows the keys."""

    def admit(self, headers: Mapping[str, str], scope: Scope) -> Caller:
        """Who sends. Raises KeyRefused where the key is missing, wrong, revoked or expired, AccessRefused where it
        does not open this."""
        ...


class Sorter(Protocol):
    """Knows the rules that turn traffic into capabilities."""

    def sort(self, asked: Asked) -> Sorted:
        """The kind of work that the request is."""
        ...


class Egress(Protocol):
    """Knows which providers may see the data of which capability."""

    def check(self, capability: str | None, provider: str) -> None:
        """Returns where the request may go there. Raises EgressRefused, naming the rule."""
        ...


class Hold(Protocol):
    """Room taken from limits while a request is on its way."""

    def settle(self, usage: Usage | None, usd: Decimal | None) -> None:
        """The room taken is what the request really took; None: unknown, and what was held stays taken."""
        ...

    def release(self) -> None:
        """The request took nothing."""
        ...


class Purse(Protocol):
    """Knows the limits."""

    def hold(self, asked: Asked, capability: str | None, provider: str) -> Hold | None:
        """Room for this request; None: no limit holds for it. Raises LimitReached."""
        ...


class Answerer(Protocol):
    """The capabilities themselves: engines that answer beside a provider, or instead of it."""

    async def answer(self, asked: Asked, sorted_: Sorted, call_id: str) -> Reply | None:
        """The capability's answer in the wire's shape; None: the provider's goes out."""
        ...

    def beside(self, asked: Asked, sorted_: Sorted, call_id: str) -> None:
        """In `shadow` mode the capability answers too, shown to nobody, without keeping the caller waiting."""
        ...


class Cleaner(Protocol):
    """Takes out of a call what may not be kept."""

    def clean(self, call: Call) -> Call:
        """The call as it may go to disk."""
        ...


class Keeper(Protocol):
    """Keeps calls."""

    async def keep(self, call: Call) -> None:
        """The call is durable when this returns. Raises SpoolFull."""
        ...


class OpenDoor:
    """A door for a house without keys."""

    def admit(self, headers: Mapping[str, str], scope: Scope) -> Caller:
        """Anybody."""
        return ANYONE


class NoRules:
    """A sorter that knows no rule."""

    def sort(self, asked: Asked) -> Sorted:
        """Work that nobody named."""
        return Sorted()


class AnyProvider:
    """Egress without rules."""

    def check(self, capability: str | None, provider: str) -> None:
        """Everything may go everywhere."""


class NoLimits:
    """A purse without limits."""

    def hold(self, asked: Asked, capability: str | None, provider: str) -> Hold | None:
        """No limit holds."""
        return None


class NoAnswers:
    """No capability answers."""

    async def answer(self, asked: Asked, sorted_: Sorted, call_id: str) -> Reply | None:
        """The provider's answer goes out."""
        return None

    def beside(self, asked: Asked, sorted_: Sorted, call_id: str) -> None:
        """Nothing answers beside."""


class KeepsAll:
    """A cleaner that takes nothing out."""

    def clean(self, call: Call) -> Call:
        """The call as it is."""
        return call
