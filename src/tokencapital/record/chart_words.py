"""A flowchart in words: one passage for each step, each condition, and one for the whole."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tokencapital.core.flowchart import Flowchart
from tokencapital.core.knowledge import Piece

_SEPARATORS = re.compile(r"[_\W]+")
_OPEN = "Next: as is answered."
_OVERVIEW, _CONDITION, _ANY_TIME = "All steps in order", "When", "At any time"


def chart_title(chart: Flowchart) -> str:
    """What people call the workflow."""
    name, task = words(chart.name), words(chart.task)
    return f"Workflow: {name}" if name == task else f"Workflow: {name} ({task})"


def chart_pieces(chart: Flowchart) -> Iterator[Piece]:
    """The chart from above, then its steps, its conditions and the replies that it does not place."""
    yield Piece((_OVERVIEW,), _overview(chart))
    for step in chart.steps:
        yield Piece((words(step),), _step(chart, step))
    for condition in chart.conditions:
        yield Piece((f"{_CONDITION} {words(condition)}",), _condition(chart, condition))
    for reply in chart.unplaced:
        yield Piece((_ANY_TIME, words(reply)), _said(chart, reply))


def words(step: str) -> str:
    """A step's name as words."""
    return _SEPARATORS.sub(" ", step).strip()


def _overview(chart: Flowchart) -> str:
    lines = [f"The steps of {words(chart.task)}:"]
    lines += [f"{place}. {words(step)}" for place, step in enumerate(chart.steps, 1)]
    return "\n".join(lines)


def _step(chart: Flowchart, step: str) -> str:
    """What is said and done; its neighbours by name only, so that a search for their words finds them and not this."""
    lines = [_said(chart, step)]
    before = [one for one in chart.before(step) if one not in chart.conditions]
    when = [one for one in chart.before(step) if one in chart.conditions]
    after = chart.after(step)
    if before:
        lines.append(f"After: {'; '.join(words(one) for one in before)}.")
    if when:
        lines.append(f"When: {'; '.join(_reply(chart, one) for one in when)}.")
    lines.append(f"Next: {'; or '.join(words(one) for one in after)}." if after else _OPEN)
    return "\n".join(lines)


def _condition(chart: Flowchart, condition: str) -> str:
    after = "; or ".join(_said(chart, one) for one in chart.after(condition))
    return f"When: {_reply(chart, condition)}.\nNext: {after}"


def _said(chart: Flowchart, step: str) -> str:
    reply = chart.replies.get(step)
    return words(step) if reply is None else f"{words(step)} – “{reply}”"


def _reply(chart: Flowchart, step: str) -> str:
    reply = chart.replies.get(step)
    return words(step) if reply is None or words(reply).lower() == words(step).lower() else f"{words(step)} ({reply})"
