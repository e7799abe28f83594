"""Dead letters: frames that the store would not take. They are kept apart with their reason until somebody decides."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tokencapital.record.spool_folder import DEAD, open_for_writing, segment_head, sync_folder
from tokencapital.record.spool_frames import HEAD_BYTES, MAGIC, SALT_BYTES, DeadLetter, parse, read_frame, write_frame

_FILE, _LOCK = "letters.seg", "lock"


def bury(root: Path, letters: Sequence[DeadLetter]) -> None:
    """The letters are kept, durably. Only for the process that drains."""
    folder = root / DEAD
    with _alone(folder), open_for_writing(folder / _FILE) as file:
        head = os.pread(file, HEAD_BYTES, 0)
        if len(head) < HEAD_BYTES:
            head = segment_head(os.urandom(SALT_BYTES))
            os.pwrite(file, head, 0)
        body = b"".join(write_frame(one, head[len(MAGIC) :]) for one in letters)
        os.pwrite(file, body, os.fstat(file).st_size)
        os.fdatasync(file)
    sync_folder(folder)


def dead_letters(root: Path) -> list[DeadLetter]:
    """All dead letters, oldest first, each once."""
    try:
        data = (root / DEAD / _FILE).read_bytes()
    except FileNotFoundError:
        return []
    found = [read_frame(raw) for raw in parse(data[HEAD_BYTES:], data[len(MAGIC) : HEAD_BYTES]).frames]
    return list({(letter.kind, letter.body): letter for letter in found}.values())


@contextmanager
def exhumed(root: Path) -> Iterator[list[DeadLetter]]:
    """All dead letters; after the block, unless it raises, there are none any more. Nobody buries any meanwhile."""
    with _alone(root / DEAD):
        yield dead_letters(root)
        (root / DEAD / _FILE).unlink(missing_ok=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open_for_writing(folder / _LOCK) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
