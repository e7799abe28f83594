"""Whether an erased customer or contributor is gone: as bytes from the files, from searches, and from bundles.

A service desk is played; each customer and contributor is then erased from a copy of its own, and every piece
of twelve characters that nobody else had written is looked for.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from sqlalchemy import func, select

from tokencapital.app.bundle import export_bundle
from tokencapital.app.erasing import Erasure, erase_and_rebuild
from tokencapital.app.platform import Platform
from tokencapital.app.settings import Settings
from tokencapital.app.verifying import verify
from tokencapital.simulate.service_desk import TICKET, TRIAGE
from tokencapital.store.schema import judgment, work_case
from tokencapital.testing.desks import play_desk
from tokencapital.testing.traces import artifact_bytes, file_bytes, lost_words, payload_bodies, traces, unpacked

CASES = 400
CUSTOMERS = 12
SEARCHES = 20


def erase_one(played: Path, folder: Path, number: int, asked: Erasure) -> dict[str, Any]:
    """One erasure on a copy of the played store, with what was found of it afterwards."""
    copy = Path(shutil.copy(played, folder / f"copy-{number}.sqlite"))
    with Platform.open(Settings(store=str(copy))) as platform:
        before = payload_bodies(platform.store)
        platform.knowledge.search("anything", platform.clock.now())
        started = perf_counter()
        done = asyncio.run(erase_and_rebuild(platform, asked))
        seconds = perf_counter() - started
        lost = sorted(lost_words(before, payload_bodies(platform.store)))
        bundles = [export_bundle(platform, name, folder / f"{number}.tcap", by="bench") for name in (TRIAGE, TICKET)]
        packed = b"\0".join(part for one in bundles for part in unpacked(Path(one.file).read_bytes()))
        withdrawn = set(done.wiped.withdrawn)
        hits = [hit for piece in lost[:SEARCHES] for hit in platform.knowledge.search(piece, platform.clock.now())]
        return {
            "kind": done.kind,
            "subject": done.subject,
            "payloads": done.wiped.payloads,
            "judgments": len(withdrawn),
            "artifacts": len(done.artifacts),
            "rebuilt": len(done.rebuilt),
            "seconds": seconds,
            "pieces": len(lost),
            "in_files": len(traces(lost, file_bytes(copy))),
            "in_artifacts": len(traces(lost, artifact_bytes(platform.store))),
            "in_bundles": len(traces(lost, packed)),
            "in_searches": sum(hit.id in withdrawn for hit in hits),
            "verified": verify(platform).passed,
        }


def main() -> None:
    """Every erasure is carried out, and the result written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        played = folder / "desk.sqlite"
        play_desk(str(played), CASES)
        runs = []
        for number, asked in enumerate(_subjects(played)):
            runs.append(erase_one(played, folder, number, asked))
            print(json.dumps(runs[-1]), file=sys.stderr)
    options.json.write_text(json.dumps({"runs": runs}, indent=2) + "\n", "utf-8")
    if any(run["in_files"] + run["in_artifacts"] + run["in_bundles"] + run["in_searches"] for run in runs):
        sys.exit("something of what was erased is left")
    if not all(run["verified"] for run in runs):
        sys.exit("a store does not verify after an erasure")


def _subjects(played: Path) -> list[Erasure]:
    """The customers with most judgments, and all contributors."""
    groups = (
        select(work_case.c.entity_group)
        .join_from(judgment, work_case, judgment.c.case_id == work_case.c.id)
        .group_by(work_case.c.entity_group)
        .order_by(func.count().desc(), work_case.c.entity_group)
        .limit(CUSTOMERS)
    )
    people = select(judgment.c.expert).distinct().order_by(judgment.c.expert)
    with Platform.open(Settings(store=str(played))) as platform, platform.store.read() as connection:
        customers = [Erasure(by="bench", group=one) for one in connection.execute(groups).scalars()]
        return [*customers, *(Erasure(by="bench", contributor=one) for one in connection.execute(people).scalars())]


if __name__ == "__main__":
    main()
