"""`tcap lesson`: the playbook, proposed from what people said and decided on by a named person."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from tokencapital.cli.console import ConfigOption, JsonOption, Output, StoreOption, number, told_plainly
from tokencapital.core.lesson import Lesson, LessonState, Measured

if TYPE_CHECKING:
    from tokencapital.app.lessons import Listed

app = typer.Typer(no_args_is_help=True, help="Lessons that the generalist is shown, one sentence each.")

LessonArgument = Annotated[str, typer.Argument(help="The lesson's id; `tcap lesson list` has it.")]
ByOption = Annotated[str, typer.Option(help="Who decides this.")]
ReasonOption = Annotated[str | None, typer.Option(help="Why.")]


@app.command()
def propose(
    capability: Annotated[str, typer.Argument(help="Whose corrections are looked through.")],
    text: Annotated[str | None, typer.Option(help="A lesson in your own words instead.")] = None,
    by: Annotated[str, typer.Option(help="Who proposes it; belongs to --text.")] = "",
    judgment: Annotated[list[str] | None, typer.Option(help="A judgment that it rests on. May be repeated.")] = None,
    passage: Annotated[list[str] | None, typer.Option(help="A passage that it rests on. May be repeated.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Propose lessons from corrections and reasons, or one in your own words. Nobody is shown a proposal.

    Example: `tcap lesson propose triage-message --text "A lost card is not a stolen one." --by ines`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.lessons import ByHand, propose_by_hand, propose_lessons_anew

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        place = platform.workplace(capability)
        if text is not None:
            said = ByHand(text=text, by=by, judgments=tuple(judgment or ()), passages=tuple(passage or ()))
            made: Sequence[Lesson] = [propose_by_hand(place, said)]
        else:
            drafted = asyncio.run(propose_lessons_anew(place))
            output.show(f"{drafted.looked_through} judged cases were looked through.")
            made = drafted.proposed
        for one in made:
            output.show(f"{one.id}: {escape(one.text or 'no words')}")
        if not made:
            output.show("Nothing new to propose.")
        output.write(list(made))


@app.command("list")
def list_lessons(
    capability: Annotated[str, typer.Argument(help="Whose lessons.")],
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """List all lessons with their state, what they came from, until when they hold and what they are worth.

    Example: `tcap lesson list triage-message`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.lessons import playbook

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        book = playbook(platform.workplace(capability))
        for one in book.lessons:
            output.show(*_lines(one))
        if not book.lessons:
            output.show("There is no lesson yet.")
        output.write(book)


@app.command()
def approve(
    lesson: LessonArgument,
    by: ByOption,
    days: Annotated[int | None, typer.Option(min=1, help="How long it holds. Default: 180.")] = None,
    text: Annotated[str | None, typer.Option(help="Other words: another lesson, which names this one.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Approve or renew a lesson. The gate tries it at the next turn of the loop.

    Example: `tcap lesson approve lsn_06h0tgshcw0001zremqt --by maria --days 90`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.lessons import approve as approve_lesson

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        decided = approve_lesson(platform, lesson, by, days, text)
        output.show(f"{decided.id}: approved until {decided.valid_until:%Y-%m-%d}.")
        output.write(decided)


@app.command()
def reject(
    lesson: LessonArgument,
    by: ByOption,
    reason: ReasonOption = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Turn a proposal down.

    Example: `tcap lesson reject lsn_06h0tgshcw0001zremqt --by maria --reason "true of one customer only"`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.lessons import reject as reject_lesson

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        decided = reject_lesson(platform, lesson, by, reason)
        output.show(f"{decided.id}: {LessonState.REJECTED}.")
        output.write(decided)


@app.command()
def retire(
    lesson: LessonArgument,
    by: ByOption,
    reason: ReasonOption = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Take a lesson out of use: the next request is answered without it.

    Example: `tcap lesson retire lsn_06h0tgshcw0001zremqt --by maria --reason "the rule changed"`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.lessons import retire as retire_lesson

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        decided = retire_lesson(platform, lesson, by, reason)
        output.show(f"{decided.id}: {LessonState.RETIRED}.")
        output.write(decided)


@app.command()
def measure(
    capability: Annotated[str, typer.Argument(help="Whose approved lessons.")],
    by: Annotated[str, typer.Option(help="Who asks for it.")],
    each: Annotated[bool, typer.Option(help="Also leave each lesson out alone: one more look for each.")] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Measure what the approved lessons are worth on sealed cases; each comparison counts as a look.

    Example: `tcap lesson measure triage-message --by maria`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.lesson_effects import measure_lessons

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        found = asyncio.run(measure_lessons(platform.workplace(capability), by, each=each))
        for one in found:
            output.show(_worth(one))
        output.write(found)


def _lines(listed: Listed) -> tuple[str, str]:
    """A lesson on two lines: how it stands, and its words."""
    lesson = listed.lesson
    facts = [listed.state.value]
    facts += [f"until {lesson.valid_until:%Y-%m-%d}"] if lesson.valid_until else []
    facts += ["in the live release"] if listed.live else []
    facts += ["look again"] if listed.marks else []
    facts += [f"says the same as {listed.says_the_same}"] if listed.says_the_same else []
    facts += [f"{len(lesson.judgments)} judgments of {lesson.entities} entities"] if lesson.judgments else []
    facts += [f"effect {number(listed.effect.evidence.effect, '{:+.3f}')}"] if listed.effect else []
    return f"{lesson.id}: {', '.join(facts)}", f"  {escape(lesson.text or 'its words were erased')}"


def _worth(found: Measured) -> str:
    seen = found.evidence
    what = f"{len(found.lessons)} lessons together" if len(found.lessons) > 1 else found.lessons[0]
    return (
        f"{what}: {number(seen.effect, '{:+.3f}')}, bounds {number(seen.lower, '{:+.3f}')} to "
        f"{number(seen.upper, '{:+.3f}')} (level {number(seen.alpha)}) on {seen.n} sealed entities, could see "
        f"{number(seen.detectable, '{:.3f}')}; {found.generalist} gave {found.asked} of the answers"
    )
