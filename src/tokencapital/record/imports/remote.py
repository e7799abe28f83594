"""Servers that an import reads from: one host, answers of a bounded size, patience where they ask for it."""

from __future__ import annotations

import base64
import http.client
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, urlencode, urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    Request,
)

import msgspec
from msgspec import Struct

from tokencapital.core.case import Json
from tokencapital.core.errors import AccessRefused, InputError

LARGEST_ANSWER = 256 * 1024 * 1024
MOST_TRIES = 8
MOST_PAGES = 1_000_000
LONGEST_WAIT_S = 120.0
TIMEOUT_S = 60.0
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_BROKEN, _TRIES_WHEN_BROKEN = 500, 2
_DENIED = frozenset({401, 403})

Parameters = Sequence[tuple[str, str]]
Rows = list[Mapping[str, Json]]


class Login(Struct, frozen=True):
    """How a server is told who asks; both None: it is not."""

    user: str | None = None
    secret: str | None = None

    @property
    def header(self) -> dict[str, str]:
        """The header that says so: with a user name and a password, or with a key alone."""
        if self.secret is None:
            return {}
        if self.user is None:
            return {"Authorization": f"Bearer {self.secret}"}
        packed = base64.b64encode(f"{self.user}:{self.secret}".encode()).decode()
        return {"Authorization": f"Basic {packed}"}


class NotThere(InputError):
    """The server has nothing under this path."""


class Remote:
    """A server whose address somebody gave. It is asked under this address only: redirects elsewhere are refused."""

    def __init__(self, url: str, login: Login, sleep: Callable[[float], None] = time.sleep) -> None:
        self._at = _checked(url)
        self._login = login
        self._sleep = sleep
        self._opener = OpenerDirector()
        handlers = (HTTPHandler(), HTTPSHandler(), HTTPDefaultErrorHandler(), HTTPErrorProcessor(), _SameHost(self._at))
        for handler in handlers:
            self._opener.add_handler(handler)

    @property
    def name(self) -> str:
        """The server's address without a login in it."""
        return f"{self._at.scheme}://{_host(self._at)}{self._at.path.rstrip('/')}"

    def get(self, path: str, parameters: Parameters = ()) -> Any:
        """The JSON under the path. Raises NotThere, AccessRefused, or InputError where there is none after all."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        return self._ask(Request(f"{self.name}{path}{query}", headers=self._headers()))  # noqa: S310 - checked when it was made

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON that answers a body of JSON. Raises as `get` does."""
        headers = {**self._headers(), "Content-Type": "application/json"}
        return self._ask(Request(f"{self.name}{path}", data=msgspec.json.encode(body), headers=headers))  # noqa: S310

    def _headers(self) -> dict[str, str]:
        return {"Accept": "application/json", **self._login.header}

    def _ask(self, request: Request) -> Any:
        where = f"{self.name}{urlsplit(request.full_url).path.removeprefix(self._at.path.rstrip('/'))}"
        for attempt in range(MOST_TRIES):
            try:
                return self._once(request, where)
            except HTTPError as error:
                error.close()
                last: InputError | AccessRefused = _refusal(error, where)
                if error.code not in _BUSY or (error.code == _BROKEN and attempt == _TRIES_WHEN_BROKEN):
                    raise last from None
                wait = _asked_wait(error.headers.get("Retry-After"))
            except (URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
                last = InputError(f"the server cannot be reached: {_reason(error)}", where=where)
                wait = None
            if attempt + 1 < MOST_TRIES:
                self._sleep(min(LONGEST_WAIT_S, 0.5 * 2**attempt if wait is None else wait))
        raise last

    def _once(self, request: Request, where: str) -> Any:
        with self._opener.open(request, timeout=TIMEOUT_S) as answer:
            body = answer.read(LARGEST_ANSWER + 1)
        if len(body) > LARGEST_ANSWER:
            raise InputError(f"the answer is larger than {LARGEST_ANSWER >> 20} MiB", where=where)
        try:
            return msgspec.json.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise InputError("the answer is no JSON", where=where, remedy="Check the address.") from None


def pages(ask: Callable[[str | None], tuple[Rows, str | None]]) -> Iterator[Rows]:
    """What is on each page that is not empty. `ask` gives the page under a token (None: the first) and the token of the
    next; None: it was the last."""
    token: str | None = None
    for _ in range(MOST_PAGES):
        rows, following = ask(token)
        if rows:
            yield rows
        if following is None or following == token:
            return
        token = following


class _SameHost(HTTPRedirectHandler):
    """Follows redirects that stay on the server, and refuses all others, with the credentials they would carry away."""

    def __init__(self, at: SplitResult) -> None:
        self._at = at

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Request | None:
        """The request under its new address."""
        to = urlsplit(newurl)
        if (to.scheme, to.netloc) != (self._at.scheme, _host(self._at)):
            raise InputError("the server sends us to another host, which is not followed", where=_host(self._at))
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _checked(url: str) -> SplitResult:
    try:
        at = urlsplit(url)
        known = at.scheme in {"http", "https"} and bool(at.hostname) and (at.port or 1) > 0
    except ValueError:
        known = False
    if not known or any(sign.isspace() or ord(sign) < 32 for sign in url):
        raise InputError("this is no address of a server", remedy="Give http://HOST or https://HOST.")
    if at.username or at.password:
        raise InputError("the address holds a password", remedy="Put it into the environment.")
    if at.query or at.fragment:
        raise InputError("the address has a query", remedy="Give the address of the server alone.")
    return at


def _host(at: SplitResult) -> str:
    return at.netloc


def _refusal(error: HTTPError, where: str) -> AccessRefused | InputError:
    """What an error says, without what the server wrote, which may repeat anything."""
    if error.code in _DENIED:
        return AccessRefused(f"the server answers {error.code}", where=where)
    if error.code in (404, 405, 410, 501):
        return NotThere(f"the server answers {error.code}", where=where, remedy="Check the address.")
    return InputError(f"the server answers {error.code}", where=where)


def _asked_wait(told: str | None) -> float | None:
    """How many seconds a server wants to be left alone; None: it does not say."""
    if not told:
        return None
    if told.strip().isdigit():
        return float(told)
    try:
        return max(0.0, (parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or type(error).__name__)
