"""`tcap knowledge`: the company's documents, what they and its people know, and who follows its flowcharts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from tokencapital.cli.console import (
    PARTLY_READ,
    ConfigOption,
    JsonOption,
    Output,
    StoreOption,
    percent,
    progress_bar,
    stderr,
    told_plainly,
)
from tokencapital.core.knowledge import HitKind

if TYPE_CHECKING:
    from tokencapital.app.adherence import AdherenceReport
    from tokencapital.core.knowledge import Document, Hit
    from tokencapital.stats.intervals import Interval

app = typer.Typer(no_args_is_help=True, help="What the company knows in words, with the source beside it.")

_SNIPPET = 400


@app.command()
def add(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders with all that is in them.")],
    owner: Annotated[str, typer.Option(help="Who answers for what they say.")],
    valid_from: Annotated[datetime | None, typer.Option(help="From when it holds, in UTC. Default: now.")] = None,
    valid_until: Annotated[datetime | None, typer.Option(help="Until when, in UTC. Default: open.")] = None,
    title: Annotated[str | None, typer.Option(help="Of a single document. Default: as it says itself.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Add documents: Markdown, HTML, text, tables in CSV, flowcharts in JSON. They can be asked at once.

    A file that was added before and says something else is a new version; what rests on passages that
    changed is marked. Files that cannot be read are named and left out.

    Example: `tcap knowledge add handbook.md rules/ --owner maria`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.knowing import Handed, add_files

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        handed = Handed(owner=owner, title=title, valid_from=_utc(valid_from), valid_until=_utc(valid_until))
        with progress_bar("reading documents") as told:
            report = add_files(platform, paths, handed, told)
        table = Table(
            Column("document", no_wrap=True), "title", "version", "what", "passages", "marks raised", title="Documents"
        )
        for one in report.added:
            what = one.event.value if one.event else "known already"
            document = one.document
            table.add_row(
                document.id, escape(document.title), str(document.version), what, str(one.passages), str(one.marks)
            )
        output.show(table)
        output.write(report)
    for file in report.unread:
        stderr.print(f"{file.path}: {file.reason}", style="yellow", markup=False, highlight=False)
    if report.unread or not report.added:
        raise typer.Exit(PARTLY_READ)


@app.command("list")
def list_documents(config: ConfigOption = None, store: StoreOption = None, json: JsonOption = None) -> None:
    """List the documents, each in its newest version, with owner and dates.

    Example: `tcap knowledge list`
    """
    from tokencapital.app.house import open_house
    from tokencapital.store.knowledge import documents

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        known = documents(platform.store)
        now = platform.clock.now()
        table = Table(
            Column("document", no_wrap=True), "title", "version", "owner", "holds", "source", title="Documents"
        )
        for one in known:
            table.add_row(
                one.id, escape(one.title), str(one.version), escape(one.owner), _holds(one, now), escape(one.source)
            )
        output.show(table)
        output.write(known)


@app.command()
def show(
    document: Annotated[str, typer.Argument(help="The document's id, from `tcap knowledge list`.")],
    version: Annotated[int | None, typer.Option(help="Default: the newest.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Show the passages of a document with their ids and headings.

    Example: `tcap knowledge show doc_0a1b2c3d4e`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.knowing import read_document

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        found = read_document(platform, document, version)
        one = found.document
        output.show(f"[bold]{escape(one.title)}[/bold], version {one.version}, owner {escape(one.owner)}")
        for passage in found.passages:
            words = "[italic]erased[/italic]" if passage.text is None else escape(passage.text)
            output.show(f"\n[bold]{escape(passage.heading)}[/bold] [dim]{passage.id}[/dim]\n{words}")
        output.write(found)


@app.command()
def retire(
    document: Annotated[str, typer.Argument(help="The document's id.")],
    by: Annotated[str, typer.Option(help="Who takes it out.")],
    erase: Annotated[bool, typer.Option("--erase", help="Also erase its words for good, in every version.")] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Take a document out: it is searched and cited no longer, and what rests on it is marked.

    Example: `tcap knowledge retire doc_0a1b2c3d4e --by maria`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.knowing import retire as take_out

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        gone = take_out(platform, document, by=by, erase=erase)
        what = "erased" if erase else "retired"
        output.show(f"{escape(gone.document.title)} is {what}; {len(gone.marks)} marks were raised.")
        output.write(gone)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What is looked for, in words.")],
    most: Annotated[int, typer.Option(min=1, max=50, help="How many hits at most.")] = 5,
    kind: Annotated[list[HitKind] | None, typer.Option(help="Only hits of this kind; may be repeated.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Search passages, lessons and judgments together; each hit comes with its source.

    Example: `tcap knowledge search "who may approve a new supplier"`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.knowing import ask_knowledge
    from tokencapital.record.knowledge_routes import KnowledgeQuery

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        hits = ask_knowledge(platform, KnowledgeQuery(query=query, most=most, kinds=tuple(kind or ())))
        if not hits:
            output.show("Nothing was found.")
        for hit in hits:
            output.show(*_told(hit))
        output.write(hits)


@app.command()
def marks(
    clear: Annotated[str | None, typer.Option(help="The lesson or judgment that was looked at again.")] = None,
    by: Annotated[str, typer.Option(help="Who has looked; needed to clear.")] = "",
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """List the lessons and judgments that rest on passages which changed, or clear the marks on one of them.

    Example: `tcap knowledge marks --clear lsn_06h0mjnzrr00037mwyj9 --by maria`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.knowing import clear_marks, marks_of

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        if clear is not None:
            output.show(f"{clear_marks(platform, clear, by=by)} marks on {clear} were cleared.")
        standing = marks_of(platform)
        table = Table("what", Column("id", no_wrap=True), "capability", "because of", "since", title="To look at again")
        for one in standing:
            table.add_row(one.kind.value, one.subject, one.capability, one.because, f"{one.at:%Y-%m-%d}")
        output.show(table)
        output.write(standing)


