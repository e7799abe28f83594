"""`tcap notice`: what groups of people were told of what their judgments teach, or agreed to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from tokencapital.cli.console import ConfigOption, JsonOption, Output, StoreOption, told_plainly
from tokencapital.core.people import EVERYONE, NoticeKind

app = typer.Typer(no_args_is_help=True, help="What people were told before their judgments may teach.")


@app.command()
def record(
    text: Annotated[str, typer.Option(help="What the group was told.")],
    terms: Annotated[str, typer.Option(help="What holds for them: use, share in the gain, how to object.")],
    by: Annotated[str, typer.Option(help="Who gave notice.")],
    group: Annotated[str, typer.Option(help="Who was told; `everyone`: all whom nobody put into a group.")] = EVERYONE,
    given_on: Annotated[datetime | None, typer.Option("--date", help="When, in UTC. Default: now.")] = None,
    kind: Annotated[NoticeKind, typer.Option(help="An agreement also allows probes and hidden repeats.")] = (
        NoticeKind.NOTICE
    ),
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Record that a group had notice: judgments that its people give from that day on may teach.

    Example: `tcap notice record --text "Your judgments teach the triage" --terms "no use in appraisals" --by maria`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.telling import NoticeAsked, give_notice

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        when = None if given_on is None else given_on.replace(tzinfo=UTC)
        asked = NoticeAsked(group=group, text=text, terms=terms, by=by, kind=kind, given_on=when)
        given = give_notice(platform, asked)
        output.show(f"{given.notice.id}: {group} had notice; {given.teaching} judgments kept so far may teach now.")
        output.write(given)


@app.command("list")
def list_notices(config: ConfigOption = None, store: StoreOption = None, json: JsonOption = None) -> None:
    """List what each group was told and agreed to.

    Example: `tcap notice list`
    """
    from tokencapital.app.house import open_house
    from tokencapital.store.notices import notices

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        recorded = notices(platform.store)
        table = Table("group", "kind", "given on", "text", "terms", "by", title="Notices")
        for one in recorded:
            table.add_row(one.group, one.kind.value, f"{one.given_on:%Y-%m-%d}", one.text, one.terms, one.by)
        output.show(table)
        output.write(recorded)
