"""`tcap mode`: what becomes of a capability's answers."""

from __future__ import annotations

from typing import Annotated

import typer

from tokencapital.cli.console import ConfigOption, JsonOption, Output, StoreOption, told_plainly
from tokencapital.core.case import Mode


def mode(
    capability: Annotated[str, typer.Argument(help="Which one.")],
    to: Annotated[Mode, typer.Argument(metavar="MODE", help="observe, shadow, suggest or answer.")],
    by: Annotated[str | None, typer.Option(help="Who answers for it; raising a mode needs a name.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Set the mode of a capability; it holds from the next request on, in servers that run already.

    `observe` records only, `shadow` answers beside and shows it to nobody, `suggest` gives drafts, `answer` answers.
    Raising needs a named person: to `suggest` also a release or a judgment that has taught, to `answer` a live goal
    and a release whose threshold is vouched for. Lowering is done for whoever asks, at once.

    Example: `tcap mode triage-message suggest --by maria`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.modes import change_mode

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        done = change_mode(platform, capability, to, by)
        moved = "stays in" if done.before is done.mode else f"went from `{done.before}` to"
        output.show(f"{capability} {moved} `{done.mode}`, where {done.by} put it at {done.at:%Y-%m-%d %H:%M} UTC.")
        output.write(done)
