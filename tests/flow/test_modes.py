"""One unmodified client program while its work goes from `observe` over `shadow` and `suggest` to `answer`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
import httpx2 as httpx
import openai
import pytest
from msgspec import Struct
from sqlalchemy import select

from tokencapital.app.access_settings import LimitSettings
from tokencapital.app.answering import HouseAnswerer
from tokencapital.app.metrics_process import process_rows
from tokencapital.app.outage import STORE_AGE
from tokencapital.app.platform import Platform
from tokencapital.app.recording import recording_of
from tokencapital.app.server import build_app
from tokencapital.app.settings import CapabilitySettings, GeneralistKind, GeneralistSettings, Settings
from tokencapital.core.call import Wire
from tokencapital.core.case import ContractKind, Mode
from tokencapital.core.errors import StoreUnavailable
from tokencapital.core.limit import Per
from tokencapital.serve.provider_settings import ProviderSettings
from tokencapital.serve.rules import CaseFrom, Rule
from tokencapital.store.capabilities import set_mode
from tokencapital.store.schema import trajectory
from tokencapital.testing.people import tell_everyone
from tokencapital.testing.servers import served
from tokencapital.testing.shapes import Spoken, answered, event_stream, whole_body
from tokencapital.testing.upstream import Received, Scripted, ScriptedUpstream, stream

TRIAGE = "triage-message"
KNOWN, UNKNOWN = "my card was stolen", "what is the exchange rate of the lira to the peso"
PROMPT = "You sort messages of customers. Answer with one word."
PATHS = {"/v1/chat/completions": Wire.CHAT, "/v1/responses": Wire.RESPONSES, "/v1/messages": Wire.MESSAGES}
SAID = Spoken(name="said", text="other")
FORMAT: Any = {
    "type": "json_schema",
    "json_schema": {
        "name": "sorted",
        "schema": {
            "type": "object",
            "properties": {"kind": {"type": "string", "enum": ["card_lost", "fraud", "other"]}},
            "required": ["kind"],
        },
    },
}


class Seen(Struct, frozen=True):
    """What a client saw of one answer: what came over the wire, the text in it, and what the gateway says of it."""

    body: bytes
    text: str
    stage: str | None
    trajectory: str | None


def provider(request: Received) -> Scripted:
    wire = PATHS[request.path]
    if json.loads(request.body).get("stream"):
        return stream(event_stream(wire, SAID), (13,))
    return answered(whole_body(wire, SAID))


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(provider) as opened:
        yield opened


@contextmanager
def housed(folder: Path, url: str, mode: Mode) -> Iterator[tuple[Platform, str]]:
    declared = CapabilitySettings(
        contract=ContractKind.LABEL, labels=("card_lost", "fraud", "other"), mode=mode, mode_by="maria"
    )
    settings = Settings(
        store=str(folder / "store.db"),
        capabilities={TRIAGE: declared},
        providers={"up": ProviderSettings(url=f"{url}/v1", key="caller", models=("*",), wires=tuple(Wire))},
        rules=(Rule(capability=TRIAGE, prompt_like="you sort messages*", case=CaseFrom.LAST_USER),),
    )
    with Platform.open(settings) as house, served(build_app(house)) as address:
        tell_everyone(house.store)
        yield house, address


def program(address: str, text: str) -> dict[str, Seen]:
    """What a company's app does, in all wires, whole and streamed."""
    asked: Any = [{"role": "system", "content": PROMPT}, {"role": "user", "content": text}]
    said: Any = {"model": "claude-5", "max_tokens": 9, "system": PROMPT, "messages": asked[1:]}
    found: dict[str, Seen] = {}
    with (
        openai.OpenAI(base_url=f"{address}/v1", api_key="sk", max_retries=0) as of_openai,
        anthropic.Anthropic(base_url=address, api_key="sk", max_retries=0) as of_anthropic,
    ):
        chat, answers = of_openai.chat.completions, of_openai.responses
        raw: Any = chat.with_raw_response.create(model="gpt-5", messages=asked)
        found["chat"] = _seen(raw, raw.parse().choices[0].message.content)
        raw = answers.with_raw_response.create(model="gpt-5", instructions=PROMPT, input=text)
        found["responses"] = _seen(raw, raw.parse().output_text)
        raw = of_anthropic.messages.with_raw_response.create(**said)
        found["messages"] = _seen(raw, raw.parse().content[0].text)
        pieces = chat.create(model="gpt-5", messages=asked, stream=True)
        streamed = [one.choices[0].delta.content or "" for one in pieces if one.choices]
        found["chat streamed"] = Seen(b"", "".join(streamed), None, None)
        with answers.stream(model="gpt-5", instructions=PROMPT, input=text) as events:
            found["responses streamed"] = Seen(b"", events.get_final_response().output_text, None, None)
        with of_anthropic.messages.stream(**said) as events_:
            found["messages streamed"] = Seen(b"", events_.get_final_text(), None, None)
    return found


