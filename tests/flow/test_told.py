"""Judgments and outcomes from the tools where people work: one by one and in lists, late, twice, and wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tokencapital.app.platform import Platform
from tokencapital.app.server import build_app
from tokencapital.app.settings import CapabilitySettings, Settings
from tokencapital.core.call import UNSORTED
from tokencapital.core.case import ContractKind, Mode
from tokencapital.core.judgment import DrawKind, Verdict
from tokencapital.core.split import Split
from tokencapital.store.cases import read_cases, trajectories_of_case
from tokencapital.store.judgments import find_judgments, memory_events
from tokencapital.store.manifest import split_of_cases
from tokencapital.store.outcomes import outcomes_of_cases
from tokencapital.testing.people import tell_everyone
from tokencapital.testing.traces import payload_bodies, traces

MAIL = "answer-mail"
SECRET = "sk-proj-" + "aB3" * 12
JUDGMENTS, OUTCOMES = "/v1/judgments", "/v1/outcomes"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Platform]:
    mail = CapabilitySettings(contract=ContractKind.LABEL, mode=Mode.ANSWER, mode_by="maria")
    with Platform.open(Settings(store=str(tmp_path / "s.db"), capabilities={MAIL: mail}), key=b"k" * 32) as platform:
        tell_everyone(platform.store)
        yield platform


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A house in which nothing is kept, for all that it refuses."""
    mail = CapabilitySettings(contract=ContractKind.LABEL)
    store = str(tmp_path_factory.mktemp("refusing") / "s.db")
    with (
        Platform.open(Settings(store=store, capabilities={MAIL: mail})) as platform,
        TestClient(build_app(platform)) as opened,
    ):
        yield opened


@pytest.fixture
def client(house: Platform) -> Iterator[TestClient]:
    with TestClient(build_app(house)) as opened:
        yield opened


def asked(client: TestClient, key: str = "", group: str = "", words: str = "where is my parcel") -> str:
    headers = {name: value for name, value in (("x-tcap-key", key), ("x-tcap-group", group)) if value}
    answer = client.post(
        "/v1/chat/completions", json={"model": MAIL, "messages": [{"role": "user", "content": words}]}, headers=headers
    )
    assert answer.status_code in (200, 202), answer.text
    return str(answer.headers["x-tcap-trajectory"])


def said(**more: Any) -> dict[str, Any]:
    return {"expert": "ines", **more}


def split_of(house: Platform, trajectory: str) -> Split:
    with house.store.read() as connection:
        case = connection.exec_driver_sql(f"SELECT case_id FROM trajectory WHERE id = '{trajectory}'").scalar_one()
    return split_of_cases(house.store, [case])[case]


def groups(house: Platform, client: TestClient, split: Split, wanted: int) -> list[str]:
    """Trajectories whose entity group is in the split."""
    found: list[str] = []
    for number in range(300):
        done = asked(client, group=f"customer-{number}", words=f"question number {number}")
        if split_of(house, done) is split:
            found.append(done)
        if len(found) == wanted:
            return found
    raise AssertionError("the keyed hash put nothing there")


def test_an_edit_teaches_as_an_example_and_answers_nothing(house: Platform, client: TestClient) -> None:
    (done,) = groups(house, client, Split.TRAIN, 1)
    edited = client.post(JUDGMENTS, json=said(kind="edited", trajectory=done, draft="lost", sent="late"))
    assert (edited.status_code, edited.json()["drawn"], edited.json()["teaches"]) == (201, "in_work", True)
    kept = find_judgments(house.store, [edited.json()["judgment"]])[edited.json()["judgment"]]
    assert (kept.verdict, kept.answer, kept.drawn) == (Verdict.CORRECTED, "late", DrawKind.IN_WORK)
    drafts = [one.answer.value for one in trajectories_of_case(house.store, kept.case)]
    assert "lost" in drafts, "the draft is on record as an answer"
    memory = house.workplace(MAIL).engine.memory
    upto = memory.refresh()
    case = read_cases(house.store, [kept.case])[kept.case]
    assert memory.recall(case, house.clock.now(), upto) is None, "an edit alone answers nobody"
    assert len(memory) == 1, "and it is an example all the same"


def test_a_review_overrides_what_was_edited(house: Platform, client: TestClient) -> None:
    (done,) = groups(house, client, Split.TRAIN, 1)
    client.post(JUDGMENTS, json=said(kind="edited", trajectory=done, draft="lost", sent="late"))
    reviewed = said(verdict="corrected", trajectory=done, answer="damaged")
    assert client.post(JUDGMENTS, json=reviewed).json()["drawn"] == "volunteered"
    memory = house.workplace(MAIL).engine.memory
    upto = memory.refresh()
    (case,) = {
        one.judged.case.id: one.judged.case for one in memory_events(house.store, MAIL, 0) if one.judged
    }.values()
    recalled = memory.recall(case, house.clock.now(), upto)
    assert recalled is not None and recalled.value == "damaged" and len(recalled.judgments) == 1
    settled = client.get(f"/v1/answers/{done}")
    assert settled.json()["content"] == "damaged"


