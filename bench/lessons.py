"""What approved lessons are worth with the embedded generalist: STAR's tool arguments, from corrections alone.

A part of the recorded stream is judged as the agents decided. The generalist answers some of the cases that may
teach, with exemplars as in serving; where it and the agent differ, lessons are proposed. The record has no reasons,
so that lessons are patterns in the words of the house, or in the generalist's where these pass the checks. A scripted
approver approves whatever was proposed: that is no person, and the figure says what such lessons are worth. Their
effect is measured on sealed cases, one of each dialogue, as a paired difference in the share of right fields.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
import numpy as np

from tokencapital.app.lesson_effects import measure_lessons, showing
from tokencapital.app.lessons import approve, propose_lessons_anew
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.settings import GeneralistKind, GeneralistSettings, Settings
from tokencapital.app.telling import tell_players
from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.case import Capability, Case, Contract, ContractKind, Goal, Mode, Value
from tokencapital.core.clock import RecordedClock
from tokencapital.core.judgment import DrawKind, Judgment, Verdict
from tokencapital.core.policy import Decision, Evidence, Lane, Policy, Release
from tokencapital.core.quantity import UNKNOWN_ENERGY
from tokencapital.core.split import Split
from tokencapital.evaluate.scorers import score
from tokencapital.evaluate.sealed import SealedCases
from tokencapital.record.importers import STREAM, RecordedCase, read_recording
from tokencapital.stats.paired import paired_difference
from tokencapital.store import releases as book
from tokencapital.store.cases import record_exchanges
from tokencapital.store.judgments import append_judgments
from tokencapital.store.manifest import assign

ARGUMENTS = Path(__file__).parents[1] / "../shared/data/star-arguments.cases.jsonl.gz"
EMBEDDED = GeneralistSettings(kind=GeneralistKind.EMBEDDED, concurrency=1)
KEY = bytes(range(32))
LEVEL = 0.95
APPROVER = "scripted-approver"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How many judged cases lie in memory, how many the generalist answers, on how many sealed ones it is measured.

    Conversations of more than `longest` characters are left out: each would take this generalist half a minute.
    """

    judged: int
    answered: int
    sealed: int
    longest: int


def measure(plan: Plan, exemplars: int, folder: Path) -> dict[str, Any]:
    """The effect of the approved lessons on a generalist that is shown so many exemplars."""
    read = [one for one in read_recording(ARGUMENTS).cases if one.split == STREAM]
    recorded = sorted((one for one in read if _length(one) <= plan.longest), key=lambda one: one.at)
    clock = RecordedClock(recorded[-1].at + timedelta(days=1))
    settings = Settings(store=str(folder / f"{exemplars}.sqlite"), generalist=EMBEDDED)
    with Platform.open(settings, clock=clock, key=KEY) as platform:
        name, contract = recorded[0].capability, Contract(kind=ContractKind.FIELDS)
        goal = Goal(capability=name, purpose="bench", owner=APPROVER, metric="right fields", tolerance=0.05)
        platform.declare(Capability(name=name, contract=contract, mode=Mode.ANSWER), goal, APPROVER)
        tell_players(platform.store, (), recorded[0].at)
        place = platform.workplace(name)
        place = msgspec.structs.replace(place, sealed=SealedCases(platform.store, name, plan.sealed))
        return asyncio.run(_measure(platform, place, recorded, plan, exemplars))


async def _measure(
    platform: Platform, place: Workplace, recorded: Sequence[RecordedCase], plan: Plan, exemplars: int
) -> dict[str, Any]:
    splits = assign(place.store, [one.case for one in recorded])
    train = [one for one, at in zip(recorded, splits, strict=True) if at.split is Split.TRAIN]
    sealed = _one_of_each([one for one, at in zip(recorded, splits, strict=True) if at.split is Split.SEALED])
    kept = [*train[: plan.judged], *sealed[: plan.sealed]]
    record_exchanges(place.store, [Exchange(one.case, _unanswered(place, one.case)) for one in kept])
    _judge(place, kept)
    _release(place, exemplars)
    answering = train[plan.judged : plan.judged + plan.answered]
    given = await _answers(place, answering)
    _judge(place, answering)
    _release(place, exemplars)
    drafted = await propose_lessons_anew(place)
    for lesson in drafted.proposed:
        approve(platform, lesson.id, APPROVER)
    result = {
        "exemplars": exemplars,
        "longest_conversation": plan.longest,
        "judged_in_memory": plan.judged,
        "answered_and_judged": len(answering),
        "fields_right_before": float(
            np.mean([_share(one, value) for one, value in zip(answering, given, strict=True)])
        ),
        "lessons": [[one.text, one.wording.value, one.entities] for one in drafted.proposed],
    }
    return result | (await _effect(place) if drafted.proposed else {})