def raw_streams(address: str, text: str) -> dict[str, bytes]:
    """The streams as they come over the wire."""
    asked = [{"role": "system", "content": PROMPT}, {"role": "user", "content": text}]
    bodies: dict[str, Any] = {
        "/v1/chat/completions": {"messages": asked},
        "/v1/responses": {"input": text, "instructions": PROMPT},
        "/v1/messages": {"messages": asked[1:], "system": PROMPT, "max_tokens": 9},
    }
    with httpx.Client(base_url=address) as client:
        return {
            path: client.post(path, json={"model": "gpt-5", "stream": True, **body}).content
            for path, body in bodies.items()
        }


def _seen(raw: Any, text: str) -> Seen:
    kept = raw.headers
    return Seen(raw.http_response.content, text, kept.get("x-tcap-stage"), kept.get("x-tcap-trajectory"))


def bodies(seen: dict[str, Seen]) -> dict[str, tuple[bytes, str]]:
    return {name: (one.body, one.text) for name, one in seen.items()}


def teach(house: Platform, address: str, identity: str, answer: str) -> None:
    assert recording_of(house).flush()
    body = {"expert": "ines", "verdict": "corrected", "trajectory": identity, "answer": answer}
    with httpx.Client(base_url=address) as client:
        sent = client.post("/v1/judgments", json=body)
    assert sent.status_code == 201, sent.text


def put(house: Platform, mode: Mode) -> None:
    """The capability is in this mode, whatever a gate would say of so little proof."""
    set_mode(house.store, TRIAGE, mode, by="maria", at=house.clock.now())
    house.declared.look()


def shadows_done(house: Platform) -> tuple[int, int]:
    """How many answers were made beside, and how many failed, once all are done."""
    answerer: HouseAnswerer = house.shared[HouseAnswerer]
    assert answerer.wait(10)
    told = {row.labels: row.numbers[0] for row in process_rows(house.watched) if row.family == "tcap_own_answers"}
    return int(told["beside",]), int(told["failed_beside",])


def propensities(house: Platform) -> list[float]:
    with house.store.read() as connection:
        return list(connection.execute(select(trajectory.c.propensity)).scalars())


