"""The clients that companies use, unmodified, before the gateway and before the provider itself: the same comes out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from pydantic import BaseModel

from tokencapital.app.platform import Platform
from tokencapital.app.server import build_app
from tokencapital.app.settings import CapabilitySettings, Settings
from tokencapital.core.call import Wire
from tokencapital.core.case import ContractKind, Mode
from tokencapital.serve.provider_settings import ProviderSettings
from tokencapital.testing.servers import served
from tokencapital.testing.shapes import Spoken, answered, event_stream, whole_body
from tokencapital.testing.upstream import Received, Scripted, ScriptedUpstream, stream

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
ASKED: Any = [{"role": "user", "content": "What is the weather in Rome?"}]
SUNNY = "It is sunny in Rome."
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
PATHS = {"/v1/chat/completions": Wire.CHAT, "/v1/responses": Wire.RESPONSES, "/v1/messages": Wire.MESSAGES}


class Weather(BaseModel):
    """What is asked for as an object."""

    city: str
    degrees: int


def provider(request: Received) -> Scripted:
    """Calls the tool that it is offered, then answers; gives an object where one is asked for."""
    asked = json.loads(request.body)
    if request.path == "/v1/embeddings":
        listed = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        vector: Any = "AACAPwAAAEA=" if asked.get("encoding_format") == "base64" else [1.0, 2.0]
        data = [{"object": "embedding", "index": place, "embedding": vector} for place in range(len(listed))]
        usage = {"prompt_tokens": 7, "total_tokens": 7}
        return answered(json.dumps({"object": "list", "data": data, "model": "embed", "usage": usage}).encode())
    if request.path == "/v1/messages/count_tokens":
        return answered(b'{"input_tokens": 2095}')
    wire, said = PATHS[request.path], _said(asked)
    if asked.get("stream"):
        return stream(event_stream(wire, said), (11, 3))
    return answered(whole_body(wire, said))


def _said(asked: dict[str, Any]) -> Spoken:
    text = json.dumps(asked)
    done = any(mark in text for mark in ('"tool_call_id"', '"function_call_output"', '"tool_result"'))
    names = [one.get("name") or one.get("function", {}).get("name") for one in asked.get("tools") or []]
    if "get_weather" in names and not done:
        return Spoken(name="tool", calls=(("call_1", "get_weather", '{"city":"Rome"}'),), finish="tool_calls")
    if "json_schema" in text:
        return Spoken(name="object", text='{"city":"Rome","degrees":21}')
    if asked.get("thinking"):
        return Spoken(name="thinking", thought="Rome is south.", text=SUNNY, prompt_tokens=900, cached_tokens=800)
    return Spoken(name="text", text=SUNNY)


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The provider's own, and the gateway's in front of it."""
    folder = tmp_path_factory.mktemp("clients")
    with ScriptedUpstream(provider) as upstream, house(folder, upstream.url) as gateway:
        yield upstream.url, gateway


@contextmanager
def house(folder: Path, url: str) -> Iterator[str]:
    up = ProviderSettings(url=f"{url}/v1", key="caller", models=("*",), wires=tuple(Wire), retries=0)
    triage = CapabilitySettings(contract=ContractKind.LABEL, labels=("a", "b"), mode=Mode.ANSWER, mode_by="maria")
    settings = Settings(store=str(folder / "store.db"), providers={"up": up}, capabilities={"triage": triage})
    with Platform.open(settings) as platform, served(build_app(platform)) as address:
        yield address


def alike(addresses: tuple[str, str], program: Callable[[str], Any]) -> Any:
    """What a program gives before the provider; the same as before the gateway."""
    direct, relayed = program(addresses[0]), program(addresses[1])
    assert relayed == direct
    return relayed


