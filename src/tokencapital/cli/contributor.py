"""`tcap contributor`: who teaches the house, by pseudonym, and what their groups did."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from tokencapital.cli.console import ConfigOption, JsonOption, Output, StoreOption, number, told_plainly

app = typer.Typer(no_args_is_help=True, help="Who teaches the house: people by pseudonym, their groups and teams.")


@app.command()
def add(
    pseudonym: Annotated[str, typer.Argument(help="What their judgments carry.")],
    by: Annotated[str, typer.Option(help="Who declares them.")],
    group: Annotated[str | None, typer.Option(help="Whom notices speak to; of somebody new: `everyone`.")] = None,
    team: Annotated[str | None, typer.Option(help="Whom they work with.")] = None,
    field: Annotated[
        list[str] | None, typer.Option(help="A capability or label that they know; may be given often.")
    ] = (None),
    name: Annotated[str | None, typer.Option(help="Their name, kept apart; `-` erases it.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Declare a contributor, or change what is declared: what you leave out stays as it is. Names can be erased.

    Example: `tcap contributor add expert-7 --group service-desk --team north --field triage-message --by maria`
    """
    from tokencapital.app.contributors import ContributorAsked, declare
    from tokencapital.app.house import open_house

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        asked = ContributorAsked(
            pseudonym=pseudonym, group=group, team=team, fields=tuple(field) if field else None, name=name, by=by
        )
        teaching = declare(platform, asked)
        output.show(f"{pseudonym} is declared; {teaching} judgments kept so far may teach now.")
        output.write({"contributor": pseudonym, "teaching": teaching})


@app.command("list")
def list_contributors(
    names: Annotated[bool, typer.Option("--names", help="Also their names. Mind who sees this screen.")] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """List the contributors by pseudonym, without their names unless you ask; asking for names leaves no record.

    Example: `tcap contributor list`
    """
    from tokencapital.app.contributors import listed
    from tokencapital.app.house import open_house

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        known = listed(platform, with_names=names)
        table = Table("contributor", "group", "team", "fields", *(["name"] if names else []), title="Contributors")
        for one in known:
            shown = [one.pseudonym, one.group, one.team or "unknown", ", ".join(one.fields) or "none declared"]
            table.add_row(*shown, *([one.name or "unknown"] if names else []))
        output.show(table)
        output.write(known)


@app.command()
def report(config: ConfigOption = None, store: StoreOption = None, json: JsonOption = None) -> None:
    """Report what groups and teams did, of at least five people each, up to the last week that a later one followed.

    Example: `tcap contributor report`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.people import PeopleBooks

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        told = PeopleBooks(platform).report()
        table = Table("group", "team", "judgments", "hours", "people", "weeks", "notice", title="People")
        for row in told.rows:
            state = told.notices.get(row.group or "")
            noticed = f"{state.noticed:%Y-%m-%d}" if state and state.noticed else "none"
            table.add_row(
                row.group or "all",
                row.team or "",
                str(row.judgments),
                number(row.minutes / 60, "{:.1f}"),
                f"{row.people_at_least} or more",
                str(row.periods),
                noticed if state else "",
            )
        output.show(table if told.rows else "Too few people did anything yet to tell of them.")
        if told.minutes_assumed:
            output.show("Judgments that nobody timed count with the declared minutes (assumed).")
        output.write(told)
