"""What stands before every route: who may pass, and that a request which changes something comes from here.

`KeptRoute` is the one way in for people and for programs; what is not one is in `PUBLIC`. `Door` is the same for the
relay, which answers before any route is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Sent

from tokencapital.app.access import Access, Visitor
from tokencapital.app.paying import paid_by
from tokencapital.core.access import ANYONE, CALLER, Caller, Scope
from tokencapital.core.errors import AccessRefused, KeyRefused, SettingsError
from tokencapital.core.people import ANYBODY, Role
from tokencapital.review.routes import VOUCHED

SESSION_COOKIE, EXPERT_COOKIE = "tcap_session", "tcap_expert"
FORM_HEADER = "x-tcap-token"
PUBLIC = frozenset({"/healthz", "/readyz", "/openapi.json", "/login", "/static/{name}"})
"""What nobody needs an account for."""
READERS = frozenset({Role.EXPERT, Role.ENGINEER, Role.ADMIN})
"""Who may read what customers wrote."""
_SENDERS = frozenset({Role.ENGINEER, Role.ADMIN})
_JUDGES = frozenset({Role.EXPERT, Role.ADMIN})
_ADMINS = frozenset({Role.ADMIN})


class Rule(Struct, frozen=True):
    """Which keys open an endpoint of programs, those with any of the `scopes`, and the `roles` of people who may."""

    scopes: frozenset[Scope]
    roles: frozenset[Role]

    def __post_init__(self) -> None:
        if not self.scopes or not self.roles:
            raise ValueError("a rule names scopes and roles")


INFERRING = Rule(frozenset({Scope.INFER}), READERS)
RECORDING = Rule(frozenset({Scope.RECORD}), _SENDERS)
JUDGING = Rule(frozenset({Scope.REVIEW, Scope.RECORD}), _JUDGES)
"""A key with `record` alone tells what people sent; the endpoint looks at the kind of judgment."""
READING = Rule(frozenset({Scope.REVIEW, Scope.INFER}), READERS)
RUNNING = Rule(frozenset({Scope.ADMIN}), _ADMINS)
"""What nobody has said anything about is for admins."""
MACHINES: Mapping[str, Rule] = {
    "/v1/chat/completions": INFERRING,
    "/v1/responses": INFERRING,
    "/v1/responses/{response}": INFERRING,
    "/v1/responses/{response}/cancel": INFERRING,
    "/v1/responses/{response}/input_items": INFERRING,
    "/v1/messages": INFERRING,
    "/v1/messages/count_tokens": INFERRING,
    "/v1/embeddings": INFERRING,
    "/v1/models": Rule(frozenset({Scope.INFER}), ANYBODY),
    "/v1/answers/{trajectory}": Rule(frozenset({Scope.INFER, Scope.REVIEW}), READERS),
    "/v1/judgments": JUDGING,
    "/v1/outcomes": RECORDING,
    "/v1/traces": RECORDING,
    "/v1/knowledge/search": READING,
    "/metrics": RUNNING,
}
"""Who may use an endpoint of programs: keys by their scopes, people by their roles. `admin` opens all of them."""
_PEOPLE: Mapping[Scope, frozenset[Role]] = {
    Scope.INFER: READERS,
    Scope.RECORD: _SENDERS,
    Scope.REVIEW: _JUDGES,
    Scope.ADMIN: _ADMINS,
}
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_VISITOR = "tcap.visitor"
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+))(?::\d{1,5})?")
"""What a browser sends as `Host`: a name or an address, and a port."""


class KeptRoute(Route):
    """A route that only people with one of the `roles` reach, and keys with one of the `scopes`."""

    def __init__(self, path: str, endpoint: Any, roles: frozenset[Role], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.roles = roles
        self.scopes: frozenset[Scope] = frozenset()


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
    """Returns where the house may be served on this address; with keys alone its pages are then closed.

    Raises SettingsError for an open house on a network. Each process that serves calls this before it does.
    """
    if is_loopback(host):
        return
    if access.open and not access.keyed:
        raise SettingsError(
            "without accounts or keys the house runs open, and on this address anybody on the network could use it",
            where=host,
            remedy="Make an account with `tcap account add LOGIN --role admin --by YOU` or a key with "
            "`tcap key add APPLICATION --scope infer --by YOU`, or serve on 127.0.0.1.",
        )
    access.serve_on_network()


class OwnNames:
    """Refuses requests to an open house under any name but loopback's, so that no web page elsewhere can
    reach it by a name that it points here (DNS rebinding)."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Sent, receive: Receive, send: Send) -> None:
        """The request goes on, or is answered with 421."""
        if scope["type"] == "http" and not _names_loopback(_host(scope)) and self._access.open:
            refusal = PlainTextResponse("an open house answers on loopback only; set up accounts first", 421)
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _host(scope: Sent) -> bytes:
    for name, value in scope["headers"]:
        if name == b"host":
            return bytes(value)
    return b""


