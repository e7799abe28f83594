"""What a check found."""

from __future__ import annotations

from msgspec import Struct

OK, WARN, FAIL = "ok", "warn", "fail"


class Finding(Struct, frozen=True, kw_only=True):
    """One check: `ok`, `warn` (the house works, but something is missing or near its end) or `fail`.

    `remedy` says what to do; None: nothing needs doing, or the detail says it.
    """

    what: str
    state: str
    detail: str
    remedy: str | None = None
