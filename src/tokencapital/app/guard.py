"""What stands before every route: who may pass, and that a request which changes something comes from here.

`KeptRoute` is the one way in for people and for programs; what is not one is in `PUBLIC`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tokencapital.app.access import Access, Visitor
from tokencapital.core.errors import AccessRefused, SettingsError
from tokencapital.core.people import ANYBODY, Role
from tokencapital.review.routes import VOUCHED

SESSION_COOKIE, EXPERT_COOKIE = "tcap_session", "tcap_expert"
FORM_HEADER = "x-tcap-token"
PUBLIC = frozenset({"/healthz", "/login", "/static/{name}"})
"""What nobody needs an account for."""
READERS = frozenset({Role.EXPERT, Role.ENGINEER, Role.ADMIN})
"""Who may read what customers wrote."""
MACHINES: Mapping[str, frozenset[Role]] = {
    "/v1/chat/completions": READERS,
    "/v1/models": ANYBODY,
    "/v1/answers/{trajectory}": READERS,
    "/v1/judgments": frozenset({Role.EXPERT, Role.ADMIN}),
    "/v1/outcomes": frozenset({Role.ENGINEER, Role.ADMIN}),
    "/v1/knowledge/search": READERS,
}
"""Who may use an endpoint of programs with a login of their own; the applications' key opens all of them."""
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_VISITOR = "tcap.visitor"


class KeptRoute(Route):
    """A route that only people with one of the `roles` reach."""

    def __init__(self, path: str, endpoint: Any, roles: frozenset[Role], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.roles = roles


def keep(routes: Sequence[Route], access: Access) -> list[Route]:
    """The endpoints of programs, kept as `MACHINES` says; one that it does not know is for admins."""
    return [route if route.path in PUBLIC else _kept(route, access) for route in routes]


def visitor_of(request: Request, access: Access) -> Visitor:
    """Who sent the request; the answer is the same all through it."""
    found = request.scope.get(_VISITOR)
    if not isinstance(found, Visitor):
        pseudonym = request.cookies.get(EXPERT_COOKIE)
        found = access.visitor(request.cookies.get(session_cookie(request)), unquote(pseudonym) if pseudonym else None)
        request.scope[_VISITOR] = found
    return found


def session_cookie(request: Request) -> str:
    """The name of the session's cookie; over https one that neither a subdomain nor plain http can set."""
    return f"__Host-{SESSION_COOKIE}" if request.url.scheme == "https" else SESSION_COOKIE


def from_here(request: Request) -> bool:
    """Whether what the browser tells of the sender, if it tells anything, names this very site."""
    fetched, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if fetched is not None and fetched not in {"same-origin", "none"}:
        return False
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def is_loopback(host: str) -> bool:
    """Whether the host is this machine as this machine calls it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_address(access: Access, host: str) -> None:
    """Returns where the house may be served on this address. Raises SettingsError for an open house on a network."""
    if access.open and not is_loopback(host):
        raise SettingsError(
            "without accounts the house runs open, and on this address anybody on the network could judge and read",
            where=host,
            remedy="Make an account with `tcap account add LOGIN --role admin --by YOU`, or serve on 127.0.0.1.",
        )


class OwnNames:
    """Refuses requests to an open house under any name but loopback's, so that no web page elsewhere can
    reach it by a name that it points here (DNS rebinding)."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The request goes on, or is answered with 421."""
        if scope["type"] == "http" and self._access.open:
            host = urlsplit(f"//{Request(scope).headers.get('host', '')}").hostname
            if host is None or not is_loopback(host):
                refusal = PlainTextResponse("an open house answers on loopback only; set up accounts first", 421)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


class _Guard:
    """Lets programs with the key pass, and people who are logged in and may."""

    def __init__(self, app: ASGIApp, access: Access, roles: frozenset[Role]) -> None:
        self._app = app
        self._access = access
        self._roles = roles

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The request goes on. Raises HTTPException or AccessRefused where it may not."""
        request = Request(scope)
        if not self._access.holds_key(request.headers.get("authorization")):
            if request.method not in _READING and not from_here(request):
                raise AccessRefused("this request is from a page of another site")
            if not self._access.open:
                self._admit(request)
        await self._app(scope, receive, send)

    def _admit(self, request: Request) -> None:
        visitor = visitor_of(request, self._access)
        if visitor.login is None:
            raise HTTPException(401, "log in, or send the applications' key as Authorization: Bearer")
        if not self._roles & visitor.roles:
            raise AccessRefused("your account may not do this")
        own = self._access.own_form(visitor, request.headers.get(FORM_HEADER, ""))
        if request.method not in _READING and not own:
            raise AccessRefused("this request is not from a page of this session", where=FORM_HEADER)
        request.scope[VOUCHED] = visitor.expert


def _kept(route: Route, access: Access) -> KeptRoute:
    roles = MACHINES.get(route.path, frozenset({Role.ADMIN}))
    guard = Middleware(_Guard, access, roles)
    methods = sorted(route.methods or ())
    return KeptRoute(route.path, route.endpoint, roles, methods=methods, name=route.name, middleware=[guard])
