"""What every page shares: templates, the person who looks, and forms that no other site can send."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from tokencapital.core.errors import InputError
from tokencapital.core.people import ANYBODY, Role
from tokencapital.web.navigation import capability_links, house_links

SESSION_COOKIE = "tcap_session"
EXPERT_COOKIE = "tcap_expert"
_MOST_FIELDS = 500
_COOKIE_AGE_S = 30 * 24 * 3600
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


Page = Callable[[Request], Awaitable[Response]]
"""Answers a request for a page."""

Form = Mapping[str, str]
"""The fields of a form, by name; of several with one name the last."""


class Visitor(Struct, frozen=True):
    """Who looks: a `session` of this browser, the pseudonym that judgments carry (None: not told yet), and
    what they may do: everything where no accounts are set up."""

    session: str
    expert: str | None
    roles: frozenset[Role] = ANYBODY


class Pages:
    """Renders pages and guards forms with a token that only a page of the same session holds."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._mounted: set[str] = set()
        self._templates = Environment(
            loader=PackageLoader("tokencapital.web"),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"day": _day, "dollars": _dollars, "percent": _percent, "shown": shown}

    def route(self, path: str, page: Page, roles: frozenset[Role], *, methods: Sequence[str] = ("GET",)) -> Route:
        """A page or form that only people with one of the `roles` reach."""
        if "GET" in methods:
            self._mounted.add(path)

        async def guarded(request: Request) -> Response:
            if not roles & self.visitor(request).roles:
                raise HTTPException(403, "your account may not see this page")
            return await page(request)

        return Route(path, guarded, methods=list(methods), name=page.__name__)

    def visitor(self, request: Request) -> Visitor:
        """Who sent the request; a browser that comes for the first time gets a session."""
        session = request.cookies.get(SESSION_COOKIE) or secrets.token_urlsafe(24)
        return Visitor(session, request.cookies.get(EXPERT_COOKIE) or None)

    def render(self, request: Request, template: str, facts: Mapping[str, Any], status: int = 200) -> Response:
        """The page, with the cookies that the visitor needs for its forms."""
        visitor = self.visitor(request)
        page = self._templates.get_template(template)
        body = page.render(
            **facts,
            visitor=visitor,
            token=self._token(visitor),
            path=request.url.path,
            links=house_links(visitor.roles, self._mounted),
            tabs=capability_links(request.path_params.get("capability"), visitor.roles, self._mounted),
        )
        response = HTMLResponse(body, status, headers=_HEADERS)
        if SESSION_COOKIE not in request.cookies:
            _keep(response, request, SESSION_COOKIE, visitor.session)
        return response

    async def form(self, request: Request) -> tuple[Visitor, Form]:
        """The form of a page of this session. Raises InputError for one that another site could have sent."""
        visitor, form = self.visitor(request), read_form(await request.body())
        if not hmac.compare_digest(form.get("token", "").encode(), self._token(visitor).encode()):
            raise InputError("this form is not from a page of this session", remedy="Open the page again and repeat.")
        return visitor, form

    def onward(self, request: Request, to: str, *, expert: str | None = None) -> Response:
        """Leads on to a page after a form; `expert` is the pseudonym to keep."""
        response = RedirectResponse(to, 303, headers=_HEADERS)
        if expert is not None:
            _keep(response, request, EXPERT_COOKIE, expert)
        return response

    def _token(self, visitor: Visitor) -> str:
        return hmac.new(self._key, b"form\0" + visitor.session.encode(), hashlib.sha256).hexdigest()


def read_form(body: bytes) -> Form:
    """The fields of a urlencoded form without the white space around them. Raises InputError for anything else."""
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise InputError(f"the body is no form: {error}") from error
    return {name: value.strip() for name, value in fields}


def _keep(response: Response, request: Request, name: str, value: str) -> None:
    secure = request.url.scheme == "https"
    response.set_cookie(name, value, max_age=_COOKIE_AGE_S, httponly=True, samesite="strict", secure=secure)


def _day(moment: datetime | None) -> str:
    return "unknown" if moment is None else f"{moment:%Y-%m-%d}"


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.1f}%"


def _dollars(amount: float | None) -> str:
    return "unknown" if amount is None else f"${amount:.3g}"


def shown(value: object) -> str:
    """An answer as people read it: text as it is, an object as indented JSON."""
    if value is None:
        return "no answer"
    return value if isinstance(value, str) else msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
