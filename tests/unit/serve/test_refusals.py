"""What a caller is told when something goes wrong."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from tokencapital.core.errors import (
    InputError,
    LedgerError,
    ModelTimeout,
    StoreConflict,
    StoreUnavailable,
    UnknownCapability,
)
from tokencapital.serve.gateway import refuse


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnknownCapability("none"), 404),
        (InputError("bad"), 400),
        (StoreConflict("another fact is there"), 409),
        (StoreUnavailable("the disk is full"), 503),
        (ModelTimeout("late"), 503),
        (LedgerError("unbalanced"), 422),
        (ValueError("a secret"), 500),
    ],
)
async def test_each_kind_of_error_has_its_status(error: Exception, status: int) -> None:
    answer = await refuse(Request({"type": "http"}), error)
    assert answer.status_code == status
    assert b"secret" not in answer.body
