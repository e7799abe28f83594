"""`tcap ledger` and `tcap report`: the books, and what they say of each capability."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tokencapital.cli.console import (
    FAILED,
    ConfigOption,
    JsonOption,
    Output,
    StoreOption,
    fail,
    number,
    percent,
    told_plainly,
)

if TYPE_CHECKING:
    from tokencapital.account.statements import Statement
    from tokencapital.app.reports import CapabilityReport


class Syntax(StrEnum):
    """Plain-text accounting that the books can be written in."""

    BEANCOUNT = "beancount"
    HLEDGER = "hledger"


def ledger(
    capability: Annotated[str | None, typer.Argument(help="Default: all.")] = None,
    export: Annotated[Syntax | None, typer.Option(help="Print the transactions in this syntax instead.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Print the books: what stands on each account, and whether every transaction balances.

    Example: `tcap ledger --export beancount > books.beancount`
    """
    from tokencapital.account.export import to_beancount, to_hledger
    from tokencapital.account.statements import draw_up
    from tokencapital.app.house import open_house
    from tokencapital.store.ledger import transactions

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        booked = transactions(platform.store, capability)
        if export is not None:
            typer.echo(to_beancount(booked) if export is Syntax.BEANCOUNT else to_hledger(booked), nl=False)
            return
        statement = draw_up(booked)
        output.show(accounts_table(statement))
        output.write(statement)
        if not statement.balanced:
            fail("the books do not balance", FAILED)


def report(
    capability: Annotated[str | None, typer.Argument(help="Default: all.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Report on each capability: goal or idle, curve, live release, promise, cost per accepted answer.

    Example: `tcap report triage-message --json -`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.reports import report_on_capabilities

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        reports = report_on_capabilities(platform, capability)
        output.show(*(_capability(one) for one in reports))
        output.write(reports)


def accounts_table(statement: Statement) -> Table:
    """What stands on each account, and how many facts are behind it."""
    title = "Ledger: every transaction balances" if statement.balanced else "Ledger: DOES NOT BALANCE"
    table = Table("for", "account", "quantity", "commodity", title=title)
    for line in statement.lines:
        table.add_row(line.kind, line.account, f"{line.quantity:,f}", line.commodity)
    for kind, counts in statement.counts.items():
        table.add_row(kind, ", ".join(f"{count} {name}" for name, count in counts.items()), "", "", style="dim")
    return table


def _capability(one: CapabilityReport) -> Table:
    table = Table("figure", "value", title=one.capability)
    table.add_row("mode", one.mode)
    table.add_row("goal", one.purpose or "none: idle, nothing is spent on learning")
    table.add_row("cases", str(one.cases))
    table.add_row("judgments", str(one.judgments))
    table.add_row("live release", one.release or "none yet")
    if one.promise is not None:
        text = f"at most {percent(one.promise.tolerance)} wrong among answers given alone"
        table.add_row("promise", f"{text} ({one.promise.errors} of {one.promise.n} wrong when calibrated)")
    else:
        table.add_row("promise", "none: the specialist answers nothing alone")
    for stage, found in one.errors.items():
        bounds = f" ({percent(found.interval.low)} to {percent(found.interval.high)})" if found.interval else ""
        table.add_row(f"wrong, {stage} alone", f"{percent(found.share)}{bounds} of {found.n} judged since the release")
    if one.agreement is not None:
        table.add_row("right, by turn", " ".join(percent(share) for share in one.agreement))
    for name, view in (("marginal", one.marginal), ("all-in", one.all_in)):
        if view is not None:
            table.add_row(f"USD per accepted answer, {name}", number(view.usd_per_accepted))
            table.add_row(f"Wh per accepted answer, {name}", f"{number(view.wh_per_accepted)} ({view.grade})")
            per_usd, per_joule = number(view.accepted_per_usd), number(view.accepted_per_joule)
            table.add_row(f"OPDW, {name}", f"{number(view.opdw)} = {per_usd} per USD x {per_joule} per J")
            per_usd, per_joule = number(view.tokens_per_usd), number(view.tokens_per_joule)
            table.add_row(f"TPDW, {name}", f"{number(view.tpdw)} = {per_usd} per USD x {per_joule} per J")
    table.add_row("new labels to confirm", ", ".join(one.new_labels) or "none")
    return table
