"""What was worked out of cases, kept by a digest of their content."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from tokencapital.core.case import Case

T = TypeVar("T")

CACHED_CASES = 32_768
"""Cases of which a result is kept, a kilobyte or two each."""


class CaseCache(Generic[T]):
    """A function of a case's messages and context, with the results of the cases that were last asked for.

    No word of a case is kept unless the function's result holds it. May be called from several threads.
    """

    def __init__(self, work_out: Callable[[Case], T], most: int = CACHED_CASES) -> None:
        self._work_out = work_out
        self._most = most
        self._lock = threading.Lock()
        self._results: dict[bytes, T] = {}

    def __call__(self, case: Case) -> T:
        """The result for the case, worked out where it is not kept."""
        key = _digest(case)
        with self._lock:
            found = self._results.pop(key, None)
            if found is not None:
                self._results[key] = found
                return found
        made = self._work_out(case)
        with self._lock:
            self._results[key] = made
            if len(self._results) > self._most:
                del self._results[next(iter(self._results))]
        return made


def _digest(case: Case) -> bytes:
    content = msgspec.msgpack.encode((case.messages, case.context))
    return hashlib.blake2b(content, digest_size=16).digest()
