"""How far recorded runs followed the company's flowcharts, workflow by workflow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from tokencapital.core.errors import InputError, MalformedLine
from tokencapital.core.flowchart import Flowchart, read_flowcharts
from tokencapital.evaluate.flowcharts import FlowchartScore, follows
from tokencapital.record.runs import RecordedRun, read_runs
from tokencapital.stats.intervals import Interval, share_interval, wilson

LEVEL = 0.95
_MOST_DEVIATIONS = 3


class Left(Struct, frozen=True):
    """Where runs left a chart first: the action, what was expected instead, and in how many runs."""

    action: str
    expected: tuple[str, ...]
    runs: int


class Adherence(Struct, frozen=True, kw_only=True):
    """How far the runs of one workflow followed its chart.

    `followed` is the share of the `steps` that the chart allows, `whole` that of the runs that never left
    it; both None without a step. Intervals count entities as independent, runs and steps of one as not.
    """

    workflow: str
    runs: int
    steps: int
    followed: float | None
    followed_interval: Interval | None
    whole: float | None
    whole_interval: Interval | None
    free: int
    unknown: int
    left: tuple[Left, ...]


class AdherenceReport(Struct, frozen=True):
    """Each workflow that runs were done under. `without_chart` counts runs of others, by name."""

    workflows: tuple[Adherence, ...]
    without_chart: dict[str, int]
    problems: tuple[str, ...]


def score_runs(runs: Path, workflows: Path) -> AdherenceReport:
    """The runs of a file scored by the flowcharts of another. Raises InputError where either cannot be read."""
    try:
        data = workflows.read_bytes()
    except OSError as error:
        raise InputError(f"the flowcharts cannot be read: {error.strerror}", where=str(workflows)) from error
    charts = {chart.name: chart for chart in read_flowcharts(data, str(workflows))}
    done: dict[str, list[RecordedRun]] = {}
    problems: list[str] = []
    for one in read_runs(runs):
        if isinstance(one, MalformedLine):
            problems.append(str(one))
        else:
            done.setdefault(one.under, []).append(one)
    return AdherenceReport(
        tuple(adherence(charts[name], done[name]) for name in sorted(done) if name in charts),
        {name: len(done[name]) for name in sorted(done) if name not in charts},
        tuple(problems),
    )


def adherence(chart: Flowchart, runs: Iterable[RecordedRun]) -> Adherence:
    """How far the runs followed the chart."""
    scored = [(one.entity, follows(chart, one.actions)) for one in runs]
    steps = [(entity, step) for entity, score in scored for step in score.allowed]
    placed = [(entity, score.first is None) for entity, score in scored if score.steps]
    followed, wholly = [step for _, step in steps], [whole for _, whole in placed]
    return Adherence(
        workflow=chart.name,
        runs=len(scored),
        steps=len(steps),
        followed=sum(followed) / len(followed) if followed else None,
        followed_interval=_interval(followed, [entity for entity, _ in steps]),
        whole=sum(wholly) / len(wholly) if wholly else None,
        whole_interval=_interval(wholly, [entity for entity, _ in placed]),
        free=sum(score.free for _, score in scored),
        unknown=sum(score.unknown for _, score in scored),
        left=_left(score for _, score in scored),
    )


def _interval(values: list[bool], entities: list[str]) -> Interval | None:
    if not values:
        return None
    return share_interval(values, entities, LEVEL) or wilson(sum(values), len(values), LEVEL)


def _left(scores: Iterable[FlowchartScore]) -> tuple[Left, ...]:
    """The first deviations that are most frequent."""
    found = Counter((score.first.action, score.first.expected) for score in scores if score.first is not None)
    return tuple(Left(action, expected, runs) for (action, expected), runs in found.most_common(_MOST_DEVIATIONS))
