"""How often a swap test's interval holds the known portable share: simulated organizations, models of known ability.

Each seed is a company with generalists of abilities of its own. Its work is played through the whole loop, people
judge it, the loop releases a policy, and the swap test measures that on the sealed batch, with the home generalist
and two others. The known share is what the same policy and the same generalists do on a large fresh sample of the
same kind of work, held against the truth that no expert blurs.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tokencapital.app.contenders import Contender, home_contender, scripted_contender
from tokencapital.app.demo import declare
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.replay import Budget, Player
from tokencapital.app.scripted import ScriptedGeneralist, known_truth
from tokencapital.app.settings import Settings
from tokencapital.app.simulated import OrganizationScript
from tokencapital.app.swapping import SwapAsked, swap_between
from tokencapital.core.case import Case, Value
from tokencapital.core.clock import RecordedClock
from tokencapital.promote.swap import LEVEL, PortableShare, SwapReport, plain_policy
from tokencapital.serve.engine import Engine
from tokencapital.serve.ports import FixedRelease, Live, NoSink
from tokencapital.simulate.base import Organization
from tokencapital.simulate.organization import Plan, simulated_organization
from tokencapital.simulate.scripted import Ability, ScriptedMind
from tokencapital.stats.intervals import clopper_pearson
from tokencapital.stats.ratio import ratio_of_paired_differences

PLAN = Plan(cases=1_000, kinds=8, cases_per_group=0.7, overlap=0.3, ambiguous=0.05)
TURNS = 1
TOLERANCE = 0.10
FRESH = 1_000_000
"""Added to a seed for the fresh sample, so that it is of no company that is played."""
AT_ONCE = 500
WORLDS = ("scripted", "none")
"""What the home generalist is."""


class Work(Struct, frozen=True):
    """Cases with what is right of them."""

    cases: Sequence[Case]
    truths: Sequence[Value]


class Known(Struct, frozen=True):
    """The known ratio of another generalist's uplift to the home one's, and its standard error.

    Both NaN: the home generalist gains nothing, as where the gate let nothing through. No share exists then, no
    interval holds it, and the test is right to call it unknown.
    """

    ratio: float
    error: float

    @property
    def exists(self) -> bool:
        return not math.isnan(self.ratio)


def play(seed: int, folder: Path, fresh: int, home: str) -> dict[str, Any]:
    """One company: its swap test, and what is known of the same policy."""
    started = time.perf_counter()
    organization = simulated_organization(seed, PLAN)
    script = OrganizationScript(organization, organization.capabilities[0].name)
    unseen = fresh_work(seed, fresh)
    clients = scripted_clients(seed, organization, unseen)
    clock = RecordedClock(script.cases[0].at)
    settings = Settings(store=str(folder / f"{home}-{seed}.sqlite"), seed=seed)
    with Platform.open(settings, clock=clock, key=hashlib.sha256(f"swap {seed}".encode()).digest()) as platform:
        named = [scripted_contender(platform, one) for one in clients]
        if home == "scripted":
            platform.generalist, platform.meter = named[0].client, named[0].meter
        place = declare(platform, organization.capabilities[0], TOLERANCE)
        asyncio.run(Player(place, clock, script, Budget(PLAN.cases, active=False, turns=TURNS)).play())
        contenders = named if home == "scripted" else [home_contender(platform, place), *named[1:]]
        report = asyncio.run(swap_between(contenders, place, SwapAsked(against=(), by="bench")))
        known = asyncio.run(know(place, contenders, unseen))
    return outcome(report, known) | {"seed": seed, "seconds": time.perf_counter() - started}


def scripted_clients(seed: int, organization: Organization, unseen: Work) -> list[ScriptedGeneralist]:
    """A home generalist that the policy improves on, and two others of any ability."""
    rng = np.random.default_rng(seed)
    right = {case.messages[0].content: organization.truth(case, case.at) for case in organization.cases}
    right |= {case.messages[0].content: truth for case, truth in zip(unseen.cases, unseen.truths, strict=True)}
    plain = {"home": rng.uniform(0.25, 0.5), "second": rng.uniform(0.2, 0.8), "third": rng.uniform(0.2, 0.8)}
    minds = [
        ScriptedMind(name=name, ability=Ability(one, one + rng.uniform(0.2, 0.6) * (1 - one)), seed=seed)
        for name, one in plain.items()
    ]
    return [ScriptedGeneralist(mind, known_truth(right)) for mind in minds]


def fresh_work(seed: int, count: int) -> Work:
    """As many cases of the same kind of work, under names of their own."""
    organization = simulated_organization(FRESH + seed, msgspec.structs.replace(PLAN, cases=count))
    cases = [
        msgspec.structs.replace(case, id=f"fresh-{case.id}", group=f"fresh-{case.group}", key=f"fresh-{case.key}")
        for case in organization.cases
    ]
    return Work(cases, [organization.truth(case, case.at) for case in organization.cases])


async def know(place: Workplace, contenders: Sequence[Contender], unseen: Work) -> list[Known]:
    """What the live policy is worth to each other generalist in relation to the home one, in truth."""
    gains = [await gains_of(place, one, unseen) for one in contenders]
    groups = [case.group for case in unseen.cases]
    known = []
    for other in gains[1:]:
        found = ratio_of_paired_differences(other, gains[0], groups, 0.95)
        if found is None or found.interval is None:
            known.append(Known(math.nan, math.nan))
        else:
            known.append(Known(found.value, (found.interval.high - found.interval.low) / (2 * 1.96)))
    return known


async def gains_of(place: Workplace, contender: Contender, unseen: Work) -> NDArray[np.float64]:
    """For each case whether it is right with the policy, minus whether it is without."""
    live = place.releases.live(place.name)
    ran = await right_of(place, contender, live, unseen)
    if contender.client is None:
        return ran
    return ran - await right_of(place, contender, Live(plain_policy(place.capability, [])), unseen)


async def right_of(place: Workplace, contender: Contender, live: Live, unseen: Work) -> NDArray[np.float64]:
    parts = msgspec.structs.replace(
        place.parts, generalist=contender.client, meter=contender.meter, releases=FixedRelease(live), sink=NoSink()
    )
    engine = Engine(place.capability, parts, place.engine.memory)
    right: list[bool] = []
    for start in range(0, len(unseen.cases), AT_ONCE):
        done = await engine.answer_many(unseen.cases[start : start + AT_ONCE])
        truths = unseen.truths[start : start + AT_ONCE]
        right += [one.trajectory.answer.value == truth for one, truth in zip(done, truths, strict=True)]
    return np.array(right, np.float64)


def outcome(report: SwapReport, known: Sequence[Known]) -> dict[str, Any]:
    """Whether each interval holds what is known; an unknown share holds nothing."""
    told = [one.portable for one in report.uplifts[1:]]
    least = min(known, key=lambda one: one.ratio)
    return {
        "exists": least.exists,
        "entities": report.entities,
        "released": report.reading.release is not None,
        "home_uplift": report.home.uplift,
        "known": [one.ratio if one.exists else None for one in known],
        "known_error": [one.error if one.exists else None for one in known],
        "told": [None if one is None else one.ratio for one in told],
        "covered": [one is not None and holds(one, it) for one, it in zip(told, known, strict=True)],
        "covered_as_measured": [
            one is not None and one.bounds.low <= it.ratio <= one.bounds.high
            for one, it in zip(told, known, strict=True)
        ],
        "least": None if report.portable is None else report.portable.share,
        "least_known": clipped(least.ratio) if least.exists else None,
        "least_covered": report.portable is not None and holds(report.portable, least),
        "least_width": None
        if report.portable is None
        else report.portable.interval.high - report.portable.interval.low,
    }


def holds(told: PortableShare, known: Known) -> bool:
    """Whether the reported interval, in [0, 1], holds the known share, in [0, 1]."""
    return told.interval.low <= clipped(known.ratio) <= told.interval.high


def clipped(ratio: float) -> float:
    """A ratio as a share; one that does not exist is held by nothing."""
    return ratio if math.isnan(ratio) else min(1.0, max(0.0, ratio))


def sum_up(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of a world: shares of seeds, those of single generalists over all of them."""
    count = len(runs)
    covered = sum(run["least_covered"] for run in runs)
    interval = clopper_pearson(covered, count, 0.95)
    widths = [run["least_width"] for run in runs if run["least_width"] is not None]
    return {
        "seeds": count,
        "covered": covered / count,
        "covered_interval": [interval.low, interval.high] if interval else None,
        "each_covered": float(np.mean([one for run in runs for one in run["covered"]])),
        "each_covered_as_measured": float(np.mean([one for run in runs for one in run["covered_as_measured"]])),
        "unknown": sum(run["least"] is None for run in runs) / count,
        "no_share_exists": sum(not run["exists"] for run in runs) / count,
        "told_where_none_exists": sum(not run["exists"] and run["least"] is not None for run in runs) / count,
        "median_width": float(np.median(widths)) if widths else None,
        "median_entities": float(np.median([run["entities"] for run in runs])),
        "released": sum(run["released"] for run in runs) / count,
        "known_least": np.quantile([run["least_known"] for run in runs if run["exists"]], (0.0, 0.5, 1.0)).tolist(),
        "largest_known_error": max(error for run in runs if run["exists"] for error in run["known_error"]),
        "median_seconds": float(np.median([run["seconds"] for run in runs])),
    }


def main() -> None:
    """Plays both worlds and prints the figures; `--json F` writes them with every run (`-`: to stdout)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--fresh", type=int, default=8_000, help="fresh cases on which the truth is found")
    parser.add_argument("--home", choices=WORLDS, action="append", help="default: both")
    parser.add_argument("--json", metavar="F", help="write the figures there; - for stdout")
    asked = parser.parse_args()
    found: dict[str, Any] = {"level": LEVEL, "fresh": asked.fresh}
    for home in asked.home or WORLDS:
        runs = []
        with tempfile.TemporaryDirectory() as name:
            for seed in range(asked.seeds):
                runs.append(play(seed, Path(name), asked.fresh, home))
                held = sum(run["least_covered"] for run in runs)
                print(f"\rhome {home}: {held} of {seed + 1} held", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        found[home] = sum_up(runs) | {"runs": runs}
        print(json.dumps(sum_up(runs), indent=2), file=sys.stderr)
    found["covered"] = min(found[home]["covered"] for home in asked.home or WORLDS)
    text = json.dumps(found, indent=2)
    if asked.json == "-":
        print(text)
    elif asked.json:
        Path(asked.json).write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
