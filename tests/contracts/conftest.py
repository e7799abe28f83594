"""One store contract, two databases: a file, and a real PostgreSQL server for the whole session."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tokencapital.store.database import Store
from tokencapital.testing.people import tell_everyone
from tokencapital.testing.postgres import Postgres

KEY = b"k" * 32
_databases = itertools.count()


@pytest.fixture(scope="session")
def postgres_server(new_postgres: Callable[[], Postgres]) -> Iterator[str]:
    """The address of a server that vanishes after the session."""
    server = new_postgres()
    _forget_durability(server.url)
    yield server.url
    server.end()


@pytest.fixture(scope="session")
def sqlite_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty store with a known key, to be copied."""
    path = tmp_path_factory.mktemp("model") / "store.db"
    _make(str(path))
    return path


@pytest.fixture(scope="session")
def postgres_model(postgres_server: str) -> str:
    """The database of an empty store with a known key, to be copied."""
    _make(_create_database(postgres_server, "model"))
    return "model"


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """Which database keeps the store."""
    name: str = request.param
    return name


@pytest.fixture
def new_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a store that nobody has made yet."""
    if backend == "sqlite":
        return str(tmp_path / "store.db")
    return _create_database(request.getfixturevalue("postgres_server"), _name())


@pytest.fixture
def store_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store whose key is KEY."""
    if backend == "sqlite":
        return str(shutil.copy(request.getfixturevalue("sqlite_model"), tmp_path / "store.db"))
    server = request.getfixturevalue("postgres_server")
    return _create_database(server, _name(), model=request.getfixturevalue("postgres_model"))


@pytest.fixture
def open_store() -> Iterator[Callable[..., Store]]:
    """Opens stores and closes them after the test."""
    opened: list[Store] = []

    def open_it(url: str, key: bytes | None = None) -> Store:
        opened.append(Store.open(url, key=key))
        return opened[-1]

    yield open_it
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[..., Store], store_url: str) -> Store:
    """An empty store whose key is KEY."""
    return open_store(store_url)


def _name() -> str:
    return f"store_{os.getpid()}_{next(_databases)}"


def _forget_durability(server: str) -> None:
    """The server dies with the session, so that waiting for the disk proves nothing."""
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")


def _create_database(server: str, name: str, model: str = "template1") -> str:
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{model}"')
    return server.replace("/postgres?", f"/{name}?")


def _make(url: str) -> None:
    """An empty store in which everybody had notice, so that what they say may teach."""
    made = Store.open(url, key=KEY)
    tell_everyone(made)
    made.close()
