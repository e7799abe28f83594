"""A company's flowchart: what an agent says and does at each step, and which step comes next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from tokencapital.core.errors import InputError


class Flowchart(Struct, frozen=True, kw_only=True):
    """A workflow as a graph. `graph` leads from each step to those that come next; `replies` are the words of steps.

    A step that nothing leads to, but for the first, is a *condition*: what a customer said or a system
    answered. A reply that the graph never names may be given at any time.
    """

    name: str
    task: str
    replies: Mapping[str, str]
    graph: Mapping[str, tuple[str, ...]]

    @property
    def start(self) -> str:
        """The first in order to which nothing leads, or conditions alone; where there is none, the first."""
        led_to = self._led_to()
        first = (step for step in self.graph if not led_to & (set(self.before(step)) - {step}))
        return next(first, next(iter(self.graph)))

    @property
    def conditions(self) -> tuple[str, ...]:
        """What decides where a branch leads, in order."""
        led_to, start = self._led_to(), self.start
        return tuple(step for step in self.graph if step not in led_to and step != start)

    @property
    def steps(self) -> tuple[str, ...]:
        """What the agent does, from the first step on and then branch by branch."""
        roots = [self.start, *(after for condition in self.conditions for after in self.graph[condition])]
        found: dict[str, None] = {}
        for root in roots:
            self._walk(root, found)
        return tuple(found)

    @property
    def unplaced(self) -> tuple[str, ...]:
        """Replies that the graph never names."""
        placed = {*self.graph, *self._led_to()}
        return tuple(reply for reply in self.replies if reply not in placed)

    def after(self, step: str) -> tuple[str, ...]:
        """The steps that come next; empty: the chart leaves it open."""
        return self.graph.get(step, ())

    def before(self, step: str) -> tuple[str, ...]:
        """The steps and conditions that lead here."""
        return tuple(one for one, following in self.graph.items() if step in following)

    def _led_to(self) -> set[str]:
        return {after for one, following in self.graph.items() for after in following if after != one}

    def _walk(self, step: str, found: dict[str, None]) -> None:
        if step not in found:
            found[step] = None
            for after in self.after(step):
                self._walk(after, found)


def read_flowcharts(data: bytes, where: str) -> list[Flowchart]:
    """The flowcharts in a JSON file, by the names that they have there. Raises InputError where there is none."""
    try:
        content = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise InputError(f"this is no JSON: {error}", where=where) from error
    charts = list(_charts("", content, {}))
    if not charts:
        raise InputError(
            "there is no flowchart in it",
            where=where,
            remedy='A flowchart is {"name": {"task": ..., "replies": {step: words}, "graph": {step: next step}}}.',
        )
    return charts


def _charts(name: str, content: Any, replies: Mapping[str, str]) -> Iterator[Flowchart]:
    if not isinstance(content, dict):
        return
    graph = content.get("graph")
    if isinstance(graph, dict) and graph:
        own = _texts(content.get("replies"))
        task = content.get("task")
        yield Flowchart(
            name=name or str(task or "workflow"),
            task=str(task or name),
            replies={**own, **{step: words for step, words in replies.items() if step not in own}},
            graph={str(step): _following(after) for step, after in graph.items()},
        )
        return
    shared = _texts(content.get("responses"))
    for key, inner in content.items():
        if key != "responses":
            yield from _charts(key, inner, shared)


def _texts(found: Any) -> dict[str, str]:
    pairs = found.items() if isinstance(found, dict) else ()
    return {str(key): value for key, value in pairs if isinstance(value, str)}


def _following(after: Any) -> tuple[str, ...]:
    return (after,) if isinstance(after, str) else tuple(str(one) for one in after or ())
