"""The log: a line for each event on standard error, for people or for programs, without payloads and secrets.

Every logger of the process goes through it, those of libraries too. Of an exception its type and the places that it
came through are told, and not its message, which may quote somebody's words; ours are told without what they quote.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from traceback import walk_tb
from typing import Any

import msgspec
from msgspec import Struct

from tokencapital.core.errors import TokenCapitalError


class LogFormat(StrEnum):
    """For whom the log is written."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """What is worth a line at least."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The log on standard error: `format` is `text` or `json`, `level` is `debug`, `info`, `warning` or `error`.

    With `requests` each request has a line, whatever the level: how, where to, how it ended, and how long it took.
    """

    format: LogFormat = LogFormat.TEXT
    level: LogLevel = LogLevel.INFO
    requests: bool = False

    def but(self, format_: LogFormat | None, level: LogLevel | None) -> LogSettings:
        """The same in another format and from another level on; None: as it is."""
        return LogSettings(format=format_ or self.format, level=level or self.level, requests=self.requests)


REQUESTS = "tokencapital.request"
"""The logger of requests."""
_HIDDEN = "[hidden]"
_KEY_LIKE = re.compile(
    r"""
    (?P<scheme>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}
    | (?P<user>://[^\s/:@]*:)[^\s/@]+(?=@)
    | (?P<name>(?:api[_-]?key|authorization|passw(?:or)?d|secret|token|cookie)["']?\s*[=:]\s*["']?)
      (?!\[hidden)[^\s"',;&]{6,}
    | \b(?:sk|pk|rk|tcap|gsk|xai|hf|ghp|gho|ghs|glpat|xox[abprs])[-_][A-Za-z0-9_-]{12,}
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b
    | \bAIza[A-Za-z0-9_-]{30,}
    | \beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)?
    | -----BEGIN[ A-Z]*PRIVATE\ KEY-----
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""What looks like a key of some service, a password or a token."""
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
_SHORTEST_SECRET = 8
_LAST_SHORT = 0xFFFF
_MOST = 4000
_MOST_PLACES = 30
_SILENT = ("uvicorn.access",)
_AT_WARNING = ("asyncio", "alembic", "aiohttp.access", "httpx", "httpx2")


class Secrets:
    """Takes out of a text what nobody may read in a log."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        longest_first = sorted({one for one in known if len(one) >= _SHORTEST_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    @staticmethod
    def of_environment(environment: Mapping[str, str]) -> Secrets:
        """Knows the values of the variables whose names say that they are secret, wherever they turn up."""
        return Secrets(value for name, value in environment.items() if _SECRET_NAME.search(name))

    def hidden(self, text: str) -> str:
        """The text without secrets and, where it is very long, without its end."""
        text = text if len(text) <= _MOST else f"{text[:_MOST]}…"
        if self._known is not None:
            text = self._known.sub(_HIDDEN, text)
        return _KEY_LIKE.sub(_hide, text)

    def hidden_in(self, value: Any) -> Any:
        """The same for what may stand in a record: texts, numbers, and mappings and lists of them."""
        match value:
            case str():
                return self.hidden(value)
            case bool() | int() | float() | None:
                return value
            case Mapping():
                return {self.hidden(str(name)): self.hidden_in(one) for name, one in value.items()}
            case list() | tuple():
                return [self.hidden_in(one) for one in value]
            case _:
                return self.hidden(str(value))


class Line(logging.Formatter):
    """Writes a record as one line. What an attacker puts into a name can neither begin a line nor steer a terminal."""

    def __init__(self, format_: LogFormat, secrets: Secrets) -> None:
        super().__init__()
        self._write = _as_json if format_ is LogFormat.JSON else _as_text
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        facts: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "from": record.name,
            "what": _message(record),
            "process": record.process,
        }
        facts |= getattr(record, "facts", {})
        if record.exc_info and isinstance(record.exc_info[1], BaseException):
            facts |= _told(record.exc_info[1])
        return self._write(self._secrets.hidden_in(facts))


def set_up_logs(settings: LogSettings, environment: Mapping[str, str] | None = None) -> None:
    """All loggers of this process write through `Line` to standard error; `environment` None: the process's own."""
    secrets = Secrets.of_environment(os.environ if environment is None else environment)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line(settings.format, secrets))
    logging.basicConfig(level=settings.level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name in _SILENT:
        logging.getLogger(name).disabled = True
    for name in _AT_WARNING:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_worth_a_line)
    requests = logging.getLogger(REQUESTS)
    requests.setLevel(logging.INFO)
    requests.disabled = not settings.requests


def _worth_a_line(record: logging.LogRecord) -> bool:
    """Not what anybody who connects can cause as often as they like; `/metrics` counts it."""
    return not str(record.msg).startswith(("Invalid HTTP request", "Unsupported upgrade", "No supported WebSocket"))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        return str(record.msg)


def _told(error: BaseException) -> dict[str, Any]:
    """The types of an error and of what it came from, and the places that it came through, the innermost last."""
    chain = list(_chain(error))
    ours = [one.without_words for one in chain if isinstance(one, TokenCapitalError)]
    frames = [(frame.f_code, line) for frame, line in walk_tb(chain[-1].__traceback__)]
    places = [f"{code.co_filename}:{line} {code.co_name}" for code, line in frames]
    told: dict[str, Any] = {"error": [type(one).__qualname__ for one in chain], "places": places[-_MOST_PLACES:]}
    return told | ({"said": ours} if ours else {})


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _as_json(facts: Mapping[str, Any]) -> str:
    clean = {name: _whole(value) for name, value in facts.items()}
    written = msgspec.json.encode(clean).decode()
    return "".join(one if one.isprintable() or ord(one) > _LAST_SHORT else f"\\u{ord(one):04x}" for one in written)


def _as_text(facts: Mapping[str, Any]) -> str:
    head = f"{facts['at']} {facts['level'].upper():7} {facts['from']}: {_one_line(facts['what'])}"
    rest = {name: value for name, value in facts.items() if name not in {"at", "level", "from", "what", "process"}}
    return " ".join([head, *(f"{name}={_value(value)}" for name, value in rest.items())])


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(_whole(value)).decode()
    return _one_line(text if text and not re.search(r'[\s="]', text) else msgspec.json.encode(_whole(text)).decode())


def _one_line(text: str) -> str:
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _whole(value: Any) -> Any:
    """The value without halves of characters, which JSON cannot hold."""
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {_whole(name): _whole(one) for name, one in value.items()}
        case list():
            return [_whole(one) for one in value]
        case _:
            return value


def _hide(found: re.Match[str]) -> str:
    kept = found["scheme"] or found["user"] or found["name"] or ""
    return f"{kept}{_HIDDEN}"