@lru_cache(maxsize=256)
def _names_loopback(host: bytes) -> bool:
    named = _HOST.fullmatch(host.decode("latin-1"))
    return named is not None and is_loopback(named[1] or named[2])


class Door:
    """Knows keys and people, for the relay: a `Doorman`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def admit(self, headers: Mapping[str, str], scope: Scope) -> Caller:
        """Who sends. Raises KeyRefused where the key is missing, wrong, revoked or expired, AccessRefused where it
        does not open this."""
        caller = self._access.caller(headers)
        if caller is not None:
            return _opened(caller, frozenset({scope}))
        if not self._access.keyed and "origin" not in headers and "sec-fetch-site" not in headers:
            return ANYONE
        request = Request({"type": "http", "method": "POST", "path": "/", "headers": _raw(headers)})
        return _person(request, self._access, Rule(frozenset({scope}), _PEOPLE[scope]))


class _Guard:
    """Lets programs with a key pass, and people who are logged in and may."""

    def __init__(self, app: ASGIApp, access: Access, rule: Rule) -> None:
        self._app = app
        self._access = access
        self._rule = rule

    async def __call__(self, scope: Sent, receive: Receive, send: Send) -> None:
        """The request goes on, and its scope names the `Caller`. Raises AccessRefused where it may not."""
        request = Request(scope)
        caller = self._access.caller(request.headers)
        if caller is None:
            scope[CALLER] = _person(request, self._access, self._rule)
        else:
            scope[CALLER] = _opened(caller, self._rule.scopes)
        with paid_by(scope[CALLER]):
            await self._app(scope, receive, send)


def _opened(caller: Caller, scopes: frozenset[Scope]) -> Caller:
    """The caller, where any of the scopes is theirs. Raises AccessRefused."""
    if any(caller.may(one) for one in scopes):
        return caller
    needed = " or ".join(f"`{one}`" for one in sorted(scopes))
    raise AccessRefused(f"this key does not open that: it needs the scope {needed}")


def _person(request: Request, access: Access, rule: Rule) -> Caller:
    """Whoever sends without a key. Raises KeyRefused where nobody is logged in, AccessRefused where they may not."""
    if request.method not in _READING and not from_here(request):
        raise AccessRefused("this request is from a page of another site")
    if not access.keyed and access.open:
        return ANYONE
    visitor = visitor_of(request, access)
    if visitor.login is None:
        raise KeyRefused("no key of this house was sent", remedy="Send one as Authorization: Bearer, or log in.")
    if not rule.roles & visitor.roles:
        raise AccessRefused("your account may not do this")
    own = access.own_form(visitor, request.headers.get(FORM_HEADER, ""))
    if request.method not in _READING and not own:
        raise AccessRefused("this request is not from a page of this session", where=FORM_HEADER)
    request.scope[VOUCHED] = visitor.expert
    return Caller(scopes=rule.scopes)


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]


def _kept(route: Route, access: Access) -> KeptRoute:
    rule = MACHINES.get(route.path, RUNNING)
    guard = Middleware(_Guard, access, rule)
    methods = sorted(route.methods or ())
    kept = KeptRoute(route.path, route.endpoint, rule.roles, methods=methods, name=route.name, middleware=[guard])
    kept.scopes = rule.scopes
    return kept
