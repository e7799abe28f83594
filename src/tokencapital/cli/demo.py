"""`tcap demo`: the loop on six weeks of a service desk, embedded models only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from tokencapital.cli.books import accounts_table
from tokencapital.cli.console import JsonOption, Output, number, percent, stderr, told_plainly
from tokencapital.cli.releases import releases_table

if TYPE_CHECKING:
    from tokencapital.app.arms import ArmResult
    from tokencapital.app.demo import DemoReport, Played


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the store and the pictures.")] = Path("out/demo"),
    json: JsonOption = None,
) -> None:
    """Play six weeks of a service desk through the loop: no network, no GPU, under three minutes.

    Two capabilities learn from several experts who sometimes disagree; a rule changes half-way. At the
    end: the learning curve, releases with evidence, cost per accepted answer, and the books.

    Example: `tcap demo --out out/demo`
    """
    from tokencapital.app.demo import run_demo

    output = Output(json)
    with told_plainly():
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        with Progress(*columns, console=stderr) as bars:
            tasks: dict[str, TaskID] = {}

            def told(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bars.add_task(what, total=total)
                bars.update(tasks[what], completed=done)

            report = run_demo(out, told)
        _show(output, report)
        output.write(report)


def _show(output: Output, report: DemoReport) -> None:
    from tokencapital.app.demo import curve_line
    from tokencapital.app.pictures import draw_terminal

    for one in report.played:
        output.show("", draw_terminal(curve_line(one)), *_words(one), releases_table(list(one.releases)))
    if report.arms:
        output.show(_arms(report.arms))
    if report.no_arms:
        output.show(f"The comparison with the generalist was left out: {report.no_arms}")
    output.show(accounts_table(report.statement))
    output.show(
        f"pictures: {', '.join(report.pictures)}", f"store: {report.store} (try `tcap report --store {report.store}`)"
    )
    output.show(f"{report.seconds:.0f} seconds")


def _words(one: Played) -> list[str]:
    said = []
    for step in one.steps[1:]:
        if step.gain is None or step.interval is None:
            continue
        bounds = f"{100 * step.interval.low:+.1f} to {100 * step.interval.high:+.1f}"
        each = "unknown" if step.per_judgment is None else f"{100 * step.per_judgment:+.3f}"
        flat = "; flat: cannot be told from nothing" if step.flat else ""
        said.append(f"turn {step.turn}: {100 * step.gain:+.1f} points ({bounds}), {each} points a judgment{flat}")
    if one.recovery is not None:
        found = one.recovery
        until = (
            "never within this stream"
            if found.judgments is None
            else f"after {found.judgments} judgments on such cases"
        )
        said.append(
            f"rule change: {found.cases} cases touched since, {found.asked} sent to people, "
            f"{found.wrong_alone} of {found.alone} answered alone were wrong; error back within tolerance {until}"
        )
    return said


def _arms(results: tuple[ArmResult, ...]) -> Table:
    table = Table(
        "way of answering", "right", "USD per accepted answer", "Wh per accepted", "s per case", "asked the model"
    )
    table.title = f"The same {results[0].cases} unseen cases, three ways (95% intervals)"
    for one in results:
        interval = f" ({percent(one.interval.low)} to {percent(one.interval.high)})" if one.interval else ""
        cost = one.usd_per_accepted
        bounds = f" ({cost.interval.low:.2g} to {cost.interval.high:.2g})" if cost and cost.interval else ""
        table.add_row(
            one.name,
            percent(one.right) + interval,
            number(cost.value if cost else None, "{:.2g}") + bounds,
            number(one.wh_per_accepted.value if one.wh_per_accepted else None, "{:.2g}"),
            f"{one.seconds_per_case:.3f}",
            percent(one.asked),
        )
    return table
