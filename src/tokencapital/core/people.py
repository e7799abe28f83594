"""Who works here, what they may do in the house, and what they were told before they taught it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

EVERYONE = "everyone"
"""The group of a contributor whom nobody has declared."""


class Role(StrEnum):
    """What somebody may see and do."""

    EXPERT = "expert"
    ENGINEER = "engineer"
    FINANCE = "finance"
    COUNCIL = "council"
    ADMIN = "admin"


ANYBODY = frozenset(Role)
"""Whoever has an account."""


class Contributor(Struct, frozen=True, kw_only=True):
    """A person whose judgments are in the capital, known by a pseudonym only.

    `group` is whom notices speak to, `team` whom they work with (empty: unknown), `fields` the kinds of
    work that they say they know: capabilities or labels (empty: nothing was said).
    """

    pseudonym: str
    group: str = EVERYONE
    team: str = ""
    fields: tuple[str, ...] = ()


class NoticeKind(StrEnum):
    """What a group was told of, or agreed to."""

    NOTICE = "notice"
    AGREEMENT = "agreement"


class Notice(Struct, frozen=True, kw_only=True):
    """What a group of people was told, or agreed to, on `given_on`: `text` and the `terms` that hold.

    Judgments from then on may teach. An agreement is what probes and hidden repeats wait for.
    """

    id: str
    group: str
    kind: NoticeKind
    text: str
    terms: str
    given_on: datetime
    at: datetime
    by: str
