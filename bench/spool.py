"""What keeping a call costs: in the spool while callers wait, and from there into a store in SQLite by the drain.

Half of the calls that are drained read alike, so that a crowd of like conversations costs no more than any other.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time

from tokencapital.app.recording import make_drain, spool_folder
from tokencapital.app.settings import Settings
from tokencapital.core.call import Call, Ending, Wire
from tokencapital.core.clock import SystemClock
from tokencapital.record.spool import Spool, SpoolSettings
from tokencapital.store.database import Store

_AT = datetime(2026, 3, 1, 8, tzinfo=UTC)
_WORDS = "I am still waiting on my card. When will it arrive? I ordered it ten days ago. " * 8


def a_call(number: int, said: str) -> Call:
    """A call of about two kilobytes."""
    messages = [{"role": "system", "content": "You answer customers of a bank."}, {"role": "user", "content": said}]
    choice = {"index": 0, "message": {"role": "assistant", "content": "Within five days."}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 54, "completion_tokens": 24, "total_tokens": 78}
    return Call(
        id=f"trj_{number:08}", at=_AT + timedelta(milliseconds=number), wire=Wire.CHAT, asked="gpt-4o-mini",
        provider="up", status=200, ending=Ending.DONE,
        request=json.dumps({"model": "gpt-4o-mini", "messages": messages}).encode(),
        response=json.dumps({"id": f"chatcmpl-{number}", "choices": [choice], "usage": usage}).encode(),
    )  # fmt: skip


async def keep(spool: Spool, callers: int, each: int) -> tuple[float, float]:
    """Calls kept a second with so many callers at once, and milliseconds that one waited at the median."""
    waits: list[float] = []

    async def caller(number: int) -> None:
        for one in range(each):
            call = a_call(number * each + one, _WORDS)
            began = perf_counter()
            await spool.keep(call)
            waits.append(perf_counter() - began)

    began = perf_counter()
    await asyncio.gather(*(caller(number) for number in range(callers)))
    return callers * each / (perf_counter() - began), 1000 * statistics.median(waits)


def drained(folder: Path, calls: int) -> dict[str, float]:
    """Calls a second that the drain carries into a new store, by the clock and by its own processor time."""
    settings = Settings(store=str(folder / "store.sqlite"))
    with Spool(spool_folder(settings), "spl_bench", settings.spool) as spool:
        for number in range(calls):
            spool.keep_now(a_call(number, _WORDS if number % 2 else f"{number} {_WORDS}"))
    store = Store.open(settings.store)
    drain = make_drain(store, settings, SystemClock())
    began, busy = perf_counter(), process_time()
    while drain.turn():
        pass
    found = {"per_s": calls / (perf_counter() - began), "per_cpu_s": calls / (process_time() - busy)}
    drain.close()
    store.close()
    return found


def main() -> None:
    """Prints what keeping and draining cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="F", help="also write the figures there; -: standard output")
    parser.add_argument("--calls", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as place:
        found: dict[str, float] = {}
        with Spool(Path(place) / "spool", "spl_bench", SpoolSettings()) as spool:
            for callers in (8, 64):
                rate, wait_ms = asyncio.run(keep(spool, callers, options.calls // callers))
                found |= {f"kept_per_s_{callers}": rate, f"keep_p50_ms_{callers}": wait_ms}
        found |= {f"drained_{name}": rate for name, rate in drained(Path(place), options.calls).items()}
    for name, value in found.items():
        print(f"{name:20} {value:>12,.2f}", file=sys.stderr)
    if options.json:
        text = json.dumps(found, indent=1)
        print(text) if options.json == "-" else Path(options.json).write_text(text)


if __name__ == "__main__":
    main()
