"""The folders of a spool: one for each process that writes, with its segments, its lock, and how far it was drained.

A writer's folder is locked as long as its process lives. Whoever drains may take the lock of one that is left behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

from msgspec import Struct

from tokencapital.core.errors import StoreUnavailable
from tokencapital.record.spool_frames import HEAD_BYTES, MAGIC, SALT_BYTES, Parsed, needed, parse

LOCK, CURSOR, LEVEL, DEAD, DRAIN = "lock", "cursor", "level", "dead", "drain"
_PREFIX, _UNBORN, _ENDING = "spl_", ".new-", ".seg"
_CURSOR = struct.Struct("<QQQdI")
_LEVEL = struct.Struct("<Qd")


class Reached(Struct, frozen=True, order=True):
    """A place in a writer's folder: the number of a segment and an offset in it; so many `frames` lie before it.

    `at` is the time of the last of them, in seconds; 0: there is none.
    """

    segment: int = 0
    offset: int = HEAD_BYTES
    frames: int = 0
    at: float = 0.0


class Depth(Struct, frozen=True):
    """What waits in a spool. `oldest` is a time no later than that of the oldest frame; None: nothing waits."""

    frames: int
    bytes: int
    oldest: datetime | None


class Piece(Struct, frozen=True):
    """What was read from a folder at a place. `torn` bytes at the end of a segment are no frame and never will be.

    `after` is the place behind it; `last`: nothing more can follow, because its writer is gone.
    """

    parsed: Parsed
    after: Reached
    torn: int
    last: bool


class Folder:
    """One writer's folder, as everybody sees it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self._lock: int | None = None

    def place(self) -> Reached:
        """How far it was drained."""
        try:
            raw = (self.path / CURSOR).read_bytes()
            segment, offset, frames, at, check = _CURSOR.unpack(raw)
        except (OSError, struct.error):
            return Reached()
        return Reached(segment, offset, frames, at) if check == crc32(raw[:-4]) else Reached()

    def move(self, place: Reached) -> None:
        """The folder is drained up to this place, for good; segments before it are gone."""
        body = _CURSOR.pack(place.segment, place.offset, place.frames, place.at, 0)[:-4]
        with open_for_writing(self.path / CURSOR) as file:
            os.pwrite(file, body + struct.pack("<I", crc32(body)), 0)
            os.fdatasync(file)
        for number in self.segments():
            if number < place.segment:
                self.segment(number).unlink(missing_ok=True)

    def level(self) -> tuple[int, float]:
        """How many frames were written, and the time of the last."""
        try:
            return _LEVEL.unpack((self.path / LEVEL).read_bytes())
        except (OSError, struct.error):
            return 0, 0.0

    def segments(self) -> list[int]:
        """The numbers of the segments that are there, in order."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(int(path.stem) for path in self.path.iterdir() if path.suffix == _ENDING)
        return []

    def segment(self, number: int) -> Path:
        """The file of a segment."""
        return self.path / f"{number:012}{_ENDING}"

    def waiting(self) -> int:
        """So many bytes wait."""
        place, total = self.place(), 0
        for number in self.segments():
            with contextlib.suppress(FileNotFoundError):
                size = self.segment(number).stat().st_size
                total += max(0, size - (place.offset if number == place.segment else HEAD_BYTES))
        return total

    def adopt(self) -> bool:
        """Whether nobody writes here any more; the folder is then this process's until it is removed."""
        if self._lock is None:
            self._lock = try_lock(self.path / LOCK)
        return self._lock is not None

    def read(self, place: Reached, most_bytes: int) -> Piece:
        """The whole frames at the place, some `most_bytes` of them, at least one if there is one."""
        ended = self.adopt()
        known = [number for number in self.segments() if number >= place.segment]
        number = known[0] if known else place.segment
        offset = place.offset if number == place.segment else HEAD_BYTES
        final = ended or any(other > number for other in known)
        parsed = self._parse(number, offset, most_bytes)
        after = Reached(number, parsed.end, place.frames, place.at)
        if parsed.frames or not final:
            return Piece(parsed, after, 0, last=False)
        torn = self._size(number) - parsed.end
        later = [other for other in known if other > number]
        onward = Reached(later[0], HEAD_BYTES, place.frames, place.at) if later else after
        return Piece(parsed, onward, max(0, torn), last=not later)

    def first_time(self) -> float:
        """The time of the first frame that waits, in seconds; 0: none does."""
        place, numbers = self.place(), self.segments()
        number = max(place.segment, numbers[0] if numbers else 0)
        frames = self._parse(number, place.offset if number == place.segment else HEAD_BYTES, 1).frames
        return frames[0].at if frames else 0.0

    def remove(self) -> None:
        """The folder is gone. Only for one that was adopted."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.let_go()

    def let_go(self) -> None:
        """What was adopted may be adopted by others."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _size(self, number: int) -> int:
        try:
            return self.segment(number).stat().st_size
        except FileNotFoundError:
            return 0

    def _parse(self, number: int, offset: int, most_bytes: int) -> Parsed:
        try:
            with self.segment(number).open("rb", buffering=0) as file:
                salt = self._salt() or os.pread(file.fileno(), HEAD_BYTES, 0)[len(MAGIC) :]
                piece = os.pread(file.fileno(), most_bytes, offset)
                wanted = needed(piece, salt)
                if wanted > len(piece):
                    piece = os.pread(file.fileno(), wanted, offset)
                parsed = parse(piece, salt, offset)
                if not parsed.frames and not parsed.whole:  # damaged or unfinished: look at all of it
                    size = os.fstat(file.fileno()).st_size
                    parsed = parse(os.pread(file.fileno(), size - offset, offset), salt, offset)
                return parsed
        except FileNotFoundError:
            return Parsed([], offset, 0, whole=True)

    def _salt(self) -> bytes | None:
        """The writer's salt as it stands beside its lock; None where that is damaged: segments begin with it too."""
        kept = (self.path / LOCK).read_bytes()
        return kept[:SALT_BYTES] if kept[SALT_BYTES:] == crc32(kept[:SALT_BYTES]).to_bytes(4, "little") else None


