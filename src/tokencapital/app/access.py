"""Who is at the door: accounts, sessions, forms that no other site can send, and keys of applications.

Without any account the pages are *open*: whoever reaches them may do everything, under the pseudonym that
they tell. With the first account they are closed, for good: an account is disabled, never deleted. Programs need a key
as soon as there is an account or a key that `tcap key add` made, also one that was revoked since.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta

from msgspec import Struct
from starlette.concurrency import run_in_threadpool

from tokencapital.app.keyring import Keyring
from tokencapital.app.passwords import is_dated, make_secret, matches
from tokencapital.app.settings import AccessSettings
from tokencapital.app.throttle import Throttle
from tokencapital.core.access import ANYONE, KEY_PREFIX, Caller, Scope
from tokencapital.core.clock import Clock
from tokencapital.core.errors import AccessRefused, KeyRefused
from tokencapital.core.people import ANYBODY, Role
from tokencapital.store.accounts import has_accounts, renew_secret, secret_of
from tokencapital.store.database import Store
from tokencapital.store.sessions import (
    end_session,
    forget_sessions,
    read_session,
    see_session,
    start_session,
)

Fits = Callable[[str | None, str], bool]
"""Whether a password is that of a secret, at the same cost where there is none."""
KEY_HEADERS = ("x-tcap-api-key", "x-api-key", "authorization")
"""Where a key may stand, first that counts first. The first is for callers whose own key of a provider stands in the
others."""
SETTINGS_KEY = "settings"
"""How the key that `[access] key_env` names is called, and the application that it is of."""
_SETTINGS_SCOPES = frozenset({Scope.INFER, Scope.RECORD, Scope.REVIEW})
_SEEN_EVERY = timedelta(minutes=1)
_AT_ONCE = 2
"""How many passwords are checked at one time: each costs 64 MiB."""


class Visitor(Struct, frozen=True, kw_only=True):
    """Who looks: a `session` of this browser, the pseudonym that judgments carry (None: not told yet), and
    what they may do. `login` is that of their account; None where nobody is logged in, or the house is `open`."""

    session: str
    expert: str | None = None
    roles: frozenset[Role] = frozenset()
    login: str | None = None
    open: bool = False


class Access:
    """The door of one house."""

    def __init__(self, store: Store, clock: Clock, settings: AccessSettings, fits: Fits = matches) -> None:
        self._store = store
        self._clock = clock
        self._lasts = timedelta(hours=settings.session_hours)
        self._idle = timedelta(minutes=settings.idle_minutes)
        self._settings = settings
        self._fits = fits
        self._closed = False
        self._local = True
        self.keyring = Keyring(store)
        self._throttle = Throttle()
        self._checking = asyncio.Semaphore(_AT_ONCE)

    @property
    def open(self) -> bool:
        """Whether people come in without logging in: there is no account, and only this machine can ask.

        Fit for every request.
        """
        if not self._closed:
            self._closed = has_accounts(self._store)
        return not self._closed and self._local

    @property
    def keyed(self) -> bool:
        """Whether programs need a key: there are accounts, or keys were made. Fit for every request."""
        known = self.keyring.entry()
        return known.accounts or bool(known.keys) or not self._local

    def serve_on_network(self) -> None:
        """From now on nobody comes in without logging in, whether there are accounts or not."""
        self._local = False

    def caller(self, headers: Mapping[str, str]) -> Caller | None:
        """Whose key the request carries, its headers named in small letters; None: it carries none.

        A key of somebody else, such as a provider's, counts as none. Raises KeyRefused for one that has the shape of
        ours or stands where only ours do, and opens nothing.
        """
        for header in KEY_HEADERS:
            sent = headers.get(header)
            if sent is None:
                continue
            if header == "authorization":
                kind, _, sent = sent.partition(" ")
                if kind.lower() != "bearer":
                    continue
            found = self._caller(sent.strip(), ours=header == KEY_HEADERS[0])
            if found is not None:
                return found
        return None

    def visitor(self, token: str | None, pseudonym: str | None) -> Visitor:
        """Who holds this session token; a browser that comes for the first time gets one.

        A pseudonym that the browser tells counts in an open house only. A token that nobody logged in by
        is good for the form to log in by, and for nothing else.
        """
        session = token or secrets.token_urlsafe(24)
        if self.open:
            return Visitor(session=session, expert=pseudonym, roles=ANYBODY, open=True)
        held = read_session(self._store, token) if token else None
        now = self._clock.now()
        if held is None or now >= held.expires_at or now - held.seen_at >= self._idle:
            return Visitor(session=session)
        if now - held.seen_at >= _SEEN_EVERY:
            see_session(self._store, session, now)
        return Visitor(session=session, expert=held.contributor, roles=held.roles, login=held.login)

    async def log_in(self, login: str, password: str) -> str:
        """The token of a new session. Raises AccessRefused, which does not tell whether there is such a login."""
        await self.check(login, password)
        now = self._clock.now()
        token = secrets.token_urlsafe(32)
        with self._store.begin():
            forget_sessions(self._store, now - self._idle, now)
            start_session(self._store, token, login, now, now + self._lasts)
        return token

    async def check(self, login: str, password: str) -> None:
        """Returns where the password is that of the login, and takes as long where it is not. Raises AccessRefused."""
        self._throttle.attempt(login, self._clock.now())
        async with self._checking:
            known = await run_in_threadpool(self._fitting, login, password)
        if not known:
            raise AccessRefused("this login and password do not fit together", remedy="Ask an admin for a new one.")
        self._throttle.forget(login)

    def log_out(self, visitor: Visitor) -> None:
        """The visitor's session is over."""
        end_session(self._store, visitor.session)

    def form_token(self, visitor: Visitor) -> str:
        """What a form of this session carries and no other site knows."""
        return hmac.new(self._store.key, b"form\0" + visitor.session.encode(), hashlib.sha256).hexdigest()

    def own_form(self, visitor: Visitor, token: str) -> bool:
        """Whether the token is that of this session's forms."""
        return hmac.compare_digest(token.encode(), self.form_token(visitor).encode())

    def close(self) -> None:
        """Nothing is asked of the store any more."""
        self.keyring.close()

    def _caller(self, secret: str, *, ours: bool) -> Caller | None:
        if secret.startswith(KEY_PREFIX):
            key = self.keyring.find(secret)
            if key is not None:
                reason = key.why_refused(self._clock.now())
                if reason is None:
                    return Caller(application=key.application, key=key.id, scopes=key.scopes)
                raise KeyRefused(reason, remedy="Make a new one with `tcap key add`.")
            ours = True
        if self._is_settings_key(secret):
            return Caller(application=SETTINGS_KEY, key=SETTINGS_KEY, scopes=_SETTINGS_SCOPES)
        if ours and self.keyed:
            raise KeyRefused("this is no key of this house", remedy="See `tcap key list`, or make one: `tcap key add`.")
        return ANYONE if ours else None

    def _is_settings_key(self, secret: str) -> bool:
        key = self._settings.key
        return key is not None and hmac.compare_digest(secret.encode(), key.encode())

    def _fitting(self, login: str, password: str) -> bool:
        secret = secret_of(self._store, login)
        known = self._fits(secret, password)
        if known and secret is not None and is_dated(secret):
            renew_secret(self._store, login, make_secret(password))
        return known
