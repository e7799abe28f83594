"""The store itself: opening it, its key, its transactions."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    Connection,
    Engine,
    Table,
    bindparam,
    create_engine,
    event,
    exc,
    make_url,
    select,
)

from tokencapital.core.errors import StoreConflict, StoreUnavailable
from tokencapital.store.insertion import Insertion
from tokencapital.store.reach import CONNECT_S, PROBE_S, Reach, bounded
from tokencapital.store.schema import SCHEMA_VERSION, counter, meta

_BUSY_TIMEOUT_S = "10"
_KEY_BYTES = 32
_CHUNK = 500
_MIGRATION_LOCK = 0x7463_6170
_WRITE = {"tcap_write": True}


class _Joined(threading.local):
    """The transactions that this thread is in."""

    writer: Connection | None = None
    reader: Connection | None = None


class Store:
    """One store of facts, open. `key` ties facts to payloads and decides the splits, `kept` is what readers found.

    Many threads may use it at once. On SQLite one process writes; others may read.
    """

    def __init__(self, engine: Engine, where: str) -> None:
        self._engine = engine
        self._where = where
        self._joined = _Joined()
        self._write_lock = threading.Lock()
        self._probe_lock = threading.Lock()
        self._probe: Any = None
        self._insertions: dict[str, Insertion] = {}
        self._snapshot: dict[str, Any] = (
            {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        )
        self.kept: dict[tuple[str, ...], Any] = {}
        self.key = b""
        self.reach = Reach(self._ping)
        if engine.dialect.name == "postgresql":
            connections = bounded(engine.dialect.loaded_dbapi, self.reach)
            event.listen(engine, "do_connect", lambda _d, _r, given, named: connections.connect(*given, **named))
        self._said: dict[str, Any] = {}

    @staticmethod
    def open(url: str, *, key: bytes | None = None) -> Store:
        """An open store of the newest schema; made where there is none.

        `url` is a path of a SQLite file or a SQLAlchemy URL; on SQLite `?timeout=` is how many seconds to
        wait for another process that writes (10). `key` decides the splits of a store that
        is made now; None: 32 random bytes. Raises StoreUnavailable where the store cannot be opened or
        written, StoreConflict where it exists with another key.
        """
        address = _address(url)
        where = address.render_as_string(hide_password=True) if address.host else (address.database or url)
        if address.get_backend_name() == "sqlite":
            _prepare_file(Path(address.database or ""))
        store = Store(_engine(address), where)
        try:
            store._migrate()
            store.key = store._own_key(key)
        except BaseException:
            store.close()
            raise
        return store

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction that may write; all of it is kept, or nothing where the block raises.

        Inside another one of the same thread it joins that one. Raises StoreUnavailable where the
        database fails, StoreConflict where a fact contradicts one that is there.
        """
        if self._joined.writer is not None:
            yield self._joined.writer
            return
        self.reach.check()
        with self._alone(), self._failures(), self._connection(_WRITE) as connection, connection.begin():
            self._joined.writer = connection
            self.reach.heard()
            try:
                yield connection
            finally:
                self._joined.writer = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view of the store; inside another transaction of the same thread it is that one's."""
        outer = self._joined.writer or self._joined.reader
        if outer is not None:
            yield outer
            return
        self.reach.check()
        with self._failures(), self._connection(self._snapshot) as connection, connection.begin():
            self._joined.reader = connection
            self.reach.heard()
            try:
                yield connection
            finally:
                self._joined.reader = None

    def add_new(self, connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> int:
        """How many of the rows were new; those whose key was there already are left alone.

        Each row names every column that the database does not count by itself. The rows are used up.
        """
        if table.name not in self._insertions:
            self._insertions[table.name] = Insertion(table, self._engine.dialect)
        return self._insertions[table.name].add(connection, rows)

    def probe(self, statement: str) -> Any:
        """The first value of a short SQL query, on a connection kept open for it: fit for every request.

        While the store is away it is what the query gave last; `reach.age_s` says for how long. Raises
        StoreUnavailable where it never gave anything.
        """
        try:
            self.reach.check()
            self._said[statement] = said = self._ask(statement)
        except StoreUnavailable:
            if statement not in self._said:
                raise
            return self._said[statement]
        self.reach.heard()
        return said

    def _ask(self, statement: str) -> Any:
        errors = self._engine.dialect.loaded_dbapi.Error
        with self._probe_lock, self._failures():
            try:
                if self._probe is None:
                    self._probe = self._lone_connection()
                row = self._probe.execute(statement).fetchone()
            except errors as error:
                self._probe = None
                raise self._lost(error) from error
        return row[0] if row else None

    def run_alone(self, statement: str) -> Any:
        """The first value of a statement that runs outside any transaction, such as VACUUM; None: it gives none."""
        errors = self._engine.dialect.loaded_dbapi.Error
        with self._alone(), self._failures():
            connection = self._lone_connection()
            try:
                done = connection.execute(statement)
                row = done.fetchone() if done.description else None
            except errors as error:
                raise _unavailable(error, self._where) from error
            finally:
                connection.close()
        return row[0] if row else None

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @property
    def writing(self) -> bool:
        """Whether this thread is in a transaction that may write, and may still be undone."""
        return self._joined.writer is not None

    def keep(self, name: tuple[str, ...], found: Any) -> None:
        """What was read is `kept` under the name for the next reader.

        Not what a transaction that writes has read: it may still be undone.
        """
        if not self.writing:
            self.kept[name] = found

    def close(self) -> None:
        """All connections are given back. Closing twice is harmless."""
        self.reach.close()
        with self._probe_lock:
            if self._probe is not None:
                self._probe.close()
                self._probe = None
        self._engine.dispose()

    def _lone_connection(self) -> Any:
        """The driver's own connection: SQLAlchemy's costs ten times what such a query does."""
        pooled = self._engine.raw_connection()
        connection: Any = pooled.driver_connection
        pooled.detach()
        if self._engine.dialect.name == "postgresql":
            connection.autocommit = True
            connection.limit_s = PROBE_S
        return connection

    def _connection(self, options: dict[str, Any]) -> Connection:
        return self._engine.connect().execution_options(**options)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """SQLite lets threads of a process starve each other at its file lock; a queue here does not."""
        if self._engine.dialect.name != "sqlite":
            yield
            return
        with self._write_lock:
            yield

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except exc.IntegrityError as error:
            raise StoreConflict(f"the store refuses this fact: {error.orig}", where=self._where) from error
        except (exc.DBAPIError, exc.TimeoutError) as error:
            lost = not isinstance(error, exc.DBAPIError) or error.connection_invalidated or error.statement is None
            raise (self._lost(error) if lost else _unavailable(error, self._where)) from error

    def _lost(self, error: Exception) -> StoreUnavailable:
        """The error as ours; a server that it was lost to is away. A file is tried anew each time."""
        unavailable = _unavailable(error, self._where)
        if self._engine.dialect.name != "sqlite":
            self.reach.lost(unavailable)
        return unavailable

    def _ping(self) -> None:
        with self._failures(), self._connection({}) as connection:
            connection.exec_driver_sql("SELECT 1")

    def _migrate(self) -> None:
        with self.read() as connection:
            version = _version(connection, self._where)
        if version == SCHEMA_VERSION:
            return
        if self._engine.dialect.name == "sqlite":
            self.probe("PRAGMA journal_mode=WAL")
        with self.begin() as connection:
            if self._engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            _upgrade(connection, self._where)

    def _own_key(self, key: bytes | None) -> bytes:
        with self.read() as connection:
            kept = connection.execute(select(meta.c.value).where(meta.c.name == "key")).scalar()
        if kept is None:
            with self.begin() as connection:
                fresh = (key or secrets.token_bytes(_KEY_BYTES)).hex()
                self.add_new(connection, meta, [{"name": "key", "value": fresh}])
                kept = connection.execute(select(meta.c.value).where(meta.c.name == "key")).scalar_one()
        if key is not None and key.hex() != kept:
            raise StoreConflict(
                "this store was made with another key",
                where=self._where,
                remedy="Open it without a key, or choose another store.",
            )
        return bytes.fromhex(kept)


def dialect_of(url: str) -> str:
    """`sqlite` or `postgresql`: where a store with this address is kept. Raises StoreUnavailable for any other."""
    return _address(url).get_backend_name()


def chunks(values: Iterable[str]) -> Iterator[list[str]]:
    """The distinct values, sorted, in lists short enough for one IN clause."""
    ordered = sorted(set(values))
    for start in range(0, len(ordered), _CHUNK):
        yield ordered[start : start + _CHUNK]


def there(connection: Connection, column: Column[str], values: Iterable[str]) -> set[str]:
    """Those of the values that stand in the column."""
    found: set[str] = set()
    for some in chunks(values):
        found.update(connection.execute(select(column).where(column.in_(some)).distinct()).scalars())
    return found


def next_numbers(connection: Connection, name: str, count: int) -> int:
    """The first of `count` numbers nobody else has; others who want some wait until this one commits."""
    last: int = connection.execute(_TAKE_NUMBERS, {"counted": name, "more": count}).scalar_one()
    return last - count + 1


_TAKE_NUMBERS = (
    counter.update()
    .where(counter.c.name == bindparam("counted"))
    .values(value=counter.c.value + bindparam("more", type_=BigInteger))
    .returning(counter.c.value)
)


def _address(url: str) -> URL:
    if "://" not in url:
        return URL.create("sqlite", database=str(Path(url).expanduser().absolute()))
    try:
        address = make_url(url)
    except exc.ArgumentError as error:
        raise StoreUnavailable("this is no address of a store", where=url, remedy=_ADDRESSES) from error
    if address.drivername in {"postgresql", "postgres"}:
        address = address.set(drivername="postgresql+psycopg")
    if address.get_backend_name() not in {"sqlite", "postgresql"}:
        raise StoreUnavailable(f"no store on {address.get_backend_name()}", where=url, remedy=_ADDRESSES)
    return address


_ADDRESSES = "Give a path of a file, or postgresql://user@host/database."


def _prepare_file(path: Path) -> None:
    """The file may be opened for writing, or StoreUnavailable says why not.

    Permission bits are read too, because root may write what its owner has marked as read-only.
    """
    where = str(path)
    if path.is_dir() or path.name == ":memory:":
        raise StoreUnavailable("a store is a file, and this is none", where=where, remedy="Name a file.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"its folder cannot be made: {error.strerror}", where=where) from error
    for place in (path, path.parent):
        if place.exists() and not (os.access(place, os.W_OK) and place.stat().st_mode & 0o222):
            raise StoreUnavailable(
                "the store is read-only", where=str(place), remedy="Allow writing to it, or choose another store."
            )
    if not path.exists():
        path.touch(mode=0o600)


def _engine(address: URL) -> Engine:
    if address.get_backend_name() == "postgresql":
        try:
            return create_engine(address, connect_args=_CONNECT, pool_pre_ping=True, **_SILENT)
        except ImportError as error:
            raise StoreUnavailable(
                "PostgreSQL needs its driver", remedy="pip install 'tokencapital[postgres]'"
            ) from error
    if "timeout" not in address.query:
        address = address.update_query_dict({"timeout": _BUSY_TIMEOUT_S})
    engine = create_engine(address, connect_args={"check_same_thread": False}, **_SILENT)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


_CONNECT: dict[str, Any] = {"options": "-c timezone=UTC", "connect_timeout": CONNECT_S}
_SILENT: dict[str, Any] = {"hide_parameters": True}
"""No error repeats what was to be stored: it may be somebody's words, and errors end up in logs."""


def _set_up_sqlite(connection: Any, _record: object) -> None:
    """The driver's own transactions are off, because it would begin too late: after the first read."""
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


_PRAGMAS = ("synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON", "cache_size=-16000", "wal_autocheckpoint=4000")
"""What is erased is overwritten; 16 MB of cache and of log let random keys be written together."""


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes its turn at once: one that has read before it writes could no longer wait for it."""
    writes = connection.get_execution_options().get("tcap_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _version(connection: Connection, where: str) -> str | None:
    """The store's schema version; None where the database is empty. Raises StoreUnavailable on another's tables."""
    tables = connection.dialect.get_table_names(connection)
    if "alembic_version" not in tables:
        if tables:
            raise StoreUnavailable("this database holds other tables", where=where, remedy="Choose an empty one.")
        return None
    found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return found


def _upgrade(connection: Connection, where: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    settings = Config()
    settings.set_main_option("script_location", "tokencapital.store:migrations")
    settings.attributes["connection"] = connection
    try:
        command.upgrade(settings, SCHEMA_VERSION)
    except CommandError as error:
        raise StoreUnavailable(
            f"its schema is unknown here: {error}", where=where, remedy="Upgrade tokencapital."
        ) from error


def is_refused(error: Exception) -> bool:
    """Whether the database is there and will never take what was to be stored."""
    return isinstance(error.__cause__, exc.DataError | exc.ProgrammingError | exc.NotSupportedError)


def _unavailable(error: Exception, where: str) -> StoreUnavailable:
    said = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    for sign, (what, remedy) in _SIGNS.items():
        if sign in said:
            return StoreUnavailable(what, where=where, remedy=remedy)
    return StoreUnavailable(f"the database fails: {said}", where=where)


_AWAY = "the database server cannot be reached"
_SIGNS = {
    "not a database": ("this file is no store", "Choose another file."),
    "malformed": ("the store's file is damaged", "Restore it from a copy."),
    "readonly": ("the store is read-only", "Allow writing to it, or choose another store."),
    "locked": ("another process is writing to the store", "Stop that process, or use PostgreSQL for many writers."),
    "disk is full": ("the disk is full", "Free some space."),
    "connection failed": (_AWAY, "Start it, or correct the address."),
    "closed the connection": (_AWAY, "Send it again when it is back."),
    "terminating connection": (_AWAY, "Send it again when it is back."),
    "does not answer": (_AWAY, "Send it again when it is back."),
}
