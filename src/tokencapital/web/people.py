"""The pages about people: what groups were told, what groups did, and who is declared."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tokencapital.app.contributors import ContributorAsked, declare, listed
from tokencapital.app.people import PeopleBooks
from tokencapital.app.platform import Platform
from tokencapital.app.telling import NoticeAsked, give_notice, notice_gaps
from tokencapital.core.errors import InputError
from tokencapital.core.people import ANYBODY, EVERYONE, NoticeKind, Role
from tokencapital.stats.suppression import FEWEST
from tokencapital.store.notices import notices
from tokencapital.web.pages import Form, Pages, Visitor

_KINDS = {one.value: one for one in NoticeKind}
_MOST_LENGTH, _MOST_TEXT = 64, 20_000
TELLERS = frozenset({Role.COUNCIL, Role.ADMIN})
"""Who may record what a group was told."""
ADMINS = frozenset({Role.ADMIN})


class PeoplePages:
    """What was told to people, and what may be told of them."""

    def __init__(self, platform: Platform, pages: Pages) -> None:
        self._platform = platform
        self._pages = pages
        self._books = PeopleBooks(platform)

    def routes(self) -> list[BaseRoute]:
        """What the site mounts."""
        return [
            self._pages.route("/people", self.people, ANYBODY),
            self._pages.route("/notices", self.notices, ANYBODY),
            self._pages.route("/notices", self.tell, TELLERS, methods=["POST"]),
            self._pages.route("/contributors", self.contributors, ADMINS),
            self._pages.route("/contributors", self.declare, ADMINS, methods=["POST"]),
        ]

    async def people(self, request: Request) -> Response:
        """What groups and teams did; nothing of fewer than five people."""
        return self._pages.render(request, "people.html", {"report": self._books.report(), "fewest": FEWEST})

    async def notices(self, request: Request) -> Response:
        """What each group was told and agreed to, and whose judgments teach nothing yet."""
        visitor = self._pages.visitor(request)
        facts = {
            "recorded": list(reversed(notices(self._platform.store))),
            "notice_gaps": notice_gaps(self._platform),
            "may_tell": bool(TELLERS & visitor.roles),
            "kinds": list(NoticeKind),
            "everyone": EVERYONE,
        }
        return self._pages.render(request, "notices.html", facts)

    async def tell(self, request: Request) -> Response:
        """A group had notice, or agreed."""
        visitor, form = await self._pages.form(request)
        kind = _KINDS.get(form.get("kind", ""))
        if kind is None:
            raise InputError("a notice is of a kind", where="kind", remedy=f"Kinds are: {', '.join(_KINDS)}.")
        asked = NoticeAsked(
            group=_field(form, "group", _MOST_LENGTH),
            text=_field(form, "text", _MOST_TEXT),
            terms=_field(form, "terms", _MOST_TEXT),
            by=who_acts(visitor, form),
            kind=kind,
            given_on=_day(form.get("given_on", "")),
        )
        give_notice(self._platform, asked)
        return self._pages.onward(request, "/notices")

    async def contributors(self, request: Request) -> Response:
        """Who is declared. Names are shown where it is known who looks, and nowhere in an open house."""
        named = not self._pages.visitor(request).open
        facts = {"known": listed(self._platform, with_names=named), "named": named}
        return self._pages.render(request, "contributors.html", facts)

    async def declare(self, request: Request) -> Response:
        """A contributor is declared, or what is declared of them changed."""
        visitor, form = await self._pages.form(request)
        asked = ContributorAsked(
            pseudonym=_field(form, "pseudonym", _MOST_LENGTH),
            group=_field(form, "group", _MOST_LENGTH) or None,
            team=_field(form, "team", _MOST_LENGTH) or None,
            name=_field(form, "name", _MOST_LENGTH) or None,
            by=who_acts(visitor, form),
        )
        declare(self._platform, asked)
        return self._pages.onward(request, "/contributors")


def who_acts(visitor: Visitor, form: Form) -> str:
    """The pseudonym that an act is recorded under: the account's, or in an open house what was told."""
    return visitor.expert or _field(form, "by", _MOST_LENGTH)


def _field(form: Form, name: str, most: int) -> str:
    value = form.get(name, "")
    if len(value) > most:
        raise InputError(f"this is longer than {most} characters", where=name)
    return value


def _day(text: str) -> datetime | None:
    """Midnight of a day in UTC; None where none was given."""
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise InputError(f"{text!r} is no day", where="given_on", remedy="Write it as 2026-01-31.") from error