def test_what_was_sent_as_it_stood_floods_no_memory(house: Platform, client: TestClient) -> None:
    for done in groups(house, client, Split.TRAIN, 5):
        told = client.post(JUDGMENTS, json=said(kind="sent_unchanged", trajectory=done, draft="late")).json()
        assert (told["drawn"], told["teaches"]) == ("in_work", False)
        assert "sent as it stood" in told["why"]
    assert memory_events(house.store, MAIL, 0) == []
    tell_everyone(house.store)
    assert memory_events(house.store, MAIL, 0) == [], "no later notice makes it teach either"


def test_work_takes_no_group_out_of_sealed(house: Platform, client: TestClient) -> None:
    first, second = groups(house, client, Split.SEALED, 2)
    client.post(JUDGMENTS, json=said(kind="edited", trajectory=first, draft="lost", sent="late"))
    client.post(JUDGMENTS, json=said(kind="sent_unchanged", trajectory=second, draft="late"))
    assert [split_of(house, one) for one in (first, second)] == [Split.SEALED] * 2
    assert memory_events(house.store, MAIL, 0) == []
    client.post(JUDGMENTS, json=said(verdict="corrected", trajectory=first, answer="late"))
    assert split_of(house, first) is Split.TRAIN, "a volunteered correction does"
    assert len(memory_events(house.store, MAIL, 0)) == 2, "and memory hears the edit with it"


def test_an_edit_into_itself_was_sent_as_it_stood(house: Platform, client: TestClient) -> None:
    done = asked(client)
    body = said(kind="edited", trajectory=done, draft="late", sent="late")
    name = client.post(JUDGMENTS, json=body).json()["judgment"]
    assert find_judgments(house.store, [name])[name].verdict is Verdict.RIGHT
    unknown = client.post(JUDGMENTS, json=said(kind="edited", trajectory=done, sent="late"))
    assert unknown.status_code == 400 and "Send the `draft`" in unknown.json()["error"]["message"]


def test_work_books_no_minutes_of_review(house: Platform, client: TestClient) -> None:
    done = asked(client)
    client.post(JUDGMENTS, json=said(kind="sent_unchanged", trajectory=done, draft="late"))
    with house.store.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM ledger_transaction").scalar_one() == 0
    client.post(JUDGMENTS, json=said(verdict="right", trajectory=done, answer="late"))
    with house.store.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM ledger_transaction").scalar_one() == 1


def test_a_judgment_finds_its_case_by_business_key_and_comes_once(house: Platform, client: TestClient) -> None:
    asked(client, key="order-1")
    body = said(verdict="corrected", key="order-1", capability=MAIL, answer="late", id="mail-77")
    first, second = client.post(JUDGMENTS, json=body), client.post(JUDGMENTS, json=body)
    same = ("judgment", "memory", "drawn", "teaches")
    assert second.status_code == 201 and all(first.json()[one] == second.json()[one] for one in same)
    assert first.json()["judgment"] == "mail-77"
    other = client.post(JUDGMENTS, json={**body, "answer": "lost"})
    assert other.status_code == 409 and "used for another judgment" in other.json()["error"]["message"]
    missing = client.post(JUDGMENTS, json=said(verdict="right", key="order-2", capability=MAIL))
    assert missing.status_code == 400 and "business key" in missing.json()["error"]["message"]


