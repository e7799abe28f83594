"""The relay between callers and a scripted provider, over real sockets: what passes, and what is kept."""

from __future__ import annotations

import gzip
import json
import time
from typing import Any

import httpx2 as httpx
import pytest

from tokencapital.core.call import Ending
from tokencapital.serve.provider_settings import RelaySettings
from tokencapital.testing.relays import ASKED, CHAT, MESSAGES, PLAIN, RESPONSES, RelayShelf, relaying
from tokencapital.testing.upstream import EVENT_STREAM, Scripted, ScriptedUpstream, stream
from tokencapital.testing.waiting import wait_until

EVENTS = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"choices":[]}\n\ndata: [DONE]\n\n'


def test_request_and_answer_pass_byte_for_byte_and_are_kept() -> None:
    sent = b'{ "model":"gpt-5","x" : 1.50, "messages":[{"role":"user","content":"\\u00e9"}] }'
    with relaying(PLAIN) as house:
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
    with relaying(PLAIN, {"kind": "anthropic", "key_env": "UP_KEY", "models": ("*",)}) as house:
        house.post(path=MESSAGES, headers={"x-api-key": "of-the-caller"})
        received = house.upstream.received[0]
        assert received.header("x-api-key") == "sk-ours"
        assert received.header("anthropic-version") == "2023-06-01"
        house.post(path=MESSAGES, headers={"anthropic-version": "2027-01-01", "anthropic-beta": "x"})
        received = house.upstream.received[1]
        assert [value for name, value in received.headers if name == "anthropic-version"] == ["2027-01-01"]
        assert received.header("anthropic-beta") == "x"


def test_callers_keys_pass_where_they_may_but_never_ours() -> None:
    with relaying(PLAIN, {"key": "caller"}) as house:
        house.post(headers={"authorization": "Bearer sk-theirs"})
        house.post(headers={"authorization": "Bearer tcap_secret"})
        assert [one.header("authorization") for one in house.upstream.received] == ["Bearer sk-theirs", None]


def test_another_name_changes_the_model_and_nothing_else() -> None:
    sent = b'{"n": 1.50, "model": "fast", "messages": [ ], "u": "\\u00e9"}'
    with relaying(PLAIN, {"models": ("fast = gpt-5-mini",)}) as house:
        assert house.post(sent).status_code == 200
        body = house.upstream.received[0].body
        assert body == b'{"n":1.50,"model":"gpt-5-mini","messages":[ ],"u":"\\u00e9"}'
        assert house.shelf.calls[0].request == sent


def test_compressed_requests_pass_as_they_are_and_are_kept_readable() -> None:
    plain = json.dumps(ASKED).encode()
    with relaying(PLAIN, {"models": ("gpt-*", "fast = gpt-5")}) as house:
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
    with relaying(scripted) as house:
        answer = house.post(headers={"accept-encoding": "gzip, br, zstd"})
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.content == PLAIN.body
        assert house.upstream.received[0].header("accept-encoding") == "gzip"
        assert house.shelf.calls[0].response == PLAIN.body


@pytest.mark.parametrize("status", [400, 401, 404, 422, 500, 501])
def test_errors_of_the_provider_pass_unchanged(status: int) -> None:
    scripted = Scripted(pieces=(b'{"error":{"message":"theirs"}}',), status=status)
    with relaying(scripted) as house:
        answer = house.post()
        assert (answer.status_code, answer.content) == (status, scripted.body)
        assert (house.shelf.calls[0].ending, house.shelf.calls[0].status) == (Ending.REFUSED, status)
        assert len(house.upstream.received) == 1


@pytest.mark.parametrize("sizes", [None, 1, 7, (40, 3)])
def test_streams_pass_byte_for_byte(sizes: Any) -> None:
    with relaying(stream(EVENTS, sizes)) as house:
        answer = house.post({**ASKED, "stream": True})
        assert answer.content == EVENTS
        call = house.shelf.calls[0]
        assert (call.response, call.streamed, call.ending) == (EVENTS, True, Ending.DONE)


def test_pieces_go_out_at_once_and_only_the_last_event_waits() -> None:
    shelf = RelayShelf()
    shelf.slow_s = 0.3
    scripted = Scripted(
        pieces=(b"data: 1\n\n", b"data: 2\n\n", b"data: [DONE]\n\n"), headers=EVENT_STREAM, chunked=True, pause_s=0.1
    )
    with (
        relaying(scripted, keeper=shelf) as house,
        house.client.stream("POST", CHAT, json={**ASKED, "stream": True}) as got,
    ):
        came = [(time.monotonic(), piece) for piece in got.iter_raw()]
    assert b"".join(piece for _, piece in came).endswith(b"[DONE]\n\n")
    assert came[0][1] == b"data: 1\n\n"
    assert came[0][0] < shelf.at[0] - 0.3, "the first piece came before anything was kept"
    assert came[-1][0] >= shelf.at[0], "the last one came after"


