"""`tcap doctor`: what this machine has, and what is missing for what."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from tokencapital.cli.console import FAILED, ConfigOption, JsonOption, Output, StoreOption, fail, told_plainly

_COLORS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    online: Annotated[bool, typer.Option("--online", help="Also ask providers and the generalist.")] = False,
    host: Annotated[str, typer.Option(help="The address that the house is to be served on.")] = "127.0.0.1",
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Check settings, store, spool, keys, providers, clock and disk, and say what to do about what is wrong.

    Each check is `ok`, `warn` or `fail`; the exit code is 1 where one fails.

    Example: `tcap doctor --online --json -`
    """
    from tokencapital.app.checkup import FAIL, OK, Asked, check_all

    output = Output(json)
    with told_plainly():
        findings = check_all(Asked(config=config, store=store, online=online, host=host))
        table = Table("check", "state", "detail", title="tcap doctor")
        for one in findings:
            told = f"{one.detail}\n→ {one.remedy}" if one.remedy and one.state != OK else one.detail
            table.add_row(one.what, f"[{_COLORS[one.state]}]{one.state}[/]", escape(told))
        output.show(table)
        output.write(findings)
        failed = [one.what for one in findings if one.state == FAIL]
        if failed:
            fail(f"{', '.join(failed)} must be mended first.", FAILED)
