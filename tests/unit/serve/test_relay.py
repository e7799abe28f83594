"""The relay between callers and a scripted provider, over real sockets: what passes, what is kept, what is refused."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2 as httpx
import msgspec
import pytest
from starlette.types import Receive, Scope, Send

from tokencapital.core import access
from tokencapital.core.access import Caller
from tokencapital.core.call import Call, Ending, Wire
from tokencapital.core.case import Mode
from tokencapital.core.clock import SystemClock
from tokencapital.core.errors import EgressRefused, KeyRefused, LimitReached, SpoolFull
from tokencapital.core.ids import IdSource
from tokencapital.core.quantity import Usage
from tokencapital.serve.provider_settings import ProviderSettings, RelaySettings
from tokencapital.serve.providers import open_providers
from tokencapital.serve.relay import Relay, RelayParts
from tokencapital.serve.relay_ports import Asked, Reply, Sorted
from tokencapital.testing.servers import served
from tokencapital.testing.upstream import EVENT_STREAM, Received, Script, Scripted, ScriptedUpstream, stream
from tokencapital.testing.waiting import wait_until

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
ASKED = {"model": "gpt-5", "messages": [{"role": "user", "content": "é"}], "unknown": [1.50, {"b": None}]}
EVENTS = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"choices":[]}\n\ndata: [DONE]\n\n'


class Shelf:
    """A keeper in memory; `full` refuses, `slow_s` takes its time, `at` is when each call was kept."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.at: list[float] = []
        self.full = False
        self.slow_s = 0.0

    async def keep(self, call: Call) -> None:
        if self.full:
            raise SpoolFull("no room")
        await asyncio.sleep(self.slow_s)
        self.calls.append(call)
        self.at.append(time.monotonic())

    def wait(self, count: int = 1) -> list[Call]:
        wait_until(lambda: len(self.calls) >= count, 5.0)
        return self.calls


class Named:
    def known(self) -> frozenset[str]:
        return frozenset({"triage"})

    look = known


