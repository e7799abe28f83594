"""`tcap review`: the next cases that the queue asks of people, on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer
from rich.panel import Panel

from tokencapital.cli.console import ConfigOption, JsonOption, Output, StoreOption, number, told_plainly
from tokencapital.core.errors import ContractViolation, StoreConflict
from tokencapital.core.judgment import Verdict

if TYPE_CHECKING:
    from tokencapital.app.desk import Desk, Task

_KEYS = {
    "r": Verdict.RIGHT,
    "c": Verdict.CORRECTED,
    "t": Verdict.CANNOT_TELL,
    "n": Verdict.NOT_MY_FIELD,
    "s": Verdict.SECOND_OPINION,
}
_BLIND_KEYS = {key: verdict for key, verdict in _KEYS.items() if key != "r"}


def review(
    capability: Annotated[str, typer.Argument(help="Whose cases are judged.")],
    expert: Annotated[str, typer.Option("--as", help="Who judges; a pseudonym is fine.")],
    most: Annotated[int, typer.Option(min=1, help="How many cases at most.")] = 20,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Judge the cases that wait for a person: right, correct it, cannot tell, not my field, or second opinion.

    With `--json -` nothing is asked: the waiting cases are listed for another tool.

    Example: `tcap review triage-message --as maria`
    """
    from tokencapital.app.desk import Desk
    from tokencapital.app.house import open_house
    from tokencapital.app.reviewing import waiting_cases

    output = Output(json)
    with told_plainly("Stopped. What was judged is kept."), open_house(config, store) as platform:
        if json is not None:
            output.write(waiting_cases(platform.workplace(capability), most))
            return
        desk = Desk(platform)
        output.show(f"{desk.progress(capability, expert).open} cases wait for a person.")
        for place in range(1, most + 1):
            task = desk.next(capability, expert)
            if task is None:
                output.show("Nothing waits for you.")
                return
            output.show(_panel(task, f"case {place}"))
            if not _judge(output, desk, task, expert):
                return


def _judge(output: Output, desk: Desk, task: Task, expert: str) -> bool:
    """Whether to go on: what was typed is stored, or it is said why not."""
    from tokencapital.app.desk import Saying

    while True:
        verdict = _asked_verdict(_BLIND_KEYS if task.blind else _KEYS)
        if verdict is None:
            return False
        answer = typer.prompt("The right answer") if verdict is Verdict.CORRECTED else None
        try:
            accepted = desk.say(task, Saying(expert=expert, verdict=verdict, answer=answer))
        except ContractViolation as error:
            output.show(str(error))
            continue
        except StoreConflict as error:
            output.show(str(error))
            return True
        if accepted.new_label:
            output.show(f"`{accepted.new_label}` is a new label; declare it if it is meant to stay.")
        if task.blind:
            compared = desk.compare(accepted.judgment.id)
            output.show(f"The machine says: {compared.machine if compared else 'nothing'}")
        return True


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


def _asked_verdict(keys: Mapping[str, Verdict]) -> Verdict | None:
    """What was typed; None: to stop. Asks again for a key that means nothing."""
    right = "(r)ight " if "r" in keys else ""
    asked = f"{right}(c)orrect (t) cannot tell (n)ot my field (s)econd opinion (q)uit"
    while True:
        key = typer.prompt(asked, default="r" if right else None)[:1].lower()
        if key == "q":
            return None
        if key in keys:
            return keys[key]


def _panel(task: Task, title: str) -> Panel:
    one = task.waiting
    lines = [f"{message.role}: {message.content}" for message in one.messages]
    if one.context:
        lines.append(f"context: {one.context}")
    if task.blind:
        lines.append("\nAnswer first: the machine's answer is shown afterwards.")
    else:
        sure = number(one.confidence, "{:.2f}")
        lines.append(f"\nproposed: {one.proposed}  (by {one.source or 'nobody'}, confidence {sure})")
    return Panel("\n".join(lines), title=title)
