"""How often the gate promotes what is no better, and how often it finds what is.

Each run is a stream of paired cases, looked at after every one of them. A promotion is a run whose
lower bound ever exceeds 0, that is whose e-value against a mean of 0 ever reaches 1/alpha. The same
looks with a z-test stand beside, to show what repeated looking costs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray

from tokencapital.stats.distributions import normal_quantile
from tokencapital.stats.intervals import clopper_pearson
from tokencapital.stats.sequential import betting_sequence, e_value

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, int], Floats]
ALPHA = 0.05
CHUNK = 20
CHECKED = 2
FIRST_Z_LOOK = 30


class World(Struct, frozen=True):
    """A way in which paired differences arise; `effect` is their true mean."""

    name: str
    effect: float
    draw: Draw


class Tally(Struct, frozen=True):
    """What a world's runs came to. Shares of runs, with 95% intervals; the median is over runs promoted."""

    world: str
    effect: float
    promoted: float
    interval: tuple[float, float]
    median_cases: int | None
    z_test_promoted: float


def independent(gains: float, losses: float) -> Draw:
    """Cases gain and lose independently with fixed chances."""

    def draw(rng: np.random.Generator, runs: int, cases: int) -> Floats:
        luck = rng.random((runs, cases))
        return (luck < gains).astype(np.float64) - ((luck >= gains) & (luck < gains + losses))

    return draw


def in_spells(rng: np.random.Generator, runs: int, cases: int) -> Floats:
    """Disagreement comes in spells of 50 cases, at 40% or at 1%; within them gains and losses balance."""
    share = np.repeat(rng.choice([0.01, 0.40], size=(runs, -(-cases // 50))), 50, axis=1)[:, :cases]
    luck = rng.random((runs, cases))
    return (luck < share / 2).astype(np.float64) - ((luck >= share / 2) & (luck < share))


def rare_disasters(rng: np.random.Generator, runs: int, cases: int) -> Floats:
    """4% of cases gain a quarter point of quality, 1% lose a whole one: a skewed null of mean 0."""
    luck = rng.random((runs, cases))
    return np.where(luck < 0.04, 0.25, 0.0) - (luck >= 0.99)


NULLS = (
    World("null 5% discordant", 0.0, independent(0.025, 0.025)),
    World("null 10% discordant", 0.0, independent(0.05, 0.05)),
    World("null 20% discordant", 0.0, independent(0.10, 0.10)),
    World("null 60% discordant", 0.0, independent(0.30, 0.30)),
    World("null rare, 0.4% discordant", 0.0, independent(0.002, 0.002)),
    World("null discordant in spells", 0.0, in_spells),
    World("null skewed, rare disasters", 0.0, rare_disasters),
)
GAINS = (
    World("+5: gains 15%, losses 10%", 0.05, independent(0.15, 0.10)),
    World("+5: gains 10%, losses 5%", 0.05, independent(0.10, 0.05)),
    World("+5: gains 5%, losses 0%", 0.05, independent(0.05, 0.0)),
)


def tally(world: World, runs: int, cases: int, rng: np.random.Generator) -> Tally:
    """The share of `runs` runs of `cases` cases in `world` that are promoted at any look."""
    first_looks: list[int] = []
    fooled = 0
    for start in range(0, runs, CHUNK):
        differences = world.draw(rng, min(CHUNK, runs - start), cases)
        promoted = e_value(differences, 0.0) >= 1 / ALPHA
        if start == 0:
            check_bounds(differences[:CHECKED], promoted[:CHECKED])
        first_looks += [int(run.argmax()) + 1 for run in promoted if run.any()]
        fooled += int(z_test(differences).any(axis=1).sum())
        print(f"\r{world.name}: {min(start + CHUNK, runs)}/{runs} runs ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    interval = clopper_pearson(len(first_looks), runs, 0.95)
    if interval is None:
        raise SystemExit("--runs must be at least 1")
    return Tally(
        world=world.name,
        effect=world.effect,
        promoted=len(first_looks) / runs,
        interval=(round(interval.low, 4), round(interval.high, 4)),
        median_cases=int(np.median(first_looks)) if first_looks else None,
        z_test_promoted=fooled / runs,
    )


def check_bounds(differences: Floats, promoted: NDArray[np.bool_]) -> None:
    """Stops the bench if the gate's lower bound and the e-value ever disagree on these runs."""
    for run, crossed in zip(differences, np.maximum.accumulate(promoted, axis=1), strict=True):
        if not np.array_equal(betting_sequence(run, ALPHA).lower > 0, crossed):
            raise SystemExit("the lower bound and the e-value disagree: the gate's two views must be one")


def z_test(differences: Floats) -> NDArray[np.bool_]:
    """Where a one-sided z-test at ALPHA on the cases so far would claim a gain, from the 30th case on."""
    times = np.arange(1, differences.shape[1] + 1)
    total, squares = np.cumsum(differences, axis=1), np.cumsum(differences**2, axis=1)
    deviation = np.sqrt(np.maximum(squares - total**2 / times, 1e-12))
    claims = total / deviation > normal_quantile(1 - ALPHA)
    return np.asarray(claims & (times >= FIRST_Z_LOOK))


def report(nulls: list[Tally], gains: list[Tally], settings: dict[str, Any]) -> dict[str, Any]:
    """The figures as JSON: the worst world decides both headline numbers."""
    return {
        "false_promotions": max(entry.promoted for entry in nulls),
        "power": min(entry.promoted for entry in gains),
        "alpha": ALPHA,
        **settings,
        "null_worlds": [structs.asdict(entry) for entry in nulls],
        "gain_worlds": [structs.asdict(entry) for entry in gains],
    }


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [f"{'world':<30}{'promoted':>9}{'95% interval':>18}{'median cases':>14}{'peeked z-test':>15}"]
    for entry in figures["null_worlds"] + figures["gain_worlds"]:
        low, high = entry["interval"]
        cases = "-" if entry["median_cases"] is None else str(entry["median_cases"])
        lines.append(
            f"{entry['world']:<30}{entry['promoted']:>9.1%}{f'{low:.1%} to {high:.1%}':>18}"
            f"{cases:>14}{entry['z_test_promoted']:>15.1%}"
        )
    lines.append(f"worst false promotions {figures['false_promotions']:.1%} (at most {ALPHA:.0%})")
    lines.append(f"worst power {figures['power']:.1%} (at least 80%)")
    return "\n".join(lines)


def main() -> None:
    """Runs all worlds and prints the table; `--json F` writes the figures as well (`-`: to stdout instead)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="F", help="write the figures there; - for stdout")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.runs < 1 or options.cases < 1:
        parser.error("--runs and --cases must be at least 1")
    start = time.perf_counter()
    rng = np.random.default_rng(options.seed)
    nulls, gains = ([tally(world, options.runs, options.cases, rng) for world in kind] for kind in (NULLS, GAINS))
    settings = {"runs": options.runs, "cases": options.cases, "seed": options.seed}
    figures = report(nulls, gains, settings) | {"wall_s": round(time.perf_counter() - start, 1)}
    if options.json == "-":
        print(json.dumps(figures, indent=2))
        return
    print(table(figures))
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
