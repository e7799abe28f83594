"""The spool: what is acknowledged before it is in the store lies here, on disk, for one process that writes.

Frames that come while one sync runs are written and synced together by the next (group commit), so that a sync's time
is shared by all who wait for it. `record.drain` carries the frames into the store, in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import defaultdict
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Self

from msgspec import Struct

from tokencapital.core.errors import SpoolFull, StoreUnavailable
from tokencapital.record.spool_folder import (
    LEVEL,
    Folder,
    folders,
    new_folder,
    segment_head,
    sync_folder,
    write_level,
)
from tokencapital.record.spool_frames import HEAD_BYTES, DeadLetter, Frame, write_frame, write_raw

_MEASURE_S, _IDLE_S, _POLL_S = 0.1, 0.5, 0.003
_SEGMENTS = 16
"""A spool of so many segments at most, so that what is drained leaves the disk in pieces."""
_MIB = 1 << 20


class WhenFull(StrEnum):
    """What becomes of answers that nothing can be kept of."""

    REFUSE = "refuse"
    """They are refused with 503, before a provider is asked."""
    STOP_RECORDING = "stop_recording"
    """They are given and not kept; health and metrics say how many."""


class SpoolSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where what is acknowledged waits for the store. `folder` None: beside the store.

    At most `max_mib` wait there, for all workers together. Without `fsync` what was acknowledged survives the end of a
    process, but not that of the machine. `when_full` is `refuse` or `stop_recording`.
    """

    folder: str | None = None
    max_mib: int = 1024
    fsync: bool = True
    when_full: WhenFull = WhenFull.REFUSE

    def __post_init__(self) -> None:
        if self.max_mib < 1:
            raise ValueError("`max_mib` is at least 1")

    @property
    def max_bytes(self) -> int:
        """At most so many bytes wait."""
        return self.max_mib * _MIB


class _Group:
    """Frames that are written and synced together, and who waits for them."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.at = 0.0
        self.futures: list[asyncio.Future[None]] = []
        self.threads: list[_Waiting] = []


class _Waiting:
    """A thread that waits for its frame."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.error: Exception | None = None


