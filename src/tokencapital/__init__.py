"""Token Capital: the learning loop that makes a company's AI its own."""

from __future__ import annotations

from typing import Any

_SDK = frozenset({"ModelCall", "Step", "connect", "connection", "disconnect", "flush", "record_call", "trace"})


def __getattr__(name: str) -> Any:
    """What applications use of the SDK, loaded when it is first asked for."""
    if name not in _SDK:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tokencapital.serve import sdk

    return getattr(sdk, name)
