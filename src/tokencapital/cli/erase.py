"""`tcap erase`: what somebody wrote is gone, what rests on it is made anew, and who asked gets a report."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tokencapital.cli.console import ConfigOption, JsonOption, Output, StoreOption, fail, told_plainly

if TYPE_CHECKING:
    from tokencapital.app.erasing import Erased


def erase(
    by: Annotated[str, typer.Option(help="Who carries it out: a pseudonym, for it stays on record.")],
    group: Annotated[str | None, typer.Option(help="All that came in and was said of a customer or thread.")] = None,
    contributor: Annotated[
        str | None, typer.Option(metavar="PSEUDONYM", help="All that a contributor said, their name and login.")
    ] = None,
    case: Annotated[str | None, typer.Option(metavar="ID", help="All that was written about one case.")] = None,
    reason: Annotated[str, typer.Option(help="`request`, `retention` or `mistake`; no words are kept.")] = "request",
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make specialists anew right away, also without a live goal.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a report for the person who asked, in Markdown.")
    ] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Erase words for good: payloads, what memory and searches know of them, and specialists that could hold them.

    Facts, counts and the audit chain stay; `tcap verify` still passes.

    Example: `tcap erase --contributor expert-7 --by dpo-1 --report report.md`
    """
    from tokencapital.app.erasing import Erasure, Ground, erase_and_rebuild
    from tokencapital.app.erasure_report import report as written
    from tokencapital.app.house import open_house

    output = Output(json)
    if reason not in list(Ground):
        raise typer.BadParameter(f"`{reason}` is none of {', '.join(Ground)}", param_hint="--reason")
    if report is not None and not report.absolute().parent.is_dir():
        raise typer.BadParameter(f"`{report}` cannot be written: name a file in a folder that exists")
    asked = Erasure(by=by, group=group, contributor=contributor, case=case, ground=Ground(reason), rebuild=rebuild)
    with told_plainly(), open_house(config, store) as platform:
        done = asyncio.run(erase_and_rebuild(platform, asked))
        output.show(_table(done))
        output.write(done)
        if report is not None:
            report.write_text(written(done), "utf-8")
            output.show(f"report: {report}")
        if not done.compacted:
            fail("the words are overwritten, but a reader keeps the store's files from being written anew.", 1)


def _table(done: Erased) -> Table:
    table = Table("what", "how many", title=f"Erased: {done.kind} {done.subject} (act {done.number})")
    wiped = done.wiped
    table.add_row("payloads in all", str(wiped.payloads))
    table.add_row("judgments taken out of memory", str(len(wiped.withdrawn)))
    table.add_row("copies in other answers", str(wiped.copies))
    table.add_row("lessons", str(len(wiped.lessons)))
    for what, count in done.people.items():
        table.add_row(what, str(count))
    for one in done.artifacts:
        what = "erased" if one.erased else "serves until it is made anew"
        due = f", due {one.due:%Y-%m-%d}" if one.due and not done.rebuilt else ""
        table.add_row(f"specialist {one.artifact[:12]} of {one.capability}", what + due)
    if done.set_aside:
        table.add_row("frames set aside on disk, of whomever", f"{done.set_aside}: see `tcap drain --json -`")
    for release in done.rebuilt:
        table.add_row(f"made anew for {release.capability}", f"{release.lane.value} {release.decision.value}")
    return table
