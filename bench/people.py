"""Twenty people who judge at once through a real server: is anything judged twice or lost, and how long do pages take?

The service desk is played, thousands of requests are put before people, `tcap serve` is started as a process of
its own, and each person is an HTTP client with a session of their own. One judgment in ten is sent twice at the
same moment, one in twenty-five is taken back. The pause before a judgment is short of what people need, so that
two minutes hold the work of twenty.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tokencapital.simulate.service_desk import TRIAGE
from tokencapital.testing.crowd import Crowd, Found, Heard, check_store, fill_queue, judge_at_once, many_cases
from tokencapital.testing.houses import open_small_house, play_small_house
from tokencapital.testing.servers import Program, answers, free_port, running

MOST_MS = 100.0
"""What a page may take on the server at the 95th percentile."""
_CASES_PER_S = 45


@contextmanager
def served(store: str) -> Iterator[str]:
    """`tcap serve` on a free port of loopback while the block runs; gives its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    tcap = str(Path(sys.executable).with_name("tcap"))
    command = [tcap, "serve", "--store", store, "--port", str(port)]
    with running(Program(command=command, ready=partial(answers, f"{address}/healthz"))):
        yield address


def play(options: argparse.Namespace) -> tuple[Heard, Found]:
    """What the people heard, and what the store says of it."""
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "people.sqlite")
        played = play_small_house(store)
        texts = [case.messages[-1].content for case in played.unserved(TRIAGE)]
        with open_small_house(store, 1.0) as house:
            cases = many_cases(house, TRIAGE, texts, round(options.seconds * _CASES_PER_S) + 20 * options.people)
            fill_queue(house, TRIAGE, cases)
        with served(store) as address:
            heard = judge_at_once(
                Crowd(
                    address=address,
                    capability=TRIAGE,
                    people=options.people,
                    seconds=options.seconds,
                    pause_s=options.pause,
                    seed=options.seed,
                )
            )
        with open_small_house(store, 0.0) as house:
            return heard, check_store(house.store, TRIAGE, heard)


def report(options: argparse.Namespace, heard: Heard, found: Found) -> dict[str, Any]:
    """The figures; times in milliseconds."""
    return {
        "people": options.people,
        "seconds": options.seconds,
        "pause_s": options.pause,
        "acknowledged": len(heard.acknowledged),
        "taken_back": sum(one.undone for one in heard.acknowledged),
        "standing": found.standing,
        "late": heard.late,
        "judged_twice": len(found.judged_twice),
        "lost": len(found.lost),
        "unheard": len(found.unheard),
        "queue_off": len(found.queue_off),
        "faults": heard.faults[:5],
        "pages": len(heard.page_ms),
        "page_ms": _spread(heard.page_ms),
        "server_ms": _spread(heard.server_ms),
    }


def _spread(times: Sequence[float]) -> dict[str, float]:
    p50, p95, p99 = np.percentile(times, [50, 95, 99])
    return {"p50": round(float(p50), 1), "p95": round(float(p95), 1), "p99": round(float(p99), 1)}


def table(figures: dict[str, Any]) -> str:
    """The figures as people read them."""
    page, server = figures["page_ms"], figures["server_ms"]
    return "\n".join(
        [
            f"{figures['people']} people, {figures['seconds']:.0f} s, {figures['pause_s']:.1f} s of thought each",
            f"acknowledged {figures['acknowledged']}, of these taken back {figures['taken_back']}",
            f"judged twice by mistake {figures['judged_twice']}, lost {figures['lost']}, made up {figures['unheard']}",
            f"told that somebody was faster {figures['late']} times; other faults {len(figures['faults'])}",
            f"as people wait for it: p50 {page['p50']} ms, p95 {page['p95']} ms, p99 {page['p99']} ms",
            f"on the server: p50 {server['p50']} ms, p95 {server['p95']} ms of {MOST_MS:.0f}, p99 {server['p99']} ms",
        ]
    )


def main() -> None:
    """Plays the two minutes; `--json F` writes the figures as well (`-`: to stdout instead)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="F", help="write the figures there; - for stdout")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds of thought before a judgment, on average")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.people < 1 or options.seconds <= 0 or options.pause < 0:
        parser.error("--people and --seconds must be above 0, --pause at least 0")
    heard, found = play(options)
    figures = report(options, heard, found)
    if options.json == "-":
        print(json.dumps(figures, indent=2))
    else:
        print(table(figures))
    if options.json and options.json != "-":
        Path(options.json).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if not found.faultless or heard.faults:
        sys.exit(1)


if __name__ == "__main__":
    main()
