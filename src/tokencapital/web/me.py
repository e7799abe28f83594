"""The own page: what somebody said, what holds for them, and what is known of them; for their own eyes."""

from __future__ import annotations

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tokencapital.app.accounts import change_password
from tokencapital.app.guard import READERS
from tokencapital.app.platform import Platform
from tokencapital.app.reliability import reliability_of
from tokencapital.app.retracting import retract
from tokencapital.app.telling import declare_contributor
from tokencapital.core.errors import AccessRefused, InputError
from tokencapital.core.people import ANYBODY
from tokencapital.store.contributors import read_contributor
from tokencapital.store.names import name_of
from tokencapital.store.notices import notices
from tokencapital.store.own import is_own, own_judgments, own_tallies
from tokencapital.web.pages import Pages, Visitor

_NEWEST = 20
_MOST_FIELDS, _MOST_LENGTH = 50, 200


class OwnPages:
    """What belongs to whoever looks."""

    def __init__(self, platform: Platform, pages: Pages) -> None:
        self._platform = platform
        self._pages = pages

    def routes(self) -> list[BaseRoute]:
        """What the site mounts."""
        return [
            self._pages.route("/me", self.show, ANYBODY),
            self._pages.route("/me/reliability", self.reliability, ANYBODY),
            self._pages.route("/me/fields", self.know, ANYBODY, methods=["POST"]),
            self._pages.route("/me/retract", self.retract, ANYBODY, methods=["POST"]),
            self._pages.route("/me/password", self.change_password, ANYBODY, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """One's own judgments and notices; the name only where it is known who looks."""
        me = self._pages.visitor(request).expert
        if me is None:
            return self._pages.render(request, "me.html", {"me": None, "problem": ""})
        return self._own(request, me)

    def _own(self, request: Request, me: str, problem: str = "", status: int = 200) -> Response:
        visitor, store = self._pages.visitor(request), self._platform.store
        declared = read_contributor(store, me)
        facts = {
            "me": declared,
            "name": None if visitor.open else name_of(store, me),
            "tallies": own_tallies(store, me),
            "newest": own_judgments(store, me, _NEWEST),
            "notices": notices(store, declared.group),
            "capabilities": [one.name for one in self._platform.capabilities()],
            "reads": bool(READERS & visitor.roles),
            "problem": problem,
        }
        return self._pages.render(request, "me.html", facts, status)

    async def reliability(self, request: Request) -> Response:
        """How often one is right, for nobody's eyes but one's own: an open house does not know whose eyes these are."""
        visitor = self._pages.visitor(request)
        if visitor.login is None or visitor.expert is None:
            raise AccessRefused("how often somebody is right is shown to nobody else", remedy="Log in to see your own.")
        known = reliability_of(self._platform, visitor.expert)
        return self._pages.render(request, "reliability.html", {"known": known})

    async def know(self, request: Request) -> Response:
        """What one says one knows."""
        visitor, form = await self._pages.form(request)
        me = _known(visitor)
        fields = tuple(dict.fromkeys(one.strip() for one in form.get("fields", "").split(",") if one.strip()))
        if len(fields) > _MOST_FIELDS or any(len(one) > _MOST_LENGTH for one in fields):
            raise InputError(f"at most {_MOST_FIELDS} fields of {_MOST_LENGTH} characters", where="fields")
        declared = msgspec.structs.replace(read_contributor(self._platform.store, me), fields=fields)
        declare_contributor(self._platform.store, declared, by=me, at=self._platform.clock.now())
        return self._pages.onward(request, "/me")

    async def retract(self, request: Request) -> Response:
        """A judgment of one's own is taken back: the next request no longer knows it."""
        visitor, form = await self._pages.form(request)
        me, wanted = _known(visitor), form.get("judgment", "")
        if not is_own(self._platform.store, wanted, me):
            raise AccessRefused("this is no judgment of yours that stands")
        retract(self._platform, [wanted], by=me, reason=None)
        return self._pages.onward(request, "/me")

    async def change_password(self, request: Request) -> Response:
        """Only the new password opens the account; other sessions of it are over, and this one goes on anew."""
        visitor, form = await self._pages.form(request)
        if visitor.login is None:
            raise AccessRefused("nobody has a password in an open house")
        try:
            await self._platform.access.check(visitor.login, form.get("password", ""))
            me, new = _known(visitor), form.get("new_password", "")
            await run_in_threadpool(change_password, self._platform, visitor.login, new, me)
            token = await self._platform.access.log_in(visitor.login, new)
        except (AccessRefused, InputError) as error:
            return self._own(request, _known(visitor), str(error), 422)
        return self._pages.onward(request, "/me", session=token)


def _known(visitor: Visitor) -> str:
    if visitor.expert is None:
        raise InputError("nobody is known here yet", remedy="Say who you are on a review page.")
    return visitor.expert
