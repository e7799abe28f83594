"""What `tcap look` finds in raw logs of three sources without any label, and how calls are joined to conversations.

Kinds: STAR's dialogues, Banking77's messages and tau-airline's runs (with the system prompt that their agent had) as
logs, mixed and shuffled. The V-measure (Rosenberg and Hirschberg 2007) compares the kinds that are proposed with the
three sources, and the topics found inside STAR with its workflows. Nothing here was fitted to these labels.

Joining: each assistant's turn of STAR and tau-airline is one call with the history so far. Conversations begin by
chance so that about so many are open at once. One is joined rightly if each of its calls is in the trajectory of its
last, or stands apart and is counted because another conversation stood in the same place; `whole` counts only the
former.

    python bench/look.py --json out/look.json
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tokencapital.app.look_kinds import find_kinds
from tokencapital.app.look_pile import Pile
from tokencapital.app.look_reading import recorded_in
from tokencapital.app.look_rules import found_by, propose_rules
from tokencapital.core.case import Json
from tokencapital.meter.prices import PriceBook
from tokencapital.models.wordllama import WordLlamaEmbedder
from tokencapital.record.joining import Joining
from tokencapital.record.observed import Joined
from tokencapital.serve.rules_sorting import Rules
from tokencapital.store.database import Store
from tokencapital.testing.conversations import (
    START,
    Sent,
    interleaved,
    misplaced,
    recorded_conversations,
    recorded_lines,
)

Labelled = tuple[str, str, dict[str, Json]]
RECORDED = Path(__file__).parents[1] / "../shared/data"
_KEPT = ("role", "content", "tool_calls", "tool_call_id", "name")
_BATCH = 200


def mixed_logs(folder: Path, *, prompts: bool, calls: bool) -> list[Labelled]:
    """The source, the workflow and the line of each piece of work, shuffled; with `calls` a line for each call."""
    policy = {"role": "system", "content": (folder / "tau-airline.policy.txt").read_text("utf-8")}
    star = recorded_lines(folder / "star.trajectories.jsonl.gz")
    tau = recorded_lines(folder / "tau-airline.trajectories.jsonl.gz")
    banking = recorded_lines(folder / "banking77.cases.jsonl.gz")
    found = [
        *(("star", one["capability"], [said for said in one["messages"] if said["role"] != "draft"]) for one in star),
        *(("tau", "airline", [*([policy] if prompts else []), *one["messages"]]) for one in tau),
        *(("banking77", "triage", one["input"]) for one in banking),
    ]
    random.Random(3).shuffle(found)
    return [
        (source, workflow, line)
        for source, workflow, said in found
        if said
        for line in _lines([{name: one[name] for name in _KEPT if name in one} for one in said], calls=calls)
    ]


def measure_kinds(lines: Sequence[Labelled]) -> dict[str, Json]:
    """How far the proposed kinds agree with the sources, and topics with STAR's workflows."""
    embedder = WordLlamaEmbedder()
    pile, sources, workflows = Pile(embedder, PriceBook(), START), [], []
    began = time.perf_counter()
    for source, workflow, line in lines:
        before = len(pile)
        pile.add(recorded_in(line))
        if len(pile) > before:
            sources.append(source)
            workflows.append(workflow)
    kinds = find_kinds(pile)
    took = time.perf_counter() - began
    names = [f"kind-{number}" for number in range(kinds.count)]
    rules = Rules(propose_rules(pile, kinds, names, embedder), embedder)
    star = [place for place, one in enumerate(pile.sample) if sources[one.case] == "star"]
    topics = [f"{kinds.of_sample[place]}.{kinds.topics[place]}" for place in star]
    return {
        "lines": len(lines),
        "cases": len(pile),
        "lines_per_s": round(len(lines) / took),
        "kinds": kinds.count,
        "v_measure": round(v_measure(sources, kinds.of_case.tolist()), 4),
        "topics_in_star": len(set(topics)),
        "v_measure_of_star_workflows": round(v_measure([workflows[pile.sample[one].case] for one in star], topics), 4),
        "found_by_rules": found_by(pile, kinds, names, rules),
    }


def measure_joining(folder: Path, open_at_once: float) -> dict[str, Json]:
    """The share of conversations that are joined rightly, and calls joined per second on SQLite."""
    conversations = recorded_conversations(folder)
    stream = interleaved(conversations, open_at_once, seed=7)
    with tempfile.TemporaryDirectory() as place:
        store = Store.open(str(Path(place) / "store.db"), key=b"k" * 32)
        began = time.perf_counter()
        placed = _joined(store, stream)
        took = time.perf_counter() - began
        store.close()
    wrong, split = misplaced(stream, placed)
    count = len({one.conversation for one in stream})
    return {
        "open_at_once": open_at_once,
        "conversations": count,
        "calls": len(stream),
        "joined_rightly": 1 - len(wrong) / count,
        "whole": 1 - len(split) / count,
        "ambiguous_calls": sum(one.ambiguous for one in placed.values()),
        "calls_per_s": round(len(stream) / took),
    }


def v_measure(true: Sequence[str], found: Sequence[object]) -> float:
    """The harmonic mean of homogeneity and completeness: 1 for the same partition, 0 for one that tells nothing."""
    both, rows, columns = Counter(zip(true, found, strict=True)), Counter(true), Counter(found)
    n = len(true)
    given = -sum(count / n * math.log(count / columns[column]) for (_, column), count in both.items())
    back = -sum(count / n * math.log(count / rows[row]) for (row, _), count in both.items())
    homogeneity, completeness = 1 - _over(given, _entropy(rows, n)), 1 - _over(back, _entropy(columns, n))
    return _over(2 * homogeneity * completeness, homogeneity + completeness)


def _joined(store: Store, stream: Sequence[Sent]) -> dict[str, Joined]:
    joining = Joining(store)
    placed: dict[str, Joined] = {}
    for start in range(0, len(stream), _BATCH):
        batch = stream[start : start + _BATCH]
        with store.begin() as connection:
            found = joining.join(connection, [one.heard for one in batch])
        placed |= {one.heard.call.id: place for one, place in zip(batch, found, strict=True)}
    return placed


def _lines(said: list[dict[str, Json]], *, calls: bool) -> list[dict[str, Json]]:
    if not calls or not any(one["role"] == "assistant" for one in said):
        return [{"messages": said}]
    return [
        {"request": {"messages": said[:place]}, "response": {"choices": [{"message": one}]}}
        for place, one in enumerate(said)
        if one["role"] == "assistant" and place
    ]


def _entropy(counts: Counter[object] | Counter[str], n: int) -> float:
    return -sum(count / n * math.log(count / n) for count in counts.values())


def _over(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def main() -> None:
    """Measures all of it and writes it where `--json` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=RECORDED, help="the folder of recorded work")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    if not asked.data.is_dir():
        sys.exit(f"{asked.data} is not there")
    report = {
        "conversations": measure_kinds(mixed_logs(asked.data, prompts=True, calls=False)),
        "conversations_without_prompts": measure_kinds(mixed_logs(asked.data, prompts=False, calls=False)),
        "calls": measure_kinds(mixed_logs(asked.data, prompts=True, calls=True)),
        "joining": [measure_joining(asked.data, one) for one in (0.01, 1.0, 8.0, 64.0, 1000.0)],
    }
    text = json.dumps(report, indent=2)
    print(text)
    if asked.json:
        asked.json.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