def chat_client(address: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{address}/v1", api_key="sk-app", max_retries=0)


def test_openai_chat_whole_streamed_parsed_and_with_tools(addresses: tuple[str, str]) -> None:
    def program(address: str) -> list[Any]:
        with chat_client(address) as client:
            chat = client.chat.completions
            whole = chat.create(model="gpt-5", messages=ASKED)
            tools = chat.create(model="gpt-5", messages=ASKED, tools=[TOOL])
            parsed = chat.parse(model="gpt-5", messages=ASKED, response_format=Weather)
            with chat.stream(model="gpt-5", messages=ASKED, stream_options={"include_usage": True}) as streamed:
                final = streamed.get_final_completion()
        return [whole.model_dump(), tools.model_dump(), parsed.choices[0].message.parsed, final.model_dump()]

    whole, tools, parsed, final = alike(addresses, program)
    assert whole["choices"][0]["message"]["content"] == final["choices"][0]["message"]["content"] == SUNNY
    assert tools["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == '{"city":"Rome"}'
    assert parsed == Weather(city="Rome", degrees=21)
    assert whole["usage"] == final["usage"]


def test_openai_responses_whole_streamed_parsed_and_with_tools(addresses: tuple[str, str]) -> None:
    def program(address: str) -> list[Any]:
        with chat_client(address) as client:
            tool = {"type": "function", **TOOL["function"], "strict": False}
            whole = client.responses.create(model="gpt-5", input="Weather?", previous_response_id="resp_0")
            tools = client.responses.create(model="gpt-5", input="Weather?", tools=[tool])  # type: ignore[list-item]
            parsed = client.responses.parse(model="gpt-5", input="Weather?", text_format=Weather)
            with client.responses.stream(model="gpt-5", input="Weather?") as streamed:
                events = [event.type for event in streamed]
                final = streamed.get_final_response()
        return [whole.model_dump(), tools.model_dump(), parsed.output_parsed, events, final.output_text]

    whole, tools, parsed, events, final = alike(addresses, program)
    assert whole["output"][0]["content"][0]["text"] == final == SUNNY
    assert tools["output"][0]["name"] == "get_weather"
    assert parsed == Weather(city="Rome", degrees=21)
    assert events[-1] == "response.completed"


def test_openai_async_embeddings_and_models(addresses: tuple[str, str]) -> None:
    async def asked(address: str) -> list[Any]:
        async with openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="sk-app", max_retries=0) as client:
            vectors = await client.embeddings.create(model="embed", input=["a", "b"])
            pieces = await client.chat.completions.create(model="gpt-5", messages=ASKED, stream=True)
            text = [one.choices[0].delta.content or "" async for one in pieces if one.choices]
        return [[one.embedding for one in vectors.data], vectors.usage.total_tokens, "".join(text)]

    vectors, tokens, text = alike(addresses, lambda address: asyncio.run(asked(address)))
    assert (vectors, tokens, text) == ([[1.0, 2.0], [1.0, 2.0]], 7, SUNNY)
    with chat_client(addresses[1]) as client:
        assert "triage" in [one.id for one in client.models.list()]


def test_anthropic_whole_streamed_thinking_tools_caching_and_counting(addresses: tuple[str, str]) -> None:
    def program(address: str) -> list[Any]:
        with anthropic.Anthropic(base_url=address, api_key="sk-ant", max_retries=0) as client:
            say: dict[str, Any] = {"model": "claude-5", "max_tokens": 2000, "messages": ASKED}
            cached = [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}]
            thinking = {"type": "enabled", "budget_tokens": 1024}
            schema = TOOL["function"]["parameters"]
            whole = client.messages.create(**say, system=cached, thinking=thinking)
            tools = client.messages.create(**say, tools=[{"name": "get_weather", "input_schema": schema}])
            with client.messages.stream(**say, thinking=thinking) as streamed:
                text = "".join(streamed.text_stream)
                final = streamed.get_final_message()
            counted = client.messages.count_tokens(model="claude-5", messages=ASKED)
        return [whole.model_dump(), tools.model_dump(), text, final.model_dump(), counted.input_tokens]

    whole, tools, text, final, counted = alike(addresses, program)
    assert [block["type"] for block in whole["content"]] == ["thinking", "text"]
    assert whole["usage"]["cache_read_input_tokens"] == 800
    assert tools["content"][0]["input"] == {"city": "Rome"}
    assert (text, counted) == (SUNNY, 2095)
    assert [block["type"] for block in final["content"]] == ["thinking", "text"]
    assert final["usage"]["output_tokens"] == whole["usage"]["output_tokens"]


