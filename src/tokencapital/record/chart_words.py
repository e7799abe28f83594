"""A flowchart in words: one passage for each step, each condition, and one for the whole."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tokencapital.core.flowchart import Flowchart
from tokencapital.core.knowledge import Piece

_SEPARATORS = re.compile(r"[_\W]+")
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
        yield Piece((_ANY_TIME, words(reply)), f"The agent may say at any time ({reply}): “{chart.replies[reply]}”")


def words(step: str) -> str:
    """A step's name as words."""
    return _SEPARATORS.sub(" ", step).strip()


def _overview(chart: Flowchart) -> str:
    lines = [f"The steps of {words(chart.task)}:"]
    lines += [f"{place}. {_said(chart, step)}" for place, step in enumerate(chart.steps, 1)]
    return "\n".join(lines)


def _step(chart: Flowchart, step: str) -> str:
    lines = [f"The agent does: {_said(chart, step)}."]
    before = [one for one in chart.before(step) if one not in chart.conditions]
    when = [one for one in chart.before(step) if one in chart.conditions]
    if before:
        lines.append(f"It comes after: {'; '.join(words(one) for one in before)}.")
    if when:
        lines.append(f"It is done when: {'; '.join(_reply(chart, one) for one in when)}.")
    after = [_said(chart, one) for one in chart.after(step)]
    lines.append(f"Next: {'; or '.join(after)}." if after else "What comes next depends on the answer.")
    return "\n".join(lines)


def _condition(chart: Flowchart, condition: str) -> str:
    after = "; or ".join(_said(chart, one) for one in chart.after(condition))
    return f"When the answer is: {_reply(chart, condition)}.\nThen the agent goes on with: {after}."


def _said(chart: Flowchart, step: str) -> str:
    reply = chart.replies.get(step)
    return words(step) if reply is None else f"{words(step)} – “{reply}”"


def _reply(chart: Flowchart, step: str) -> str:
    reply = chart.replies.get(step)
    return words(step) if reply is None or words(reply).lower() == words(step).lower() else f"{words(step)} ({reply})"
