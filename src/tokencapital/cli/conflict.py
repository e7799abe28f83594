"""`tcap conflict`: inputs on which people disagree, and the decision of a named owner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.panel import Panel

from tokencapital.cli.console import ConfigOption, JsonOption, Output, StoreOption, told_plainly

if TYPE_CHECKING:
    from tokencapital.app.settling import Conflict

app = typer.Typer(no_args_is_help=True, help="Inputs on which people disagree, settled by a named owner.")


@app.command("list")
def list_conflicts(
    capability: Annotated[str, typer.Argument(help="Whose conflicts are listed.")],
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """List the inputs on which people disagree, with both sides and their reasons; recall abstains there.

    Example: `tcap conflict list triage-message`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.settling import open_conflicts

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        waiting = open_conflicts(platform, capability)
        output.show(f"{len(waiting)} conflicts wait for somebody to settle them.")
        for one in waiting:
            output.show(_panel(one))
        output.write(waiting)


@app.command()
def settle(
    conflict: Annotated[str, typer.Argument(help="The conflict's id, from `tcap conflict list`.")],
    by: Annotated[str, typer.Option(help="Who decides.")],
    judgment: Annotated[str | None, typer.Option(help="A judgment whose answer holds.")] = None,
    answer: Annotated[str | None, typer.Option(help="The answer that holds; for `fields` a JSON object.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; kept on record.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Settle a conflict: the other answers hold no longer, and the next request is answered as decided.

    Example: `tcap conflict settle cfl_0a1b2c --judgment jdg_06h0mjnzrr00037mwyj9 --by maria --reason "rule of May"`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.settling import Settlement
    from tokencapital.app.settling import settle as decide

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        decided = Settlement(by=by, judgment=judgment, answer=answer, reason=reason)
        settled = decide(platform, conflict, decided)
        output.show(f"{settled.conflict} is settled: {settled.answer}. {len(settled.lapsed)} judgments lapsed.")
        if not settled.teaches:
            output.show(f"The people of {by} had no notice: this answer teaches nothing. See `tcap notice record`.")
        output.write(settled)


def _panel(one: Conflict) -> Panel:
    lines = [f"{message.role}: {message.content}" for message in one.messages]
    for side in one.sides:
        lines.append(f"\n{side.answer}")
        for voice in side.voices:
            why = f": {voice.reason}" if voice.reason else ""
            lines.append(f"  {voice.judgment}  {voice.who}, {voice.at:%Y-%m-%d}{why}")
    return Panel("\n".join(lines), title=f"{one.id}{' (sealed)' if one.sealed else ''}")
