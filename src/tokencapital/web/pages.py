"""What every page shares: templates, the person who looks, and forms that no other site can send."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from html import escape
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from tokencapital.app.access import Access, Visitor
from tokencapital.app.guard import EXPERT_COOKIE, KeptRoute, from_here, session_cookie, visitor_of
from tokencapital.core.errors import AccessRefused, InputError
from tokencapital.core.people import Role
from tokencapital.web.navigation import capability_links, house_links

__all__ = ["Form", "Page", "Pages", "Visitor", "asked_again", "own_path", "read_form", "shown"]
_MOST_FIELDS = 500
_LEAST_SHOWN = 0.001
_WATT_HOURS = ((1e3, "kWh"), (1.0, "Wh"), (1e-3, "mWh"), (1e-6, "µWh"), (1e-9, "nWh"))
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


class Pages:
    """Renders pages and guards forms with a token that only a page of the same session holds."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._mounted: set[str] = set()
        self._templates = Environment(
            loader=PackageLoader("tokencapital.web"),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "count": _count,
            "day": _day,
            "dollars": _dollars,
            "dollars_each": dollars_each,
            "energy": energy,
            "figure": _figure,
            "percent": _percent,
            "shown": shown,
        }

    def route(self, path: str, page: Page, roles: frozenset[Role], *, methods: Sequence[str] = ("GET",)) -> Route:
        """A page or form that only people with one of the `roles` reach; who is not logged in is led there."""
        if "GET" in methods:
            self._mounted.add(path)

        async def guarded(request: Request) -> Response:
            again = asked_again(request)
            if again is not None:
                return again
            visitor = self.visitor(request)
            if not visitor.open and visitor.login is None:
                return RedirectResponse(f"/login?{urlencode({'onward': _came_from(request)})}", 303, headers=_HEADERS)
            if not roles & visitor.roles:
                raise AccessRefused("your account may not see this page")
            return await page(request)

        return KeptRoute(path, guarded, roles, methods=list(methods), name=page.__name__)

    def visitor(self, request: Request) -> Visitor:
        """Who sent the request; a browser that comes for the first time gets a session."""
        return visitor_of(request, self._access)

    def render(self, request: Request, template: str, facts: Mapping[str, Any], status: int = 200) -> Response:
        """The page, with the cookies that the visitor needs for its forms."""
        visitor = self.visitor(request)
        page = self._templates.get_template(template)
        of = request.path_params.get("capability") or facts.get("of_capability")
        body = page.render(
            **facts,
            visitor=visitor,
            token=self._access.form_token(visitor),
            path=request.url.path,
            links=house_links(visitor.roles, self._mounted),
            tabs=capability_links(of, visitor.roles, self._mounted),
        )
        response = HTMLResponse(body, status, headers=_HEADERS)
        if session_cookie(request) not in request.cookies:
            _keep(response, request, session_cookie(request), visitor.session)
        return response

    async def form(self, request: Request) -> tuple[Visitor, Form]:
        """The form of a page of this session. Raises InputError for one that another site could have sent."""
        visitor, form = self.visitor(request), read_form(await request.body())
        if not from_here(request) or not self._access.own_form(visitor, form.get("token", "")):
            raise InputError("this form is not from a page of this session", remedy="Open the page again and repeat.")
        return visitor, form

    def onward(self, request: Request, to: str, *, expert: str | None = None, session: str | None = None) -> Response:
        """Leads on to a page after a form, with what the browser is to keep: the pseudonym `expert` of an
        open house, and the token of a new `session`, which takes the place of any that was planted before."""
        response = RedirectResponse(own_path(to), 303, headers=_HEADERS)
        if expert is not None:
            _keep(response, request, EXPERT_COOKIE, quote(expert, safe=""))
        if session is not None:
            _keep(response, request, session_cookie(request), session)
        return response


def own_path(path: str) -> str:
    """The path where it is one of this site, whatever a browser makes of it; the first page where it is not."""
    own = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if own else "/"


def read_form(body: bytes) -> Form:
    """The fields of a urlencoded form without the white space around them. Raises InputError for anything else."""
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise InputError(f"the body is no form: {error}") from error
    return {name: value.strip() for name, value in fields}


def asked_again(request: Request) -> Response | None:
    """Where a link on another site led here the browser is told to ask once more, from here; None: it did not.

    It keeps back the cookies of whoever is logged in until then, and new ones would log them out.
    """
    told = request.headers.get
    followed = told("sec-fetch-site") == "cross-site" and told("sec-fetch-mode") == "navigate"
    if not followed or request.method != "GET" or session_cookie(request) in request.cookies:
        return None
    onward = escape(_address(request), quote=True)
    return HTMLResponse(f'<!doctype html><meta http-equiv="refresh" content="0; url={onward}">', headers=_HEADERS)


def _address(request: Request) -> str:
    """The path and the query that were asked for, as they were written."""
    path = request.scope.get("raw_path", b"").split(b"?")[0].decode("ascii", "replace") or quote(request.url.path)
    return own_path(f"{path}?{request.url.query}" if request.url.query else path)


def _came_from(request: Request) -> str:
    """Where to go on after logging in: this page, or for a form the page that it stands on."""
    if request.method == "GET":
        return _address(request)
    referrer = urlsplit(request.headers.get("referer", ""))
    return own_path(referrer.path) if referrer.netloc == request.headers.get("host") else "/"


def _keep(response: Response, request: Request, name: str, value: str) -> None:
    secure = request.url.scheme == "https"
    response.set_cookie(name, value, max_age=_COOKIE_AGE_S, httponly=True, samesite="strict", secure=secure)


def _day(moment: datetime | None) -> str:
    return "unknown" if moment is None else f"{moment:%Y-%m-%d}"


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.1f}%"


def _dollars(amount: float | None) -> str:
    return "unknown" if amount is None else f"${figure(amount)}"


def dollars_each(amount: float | None) -> str:
    """What one answer costs; of a million where one costs next to nothing."""
    if amount is None:
        return "unknown"
    return f"${figure(amount)}" if amount == 0 or amount >= _LEAST_SHOWN else f"${figure(1e6 * amount)} a million"


def energy(wh: float | None) -> str:
    """Watt-hours with the prefix that leaves a readable number."""
    if wh is None:
        return "unknown"
    factor, unit = next(((f, unit) for f, unit in _WATT_HOURS if abs(wh) >= f), _WATT_HOURS[-1] if wh else (1.0, "Wh"))
    return f"{figure(wh / factor)} {unit}"


def _figure(amount: float | None) -> str:
    return "unknown" if amount is None else figure(amount)


def _count(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"


def figure(amount: Decimal | float) -> str:
    """Three digits of an amount, written out without an exponent; more where it has more before the point."""
    plain = Decimal(f"{amount:.3g}") if abs(float(amount)) < 1000 else Decimal(f"{amount:.0f}")
    return f"{plain:,f}"


def shown(value: object) -> str:
    """An answer as people read it: text as it is, an object as indented JSON."""
    if value is None:
        return "no answer"
    return value if isinstance(value, str) else msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
