"""The served house before a provider: an app of OpenAI's client changes one address, and what it does is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from starlette.testclient import TestClient

from tokencapital.app.platform import Platform
from tokencapital.app.recording import recording_of
from tokencapital.app.relay import find_relay
from tokencapital.app.server import build_app
from tokencapital.app.settings import CapabilitySettings, Settings
from tokencapital.core.access import Scope
from tokencapital.core.call import Ending
from tokencapital.core.case import ContractKind, Mode
from tokencapital.serve.provider_settings import ProviderSettings
from tokencapital.store.steps import steps_of, trajectory_named
from tokencapital.testing.servers import served
from tokencapital.testing.upstream import Scripted, ScriptedUpstream
from tokencapital.testing.waiting import wait_until

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-5-2026",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Soon."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
}
ASKED: Any = [{"role": "user", "content": "When will my card come?"}]


@contextmanager
def housed(folder: Path, url: str, **more: Any) -> Iterator[Platform]:
    declared = CapabilitySettings(contract=ContractKind.LABEL, labels=("a", "b"), mode=Mode.ANSWER, mode_by="maria")
    settings = Settings(
        store=str(folder / "store.db"),
        capabilities={"triage": declared},
        providers={"up": ProviderSettings(url=f"{url}/v1", models=("gpt-*", "fast = gpt-5", "gpt-5"))},
        **more,
    )
    with Platform.open(settings) as platform:
        yield platform


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(Scripted(pieces=(json.dumps(ANSWER).encode(),))) as provider:
        yield provider


def kept(platform: Platform, trajectory: str) -> Any:
    """The steps of a trajectory when it is in the store."""
    assert wait_until(lambda: trajectory_named(platform.store, trajectory) is not None), "nothing came into the store"
    found = trajectory_named(platform.store, trajectory)
    assert found is not None
    return steps_of(platform.store, [found])[found]


def test_a_call_becomes_a_trajectory_without_a_change_of_the_app(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    with (
        housed(tmp_path, upstream.url) as house,
        served(build_app(house)) as address,
        openai.OpenAI(base_url=f"{address}/v1", api_key="theirs", max_retries=0) as app,
    ):
        raw = app.chat.completions.with_raw_response.create(model="gpt-5", messages=ASKED)
        assert raw.parse().choices[0].message.content == "Soon."
        assert upstream.received[0].header("authorization") is None
        (step,) = kept(house, raw.headers["x-tcap-trajectory"])
        assert (step.provider, step.model, step.ending) == ("up", "gpt-5-2026", Ending.DONE)
        assert (step.usage.input, step.usage.output) == (11, 3)
        assert sorted(one.id for one in app.models.list()) == ["fast", "gpt-5", "triage"]
        own = app.chat.completions.with_raw_response.create(model="triage", messages=ASKED)
        assert own.headers["x-tcap-stage"]
        assert len(upstream.received) == 1
        relay = find_relay(house)
        assert relay is not None
        assert relay.counts.requests == {("chat", "up", 2): 1}


def test_the_test_client_works_with_and_without_a_lifespan(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    body = {"model": "fast", "messages": ASKED}
    with housed(tmp_path, upstream.url) as house:
        app = build_app(house)
        for _ in range(2):
            assert TestClient(app).post("/v1/chat/completions", json=body).json() == ANSWER
        with TestClient(app) as client:
            for _ in range(2):
                assert client.post("/v1/chat/completions", json=body).status_code == 200
            assert client.post("/v1/messages", json={"model": "unheard"}).json()["error"]["type"] == "not_found_error"
        assert json.loads(upstream.received[0].body)["model"] == "gpt-5"
        assert recording_of(house).flush()


def test_a_house_without_providers_says_so_in_the_callers_wire(tmp_path: Path) -> None:
    with Platform.open(Settings(store=str(tmp_path / "store.db"))) as house, TestClient(build_app(house)) as client:
        answer = client.post("/v1/embeddings", json={"model": "m"})
        assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found")
        assert client.get("/v1/responses/resp_1").status_code == 404


def test_pages_of_other_sites_cannot_spend_an_open_houses_money(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    body = {"model": "gpt-5", "messages": ASKED}
    with housed(tmp_path, upstream.url) as house, TestClient(build_app(house)) as client:
        for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
            assert client.post("/v1/chat/completions", json=body, headers=headers).status_code == 403
        assert not upstream.received


def test_a_house_with_keys_wants_one(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    from tokencapital.app.keys import KeyAsked, make_key

    body = {"model": "gpt-5", "messages": ASKED}
    with housed(tmp_path, upstream.url) as house, TestClient(build_app(house)) as client:
        made = make_key(house, KeyAsked(application="shop", scopes=frozenset({Scope.INFER}), by="maria"))
        other = make_key(house, KeyAsked(application="logs", scopes=frozenset({Scope.RECORD}), by="maria"))
        assert client.post("/v1/chat/completions", json=body).status_code == 401
        refused = client.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {other.secret}"})
        assert refused.status_code == 403
        answer = client.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {made.secret}"})
        assert answer.status_code == 200
        assert made.secret not in str(upstream.received[0])
        (step,) = kept(house, answer.headers["x-tcap-trajectory"])
        assert step.application == "shop"
        assert recording_of(house).flush()
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or made.secret.encode() not in path.read_bytes()
