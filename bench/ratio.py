"""How often two intervals of a portable share hold the truth: Fieller's, and the percentile bootstrap over entities.

Each run draws entities whose cases are hard or easy together, two generalists that are right with known chances, and
the same policy with both. An interval that is not told counts as unknown, not as missed.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tokencapital.stats.intervals import Interval
from tokencapital.stats.ratio import bootstrap_ratio, ratio_of_paired_differences

Floats = NDArray[np.float64]
LEVEL = 0.90
SIZES = ((40, 1), (75, 1), (75, 3), (300, 1))
"""Entities, and cases of each."""
SPREAD = 0.5
"""Standard deviation of an entity's log odds of being easy."""


class World(Struct, frozen=True):
    """How often each is right on an entity of middling difficulty."""

    name: str
    home_plain: float
    other_plain: float
    home_ran: float
    other_ran: float


WORLDS = (
    World("stronger other", 0.5, 0.7, 0.85, 0.87),
    World("weak home", 0.3, 0.5, 0.85, 0.85),
    World("small uplift", 0.6, 0.8, 0.85, 0.90),
    World("home none", 0.0, 0.5, 0.85, 0.85),
    World("weaker other", 0.3, 0.02, 0.90, 0.90),
    World("the same ability", 0.5, 0.5, 0.85, 0.85),
)


def draw(
    world: World, entities: int, members: int, rng: np.random.Generator
) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Uplift of the other and of the home generalist on each case, and its entity."""
    groups = np.repeat(np.arange(entities), members)
    ease = rng.normal(0.0, SPREAD, entities)[groups]

    def right(share: float, luck: Floats) -> Floats:
        with np.errstate(divide="ignore"):
            odds = np.log(share / (1 - share)) + ease
        return np.asarray(luck < 1 / (1 + np.exp(-odds)), np.float64)

    luck, home, other = rng.random((3, len(groups)))
    after = right(world.other_ran, luck) - right(world.other_plain, other)
    return after, right(world.home_ran, luck) - right(world.home_plain, home), groups


def cover(world: World, size: tuple[int, int], runs: int, rng: np.random.Generator) -> dict[str, Any]:
    """The share of told intervals that hold the truth, their median width, and the share that is unknown."""
    after, before, _ = draw(world, 1_000_000, 1, rng)
    truth = float(after.mean() / before.mean())
    told: dict[str, list[Interval]] = {"fieller": [], "bootstrap": []}
    for _ in range(runs):
        drawn = draw(world, *size, rng)
        ratio = ratio_of_paired_differences(*drawn, LEVEL)
        for name, found in (
            ("fieller", ratio.interval if ratio else None),
            ("bootstrap", bootstrap_ratio(*drawn, LEVEL, rng)),
        ):
            told[name] += [found] if found else []
    return {"world": world.name, "entities": size[0], "members": size[1], "truth": truth} | {
        name: {
            "covered": float(np.mean([one.low <= truth <= one.high for one in found])),
            "width": float(np.median([one.high - one.low for one in found])),
            "unknown": 1 - len(found) / runs,
        }
        for name, found in told.items()
    }


def main() -> None:
    """Runs every world at every size and prints a table; `--json F` writes the figures as well (`-`: to stdout)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--json", metavar="F", help="write the figures there; - for stdout")
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    rows = []
    for size, world in product(SIZES, WORLDS):
        row = cover(world, size, asked.runs, rng)
        rows.append(row)
        both = "  ".join(
            f"{name} {row[name]['covered']:.3f} (width {row[name]['width']:.2f}, unknown {row[name]['unknown']:.1%})"
            for name in ("fieller", "bootstrap")
        )
        print(f"{size[0]:>4} x {size[1]} {world.name:<18} {row['truth']:.2f}  {both}", file=sys.stderr, flush=True)
    shares = {name: [row[name]["covered"] for row in rows] for name in ("fieller", "bootstrap")}
    found = {"level": LEVEL, "runs": asked.runs, "rows": rows}
    found |= {f"{name}_covered": [min(one), max(one)] for name, one in shares.items()}
    text = json.dumps(found, indent=2)
    if asked.json == "-":
        print(text)
    elif asked.json:
        Path(asked.json).write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
