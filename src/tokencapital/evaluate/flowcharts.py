"""Whether an agent follows a flowchart: the share of steps that it allows, and where somebody first left it.

What a chart allows after a step: the steps that come next, where questions may be passed over because the
customer has told already; a question or a look-up once more; and where the chart leaves it open or a look-up
has answered, whatever a condition leads to. After any other question a condition may lead to questions only:
to ask is always allowed, to act is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from tokencapital.core.flowchart import Flowchart

_ASKING = "ask"


class Deviation(Struct, frozen=True):
    """The first step that the chart does not allow: the `place` of the action (from 0), and what was expected."""

    place: int
    action: str
    expected: tuple[str, ...]


class FlowchartScore(Struct, frozen=True, kw_only=True):
    """How far actions followed a chart.

    Of `steps` that the chart places, it allowed `followed`; `allowed` says which, in order. `free` are replies
    that it lets be given at any time, `unknown` those that it does not know, such as words of one's own:
    neither counts for or against. `first` None: nobody left the chart.
    """

    steps: int
    followed: int
    allowed: tuple[bool, ...]
    free: int
    unknown: int
    first: Deviation | None

    @property
    def share(self) -> float | None:
        """The share of steps that the chart allows; None: no step is on it."""
        return self.followed / self.steps if self.steps else None


def follows(chart: Flowchart, actions: Sequence[str | None]) -> FlowchartScore:
    """The score of an agent's actions, in order; None is something that has no name, such as free words.

    An action may name several steps of the chart at once, as `query` does `query_check` and `query_book`.
    After a deviation the agent is where they went.
    """
    rule = _Rule(chart)
    at: frozenset[str] | None = None
    allowed: list[bool] = []
    free = unknown = 0
    first: Deviation | None = None
    for place, action in enumerate(actions):
        steps = rule.steps_of(action)
        if not steps:
            free, unknown = (free + 1, unknown) if action in rule.free else (free, unknown + 1)
            continue
        expected = rule.after(at)
        right = steps & expected
        allowed.append(bool(right))
        if not right and first is None:
            first = Deviation(place, action or "", tuple(step for step in chart.steps if step in expected))
        at = right or steps
    return FlowchartScore(
        steps=len(allowed),
        followed=sum(allowed),
        allowed=tuple(allowed),
        free=free,
        unknown=unknown,
        first=first,
    )


class _Rule:
    """A chart prepared for asking what it allows."""

    def __init__(self, chart: Flowchart) -> None:
        self.free = frozenset(chart.unplaced)
        self._chart = chart
        self._steps = frozenset(chart.steps)
        branches = [after for condition in chart.conditions for after in chart.after(condition)]
        self._acting = self._closed(branches)
        self._asking = frozenset(step for step in self._acting if self._is_question(step))

    def steps_of(self, action: str | None) -> frozenset[str]:
        """The steps that an action may be; empty: the chart places none by this name."""
        if action is None:
            return frozenset()
        if action in self._steps:
            return frozenset({action})
        return frozenset(step for step in self._steps if step.startswith(f"{action}_"))

    def after(self, at: frozenset[str] | None) -> frozenset[str]:
        """What may be done where somebody stands at one of these steps; None: at the beginning."""
        if at is None:
            return self._closed([self._chart.start])
        return frozenset().union(*(self._after_one(step) for step in at))

    def _after_one(self, step: str) -> frozenset[str]:
        following = self._chart.after(step)
        answered = self._is_question(step) or self._is_look_up(step)
        found = self._closed(following) | (frozenset({step}) if answered else frozenset())
        if not following or self._is_look_up(step):
            return found | self._acting
        return found | self._asking if self._is_question(step) else found

    def _closed(self, steps: Iterable[str]) -> frozenset[str]:
        """The steps, and those behind them that are reached by passing over questions."""
        found: set[str] = set()
        waiting = list(steps)
        while waiting:
            step = waiting.pop()
            if step not in found:
                found.add(step)
                waiting += self._chart.after(step) if self._is_question(step) else ()
        return frozenset(found)

    def _is_question(self, step: str) -> bool:
        return "?" in self._chart.replies.get(step, "") or _ASKING in step.split("_")

    def _is_look_up(self, step: str) -> bool:
        """Whether nothing is said to the customer: the words of the step are its name, or there are none."""
        reply = self._chart.replies.get(step, step)
        return "".join(filter(str.isalnum, reply)).lower() == "".join(filter(str.isalnum, step)).lower()
