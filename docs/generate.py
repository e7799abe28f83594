"""Writes the reference pages from the code, so that they cannot say anything else: `make docs`."""

from __future__ import annotations

import asyncio
import inspect
import sys
import tempfile
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.routing import Route
from typer.models import ArgumentInfo, CommandInfo, OptionInfo

from tokencapital.account.accounts import CHART
from tokencapital.app.access_settings import LimitSettings, RecordSettings, RedactionSettings
from tokencapital.app.hardening import RequestSettings
from tokencapital.app.logs import LogSettings
from tokencapital.app.openapi import BODIES
from tokencapital.app.platform import Platform
from tokencapital.app.server import build_app
from tokencapital.app.settings import (
    AccessSettings,
    CapabilitySettings,
    GeneralistSettings,
    GoalSettings,
    Settings,
    SwapSettings,
)
from tokencapital.cli import app
from tokencapital.cli.console import FAILED, INTERRUPTED, PARTLY_READ
from tokencapital.core import errors
from tokencapital.core.case import Goal
from tokencapital.core.errors import TokenCapitalError
from tokencapital.meter.assumptions import Assumptions
from tokencapital.meter.prices import Price
from tokencapital.record.spool import SpoolSettings
from tokencapital.serve.gateway import UNSURE, refuse
from tokencapital.serve.provider_settings import ProviderSettings, RelaySettings
from tokencapital.serve.relay_wire import GROUP, KEY
from tokencapital.serve.rules import Rule

REFERENCE = Path(__file__).parent / "reference"
MADE = "<!-- Made by `make docs` from the code. Do not edit. -->"

SECTIONS: dict[str, type[Struct]] = {
    "": Settings,
    "[generalist]": GeneralistSettings,
    "[access]": AccessSettings,
    "[[limits]]": LimitSettings,
    "[record]": RecordSettings,
    "[redaction]": RedactionSettings,
    "[logs]": LogSettings,
    "[requests]": RequestSettings,
    "[assumptions]": Assumptions,
    "[prices.MODEL]": Price,
    "[providers.NAME]": ProviderSettings,
    "[relay]": RelaySettings,
    "[capabilities.NAME]": CapabilitySettings,
    "[capabilities.NAME.goal]": GoalSettings,
    "[capabilities.NAME.swap]": SwapSettings,
    "[[rules]]": Rule,
    "[spool]": SpoolSettings,
}
REQUEST_HEADERS = {
    GROUP: "The entity (customer, thread, dialogue) that the case belongs to; it decides the split. "
    "Without it the body's `user` is taken, and without that the case stands alone.",
    KEY: "The business key by which outcomes find the case later. Default: the id of the case.",
    UNSURE: "`answer` (default): the best answer, also where no stage is sure. `wait`: then 202 and the address "
    "where a person's answer will stand.",
}
ANSWER_HEADERS = {
    "x-tcap-trajectory": "What was done on the case; judgments name it.",
    "x-tcap-release": "The release that answered; `none` before the first.",
    "x-tcap-stage": "Who stands for the answer: `recall`, `specialist`, `generalist`; `person` where none is sure.",
    "x-tcap-confidence": "The calibrated probability that the answer is right, or `unknown`.",
    "x-tcap-memory": "The sequence up to which judgments were heeded.",
}
EXIT_CODES = {
    0: "Done.",
    FAILED: "It failed; the line on standard error says what, where and what to do.",
    2: "The command was not understood.",
    PARTLY_READ: "Done, but some lines of the file could not be read; they are named on standard error.",
    INTERRUPTED: "Stopped by Ctrl-C; what was acknowledged is kept.",
}


def main() -> None:
    """The reference pages are as the code says."""
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / f"{name}.md").write_text(text, "utf-8")
        print(f"docs/reference/{name}.md", file=sys.stderr)


