"""`tcap review`: the next cases that the queue asks of people, on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.panel import Panel

from tokencapital.cli.console import ConfigOption, JsonOption, Output, StoreOption, number, told_plainly
from tokencapital.core.judgment import Verdict

if TYPE_CHECKING:
    from tokencapital.app.reviewing import Waiting

_KEYS = {"r": Verdict.RIGHT, "c": Verdict.CORRECTED, "t": Verdict.CANNOT_TELL, "n": Verdict.NOT_MY_FIELD}


def review(
    capability: Annotated[str, typer.Argument(help="Whose cases are judged.")],
    expert: Annotated[str, typer.Option("--as", help="Who judges; a pseudonym is fine.")],
    most: Annotated[int, typer.Option(min=1, help="How many cases at most.")] = 20,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Judge the cases that wait for a person: right, correct it, cannot tell, or not my field.

    With `--json -` nothing is asked: the waiting cases are listed for another tool.

    Example: `tcap review triage-message --as maria`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.reviewing import say, waiting_cases

    output = Output(json)
    with told_plainly("Stopped. What was judged is kept."), open_house(config, store) as platform:
        waiting = waiting_cases(platform.workplace(capability), most)
        output.write(waiting)
        if json is not None:
            return
        output.show(f"{len(waiting)} cases wait for a person.")
        for place, one in enumerate(waiting, start=1):
            output.show(_panel(one, f"{place} of {len(waiting)}"))
            verdict = _asked_verdict()
            if verdict is None:
                return
            answer = typer.prompt("The right answer") if verdict is Verdict.CORRECTED else None
            accepted = say(platform, one, expert, verdict, answer)
            if accepted.new_label:
                output.show(f"`{accepted.new_label}` is a new label; declare it if it is meant to stay.")


def retract(
    judgments: Annotated[list[str], typer.Argument(help="The judgments to take back.")],
    by: Annotated[str, typer.Option(help="Who takes them back.")],
    reason: Annotated[str | None, typer.Option(help="Why; kept on record.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Take judgments back: from the next request on they neither answer nor teach.

    Example: `tcap retract jdg_06h0mjnzrr00037mwyj9 --by maria --reason "wrong customer"`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.retracting import retract as take_back

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        done = take_back(platform, judgments, by, reason)
        output.show(f"{len(done.judgments)} taken back.")
        for release in done.rebuilt_next:
            output.show(f"{release} learned from them; the next turn fits its specialist anew.")
        output.write(done)


def _asked_verdict() -> Verdict | None:
    """What was typed; None: to stop. Asks again for a key that means nothing."""
    while True:
        key = typer.prompt("(r)ight (c)orrect (t) cannot tell (n)ot my field (q)uit", default="r")[:1].lower()
        if key == "q":
            return None
        if key in _KEYS:
            return _KEYS[key]


def _panel(one: Waiting, title: str) -> Panel:
    lines = [f"{message.role}: {message.content}" for message in one.messages]
    if one.context:
        lines.append(f"context: {one.context}")
    lines.append(
        f"\nproposed: {one.proposed}  (by {one.source or 'nobody'}, confidence {number(one.confidence, '{:.2f}')})"
    )
    return Panel("\n".join(lines), title=title)
