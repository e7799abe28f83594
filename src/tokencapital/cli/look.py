"""`tcap look`: what kinds of work are in recorded traffic, before anything is put in anybody's way."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct
from rich.table import Table

from tokencapital.cli.console import ConfigOption, JsonOption, Output, StoreOption, percent, progress_bar, told_plainly
from tokencapital.core.errors import InputError

if TYPE_CHECKING:
    from tokencapital.app.look import LookReport
    from tokencapital.app.look_sources import Where

_DAYS = 90.0
_SURE = 0.95


def look(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A file, or langfuse, mlflow, phoenix, litellm, tensorzero, otlp (with --file or --url), or store.",
        ),
    ],
    file: Annotated[Path | None, typer.Option(help="An export of that tool.")] = None,
    url: Annotated[
        str | None, typer.Option(help="The address of that tool; its keys are read as `tcap import` does.")
    ] = None,
    days: Annotated[
        float | None, typer.Option(help="How far back. Default: 90 days of a tool, all of a file.", min=0)
    ] = None,
    project: Annotated[str | None, typer.Option(help="Only this project of that tool.")] = None,
    name: Annotated[
        list[str] | None, typer.Option(metavar="NUMBER=NAME", help="What a kind is called; may be given again.")
    ] = None,
    rules: Annotated[Path | None, typer.Option(help="Write rules that sort such traffic there, as TOML.")] = None,
    examples: Annotated[
        bool, typer.Option("--examples", help="Also show how some cases open, in their words.")
    ] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Look at recorded traffic: the kinds of work in it, what they cost, and whether judgments would suffice.

    Everything is read and counted on this machine. Nothing is kept, and nothing is sent anywhere.

    Example: `tcap look calls.jsonl --rules rules.toml`
    """
    output = Output(json)
    with told_plainly():
        report = _look(source, _Asked(file, url, days, project), (_names(name or []), examples), (config, store))
        output.show(_table(report), *_remarks(report))
        if rules is not None:
            rules.write_text(report.rules, "utf-8")
            output.show(f"Rules and capabilities were written to {rules}; put them into tokencapital.toml.")
        output.write(report)


class _Asked(Struct, frozen=True):
    """Where and how far back to look."""

    file: Path | None
    url: str | None
    days: float | None
    project: str | None


def _look(
    source: str, asked: _Asked, shown: tuple[dict[int, str], bool], house: tuple[Path | None, str | None]
) -> LookReport:
    from tokencapital.app.house import open_house
    from tokencapital.app.look import Looking, look_at
    from tokencapital.app.look_sources import Kept, open_work, unsorted_work
    from tokencapital.app.platform import make_meter
    from tokencapital.app.settings import load_settings
    from tokencapital.core.clock import SystemClock
    from tokencapital.models.wordllama import WordLlamaEmbedder

    settings, now = load_settings(house[0]), SystemClock().now()
    where = _where(source, asked, now)
    looking = Looking(since=where.since, names=shown[0], examples=shown[1])
    parts = (WordLlamaEmbedder(), make_meter(settings, None).prices, now)
    with progress_bar("Looking") as told:
        if where.kept is Kept.STORE:
            with open_house(*house) as platform:
                return look_at(unsorted_work(platform.store), looking, parts, told)
        return look_at(open_work(where, settings, now), looking, parts, told)


def _where(source: str, asked: _Asked, now: datetime) -> Where:
    from tokencapital.app.look_sources import Kept, Where

    if source not in list(Kept):
        since = None if asked.days is None else now - timedelta(days=asked.days)
        return Where(file=Path(source), since=since)
    days = _DAYS if asked.days is None and asked.file is None else asked.days
    since = None if days is None else now - timedelta(days=days)
    return Where(kept=Kept(source), file=asked.file, url=asked.url, since=since, project=asked.project)


def _names(given: list[str]) -> dict[int, str]:
    """The names of kinds by their numbers. Raises InputError for what is no such pair."""
    from tokencapital.serve.rules import Rule

    names: dict[int, str] = {}
    for one in given:
        number, _, called = one.partition("=")
        if not number.strip().isdigit():
            raise InputError(f"`{one}` names no kind", remedy="Write it as in --name 1=triage-message.")
        try:
            names[int(number)] = Rule(capability=called.strip()).capability
        except ValueError as error:
            raise InputError(str(error), where=f"--name {one}") from error
    return names


def _table(report: LookReport) -> Table:
    columns = (
        "#",
        "kind",
        "cases",
        "calls",
        "share",
        "dollars",
        "repeats exact / near",
        "decided by people",
        "judgments",
    )
    table = Table(*columns, title="Kinds of work")
    for number, one in enumerate(report.kinds, 1):
        decided = ", ".join(f"{count} {what}" for what, count in one.decisions.items()) or "nothing on record"
        needed = f"{one.judgments} for 5% errors" if one.enough else f"too little data ({one.judgments} needed)"
        partly = " (partly unknown)" if one.usd is not None and one.unpriced_calls else ""
        table.add_row(
            str(number),
            one.name if one.topics == 1 else f"{one.name}: {one.topics} topics",
            f"{one.cases:,}",
            f"{one.calls:,}",
            percent(one.share),
            "unknown" if one.usd is None else f"{one.usd:,.2f}{partly}",
            f"{percent(one.exact_repeats)} / {percent(one.near_repeats)}",
            decided,
            needed,
        )
    return table


def _remarks(report: LookReport) -> list[str]:
    period = f", {report.first:%Y-%m-%d} to {report.last:%Y-%m-%d}" if report.first and report.last else ""
    told = [f"{report.calls:,} calls in {report.cases:,} cases{period}. {report.assumed}"]
    told += [f"  {one.name}: {words}" for one in report.kinds for words in one.examples]
    weak = [f"{one.name} {percent(one.found_by_rules)}" for one in report.kinds if (one.found_by_rules or 0.0) < _SURE]
    if weak:
        told.append(
            f"Of their first calls alone the proposed rules find only: {', '.join(weak)}. A key or a tag"
            " (x-tcap-tag-NAME) of its own would tell such work for sure."
        )
    told += [f"Left out: {count:,} times {why}." for why, count in report.skipped.items()]
    return told