class Behind:
    """The app behind the relay: tells what reached it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        said = json.dumps({"path": scope["path"], "body": body.decode("utf-8", "replace")}).encode()
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": said})


class House:
    """A relay before a scripted provider, on a socket."""

    def __init__(self, client: httpx.Client, shelf: Shelf, upstream: ScriptedUpstream, relay: Relay) -> None:
        self.client = client
        self.shelf = shelf
        self.upstream = upstream
        self.relay = relay

    def post(self, body: Any = ASKED, path: str = CHAT, **more: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        return self.client.post(path, content=content, **more)


@contextmanager
def opened(script: Script | Scripted, said: Mapping[str, Any] | None = None, **parts: Any) -> Iterator[House]:
    shelf = parts.pop("keeper", None) or Shelf()
    others = parts.pop("others", {})
    with ScriptedUpstream(script) as upstream:
        declared = {"up": ProviderSettings(url=f"{upstream.url}/v1", **(said or {}))}
        declared |= {name: ProviderSettings(**one) for name, one in others.items()}
        relay = Relay(
            RelayParts(
                providers=open_providers(declared),
                keeper=shelf,
                clock=SystemClock(),
                ids=IdSource(SystemClock()),
                capabilities=Named(),
                draw=lambda: 0.0,
                **parts,
            ),
            Behind(),
        )
        with served(relay) as address, httpx.Client(base_url=address, timeout=10) as client:
            yield House(client, shelf, upstream, relay)


PLAIN = Scripted(
    pieces=(b'{"id":"x","usage":{"prompt_tokens":1,"completion_tokens":2}}',),
    headers=(("content-type", "application/json"), ("x-request-id", "req_1"), ("x-ratelimit-remaining-requests", "9"),
             ("set-cookie", "a=b"), ("connection", "keep-alive")),
)  # fmt: skip


def test_request_and_answer_pass_byte_for_byte_and_are_kept() -> None:
    sent = b'{ "model":"gpt-5","x" : 1.50, "messages":[{"role":"user","content":"\\u00e9"}] }'
    with opened(PLAIN) as house:
        headers = {
            "authorization": "Bearer of-the-caller", "openai-organization": "org", "openai-beta": "v2",
            "idempotency-key": "k", "x-tcap-group": "g", "x-tcap-case": "c", "x-tcap-key": "b", "cookie": "s=1",
            "user-agent": "app/1", "x-forwarded-for": "1.2.3.4",
        }  # fmt: skip
        answer = house.post(sent, headers=headers, params={"api-version": "1"})
        assert answer.content == PLAIN.body
        assert answer.headers["x-request-id"] == "req_1"
        assert answer.headers["x-ratelimit-remaining-requests"] == "9"
        assert "set-cookie" not in answer.headers
        received = house.upstream.received[0]
        assert (received.body, received.target) == (sent, "/v1/chat/completions?api-version=1")
        passed = {name.lower() for name, _ in received.headers}
        assert {"openai-organization", "openai-beta", "idempotency-key", "user-agent"} <= passed
        assert not passed & {"authorization", "cookie", "x-tcap-group", "x-tcap-case", "x-tcap-key", "x-forwarded-for"}
        call = house.shelf.calls[0]
        assert call.id == answer.headers["x-tcap-trajectory"]
        assert (call.request, call.response, call.status, call.ending) == (sent, PLAIN.body, 200, Ending.DONE)
        assert (call.case, call.group, call.key, call.provider, call.asked) == ("c", "g", "b", "up", "gpt-5")
        assert call.first_s is not None
        assert 0 < call.first_s <= call.elapsed_s


def test_keys_go_as_the_provider_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UP_KEY", "sk-ours")
    with opened(PLAIN, {"kind": "anthropic", "key_env": "UP_KEY", "models": ("*",)}) as house:
        house.post(path=MESSAGES, headers={"x-api-key": "of-the-caller"})
        received = house.upstream.received[0]
        assert received.header("x-api-key") == "sk-ours"
        assert received.header("anthropic-version") == "2023-06-01"
        house.post(path=MESSAGES, headers={"anthropic-version": "2027-01-01", "anthropic-beta": "x"})
        received = house.upstream.received[1]
        assert [value for name, value in received.headers if name == "anthropic-version"] == ["2027-01-01"]
        assert received.header("anthropic-beta") == "x"


def test_callers_keys_pass_where_they_may_but_never_ours() -> None:
    with opened(PLAIN, {"key": "caller"}) as house:
        house.post(headers={"authorization": "Bearer sk-theirs"})
        house.post(headers={"authorization": "Bearer tcap_secret"})
        assert [one.header("authorization") for one in house.upstream.received] == ["Bearer sk-theirs", None]


def test_another_name_changes_the_model_and_nothing_else() -> None:
    sent = b'{"n": 1.50, "model": "fast", "messages": [ ], "u": "\\u00e9"}'
    with opened(PLAIN, {"models": ("fast = gpt-5-mini",)}) as house:
        assert house.post(sent).status_code == 200
        body = house.upstream.received[0].body
        assert body == b'{"n":1.50,"model":"gpt-5-mini","messages":[ ],"u":"\\u00e9"}'
        assert house.shelf.calls[0].request == sent


def test_compressed_requests_pass_as_they_are_and_are_kept_readable() -> None:
    plain = json.dumps(ASKED).encode()
    with opened(PLAIN, {"models": ("gpt-*", "fast = gpt-5")}) as house:
        packed = gzip.compress(plain)
        house.post(packed, headers={"content-encoding": "gzip"})
        assert house.upstream.received[0].body == packed
        assert house.upstream.received[0].header("content-encoding") == "gzip"
        assert house.shelf.calls[0].request == plain
        house.post(gzip.compress(plain.replace(b"gpt-5", b"fast")), headers={"content-encoding": "gzip"})
        assert json.loads(house.upstream.received[1].body)["model"] == "gpt-5"
        assert house.upstream.received[1].header("content-encoding") is None
        assert house.post(b"no", headers={"content-encoding": "gzip"}).status_code == 400
        assert house.post(plain, headers={"content-encoding": "br"}).status_code == 400


def test_compressed_answers_pass_as_they_are_and_are_kept_readable() -> None:
    packed = gzip.compress(PLAIN.body)
    scripted = Scripted(pieces=(packed,), headers=(("content-type", "application/json"), ("content-encoding", "gzip")))
    with opened(scripted) as house:
        answer = house.post(headers={"accept-encoding": "gzip, br, zstd"})
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.content == PLAIN.body
        assert house.upstream.received[0].header("accept-encoding") == "gzip"
        assert house.shelf.calls[0].response == PLAIN.body


@pytest.mark.parametrize("status", [400, 401, 404, 422, 500, 501])
def test_errors_of_the_provider_pass_unchanged(status: int) -> None:
    scripted = Scripted(pieces=(b'{"error":{"message":"theirs"}}',), status=status)
    with opened(scripted) as house:
        answer = house.post()
        assert (answer.status_code, answer.content) == (status, scripted.body)
        assert (house.shelf.calls[0].ending, house.shelf.calls[0].status) == (Ending.REFUSED, status)
        assert len(house.upstream.received) == 1


@pytest.mark.parametrize("sizes", [None, 1, 7, (40, 3)])
def test_streams_pass_byte_for_byte(sizes: Any) -> None:
    with opened(stream(EVENTS, sizes)) as house:
        answer = house.post({**ASKED, "stream": True})
        assert answer.content == EVENTS
        call = house.shelf.calls[0]
        assert (call.response, call.streamed, call.ending) == (EVENTS, True, Ending.DONE)


def test_pieces_go_out_at_once_and_only_the_last_event_waits() -> None:
    shelf = Shelf()
    shelf.slow_s = 0.3
    scripted = Scripted(
        pieces=(b"data: 1\n\n", b"data: 2\n\n", b"data: [DONE]\n\n"), headers=EVENT_STREAM, chunked=True, pause_s=0.1
    )
    with (
        opened(scripted, keeper=shelf) as house,
        house.client.stream("POST", CHAT, json={**ASKED, "stream": True}) as got,
    ):
        came = [(time.monotonic(), piece) for piece in got.iter_raw()]
    assert b"".join(piece for _, piece in came).endswith(b"[DONE]\n\n")
    assert came[0][1] == b"data: 1\n\n"
    assert came[0][0] < shelf.at[0] - 0.3, "the first piece came before anything was kept"
    assert came[-1][0] >= shelf.at[0], "the last one came after"


def test_a_stream_that_breaks_off_ends_for_the_caller_where_it_did() -> None:
    scripted = Scripted(pieces=(b"data: 1\n\n", b"data: 2"), headers=EVENT_STREAM, chunked=True, cut=True, pause_s=0.05)
    with opened(scripted) as house:
        got = b""
        with (
            pytest.raises(httpx.RemoteProtocolError),
            house.client.stream("POST", CHAT, json={**ASKED, "stream": True}) as answer,
        ):
            for piece in answer.iter_raw():
                got += piece
        assert got == b"data: 1\n\ndata: 2"
        call = house.shelf.wait()[0]
        assert (call.ending, call.response) == (Ending.BROKEN, got)
        assert len(house.upstream.received) == 1, "never again after the first byte"


def test_callers_that_hang_up_end_the_call_of_the_provider() -> None:
    endless = Scripted(pieces=(b"data: 1\n\n",) * 400, headers=EVENT_STREAM, chunked=True, pause_s=0.02)
    with opened(endless) as house:
        with house.client.stream("POST", CHAT, json={**ASKED, "stream": True}) as answer:
            next(answer.iter_raw())
        call = house.shelf.wait()[0]
        assert call.ending is Ending.DISCONNECTED
        assert call.response is not None
        assert call.response.startswith(b"data: 1\n\n")
        assert len(call.response) < 400 * 9
        assert house.relay.counts.disconnected == 1
        wait_until(lambda: house.upstream.hung_up > 0, 3.0)
        assert house.upstream.hung_up == 1


def test_callers_that_hang_up_before_an_answer_are_seen() -> None:
    with opened(Scripted(first_s=3.0)) as house:
        with pytest.raises(httpx.ReadTimeout):
            house.post(timeout=0.2)
        assert house.shelf.wait()[0].ending is Ending.DISCONNECTED


def test_what_is_kept_is_bounded_and_says_so() -> None:
    long = Scripted(pieces=(b"x" * 300_000,) * 5, headers=EVENT_STREAM, chunked=True)
    with opened(long, settings=RelaySettings(max_kept_mib=1)) as house:
        assert len(house.post({**ASKED, "stream": True}).content) == 1_500_000
        call = house.shelf.calls[0]
        assert call.response is not None
        assert len(call.response) == 1 << 20
        assert call.tags == {"tcap.cut": "yes"}
        assert len(house.post().content) == 1_500_000


def test_busy_providers_are_tried_again_and_errors_pass_in_the_end() -> None:
    answers = iter([Scripted(status=429), Scripted(status=503, headers=(("retry-after", "0"),)), PLAIN])
    with opened(lambda _: next(answers)) as house:
        assert house.post().status_code == 200
        assert house.shelf.calls[0].attempts == 3
        assert house.relay.counts.retries == 2
    busy = Scripted(status=429, pieces=(b"busy",), headers=(("x-should-retry", "false"), ("retry-after", "30")))
    with opened(busy) as house:
        answer = house.post()
        assert (answer.status_code, answer.content, answer.headers["retry-after"]) == (429, b"busy", "30")
        assert len(house.upstream.received) == 1


def test_a_response_that_is_stored_is_asked_for_twice_only_under_a_key() -> None:
    with opened(Scripted(status=502)) as house:
        assert house.post(path=RESPONSES).status_code == 502
        assert len(house.upstream.received) == 1
        house.post(path=RESPONSES, headers={"idempotency-key": "k"})
        assert len(house.upstream.received) == 4


def test_fallbacks_are_asked_in_order() -> None:
    with ScriptedUpstream(PLAIN) as second:
        others = {"gone": {"url": "http://127.0.0.1:1/v1", "retries": 0}, "second": {"url": f"{second.url}/v1"}}
        said = {"fallbacks": ("gone", "second/other"), "retries": 0}
        with opened(Scripted(status=503), said, others=others) as house:
            answer = house.post()
            assert answer.status_code == 200
            assert json.loads(second.received[0].body)["model"] == "other"
            call = house.shelf.calls[0]
            assert (call.provider, call.attempts, call.status) == ("second", 3, 200)
            assert house.relay.counts.fallbacks == 2


def test_nobody_there_is_told_in_the_callers_wire_and_kept() -> None:
    others = {"gone": {"url": "http://127.0.0.1:1/v1", "retries": 0}}
    with opened(PLAIN, others=others) as house:
        answer = house.post({**ASKED, "model": "gone/m"})
        assert (answer.status_code, answer.json()["error"]["type"]) == (502, "unavailable")
        call = house.shelf.calls[0]
        assert (call.ending, call.status, call.response) == (Ending.UNREACHABLE, 0, None)
        assert answer.headers["x-tcap-trajectory"] == call.id
        answer = house.post({**ASKED, "model": "gone/m"}, path=MESSAGES)
        assert answer.json()["type"] == "error"


def test_a_provider_that_fails_again_and_again_is_left_alone() -> None:
    with opened(Scripted(status=500), {"failures": 2, "pause_s": 30.0}) as house:
        assert [house.post().status_code for _ in range(3)] == [500, 500, 503]
        assert int(house.post().headers["retry-after"]) in range(1, 31)
        assert len(house.upstream.received) == 2


def test_a_provider_that_says_nothing_times_out() -> None:
    with opened(Scripted(first_s=2.0), {"idle_s": 0.2}) as house:
        assert house.post().status_code == 504
        assert house.shelf.calls[0].ending is Ending.BROKEN


class Door:
    def admit(self, headers: Mapping[str, str], scope: access.Scope) -> Caller:
        if headers.get("authorization") != "Bearer good":
            raise KeyRefused("no key")
        return Caller(application="shop", key="key_1", scopes=frozenset({scope}))


class Held:
    def __init__(self) -> None:
        self.settled: list[Any] = []
        self.models: list[str] = []
        self.released = 0

    def hold(self, asked: Asked, capability: str | None, provider: str) -> Held:
        self.models.append(asked.model)
        if asked.headers.get("x-over"):
            raise LimitReached("used up", retry_after_s=12.2)
        return self

    def settle(self, usage: Usage | None, usd: Any) -> None:
        self.settled.append(usage)

    def release(self) -> None:
        self.released += 1


class Kept:
    def check(self, capability: str | None, provider: str) -> None:
        if capability == "secret":
            raise EgressRefused("not there", where="rule 1")


class Sorts:
    def __init__(self, mode: Mode = Mode.OBSERVE) -> None:
        self.mode = mode

    def sort(self, asked: Asked) -> Sorted:
        return Sorted(capability=asked.headers.get("x-kind"), mode=self.mode, tags={"team": "a"})


def test_callers_are_admitted_held_to_limits_and_kept_within_egress() -> None:
    held = Held()
    with opened(
        PLAIN, doorman=Door(), purse=held, egress=Kept(), sorter=Sorts(), took=lambda _: (Usage(1, 2), None)
    ) as house:
        assert house.post().status_code == 401
        assert house.post(path=MESSAGES).json()["error"]["type"] == "authentication_error"
        good = {"authorization": "Bearer good"}
        assert house.post(headers={**good, "x-kind": "secret"}).status_code == 403
        over = house.post(headers={**good, "x-over": "1"})
        assert (over.status_code, over.headers["retry-after"]) == (429, "13")
        assert not house.upstream.received
        assert house.post(headers={**good, "x-kind": "mail"}).status_code == 200
        call = house.shelf.calls[0]
        assert (call.application, call.capability, call.tags) == ("shop", "mail", {"team": "a"})
        assert held.settled == [Usage(1, 2)]
        assert house.relay.counts.refused == {"KeyRefused": 2, "EgressRefused": 1, "LimitReached": 1}


def test_calls_that_took_nothing_give_back_what_they_held() -> None:
    held = Held()
    with opened(Scripted(status=400), purse=held) as house:
        house.post()
        assert (held.released, held.settled) == (1, [])


class Answers:
    """Answers itself where it is asked to; `beside` remembers."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def answer(self, asked: Asked, sorted_: Sorted, call_id: str) -> Reply | None:
        if asked.streamed:
            return Reply(status=200, headers={"content-type": "text/event-stream"}, pieces=self.pieces())
        return Reply(status=200, headers={}, body=b"own") if sorted_.mode is Mode.ANSWER else None

    async def pieces(self) -> Any:
        yield b"a"
        yield b"b"

    def beside(self, asked: Asked, sorted_: Sorted, call_id: str) -> None:
        self.seen.append(call_id)


