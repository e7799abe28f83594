"""How a house is served: by one process, or by many behind one socket, with a drain beside them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

from msgspec import Struct

from tokencapital.app.processes import GRACEFUL_S, Child, house_command, told_to_stop
from tokencapital.app.recording import GRACE_S
from tokencapital.core.errors import SettingsError
from tokencapital.store.database import dialect_of


class House(Struct, frozen=True):
    """Which house is served: its settings' file and its store, as they were named. None: as configured.

    `options` are those of the command that its workers are given too.
    """

    config: Path | None
    store: str | None
    options: tuple[str, ...] = ()


def check_workers(workers: int, store: str) -> None:
    """Returns where so many processes may serve one store. Raises SettingsError for several on SQLite."""
    if workers > 1 and dialect_of(store) == "sqlite":
        raise SettingsError(
            f"{workers} workers would wait for each other at SQLite's lock, each holding up its own callers",
            where=store,
            remedy="Serve with one worker, or keep the store in PostgreSQL: docs/how-to/durability.md.",
        )


def beside_a_drain(house: House, serve: Callable[[], None]) -> None:
    """Serves, with a drain beside; the drain ends last, so that what was acknowledged is in the store by then."""
    drain = Child([*house_command("drain", house.config, house.store), "--follow"])
    try:
        serve()
    finally:
        drain.stop(2 * GRACE_S)


def serve_many(house: House, workers: int, listener: socket.socket) -> None:
    """So many processes serve what comes to the socket, each begun anew if it ends, until this one is told to stop."""
    command = [*house_command("serve", house.config, house.store), *house.options, "--listener", str(listener.fileno())]

    def serve() -> None:
        with told_to_stop() as stop:
            children = [Child(command, (listener.fileno(),)) for _ in range(workers)]
            stop.wait()
            _stop_all(children)

    listener.set_inheritable(True)
    beside_a_drain(house, serve)


def _stop_all(children: Sequence[Child]) -> None:
    """All end at the same time, within one time of grace."""
    until = monotonic() + GRACEFUL_S + GRACE_S
    threads = [threading.Thread(target=one.stop, args=(until - monotonic(),)) for one in children]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
