"""Our endpoints keep to their own description, whatever they are sent: good requests and bad ones, made from it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from starlette.routing import Route
from starlette.testclient import TestClient

from tokencapital.app.guard import MACHINES, PUBLIC
from tokencapital.app.openapi import BODIES, OURS, PATH, described
from tokencapital.app.platform import Platform
from tokencapital.app.server import build_app
from tokencapital.app.settings import CapabilitySettings, Settings
from tokencapital.core.case import ContractKind

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

EXAMPLES = 15
CHECKS = [not_a_server_error, response_schema_conformance, status_code_conformance, content_type_conformance]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    declared = {"triage": CapabilitySettings(contract=ContractKind.LABEL, labels=("a", "b"))}
    store = str(tmp_path_factory.mktemp("house") / "store.db")
    with Platform.open(Settings(store=store, capabilities=declared), key=bytes(32)) as platform:
        yield platform


@pytest.fixture(scope="module")
def client(house: Platform) -> Iterator[TestClient]:
    with TestClient(build_app(house), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def description(client: TestClient) -> dict[str, Any]:
    return client.get(PATH).json()  # type: ignore[no-any-return]


def operations() -> list[tuple[str, str]]:
    """Paths and methods, known before there is a house."""
    return [(path, method) for path in sorted({*MACHINES, "/healthz", "/readyz", PATH}) for method in ("get", "post")]


def test_every_endpoint_of_programs_is_described(house: Platform, description: dict[str, Any]) -> None:
    routes = [one for one in build_app(house).routes if isinstance(one, Route) and one.path.startswith(OURS)]
    there = {(one.path, method.lower()) for one in routes for method in (one.methods or set()) - {"HEAD"}}
    told = {(path, method) for path, one in description["paths"].items() for method in one}
    assert told == there
    posted = {path for path, method in there if method == "post"}
    assert set(BODIES) <= posted
    assert description == json.loads(msgspec.json.encode(described(routes)))


def test_what_needs_a_key_says_so_and_what_does_not_says_nothing(description: dict[str, Any]) -> None:
    for path, methods in description["paths"].items():
        for operation in methods.values():
            assert ("security" in operation) == (path not in PUBLIC), path


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=str)
@pytest.mark.parametrize(("path", "method"), operations())
def test_answers_keep_to_the_description(
    client: TestClient, description: dict[str, Any], path: str, method: str, mode: GenerationMode
) -> None:
    if method not in description["paths"].get(path, {}):
        assert client.request(method.upper(), path.replace("{trajectory}", "x")).status_code in {404, 405}
        return
    schema = schemathesis.openapi.from_dict(description)
    operation = schema[path][method.upper()]

    @settings(max_examples=EXAMPLES, phases=[Phase.generate], suppress_health_check=list(HealthCheck), deadline=None)
    @given(case=operation.as_strategy(generation_mode=mode))
    def answered(case: Any) -> None:
        kwargs = case.as_transport_kwargs(base_url="http://testserver")
        kwargs.pop("cookies", None)
        if isinstance(kwargs.get("data"), bytes):
            kwargs["content"] = kwargs.pop("data")
        response = client.request(follow_redirects=False, **kwargs)
        wrapped = schemathesis.Response.from_any(response)
        case.validate_response(wrapped, checks=CHECKS)

    if mode is GenerationMode.POSITIVE:
        answered()
    else:
        with suppress(Unsatisfiable):  # of some endpoints nothing wrong can be asked
            answered()
