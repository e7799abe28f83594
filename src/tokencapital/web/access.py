"""The door: the page to log in on, and logging out."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tokencapital.app.access import Access
from tokencapital.core.errors import AccessRefused, TooManyAttempts
from tokencapital.core.people import ANYBODY
from tokencapital.web.pages import Pages, asked_again, own_path

_MOST_LENGTH = 64


class AccessPages:
    """Where people come in and go."""

    def __init__(self, access: Access, pages: Pages) -> None:
        self._access = access
        self._pages = pages

    def routes(self) -> list[BaseRoute]:
        """What the site mounts; the page to log in on is the only one that nobody needs a login for."""
        return [
            Route("/login", self.show, methods=["GET"]),
            Route("/login", self.log_in, methods=["POST"]),
            self._pages.route("/logout", self.log_out, ANYBODY, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The form; whoever is in already, or has nothing to log in to, is led on."""
        again = asked_again(request)
        if again is not None:
            return again
        visitor, onward = self._pages.visitor(request), own_path(request.query_params.get("onward", "/"))
        if visitor.open or visitor.login is not None:
            return self._pages.onward(request, onward)
        return self._pages.render(request, "login.html", {"problem": "", "login": "", "onward": onward})

    async def log_in(self, request: Request) -> Response:
        """A session under a new token, or the form again with what was wrong."""
        visitor, form = await self._pages.form(request)
        login, onward = form.get("login", "").lower()[:_MOST_LENGTH], own_path(form.get("onward", "/"))
        if visitor.open:
            return self._pages.onward(request, onward)
        try:
            token = await self._access.log_in(login, form.get("password", ""))
        except AccessRefused as error:
            facts = {"problem": str(error), "login": login, "onward": onward}
            return self._pages.render(request, "login.html", facts, 429 if isinstance(error, TooManyAttempts) else 401)
        if visitor.login is not None:
            self._access.log_out(visitor)
        return self._pages.onward(request, onward, session=token)

    async def log_out(self, request: Request) -> Response:
        """The session is over."""
        visitor, _ = await self._pages.form(request)
        self._access.log_out(visitor)
        return self._pages.onward(request, "/")
