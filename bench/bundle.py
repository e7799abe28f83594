"""Whether a capability answers elsewhere as it does here: 500 cases on both sides of a bundle.

Banking77 (labels, learned from 2,310 judgments) and the service desk's tickets (fields), each without a
generalist and with one whose reply depends on every letter that it is shown.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec

from tokencapital.app.bundle import export_bundle
from tokencapital.app.bundle_importing import import_bundle
from tokencapital.app.platform import Platform
from tokencapital.app.replay_run import ReplayOptions, run_replay
from tokencapital.app.settings import Settings
from tokencapital.app.verifying import verify
from tokencapital.core.case import Case
from tokencapital.core.clock import RecordedClock
from tokencapital.record.importers import STREAM, read_recording
from tokencapital.simulate.service_desk import TICKET, service_desk
from tokencapital.testing.desks import play_desk
from tokencapital.testing.twins import SURE, Given, answers_of, hashing_model, release_changed

BANKING77 = Path(__file__).parents[1] / "../shared/data/banking77.cases.jsonl.gz"
JUDGMENTS = 2_310
ANSWERS = 500
SEED = 7
SERVED = 300
"""Cases of the service desk that are played before it is packed."""


def compare(store: str, folder: Path, capability: str, cases: Sequence[Case], *, asks: bool) -> dict[str, Any]:
    """The capability packed, carried to a store with a key of its own, and the same cases put to both."""
    clock = RecordedClock(datetime(2027, 1, 1, tzinfo=UTC))
    new, file = folder / f"{capability}-{asks}.sqlite", folder / f"{capability}-{asks}.tcap"
    with (
        Platform.open(Settings(store=store), clock=clock) as here,
        Platform.open(Settings(store=str(new)), clock=clock) as there,
    ):
        if asks:
            here.generalist, there.generalist = hashing_model(), hashing_model()
            release_changed(here, capability, exemplars=6, generalist_rule=SURE)
        started = perf_counter()
        packed = export_bundle(here, capability, file, by="bench")
        exported = perf_counter()
        import_bundle(there, file, by="bench")
        imported = perf_counter()
        ours, theirs = answers_of(here, capability, cases), answers_of(there, capability, cases)
        return {
            "capability": capability,
            "generalist": asks,
            "answers": len(cases),
            "identical": sum(one == other for one, other in zip(ours, theirs, strict=True)),
            "sources": _sources(ours),
            "judgments": packed.manifest.counts["judgments"],
            "bytes": packed.size,
            "export_s": exported - started,
            "import_s": imported - exported,
            "verified": verify(there).passed,
        }


def banking77(folder: Path) -> tuple[str, str, list[Case]]:
    """The store of a replay, its capability, and cases of the test split, the first of them served before."""
    store = str(folder / "banking77.sqlite")
    run_replay(ReplayOptions(file=BANKING77, judgments=JUDGMENTS, store=store))
    recorded = read_recording(BANKING77).cases
    unseen = [one.case for one in recorded if one.split != STREAM]
    seen = [one.case for one in recorded if one.split == STREAM]
    return store, unseen[0].capability, _asked([*unseen[: ANSWERS - 100], *seen[:100]])


def tickets(folder: Path) -> tuple[str, str, list[Case]]:
    """The store of a played service desk, its fields capability, and all of its cases, unseen ones first."""
    store = str(folder / "desk.sqlite")
    unseen = play_desk(store, SERVED, SEED).unseen[TICKET]
    served = [case for case in service_desk(SEED).cases if case.capability == TICKET][:SERVED]
    pool = [*unseen, *served]
    return store, TICKET, _asked([pool[at % len(pool)] for at in range(ANSWERS)])


def _asked(cases: Sequence[Case]) -> list[Case]:
    return [msgspec.structs.replace(case, id=f"asked-{at}", group=f"asker-{at}") for at, case in enumerate(cases)]


def _sources(given: Sequence[Given]) -> dict[str, int]:
    counts = Counter(one.answer.source.value if one.answer.source else "none" for one in given)
    return dict(sorted(counts.items()))


def main() -> None:
    """Every pair of stores is compared, and the result written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        played = [tickets(folder), *([banking77(folder)] if BANKING77.exists() else [])]
        for store, capability, cases in played:
            for asks in (False, True):
                runs.append(compare(store, folder, capability, cases, asks=asks))
                print(json.dumps(runs[-1]), file=sys.stderr)
    options.json.write_text(json.dumps({"runs": runs}, indent=2) + "\n", "utf-8")
    if any(run["identical"] != run["answers"] for run in runs):
        sys.exit("a bundle answers otherwise than its origin")


if __name__ == "__main__":
    main()
