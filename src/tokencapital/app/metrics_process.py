"""What each process counts, and how several that serve one socket add it up.

A scrape reaches one worker of many. Each writes its numbers into a file every two seconds; the one that is asked adds
those of the others to its own. Numbers of workers that have ended stay in the sums, so that no counter falls.
"""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from tokencapital.app.metrics_families import FAMILIES, Kind, Row
from tokencapital.app.platform import Platform
from tokencapital.app.recording import spool_folder
from tokencapital.app.watched import Watched
from tokencapital.serve.counts import CALL_BOUNDS_S, REQUEST_BOUNDS_S

_EVERY_S = 2.0
BOUNDS_S = {
    "tcap_request_seconds": REQUEST_BOUNDS_S,
    "tcap_relay_seconds": CALL_BOUNDS_S,
    "tcap_upstream_seconds": CALL_BOUNDS_S,
    "tcap_keep_seconds": CALL_BOUNDS_S,
}


def process_rows(watched: Watched) -> list[Row]:
    """What this process counts."""
    return [
        *_requests(watched),
        *_relay(watched),
        *_answering(watched),
        Row("tcap_process_resident_bytes", (str(os.getpid()),), (_resident(),)),
    ]


def share_counts(platform: Platform) -> None:
    """The workers of a house, of which this process is one, count together until the house is closed."""
    board = Board(spool_folder(platform.settings) / "counts", platform.watched)
    platform.watched.others = board.rows
    platform.closers.append(board.close)


class Board:
    """The folder in which the workers of one house show each other their numbers."""

    def __init__(self, folder: Path, watched: Watched) -> None:
        self._folder = folder
        self._watched = watched
        self._house = os.getppid()
        self._stop = threading.Event()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in folder.glob("*.json"):
            if not _alive(int(path.stem.partition("-")[0])):
                path.unlink(missing_ok=True)
        self._thread = threading.Thread(target=self._run, name="tcap-counts", daemon=True)
        self._thread.start()

    def rows(self) -> list[Row]:
        """What the other workers of this house count, those that have ended included."""
        found: list[Row] = []
        for path in sorted(self._folder.glob(f"{self._house}-*.json")):
            pid = int(path.stem.partition("-")[2])
            if pid != os.getpid():
                with suppress(OSError, msgspec.MsgspecError):
                    rows = msgspec.json.decode(path.read_bytes(), type=list[Row])
                    found += (
                        rows if _alive(pid) else [row for row in rows if FAMILIES[row.family].kind is not Kind.GAUGE]
                    )
        return found

    def close(self) -> None:
        """The last numbers are written."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self._write()
        self._write()

    def _write(self) -> None:
        name = f"{self._house}-{os.getpid()}"
        unborn = self._folder / f".{name}"
        with suppress(OSError):
            unborn.write_bytes(msgspec.json.encode(process_rows(self._watched)))
            unborn.replace(self._folder / f"{name}.json")


def _requests(watched: Watched) -> Iterator[Row]:
    counts = watched.requests
    for (method, route, status), number in list(counts.answered.items()):
        yield Row("tcap_requests", (method, route, str(status)), (number,))
    for route, times in list(counts.times.items()):
        yield Row("tcap_request_seconds", (route,), (*times.buckets, times.sum_s))
    for reason, number in list(counts.turned_away.items()):
        yield Row("tcap_turned_away", (reason,), (number,))
    yield Row("tcap_requests_in_flight", (), (counts.in_flight,))
    yield Row("tcap_request_body_bytes", (), (counts.body_bytes,))
    yield Row("tcap_faults", (), (counts.faults,))


def _relay(watched: Watched) -> Iterator[Row]:
    yield Row("tcap_unrecorded", (), (watched.unrecorded(),))
    counts = watched.relay
    if counts is None:
        return
    for (wire, provider, hundreds), number in list(counts.requests.items()):
        yield Row("tcap_relayed", (wire, provider, f"{hundreds}xx"), (number,))
    for error, number in list(counts.refused.items()):
        yield Row("tcap_relay_refused", (error,), (number,))
    for provider, heard in list(counts.upstream.items()):
        yield Row("tcap_upstream_seconds", (provider,), (*heard.buckets, heard.sum_s))
    yield Row("tcap_relay_seconds", (), (*counts.whole.buckets, counts.whole.sum_s))
    yield Row("tcap_keep_seconds", (), (*counts.kept.buckets, counts.kept.sum_s))
    yield Row("tcap_relay_in_flight", (), (counts.in_flight,))
    yield Row("tcap_retries", (), (counts.retries,))
    yield Row("tcap_fallbacks", (), (counts.fallbacks,))
    yield Row("tcap_disconnected", (), (counts.disconnected,))
    yield Row("tcap_unrecorded", (), (counts.unrecorded,))


def _answering(watched: Watched) -> Iterator[Row]:
    if watched.answering is not None:
        for became, number in vars(watched.answering).items():
            yield Row("tcap_own_answers", (became,), (number,))


def _resident() -> int:
    """Bytes of memory of this process; where the system does not tell, the most that it ever had."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _alive(pid: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True
