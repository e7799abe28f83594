"""The pages that say how things stand, held against the facts; every link on them leads somewhere."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from tokencapital.app.house import turn_once
from tokencapital.app.platform import Platform
from tokencapital.app.reports import report_on_capabilities
from tokencapital.app.reviewing import say, waiting_cases
from tokencapital.app.server import build_app
from tokencapital.app.settings import CapabilitySettings, GoalSettings, Settings
from tokencapital.core.answer import Stage
from tokencapital.core.case import ContractKind, Mode
from tokencapital.core.judgment import DrawKind, Verdict
from tokencapital.core.people import Role
from tokencapital.store.cases import read_case, recent_trajectories, trajectories_of_case
from tokencapital.store.judgments import find_judgments, memory_events
from tokencapital.store.queue import count_open
from tokencapital.store.releases import live_release
from tokencapital.testing.pages import addresses
from tokencapital.testing.people import log_in, tell_everyone
from tokencapital.web.pages import dollars_each
from tokencapital.web.site import Site

NAME = "triage-message"
WORDS = {"printer": "the printer eats paper", "phone": "my phone does not ring", "door": "the door is locked"}
HTML = {"accept": "text/html"}


def settings(store: Path) -> Settings:
    goal = GoalSettings(purpose="Answer at once.", owner="maria", judged_share=1.0, tolerance=0.2)
    declared = CapabilitySettings(contract=ContractKind.LABEL, mode=Mode.ANSWER, mode_by="maria", goal=goal)
    return Settings(store=str(store), capabilities={NAME: declared})


def send(house: Platform, first: int, last: int) -> None:
    with TestClient(build_app(house)) as client:
        for number in range(first, last):
            text = f"{list(WORDS.values())[number % 3]} on floor {number}"
            body = {"model": NAME, "messages": [{"role": "user", "content": text}], "user": f"customer {number}"}
            assert client.post("/v1/chat/completions", json=body).status_code in (200, 202)


def judge_all(house: Platform, wrong_every: int = 0) -> None:
    """Every case that waits is judged; each `wrong_every`-th time the machine is told that it was wrong."""
    for number, one in enumerate(waiting_cases(house.workplace(NAME), 1_000), start=1):
        right = next(label for label, words in WORDS.items() if words in one.messages[-1].content)
        said = "something else" if wrong_every and number % wrong_every == 0 else right
        say(house, one, "ines", Verdict.CORRECTED, said)


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A house that learned, went live, and answered on: some of its answers were judged, others wait."""
    store = tmp_path_factory.mktemp("worked") / "store.db"
    with Platform.open(settings(store), key=bytes(32)) as house:
        tell_everyone(house.store)
        send(house, 0, 300)
        judge_all(house)
        asyncio.run(turn_once(house.workplace(NAME)))
        send(house, 300, 420)
        judge_all(house, wrong_every=10)
        send(house, 0, 30)
    return store


@pytest.fixture
def house(worked: Path, tmp_path: Path) -> Iterator[Platform]:
    with Platform.open(settings(Path(shutil.copy(worked, tmp_path / "store.db")))) as house:
        yield house


@pytest.fixture
def browser(house: Platform) -> Iterator[TestClient]:
    with TestClient(build_app(house, Site(house)), cookies={"tcap_expert": "ines"}) as client:
        yield client