def pages() -> dict[str, str]:
    """Every reference page by its name."""
    made = {"commands": commands, "settings": settings, "http": http, "accounts": accounts, "errors": error_tree}
    return {name: f"{MADE}\n{make()}" for name, make in made.items()}


def commands() -> str:
    """Every command with its arguments and options."""
    lines = [
        "# Commands",
        "",
        "Each command prints for people; `--json PATH` also writes the result (`-`: standard output).",
    ]
    lines += ["Progress and errors go to standard error.", "", *_table(("exit code", "meaning"), _exit_codes()), ""]
    for group, command in all_commands():
        lines += _command(group, command)
    return _page(lines)


def all_commands() -> Iterator[tuple[str, CommandInfo]]:
    """Every command, each with the group that it belongs to; empty: none."""
    yield from (("", command) for command in app.registered_commands)
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from ((f"{group.name} ", command) for command in group.typer_instance.registered_commands)


def settings() -> str:
    """Every setting with its type and default."""
    lines = [
        "# Settings",
        "",
        "Read once from `tokencapital.toml` in the current folder, or from the file that `--config` names. A name that",
        "is not listed here is an error. Without a file the defaults hold.",
        "",
    ]
    for section, struct in SECTIONS.items():
        rows = [_setting(one) for one in msgspec.structs.fields(struct) if not _is_section(one.type)]
        said = _said(Goal if struct is GoalSettings else struct)
        lines += [f"## {f'`{section}`' if section else 'Top level'}", "", *said, ""]
        lines += [*_table(("setting", "type", "default"), rows), ""]
    return _page(lines)


def http() -> str:
    """Every endpoint with its body, and the headers."""
    lines = [
        "# HTTP",
        "",
        'Errors come in OpenAI\'s shape, `{"error": {"message", "type"}}`; see [errors](errors.md).',
        "",
    ]
    for route in routes():
        methods = ", ".join(sorted((route.methods or set()) - {"HEAD"}))
        lines += [f"## `{methods} {route.path}`", "", *_said(route.endpoint), ""]
        body = BODIES.get(route.path)
        if body is not None:
            rows = [_setting(one) for one in msgspec.structs.fields(body)]
            lines += [*_said(body), "", *_table(("field", "type", "default"), rows), ""]
    lines += ["## Request headers", "", *_table(("header", "meaning"), _named(REQUEST_HEADERS)), ""]
    lines += ["## Answer headers", "", *_table(("header", "meaning"), _named(ANSWER_HEADERS)), ""]
    return _page(lines)


def routes() -> list[Route]:
    """The routes of a served house."""
    with tempfile.TemporaryDirectory() as folder, _house(folder) as platform:
        return [route for route in build_app(platform).routes if isinstance(route, Route)]


def accounts() -> str:
    """The chart of accounts."""
    rows = [(f"`{one.name}`", ", ".join(one.commodities), one.meaning) for one in CHART]
    return _page([
        "# Accounts",
        "",
        "The chart of the ledger. Every transaction balances in each commodity; what is not listed cannot be booked.",
        "Corrections are reversals. `tcap ledger` prints what stands on each account.",
        "",
        *_table(("account", "commodities", "what stands on it"), rows),
    ])  # fmt: skip


def error_tree() -> str:
    """The tree of errors with the status that each has over HTTP."""
    rows = [(f"`{one.__name__}`", str(_status(one)), _said(one)[0]) for one in _classes(TokenCapitalError)]
    tree = inspect.cleandoc(errors.__doc__ or "").partition("\n\n")[2]
    return _page([
        "# Errors",
        "",
        "Each says what happened, where, and what to do about it.",
        "",
        "```text",
        tree.strip(),
        "```",
        "",
        *_table(("error", "HTTP status", "meaning"), rows),
    ])  # fmt: skip


def _house(folder: str) -> Platform:
    return Platform.open(Settings(store=str(Path(folder) / "store.sqlite")))