async def _effect(place: Workplace) -> dict[str, Any]:
    """The lessons' effect by the gate's own comparison, and by a single look at the same cases."""
    started = perf_counter()
    [found] = await measure_lessons(place, APPROVER)
    tasks = place.sealed.open(place.now()).tasks
    with_lessons = await place.runner.run(showing(place, found.lessons), tasks)
    without = await place.runner.run(showing(place, ()), tasks)
    ours, theirs = ([one.score.share for one in each] for each in (with_lessons, without))
    single = paired_difference(ours, theirs, [task.group for task in tasks], LEVEL)
    return {
        "sealed_cases": len(tasks),
        "fields_right_with": float(np.mean(ours)),
        "fields_right_without": float(np.mean(theirs)),
        "whole_right_with": float(np.mean([one.score.right for one in with_lessons])),
        "whole_right_without": float(np.mean([one.score.right for one in without])),
        "effect": single.estimate if single else None,
        "interval_95": [single.interval.low, single.interval.high] if single else None,
        "gate": msgspec.to_builtins(found.evidence),
        "asked": found.asked,
        "seconds": perf_counter() - started,
    }


async def _answers(place: Workplace, cases: Sequence[RecordedCase]) -> list[Value]:
    given: list[Value] = []
    for number, one in enumerate(cases, start=1):
        given.append((await place.engine.answer(one.case)).trajectory.answer.value)
        if number % 20 == 0:
            print(f"answered {number} of {len(cases)}", file=sys.stderr, flush=True)
    return given


def _judge(place: Workplace, cases: Iterable[RecordedCase]) -> None:
    now = place.now()
    said = [
        Judgment(
            id=f"jdg_{one.id}",
            case=one.id,
            capability=place.name,
            expert=one.expert,
            at=now,
            verdict=Verdict.CORRECTED,
            answer=one.answer,
            drawn=DrawKind.UNIFORM,
            probability=None,
            valid_from=now,
        )
        for one in cases
    ]
    append_judgments(place.store, said)
    place.engine.memory.refresh()


def _release(place: Workplace, exemplars: int) -> None:
    """The generalist answers every case, shown so many of the judged cases in memory, and nothing else is live."""
    policy = Policy(
        capability=place.name,
        contract=place.capability.contract,
        exemplars=exemplars,
        memory=place.engine.memory.sequence,
        identical=False,
        explore=0.0,
    )
    book.save_policy(place.store, policy)
    book.append_release(
        place.store,
        Release(
            id=place.parts.ids.new("rel"),
            capability=place.name,
            policy=policy.hash,
            at=place.now(),
            lane=Lane.CHANGE,
            decision=Decision.PROMOTED,
            evidence=Evidence(n=0, reason="declared for the bench"),
            decided_by="bench",
        ),
    )


def _unanswered(place: Workplace, case: Case) -> Trajectory:
    return Trajectory(
        id=f"trj_{case.id}",
        case=case.id,
        capability=place.name,
        at=place.now(),
        answer=Answer(value=None, stage=Stage.PERSON),
        policy="0" * 16,
        memory=0,
        seed=0,
        propensity=1.0,
        elapsed_s=0.0,
        energy=UNKNOWN_ENERGY,
    )


def _one_of_each(cases: Sequence[RecordedCase]) -> list[RecordedCase]:
    """One case of each dialogue, picked by a fixed seed."""
    rng, found = np.random.default_rng(0), dict[str, RecordedCase]()
    for at in rng.permutation(len(cases)).tolist():
        found.setdefault(cases[at].group, cases[at])
    return list(found.values())


def _length(one: RecordedCase) -> int:
    return sum(len(message.content) for message in one.input)


def _share(one: RecordedCase, given: Value) -> float:
    return score(ContractKind.FIELDS, one.answer, given).share


def main() -> None:
    """Measures with and without exemplars, and prints the effects with their intervals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--judged", type=int, default=600, help="judged cases in memory")
    parser.add_argument(
        "--answered", type=int, default=100, help="cases that the generalist answers before it is taught"
    )
    parser.add_argument("--sealed", type=int, default=150, help="sealed dialogues, one case of each")
    parser.add_argument("--longest", type=int, default=400, help="characters of the longest conversation taken")
    parser.add_argument("--exemplars", type=int, nargs="+", default=[1])
    parser.add_argument("--json", metavar="PATH", help="`-` is standard output")
    asked = parser.parse_args()
    if not ARGUMENTS.exists():
        sys.exit(f"{ARGUMENTS} is not there")
    plan = Plan(judged=asked.judged, answered=asked.answered, sealed=asked.sealed, longest=asked.longest)
    with tempfile.TemporaryDirectory() as name:
        found = [measure(plan, size, Path(name)) for size in asked.exemplars]
    text = json.dumps({f"exemplars_{one['exemplars']}": one for one in found}, indent=2)
    print(text, file=sys.stdout if asked.json == "-" else sys.stderr)
    if asked.json and asked.json != "-":
        Path(asked.json).write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
