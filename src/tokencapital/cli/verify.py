"""`tcap verify`: whether the store still says what people did and wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from tokencapital.cli.console import FAILED, ConfigOption, JsonOption, Output, StoreOption, fail, stderr, told_plainly

if TYPE_CHECKING:
    from tokencapital.app.verifying import Verified


def verify(
    head: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Compare with the end of the audit chain as it was kept here.")
    ] = None,
    write_head: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the end of the audit chain here: outside the store.")
    ] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Check the audit chain, every payload against its digest, memory, queue, artifacts, splits and books.

    Exits with 1 and names what it found where anything was changed, dropped or added behind the house's back.

    Example: `tcap verify --head head.json --write-head head.json`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.verifying import read_head, verify
    from tokencapital.app.verifying import write_head as keep_head

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        kept = None if head is None else read_head(head)
        with stderr.status("verify") as status:
            found = verify(platform, kept, lambda name: status.update(f"verify: {name}"))
        output.show(_checks(found), _counts(found))
        output.show(f"audit chain: {found.head.count} acts, head {found.head.digest}")
        output.write(found)
        if found.warning:
            stderr.print(found.warning, style="yellow", markup=False, highlight=False, soft_wrap=True)
        if not found.passed:
            count = sum(len(check.findings) for check in found.checks)
            fail(f"{count} findings; the store is not what it claims to be.", FAILED)
        if write_head is not None:
            keep_head(write_head, found)
            output.show(f"head kept in {write_head}")


def _checks(found: Verified) -> Table:
    table = Table("check", "result", title="Verified")
    for check in found.checks:
        table.add_row(check.name, "\n".join(escape(one) for one in check.findings) or "passed")
    return table


def _counts(found: Verified) -> Table:
    table = Table("table", "rows", title="Rows")
    for name, count in found.counts.items():
        table.add_row(name, str(count))
    return table