def new_folder(root: Path, name: str) -> tuple[Folder, bytes]:
    """A new writer's folder, locked by this process, and its salt. It appears whole or not at all."""
    salt = os.urandom(SALT_BYTES)
    unborn, path = root / f"{_UNBORN}{name}", root / f"{_PREFIX}{name.removeprefix(_PREFIX)}"
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        unborn.mkdir(mode=0o700)
        (unborn / LEVEL).write_bytes(_LEVEL.pack(0, 0.0))
        (unborn / LOCK).write_bytes(salt + crc32(salt).to_bytes(4, "little"))
        folder = Folder(unborn)
        if not folder.adopt():
            raise StoreUnavailable("a folder of the spool cannot be locked", where=str(unborn))
        unborn.rename(path)
        sync_folder(root)
    except OSError as error:
        raise StoreUnavailable(
            f"the spool cannot be opened: {error.strerror}", where=str(root), remedy="Name another `spool.folder`."
        ) from error
    folder.path, folder.name = path, path.name
    return folder, salt


def folders(root: Path) -> list[Folder]:
    """The writers' folders, oldest first."""
    with contextlib.suppress(FileNotFoundError):
        return [Folder(path) for path in sorted(root.iterdir()) if path.name.startswith(_PREFIX)]
    return []


def depth(root: Path) -> Depth:
    """What waits in the spool."""
    frames, total, times = 0, 0, []
    for folder in folders(root):
        place, (written, _) = folder.place(), folder.level()
        waiting = folder.waiting()
        total += waiting
        if waiting:
            frames += max(1, written - place.frames)
            times.append(folder.first_time() or place.at)
    oldest = min((one for one in times if one), default=None)
    return Depth(frames, total, None if oldest is None else datetime.fromtimestamp(oldest, UTC))


def write_level(file: int, frames: int, at: float) -> None:
    """The level of a folder says so many frames, the last of that time."""
    os.pwrite(file, _LEVEL.pack(frames, at), 0)


def segment_head(salt: bytes) -> bytes:
    """The begin of a segment."""
    return MAGIC + salt


def try_lock(path: Path) -> int | None:
    """A lock that is held while the file stays open; None: somebody else holds it."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


@contextlib.contextmanager
def open_for_writing(path: Path) -> Iterator[int]:
    """The open file, made where there is none."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def sync_folder(path: Path) -> None:
    """What was made in the folder is there after a power cut."""
    file = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
