"""The served house over weeks: it asks people by itself, learns from them, and heeds mode and limits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tokencapital.app.asking import ask_active
from tokencapital.app.house import turn_once
from tokencapital.app.platform import Platform
from tokencapital.app.retracting import retract
from tokencapital.app.reviewing import say, waiting_cases
from tokencapital.app.server import build_app
from tokencapital.app.settings import CapabilitySettings, GoalSettings, Settings
from tokencapital.core.case import ContractKind, Mode
from tokencapital.core.errors import InputError
from tokencapital.core.judgment import DrawKind, Verdict
from tokencapital.core.split import Split
from tokencapital.store.cases import recent_trajectories
from tokencapital.store.draws import all_draws
from tokencapital.store.manifest import split_of_cases
from tokencapital.testing.people import tell_everyone

NAME = "triage-message"
WORDS = {"printer": "the printer eats paper", "phone": "my phone does not ring", "door": "the door is locked"}


def settings(store: Path, mode: Mode = Mode.ANSWER, **goal: Decimal | float) -> Settings:
    wanted = GoalSettings(purpose="Answer at once.", owner="maria", judged_share=0.5, tolerance=0.2, **goal)  # type: ignore[arg-type]
    declared = CapabilitySettings(contract=ContractKind.LABEL, mode=mode, mode_by="maria", goal=wanted)
    return Settings(store=str(store), capabilities={NAME: declared})


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Platform]:
    with Platform.open(settings(tmp_path / "store.db"), key=bytes(32)) as platform:
        tell_everyone(platform.store)
        yield platform


def send(house: Platform, count: int) -> None:
    """So many requests of as many customers, no two in the same words."""
    kinds = list(WORDS.values())
    with TestClient(build_app(house)) as client:
        for number in range(count):
            text = f"{kinds[number % 3]} on floor {number}"
            body = {"model": NAME, "messages": [{"role": "user", "content": text}], "user": f"customer {number}"}
            assert client.post("/v1/chat/completions", json=body).status_code in (200, 202)


def judge_all(house: Platform) -> int:
    """Every case that waits is judged rightly."""
    waiting = waiting_cases(house.workplace(NAME), 1_000)
    for one in waiting:
        right = next(label for label, words in WORDS.items() if words in one.messages[-1].content)
        say(house, one, "ines", Verdict.CORRECTED, right)
    return len(waiting)


def test_served_cases_are_asked_about_learned_from_and_answered(house: Platform) -> None:
    place = house.workplace(NAME)
    send(house, 600)
    drawn = all_draws(house.store, NAME)
    splits = split_of_cases(house.store, [one.case for one in drawn])
    assert {one.kind for one in drawn} == {DrawKind.UNIFORM}
    assert {splits[one.case] for one in drawn} == {Split.SEALED, Split.TRAIN}

    assert judge_all(house) == 300
    kinds = {one.kind for one in all_draws(house.store, NAME)}
    assert kinds == {DrawKind.UNIFORM, DrawKind.ACTIVE}

    asyncio.run(turn_once(place))
    live = place.releases.live(NAME)
    assert live.release is not None
    send(house, 30)
    answered = recent_trajectories(house.store, NAME, 30)
    assert all(one.answer.value in WORDS for one in answered)


def test_what_was_taken_back_neither_answers_nor_stays_unnoticed(house: Platform) -> None:
    place = house.workplace(NAME)
    send(house, 600)
    judge_all(house)
    asyncio.run(turn_once(place))
    live = place.releases.live(NAME).release
    assert live is not None
    place.engine.memory.refresh()
    (taught,) = place.engine.memory.judged([0])
    with pytest.raises(InputError, match="no judgment jdg_none is stored"):
        retract(house, [taught.judgment.id, "jdg_none"], "maria", None)
    assert place.engine.memory.recall(taught.case, place.now(), place.engine.memory.refresh()) is not None
    done = retract(house, [taught.judgment.id], "maria", "wrong customer")
    assert done.rebuilt_next == (live,)
    assert place.engine.memory.recall(taught.case, place.now(), place.engine.memory.refresh()) is None


def test_limits_stop_asking_and_learning(tmp_path: Path) -> None:
    with Platform.open(settings(tmp_path / "store.db", limit_minutes=5.0), key=bytes(32)) as house:
        send(house, 60)
        judge_all(house)
        asked = len(all_draws(house.store, NAME))
        report = asyncio.run(turn_once(house.workplace(NAME)))
        assert report.idle is not None
        assert "5 minutes" in report.idle
        send(house, 60)
        assert len(all_draws(house.store, NAME)) == asked
        assert ask_active(house.workplace(NAME)) == []


@pytest.mark.parametrize(("mode", "records"), [(Mode.OBSERVE, 1), (Mode.SHADOW, 2)])
def test_nothing_learned_reaches_a_caller_below_suggest(tmp_path: Path, mode: Mode, records: int) -> None:
    with Platform.open(settings(tmp_path / "store.db", mode), key=bytes(32)) as house:
        tell_everyone(house.store)
        teach(house, "the lift is stuck", "lift")
        before = len(recent_trajectories(house.store, NAME, 100))
        with TestClient(build_app(house)) as client:
            assert ask(client, "the lift is stuck").status_code == 202
        fresh = recent_trajectories(house.store, NAME, 100)[: len(recent_trajectories(house.store, NAME, 100)) - before]
        assert len(fresh) == records
        assert sorted(one.propensity for one in fresh) == [0.0, 1.0][2 - records :]


def test_what_is_suggested_is_never_sure(tmp_path: Path) -> None:
    with Platform.open(settings(tmp_path / "store.db", Mode.SUGGEST), key=bytes(32)) as house:
        tell_everyone(house.store)
        teach(house, "the lift is stuck", "lift")
        with TestClient(build_app(house)) as client:
            suggested = ask(client, "the lift is stuck")
            assert suggested.json()["choices"][0]["message"]["content"] == "lift"
            assert suggested.headers["x-tcap-stage"] == "person"


def ask(client: TestClient, text: str):  # type: ignore[no-untyped-def]
    body = {"model": NAME, "messages": [{"role": "user", "content": text}]}
    return client.post("/v1/chat/completions", json=body)


def teach(house: Platform, text: str, label: str) -> None:
    with TestClient(build_app(house)) as client:
        trajectory = ask(client, text).headers["x-tcap-trajectory"]
        body = {"expert": "ines", "verdict": "corrected", "trajectory": trajectory, "answer": label}
        assert client.post("/v1/judgments", json=body).status_code == 201
