"""The house while its store is away: a real PostgreSQL server that stops, hangs, and comes back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from tokencapital.app.outage import STORE_AGE
from tokencapital.app.platform import Platform
from tokencapital.app.recording import recording_of
from tokencapital.app.server import build_app
from tokencapital.app.settings import CapabilitySettings, GoalSettings, Settings
from tokencapital.core.call import Call, Ending, Wire
from tokencapital.core.case import ContractKind, Mode
from tokencapital.record.spool import SpoolSettings
from tokencapital.store.cases import read_trajectory
from tokencapital.store.draws import count_drawn
from tokencapital.store.outcomes import outcomes_for
from tokencapital.testing.people import tell_everyone
from tokencapital.testing.postgres import Postgres

CHAT, JUDGMENTS, OUTCOMES = "/v1/chat/completions", "/v1/judgments", "/v1/outcomes"
GOAL = GoalSettings(purpose="Answer at once.", owner="maria", judged_share=1.0)


@pytest.fixture(scope="module")
def server(new_postgres: Callable[[], Postgres]) -> Iterator[Postgres]:
    begun = new_postgres()
    yield begun
    begun.end()


@pytest.fixture
def house(server: Postgres, tmp_path: Path) -> Iterator[Platform]:
    settings = Settings(
        store=server.url,
        spool=SpoolSettings(folder=str(tmp_path / "spool")),
        capabilities={
            "triage": CapabilitySettings(contract=ContractKind.LABEL, mode=Mode.ANSWER, mode_by="maria", goal=GOAL),
            "strict": CapabilitySettings(
                contract=ContractKind.LABEL, mode=Mode.ANSWER, mode_by="maria", store_only=True
            ),
        },
    )
    with Platform.open(settings) as opened:
        tell_everyone(opened.store)
        yield opened


def ask(client: TestClient, capability: str, words: str, **headers: str) -> Any:
    body = {"model": capability, "messages": [{"role": "user", "content": words}]}
    return client.post(CHAT, json=body, headers=headers)


def test_answers_go_on_while_the_server_hangs_and_are_in_the_store_when_it_is_back(
    house: Platform, server: Postgres
) -> None:
    with TestClient(build_app(house), raise_server_exceptions=False) as client:
        taught = ask(client, "triage", "my card is gone").headers["x-tcap-trajectory"]
        said = {"trajectory": taught, "expert": "ines", "verdict": "corrected", "answer": "card_lost"}
        assert client.post(JUDGMENTS, json=said).status_code == 201
        assert ask(client, "triage", "my card is gone").json()["choices"][0]["message"]["content"] == "card_lost"
        assert ask(client, "strict", "hello").status_code == 202
        server.hang()
        try:
            began = time.monotonic()
            answers = [ask(client, "triage", "my card is gone") for _ in range(20)]
            waited = time.monotonic() - began
            outcome = {"capability": "triage", "key": "T-1", "name": "solved", "value": True}
            told = client.post(OUTCOMES, json=outcome)
            refused = client.post(JUDGMENTS, json=said)
            strict = ask(client, "strict", "hello")
        finally:
            server.go_on()
        assert [one.json()["choices"][0]["message"]["content"] for one in answers] == ["card_lost"] * 20
        assert all(int(one.headers[STORE_AGE]) < 20 for one in answers)
        assert waited < 3.0
        assert told.status_code == 202
        assert (refused.status_code, strict.status_code) == (503, 503)
        assert "cannot be reached" in refused.json()["error"]["message"]
        until = time.monotonic() + 10
        while house.store.reach.age_s is not None and time.monotonic() < until:
            ask(client, "triage", "my card is gone")
            time.sleep(0.1)
        assert recording_of(house).flush(10.0)
        assert STORE_AGE not in ask(client, "triage", "my card is gone").headers
        assert all(read_trajectory(house.store, one.headers["x-tcap-trajectory"]) for one in answers)
        assert outcomes_for(house.store, "triage", ["T-1"])["T-1", "solved"].value is True
        assert count_drawn(house.store, "triage") > 0


def test_a_judgment_waits_for_a_call_that_was_acknowledged_just_now(tmp_path: Path) -> None:
    with Platform.open(Settings(store=str(tmp_path / "house.db"))) as house:
        tell_everyone(house.store)
        with TestClient(build_app(house), raise_server_exceptions=False) as client:
            assert client.portal is not None
            for number in range(20):
                client.portal.call(recording_of(house).keep, a_call(number))
                said = {"trajectory": f"trj_{number}", "expert": "ines", "verdict": "right"}
                assert client.post(JUDGMENTS, json=said).status_code == 201
            said = {"trajectory": "trj_never", "expert": "ines", "verdict": "right"}
            assert client.post(JUDGMENTS, json=said).status_code == 400


def a_call(number: int) -> Call:
    body = {"model": "m", "messages": [{"role": "user", "content": f"question {number}"}]}
    answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}]}
    return Call(
        id=f"trj_{number}", at=datetime(2026, 3, 1, tzinfo=UTC), wire=Wire.CHAT, asked="m", provider="p", status=200,
        ending=Ending.DONE, request=msgspec.json.encode(body), response=msgspec.json.encode(answer),
    )  # fmt: skip