class Spool:
    """One process's spool, open for writing. Safe for threads and event loops; not across a fork."""

    def __init__(self, root: Path, name: str, settings: SpoolSettings) -> None:
        self.root = root
        self.settings = settings
        self.folder, self._salt = new_folder(root, name)
        self._segment_bytes = max(1 << 16, min(8 * _MIB, settings.max_bytes // _SEGMENTS))
        self._level = os.open(self.folder.path / LEVEL, os.O_RDWR | os.O_CLOEXEC)
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._group = _Group()
        self._closing = False
        self._frames = 0
        self._number, self._file, self._size = 0, -1, 0
        self._room, self._measured = 0, 0.0
        self._open_segment()
        self._measure()
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def keep(self, frame: Frame) -> None:
        """The frame is durable when this returns. Raises SpoolFull, and StoreUnavailable where the disk fails."""
        waits = asyncio.get_running_loop().create_future()
        written = write_frame(frame, self._salt)
        with self._lock:
            self._take(written, frame.at.timestamp())
            self._group.futures.append(waits)
            first = len(self._group.parts) == 1
        if first:
            self._wake.set()
        await waits

    def keep_now(self, frame: Frame) -> None:
        """The same for callers that are no coroutine; the thread waits."""
        self._keep_now(write_frame(frame, self._salt), frame.at.timestamp())

    def put_back(self, letter: DeadLetter) -> None:
        """The frame of a dead letter waits once more, durably."""
        self._keep_now(write_raw(letter.kind, letter.at.timestamp(), letter.body, self._salt), letter.at.timestamp())

    @property
    def full(self) -> bool:
        """Whether the spool would take nothing more now. Fit for every request."""
        if self._room <= 0 and monotonic() - self._measured > _MEASURE_S:
            self._measure()
        return self._room <= 0

    def close(self) -> None:
        """All that was taken is durable, and whoever drains may take the folder over. Closing twice is harmless."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        self._wake.set()
        self._thread.join()
        os.close(self._level)
        os.close(self._file)
        self.folder.let_go()

    def _keep_now(self, written: bytes, at: float) -> None:
        waits = _Waiting()
        with self._lock:
            self._take(written, at)
            self._group.threads.append(waits)
        self._wake.set()
        waits.done.wait()
        if waits.error is not None:
            raise waits.error

    def _take(self, written: bytes, at: float) -> None:
        """The frame is in the group that is written next."""
        if self._closing:
            raise StoreUnavailable("the spool is closed", where=str(self.root))
        if len(written) > self._room:
            if monotonic() - self._measured > _MEASURE_S:
                self._measure()
            if len(written) > self._room:
                raise SpoolFull(
                    f"the spool holds {self.settings.max_mib} MiB that wait for the store",
                    where=str(self.root),
                    remedy="See why the store does not take them (`tcap doctor`), or raise `spool.max_mib`.",
                )
        self._room -= len(written)
        self._group.parts.append(written)
        self._group.at = at

    def _run(self) -> None:
        while True:
            self._wake.wait(_IDLE_S)
            self._wake.clear()
            with self._lock:
                group, self._group, closing = self._group, _Group(), self._closing
            if group.parts:
                self._settle(group, self._write(group))
            elif closing:
                return
            else:
                self._rest()

    def _write(self, group: _Group) -> Exception | None:
        """The group is durable; else why not. After a failure of the disk it is tried once more in a new segment."""
        failed: OSError | MemoryError
        for attempt in (0, 1):
            try:
                body = b"".join(group.parts)
                if attempt or (self._size > HEAD_BYTES and self._size + len(body) > self._segment_bytes):
                    self._open_segment()
                self._append(body)
            except (OSError, MemoryError) as error:
                failed = error
                continue
            self._frames += len(group.parts)
            with contextlib.suppress(OSError):
                write_level(self._level, self._frames, group.at)
            return None
        return StoreUnavailable(
            f"the spool cannot be written: {getattr(failed, 'strerror', None) or failed!r}", where=str(self.root)
        )

    def _append(self, body: bytes) -> None:
        begin, view = self._size, memoryview(body)
        try:
            while view:
                view = view[os.pwrite(self._file, view, begin + len(body) - len(view)) :]
            if self.settings.fsync:
                os.fdatasync(self._file)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, begin)
            raise
        self._size = begin + len(body)

    def _open_segment(self) -> None:
        """A new segment is there, also after a power cut."""
        number, head = self._number + 1, segment_head(self._salt)
        file = os.open(self.folder.segment(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(file, head, 0)
            if self.settings.fsync:
                os.fdatasync(file)
                sync_folder(self.folder.path)
        except OSError:
            os.close(file)
            raise
        if self._file >= 0:
            os.close(self._file)
        self._number, self._file, self._size = number, file, len(head)

    def _rest(self) -> None:
        """While nothing comes, a segment that was drained to its end makes place for an empty one, and is removed."""
        with contextlib.suppress(OSError):
            place = self.folder.place()
            if self._size > HEAD_BYTES and (place.segment, place.offset) == (self._number, self._size):
                self._open_segment()
            self._measure()

    def _measure(self) -> None:
        waiting = sum(folder.waiting() for folder in folders(self.root))
        self._room, self._measured = self.settings.max_bytes - waiting, monotonic()

    @staticmethod
    def _settle(group: _Group, error: Exception | None) -> None:
        """Whoever waits for the group hears of it."""
        for thread in group.threads:
            thread.error = error
            thread.done.set()
        by_loop: defaultdict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = defaultdict(list)
        for future in group.futures:
            by_loop[future.get_loop()].append(future)
        for loop, futures in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_resolve, futures, error)


def drained_now(root: Path, timeout_s: float) -> bool:
    """Whether all that any process had acknowledged before the call is in the store; the thread waits so long."""
    until, waits = monotonic() + timeout_s, _levels(root)
    while _still_waiting(root, waits):
        if monotonic() > until:
            return False
        sleep(_POLL_S)
    return True


def _levels(root: Path) -> dict[str, int]:
    """How many frames each writer has written."""
    return {folder.name: folder.level()[0] for folder in folders(root)}


def _still_waiting(root: Path, wanted: dict[str, int]) -> bool:
    """Whether one of the folders is there and not drained up to so many frames."""
    there = (Folder(root / name) for name, frames in wanted.items() if frames)
    return any(folder.place().frames < wanted[folder.name] and folder.path.exists() for folder in there)


def _resolve(futures: Sequence[asyncio.Future[None]], error: Exception | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