@pytest.mark.parametrize("kind", ["chat", "responses"])
def test_an_agent_of_openai_agents_calls_its_tool_and_answers(addresses: tuple[str, str], kind: str) -> None:
    import agents

    agents.set_tracing_disabled(True)

    @agents.function_tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"sunny in {city}"

    async def run(address: str) -> list[Any]:
        async with openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="sk-app", max_retries=0) as client:
            made = agents.OpenAIChatCompletionsModel if kind == "chat" else agents.OpenAIResponsesModel
            agent = agents.Agent(name="guide", model=made("gpt-5", client), tools=[get_weather])
            plain = await agents.Runner.run(agent, "Weather in Rome?")
            streamed = agents.Runner.run_streamed(agent, "Weather in Rome?")
            seen = [event.type async for event in streamed.stream_events()]
            usage = plain.context_wrapper.usage
            return [plain.final_output, streamed.final_output, seen, usage.input_tokens, usage.output_tokens]

    plain, streamed, _, tokens, _ = alike(addresses, lambda address: asyncio.run(run(address)))
    assert (plain, streamed, tokens) == (SUNNY, SUNNY, 34)


@pytest.mark.parametrize("kind", ["chat", "responses", "anthropic"])
def test_an_agent_of_pydantic_ai_calls_its_tool_and_answers(addresses: tuple[str, str], kind: str) -> None:
    from pydantic_ai import Agent
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.anthropic import AnthropicProvider
    from pydantic_ai.providers.openai import OpenAIProvider

    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"sunny in {city}"

    async def run(address: str) -> list[Any]:
        of_openai = openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="sk-app", max_retries=0)
        of_anthropic = anthropic.AsyncAnthropic(base_url=address, api_key="sk-ant", max_retries=0)
        async with of_openai, of_anthropic:
            model: Any
            if kind == "anthropic":
                model = AnthropicModel("claude-5", provider=AnthropicProvider(anthropic_client=of_anthropic))
            else:
                made = OpenAIChatModel if kind == "chat" else OpenAIResponsesModel
                model = made("gpt-5", provider=OpenAIProvider(openai_client=of_openai))
            agent = Agent(model, tools=[get_weather])
            plain = await agent.run("Weather in Rome?")
            async with agent.run_stream("Weather in Rome?") as streamed:
                text = await streamed.get_output()
            return [plain.output, text, [type(one).__name__ for one in plain.all_messages()]]

    plain, text, kinds = alike(addresses, lambda address: asyncio.run(run(address)))
    assert (plain, text) == (SUNNY, SUNNY)
    assert kinds == ["ModelRequest", "ModelResponse", "ModelRequest", "ModelResponse"]


def test_langchain_invokes_streams_binds_tools_and_embeds(addresses: tuple[str, str]) -> None:
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings
    from pydantic import SecretStr

    def program(address: str) -> list[Any]:
        base, key = f"{address}/v1", SecretStr("sk-app")
        model = ChatOpenAI(base_url=base, api_key=key, model="gpt-5", max_retries=0)
        embedder = OpenAIEmbeddings(base_url=base, api_key=key, model="embed", check_embedding_ctx_length=False)
        pieces = list(model.stream("Weather in Rome?", stream_usage=True))
        bound = model.bind_tools([TOOL]).invoke("Weather in Rome?")
        said = model.invoke("Weather in Rome?")
        formed = model.with_structured_output(Weather, method="json_schema").invoke("Weather in Rome?")
        text = "".join(str(one.content) for one in pieces)
        return [said.content, said.usage_metadata, text, bound.tool_calls, formed, embedder.embed_documents(["a"])]

    said, usage, text, calls, formed, vectors = alike(addresses, program)
    assert (said, text) == (SUNNY, SUNNY)
    assert usage["total_tokens"] == 26
    assert calls[0]["args"] == {"city": "Rome"}
    assert (formed, vectors) == (Weather(city="Rome", degrees=21), [[1.0, 2.0]])
