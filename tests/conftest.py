"""What holds for every test: no network, the same examples each time, recorded work only where it lies."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tokencapital.testing.postgres import Postgres

RECORDED = Path(__file__).parents[1] / ".." / "shared" / "data"
_REACHING_OUT = frozenset({"socket.connect", "socket.sendto", "socket.getaddrinfo"})

settings.register_profile("seeded", derandomize=True, deadline=None, database=None, print_blob=True)
settings.load_profile("seeded")


class NetworkRefusedError(RuntimeError):
    """A test reached for a machine other than this one."""


def _refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _REACHING_OUT and not _is_here(_host(event, arguments)):
        raise NetworkRefusedError(f"{event} to {arguments[1:]}: tests reach nothing but loopback")


def _host(event: str, arguments: tuple[Any, ...]) -> Any:
    if event == "socket.getaddrinfo":
        return arguments[0]
    address = arguments[1]
    return address[0] if isinstance(address, tuple) else None


def _is_here(host: Any) -> bool:
    """Whether the host is this machine; addresses that are no internet address, such as paths, are."""
    name = host.decode() if isinstance(host, bytes) else host
    if not isinstance(name, str) or name in {"", "localhost"}:
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def pytest_configure() -> None:
    """Python's own audit events are listened to, so that no library gets around the rule unseen."""
    sys.addaudithook(_refuse_network)


@pytest.fixture(scope="session")
def recorded() -> Callable[[str], Path]:
    """Finds a file of recorded work beside the checkout; skips the test where it is absent."""

    def find(name: str) -> Path:
        path = (RECORDED / name).resolve()
        if not path.is_file():
            pytest.skip(f"the recorded work {name} does not lie beside this checkout")
        return path

    return find


@pytest.fixture(scope="session")
def new_postgres() -> Callable[[], Postgres]:
    """Begins servers of PostgreSQL; skips the test where there are none to begin."""

    def begin() -> Postgres:
        pytest.importorskip("psycopg")
        try:
            return Postgres()
        except ModuleNotFoundError as error:
            pytest.skip(f"no PostgreSQL can be begun: {error}")

    return begin
