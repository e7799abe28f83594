"""`tcap evaluate` and `tcap improve`: score what is live, and let the loop turn once."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from tokencapital.cli.console import ConfigOption, JsonOption, Output, StoreOption, number, percent, told_plainly


def evaluate(
    capability: Annotated[str, typer.Argument(help="Whose live release is scored.")],
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Score the live release against the starting policy on the sealed cases; it counts as a look.

    Example: `tcap evaluate triage-message`
    """
    from tokencapital.app.house import evaluate_live, open_house

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        scored = asyncio.run(evaluate_live(platform.workplace(capability)))
        evidence = scored.evidence
        output.show(
            f"{percent(scored.right)} right on {scored.cases} sealed cases of {evidence.n} entities",
            f"uplift over the starting policy {number(evidence.effect, '{:+.3f}')}, "
            f"bounds {number(evidence.lower, '{:+.3f}')} to {number(evidence.upper, '{:+.3f}')}, "
            f"could see {number(evidence.detectable, '{:.3f}')} (level {number(evidence.alpha)})",
        )
        output.write(scored)


def improve(
    capability: Annotated[str, typer.Argument(help="Whose loop turns.")],
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Turn the loop once: learn from what people said, let the gate decide, release or hold, book the cost.

    The swap test that the settings ask for follows, where it is due.

    Example: `tcap improve triage-message`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.swapping import turn_and_swap

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        report = asyncio.run(turn_and_swap(platform, platform.workplace(capability)))
        if report.idle is not None:
            output.show(f"idle: {report.idle}, so nothing is spent on learning.")
        elif not report.releases:
            output.show("nothing new to learn from: too few judgments, or none since the live release.")
        for made in report.releases:
            output.show(f"{made.id}: {made.lane} {made.decision}; {made.evidence.reason} (n = {made.evidence.n})")
        if report.swap is not None:
            output.show(f"{report.swap}: the swap test that was due; see /swap/{capability}.")
        if report.swap_failure is not None:
            output.show(f"the swap test that was due gave nothing: {report.swap_failure}")
        output.write(report)
