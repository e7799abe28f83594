"""`tcap swap`: how much of what the policy is worth survives another generalist."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tokencapital.cli.console import (
    ConfigOption,
    JsonOption,
    Output,
    StoreOption,
    number,
    percent,
    progress_bar,
    told_plainly,
)

if TYPE_CHECKING:
    from tokencapital.app.platform import Platform
    from tokencapital.app.swapping import SwapAsked
    from tokencapital.promote.swap import PortableShare, SwapReport, Uplift, Way
    from tokencapital.stats.intervals import Interval


def swap(
    capability: Annotated[str, typer.Argument(help="Whose live policy meets other generalists.")],
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GENERALIST",
            help="`none`, `embedded`, a URL (`http://127.0.0.1:11434/v1#model`), or on a simulated organization's "
            "store `scripted:0.6`, `scripted:NAME=PLAIN/SHOWN`. May be repeated. Default: as configured.",
        ),
    ] = None,
    cases: Annotated[int | None, typer.Option(min=1, help="Sealed cases to read; default: all of the batch.")] = None,
    every: Annotated[
        float | None, typer.Option(metavar="DAYS", min=0, help="Do nothing while the newest test is younger.")
    ] = None,
    key_env: Annotated[str | None, typer.Option(metavar="VAR", help="Variable with the key of those at a URL.")] = None,
    by: Annotated[str, typer.Option(help="Who asks, for the record.")] = "command line",
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Measure the live policy with other generalists, and without it, on the sealed cases; it counts as a look.

    The portable share is the part of the uplift with the configured generalist that is there with another one.

    Example: `tcap swap triage-message --against none --against embedded`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.swapping import SwapAsked, is_due, next_due, scheduled

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        place = platform.workplace(capability)
        if every is not None and not is_due(place, every):
            due = next_due(place.store, capability, every)
            output.show(f"the newest swap test is younger than {every:g} days; the next is due on {due:%Y-%m-%d}.")
            return
        declared = scheduled(platform, capability)
        asked = SwapAsked(
            against=tuple(against or (declared.against if declared else ())),
            by=by,
            cases=cases or (declared.cases if declared else None),
            key_env=key_env or (declared.key_env if declared else None),
        )
        report = _run(platform, capability, asked)
        show_swap(output, report)
        output.write(report)


def show_swap(output: Output, report: SwapReport) -> None:
    """The test as a table, its headline, and what it could have seen."""
    right = Table("generalist", "right with", "without", "uplift", "portable share")
    right.title = f"{report.capability}: {report.cases} sealed cases of {report.entities} entities"
    took = Table("generalist", "USD a case", "J a case", "grade", "s a case", "cases that reached it")
    took.title = "what a case takes with the policy"
    for one in report.uplifts:
        right.add_row(*_right(one))
        took.add_row(*_took(one))
    output.show(right, took, _headline(report))
    output.show(
        f"{report.level:.0%} intervals; uplifts of {number(report.home.visible, '{:.3f}')} and more would have been "
        f"seen; look {report.reading.comparison} at batch {report.reading.batch}"
    )
    if report.failed:
        output.show(f"{report.failed} further cases are left out: a call for them failed")


def _run(platform: Platform, capability: str, asked: SwapAsked) -> SwapReport:
    from tokencapital.app.swapping import swap as run_swap

    with progress_bar("asking generalists") as told:
        return asyncio.run(run_swap(platform, platform.workplace(capability), asked, told))


def _headline(report: SwapReport) -> str:
    if report.portable is None:
        return f"portable share: unknown; {report.unknown}"
    least = "" if len(report.uplifts) == 2 else ", the least of them"
    return f"portable share: {_share(report.portable)}{least}"


def _right(one: Uplift) -> tuple[str, ...]:
    uplift = f"{one.uplift:+.3f}{_between(one.interval, '{:+.3f}')}"
    return one.generalist, _way(one.ran), _way(one.without), uplift, "(home)" if one.home else _share(one.portable)


def _took(one: Uplift) -> tuple[str, ...]:
    way = one.ran
    joules, usd = number(way.joules, "{:.3g}"), number(way.usd, "{:.2g}")
    return one.generalist, usd, joules, way.grade.value, f"{way.seconds:.3f}", percent(way.asked)


def _way(way: Way) -> str:
    between = f" ({percent(way.interval.low)} to {percent(way.interval.high)})" if way.interval else ""
    return f"{percent(way.right)}{between}"


def _share(portable: PortableShare | None) -> str:
    if portable is None:
        return "unknown"
    return f"{portable.share:.2f}{_between(portable.interval, '{:.2f}')}"


def _between(interval: Interval | None, pattern: str) -> str:
    return (
        f" ({pattern.format(interval.low)} to {pattern.format(interval.high)})" if interval else " (interval unknown)"
    )
