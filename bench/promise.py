"""Whether the specialist keeps its promise: simulated organizations whose truth is known, then Banking77.

Each seed is a company of its own: its work is played through the whole loop, and the last part of it,
never served, tells the error among the answers that the specialist would give alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from msgspec import structs

from tokencapital.app.demo import declare, split_unseen
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.played import answers_at, rule_recovery
from tokencapital.app.replay import Budget, Player
from tokencapital.app.replay_run import ReplayOptions, run_replay
from tokencapital.app.settings import Settings
from tokencapital.app.simulated import OrganizationScript
from tokencapital.core.answer import Stage
from tokencapital.core.clock import RecordedClock
from tokencapital.simulate.organization import Plan, simulated_organization
from tokencapital.store.releases import lineage_groups
from tokencapital.store.turns import turns

BANKING77 = Path(__file__).parents[1] / "../shared/data/banking77.cases.jsonl.gz"
TOLERANCE = 0.05
SIMULATED_TOLERANCE = 0.15
"""Simulated experts slip in about 8% of their judgments, so that a perfect specialist is judged wrong as often."""
PLAN = Plan(cases=5_000, kinds=12, overlap=0.3, ambiguous=0.05, ruled=0.3)
JUDGED = 2_000
"""Drawn uniformly, so that most companies get a promise to break: of active draws too few are uniform for one."""


def play(seed: int, folder: Path) -> dict[str, Any]:
    """One organization through the loop, and how its promise was kept on unseen work."""
    organization = simulated_organization(seed, PLAN)
    capability = organization.capabilities[0]
    script = OrganizationScript(organization, capability.name)
    script.cases, unseen = split_unseen(script)
    clock = RecordedClock(script.cases[0].at)
    with Platform.open(Settings(store=str(folder / f"{seed}.sqlite"), seed=seed), clock=clock) as platform:
        place = declare(platform, capability, SIMULATED_TOLERANCE)
        player = Player(place, clock, script, Budget(JUDGED, active=False))
        asyncio.run(player.play())
        last = turns(place.store, place.name)[-1]
        answers = asyncio.run(answers_at(place, last, unseen))
        alone = [(c, a.value) for c, a in zip(unseen, answers, strict=True) if a.stage is Stage.SPECIALIST]
        wrong = [value != script.right(case, case.at) for case, value in alone]
        judged = [script.opinion(case) for case, _ in alone]
        misjudged = [one is not None and one != value for (_, value), one in zip(alone, judged, strict=True)]
        recovery = rule_recovery(place, script, SIMULATED_TOLERANCE)
        return {
            "seed": seed,
            "unseen": len(unseen),
            "share": len(alone) / len(unseen),
            "realized": sum(wrong) / len(wrong) if wrong else None,
            "realized_by_judgment": sum(misjudged) / len(misjudged) if misjudged else None,
            "sealed_in_lineage": sealed_in_lineage(place),
            "rule_change": structs.asdict(recovery) if recovery else None,
        }


def exceeds(run: dict[str, Any]) -> bool:
    """Whether more than tolerated were wrong, by the truth or by what experts say of the same cases."""
    found = [run["realized"], run["realized_by_judgment"]]
    return any(share is not None and share > SIMULATED_TOLERANCE for share in found)


def sealed_in_lineage(place: Workplace) -> int:
    """How many entities that may still judge are among those that the live specialist was built from."""
    digest = place.releases.live(place.name).policy.specialist
    built_from = lineage_groups(place.store, digest) if digest else set()
    return len(built_from & {task.group for task in place.sealed.open(place.now()).tasks})


def banking77(folder: Path) -> dict[str, Any] | None:
    """The promise after 2,310 judgments on recorded messages; None where the recording is not there."""
    if not BANKING77.exists():
        return None
    options = ReplayOptions(file=BANKING77, judgments=2310, tolerance=TOLERANCE, store=str(folder / "banking77.sqlite"))
    promise = run_replay(options).report.promise
    return None if promise is None else {"share": promise.share, "realized": promise.realized}


def main() -> None:
    """Plays all organizations and tells how many promises were broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--simulated-only", action="store_true", help="leave Banking77 out")
    parser.add_argument("--json", metavar="PATH", help="`-` is standard output")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        runs = []
        for seed in range(asked.seeds):
            runs.append(play(seed, Path(name)))
            print(f"seed {seed}: {runs[-1]}", file=sys.stderr)
        result = {
            "seeds": asked.seeds,
            "exceeded": sum(exceeds(run) for run in runs),
            "tolerance": SIMULATED_TOLERANCE,
            "sealed_in_lineage": sum(run["sealed_in_lineage"] for run in runs),
            "banking77": None if asked.simulated_only else banking77(Path(name)),
            "runs": runs,
        }
    summary = f"{result['exceeded']} of {asked.seeds} seeds above the tolerance of {SIMULATED_TOLERANCE:.0%}"
    print(f"{summary}; Banking77 after 2,310 judgments: {result['banking77']}", file=sys.stderr)
    if asked.json == "-":
        print(json.dumps(result, indent=2))
    elif asked.json:
        Path(asked.json).write_text(json.dumps(result, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
