"""`tcap replay`: recorded work, played through the loop."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tokencapital.cli.console import (
    PARTLY_READ,
    JsonOption,
    Output,
    fail,
    number,
    percent,
    progress_bar,
    stderr,
    told_plainly,
)
from tokencapital.core.case import ContractKind

if TYPE_CHECKING:
    from tokencapital.app.replay_report import ReplayReport

_SHOWN_PROBLEMS = 5


class Sampling(StrEnum):
    """How cases are chosen for people."""

    ACTIVE = "active"
    RANDOM = "random"


def replay(
    file: Annotated[Path, typer.Argument(help="Cases, one JSON object a line; may be compressed with gzip.")],
    judgments: Annotated[str, typer.Option(help="How many judgments may be asked for, or `all`.")] = "all",
    sampling: Annotated[Sampling, typer.Option(help="How cases are chosen for people.")] = Sampling.ACTIVE,
    generalist: Annotated[
        str, typer.Option(help="`none`, `embedded`, or the URL of an OpenAI-compatible API.")
    ] = "none",
    model: Annotated[str, typer.Option(help="The model to ask for at that URL.")] = "default",
    capability: Annotated[str | None, typer.Option(help="Which one, where the file has several.")] = None,
    contract: Annotated[ContractKind | None, typer.Option(help="Default: read off the answers.")] = None,
    seed: Annotated[int, typer.Option(help="Decides splits and draws.")] = 0,
    tolerance: Annotated[
        float, typer.Option(min=0.001, max=0.5, help="Tolerated share of wrong answers given alone.")
    ] = 0.05,
    store: Annotated[
        str | None, typer.Option(metavar="URL", help="Default: one of its own in the cache folder.")
    ] = None,
    json: JsonOption = None,
) -> None:
    """Play recorded work in order of arrival, learn from what people decided, and score the result.

    Each case is answered before its answer is revealed; only what the queue asked for is revealed.
    Stopped in the middle, the same command goes on where it stood.

    Example: `tcap replay cases.jsonl.gz --judgments 2310 --json -`
    """
    from tokencapital.app.replay_run import ReplayOptions, run_replay

    output = Output(json)
    with told_plainly("Stopped. What was served and judged is kept; the same command goes on from there."):
        options = ReplayOptions(
            file=file,
            judgments=_count(judgments),
            active=sampling is Sampling.ACTIVE,
            generalist=generalist,
            model=model,
            capability=capability,
            contract=contract,
            seed=seed,
            tolerance=tolerance,
            store=store,
        )
        with progress_bar("replay") as progress:
            finished = run_replay(options, progress)
        output.show(*_tables(finished.report), f"store: {finished.store}")
        output.write(finished.report)
        if finished.problems:
            _tell_problems(finished.problems)


def _count(judgments: str) -> int | None:
    if judgments == "all":
        return None
    if not judgments.isdigit() or int(judgments) == 0:
        raise typer.BadParameter(f"`{judgments}` is neither a positive number nor `all`", param_hint="--judgments")
    return int(judgments)


def _tables(report: ReplayReport) -> list[Table]:
    return [_curve(report), _result(report)]


def _curve(report: ReplayReport) -> Table:
    table = Table("turn", "cases", "judgments", "last 500 cases", "test", title="Learning curve")
    for point in report.curve:
        table.add_row(
            str(point.turn),
            str(point.cases),
            str(point.judgments),
            percent(point.accuracy),
            percent(point.test_accuracy),
        )
    return table


def _result(report: ReplayReport) -> Table:
    table = Table("figure", "value", title="Result")
    if report.test is not None and report.test.interval is not None:
        low, high = percent(report.test.interval.low), percent(report.test.interval.high)
        table.add_row("right on test", f"{percent(report.test.accuracy)} (95% interval {low} to {high})")
        table.add_row("deferred to people", percent(report.test.deferred))
        for stage, share in report.test.stages.items():
            table.add_row(f"  stage {stage}", f"{percent(share.share)} of cases, {percent(share.accuracy)} right")
    if report.test is not None and report.test.field_recall is not None:
        table.add_row("fields right", percent(report.test.field_recall))
    if report.promise is None:
        table.add_row("promise", "none: the specialist answers nothing alone")
    else:
        kept = f"{percent(report.promise.realized)} wrong, {percent(report.promise.tolerance)} tolerated"
        table.add_row("promise", f"{kept}, on {percent(report.promise.share)} of cases")
    marginal, all_in = report.efficiency["marginal"], report.efficiency["all_in"]
    if marginal and all_in:
        table.add_row(
            "USD per accepted answer",
            f"{number(marginal.usd_per_accepted)} marginal, {number(all_in.usd_per_accepted)} all-in",
        )
        table.add_row(
            "Wh per accepted answer",
            f"{number(marginal.wh_per_accepted)} marginal, {number(all_in.wh_per_accepted)} all-in",
        )
    if report.failures:
        table.add_row("generalist failed", f"on {report.failures} cases, which went to people")
    table.add_row("books balance", "yes" if report.ledger["balanced"] else "NO")
    timing = report.timing
    table.add_row(
        "seconds", f"{timing['wall']:.1f} in all, {timing['serve']:.1f} serving, {timing['learn']:.1f} learning"
    )
    return table


def _tell_problems(problems: Sequence[str]) -> None:
    for problem in problems[:_SHOWN_PROBLEMS]:
        stderr.print(problem, style="yellow", markup=False, highlight=False, soft_wrap=True)
    fail(f"{len(problems)} lines could not be read; everything else was played.", PARTLY_READ)