def words_of(page: str) -> str:
    """What a page says, without markup."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


def test_an_empty_house_says_what_to_do_first(tmp_path: Path) -> None:
    with (
        Platform.open(Settings(store=str(tmp_path / "s.db"))) as house,
        TestClient(build_app(house, Site(house))) as browser,
    ):
        page = browser.get("/").text
    for command in ("tcap demo", "tcap notice record", "tcap serve", "tokencapital.toml"):
        assert command in page


def test_the_first_page_tells_the_loop_as_it_stands(browser: TestClient, house: Platform) -> None:
    (report,) = report_on_capabilities(house)
    said = words_of(browser.get("/").text)
    assert f"{count_open(house.store, NAME):,} cases wait for a judgment" in said
    assert f"{report.cases:,} cases were served" in browser.get("/").text
    assert report.marginal is not None
    assert dollars_each(report.marginal.usd_per_accepted) in said
    assert "Answer at once." in said
    assert "maria" in said


def test_what_teaches_nothing_is_told(tmp_path: Path) -> None:
    with Platform.open(settings(tmp_path / "s.db")) as house, TestClient(build_app(house, Site(house))) as browser:
        assert "had no notice" not in browser.get("/").text
        send(house, 0, 6)
        judge_all(house)
        for path in ("/", f"/capability/{NAME}"):
            assert "had no notice" in words_of(browser.get(path).text)
        run = recent_trajectories(house.store, NAME, 1)[0].id
        assert "It teaches nothing" in words_of(browser.get(f"/run/{run}").text)
        tell_everyone(house.store)
        assert "had no notice" not in browser.get("/").text


def test_the_realized_error_is_that_of_uniform_draws_since_the_release(house: Platform, browser: TestClient) -> None:
    """Counted here from the facts one by one, and by the page from the memory."""
    live = live_release(house.store, NAME)
    assert live is not None
    alone, wrong = 0, 0
    for event in memory_events(house.store, NAME, 0):
        if event.judged is None or event.judged.judgment.at < live.at:
            continue
        said = find_judgments(house.store, [event.judgment_id])[event.judgment_id]
        done = [one for one in trajectories_of_case(house.store, said.case) if one.at <= said.at][-1]
        if said.drawn is DrawKind.UNIFORM and done.answer.stage is Stage.SPECIALIST and done.release == live.id:
            alone, wrong = alone + 1, wrong + (said.answer != done.answer.value)
    assert alone > 20
    assert 0 < wrong < alone
    (report,) = report_on_capabilities(house, NAME)
    found = report.errors[Stage.SPECIALIST]
    assert (found.n, found.count) == (alone, wrong)
    assert found.interval is not None
    assert found.interval.low < found.share < found.interval.high
    assert Stage.GENERALIST not in report.errors
    rows = words_of(browser.get(f"/capability/{NAME}").text)
    assert f"specialist {alone} {wrong} {100 * found.share:.1f}%" in rows
    assert "generalist 0 unknown unknown unknown 20.0%" in rows


def test_a_live_house_has_a_curve(house: Platform, browser: TestClient) -> None:
    asyncio.run(turn_once(house.workplace(NAME)))
    (report,) = report_on_capabilities(house, NAME)
    assert report.agreement is not None
    assert report.agreement[0] == 0  # nothing was answered before anything was learned
    assert 0.8 < (report.agreement[1] or 0) < 1
    page = browser.get("/").text
    assert "right on the newest cases: 0% at turn 1" in page
    points = browser.get(f"/capability/{NAME}/chart/curve.json").json()["data"]["values"]
    assert [one["right"] for one in points] == list(report.agreement)


def test_lineage_goes_both_ways(house: Platform, browser: TestClient) -> None:
    recalled = next(one for one in recent_trajectories(house.store, NAME, 30) if one.answer.stage is Stage.RECALL)
    basis = recalled.answer.because[0]
    first = trajectories_of_case(house.store, find_judgments(house.store, [basis])[basis].case)[0]
    page = browser.get(f"/run/{recalled.id}").text
    assert "a colleague's case" in words_of(page)
    assert f'href="/run/{first.id}"' in page
    onward = browser.get(f"/run/{first.id}").text
    said = words_of(onward)
    assert "1 answer rests on it" in said
    assert f'href="/run/{recalled.id}"' in onward
    live = live_release(house.store, NAME)
    assert live is not None
    assert f"1 release learned from it, the newest {live.id}" in said


def token(page: str) -> str:
    found = re.search(r'name="token" value="([^"]*)"', page)
    assert found
    return found[1]


def test_a_judgment_is_taken_back_from_its_run(house: Platform, browser: TestClient) -> None:
    recalled = next(one for one in recent_trajectories(house.store, NAME, 30) if one.answer.stage is Stage.RECALL)
    basis = recalled.answer.because[0]
    first = trajectories_of_case(house.store, find_judgments(house.store, [basis])[basis].case)[0]
    form = {"token": token(browser.get(f"/run/{first.id}").text), "judgment": basis, "reason": "in haste"}
    assert browser.post(f"/run/{first.id}/retract", data=form | {"token": "0" * 64}).status_code in (400, 403)
    answered = browser.post(f"/run/{first.id}/retract", data=form)
    assert answered.status_code == 200
    assert "Taken back." in answered.text
    assert basis not in words_of(answered.text)
    text = read_case(house.store, recalled.case).messages[0].content  # type: ignore[union-attr]
    body = {"model": NAME, "messages": [{"role": "user", "content": text}], "user": "z"}
    assert browser.post("/v1/chat/completions", json=body).headers["x-tcap-stage"] != "recall"


def test_only_who_gave_a_judgment_or_an_admin_takes_it_back(house: Platform) -> None:
    run = recent_trajectories(house.store, NAME, 100)[-1]
    with TestClient(build_app(house, Site(house))) as other:
        other.cookies["tcap_session"] = log_in(house, "otto", frozenset({Role.EXPERT}))
        page = other.get(f"/run/{run.id}").text
        assert "Take it back" not in page
        basis = re.search(r"jdg_\w+", page)
        assert basis
        form = {"token": token(page), "judgment": basis[0]}
        assert other.post(f"/run/{run.id}/retract", data=form, headers=HTML).status_code == 403
        assert other.post(f"/run/{run.id}/erase", data=form | {"sure": "yes"}, headers=HTML).status_code == 403
    assert basis[0] in find_judgments(house.store, [basis[0]])


def test_words_are_erased_from_their_run(house: Platform, browser: TestClient) -> None:
    run = recent_trajectories(house.store, NAME, 1)[0]
    page = browser.get(f"/run/{run.id}").text
    form = {"token": token(page), "scope": "group", "ground": "mistake"}
    assert browser.post(f"/run/{run.id}/erase", data=form).status_code == 400
    answered = browser.post(f"/run/{run.id}/erase", data=form | {"sure": "yes"})
    assert answered.status_code == 200
    assert "The words of this case were erased." in answered.text
    assert "on floor 29" not in answered.text


def test_every_link_leads_somewhere(browser: TestClient, house: Platform) -> None:
    seen: dict[str, int] = {}
    waiting = addresses(Site(house).routes(), house.store, pages_only=False)
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        answered = browser.get(path, headers=HTML)
        seen[path] = answered.status_code
        links = (unescape(link) for link in re.findall(r'href="(/[^"]*)"', answered.text))
        waiting += [urlsplit(link).path for link in links if not link.startswith("/run/")][:200]
    own = {path: status for path, status in seen.items() if status != 200 and path != "/me/reliability"}
    assert own == {}
    assert "server-timing" in browser.get("/").headers
