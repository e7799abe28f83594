"""Keys at the door of the served house: every endpoint by every scope, and what keys, limits and rules let through."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from tokencapital.app.access_settings import LimitSettings, Payloads, RecordSettings
from tokencapital.app.guard import MACHINES, check_address
from tokencapital.app.keys import KeyAsked, make_key, revoke_key, rotate_key
from tokencapital.app.platform import Platform
from tokencapital.app.recording import recording_of
from tokencapital.app.server import build_app
from tokencapital.app.settings import Settings
from tokencapital.core.access import Scope, make_secret
from tokencapital.core.clock import SystemClock
from tokencapital.core.limit import Per
from tokencapital.serve.provider_settings import ProviderSettings
from tokencapital.testing.servers import served
from tokencapital.testing.upstream import Scripted, ScriptedUpstream
from tokencapital.web.site import Site

ASKED = {"model": "gpt-5", "messages": [{"role": "user", "content": "our key is sk-proj-" + "aB3" * 12}]}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-5",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Soon, says nobody."}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
}


class Watch(SystemClock):
    """A clock that can be put forward."""

    ahead = timedelta()

    def now(self) -> Any:
        """The time, as far ahead as it was put."""
        return super().now() + self.ahead


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(Scripted(pieces=(json.dumps(ANSWER).encode(),))) as provider:
        yield provider


def house(folder: Path, url: str = "http://127.0.0.1:9", clock: Watch | None = None, **more: Any) -> Platform:
    providers = {"up": ProviderSettings(url=f"{url}/v1", models=("gpt-*",))}
    return Platform.open(Settings(store=str(folder / "s.db"), providers=providers, **more), clock=clock)


def key(platform: Platform, *scopes: Scope, lasts: timedelta | None = None) -> Any:
    asked = KeyAsked(application="crm", scopes=frozenset(scopes), by="maria", lasts=lasts)
    return make_key(platform, asked)


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def test_every_endpoint_opens_to_its_scopes_alone(tmp_path: Path) -> None:
    """Generated from the routes: a new one without a rule fails here, and one with a rule is tried with every key."""
    clock = Watch()
    with house(tmp_path, clock=clock) as platform:
        made = {scope: key(platform, scope).secret for scope in Scope}
        revoked, expired = key(platform, *Scope), key(platform, *Scope, lasts=timedelta(hours=1))
        revoke_key(platform, revoked.key.id, "maria")
        clock.ahead = timedelta(hours=2)
        app = build_app(platform, Site(platform))
        client = TestClient(app, raise_server_exceptions=False)
        routes = [one for one in app.routes if isinstance(one, Route)]
        machines = [one for one in routes if one.path.startswith("/v1/") or one.path == "/metrics"]
        assert {one.path for one in machines} <= set(MACHINES), "say in guard.MACHINES who may use it"
        assert set(MACHINES) <= {one.path for one in machines}
        for route in machines:
            path, method = re.sub(r"{\w+}", "none", route.path), min((route.methods or {"GET"}) - {"HEAD"})
            for secret in ("", make_secret(), "sk-theirs", revoked.secret, expired.secret):
                refused = client.request(method, path, headers=bearer(secret) if secret else {}, content=b"{}")
                assert refused.status_code == 401, (method, path, secret[:5])
                assert "error" in refused.json() and (not secret or secret not in refused.text)
            for scope, secret in made.items():
                for headers in (bearer(secret), {"x-api-key": secret}, {"x-tcap-api-key": secret}):
                    status = client.request(method, path, headers=headers, content=b"{}").status_code
                    opens = scope in MACHINES[route.path].scopes or scope is Scope.ADMIN
                    assert (status not in {401, 403}) if opens else status == 403, (method, path, scope, status)


def test_a_rotated_key_goes_on_and_then_ends(tmp_path: Path) -> None:
    clock = Watch()
    with house(tmp_path, clock=clock) as platform:
        old = key(platform, Scope.INFER)
        new = rotate_key(platform, old.key.id, "maria", timedelta(hours=1))
        client = TestClient(build_app(platform))
        assert [client.get("/v1/models", headers=bearer(one.secret)).status_code for one in (old, new)] == [200, 200]
        clock.ahead = timedelta(hours=1)
        assert [client.get("/v1/models", headers=bearer(one.secret)).status_code for one in (old, new)] == [401, 200]


def test_with_keys_alone_a_network_sees_no_page(tmp_path: Path) -> None:
    with house(tmp_path) as platform:
        made = key(platform, Scope.INFER)
        client = TestClient(build_app(platform, Site(platform)), follow_redirects=False)
        assert client.get("/notices").status_code == 200
        check_address(platform.access, "0.0.0.0")
        assert client.get("/notices").status_code == 303
        assert client.get("/v1/models", headers=bearer(made.secret)).status_code == 200
        assert client.get("/v1/models").status_code == 401


def test_no_key_and_no_secret_lies_on_disk(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    with house(tmp_path, upstream.url) as platform, served(build_app(platform)) as address:
        made = key(platform, Scope.INFER)
        import httpx2 as httpx

        answer = httpx.post(f"{address}/v1/chat/completions", json=ASKED, headers=bearer(made.secret))
        assert answer.status_code == 200
        assert upstream.received[0].header("authorization") is None
        assert recording_of(platform).flush()
        recording_of(platform).close()
        platform.store.run_alone("PRAGMA wal_checkpoint(TRUNCATE)")
        everything = b"".join(one.read_bytes() for one in tmp_path.rglob("*") if one.is_file())
    assert b"[redacted:api-key]" in everything
    assert made.secret[5:30].encode() not in everything and b"aB3aB3aB3" not in everything


@pytest.mark.parametrize("kept", [Payloads.HASHES, Payloads.NONE])
def test_words_that_nobody_wants_kept_reach_no_disk(tmp_path: Path, upstream: ScriptedUpstream, kept: Payloads) -> None:
    record = RecordSettings(payloads=kept)
    with house(tmp_path, upstream.url, record=record) as platform, served(build_app(platform)) as address:
        import httpx2 as httpx

        assert httpx.post(f"{address}/v1/chat/completions", json=ASKED).status_code == 200
        assert recording_of(platform).flush()
        recording_of(platform).close()
        platform.store.run_alone("PRAGMA wal_checkpoint(TRUNCATE)")
        assert platform.store.probe("SELECT output_tokens FROM step") == 3
        everything = b"".join(one.read_bytes() for one in tmp_path.rglob("*") if one.is_file())
    assert b"our key is" not in everything and b"says nobody" not in everything


def test_a_forbidden_provider_sees_no_byte(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    with house(tmp_path, upstream.url, egress=("local",)) as platform:
        refused = TestClient(build_app(platform)).post("/v1/chat/completions", json=ASKED)
    assert refused.status_code == 403 and "`egress`" in refused.json()["error"]["message"]
    assert upstream.received == []


def test_a_limit_is_named_where_it_refuses(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    limits = (LimitSettings(name="small", per=Per.MONTH, requests=2),)
    with house(tmp_path, upstream.url, limits=limits) as platform, TestClient(build_app(platform)) as client:
        answers = [client.post("/v1/chat/completions", json=ASKED) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert "`small`" in answers[2].json()["error"]["message"] and int(answers[2].headers["retry-after"]) > 0
    assert msgspec.json.decode(answers[2].content)["error"]["type"]


def test_a_key_that_records_tells_what_was_sent_and_judges_nothing(tmp_path: Path) -> None:
    with house(tmp_path) as platform:
        records, reviews = key(platform, Scope.RECORD).secret, key(platform, Scope.REVIEW).secret
        client = TestClient(build_app(platform))
        review = {"expert": "ines", "verdict": "right", "case": "cas_none"}
        sent = {"expert": "ines", "kind": "sent_unchanged", "case": "cas_none"}
        refused = client.post("/v1/judgments", json=review, headers=bearer(records))
        assert refused.status_code == 403 and "`review` needs the scope" in refused.json()["error"]["message"]
        several = client.post("/v1/judgments", json=[review, sent], headers=bearer(records)).json()["results"]
        assert [one["status"] for one in several] == [403, 400]
        assert client.post("/v1/judgments", json=review, headers=bearer(reviews)).status_code == 400


def test_a_stored_response_is_read_by_the_application_that_it_was_given_to(tmp_path: Path) -> None:
    import httpx2 as httpx

    body = {"id": "resp_1", "object": "response", "model": "gpt-5", "output": [], "status": "completed"}
    with (
        ScriptedUpstream(Scripted(pieces=(json.dumps(body).encode(),))) as upstream,
        house(tmp_path, upstream.url) as platform,
        served(build_app(platform)) as address,
        httpx.Client(base_url=address) as client,
    ):
        secrets = {
            name: make_key(platform, KeyAsked(application=name, scopes=frozenset({scope}), by="maria")).secret
            for name, scope in (("crm", Scope.INFER), ("shop", Scope.INFER), ("office", Scope.ADMIN))
        }
        asked = client.post("/v1/responses", json={"model": "gpt-5", "input": "hi"}, headers=bearer(secrets["crm"]))
        assert asked.status_code == 200
        assert recording_of(platform).flush()

        def read(name: str, response: str = "resp_1", method: str = "GET") -> int:
            return client.request(method, f"/v1/responses/{response}", headers=bearer(secrets[name])).status_code

        assert [read(name) for name in ("crm", "shop", "office")] == [200, 403, 200]
        assert read("shop", method="DELETE") == read("shop", "resp_1/input_items") == 403
        assert read("shop", "resp_other") == 200
        assert len(upstream.received) == 4
