"""Contributors as they are declared and listed. A list holds their names only where it was asked for them."""

from __future__ import annotations

from msgspec import Struct

from tokencapital.app.platform import Platform
from tokencapital.app.telling import declare_contributor
from tokencapital.core.people import Contributor
from tokencapital.store.contributors import contributors, read_contributor
from tokencapital.store.names import erase_name, name_contributor, names

ERASE = "-"
"""Given as a name, it erases the one that is kept."""


class ContributorAsked(Struct, frozen=True, kw_only=True):
    """A contributor as somebody declares them. What is None stays as it was; the name `ERASE` takes theirs away."""

    pseudonym: str
    by: str
    group: str | None = None
    team: str | None = None
    fields: tuple[str, ...] | None = None
    name: str | None = None


class Listed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A contributor for a list. `name` None: not known, or not asked for."""

    pseudonym: str
    group: str
    team: str
    fields: tuple[str, ...]
    name: str | None = None


def declare(platform: Platform, asked: ContributorAsked) -> int:
    """The contributor is as declared; returns how many judgments may teach now that did not before."""
    known = read_contributor(platform.store, asked.pseudonym)
    declared = Contributor(
        pseudonym=asked.pseudonym,
        group=known.group if asked.group is None else asked.group,
        team=known.team if asked.team is None else asked.team,
        fields=known.fields if asked.fields is None else asked.fields,
    )
    with platform.store.begin():
        teaching = declare_contributor(platform.store, declared, by=asked.by, at=platform.clock.now())
        if asked.name == ERASE:
            erase_name(platform.store, asked.pseudonym)
        elif asked.name is not None:
            name_contributor(platform.store, asked.pseudonym, asked.name)
    return teaching


def listed(platform: Platform, *, with_names: bool) -> list[Listed]:
    """Everybody who is declared or named, by pseudonym."""
    known = {one.pseudonym: one for one in contributors(platform.store)}
    called = names(platform.store)
    return [
        Listed(
            pseudonym=one.pseudonym,
            group=one.group,
            team=one.team,
            fields=one.fields,
            name=called.get(pseudonym) if with_names else None,
        )
        for pseudonym in sorted({*known, *called})
        for one in [known.get(pseudonym) or Contributor(pseudonym=pseudonym)]
    ]
