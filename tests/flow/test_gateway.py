"""The gateway as apps see it: the real OpenAI client over a real socket, and plain HTTP beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import openai
import pytest
from starlette.testclient import TestClient

from tokencapital.app.platform import Platform
from tokencapital.app.server import build_app
from tokencapital.app.settings import CapabilitySettings, GeneralistKind, GeneralistSettings, GoalSettings, Settings
from tokencapital.core.case import ContractKind, Mode
from tokencapital.core.errors import ModelUnavailable
from tokencapital.core.judgment import Draw, DrawKind
from tokencapital.core.split import Split, assign_split
from tokencapital.store.cases import read_trajectory
from tokencapital.store.draws import append_draws
from tokencapital.store.manifest import split_of_cases
from tokencapital.store.outcomes import outcomes_for
from tokencapital.testing.models import Reply, ScriptedModel, scripted_endpoint
from tokencapital.testing.people import tell_everyone
from tokencapital.testing.servers import served

TRIAGE, TICKET = "triage-message", "open-ticket"
ASKED = [{"role": "user", "content": "my card was stolen"}]
CHAT, JUDGMENTS, OUTCOMES = "/v1/chat/completions", "/v1/judgments", "/v1/outcomes"


def settings(store: Path, generalist: str | None = None) -> Settings:
    kind = GeneralistKind.HTTP if generalist else GeneralistKind.NONE
    goal = GoalSettings(purpose="Answer at once.", owner="maria")
    return Settings(
        store=str(store),
        generalist=GeneralistSettings(kind=kind, url=generalist, model="scripted", timeout_s=5),
        capabilities={
            TRIAGE: CapabilitySettings(
                contract=ContractKind.LABEL, labels=("card_lost", "fraud"), mode=Mode.ANSWER, mode_by="maria", goal=goal
            ),
            TICKET: CapabilitySettings(contract=ContractKind.FIELDS, mode=Mode.ANSWER, mode_by="maria"),
        },
    )


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Platform]:
    """A house without a generalist: whatever nobody judged is for people."""
    with Platform.open(settings(tmp_path / "store.db")) as platform:
        tell_everyone(platform.store)
        yield platform


@pytest.fixture
def client(house: Platform) -> Iterator[TestClient]:
    with TestClient(build_app(house)) as opened:
        yield opened


def chat(client: TestClient, model: str = TRIAGE, messages: Any = None, headers: Any = None, **more: Any) -> Any:
    body = {"model": model, "messages": ASKED if messages is None else messages, **more}
    return client.post(CHAT, json=body, headers=headers or {})


def judged(client: TestClient, trajectory: str, answer: Any = "card_lost", **more: Any) -> Any:
    body = {"expert": "ines", "verdict": "corrected", "trajectory": trajectory, "answer": answer, **more}
    return client.post(JUDGMENTS, json=body)


def test_an_app_of_openai_changes_one_address_only(tmp_path: Path) -> None:
    model = ScriptedModel(lambda request: "fraud" if request.labels else '{"city": "Rome"}')
    with (
        scripted_endpoint(model) as upstream,
        Platform.open(settings(tmp_path / "store.db", upstream)) as house,
        served(build_app(house)) as address,
        openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as app,
    ):
        assert [one.id for one in app.models.list()] == [TICKET, TRIAGE]

        raw = app.chat.completions.with_raw_response.create(model=TRIAGE, messages=ASKED)  # type: ignore[arg-type]
        answer = raw.parse()
        assert answer.choices[0].message.content == "fraud"
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage is not None
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (10, 2)
        assert raw.headers["x-tcap-trajectory"] == answer.id
        assert (raw.headers["x-tcap-release"], raw.headers["x-tcap-stage"]) == ("none", "person")
        assert (raw.headers["x-tcap-confidence"], raw.headers["x-tcap-memory"]) == ("unknown", "0")

        streamed = app.chat.completions.create(
            model=TICKET,
            messages=ASKED,  # type: ignore[arg-type]
            stream=True,
            stream_options={"include_usage": True},
            extra_body={"context": {"tier": "gold"}},
        )
        chunks = list(streamed)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert text == '{"city":"Rome"}'
        assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
        assert chunks[-1].usage is not None and chunks[-1].usage.total_tokens == 12
        assert len({chunk.id for chunk in chunks}) == 1
        assert "gold" in model.requests[-1].messages[-1].content

        with pytest.raises(openai.NotFoundError, match="no capability is called `other`"):
            app.chat.completions.create(model="other", messages=ASKED)  # type: ignore[arg-type]
        with pytest.raises(openai.BadRequestError, match="not text"):
            app.chat.completions.create(
                model=TRIAGE,
                messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
            )


def test_a_generalist_that_fails_leaves_the_caller_with_an_address_and_the_record_with_the_reason(
    tmp_path: Path,
) -> None:
    model = ScriptedModel(lambda request: Reply(fault=ModelUnavailable("down for repair")))
    with scripted_endpoint(model) as upstream, Platform.open(settings(tmp_path / "store.db", upstream)) as house:
        with TestClient(build_app(house)) as client:
            waiting = chat(client)
        assert waiting.status_code == 202
        done = read_trajectory(house.store, waiting.headers["x-tcap-trajectory"])
        assert done is not None and "500" in (done.failure or "")
        assert done.usage.input is None


def test_who_waits_for_a_person_gets_an_address_that_tells_what_was_decided(client: TestClient) -> None:
    waiting = chat(client, headers={"x-tcap-unsure": "wait"})
    assert waiting.status_code == 202
    address = waiting.json()["url"]
    assert waiting.headers["location"] == address
    assert waiting.headers["x-tcap-stage"] == "person"
    assert client.get(address).status_code == 202
    accepted = judged(client, waiting.json()["id"])
    assert accepted.status_code == 201
    assert accepted.json()["drawn"] == "volunteered"
    assert accepted.json()["new_label"] is None
    decided = client.get(address)
    assert decided.status_code == 200
    assert (decided.json()["status"], decided.json()["content"]) == ("decided", "card_lost")


def test_what_was_judged_answers_the_next_request_at_once(client: TestClient) -> None:
    judged(client, chat(client).json()["id"])
    again = chat(client, headers={"x-tcap-unsure": "wait"})
    assert again.status_code == 200
    assert again.headers["x-tcap-stage"] == "recall"
    assert again.headers["x-tcap-memory"] == "1"
    assert again.json()["choices"][0]["message"]["content"] == "card_lost"
    assert again.json()["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def test_a_person_who_cannot_tell_decides_nothing(client: TestClient) -> None:
    waiting = chat(client)
    declined = judged(client, waiting.json()["id"], None, verdict="cannot_tell")
    assert declined.status_code == 201
    assert client.get(waiting.json()["url"]).status_code == 202


def test_right_takes_what_was_answered(client: TestClient) -> None:
    judged(client, chat(client).json()["id"])
    answered = chat(client)
    body = {"expert": "bert", "verdict": "right", "trajectory": answered.json()["id"]}
    assert client.post(JUDGMENTS, json=body).status_code == 201
    assert chat(client).headers["x-tcap-stage"] == "recall"


def sealed_group(house: Platform) -> str:
    groups = (f"customer-{number}" for number in range(1_000))
    return next(group for group in groups if assign_split(group, house.store.key) is Split.SEALED)


def test_a_volunteered_judgment_moves_a_sealed_group_to_train_for_good(house: Platform, client: TestClient) -> None:
    group = sealed_group(house)
    done = read_trajectory(house.store, chat(client, headers={"x-tcap-group": group}).json()["id"])
    assert done is not None
    assert split_of_cases(house.store, [done.case]) == {done.case: Split.SEALED}
    judged(client, done.id)
    assert split_of_cases(house.store, [done.case]) == {done.case: Split.TRAIN}
    assert chat(client).headers["x-tcap-stage"] == "recall"


def test_a_complaint_about_a_drawn_case_is_volunteered_unless_it_names_the_draw(
    house: Platform, client: TestClient
) -> None:
    waiting = chat(client, headers={"x-tcap-unsure": "wait"}).json()["id"]
    assert judged(client, waiting, draw="drw_unknown").status_code == 400
    assert judged(client, waiting).json()["drawn"] == "volunteered"


def test_who_waits_on_a_sealed_case_that_the_queue_drew_is_answered_too(house: Platform, client: TestClient) -> None:
    waiting = chat(client, headers={"x-tcap-group": sealed_group(house), "x-tcap-unsure": "wait"})
    done = read_trajectory(house.store, waiting.json()["id"])
    assert done is not None
    append_draws(
        house.store,
        [Draw(id="drw_1", case=done.case, capability=TRIAGE, kind=DrawKind.UNIFORM, probability=0.1, at=done.at)],
    )
    assert judged(client, done.id, draw="drw_1").json()["drawn"] == "uniform"
    assert split_of_cases(house.store, [done.case]) == {done.case: Split.SEALED}
    decided = client.get(waiting.json()["url"])
    assert (decided.status_code, decided.json().get("content")) == (200, "card_lost")
    assert chat(client).status_code == 202


def test_outcomes_are_taken_down_late_unknown_and_once(house: Platform, client: TestClient) -> None:
    chat(client, headers={"x-tcap-key": "order-1"})
    one = {"capability": TRIAGE, "key": "order-1", "name": "resolved", "value": None, "id": "out_1"}
    sent = client.post(OUTCOMES, json=one)
    assert (sent.status_code, sent.json()) == (201, {"recorded": ["out_1"]})
    several = [one, {**one, "id": "out_2", "value": True, "at": "2100-03-01T10:00:00+01:00"}]
    assert client.post(OUTCOMES, json=several).status_code == 201
    (newest,) = outcomes_for(house.store, TRIAGE, ["order-1"]).values()
    assert (newest.id, newest.value) == ("out_2", True)


def test_health_and_models(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert [one["id"] for one in client.get("/v1/models").json()["data"]] == [TICKET, TRIAGE]


Send = Callable[[TestClient], httpx.Response]


@pytest.mark.parametrize(
    ("send", "status", "said"),
    [
        (lambda c: chat(c, model="nothing"), 404, "no capability is called `nothing`"),
        (lambda c: c.post(CHAT, content=b"{"), 400, "no chat completion request"),
        (lambda c: c.post(CHAT, json={"model": TRIAGE}), 400, "messages"),
        (lambda c: chat(c, messages=[]), 400, "empty"),
        (lambda c: chat(c, messages=["hello"]), 400, "messages"),
        (lambda c: chat(c, messages=[{"role": "user", "content": 5}]), 400, "not text"),
        (lambda c: chat(c, messages=[{"role": "user", "content": "x", "name": 5}]), 400, "name"),
        (lambda c: chat(c, messages=[{"role": 5, "content": "x"}]), 400, "role"),
        (lambda c: chat(c, context=[1]), 400, "context"),
        (lambda c: chat(c, headers={"x-tcap-unsure": "maybe"}), 400, "x-tcap-unsure"),
        (lambda c: c.get("/v1/answers/trj_nothing"), 404, "no such trajectory"),
        (lambda c: c.post(JUDGMENTS, content=b"[]"), 400, "no judgment"),
        (lambda c: judged(c, "trj_nothing"), 400, "no trajectory trj_nothing"),
        (lambda c: judged(c, "trj_nothing", case="cas_1"), 400, "either"),
        (lambda c: judged(c, chat(c).json()["id"], {"a": 1}), 400, "not a text"),
        (lambda c: judged(c, chat(c).json()["id"], None), 400, "not a text"),
        (lambda c: judged(c, chat(c).json()["id"], minutes=-1), 400, "minutes"),
        (lambda c: judged(c, chat(c).json()["id"], expert=" "), 400, "expert"),
        (lambda c: judged(c, chat(c).json()["id"], valid_until="2026-01-01T00:00:00"), 400, "time zone"),
        (lambda c: judged(c, chat(c).json()["id"], surprise=1), 400, "surprise"),
        (lambda c: c.post(OUTCOMES, json={"capability": TRIAGE}), 400, "no outcome"),
        (
            lambda c: c.post(
                OUTCOMES, json={"capability": TRIAGE, "key": "k", "name": "n", "value": 1, "at": "2026-01-01T00:00:00"}
            ),
            400,
            "time zone",
        ),
        (
            lambda c: c.post(OUTCOMES, json={"capability": "nothing", "key": "k", "name": "n", "value": 1}),
            404,
            "no capability is called `nothing`",
        ),
        (lambda c: c.get("/v1/nothing"), 404, "Not Found"),
        (lambda c: c.get(CHAT), 405, "Method Not Allowed"),
    ],
)
def test_what_cannot_be_done_is_told_in_the_shape_that_clients_know(
    client: TestClient, send: Send, status: int, said: str
) -> None:
    answer = send(client)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert said in error["message"]
    assert set(error) == {"message", "type", "param", "code"}


def test_a_message_that_was_refused_left_nothing_behind(house: Platform, client: TestClient) -> None:
    chat(client, messages=[{"role": "user", "content": "x", "name": 5}])
    assert judged(client, chat(client).json()["id"]).status_code == 201
    assert chat(client).headers["x-tcap-stage"] == "recall"


def test_words_of_any_script_survive(house: Platform, client: TestClient) -> None:
    words = "kártya ellopták 🙃 卡 \u0000 \ufeff"
    waiting = chat(client, messages=[{"role": "user", "content": words}])
    assert judged(client, waiting.json()["id"]).status_code == 201
    assert chat(client, messages=[{"role": "user", "content": words}]).headers["x-tcap-stage"] == "recall"
