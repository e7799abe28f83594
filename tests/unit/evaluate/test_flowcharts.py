"""What a flowchart allows of an agent's actions, and where it was left."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.app.adherence import score_runs
from tokencapital.core.flowchart import Flowchart, read_flowcharts
from tokencapital.evaluate.flowcharts import Deviation, follows

CHART = Flowchart(
    name="book",
    task="book",
    replies={
        "hello": "How can I help?",
        "ask_name": "Your name, please.",
        "ask_day": "Which day?",
        "tell_rules": "These are the rules.",
        "query_check": "Query Check",
        "offer": "It is free. Shall I book it?",
        "query_book": "Query Book",
        "done": "Booked.",
        "anything_else": "Anything else?",
        "sorry": "It is taken.",
        "yes": "Yes",
        "no": "No",
        "free": "Free",
        "taken": "Taken",
        "bye": "Goodbye.",
    },
    graph={
        "hello": ("ask_name",),
        "ask_name": ("ask_day",),
        "ask_day": ("tell_rules",),
        "tell_rules": ("query_check",),
        "free": ("offer",),
        "taken": ("sorry",),
        "yes": ("query_book",),
        "no": ("ask_day",),
        "query_book": ("done",),
        "done": ("anything_else",),
    },
)
WHOLE = ["hello", "ask_name", "ask_day", "tell_rules", "query", "offer", "query", "done", "anything_else", "bye"]


def test_a_chart_knows_its_beginning_and_its_branches() -> None:
    assert CHART.start == "hello"
    assert CHART.conditions == ("free", "taken", "yes", "no")
    assert CHART.unplaced == ("bye",)
    assert CHART.steps == (
        "hello", "ask_name", "ask_day", "tell_rules", "query_check", "offer", "sorry", "query_book", "done",
        "anything_else",
    )  # fmt: skip


def test_the_whole_way_is_allowed() -> None:
    score = follows(CHART, WHOLE)
    assert (score.steps, score.followed, score.share, score.free, score.first) == (9, 9, 1.0, 1, None)


@pytest.mark.parametrize(
    "actions",
    [
        ["ask_day", "tell_rules", "query"],  # the name was told
        ["hello", "ask_name", "ask_name"],  # asked once more
        ["tell_rules", "query", "query", "sorry", "ask_day"],  # looked up twice, and another day
        ["tell_rules", "query_check", "offer", "query_book", "done"],  # by the steps' own names
        ["tell_rules", None, "query"],  # free words between
        [],
    ],
)
def test_what_a_chart_lets_pass(actions: list[str | None]) -> None:
    assert follows(CHART, actions).first is None


@pytest.mark.parametrize(
    ("actions", "first"),
    [
        (["hello", "query"], Deviation(1, "query", ("ask_name", "ask_day", "tell_rules"))),  # a statement left out
        (["ask_day", "done"], Deviation(1, "done", ("ask_day", "tell_rules"))),  # acted where it may only ask
        (
            ["hello", "bye", "unheard_of", "sorry"],
            Deviation(3, "sorry", ("hello", "ask_name", "ask_day", "tell_rules")),
        ),
        ([*WHOLE[:8], "query"], Deviation(8, "query", ("anything_else",))),
    ],
)
def test_where_a_chart_is_left(actions: list[str | None], first: Deviation) -> None:
    found = follows(CHART, actions).first
    assert found is not None and (found.place, found.action) == (first.place, first.action)
    assert set(first.expected) <= set(found.expected)
    assert found.action not in found.expected


def test_after_a_deviation_the_agent_is_where_they_went() -> None:
    score = follows(CHART, ["hello", "query", "offer", "query", "done"])
    assert score.allowed == (True, False, True, True, True)
    assert score.share == 0.8


def test_what_the_chart_does_not_know_counts_neither_way() -> None:
    score = follows(CHART, [None, "custom", "bye"])
    assert (score.steps, score.share, score.unknown, score.free) == (0, None, 2, 1)


@given(st.lists(st.sampled_from([*CHART.replies, "query", "custom", None]), max_size=30))
def test_every_action_is_counted_once(actions: list[str | None]) -> None:
    score = follows(CHART, actions)
    assert score.steps + score.free + score.unknown == len(actions)
    assert score.followed == sum(score.allowed) <= score.steps == len(score.allowed)
    assert (score.first is None) == (score.followed == score.steps)


def test_a_chart_that_only_turns_in_a_ring_begins_with_its_first_step() -> None:
    (ring,) = read_flowcharts(b'{"task": "ring", "replies": {}, "graph": {"a": ["b"], "b": "a"}}', "x")
    assert (ring.name, ring.start, ring.steps) == ("ring", "a", ("a", "b"))


def test_runs_of_a_file_are_scored_by_workflow(tmp_path: Path) -> None:
    charts = tmp_path / "w.json"
    charts.write_text(json.dumps({"book": {"task": "book", "replies": CHART.replies, "graph": CHART.graph}}), "utf-8")
    runs = tmp_path / "runs.jsonl"
    lines = [
        line("1", WHOLE, customer="a"),
        line("2", ["hello", "query"], customer="b"),
        "{}",
        line("3", ["x"], "other"),
    ]
    runs.write_text("\n".join(lines), "utf-8")
    report = score_runs(runs, charts)
    (found,) = report.workflows
    assert (found.workflow, found.runs, found.steps, found.whole) == ("book", 2, 11, 0.5)
    assert found.followed == 10 / 11
    assert found.followed_interval is not None and found.followed_interval.low < 10 / 11 < found.followed_interval.high
    assert (found.left[0].action, found.left[0].runs) == ("query", 1)
    assert report.without_chart == {"other": 1}
    assert len(report.problems) == 1 and "runs.jsonl:3" in report.problems[0]


def test_recorded_agents_mostly_follow_their_charts(recorded: Callable[[str], Path]) -> None:
    report = score_runs(recorded("star.trajectories.jsonl.gz"), recorded("star.workflows.json"))
    assert len(report.workflows) == 16 and not report.problems
    steps = sum(one.steps for one in report.workflows)
    assert sum(one.steps * (one.followed or 0) for one in report.workflows) / steps > 0.8


def line(identity: str, actions: list[str], capability: str = "book", customer: str | None = None) -> str:
    messages = [{"role": "user", "content": "?"}, *({"role": "assistant", "action": action} for action in actions)]
    return json.dumps({"id": identity, "capability": capability, "customer": customer, "messages": messages})