def test_capabilities_answer_instead_or_beside_as_their_mode_says() -> None:
    answers = Answers()
    with opened(PLAIN, sorter=Sorts(Mode.SHADOW), answerer=answers) as house:
        answer = house.post()
        assert answer.content == PLAIN.body
        assert answers.seen == [house.shelf.calls[0].id]
    with opened(PLAIN, sorter=Sorts(Mode.SUGGEST), answerer=answers) as house:
        assert house.post().content == PLAIN.body
    with opened(PLAIN, sorter=Sorts(Mode.ANSWER), answerer=answers) as house:
        assert house.post().content == b"own"
        assert house.post({**ASKED, "stream": True}).content == b"ab"
        assert not house.upstream.received
        assert not house.shelf.calls


def test_a_full_spool_refuses_before_the_provider_is_asked_or_says_that_nothing_is_kept() -> None:
    with opened(PLAIN, full=lambda: True) as house:
        assert house.post().status_code == 503
        assert not house.upstream.received
    shelf = Shelf()
    shelf.full = True
    with opened(PLAIN, keeper=shelf) as house:
        assert house.post().status_code == 503
        with house.client.stream("POST", CHAT, json={**ASKED, "stream": True}) as answer:
            assert answer.status_code == 200
            with pytest.raises(httpx.RemoteProtocolError):
                answer.read()
    with opened(PLAIN, keeper=shelf, unrecorded=True, full=lambda: True) as house:
        answer = house.post()
        assert (answer.status_code, answer.headers["x-tcap-recorded"]) == (200, "no")
        assert house.relay.counts.unrecorded == 1


