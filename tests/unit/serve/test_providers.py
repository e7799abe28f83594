"""Where each model is asked, under which name, and with which key."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tokencapital.core.call import Wire
from tokencapital.core.errors import SettingsError
from tokencapital.serve.provider_settings import ProviderSettings
from tokencapital.serve.providers import Providers, Slots, kinds, open_providers


def providers(**said: dict[str, Any]) -> Providers:
    return open_providers({name: ProviderSettings(**one) for name, one in said.items()})


def found(house: Providers, wire: Wire, model: str) -> list[tuple[str, str]]:
    return [(one.provider.name, one.model) for one in house.find(wire, model)]


LOCAL = {"url": "http://127.0.0.1:9/v1"}


def test_each_kind_that_is_known_can_be_declared() -> None:
    for kind in kinds():
        house = providers(here={"kind": kind, "url": "https://models.example/v1", "key": "caller"})
        wires = {wire for wire in Wire if house.speaking(wire, None)}
        assert wires == set(kinds()[kind].wires)


def test_a_model_is_found_by_name_then_by_provider_then_by_pattern() -> None:
    house = providers(
        openai={**LOCAL, "models": ["gpt-*", "fast = gpt-5-mini"]},
        vllm={**LOCAL, "models": ["*"]},
        anthropic={**LOCAL},
    )
    assert found(house, Wire.CHAT, "gpt-5") == [("openai", "gpt-5")]
    assert found(house, Wire.CHAT, "fast") == [("openai", "gpt-5-mini")]
    assert found(house, Wire.CHAT, "qwen3") == [("vllm", "qwen3")]
    assert found(house, Wire.CHAT, "vllm/gpt-5") == [("vllm", "gpt-5")]
    assert found(house, Wire.CHAT, "openai/fast") == [("openai", "gpt-5-mini")]
    assert found(house, Wire.CHAT, "meta/llama") == [("vllm", "meta/llama")], "no provider is called meta"
    assert found(house, Wire.MESSAGES, "claude-opus-5") == [("vllm", "claude-opus-5")], "the first that speaks it"
    assert found(house, Wire.COUNT_TOKENS, "anthropic/claude-opus-5") == [("anthropic", "claude-opus-5")]


def test_a_wire_that_nobody_speaks_finds_nobody() -> None:
    house = providers(anthropic={**LOCAL})
    assert found(house, Wire.CHAT, "claude-opus-5") == []
    assert "anthropic (claude-*)" in house.known


def test_fallbacks_stand_in_order_with_their_own_names() -> None:
    house = providers(
        openai={**LOCAL, "fallbacks": ["azure", "vllm/qwen3", "anthropic"]},
        azure={**LOCAL, "models": ["gpt-5-eu = gpt-5"], "key": "caller"},
        vllm=LOCAL,
        anthropic=LOCAL,
    )
    assert found(house, Wire.CHAT, "gpt-5") == [("openai", "gpt-5"), ("azure", "gpt-5"), ("vllm", "qwen3")]


def test_models_that_have_names_are_listed() -> None:
    house = providers(openai={**LOCAL, "models": ["gpt-*", "gpt-5", "fast = gpt-5-mini"]})
    assert house.listed == [("fast", "openai"), ("gpt-5", "openai")]


def test_keys_come_from_the_environment_or_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-1")
    (tmp_path / "key").write_text("sk-2\n")
    house = providers(
        openai={"key_env": "SOME_KEY"},
        anthropic={"key_file": str(tmp_path / "key")},
        azure={**LOCAL, "key_env": "SOME_KEY"},
        vllm={},
    )
    keys = {one.name: one.credentials for one in house}
    assert keys["openai"] == b"authorization: Bearer sk-1\r\n"
    assert keys["anthropic"] == b"x-api-key: sk-2\r\n"
    assert keys["azure"] == b"api-key: sk-1\r\n"
    assert keys["vllm"] == b""


def test_a_key_of_a_kind_is_not_sent_to_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    assert next(iter(providers(openai=LOCAL))).credentials == b""
    assert b"sk-real" in next(iter(providers(openai={}))).credentials


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"openai": {"key_env": "NOT_SET_ANYWHERE"}}, "NOT_SET_ANYWHERE holds no key"),
        ({"openai": {"key_file": "/nowhere/key"}}, "cannot be read"),
        ({"here": {}}, "has no `url`"),
        ({"here": {"kind": "unheard", **LOCAL}}, "no kind of provider"),
        ({"here": {"url": "ftp://x/v1"}}, "no address"),
        ({"here": {"url": "https://user:secret@x/v1"}}, "no password"),
        ({"here": {**LOCAL, "fallbacks": ["gone"]}}, "which is no provider"),
        ({"here": {**LOCAL, "headers": {"x-a": "b\r\nc: d"}}}, "is no header"),
        ({"a/b": LOCAL}, "no slash"),
    ],
)
def test_what_cannot_be_used_is_refused_when_the_house_opens(said: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        providers(**said)


async def test_room_for_calls_is_given_in_the_order_of_asking() -> None:
    slots, order = Slots(1), list[int]()

    async def use(number: int) -> None:
        await slots.take()
        order.append(number)
        await asyncio.sleep(0)
        slots.give_back()

    first = asyncio.create_task(use(1))
    gone = asyncio.create_task(use(2))
    last = asyncio.create_task(use(3))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(first, last)
    assert order == [1, 3]
    await asyncio.wait_for(slots.take(), 1)
