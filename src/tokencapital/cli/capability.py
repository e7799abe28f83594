"""`tcap capability`: a capability in one file, out of one installation and into another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tokencapital.cli.console import ConfigOption, JsonOption, Output, StoreOption, told_plainly
from tokencapital.core.case import Mode

if TYPE_CHECKING:
    from tokencapital.app.bundle import Manifest

app = typer.Typer(no_args_is_help=True, help="A capability in one file: it answers elsewhere as it does here.")


@app.command("export")
def export_capability(
    capability: Annotated[str, typer.Argument(help="Which one.")],
    file: Annotated[Path, typer.Argument(metavar="FILE.tcap", help="Where to; what is there is replaced.")],
    by: Annotated[str, typer.Option(help="Who takes it out: a pseudonym, for it stays on record.")] = "command line",
    with_evals: Annotated[
        bool, typer.Option("--with-evals", help="Also the words of sealed cases, so that it can be judged there.")
    ] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Write a capability to one file: policy, specialist, memory, lessons, goal and the manifest of its evals.

    The same capability gives the same bytes. Nobody's name or pseudonym and no reason that somebody wrote is in it.

    Example: `tcap capability export triage-message triage.tcap`
    """
    from tokencapital.app.bundle import export_bundle
    from tokencapital.app.house import open_house

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        done = export_bundle(platform, capability, file, by=by, with_evals=with_evals)
        output.show(_table(done.manifest), f"{done.file}: {done.size} bytes, bundle {done.digest}")
        output.write(done)


@app.command("import")
def import_capability(
    file: Annotated[Path, typer.Argument(metavar="FILE.tcap", help="A file that `tcap capability export` wrote.")],
    by: Annotated[str, typer.Option(help="Who answers for it here: it is released on their word.")],
    expect: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="Refuse any other bundle than the one with this name.")
    ] = None,
    mode: Annotated[Mode | None, typer.Option(help="Default: the mode that it had at its origin.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Bring a capability in from a file, after every part of it was checked; all of it, or nothing.

    Example: `tcap capability import triage.tcap --by maria`
    """
    from tokencapital.app.bundle_importing import import_bundle
    from tokencapital.app.house import open_house

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        done = import_bundle(platform, file, by=by, expected=expect, mode=mode)
        table = Table("what", "value", title=f"Imported: {done.capability}")
        for name, value in done.counts.items():
            table.add_row(name.replace("_", " "), str(value))
        table.add_row("mode", f"{done.mode.value}, on the word of {by}")
        table.add_row("release", done.release.id)
        table.add_row("policy", f"{done.policy} (at its origin {done.origin})")
        output.show(table)
        output.write(done)


def _table(manifest: Manifest) -> Table:
    table = Table("what", "how many", title=f"Exported: {manifest.capability}")
    for name, value in manifest.counts.items():
        table.add_row(name.replace("_", " "), str(value))
    return table
