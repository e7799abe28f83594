"""The relay between callers and a scripted provider: who is let through, who answers instead, and what is refused."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx2 as httpx
import msgspec
import pytest

from tokencapital.core import access
from tokencapital.core.access import Caller
from tokencapital.core.call import Ending, Wire
from tokencapital.core.case import Mode
from tokencapital.core.errors import EgressRefused, KeyRefused, LimitReached
from tokencapital.core.quantity import Usage
from tokencapital.serve.provider_settings import RelaySettings
from tokencapital.serve.relay_ports import Asked, Reply, Sorted
from tokencapital.testing.relays import ASKED, CHAT, MESSAGES, PLAIN, RESPONSES, RelayShelf, relaying
from tokencapital.testing.upstream import Received, Scripted
from tokencapital.testing.waiting import wait_until


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
    with relaying(
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
    with relaying(Scripted(status=400), purse=held) as house:
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
    with relaying(PLAIN, sorter=Sorts(Mode.SHADOW), answerer=answers) as house:
        answer = house.post()
        assert answer.content == PLAIN.body
        assert answers.seen == [house.shelf.calls[0].id]
    with relaying(PLAIN, sorter=Sorts(Mode.SUGGEST), answerer=answers) as house:
        assert house.post().content == PLAIN.body
    with relaying(PLAIN, sorter=Sorts(Mode.ANSWER), answerer=answers) as house:
        assert house.post().content == b"own"
        assert house.post({**ASKED, "stream": True}).content == b"ab"
        assert not house.upstream.received
        assert not house.shelf.calls


def test_a_full_spool_refuses_before_the_provider_is_asked_or_says_that_nothing_is_kept() -> None:
    with relaying(PLAIN, full=lambda: True) as house:
        assert house.post().status_code == 503
        assert not house.upstream.received
    shelf = RelayShelf()
    shelf.full = True
    with relaying(PLAIN, keeper=shelf) as house:
        assert house.post().status_code == 503
        with house.client.stream("POST", CHAT, json={**ASKED, "stream": True}) as answer:
            assert answer.status_code == 200
            with pytest.raises(httpx.RemoteProtocolError):
                answer.read()
    with relaying(PLAIN, keeper=shelf, unrecorded=True, full=lambda: True) as house:
        answer = house.post()
        assert (answer.status_code, answer.headers["x-tcap-recorded"]) == (200, "no")
        assert house.relay.counts.unrecorded == 1


def test_capabilities_and_everything_else_are_answered_behind() -> None:
    with relaying(PLAIN) as house:
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
    with relaying(PLAIN) as house:
        for path in (CHAT, MESSAGES):
            assert house.post(body, path=path).status_code == status
        assert not house.upstream.received


def test_names_of_models_are_bounded_because_they_are_remembered() -> None:
    with relaying(PLAIN) as house:
        assert house.post({"model": "m" * 512}).status_code == 200
        told = house.post({"model": "m" * 513})
        assert (told.status_code, len(told.content) < 300) == (400, True)


def test_limits_count_the_model_that_is_asked_and_not_what_callers_call_it() -> None:
    purse = Held()
    other = {"other": {"url": "http://127.0.0.1:9", "models": ("none",)}}
    with relaying(PLAIN, {"models": ("fast = gpt-5-mini", "gpt-*")}, purse=purse, others=other) as house:
        house.post({"model": "fast"})
        house.post({"model": "up/gpt-5"})
        house.post({"model": "gpt-5"})
        assert purse.models == ["gpt-5-mini", "gpt-5", "gpt-5"]


def test_unknown_models_are_told_what_is_known() -> None:
    with relaying(PLAIN, {"models": ("gpt-*",)}) as house:
        told = house.post({"model": "llama"})
        assert told.status_code == 404
        assert "triage" in told.json()["error"]["message"]
        assert "up (gpt-*)" in told.json()["error"]["message"]


def test_bodies_have_a_bound() -> None:
    with relaying(PLAIN, settings=RelaySettings(max_body_mib=1)) as house:
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

    with relaying(script) as house:
        assert house.client.get("/v1/responses/resp_1?include=x").text == "GET /v1/responses/resp_1?include=x"
        assert house.client.delete("/v1/responses/resp_1").text == "DELETE /v1/responses/resp_1"
        assert house.client.post("/v1/responses/resp_1/cancel").text == "POST /v1/responses/resp_1/cancel"
        for path in ("/v1/responses/..%2f..%2fadmin", "/v1/responses/a/b", "/v1/responses/%2e%2e/files"):
            assert house.client.get(path).status_code == 299
        assert not house.shelf.calls


def test_a_bound_on_calls_at_once_makes_others_wait() -> None:
    with relaying(Scripted(first_s=0.15), {"concurrency": 1}) as house:
        began = time.monotonic()
        threads = [threading.Thread(target=house.post) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - began >= 0.45
        assert house.upstream.connections == 1


def test_callers_that_hang_up_in_line_are_not_passed_on() -> None:
    with relaying(Scripted(first_s=0.6), {"concurrency": 1}) as house:
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
    with relaying(PLAIN) as house:
        assert house.post(path=path).status_code == 200
        assert house.shelf.calls[0].wire is wire
        assert house.upstream.received[0].path == path
        assert house.relay.counts.requests == {(wire, "up", 2): 1}
        assert house.relay.counts.in_flight == 0
        assert msgspec.json.decode(house.shelf.calls[0].request or b"") == ASKED
