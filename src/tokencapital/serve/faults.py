"""Errors that nobody foresaw: each has an id that its line in the log and its response share, and is logged once."""

from __future__ import annotations

import logging
import secrets

_LOG = logging.getLogger("tokencapital.fault")
_ID = "tcap_fault"


def fault_of(error: BaseException) -> str:
    """The id of an error that nobody foresaw. It is logged when it is first asked for."""
    known = error.__dict__.get(_ID)
    if isinstance(known, str):
        return known
    fault = f"flt_{secrets.token_hex(6)}"
    error.__dict__[_ID] = fault
    _LOG.error("an error that nobody foresaw", exc_info=error, extra={"facts": {"fault": fault}})
    return fault


def fault_message(error: BaseException) -> str:
    """What a caller is told of it: where to look, and nothing of what went wrong inside."""
    return f"an error that nobody foresaw; the log says more under {fault_of(error)}"