def test_capabilities_and_everything_else_are_answered_behind() -> None:
    with opened(PLAIN) as house:
        packed = gzip.compress(b'{"model":"triage"}')
        said = house.post(packed, headers={"content-encoding": "gzip"})
        assert said.status_code == 299
        assert said.json() == {"path": CHAT, "body": '{"model":"triage"}'}
        assert house.client.get("/other").status_code == 299
        assert house.client.get(CHAT).status_code == 299
        assert house.post({"model": "triage"}, path="/v1/embeddings").status_code == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"{", 400), (b"[]", 400), (b'{"model":7}', 400), (b'{"messages":[]}', 400), (b"\xff\xfe", 400),
        (b'{"model":"m","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400), (b'{"model":""}', 400),
    ],
)  # fmt: skip
def test_what_is_no_request_is_told_so(body: bytes, status: int) -> None:
    with opened(PLAIN) as house:
        for path in (CHAT, MESSAGES):
            assert house.post(body, path=path).status_code == status
        assert not house.upstream.received


def test_names_of_models_are_bounded_because_they_are_remembered() -> None:
    with opened(PLAIN) as house:
        assert house.post({"model": "m" * 512}).status_code == 200
        told = house.post({"model": "m" * 513})
        assert (told.status_code, len(told.content) < 300) == (400, True)


