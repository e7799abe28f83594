"""The page and the commands of lessons: who may decide, what is refused, and that nothing is rewritten."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from starlette.testclient import TestClient
from typer.testing import CliRunner

from tokencapital.app.accounts import AccountAsked, make_account
from tokencapital.app.lessons import playbook
from tokencapital.app.platform import Platform
from tokencapital.app.server import build_app
from tokencapital.app.settings import CapabilitySettings, GoalSettings, Settings
from tokencapital.cli import app
from tokencapital.core.case import ContractKind, Mode
from tokencapital.core.lesson import LessonState
from tokencapital.core.people import Role
from tokencapital.testing.people import tell_everyone
from tokencapital.web.site import Site

NAME = "sort-cards"
PASSWORD = "a sentence that nobody guesses"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Platform]:
    goal = GoalSettings(purpose="Sort at once.", owner="maria")
    declared = CapabilitySettings(
        contract=ContractKind.LABEL, labels=("lost", "stolen"), mode=Mode.ANSWER, mode_by="maria", goal=goal
    )
    settings = Settings(store=str(tmp_path / "s.db"), capabilities={NAME: declared})
    with Platform.open(settings, key=bytes(32)) as platform:
        tell_everyone(platform.store)
        yield platform


@pytest.fixture
def browser(house: Platform) -> Iterator[TestClient]:
    with TestClient(build_app(house, Site(house)), base_url="http://testserver") as client:
        yield client


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, page
    return found[1]


def log_in(browser: TestClient, login: str) -> str:
    """The page of lessons as somebody else sees it."""
    browser.cookies.clear()
    form = {"token": hidden(browser.get("/login").text, "token"), "login": login, "password": PASSWORD, "onward": "/"}
    assert browser.post("/login", data=form).status_code == 200
    return browser.get(f"/lessons/{NAME}").text


def send(browser: TestClient, page: str, to: str = "", **form: str) -> str:
    answered = browser.post(f"/lessons/{NAME}{to}", data={"token": hidden(page, "token"), "by": "maria", **form})
    assert answered.status_code in (200, 422), answered.text
    return answered.text


def test_a_lesson_is_proposed_reworded_approved_and_retired_on_its_page(browser: TestClient, house: Platform) -> None:
    page = browser.get(f"/lessons/{NAME}").text
    assert "There is no lesson yet." in page
    page = send(browser, page, "/new", new="A blue card is <b>lost</b>, not stolen.")
    assert "Proposed." in page and "&lt;b&gt;lost&lt;/b&gt;" in page and "<b>lost" not in page
    first = hidden(page, "lesson")
    page = send(browser, page, lesson=first, act="approve", text="A blue card is lost, not stolen.", days="30")
    assert "Approved." in page and "waits for the gate" in page
    second = hidden(page, "lesson")
    assert second != first
    states = {one.lesson.id: one.state for one in playbook(house.workplace(NAME)).lessons}
    assert states == {first: LessonState.REJECTED, second: LessonState.APPROVED}
    page = send(browser, page, lesson=second, act="retire", reason="sold out")
    assert "Retired." in page
    page = send(browser, page, lesson=second, act="approve")
    assert "is retired and cannot be approved" in page


def test_what_is_no_lesson_is_refused_with_the_reason(browser: TestClient) -> None:
    page = browser.get(f"/lessons/{NAME}").text
    assert "one sentence" in send(browser, page, "/new", new="A blue card is lost. A red one is stolen.")
    assert "address" in send(browser, page, "/new", new="Send blue cards to ann@example.com as lost ones.")
    assert "has no such lesson" in send(browser, page, lesson="lsn_unknown", act="approve")
    assert browser.post(f"/lessons/{NAME}", data={"token": "forged", "act": "approve"}).status_code >= 400


def test_only_the_owner_an_engineer_or_an_admin_decides(browser: TestClient, house: Platform) -> None:
    for name in ("maria", "ines"):
        roles = frozenset({Role.EXPERT})
        make_account(house, AccountAsked(login=name, password=PASSWORD, roles=roles, by="maria", contributor=name))
    page = log_in(browser, "ines")
    page = send(browser, page, "/new", new="A blue card is always a lost one.")
    lesson = hidden(page, "lesson")
    assert "The owner, an engineer or an admin decides on it." in page and 'value="approve"' not in page
    refused = browser.post(
        f"/lessons/{NAME}", data={"token": hidden(page, "token"), "lesson": lesson, "act": "approve"}
    )
    assert refused.status_code == 403
    page = log_in(browser, "maria")
    page = send(browser, page, lesson=lesson, act="approve")
    assert "Approved." in page
    [one] = playbook(house.workplace(NAME)).lessons
    assert (one.lesson.by, one.lesson.decided_by) == ("ines", "maria")


def test_the_commands_do_what_the_page_does(house: Platform) -> None:
    store = house.settings.store
    declare = house.workplace(NAME)
    said = run("propose", NAME, "--text", "A blue card is lost.", "--by", "ines", store=store)
    assert said.exit_code == 0, said.output
    [one] = playbook(declare).lessons
    assert run("approve", one.lesson.id, "--by", "maria", "--days", "5", store=store).exit_code == 0
    assert "A blue card" in run("list", NAME, store=store).output
    refused = run("measure", NAME, "--by", "maria", store=store)
    assert refused.exit_code == 1 and "no generalist" in refused.output
    assert run("retire", one.lesson.id, "--by", "maria", "--reason", "sold out", store=store).exit_code == 0
    assert run("reject", one.lesson.id, "--by", "maria", store=store).exit_code == 1


def run(*said: str, store: str) -> Result:
    return CliRunner().invoke(app, ["lesson", *said, "--store", store])
