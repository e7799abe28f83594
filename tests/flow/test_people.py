"""Reports of people hold for groups only, and names show nowhere but where they may."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient
from typer.testing import CliRunner

from tokencapital.app.accounts import AccountAsked, make_account
from tokencapital.app.contributors import ContributorAsked, declare
from tokencapital.app.people import PeopleBooks, PeopleReport
from tokencapital.app.platform import Platform
from tokencapital.app.server import build_app
from tokencapital.app.settings import CapabilitySettings, GoalSettings, Settings
from tokencapital.app.telling import NoticeAsked, NoticeGap, give_notice, notice_gaps
from tokencapital.cli import app
from tokencapital.core.case import ContractKind, Mode
from tokencapital.core.clock import RecordedClock
from tokencapital.core.people import Role
from tokencapital.web.site import Site

NAME = "triage-message"
START = datetime(2026, 11, 2, 9, tzinfo=UTC)
WEEK = timedelta(weeks=1)
PASSWORD = "a sentence that nobody guesses"
_COUNT = itertools.count()
CALLED = "Ines Quellenreuther"


@pytest.fixture
def clock() -> RecordedClock:
    return RecordedClock(START)


@pytest.fixture
def house(tmp_path: Path, clock: RecordedClock) -> Iterator[Platform]:
    goal = GoalSettings(purpose="Answer at once.", owner="maria", judged_share=1.0, tolerance=0.2)
    declared = CapabilitySettings(contract=ContractKind.LABEL, mode=Mode.ANSWER, mode_by="maria", goal=goal)
    settings = Settings(store=str(tmp_path / "s.db"), capabilities={NAME: declared})
    with Platform.open(settings, clock=clock, key=bytes(32)) as platform:
        yield platform


def work(house: Platform, *people: str, minutes: float | None = None) -> None:
    """Each of the people judges a case of their own."""
    with TestClient(build_app(house)) as client:
        for who in people:
            text = f"request {next(_COUNT)}"
            body = {"model": NAME, "messages": [{"role": "user", "content": text}], "user": text}
            run = client.post("/v1/chat/completions", json=body).headers["x-tcap-trajectory"]
            said = {"expert": who, "verdict": "corrected", "answer": "printer", "trajectory": run, "minutes": minutes}
            assert client.post("/v1/judgments", json=said).status_code == 201


def people(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{number}" for number in range(count)]


def put(house: Platform, group: str, team: str, who: list[str]) -> None:
    for one in who:
        declare(house, ContributorAsked(pseudonym=one, group=group, team=team, by="maria"))


def told(report: PeopleReport) -> list[tuple[str | None, str | None, int, float]]:
    return [(row.group, row.team, row.judgments, row.minutes) for row in report.rows]


def test_groups_and_teams_are_told_of_and_small_ones_are_not(house: Platform, clock: RecordedClock) -> None:
    put(house, "desk", "north", people("n", 6))
    put(house, "desk", "south", people("s", 2))
    put(house, "law", "", people("l", 5))
    put(house, "board", "", people("b", 1))
    books = PeopleBooks(house)
    work(house, *people("n", 6), *people("s", 2), *people("l", 5), minutes=2.0)
    assert books.report().rows == []
    clock.advance_to(START + WEEK)
    work(house, *people("n", 6), *people("n", 6), *people("l", 5), *people("b", 1), minutes=1.0)
    first = books.report()
    assert first.until == "2026-W45"
    assert told(first) == [(None, None, 13, 26.0), ("desk", None, 8, 16.0), ("law", None, 5, 10.0)]
    clock.advance_to(START + 2 * WEEK)
    work(house, "n-0")
    second = books.report()
    assert told(second) == [
        (None, None, 31, 44.0),
        ("desk", None, 20, 28.0),
        ("desk", "north", 12, 12.0),
        ("law", None, 5, 10.0),
        ("others", None, 6, 6.0),
    ]
    assert second == PeopleBooks(house).report()
    assert second.minutes_assumed
    assert {row.people_at_least for row in second.rows} == {5, 10}


def test_who_moves_takes_nothing_along(house: Platform, clock: RecordedClock) -> None:
    put(house, "desk", "", people("n", 5))
    work(house, *people("n", 5))
    clock.advance_to(START + timedelta(days=1))
    put(house, "law", "", people("n", 5))
    clock.advance_to(START + WEEK)
    work(house, "n-0")
    assert [(row.group, row.judgments) for row in PeopleBooks(house).report().rows] == [(None, 5), ("desk", 5)]


def test_groups_that_had_no_notice_are_named_and_small_ones_not_counted(house: Platform) -> None:
    put(house, "desk", "", people("n", 5))
    put(house, "law", "", people("l", 4))
    work(house, *people("n", 5), "n-0", *people("l", 4))
    assert notice_gaps(house, NAME) == (NoticeGap(NAME, "desk", 5), NoticeGap(NAME, "law", None))
    work(house, *people("n", 5))
    assert notice_gaps(house, NAME) == (NoticeGap(NAME, "desk", 10), NoticeGap(NAME, "law", None))
    give_notice(house, NoticeAsked(group="desk", text="t", terms="t", by="maria"))
    assert [one.group for one in notice_gaps(house)] == ["law"]
    page = TestClient(build_app(house, Site(house))).get("/notices").text
    assert f"judgments of <strong>{NAME}</strong> by the group <strong>law</strong>" in " ".join(page.split())
    report = PeopleBooks(house).report()
    assert report.rows == []


def test_the_page_of_people_tells_of_no_person(house: Platform, clock: RecordedClock) -> None:
    put(house, "desk", "north", people("n", 6))
    work(house, *people("n", 6))
    clock.advance_to(START + WEEK)
    work(house, "n-0")
    page = TestClient(build_app(house, Site(house))).get("/people").text
    assert "desk" in page and "none: teaches nothing" in page
    assert not re.search(r"\bn-\d", page)


def named(house: Platform) -> None:
    """People with accounts, one of whom has a name."""
    put(house, "desk", "north", ["expert-7"])
    declare(house, ContributorAsked(pseudonym="expert-7", name=CALLED, by="maria"))
    for role in Role:
        who = "expert-7" if role is Role.EXPERT else f"the {role.value}"
        asked = AccountAsked(login=role.value, password=PASSWORD, roles=frozenset({role}), by="maria", contributor=who)
        make_account(house, asked)


def pages(house: Platform, client: TestClient, run: str) -> Iterator[tuple[str, str]]:
    """Every page that answers, by its path."""
    known = {"capability": NAME, "trajectory": run}
    for route in build_app(house, Site(house)).routes:
        assert isinstance(route, Route)
        if "GET" not in (route.methods or ()) or route.path == "/static/{name}":
            continue
        path = re.sub(r"{(\w+)(:\w+)?}", lambda part: known.get(part[1], "none"), route.path)
        yield route.path, client.get(path).text


@pytest.mark.parametrize("role", [*Role, None], ids=str)
def test_a_name_shows_on_the_own_page_and_on_the_admins_alone(house: Platform, role: Role | None) -> None:
    with TestClient(build_app(house)) as client:
        body = {"model": NAME, "messages": [{"role": "user", "content": "the printer eats paper"}]}
        run = client.post("/v1/chat/completions", json=body).headers["x-tcap-trajectory"]
        said = {"expert": "expert-7", "verdict": "corrected", "answer": "printer", "trajectory": run}
        client.post("/v1/judgments", json=said)
    named(house)
    client = TestClient(build_app(house, Site(house)))
    if role is not None:
        token = re.search(r'name="token" value="(\w+)"', client.get("/login").text)
        assert token is not None
        client.post("/login", data={"token": token[1], "login": role.value, "password": PASSWORD})
    showing = {path for path, page in pages(house, client, run) if CALLED in page}
    assert showing == {Role.EXPERT: {"/me"}, Role.ADMIN: {"/contributors"}}.get(role or Role.COUNCIL, set())


def test_an_open_house_shows_no_name_to_whoever_says_who_they_are(house: Platform) -> None:
    put(house, "desk", "north", ["expert-7"])
    declare(house, ContributorAsked(pseudonym="expert-7", name=CALLED, by="maria"))
    client = TestClient(build_app(house, Site(house)), cookies={"tcap_expert": "expert-7"})
    assert [path for path, page in pages(house, client, "none") if CALLED in page] == []
    assert "expert-7" in client.get("/me").text


def test_commands_and_exports_hold_pseudonyms(house: Platform) -> None:
    work(house, "expert-7")
    named(house)
    store = ["--store", str(house.settings.store)]

    def tcap(*arguments: str) -> str:
        done = CliRunner().invoke(app, [*arguments, *store])
        assert done.exit_code == 0, done.output
        assert "--names" in arguments or CALLED not in done.output
        return done.stdout

    for command in (
        ("contributor", "list", "--json", "-"),
        ("contributor", "report", "--json", "-"),
        ("account", "list", "--json", "-"),
        ("notice", "list", "--json", "-"),
        ("report", "--json", "-"),
        ("ledger", "--json", "-"),
        ("ledger", "--export", "beancount"),
        ("ledger", "--export", "hledger"),
    ):
        assert tcap(*command)
    known: list[dict[str, Any]] = json.loads(tcap("contributor", "list", "--names", "--json", "-"))
    assert [one.get("name") for one in known if one["pseudonym"] == "expert-7"] == [CALLED]
    tcap("contributor", "add", "expert-7", "--name", "-", "--by", "maria")
    assert CALLED not in tcap("contributor", "list", "--names", "--json", "-")
    kept: list[dict[str, Any]] = json.loads(tcap("contributor", "list", "--json", "-"))
    assert [(one["group"], one["team"]) for one in kept if one["pseudonym"] == "expert-7"] == [("desk", "north")]
