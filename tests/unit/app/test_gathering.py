"""Writes of one turn of the loop go out together, in order, and none is lost when the connection closes."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from tokencapital.app.gathering import GatheredTransport


class Wire:
    """Remembers what was done to it."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def close(self) -> None:
        self.done.append("closed")

    def abort(self) -> None:
        self.done.append("aborted")

    def is_closing(self) -> bool:
        return bool({"closed", "aborted"} & {one for one in self.done if isinstance(one, str)})


def gathered() -> tuple[GatheredTransport, Wire]:
    wire = Wire()
    return GatheredTransport(cast("asyncio.Transport", wire), asyncio.get_running_loop()), wire


async def test_one_turn_is_one_write() -> None:
    transport, wire = gathered()
    transport.write(b"head")
    transport.write(b"body")
    assert wire.done == []
    await asyncio.sleep(0)
    assert wire.done == [b"headbody"]
    transport.write(b"more")
    await asyncio.sleep(0)
    assert wire.done == [b"headbody", b"more"]


async def test_what_was_written_goes_out_before_the_end() -> None:
    transport, wire = gathered()
    transport.write(b"last")
    transport.close()
    await asyncio.sleep(0)
    assert wire.done == [b"last", "closed"]


async def test_a_connection_that_is_over_is_written_no_more() -> None:
    transport, wire = gathered()
    transport.write(b"lost")
    transport.abort()
    await asyncio.sleep(0)
    assert wire.done == ["aborted"]
    assert transport.is_closing()