def test_limits_count_the_model_that_is_asked_and_not_what_callers_call_it() -> None:
    purse = Held()
    other = {"other": {"url": "http://127.0.0.1:9", "models": ("none",)}}
    with opened(PLAIN, {"models": ("fast = gpt-5-mini", "gpt-*")}, purse=purse, others=other) as house:
        house.post({"model": "fast"})
        house.post({"model": "up/gpt-5"})
        house.post({"model": "gpt-5"})
        assert purse.models == ["gpt-5-mini", "gpt-5", "gpt-5"]


def test_unknown_models_are_told_what_is_known() -> None:
    with opened(PLAIN, {"models": ("gpt-*",)}) as house:
        told = house.post({"model": "llama"})
        assert told.status_code == 404
        assert "triage" in told.json()["error"]["message"]
        assert "up (gpt-*)" in told.json()["error"]["message"]


def test_bodies_have_a_bound() -> None:
    with opened(PLAIN, settings=RelaySettings(max_body_mib=1)) as house:
        body = b'{"model":"gpt-5","x":"' + b"a" * 1_100_000 + b'"}'
        assert house.post(body).status_code == 413
        pieces = [body[place : place + 100_000] for place in range(0, len(body), 100_000)]
        assert house.client.post(CHAT, content=iter(pieces)).status_code == 413
        bomb = gzip.compress(body)
        assert house.post(bomb, headers={"content-encoding": "gzip"}).status_code == 413
        assert house.client.post(CHAT, content=iter([b'{"model":', b'"gpt-5"}'])).status_code == 200


