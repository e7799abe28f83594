"""Sends requests that nobody should send to a real `tcap serve`: is it ever wrong, slow, larger, or indiscreet?

20,000 seeded requests over the relay, the endpoints of programs, OTLP and the pages: fields of other kinds, bytes that
are no JSON, deep and huge bodies up to 50 MB, odd heads, methods, types, paths and encodings, broken chunks and gzip,
bombs, several in one piece, drips; with slow clients holding on all the while. Wanted: no 5xx, each request answered or
closed within 45 s, memory that ends where it was, and none of two planted keys in any answer or line of the log.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokencapital.testing.fuzz_client import FuzzClient, as_figures, leaks_in
from tokencapital.testing.fuzz_house import ANSWER, SECRETS, FuzzHouse
from tokencapital.testing.fuzz_requests import Fuzzed, fuzzed
from tokencapital.testing.upstream import ScriptedUpstream

_SLOW = 40
_SETTLE_S = 8.0


def main() -> None:
    """The figures as JSON, and exit code 1 where something is not as wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most-mib", type=int, default=50, help="the largest body")
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--json", default="-", metavar="PATH")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        ScriptedUpstream(ANSWER, keeps=False) as upstream,
        FuzzHouse(Path(folder), upstream.url) as house,
    ):
        figures = measure(house, asked)
    text = json.dumps(figures, indent=2) + "\n"
    if asked.json == "-":
        sys.stdout.write(text)
    else:
        Path(asked.json).write_text(text, "utf-8")
    sys.exit(0 if figures["as_wanted"] else 1)


def measure(house: FuzzHouse, asked: argparse.Namespace) -> dict[str, Any]:
    """What the house did with the requests."""
    began, client, memory = time.monotonic(), FuzzClient(house.port, SECRETS, asked.at_once), _Memory(house)
    requests = _watched(fuzzed(asked.seed, asked.requests, asked.most_mib), asked.requests, memory)
    hung_up = asyncio.run(client.send_beside_slow(requests, _SLOW))
    time.sleep(_SETTLE_S)
    log = house.log()
    lines = [line for line in log.splitlines() if line.startswith(b"{")]
    figures = {
        "machine": f"{os.cpu_count()} CPU cores",
        **as_figures(client.verdict),
        "slow_clients_hung_up_on": hung_up,
        **memory.figures(),
        "log_lines": len(lines),
        "log_lines_that_are_no_json": sum(1 for line in lines if not _is_json(line)),
        "secrets_in_the_log": len(leaks_in(log, SECRETS)),
        "faults": house.metric("tcap_faults_total"),
        "fault_examples": house.faults()[:5],
        "dead_letters": house.metric("tcap_dead_letters"),
        "well_at_the_end": house.well(),
        "took_s": round(time.monotonic() - began, 1),
    }
    never = (
        "server_errors",
        "hangs",
        "leaks",
        "split_answers",
        "log_lines_that_are_no_json",
        "secrets_in_the_log",
        "faults",
    )
    calm = figures["rss_growth"] < 0.15
    return {
        **figures,
        "as_wanted": bool(figures["well_at_the_end"]) and calm and all(figures[one] == 0 for one in never),
    }


class _Memory:
    """Resident memory of the house over the run, read at rest between the tenths of it."""

    def __init__(self, house: FuzzHouse) -> None:
        self._house = house
        self.begin_mb = house.rss_mb()
        self.seen_mb: list[float] = []

    def look(self) -> None:
        """Memory as it is now is on record."""
        self.seen_mb.append(self._house.rss_mb())

    def figures(self) -> dict[str, Any]:
        """Where memory began, what it was along the way, and how much more it is at the end than in the first third."""
        end = self._house.rss_mb()
        early = max(self.seen_mb[: max(1, len(self.seen_mb) // 3)])
        return {
            "rss_begin_mb": round(self.begin_mb, 1),
            "rss_mb": [round(one, 1) for one in self.seen_mb],
            "rss_end_mb": round(end, 1),
            "rss_growth": round(end / early - 1, 3),
        }


def _watched(requests: Iterator[Fuzzed], count: int, memory: _Memory) -> Iterator[Fuzzed]:
    for number, one in enumerate(requests):
        if number and number % max(1, count // 10) == 0:
            memory.look()
            print(f"{number}/{count}: {memory.seen_mb[-1]:.0f} MB", file=sys.stderr)
        yield one
    memory.look()


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    main()
