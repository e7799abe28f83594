"""Every page of a site with something on it: each route that is read, its parameters filled in from the store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import product
from urllib.parse import quote, unquote

from sqlalchemy import Column, Table, select
from starlette.routing import BaseRoute, Route

from tokencapital.store.capabilities import list_capabilities
from tokencapital.store.database import Store
from tokencapital.store.schema import conflict_event, document_event, judgment, lesson_event, trajectory

_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
_CHARTS = ("curve.json", "errors.json", "effects.json")
_APART = ("/static/", "/v1/")

Filled = Callable[[Store], list[str]]
"""Values that a parameter of a path may take in a store."""


def addresses(routes: Iterable[BaseRoute], store: Store, *, pages_only: bool = True) -> list[str]:
    """The addresses of all that can be read, one for each value of its parameters, in the order of the routes.

    `pages_only` leaves out what no person reads, such as the specification of a chart. Raises KeyError for a
    parameter that nobody has said how to fill in, so that a new page is never left out.
    """
    found: list[str] = []
    for route in routes:
        if not isinstance(route, Route) or "GET" not in (route.methods or ()) or route.path.startswith(_APART):
            continue
        if pages_only and ("{chart}" in route.path or route.path.endswith(".json")):
            continue
        found += _filled(route.path, store)
    return list(dict.fromkeys(found))


def route_of(routes: Iterable[BaseRoute], path: str) -> str:
    """The path of the route that answers an address, with its parameters named. Raises LookupError for none."""
    for route in routes:
        if isinstance(route, Route) and route.path_regex.match(unquote(path)) and "GET" in (route.methods or ()):
            return route.path
    raise LookupError(path)


def _filled(path: str, store: Store) -> list[str]:
    names = _PARAMETER.findall(path)
    if "capability" in names and len(names) > 1 and "chart" not in names:
        return _together(path, names, store)
    values = [_FILLED[name](store) for name in names]
    return [_address(path, dict(zip(names, some, strict=True))) for some in product(*values)]


def _together(path: str, names: list[str], store: Store) -> list[str]:
    """The address with the newest of what the path names, in its own capability."""
    (other,) = [name for name in names if name != "capability"]
    table, column = _TABLES[other]
    query = select(table.c.capability, column).order_by(table.primary_key.columns.values()[0].desc()).limit(1)
    if table is judgment:
        query = query.where(judgment.c.blind)  # only those are compared with what the machine said
    with store.read() as connection:
        row = connection.execute(query).first()
    return [] if row is None else [_address(path, {"capability": row[0], other: row[1]})]


def _address(path: str, values: dict[str, str]) -> str:
    return _PARAMETER.sub(lambda name: quote(values[name[1]], safe=""), path)


def _capabilities(store: Store) -> list[str]:
    return [one.name for one in list_capabilities(store)]


def _newest(table: Table, column: Column[str]) -> Filled:
    def filled(store: Store) -> list[str]:
        query = select(column).order_by(table.primary_key.columns.values()[0].desc()).limit(1)
        with store.read() as connection:
            return list(connection.execute(query).scalars())

    return filled


def _runs(store: Store) -> list[str]:
    """The newest run, and that of the case that was judged last, so that lineage is seen both ways."""
    newest = select(trajectory.c.id).order_by(trajectory.c.position.desc()).limit(1)
    last = select(judgment.c.case_id).order_by(judgment.c.sequence.desc()).limit(1).scalar_subquery()
    judged = select(trajectory.c.id).where(trajectory.c.case_id == last).limit(1)
    with store.read() as connection:
        return [*connection.execute(newest).scalars(), *connection.execute(judged).scalars()]


_TABLES: dict[str, tuple[Table, Column[str]]] = {
    "judgment": (judgment, judgment.c.id),
    "lesson": (lesson_event, lesson_event.c.lesson),
    "conflict": (conflict_event, conflict_event.c.conflict),
    "document": (document_event, document_event.c.document),
}
_FILLED: dict[str, Filled] = {
    "capability": _capabilities,
    "chart": lambda store: list(_CHARTS),
    "trajectory": _runs,
    **{name: _newest(table, column) for name, (table, column) in _TABLES.items()},
}
