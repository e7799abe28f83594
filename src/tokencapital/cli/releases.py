"""`tcap releases` and `tcap rollback`: what is live, why, and back."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from tokencapital.cli.console import ConfigOption, JsonOption, Output, StoreOption, number, told_plainly
from tokencapital.core.policy import Release


def list_releases(
    capability: Annotated[str | None, typer.Argument(help="Default: all.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """List every decision of the gate with its evidence: n, effect, bounds and the smallest effect it could see.

    Example: `tcap releases triage-message`
    """
    from tokencapital.app.house import open_house, releases_of

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        listed = releases_of(platform, capability)
        output.show(releases_table(listed))
        output.write(listed)


def rollback(
    capability: Annotated[str, typer.Argument(help="Whose live release is undone.")],
    by: Annotated[str, typer.Option(help="Who decides this.")],
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Make the release before the live one live again; the next request is answered by it.

    Example: `tcap rollback triage-message --by maria`
    """
    from tokencapital.app.house import open_house
    from tokencapital.promote.releases import rollback as undo

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        platform.workplace(capability)
        made = undo(platform.store, capability, by, platform.clock.now(), platform.ids)
        output.show(f"{made.id}: {made.evidence.reason}")
        output.write(made)


def releases_table(listed: list[Release]) -> Table:
    """One line a decision of the gate, with its evidence."""
    table = Table("at", "lane", "decision", "n", "effect", "bounds", "could see", "why", title="Releases")
    for one in listed:
        seen = one.evidence
        bounds = f"{number(seen.lower, '{:+.3f}')} to {number(seen.upper, '{:+.3f}')}" if seen.n else "-"
        table.add_row(
            f"{one.at:%Y-%m-%d %H:%M}",
            one.lane.value,
            one.decision.value,
            str(seen.n),
            number(seen.effect, "{:+.3f}"),
            bounds,
            number(seen.detectable, "{:.3f}"),
            seen.reason,
        )
    return table
