"""What the real clients make of an answer is the same through the gateway as from the provider itself.

Over all recorded shapes: whole and streamed, cut anywhere, malformed, broken off; and what the provider receives is the
same byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import anthropic
import msgspec
import openai
import pytest
from msgspec import Struct

from tokencapital.app.platform import Platform
from tokencapital.app.recording import recording_of
from tokencapital.app.server import build_app
from tokencapital.app.settings import Settings
from tokencapital.core.call import Wire
from tokencapital.serve.provider_settings import ProviderSettings
from tokencapital.store.steps import steps_of
from tokencapital.testing.servers import served
from tokencapital.testing.shapes import Shape, recorded_shapes
from tokencapital.testing.upstream import Received, Scripted, ScriptedUpstream

SHAPES = recorded_shapes()
ASKED: Any = [{"role": "user", "content": "Is it sunny in Rome? \u2603"}]
OURS = re.compile(r"http://127\.0\.0\.1:\d+|port=\d+|0x[0-9a-f]+")
HOPS = {"host", "connection", "accept-encoding", "content-length", "x-forwarded-for"}


class Both(Struct):
    """The same clients before the provider and before the gateway in front of it."""

    upstream: ScriptedUpstream
    openai: tuple[openai.OpenAI, openai.OpenAI]
    anthropic: tuple[anthropic.Anthropic, anthropic.Anthropic]
    house: Platform


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("house")
    with ScriptedUpstream(Scripted()) as upstream:
        provider = ProviderSettings(
            url=f"{upstream.url}/v1", key="caller", models=("*",), wires=tuple(Wire), retries=0, failures=1_000_000
        )
        settings = Settings(store=str(folder / "store.db"), providers={"up": provider})
        with Platform.open(settings) as house, served(build_app(house)) as gateway:
            addresses = (upstream.url, gateway)
            of_openai = [openai.OpenAI(base_url=f"{one}/v1", api_key="sk-app", max_retries=0) for one in addresses]
            of_anthropic = [anthropic.Anthropic(base_url=one, api_key="sk-ant", max_retries=0) for one in addresses]
            yield Both(upstream, tuple(of_openai), tuple(of_anthropic), house)  # type: ignore[arg-type]
            for client in (*of_openai, *of_anthropic):
                client.close()


def assembled(both: Both, shape: Shape, place: int) -> tuple[list[Any], tuple[Any, ...] | None]:
    """What the client gives, piece by piece, and how it ends where it raises."""
    pieces: list[Any] = []
    try:
        answer = ask(both, shape, place)
        for piece in answer if shape.streamed else [answer]:
            pieces += [piece.model_dump() if hasattr(piece, "model_dump") else piece]
    except Exception as error:  # noqa: BLE001 whatever the client raises, it raises the same
        body = getattr(error, "body", None)
        return pieces, (type(error), OURS.sub("", str(error)), getattr(error, "status_code", None), body)
    return pieces, None


def ask(both: Both, shape: Shape, place: int) -> Any:
    more: dict[str, Any] = {"stream": True} if shape.streamed else {}
    if shape.wire is Wire.MESSAGES:
        beta = {"anthropic-beta": "prompt-caching-2024-07-31"}
        return both.anthropic[place].messages.create(
            model="claude-5", max_tokens=64, messages=ASKED, extra_headers=beta, extra_body={"unknown": [1.50]}, **more
        )
    headers = {"openai-organization": "org-1", "idempotency-key": "k-1", "x-unknown": "kept"}
    client, extra = both.openai[place], {"extra_headers": headers, "extra_body": {"unknown": {"z": 1, "a": [1.50]}}}
    if shape.wire is Wire.RESPONSES:
        return client.responses.create(model="gpt-5", input=ASKED, **extra, **more)  # type: ignore[arg-type]
    more |= {"stream_options": {"include_usage": True}} if shape.streamed else {}
    return client.chat.completions.create(model="gpt-5", messages=ASKED, **extra, **more)  # type: ignore[arg-type]


def sent(request: Received) -> tuple[str, str, list[tuple[str, str]], bytes]:
    """All of a request but what belongs to a connection."""
    headers = sorted((name.lower(), value) for name, value in request.headers if name.lower() not in HOPS)
    return request.method, request.target, headers, request.body


def assert_told_of_the_break(direct: tuple[list[Any], Any], relayed: tuple[list[Any], Any]) -> None:
    """A whole answer that breaks off has not been begun yet: the gateway says so in an error that clients try again."""
    assert direct[1][0] in (openai.APIConnectionError, anthropic.APIConnectionError)
    assert relayed[1][0] in (openai.InternalServerError, anthropic.InternalServerError)
    assert relayed[1][2] == 502
    assert relayed[0] == direct[0] == []


def test_there_are_enough_recorded_shapes_with_names_of_their_own() -> None:
    assert len(SHAPES) >= 200
    assert len({shape.name for shape in SHAPES}) == len(SHAPES)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_client_assembles_the_same_through_the_gateway_as_directly(both: Both, shape: Shape) -> None:
    both.upstream.script = lambda _: shape.scripted
    both.upstream.received.clear()
    direct, relayed = assembled(both, shape, 0), assembled(both, shape, 1)
    if shape.name.endswith("cut-off-whole"):
        assert_told_of_the_break(direct, relayed)
    else:
        assert relayed == direct
    first, second = both.upstream.received
    assert sent(second) == sent(first)


def test_all_that_went_through_is_on_record_with_what_the_client_saw(both: Both) -> None:
    shape = next(one for one in SHAPES if one.name == "chat-parallel-cut1-stream")
    both.upstream.script = lambda _: shape.scripted
    raw = both.openai[1].chat.completions.with_raw_response.create(model="gpt-5", messages=ASKED, stream=True)
    chunks = list(raw.parse())
    assert recording_of(both.house).flush()
    identity = raw.headers["x-tcap-trajectory"]
    (step,) = steps_of(both.house.store, [identity])[identity]
    assert step.messages is not None
    said = "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)
    assert [one.content for one in step.messages] == [ASKED[0]["content"], said]
    assert [one.name for one in step.messages[-1].tool_calls] == ["get_weather", "get_weather"]
    assert step.usage.input == 17
    assert msgspec.json.encode(step)
