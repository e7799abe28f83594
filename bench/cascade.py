"""What the cascade saves against the same generalist with exemplars on every case, and whether it costs accuracy.

Banking77, embedded generalist, after 2,310 judgments and after all. Each stage's answers are timed one
by one on the same test cases. On one machine dollars and joules are both proportional to time, so
that the ratio of OPDW is the square of the time ratio, times that of the accepted shares.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tokencapital.app.arms import Arm, arms, run_arm
from tokencapital.app.loop import learn_to_show
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.played import answers_at
from tokencapital.app.replay_run import ReplayOptions, run_replay
from tokencapital.app.settings import GeneralistKind, GeneralistSettings, Settings
from tokencapital.core.answer import Trajectory
from tokencapital.core.clock import RecordedClock
from tokencapital.core.policy import Policy
from tokencapital.record.importers import TEST, RecordedCase, read_recording
from tokencapital.stats.efficiency import outcome_efficiency
from tokencapital.stats.paired import paired_difference
from tokencapital.store.turns import turns

BANKING77 = Path(__file__).parents[1] / "../shared/data/banking77.cases.jsonl.gz"
EMBEDDED = GeneralistSettings(kind=GeneralistKind.EMBEDDED, concurrency=1)
LEVEL = 0.95
TOLERANCE = 0.05


def measure(judgments: int | None, cases: int, folder: Path) -> dict[str, Any]:
    """The cascade after so many judgments (None: all) beside each of its stages, on `cases` test cases."""
    store = str(folder / f"{judgments or 'all'}.sqlite")
    run_replay(ReplayOptions(file=BANKING77, judgments=judgments, tolerance=TOLERANCE, store=store))
    test = [one for one in read_recording(BANKING77).cases if one.split == TEST]
    sample = [test[i] for i in sorted(np.random.default_rng(0).choice(len(test), cases, replace=False))]
    with Platform.open(Settings(store=store, generalist=EMBEDDED), clock=RecordedClock(test[-1].at)) as platform:
        place = platform.workplace(test[0].capability)
        return asyncio.run(_compare(place, test, sample))


async def _compare(place: Workplace, test: Sequence[RecordedCase], sample: Sequence[RecordedCase]) -> dict[str, Any]:
    last = turns(place.store, place.name)[-1]
    local = await answers_at(_without_generalist(place), last, [one.case for one in test])
    live = place.releases.live(place.name)
    shown, _ = await learn_to_show(place, TOLERANCE)
    if shown:
        live = msgspec.structs.replace(live, policy=shown[0].policy)
    cascade, generalist, _ = arms(live)
    specialist = Arm("specialist alone", msgspec.structs.replace(live, policy=_local_only(cascade)))
    done = {arm.name: await _timed(place, arm, sample) for arm in (cascade, generalist, specialist)}
    return _figures(done, sample, reaching=float(np.mean([not answer.sure for answer in local])))


async def _timed(place: Workplace, arm: Arm, sample: Sequence[RecordedCase]) -> list[Trajectory]:
    def tell(count: int) -> None:
        if count % 50 == 0:
            print(f"{arm.name}: {count} of {len(sample)}", file=sys.stderr)

    return await run_arm(place, arm, [one.case for one in sample], tell)


def _figures(done: dict[str, list[Trajectory]], sample: Sequence[RecordedCase], *, reaching: float) -> dict[str, Any]:
    groups = [one.group for one in sample]
    right = {
        name: [one.answer.value == case.answer for one, case in zip(ran, sample, strict=True)]
        for name, ran in done.items()
    }
    seconds = {name: float(np.mean([one.elapsed_s for one in ran])) for name, ran in done.items()}
    opdw = {name: _opdw(ran, right[name], groups) for name, ran in done.items()}
    cascade, generalist, specialist = done
    differences = {
        other: paired_difference(right[cascade], right[other], groups, LEVEL) for other in (generalist, specialist)
    }
    return {
        "cases": len(sample),
        "accuracy": {name: float(np.mean(one)) for name, one in right.items()},
        "seconds_per_case": seconds,
        "opdw": opdw,
        "opdw_ratio": opdw[cascade] / opdw[generalist],
        "time_ratio": seconds[generalist] / seconds[cascade],
        "reaching_generalist": reaching,
        "accuracy_difference_lower": {other: one.interval.low if one else None for other, one in differences.items()},
    }


def _opdw(ran: Sequence[Trajectory], right: Sequence[bool], groups: Sequence[str]) -> float:
    costs = [float(one.cost.amount) if one.cost else float("nan") for one in ran]
    joules = [float("nan") if one.energy.joules is None else one.energy.joules for one in ran]
    found = outcome_efficiency(right, costs, joules, groups, LEVEL)
    return float("nan") if found is None else found.opdw


def _without_generalist(place: Workplace) -> Workplace:
    return msgspec.structs.replace(place, parts=msgspec.structs.replace(place.parts, generalist=None))


def _local_only(cascade: Arm) -> Policy:
    return msgspec.structs.replace(cascade.live.policy, generalist=False)


def main() -> None:
    """Measures both stages of learning and prints the figures side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=500, help="test cases that every arm answers")
    parser.add_argument("--json", metavar="PATH", help="`-` is standard output")
    asked = parser.parse_args()
    if not BANKING77.exists():
        sys.exit(f"{BANKING77} is not there")
    with tempfile.TemporaryDirectory() as name:
        found = {label: measure(count, asked.cases, Path(name)) for label, count in (("2310", 2310), ("all", None))}
    lowers = [lower for one in found.values() for lower in one["accuracy_difference_lower"].values()]
    result = {
        "opdw_ratio_2310": found["2310"]["opdw_ratio"],
        "opdw_ratio_all": found["all"]["opdw_ratio"],
        "time_ratio_all": found["all"]["time_ratio"],
        "accuracy_difference_lower": min(lowers),
        "after": found,
    }
    text = json.dumps(result, indent=2)
    print(text, file=sys.stdout if asked.json == "-" else sys.stderr)
    if asked.json and asked.json != "-":
        Path(asked.json).write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