def test_a_stream_that_breaks_off_ends_for_the_caller_where_it_did() -> None:
    scripted = Scripted(pieces=(b"data: 1\n\n", b"data: 2"), headers=EVENT_STREAM, chunked=True, cut=True, pause_s=0.05)
    with relaying(scripted) as house:
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
    with relaying(endless) as house:
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
    with relaying(Scripted(first_s=3.0)) as house:
        with pytest.raises(httpx.ReadTimeout):
            house.post(timeout=0.2)
        assert house.shelf.wait()[0].ending is Ending.DISCONNECTED


def test_what_is_kept_is_bounded_and_says_so() -> None:
    long = Scripted(pieces=(b"x" * 300_000,) * 5, headers=EVENT_STREAM, chunked=True)
    with relaying(long, settings=RelaySettings(max_kept_mib=1)) as house:
        assert len(house.post({**ASKED, "stream": True}).content) == 1_500_000
        call = house.shelf.calls[0]
        assert call.response is not None
        assert len(call.response) == 1 << 20
        assert call.tags == {"tcap.cut": "yes"}
        assert len(house.post().content) == 1_500_000


def test_busy_providers_are_tried_again_and_errors_pass_in_the_end() -> None:
    answers = iter([Scripted(status=429), Scripted(status=503, headers=(("retry-after", "0"),)), PLAIN])
    with relaying(lambda _: next(answers)) as house:
        assert house.post().status_code == 200
        assert house.shelf.calls[0].attempts == 3
        assert house.relay.counts.retries == 2
    busy = Scripted(status=429, pieces=(b"busy",), headers=(("x-should-retry", "false"), ("retry-after", "30")))
    with relaying(busy) as house:
        answer = house.post()
        assert (answer.status_code, answer.content, answer.headers["retry-after"]) == (429, b"busy", "30")
        assert len(house.upstream.received) == 1


def test_a_response_that_is_stored_is_asked_for_twice_only_under_a_key() -> None:
    with relaying(Scripted(status=502)) as house:
        assert house.post(path=RESPONSES).status_code == 502
        assert len(house.upstream.received) == 1
        house.post(path=RESPONSES, headers={"idempotency-key": "k"})
        assert len(house.upstream.received) == 4


def test_fallbacks_are_asked_in_order() -> None:
    with ScriptedUpstream(PLAIN) as second:
        others = {"gone": {"url": "http://127.0.0.1:1/v1", "retries": 0}, "second": {"url": f"{second.url}/v1"}}
        said = {"fallbacks": ("gone", "second/other"), "retries": 0}
        with relaying(Scripted(status=503), said, others=others) as house:
            answer = house.post()
            assert answer.status_code == 200
            assert json.loads(second.received[0].body)["model"] == "other"
            call = house.shelf.calls[0]
            assert (call.provider, call.attempts, call.status) == ("second", 3, 200)
            assert house.relay.counts.fallbacks == 2


def test_nobody_there_is_told_in_the_callers_wire_and_kept() -> None:
    others = {"gone": {"url": "http://127.0.0.1:1/v1", "retries": 0}}
    with relaying(PLAIN, others=others) as house:
        answer = house.post({**ASKED, "model": "gone/m"})
        assert (answer.status_code, answer.json()["error"]["type"]) == (502, "unavailable")
        call = house.shelf.calls[0]
        assert (call.ending, call.status, call.response) == (Ending.UNREACHABLE, 0, None)
        assert answer.headers["x-tcap-trajectory"] == call.id
        answer = house.post({**ASKED, "model": "gone/m"}, path=MESSAGES)
        assert answer.json()["type"] == "error"


def test_a_provider_that_fails_again_and_again_is_left_alone() -> None:
    with relaying(Scripted(status=500), {"failures": 2, "pause_s": 30.0}) as house:
        assert [house.post().status_code for _ in range(3)] == [500, 500, 503]
        assert int(house.post().headers["retry-after"]) in range(1, 31)
        assert len(house.upstream.received) == 2


def test_a_provider_that_says_nothing_times_out() -> None:
    with relaying(Scripted(first_s=2.0), {"idle_s": 0.2}) as house:
        assert house.post().status_code == 504
        assert house.shelf.calls[0].ending is Ending.BROKEN
