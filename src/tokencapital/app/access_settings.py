"""What an installation says of limits, of what is taken out before anything is kept, and of what is kept at all."""

from __future__ import annotations

import re
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from tokencapital.core.limit import Limit, Most, Per, nano_usd
from tokencapital.record.redaction_known import Known
from tokencapital.record.redaction_time import check_pattern

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class LimitSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At most so many `requests`, `tokens` and dollars (`usd`) `per` minute, hour, day or month, in UTC.

    `application`, `capability` and `provider` say what of: without one, all of them share the limit; with `"*"` each
    has it for itself; with a name it is about that one alone. Requests on their way count with what they may take at
    most, until it is known what they took. `hard`: where the store cannot be reached and the last share of the limit
    has run out, or no price is known, requests are refused; otherwise they go on and are counted later.
    """

    per: Per
    requests: int | None = None
    tokens: int | None = None
    usd: Decimal | None = None
    application: str | None = None
    capability: str | None = None
    provider: str | None = None
    hard: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        amounts = [one for one in (self.requests, self.tokens, self.usd) if one is not None]
        if not amounts:
            raise ValueError("a limit names `requests`, `tokens` or `usd`")
        if any(one < 0 for one in amounts):
            raise ValueError("a limit is not below zero")

    @property
    def limit(self) -> Limit:
        """The limit under its name; one that nobody named is called by what it is about."""
        about = (self.application, self.capability, self.provider)
        parts = [
            f"{kind} {'each' if one == '*' else one}"
            for kind, one in zip(("application", "capability", "provider"), about, strict=True)
            if one is not None
        ]
        return Limit(
            name=self.name or f"{', '.join(parts) or 'all'} per {self.per}",
            per=self.per,
            most=Most(self.requests, self.tokens, None if self.usd is None else nano_usd(self.usd)),
            application=self.application,
            capability=self.capability,
            provider=self.provider,
            hard=self.hard,
        )


def named_apart(limits: tuple[LimitSettings, ...]) -> tuple[Limit, ...]:
    """The limits. Raises ValueError where two have one name."""
    made = tuple(one.limit for one in limits)
    names = [one.name for one in made]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"two limits are called `{twice}`: give each a `name`")
    return made


class Payloads(StrEnum):
    """What of the words of a call is kept."""

    FULL = "full"
    """What was asked and answered, after redaction."""
    HASHES = "hashes"
    """No words, but keyed digests of the conversation, so that its calls still become one trajectory."""
    NONE = "none"
    """Nothing that was made from words; calls are joined only where the caller names the conversation."""


class RecordSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of calls: `payloads` is `full`, `hashes` or `none`. A capability may say otherwise."""

    payloads: Payloads = Payloads.FULL


class RedactionSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is taken out before anything is kept, besides secrets, which always are.

    `known` names kinds that are known here; `patterns` are regular expressions by name, tried when the settings are
    read: one that can take very long on some text is refused. What is found is replaced by `[redacted:NAME]`.
    """

    known: tuple[Known, ...] = ()
    patterns: dict[str, str] = {}

    def __post_init__(self) -> None:
        for name, pattern in self.patterns.items():
            if not _NAME.fullmatch(name) or name in set(Known):
                raise ValueError(f"`{name}` is no name for a pattern: a-z, 0-9 and _- only, and none that is `known`")
            check_pattern(name, pattern)
