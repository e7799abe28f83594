"""The drain: carries what waits in a spool into the store, in order, each frame once as far as the store can tell.

The store takes each fact once by its id, and how far the drain came is written down behind it: a crash between the two
repeats some frames, which changes nothing.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Any

import msgspec
from msgspec import Struct

from tokencapital.core.clock import Clock
from tokencapital.core.errors import StoreUnavailable, TokenCapitalError
from tokencapital.record.spool_dead import bury, dead_letters
from tokencapital.record.spool_folder import DRAIN, Folder, Piece, Reached, folders, try_lock
from tokencapital.record.spool_frames import DeadLetter, FrameKind, Raw, read_frame
from tokencapital.store.database import is_refused

Handler = Callable[[Sequence[Any]], None]
"""Stores frames of one kind, each once, whether it raises halfway and is called again with some of them or not."""

REPORT = "report.json"
_PIECE_BYTES = 2 << 20
TURN_S, LONG_TURN_S = 0.020, 0.200
"""So long a batch takes, half of it in a transaction: where others who write have to wait, and where they have not."""
_FEW, _MANY = 8, 512
_BUSY_S, _IDLE_S, _AWAY_S, _REPORT_S, _TEND_S = 0.002, 0.02, 2.0, 1.0, 0.25
_EASE = 1.5
"""So many times as long as it works the drain rests while callers bring more than it can carry away."""


class DrainReport(Struct, frozen=True, kw_only=True):
    """How a drain stands. `away` says why the store does not take anything now; None: it does.

    `torn_bytes` are what writers left unfinished as they died (nobody was told that these were kept), `damaged_bytes`
    what was passed over because the disk did not give back what was written, `dead` the frames that were set aside.
    """

    pid: int
    at: datetime
    stored: int = 0
    dead: int = 0
    torn_bytes: int = 0
    damaged_bytes: int = 0
    away: str | None = None


class Drain:
    """One drain of one spool, for as long as it holds the spool's lock. Not safe for threads."""

    def __init__(
        self,
        root: Path,
        handlers: Mapping[FrameKind, Handler],
        clock: Clock,
        settle: Callable[[], None],
        tend: Callable[[], int] = lambda: 0,
    ) -> None:
        self.root = root
        self._handlers = handlers
        self._clock = clock
        self._settle = settle
        self._tend = tend
        self._tended = (0.0, 0)
        self._folders: dict[str, Folder] = {}
        self._places: dict[str, Reached] = {}
        self._lock: int | None = None
        self._most = _FEW
        self._ease = 0.0
        self.ease_below_bytes = 0
        self.turn_s = TURN_S
        self._told: tuple[float, DrainReport | None] = (0.0, None)
        self.report = DrainReport(pid=os.getpid(), at=clock.now())

    def turn(self, most_bytes: int = _PIECE_BYTES) -> int:
        """How many frames were carried into the store or set aside, and places passed over; 0: nothing waits.

        Raises StoreUnavailable where the store is away.
        """
        if not self._hold():
            return 0
        pieces = {folder.name: folder.read(self._places[folder.name], most_bytes) for folder in self._known()}
        written = self._written()
        taken = in_order(pieces)
        if taken:
            self._store([raw for _, raw in taken])
            self._settle()
        moved = [
            self._advance(name, piece, [raw for owner, raw in taken if owner == name]) for name, piece in pieces.items()
        ]
        self._tell(away=None)
        self._yield_to_callers(brought=self._written() - written, taken=len(taken))
        return max(len(taken), sum(moved))

    def run(self, stop: threading.Event, grace_s: float = 0.0) -> None:
        """Drains until it is told to stop, and then what is left, at most for so long."""
        wait, until = _BUSY_S, None
        try:
            while True:
                if until is None and stop.is_set():
                    until = monotonic() + grace_s
                try:
                    moved = self.turn()
                    moved += self._look_after(idle=not moved) if until is None else 0
                    wait = _BUSY_S if moved else min(_IDLE_S, wait * 1.5)
                except (StoreUnavailable, OSError) as error:
                    moved, wait = 0, min(_AWAY_S, max(_IDLE_S, wait) * 2)
                    self._tell_away(error)
                if until is not None and (monotonic() > until or not (moved or self._away)):
                    return
                if not moved:
                    stop.wait(wait) if until is None else sleep(_IDLE_S)
        finally:
            self.close()

    def close(self) -> None:
        """Another may drain."""
        for folder in self._folders.values():
            folder.let_go()
        if self._lock is not None:
            self._tell(away=self.report.away, now=True)
            os.close(self._lock)
            self._lock = None
        self._folders.clear()

    @property
    def _away(self) -> bool:
        return self.report.away is not None

    def _look_after(self, *, idle: bool) -> int:
        """How much was done of what the record does by itself: as long as there is some while nothing waits, else now
        and then."""
        since, did = self._tended
        if self._lock is None or not ((idle and did) or monotonic() - since > _TEND_S):
            return 0
        did = self._tend()
        self._tended = (monotonic(), did)
        return did

    def _hold(self) -> bool:
        """Whether this is the spool's only drain."""
        if self._lock is None:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = try_lock(self.root / DRAIN)
            if self._lock is not None:
                self.report = msgspec.structs.replace(self.report, dead=len(dead_letters(self.root)))
        return self._lock is not None

    def _known(self) -> list[Folder]:
        for folder in folders(self.root):
            if folder.name not in self._folders:
                self._folders[folder.name] = folder
                self._places[folder.name] = folder.place()
        return list(self._folders.values())

    def _written(self) -> int:
        """How many frames the writers that are known have ever written."""
        return sum(folder.level()[0] for folder in self._folders.values())

    def _yield_to_callers(self, *, brought: int, taken: int) -> None:
        """While more comes than was carried away, and it does not pile up, callers need the machine more than this:
        what waits is safe, and is carried away when there is less to do."""
        eases = (
            brought > taken > 0 and sum(folder.waiting() for folder in self._folders.values()) < self.ease_below_bytes
        )
        self._ease = _EASE if eases else 0.0

    def _store(self, raws: Sequence[Raw]) -> None:
        """The frames are in the store, or set aside."""
        start = 0
        while start < len(raws):
            some = raws[start : start + self._most]
            start += len(some)
            began = perf_counter()
            by_kind: defaultdict[int, list[Raw]] = defaultdict(list)
            for raw in some:
                by_kind[raw.kind].append(raw)
            for kind, ones in by_kind.items():
                self._store_kind(kind, ones)
            took_s = perf_counter() - began
            self._most = max(_FEW, self._most // 2) if took_s > self.turn_s else min(_MANY, self._most * 2)
            if self._ease:
                sleep(self._ease * took_s)

    def _store_kind(self, kind: int, raws: Sequence[Raw]) -> None:
        """The frames of one kind are in the store; where one of them is at fault, all others are."""
        try:
            self._handlers[FrameKind(kind)]([read_frame(raw) for raw in raws])
        except Exception as error:
            if isinstance(error, StoreUnavailable) and not is_refused(error):
                raise
            if len(raws) > 1:
                middle = len(raws) // 2
                self._store_kind(kind, raws[:middle])
                self._store_kind(kind, raws[middle:])
            else:
                self._set_aside(raws[0], error)

    def _set_aside(self, raw: Raw, error: Exception) -> None:
        bury(self.root, [DeadLetter(at=self._clock.now(), kind=raw.kind, reason=_reason(error), body=raw.body)])
        self.report = msgspec.structs.replace(self.report, dead=self.report.dead + 1)

    def _advance(self, name: str, piece: Piece, taken: Sequence[Raw]) -> bool:
        """What was carried away is behind the folder's place, and gone where the folder holds nothing else.

        Returns whether the place is another one now.
        """
        folder, place = self._folders[name], self._places[name]
        whole = len(taken) == len(piece.parsed.frames)
        if taken:
            after = piece.after if whole else msgspec.structs.replace(piece.after, offset=taken[-1].end)
            onward = msgspec.structs.replace(after, frames=place.frames + len(taken), at=taken[-1].at)
        else:
            onward = place if piece.parsed.frames else piece.after
        if onward != place:
            folder.move(onward)
            self._places[name] = onward
        report = self.report
        self.report = msgspec.structs.replace(
            report,
            stored=report.stored + len(taken),
            torn_bytes=report.torn_bytes + piece.torn,
            damaged_bytes=report.damaged_bytes + (piece.parsed.damaged if whole else 0),
        )
        if piece.last and not piece.parsed.frames:
            folder.remove()
            del self._folders[name], self._places[name]
        return onward != place

    def _tell_away(self, error: StoreUnavailable | OSError) -> None:
        """Why nothing is drained now is in the report, as far as the spool's own disk takes one."""
        said = error.without_words if isinstance(error, StoreUnavailable) else f"the spool's disk: {error.strerror}"
        with suppress(OSError):
            self._tell(away=said)

    def _tell(self, away: str | None, *, now: bool = False) -> None:
        """The report lies in the spool's folder, no older than a second where anything has changed."""
        said_at, said = self._told
        self.report = msgspec.structs.replace(self.report, away=away)
        stale = monotonic() - said_at > _REPORT_S
        if not (now or stale or (said is not None and said.away != away)):
            return
        self.report = msgspec.structs.replace(self.report, at=self._clock.now())
        write_report(self.root, self.report)
        self._told = (monotonic(), self.report)


def write_report(root: Path, report: DrainReport) -> None:
    """The report lies in the spool's folder, whole."""
    unborn = root / f".{REPORT}"
    unborn.write_bytes(msgspec.json.encode(report))
    unborn.replace(root / REPORT)


def read_report(root: Path) -> DrainReport | None:
    """How the spool's drain stands; None: nothing has ever drained it."""
    try:
        return msgspec.json.decode((root / REPORT).read_bytes(), type=DrainReport)
    except (OSError, msgspec.MsgspecError):
        return None


def in_order(pieces: Mapping[str, Piece]) -> list[tuple[str, Raw]]:
    """The frames of several writers in the order of their times, each writer's in the order in which they were written.

    Those are left for later before which another writer's next frames may belong.
    """
    full = [max(raw.at for raw in piece.parsed.frames) for piece in pieces.values() if piece.parsed.frames]
    horizon = min(full, default=0.0)
    found: list[tuple[float, str, Raw]] = []
    for name, piece in pieces.items():
        frames = piece.parsed.frames
        for latest, raw in zip(accumulate((raw.at for raw in frames), max), frames, strict=True):
            if latest > horizon:
                break
            found.append((latest, name, raw))
    found.sort(key=lambda one: one[0])
    return [(name, raw) for _, name, raw in found]


def _reason(error: Exception) -> str:
    """Why a frame was not stored, without the words that are in it."""
    if isinstance(error, TokenCapitalError):
        return f"{type(error).__name__}: {error.without_words}"
    if isinstance(error, msgspec.MsgspecError):
        return f"{type(error).__name__}: {error}"
    return type(error).__name__