@app.command("score-workflow")
def score_workflow(
    runs: Annotated[Path, typer.Argument(help="Recorded runs, JSONL: messages of role `assistant` with an `action`.")],
    workflows: Annotated[Path, typer.Option(help="The flowcharts, JSON.")],
    json: JsonOption = None,
) -> None:
    """Score recorded runs by the company's flowcharts: the share of steps that they allow, and where runs left them.

    Example: `tcap knowledge score-workflow runs.jsonl --workflows workflows.json`
    """
    from tokencapital.app.adherence import score_runs

    output = Output(json)
    with told_plainly():
        report = score_runs(runs, workflows)
        output.show(_adherence(report))
        for name, count in report.without_chart.items():
            output.show(f"{count} runs under {escape(name)}, which has no flowchart there, were left out.")
        output.write(report)
    for problem in report.problems:
        stderr.print(problem, style="yellow", markup=False, highlight=False)
    if report.problems:
        raise typer.Exit(PARTLY_READ)


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def _holds(one: Document, now: datetime) -> str:
    if one.retired:
        return "retired"
    until = f" until {one.valid_until:%Y-%m-%d}" if one.valid_until else ""
    dates = f"{one.valid_from:%Y-%m-%d}{until}"
    return dates if one.holds_at(now) else f"not now: {dates}"


def _told(hit: Hit) -> tuple[str, str]:
    source = hit.source
    where = f", {source.heading}" if source.heading else ""
    version = f", version {source.version}, owner {source.owner}" if source.version is not None else ""
    words = hit.text if len(hit.text) <= _SNIPPET else f"{hit.text[:_SNIPPET]}…"
    head = f"{source.title}{where}{version}, {source.at:%Y-%m-%d}"
    return (
        f"\n[bold]{hit.kind.value}[/bold] {escape(head)} [dim]{hit.id} {hit.score:.2f}[/dim]",
        escape(words),
    )


def _adherence(report: AdherenceReport) -> Table:
    table = Table("workflow", "runs", "steps", "allowed (95% interval)", "runs that never left it", "left it by")
    table.title = "Steps that the flowchart allows"
    for one in report.workflows:
        left = one.left[0] if one.left else None
        table.add_row(
            one.workflow,
            str(one.runs),
            str(one.steps),
            _within(one.followed, one.followed_interval),
            _within(one.whole, one.whole_interval),
            f"{left.action} in {left.runs} runs" if left else "nothing",
        )
    return table


def _within(share: float | None, interval: Interval | None) -> str:
    bounds = f" ({percent(interval.low)} to {percent(interval.high)})" if interval else ""
    return percent(share) + bounds
