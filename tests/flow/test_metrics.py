"""`/metrics` of a served house: what was asked, what it took, and several workers as one."""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic, sleep

import msgspec
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from tokencapital.app.hardening import Bounds
from tokencapital.app.keys import KeyAsked, make_key
from tokencapital.app.metrics_families import FAMILIES, Row, added
from tokencapital.app.metrics_process import Board, process_rows
from tokencapital.app.platform import Platform
from tokencapital.app.server import build_app
from tokencapital.app.settings import CapabilitySettings, Settings
from tokencapital.app.watched import Watched
from tokencapital.core.access import Scope
from tokencapital.core.case import ContractKind
from tokencapital.core.errors import StoreUnavailable
from tokencapital.serve.provider_settings import ProviderSettings
from tokencapital.testing.upstream import Scripted, ScriptedUpstream

ANSWER = (
    b'{"id":"x","object":"chat.completion","created":0,"model":"gpt-4o-mini","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}'
)
Numbers = dict[tuple[str, frozenset[tuple[str, str]]], float]


def settings(folder: Path, **more: object) -> Settings:
    declared = {"triage": CapabilitySettings(contract=ContractKind.LABEL, labels=("a", "b"))}
    return msgspec.structs.replace(Settings(store=str(folder / "store.db"), capabilities=declared), **more)


def numbers(text: str) -> Numbers:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def at(found: Numbers, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def call(client: TestClient, model: str) -> int:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    return client.post("/v1/chat/completions", json=body).status_code


def test_what_was_asked_and_what_it_took(tmp_path: Path) -> None:
    with ScriptedUpstream(Scripted(pieces=(ANSWER,))) as upstream:
        provider = ProviderSettings(kind="compatible", url=f"{upstream.url}/v1", models=("gpt-4o-mini",))
        with Platform.open(settings(tmp_path, providers={"acme": provider})) as platform:
            app = build_app(platform)
            served = Bounds(app, platform.settings.requests, platform.watched.requests, app.routes)
            with TestClient(served) as client:
                assert [call(client, one) for one in ("gpt-4o-mini", "gpt-4o-mini", "triage", "none")] == [
                    200,
                    200,
                    202,
                    404,
                ]
                until = monotonic() + 10
                while True:
                    found = numbers(client.get("/metrics").text)
                    if found.get(("tcap_drained_total", frozenset()), 0) >= 2 or monotonic() > until:
                        break
                    sleep(0.05)
    route = {"method": "POST", "route": "/v1/chat/completions"}
    assert at(found, "tcap_requests_total", **route, status="200") == 2
    assert at(found, "tcap_requests_total", **route, status="404") == 1
    assert at(found, "tcap_request_seconds_count", route="/v1/chat/completions") == 4
    assert at(found, "tcap_relayed_total", wire="chat", provider="acme", status="2xx") == 2
    assert at(found, "tcap_upstream_seconds_bucket", provider="acme", le="+Inf") == 2
    who = {"capability": "unsorted", "provider": "acme", "stage": "step"}
    assert at(found, "tcap_done_total", **who) == 2
    assert (
        at(found, "tcap_tokens_total", **who, kind="input"),
        at(found, "tcap_tokens_total", **who, kind="output"),
    ) == (6, 4)
    assert at(found, "tcap_cost_total", **who, currency="USD") > 0
    assert (at(found, "tcap_up", part="store"), at(found, "tcap_ready"), at(found, "tcap_spool_frames")) == (1, 1, 0)
    assert at(found, "tcap_requests_in_flight") == 1, "the question itself"


def test_every_number_belongs_to_a_family_that_is_told_of(tmp_path: Path) -> None:
    with Platform.open(settings(tmp_path)) as platform, TestClient(build_app(platform)) as client:
        text = client.get("/metrics").text
    names = {line.split(" ")[2] for line in text.splitlines() if line.startswith("# HELP")}
    assert names
    assert {name.removesuffix("_total") for name in names} <= set(FAMILIES)


def test_metrics_need_an_admin_where_there_are_keys(tmp_path: Path) -> None:
    with Platform.open(settings(tmp_path)) as platform:
        secrets = {
            scope: make_key(platform, KeyAsked(application="a", scopes=frozenset({scope}), by="m")).secret
            for scope in Scope
        }
        with TestClient(build_app(platform)) as client:
            status = {
                scope: client.get("/metrics", headers={"authorization": f"Bearer {secret}"}).status_code
                for scope, secret in secrets.items()
            }
            assert client.get("/metrics").status_code == 401
            assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
    assert status == {Scope.INFER: 403, Scope.RECORD: 403, Scope.REVIEW: 403, Scope.ADMIN: 200}


def test_while_the_store_is_away_the_rest_is_told(tmp_path: Path) -> None:
    class Away:
        def probe(self, statement: str) -> object:
            raise StoreUnavailable("gone")

    with Platform.open(settings(tmp_path)) as platform, TestClient(build_app(platform)) as client:
        assert client.get("/metrics").status_code == 200
        store, platform.store = platform.store, Away()  # type: ignore[assignment]
        try:
            sleep(1.1)
            found = numbers(client.get("/metrics").text)
        finally:
            platform.store = store
    assert at(found, "tcap_up", part="store") == 0
    assert not any(name.startswith("tcap_done") for name, _ in found)


def test_workers_count_together_and_no_counter_falls_when_one_ends(tmp_path: Path) -> None:
    mine, dead = Watched(), Watched()
    for watched, count in ((mine, 2), (dead, 5)):
        watched.requests.answered["GET", "/healthz", 200] = count
        watched.requests.in_flight = 3
    board = Board(tmp_path, mine)
    gone = 2**22 + 1
    (tmp_path / f"{os.getppid()}-{gone}.json").write_bytes(msgspec.json.encode(process_rows(dead)))
    (tmp_path / f"{os.getppid()}-{gone + 1}.json").write_text("torn")
    rows = {(row.family, row.labels): row.numbers for row in added([*process_rows(mine), *board.rows()])}
    board.close()
    assert rows["tcap_requests", ("GET", "/healthz", "200")] == (7,)
    assert rows["tcap_requests_in_flight", ()] == (3,), "what a dead worker had in work is not in work"
    assert (tmp_path / f"{os.getppid()}-{os.getpid()}.json").exists()


def test_rows_of_the_same_labels_are_one() -> None:
    rows = [Row("tcap_faults", (), (1,)), Row("tcap_faults", (), (2,)), Row("tcap_turned_away", ("408",), (1,))]
    assert added(rows) == [Row("tcap_faults", (), (3,)), Row("tcap_turned_away", ("408",), (1,))]
