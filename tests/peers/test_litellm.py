"""A real LiteLLM proxy behind our gateway, and telling us of its calls over OpenTelemetry: each call counts once."""

from __future__ import annotations

import itertools
import json
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.peers.conftest import served
from typer.testing import CliRunner

from tokencapital.cli import app
from tokencapital.testing.servers import free_port
from tokencapital.testing.upstream import Received, Scripted, ScriptedUpstream

KEY = "sk-" + "0123456789abcdef" * 4
REPLY = {
    "id": "chatcmpl-7", "object": "chat.completion", "created": 1767225600, "model": "gpt-4o-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "forty-two"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    """What stands behind everything: it says the same each time."""
    numbers = itertools.count()

    def says(_: Received) -> Scripted:
        return Scripted(pieces=(json.dumps({**REPLY, "id": f"chatcmpl-{next(numbers)}"}).encode(),))

    with ScriptedUpstream(says) as upstream:
        yield f"{upstream.url}/v1"


@pytest.fixture(scope="module")
def chain(peer: Callable[[str], Path], model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    """Our gateway, LiteLLM behind it, the model behind that; LiteLLM tells our gateway of its calls."""
    programs, folder = peer("litellm"), tmp_path_factory.mktemp("litellm")
    ours, theirs = free_port(), free_port()
    house = folder / "house"
    house.mkdir()
    (house / "tokencapital.toml").write_text(
        f'[providers.litellm]\nurl = "http://127.0.0.1:{theirs}/v1"\n'
        'models = ["gpt-4o-mini"]\nkey_env = "LITELLM_KEY"\n'
    )
    served_by = {"model_name": "gpt-4o-mini", "litellm_params": {"model": "openai/gpt-4o-mini"}}
    served_by["litellm_params"] |= {"api_base": model, "api_key": "sk-x"}  # type: ignore[operator]
    settings = {"model_list": [served_by], "litellm_settings": {"callbacks": ["otel"], "telemetry": False}}
    (folder / "litellm.yaml").write_text(json.dumps(settings))
    litellm = [str(programs / "litellm"), "--config", "litellm.yaml", "--host", "127.0.0.1", "--port", str(theirs)]
    told = {
        "OTEL_EXPORTER": "otlp_http",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_ENDPOINT": f"http://127.0.0.1:{ours}/v1/traces",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{ours}/v1/traces",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MASTER_KEY": KEY,
    }
    gateway = [str(Path(sys.executable).with_name("tcap")), "serve", "--port", str(ours), "--store", "s.db"]
    up = f"http://127.0.0.1:{ours}/healthz"
    with (
        served(gateway, up, {"LITELLM_KEY": KEY}, house),
        served(litellm, f"http://127.0.0.1:{theirs}/health/liveliness", told, folder),
    ):
        yield [f"http://127.0.0.1:{ours}/v1", f"http://127.0.0.1:{theirs}/v1", str(house / "s.db")]


def asked(url: str, words: str) -> tuple[str, str | None]:
    body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": words}]}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/chat/completions", body, headers), timeout=60) as answer:
        told = json.loads(answer.read())
        return told["choices"][0]["message"]["content"], answer.headers.get("x-tcap-trajectory")


def lines(store: str, wanted: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """What is recorded, as soon as it is what is waited for."""
    found: list[dict[str, Any]] = []
    give_up = time.monotonic() + 60
    while not wanted(found) and time.monotonic() < give_up:
        time.sleep(0.5)
        done = CliRunner().invoke(app, ["export", "-", "--store", store])
        found = [msgspec.json.decode(one) for one in done.stdout_bytes.splitlines() if one.startswith(b"{")]
    return found


def test_litellm_answers_behind_our_gateway(chain: list[Any]) -> None:
    ours, _, store = chain
    answer, name = asked(ours, "what is it")
    assert answer == "forty-two" and name is not None
    found = lines(store, lambda known: any(one["id"] == name for one in known))
    line = next(one for one in found if one["id"] == name)
    assert (line["answer"], line["input"][0]["content"]) == ("forty-two", "what is it")
    (step,) = line["steps"]
    assert (step["provider"], step["usage"]["input"], step["usage"]["output"]) == ("litellm", 9, 3)
    calls = [one for each in found for one in each["steps"] if one["kind"] == "call" and one["usage"]["output"]]
    assert len(calls) == 1, "what its callback tells of the same call is not counted again"


def test_litellm_tells_of_its_calls_over_opentelemetry(chain: list[Any]) -> None:
    _, theirs, store = chain
    assert asked(theirs, "told by its callback")[0] == "forty-two"

    def is_told(known: list[dict[str, Any]]) -> bool:
        return any(one["steps"] and one["steps"][0]["source"] == "otlp" and "callback" in str(one) for one in known)

    line = next(one for one in lines(store, is_told) if "callback" in str(one) and one["steps"][0]["source"] == "otlp")
    calls = [one for one in line["steps"] if one["kind"] == "call"]
    assert calls and calls[-1]["usage"]["output"] == 3
    assert line["answer"] == "forty-two"
