"""`tcap import` and `tcap export`: work that was recorded elsewhere, and what is recorded here."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tokencapital.cli.console import (
    PARTLY_READ,
    ConfigOption,
    JsonOption,
    Output,
    StoreOption,
    fail,
    progress_bar,
    stderr,
    told_plainly,
)

if TYPE_CHECKING:
    from tokencapital.app.importing import ImportReport

_SHOWN_SKIPS = 20
_STOPPED = "Stopped. What was imported is kept; the same command goes on from there."


def import_work(
    kind: Annotated[
        str,
        typer.Argument(
            help="chat, cases, trajectories, langfuse, mlflow, phoenix, litellm, tensorzero or outcomes.",
            metavar="KIND",
        ),
    ],
    file: Annotated[Path | None, typer.Argument(help="The file, plain or packed with gzip.")] = None,
    url: Annotated[str | None, typer.Option(help="The address of a running server, instead of a file.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Only what began since then, in UTC. Default: all.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Ask the server again and again until stopped.")] = False,
    every: Annotated[float, typer.Option(min=1, help="Seconds between two rounds of --follow.")] = 15,
    capability: Annotated[str | None, typer.Option(help="What the work is. Default: as it says itself.")] = None,
    project: Annotated[str | None, typer.Option(help="One project or experiment of the server. Default: all.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be imported, and import nothing.")] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Import recorded work: trajectories with their steps, outcomes, and what people have said of them.

    Each thing is imported once, however often the command runs; an import from a server goes on where it stopped.
    Credentials come from the environment. What cannot be read is told with its line and reason and left out; the exit
    code is then 3.

    Example: `tcap import langfuse --url https://langfuse.example.com --since 2026-08-01 --follow`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.importing import ImportAsked, ImportKind, run_import

    if kind not in list(ImportKind):
        raise typer.BadParameter(f"`{kind}` is none of {', '.join(ImportKind)}", param_hint="KIND")
    output = Output(json)
    with told_plainly(_STOPPED), open_house(config, store) as platform:
        asked = ImportAsked(
            kind=ImportKind(kind),
            file=file,
            url=url,
            since=None if since is None else since.replace(tzinfo=UTC),
            capability=capability,
            project=project,
            dry_run=dry_run,
            rounds=None if follow else 1,
            every_s=every,
        )
        with progress_bar(f"importing {kind}") as told:
            report = run_import(platform, asked, told)
        output.show(_imported(report))
        output.write(report)
    _tell_skipped(report)


def _imported(report: ImportReport) -> Table:
    title = f"Would be imported from {report.source}" if report.dry_run else f"Imported from {report.source}"
    table = Table("what", "new", title=title)
    table.add_row("trajectories", str(report.trajectories))
    table.add_row("steps", str(report.steps))
    table.add_row("outcomes", str(report.outcomes))
    table.add_row("judgments", str(report.judgments))
    table.add_row("here already", str(report.known))
    if report.unsorted:
        table.add_row("of no declared capability", str(report.unsorted))
    for reason, count in report.skipped_by_reason.items():
        table.add_row(f"left out: {reason}", str(count))
    return table


def _tell_skipped(report: ImportReport) -> None:
    for one in report.skipped[:_SHOWN_SKIPS]:
        stderr.print(f"{one.where}: {one.why}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    total = sum(report.skipped_by_reason.values())
    if total:
        fail(f"{total} were left out; everything else was imported.", PARTLY_READ)


def export_work(
    file: Annotated[
        str, typer.Argument(help="Where to write; `-` is standard output, for JSONL. A collector's URL, for OTLP.")
    ],
    to: Annotated[str, typer.Option(help="jsonl, parquet or otlp.")] = "jsonl",
    capability: Annotated[str | None, typer.Option(help="Of one capability. Default: of all.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Only what began since then, in UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Only what began before then, in UTC.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Export trajectories with their steps, outcomes and judgments, a line each. People appear by pseudonym.

    Judgments of groups that are kept to judge by are left out and counted. `tcap import trajectories` reads the file.
    As OpenTelemetry's spans, trajectories go with their steps alone, and any house takes them at /v1/traces.

    Example: `tcap export runs.jsonl --capability triage --since 2026-08-01`
    """
    from tokencapital.app.exporting import ExportAsked, ExportKind, run_export
    from tokencapital.app.house import open_house

    if to not in list(ExportKind):
        raise typer.BadParameter(f"`{to}` is none of {', '.join(ExportKind)}", param_hint="--to")
    if file == "-" and (json == "-" or to != "jsonl"):
        raise typer.BadParameter("standard output takes one thing, and lines of JSON only", param_hint="FILE")
    output = Output(json)
    tell = stderr.print if file == "-" else output.show
    to_collector = to == ExportKind.OTLP and file.startswith(("http://", "https://"))
    with told_plainly("Stopped. Nothing was written."), open_house(config, store) as platform:
        asked = ExportAsked(
            file=Path(file),
            url=file if to_collector else None,
            kind=ExportKind(to),
            capability=capability,
            since=None if since is None else since.replace(tzinfo=UTC),
            until=None if until is None else until.replace(tzinfo=UTC),
        )
        with progress_bar("exporting") as told:
            report = run_export(platform, asked, told)
        written = report.written
        tell(f"{written.trajectories} trajectories with {written.steps} steps were written to {report.file}.")
        if written.judgments_kept_back:
            tell(f"{written.judgments_kept_back} judgments were kept back: they are there to judge by.")
        output.write(report)