def test_a_program_sees_its_provider_until_somebody_lets_the_capability_answer(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    direct, streams = program(upstream.url, KNOWN), raw_streams(upstream.url, KNOWN)
    unknown = program(upstream.url, UNKNOWN)

    with housed(tmp_path, upstream.url, Mode.OBSERVE) as (house, address):
        observed = program(address, KNOWN)
        assert bodies(observed) == bodies(direct)
        assert raw_streams(address, KNOWN) == streams
        teach(house, address, observed["chat"].trajectory or "", "card_lost")
        assert bodies(program(address, KNOWN)) == bodies(direct)
        assert recording_of(house).flush()
        assert 0.0 not in propensities(house)

        put(house, Mode.SHADOW)
        assert bodies(program(address, KNOWN)) == bodies(direct)
        assert raw_streams(address, KNOWN) == streams
        assert shadows_done(house) == (9, 0)
        assert propensities(house).count(0.0) == 9

        put(house, Mode.SUGGEST)
        suggested = program(address, KNOWN)
        assert {one.text for one in suggested.values()} == {"card_lost"}
        assert {suggested[name].stage for name in ("chat", "responses", "messages")} == {"person"}
        assert bodies(program(address, UNKNOWN)) == bodies(unknown)

        put(house, Mode.ANSWER)
        asked = len(upstream.received)
        answers = program(address, KNOWN)
        assert {one.text for one in answers.values()} == {"card_lost"}
        assert {answers[name].stage for name in ("chat", "responses", "messages")} == {"recall"}
        assert len(upstream.received) == asked
        assert bodies(program(address, UNKNOWN)) == bodies(unknown)
        assert len(upstream.received) == asked + 6

        put(house, Mode.OBSERVE)
        assert bodies(program(address, KNOWN)) == bodies(direct)


def test_an_answer_goes_out_only_in_the_shape_that_the_app_expects(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    asked: Any = [{"role": "system", "content": PROMPT}, {"role": "user", "content": KNOWN}]
    tool: Any = {"type": "function", "function": {"name": "sort", "parameters": {"type": "object"}}}
    wrong = json.loads(json.dumps(FORMAT).replace("card_lost", "cash"))
    with (
        housed(tmp_path, upstream.url, Mode.ANSWER) as (house, address),
        openai.OpenAI(base_url=f"{address}/v1", api_key="sk", max_retries=0) as client,
    ):
        first = client.chat.completions.with_raw_response.create(model="gpt-5", messages=asked)
        teach(house, address, first.headers["x-tcap-trajectory"], "card_lost")

        def told(**more: Any) -> Any:
            return client.chat.completions.create(model="gpt-5", messages=asked, **more).choices[0].message.content

        assert told() == "card_lost"
        assert told(response_format=FORMAT) == '{"kind":"card_lost"}'
        assert told(response_format=wrong) == "other"
        assert told(response_format={"type": "json_object"}) == "other"
        assert told(n=2) == "other"
        assert told(logprobs=True) == "other"
        assert told(tools=[tool], tool_choice="required") == "other"
        assert told(tools=[tool]) == "card_lost"


def test_a_capability_answers_by_its_name_in_every_wire(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    said: Any = {"model": TRIAGE, "max_tokens": 9, "messages": [{"role": "user", "content": KNOWN}]}
    with (
        housed(tmp_path, upstream.url, Mode.ANSWER) as (house, address),
        openai.OpenAI(base_url=f"{address}/v1", api_key="sk", max_retries=0) as of_openai,
        anthropic.Anthropic(base_url=address, api_key="sk", max_retries=0) as of_anthropic,
    ):
        teach(house, address, program(address, KNOWN)["chat"].trajectory or "", "card_lost")
        asked = len(upstream.received)
        message = of_anthropic.messages.create(**said)
        assert (message.content[0].text, message.stop_reason) == ("card_lost", "end_turn")  # type: ignore[union-attr]
        assert message.usage.output_tokens == 0
        with of_anthropic.messages.stream(**said) as streamed:
            assert streamed.get_final_text() == "card_lost"
        response = of_openai.responses.create(model=TRIAGE, input=KNOWN)
        assert (response.output_text, response.status) == ("card_lost", "completed")
        assert response.usage is not None and response.usage.total_tokens == 0
        with of_openai.responses.stream(model=TRIAGE, input=KNOWN) as events:
            seen = [event.type for event in events]
            assert events.get_final_response().output_text == "card_lost"
        assert (seen[0], seen[-1]) == ("response.created", "response.completed")
        with pytest.raises(anthropic.BadRequestError, match="not text") as refused:
            picture = {"type": "image", "source": {"type": "url", "url": "http://127.0.0.1/x.png"}}
            of_anthropic.messages.create(**{**said, "messages": [{"role": "user", "content": [picture]}]})
        assert refused.value.body["type"] == "error"  # type: ignore[index,call-overload]
        assert len(upstream.received) == asked


@contextmanager
def with_own_model(folder: Path, url: str, mode: Mode, **more: Any) -> Iterator[tuple[Platform, str]]:
    """A house whose generalist is a model at the same upstream, under the provider's name `elsewhere`."""
    own = GeneralistSettings(kind=GeneralistKind.HTTP, url=f"{url}/v1", model="own-model", provider="elsewhere")
    declared = CapabilitySettings(
        contract=ContractKind.LABEL, labels=("card_lost", "other"), mode=mode, mode_by="maria", **more
    )
    settings = Settings(
        store=str(folder / "store.db"),
        capabilities={TRIAGE: declared},
        generalist=own,
        providers={"up": ProviderSettings(url=f"{url}/v1", key="caller", models=("*",), wires=tuple(Wire))},
        rules=(Rule(capability=TRIAGE, prompt_like="you sort messages*", case=CaseFrom.LAST_USER),),
        limits=(LimitSettings(name="few", per=Per.MONTH, requests=2, provider="elsewhere"),),
    )
    with Platform.open(settings) as house, served(build_app(house)) as address:
        yield house, address


def own_calls(upstream: ScriptedUpstream) -> int:
    return sum(b'"own-model"' in one.body for one in upstream.received)


def test_limits_hold_for_what_a_capability_asks_its_own_model(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    with with_own_model(tmp_path, upstream.url, Mode.SUGGEST) as (_, address):
        texts = {one.text for number in range(3) for one in program(address, f"question {number}").values()}
    assert texts == {"other"}
    assert own_calls(upstream) == 2


def test_limits_hold_for_a_capability_that_is_asked_by_its_name(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    with (
        with_own_model(tmp_path, upstream.url, Mode.SUGGEST) as (_, address),
        httpx.Client(base_url=address) as client,
    ):
        for number in range(4):
            messages = [{"role": "user", "content": f"question {number}"}]
            client.post("/v1/chat/completions", json={"model": TRIAGE, "messages": messages}).raise_for_status()
    assert own_calls(upstream) == 2


@pytest.mark.parametrize("mode", [Mode.SHADOW, Mode.SUGGEST])
def test_no_own_model_sees_what_may_not_go_there(tmp_path: Path, upstream: ScriptedUpstream, mode: Mode) -> None:
    with with_own_model(tmp_path, upstream.url, mode, egress=("up",)) as (house, address):
        program(address, UNKNOWN)
        assert shadows_done(house)[1] == 0
    assert own_calls(upstream) == 0
    assert len(upstream.received) == 6


def test_an_own_answer_says_for_how_long_the_store_has_been_away(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    with housed(tmp_path, upstream.url, Mode.ANSWER) as (house, address), httpx.Client(base_url=address) as client:
        teach(house, address, program(address, KNOWN)["chat"].trajectory or "", "card_lost")
        messages = [{"role": "system", "content": PROMPT}, {"role": "user", "content": KNOWN}]
        body = {"model": "gpt-5", "messages": messages}
        there = client.post("/v1/chat/completions", json=body)
        assert there.headers["x-tcap-stage"] == "recall" and STORE_AGE not in there.headers
        house.store.reach.lost(StoreUnavailable("it is away"))
        away = client.post("/v1/chat/completions", json=body)
        assert away.headers["x-tcap-stage"] == "recall"
        assert away.headers[STORE_AGE].isdigit()
