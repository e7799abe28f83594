"""Where a page leads to: the links in the head of every page, and those among the pages of a capability."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import quote

from msgspec import Struct

from tokencapital.core.people import ANYBODY, Role

_READERS = frozenset({Role.EXPERT, Role.ENGINEER, Role.ADMIN})
_JUDGES = frozenset({Role.EXPERT, Role.ADMIN})
_ACCOUNTABLE = frozenset({Role.ENGINEER, Role.FINANCE, Role.COUNCIL, Role.ADMIN})


class Link(Struct, frozen=True):
    """A link to the page `path`, for people with one of the `roles`. `of` is the capability that it is about."""

    label: str
    path: str
    roles: frozenset[Role] = ANYBODY
    of: str = ""


HOUSE = (
    Link("Knowledge", "/knowledge", _READERS),
    Link("People", "/people"),
    Link("Notices", "/notices"),
    Link("Contributors", "/contributors", frozenset({Role.ADMIN})),
    Link("Me", "/me"),
)
CAPABILITY = (
    Link("Overview", "/capability/{capability}"),
    Link("Review", "/review/{capability}", _JUDGES),
    Link("Conflicts", "/conflicts/{capability}", _READERS),
    Link("Lessons", "/lessons/{capability}", _READERS),
    Link("Swap test", "/swap/{capability}", _ACCOUNTABLE),
)


def house_links(roles: frozenset[Role], mounted: Collection[str]) -> list[Link]:
    """The links in the head of every page, of the pages that are `mounted` and that the roles may see."""
    return [link for link in HOUSE if link.path in mounted and roles & link.roles]


def capability_links(capability: str | None, roles: frozenset[Role], mounted: Collection[str]) -> list[Link]:
    """The links among the pages of one capability; none on a page that is about no capability."""
    if capability is None:
        return []
    return [
        Link(link.label, link.path.format(capability=quote(capability, safe="")), link.roles, capability)
        for link in CAPABILITY
        if link.path in mounted and roles & link.roles
    ]