def test_one_bad_judgment_of_a_list_loses_no_other(client: TestClient) -> None:
    done = asked(client)
    good = said(verdict="corrected", trajectory=done, answer="late", id="a")
    answer = client.post(JUDGMENTS, json=[good, {"expert": "ines"}, said(verdict="right", trajectory="trj_no"), good])
    assert answer.status_code == 207
    assert [one["status"] for one in answer.json()["results"]] == [201, 400, 400, 201]
    assert answer.json()["recorded"] == ["a", "a"]
    assert client.post(JUDGMENTS, json=[good]).status_code == 201


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (said(kind="edited", trajectory="t", draft="a"), "sent"),
        (said(kind="edited", trajectory="t", sent="b", verdict="right"), "verdict"),
        (said(kind="sent_unchanged", trajectory="t", sent="b"), "sent"),
        (said(kind="sent_unchanged", trajectory="t", draw="d"), "draw"),
        (said(trajectory="t"), "verdict"),
        (said(verdict="right", trajectory="t", draft="a"), "draft"),
        (said(verdict="right", key="k"), "capability"),
        (said(verdict="right", key="k", case="c", capability=MAIL), "either"),
        (said(kind="liked", trajectory="t"), "liked"),
        (said(verdict="right", trajectory="t", id=""), "id"),
        (said(kind="sent_unchanged", trajectory="t", expert=" "), "expert"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(refusing: TestClient, body: dict[str, Any], why: str) -> None:
    answer = refusing.post(JUDGMENTS, json=body)
    assert answer.status_code == 400
    assert why in answer.json()["error"]["message"]


def test_an_outcome_may_come_before_its_trajectory_and_be_corrected(house: Platform, client: TestClient) -> None:
    early = {"trajectory": "trj_to_come", "name": "solved", "value": None, "at": "2026-01-01T00:00:00Z", "id": "o1"}
    assert client.post(OUTCOMES, json=early).status_code == 201
    done = asked(client, key="order-9")
    seen = [
        {"trajectory": done, "name": "solved", "value": True, "at": "2026-03-01T00:00:00Z", "id": "o2"},
        {
            "capability": MAIL,
            "key": "order-9",
            "name": "solved",
            "value": False,
            "at": "2026-08-01T00:00:00Z",
            "id": "o3",
        },
        {"trajectory": done, "name": "stars", "value": 4.5, "at": "2026-02-01T00:00:00Z"},
    ]
    assert client.post(OUTCOMES, json=seen).status_code == 201
    with house.store.read() as connection:
        case = connection.exec_driver_sql(f"SELECT case_id FROM trajectory WHERE id = '{done}'").scalar_one()
    found = outcomes_of_cases(house.store, [case])[case]
    assert [(one.name, one.value) for one in found] == [("stars", 4.5), ("solved", True), ("solved", False)]
    assert {one.capability for one in found} == {MAIL}
    with house.store.read() as connection:
        waiting = connection.exec_driver_sql("SELECT capability FROM outcome WHERE id = 'o1'").scalar_one()
    assert waiting == UNSORTED


def test_outcomes_come_once_and_a_bad_one_loses_no_other(client: TestClient) -> None:
    one = {"capability": MAIL, "key": "k", "name": "n", "value": 1, "id": "o1"}
    several: list[Any] = [one, {**one, "id": "o2", "capability": "nothing"}, {"key": "k"}, {**one, "id": "o3"}, 7, one]
    answer = client.post(OUTCOMES, json=several)
    assert answer.status_code == 207
    assert [got["status"] for got in answer.json()["results"]] == [201, 404, 400, 201, 400, 201]
    assert answer.json()["recorded"] == ["o1", "o3", "o1"]
    changed = client.post(OUTCOMES, json={**one, "value": 0})
    assert changed.status_code == 409 and "used for another outcome" in changed.json()["error"]["message"]
    assert client.post(OUTCOMES, json=one).status_code == 201


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[", 400),
        (b"", 400),
        (b"\xff\xfe", 400),
        (b"[" * 5_000, 400),
        (b"[]", 400),
        (b"[" + b",".join([b"{}"] * 1_001) + b"]", 400),
        (b'{"key":"k","name":"n","value":1}', 400),
        (b'{"key":"k","trajectory":"t","capability":"answer-mail","name":"n","value":1}', 400),
        (b'{"trajectory":"t","name":"n","value":1e999}', 400),
        (b'{"trajectory":"t","name":"n","value":"yes"}', 400),
        (b'{"trajectory":"","name":"n","value":1}', 400),
    ],
)
def test_no_body_of_outcomes_breaks_the_house(refusing: TestClient, body: bytes, status: int) -> None:
    assert refusing.post(OUTCOMES, content=body).status_code == status
    assert refusing.post(JUDGMENTS, content=body).status_code == 400


def test_secrets_in_what_people_say_are_not_kept(house: Platform, client: TestClient) -> None:
    done = asked(client)
    edited = said(kind="edited", trajectory=done, draft=f"lost {SECRET}", sent=f"late {SECRET}", reason=f"so: {SECRET}")
    answers = [client.post(JUDGMENTS, json={**edited, "id": "once"}) for _ in range(2)]
    assert [one.status_code for one in answers] == [201, 201]
    kept = find_judgments(house.store, ["once"])["once"]
    assert (kept.answer, kept.reason) == ("late [redacted:api-key]", "so: [redacted:api-key]")
    seen = {"trajectory": done, "name": f"solved {SECRET}", "value": True}
    assert client.post(OUTCOMES, json=seen).status_code == 201
    assert traces([SECRET], *payload_bodies(house.store).values()) == []
    with house.store.read() as connection:
        names = connection.exec_driver_sql("SELECT name FROM outcome").scalars().all()
    assert names == ["solved [redacted:api-key]"]


def test_secrets_in_what_a_capability_is_asked_are_not_kept(house: Platform, client: TestClient) -> None:
    done = asked(client, words=f"my key is {SECRET}")
    client.post(JUDGMENTS, json=said(verdict="corrected", trajectory=done, answer="reset"))
    assert traces([SECRET], *payload_bodies(house.store).values()) == []
    body = {"model": MAIL, "messages": [{"role": "user", "content": f"my key is {SECRET}"}]}
    assert client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"] == "reset"
