"""`tcap doctor`: what this machine has, and what is missing for what."""

from __future__ import annotations

from rich.table import Table

from tokencapital.cli.console import FAILED, ConfigOption, JsonOption, Output, StoreOption, fail, told_plainly


def doctor(config: ConfigOption = None, store: StoreOption = None, json: JsonOption = None) -> None:
    """Check settings, store, books and optional parts, and say what to do about what is missing.

    Example: `tcap doctor --json -`
    """
    from tokencapital.app.checkup import check_all

    output = Output(json)
    with told_plainly():
        findings = check_all(config, store)
        table = Table("check", "state", "detail", title="tcap doctor")
        for one in findings:
            table.add_row(one.what, one.state, one.detail)
        output.show(table)
        output.write(findings)
        broken = [one.what for one in findings if one.state == "broken"]
        if broken:
            fail(f"{', '.join(broken)} must be mended first.", FAILED)
