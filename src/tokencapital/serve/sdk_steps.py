"""Work of an application while it goes on: who it is told to, what it is part of, and what it says."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextvars import ContextVar, Token
from time import time_ns
from types import TracebackType
from typing import Self

from tokencapital.serve.sdk_sending import House, HttpHouse, Sender, SendingSettings
from tokencapital.serve.sdk_spans import Plain, SdkSpan

_log = logging.getLogger("tokencapital.sdk")
_URL, _KEY = "TCAP_URL", "TCAP_KEY"
_DEFAULT_URL = "http://127.0.0.1:8000"
_current: ContextVar[SdkSpan | None] = ContextVar("tcap_span", default=None)
Entered = Token[SdkSpan | None]


class _Connection:
    """The sender that is in use; None: nothing is recorded."""

    sender: Sender | None = None
    warned = False


def connect(
    house: str | House | None = None,
    *,
    key: str | None = None,
    service: str | None = None,
    settings: SendingSettings | None = None,
) -> Sender:
    """From now on what is traced goes to the house: a URL (None: the variable TCAP_URL, or this machine), or one in
    this process (`tokencapital.app.tracing.LocalHouse`). `key` None: the variable TCAP_KEY.

    `service` names the application. What was connected before is closed. Raises ValueError for what is no URL.
    """
    settings = settings or SendingSettings()
    if house is None or isinstance(house, str):
        url = house or os.environ.get(_URL, _DEFAULT_URL)
        house = HttpHouse(url, key or os.environ.get(_KEY), settings.timeout_s)
    disconnect()
    named = service or os.environ.get("OTEL_SERVICE_NAME") or "python"
    sender = Sender(house, {"service.name": named, "telemetry.sdk.name": "tokencapital"}, settings)
    _Connection.sender = sender
    return sender


def connection() -> Sender | None:
    """What sends now, with its counts; None: nothing is connected."""
    return _Connection.sender


def flush(timeout_s: float | None = None) -> bool:
    """Whether all that was traced until now is with the house or dropped."""
    return _Connection.sender is None or _Connection.sender.flush(timeout_s)


def disconnect() -> None:
    """What waits is sent, as far as time allows; after that nothing is recorded."""
    sender, _Connection.sender = _Connection.sender, None
    if sender is not None:
        sender.close()


class Step:
    """A piece of work while it goes on: a context manager, for `with` and `async with`."""

    __slots__ = ("_span", "_token", "_told", "name")

    def __init__(self, name: str, told: Mapping[str, Plain]) -> None:
        self.name = name
        self._told = told
        self._span: SdkSpan | None = None
        self._token: Entered | None = None

    def __enter__(self) -> Self:
        self._span = begin(self.name, self._told)
        self._token = enter(self._span)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            leave(self._token)
        if self._span is not None:
            end(self._span, error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    @property
    def trajectory(self) -> str | None:
        """The id under which the house will know all of this; None: the work has not begun, or nothing is connected."""
        return f"trj_{self._span.trace.hex()}" if self._span is not None else None

    def given(self, value: object) -> None:
        """What came in."""
        _put(self._span, "tcap.input", value)

    def answer(self, value: object) -> None:
        """What went out."""
        _put(self._span, "tcap.answer", value)

    def outcome(self, name: str, value: float | None) -> None:
        """What the business saw of it: yes or no, or a number; None: asked for, and not yet known."""
        if self._span is not None:
            self._span.event("tcap.outcome", {"name": str(name), "value": value})


def begin(name: str, told: Mapping[str, Plain]) -> SdkSpan | None:
    """Work begins within what goes on; None: nothing is recorded."""
    if _Connection.sender is None:
        if not _Connection.warned:
            _Connection.warned = True
            _log.warning("nothing is recorded: call tokencapital.connect() first")
        return None
    span = SdkSpan(name, _current.get())
    span.attributes.update(told)
    return span


def end(span: SdkSpan, error: BaseException | None) -> None:
    """The work has ended, with this error or well, and will be told."""
    try:
        span.ended = time_ns()
        if error is not None and not isinstance(error, GeneratorExit):
            span.fail(error)
    except Exception:  # noqa: BLE001 (an error that cannot be printed)
        span.failed = True
    sender = _Connection.sender
    if sender is not None:
        sender.add(span)


def enter(span: SdkSpan | None) -> Entered:
    """What begins from here on belongs to this work, until it is left."""
    return _current.set(span)


def leave(token: Entered) -> None:
    """What begins from here on belongs to what went on before."""
    try:
        _current.reset(token)
    except ValueError:  # it was left in another context than it was entered in
        _current.set(None)


def _put(span: SdkSpan | None, name: str, value: object) -> None:
    if span is not None:
        span.put(name, value)