def _command(group: str, command: CommandInfo) -> Iterator[str]:
    callback = command.callback
    assert callback is not None
    name = group + (command.name or callback.__name__)
    parameters = list(_parameters(callback))
    placed = " ".join(f"[{label}]" if optional else label for label, optional, _ in parameters if label.isupper())
    yield from (f"## `tcap {name}`", "", "```text", f"tcap {name} {placed}".strip() + " [OPTIONS]", "```", "")
    yield from (*_said(callback), "")
    if parameters:
        yield from (*_table(("argument or option", "type", "default", "meaning"), [row for *_, row in parameters]), "")


def _parameters(callback: Callable[..., Any]) -> Iterator[tuple[str, bool, tuple[str, ...]]]:
    hints = typing.get_type_hints(callback, include_extras=True)
    for one in inspect.signature(callback).parameters.values():
        kind, info = typing.get_args(hints[one.name])[:2]
        assert isinstance(info, (ArgumentInfo, OptionInfo))
        required = one.default is inspect.Parameter.empty
        label = one.name.upper() if isinstance(info, ArgumentInfo) else _option(one.name, info)
        default = "required" if required else _default(one.default)
        yield label, not required, (f"`{label}`", info.metavar or _type(kind), default, info.help or "")


def _option(name: str, info: OptionInfo) -> str:
    declared = [str(one) for one in (info.default, *(info.param_decls or ())) if str(one).startswith("--")]
    return declared[0] if declared else f"--{name.replace('_', '-')}"


def _setting(one: msgspec.structs.FieldInfo) -> tuple[str, ...]:
    default: Any = one.default_factory() if one.default_factory is not msgspec.NODEFAULT else one.default
    return f"`{one.name}`", _type(one.type), "required" if one.required else _default(default)


def _is_section(kind: Any) -> bool:
    """Whether a setting is a section of its own, or a table of such."""
    inner = [kind, *typing.get_args(kind)]
    return any(one in SECTIONS.values() for one in inner)


def _type(kind: Any) -> str:
    if typing.get_origin(kind) in {typing.Union, UnionType}:
        return " or ".join(_type(one) for one in typing.get_args(kind) if one is not NoneType)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{one.value}`" for one in kind)
    origin = typing.get_origin(kind)
    if origin is tuple or origin is list:
        return f"list of {_type(typing.get_args(kind)[0])}"
    if origin is typing.Literal:
        return ", ".join(f"`{one}`" for one in typing.get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Struct):
        return "table: " + ", ".join(f"`{one.name}`" for one in msgspec.structs.fields(kind))
    known = {
        "str": "text", "int": "whole number", "float": "number", "Decimal": "number", "bool": "true or false",
        "Path": "path", "datetime": "time with zone", "date": "date", "dict": "table", "Mapping": "table", "Any": "any",
    }  # fmt: skip
    return known[getattr(origin or kind, "__name__", str(kind))]


def _default(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    plain = value.value if isinstance(value, Enum) else value
    if plain in ("", (), {}):
        return "empty"
    return f"`{plain}`" if isinstance(plain, str) else f"{plain}"


def _exit_codes() -> list[tuple[str, str]]:
    return [(str(code), meaning) for code, meaning in EXIT_CODES.items()]


def _named(texts: dict[str, str]) -> list[tuple[str, str]]:
    return [(f"`{name}`", text) for name, text in texts.items()]


def _classes(root: type[TokenCapitalError]) -> Iterator[type[TokenCapitalError]]:
    yield root
    for one in root.__subclasses__():
        if one.__module__ == errors.__name__:
            yield from _classes(one)


def _status(kind: type[TokenCapitalError]) -> int:
    return asyncio.run(refuse(Request({"type": "http"}), kind("what happened"))).status_code


def _said(thing: object) -> list[str]:
    """The thing's docstring as lines of Markdown."""
    return inspect.cleandoc(getattr(thing, "__doc__", None) or "").splitlines()


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |"


def _page(lines: Sequence[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    main()