def test_what_openai_keeps_of_a_response_passes_and_nothing_else_does() -> None:
    def script(received: Received) -> Scripted:
        return Scripted(pieces=(f"{received.method} {received.target}".encode(),))

    with opened(script) as house:
        assert house.client.get("/v1/responses/resp_1?include=x").text == "GET /v1/responses/resp_1?include=x"
        assert house.client.delete("/v1/responses/resp_1").text == "DELETE /v1/responses/resp_1"
        assert house.client.post("/v1/responses/resp_1/cancel").text == "POST /v1/responses/resp_1/cancel"
        for path in ("/v1/responses/..%2f..%2fadmin", "/v1/responses/a/b", "/v1/responses/%2e%2e/files"):
            assert house.client.get(path).status_code == 299
        assert not house.shelf.calls


def test_a_bound_on_calls_at_once_makes_others_wait() -> None:
    with opened(Scripted(first_s=0.15), {"concurrency": 1}) as house:
        began = time.monotonic()
        threads = [threading.Thread(target=house.post) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - began >= 0.45
        assert house.upstream.connections == 1


def test_callers_that_hang_up_in_line_are_not_passed_on() -> None:
    with opened(Scripted(first_s=0.6), {"concurrency": 1}) as house:
        first = threading.Thread(target=house.post)
        first.start()
        assert wait_until(lambda: bool(house.upstream.received))
        with pytest.raises(httpx.TimeoutException):
            house.post(timeout=0.15)
        first.join()
        endings = {one.ending for one in house.shelf.wait(2)}
        assert endings == {Ending.DONE, Ending.DISCONNECTED}
        assert len(house.upstream.received) == 1
        assert house.post().status_code == 200


@pytest.mark.parametrize("wire", list(Wire))
def test_every_wire_has_its_path(wire: Wire) -> None:
    path = {
        Wire.CHAT: CHAT, Wire.RESPONSES: RESPONSES, Wire.MESSAGES: MESSAGES, Wire.EMBEDDINGS: "/v1/embeddings",
        Wire.COUNT_TOKENS: "/v1/messages/count_tokens",
    }[wire]  # fmt: skip
    with opened(PLAIN) as house:
        assert house.post(path=path).status_code == 200
        assert house.shelf.calls[0].wire is wire
        assert house.upstream.received[0].path == path
        assert house.relay.counts.requests == {(wire, "up", 2): 1}
        assert house.relay.counts.in_flight == 0
        assert msgspec.json.decode(house.shelf.calls[0].request or b"") == ASKED
