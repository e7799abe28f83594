"""The pages, as an expert's browser sees them: a judgment a form, heeded by the next request."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tokencapital.app.house import turn_once
from tokencapital.app.platform import Platform
from tokencapital.app.reports import report_on_capabilities
from tokencapital.app.server import build_app
from tokencapital.app.settings import CapabilitySettings, GoalSettings, Settings
from tokencapital.core.case import ContractKind, Mode
from tokencapital.store.cases import recent_trajectories
from tokencapital.store.draws import open_draws
from tokencapital.testing.people import tell_everyone
from tokencapital.web.pages import dollars_each
from tokencapital.web.site import Site

NAME, FORM, REPLY = "triage-message", "open-ticket", "reply-to-customer"
HTTP = "http://testserver"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Platform]:
    goal = GoalSettings(purpose="Answer at once.", owner="maria", judged_share=1.0, tolerance=0.2)
    declared = {
        name: CapabilitySettings(contract=kind, mode=Mode.ANSWER, mode_by="maria", goal=goal)
        for name, kind in ((NAME, ContractKind.LABEL), (FORM, ContractKind.FIELDS), (REPLY, ContractKind.TEXT))
    }
    with Platform.open(Settings(store=str(tmp_path / "s.db"), capabilities=declared), key=bytes(32)) as platform:
        tell_everyone(platform.store)
        yield platform


@pytest.fixture
def browser(house: Platform) -> Iterator[TestClient]:
    with TestClient(build_app(house, Site(house)), base_url=HTTP) as client:
        yield client


def ask(browser: TestClient, text: str, capability: str = NAME, user: str = "") -> dict[str, str]:
    body = {"model": capability, "messages": [{"role": "user", "content": text}], "user": user or text}
    answered = browser.post("/v1/chat/completions", json=body)
    assert answered.status_code in (200, 202), answered.text
    return dict(answered.headers)


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, page
    return found[1]


def introduce(browser: TestClient, expert: str = "ines", capability: str = NAME) -> str:
    page = browser.get(f"/review/{capability}").text
    form = {"token": hidden(page, "token"), "onward": f"/review/{capability}", "expert": expert}
    answered = browser.post("/me", data=form)
    assert answered.status_code == 200
    return answered.text


def judge(browser: TestClient, page: str, capability: str = NAME, **form: str) -> str:
    sent = {"token": hidden(page, "token"), "draw": hidden(page, "draw"), "new_label": form.get("answer", ""), **form}
    answered = browser.post(f"/review/{capability}", data=sent)
    assert answered.status_code == 200, answered.text
    return answered.text


def test_a_correction_answers_the_next_identical_request(browser: TestClient) -> None:
    ask(browser, "the printer eats paper")
    page = introduce(browser)
    assert "the printer eats paper" in page
    assert "The machine has no answer." in page
    page = judge(browser, page, verdict="corrected", answer="printer", reason="paper jam")
    assert "Nothing waits for you here." in page
    assert "You judged 1 case today." in page
    again = ask(browser, "the printer eats paper", user="somebody else")
    assert again["x-tcap-stage"] == "recall"


def test_undo_makes_the_machine_forget_and_asks_again(browser: TestClient, house: Platform) -> None:
    ask(browser, "the printer eats paper")
    page = judge(browser, introduce(browser), verdict="corrected", answer="door")
    browser.post(f"/review/{NAME}/undo", data={"token": hidden(page, "token")})
    assert ask(browser, "the printer eats paper", user="b")["x-tcap-stage"] == "person"
    assert "the printer eats paper" in browser.get(f"/review/{NAME}").text
    assert open_draws(house.store, NAME)


def test_the_page_says_why(browser: TestClient) -> None:
    ask(browser, "the printer eats paper")
    judge(browser, introduce(browser), verdict="corrected", answer="printer")
    ask(browser, "the printer eats all paper")
    page = browser.get(f"/review/{NAME}").text
    assert "a case like it" in page
    assert "% alike" in page
    assert 'href="/run/' in page
    assert "the printer eats paper" in page


@pytest.mark.parametrize("verdict", ["cannot_tell", "not_my_field"])
def test_a_verdict_without_an_answer_teaches_nothing(browser: TestClient, verdict: str) -> None:
    ask(browser, "the printer eats paper")
    judge(browser, introduce(browser), verdict=verdict, answer="typed and left")
    assert ask(browser, "the printer eats paper", user="b")["x-tcap-stage"] == "person"


def test_fields_and_text_are_judged_too(browser: TestClient, house: Platform) -> None:
    first = ask(browser, "ticket for Ada, floor 3", FORM)
    page = introduce(browser, capability=FORM)
    judge(browser, page, FORM, verdict="corrected", new_field="name", new_value="Ada")
    second = ask(browser, "ticket for Bob, floor 3", FORM)
    page = browser.get(f"/review/{FORM}").text
    judge(browser, page, FORM, **{"verdict": "corrected", "field.name": "Bob"})
    third = ask(browser, "where is my order?", REPLY)
    judge(browser, browser.get(f"/review/{REPLY}").text, REPLY, verdict="corrected", answer="It left today.\nBye")
    decided = [browser.get(f"/v1/answers/{one['x-tcap-trajectory']}").json() for one in (first, second, third)]
    assert [one["content"] for one in decided] == ['{"name":"Ada"}', '{"name":"Bob"}', "It left today.\nBye"]


def test_the_first_page_tells_what_was_booked(browser: TestClient, house: Platform) -> None:
    ask(browser, "the printer eats paper")
    judge(browser, introduce(browser), verdict="corrected", answer="printer")
    ask(browser, "the printer eats paper", user="b")
    asyncio.run(turn_once(house.workplace(NAME)))
    (report,) = report_on_capabilities(house, NAME)
    assert report.marginal is not None
    home = browser.get("/")
    assert home.status_code == 200
    told = report.marginal.usd_per_accepted
    assert dollars_each(told) in home.text


def test_an_empty_correction_is_refused_and_nothing_typed_is_lost(browser: TestClient) -> None:
    ask(browser, "the printer eats paper")
    page = introduce(browser)
    sent = {"token": hidden(page, "token"), "draw": hidden(page, "draw"), "verdict": "corrected", "answer": " "}
    refused = browser.post(f"/review/{NAME}", data=sent)
    assert refused.status_code == 422
    assert "the answer is not a text" in refused.text
    assert "the printer eats paper" in refused.text


def test_two_people_never_have_one_case_in_hand(house: Platform) -> None:
    app = build_app(house, Site(house))
    with TestClient(app, base_url=HTTP) as first, TestClient(app, base_url=HTTP) as second:
        for text in ("the printer eats paper", "my phone is silent"):
            ask(first, text)
        pages = [introduce(first, "ines"), introduce(second, "otto")]
        assert hidden(pages[0], "draw") != hidden(pages[1], "draw")
        assert hidden(first.get(f"/review/{NAME}").text, "draw") == hidden(pages[0], "draw")
        assert "Nothing waits" in judge(first, pages[0], verdict="corrected", answer="printer")
        late = {"token": hidden(pages[0], "token"), "draw": hidden(pages[0], "draw"), "verdict": "corrected"}
        assert "Somebody else was faster" in first.post(f"/review/{NAME}", data=late | {"answer": "door"}).text


def test_a_form_of_another_site_is_refused(browser: TestClient) -> None:
    ask(browser, "the printer eats paper")
    page = introduce(browser)
    for token in ("", "0" * 64):
        sent = {"token": token, "draw": hidden(page, "draw"), "verdict": "corrected", "answer": "door"}
        assert browser.post(f"/review/{NAME}", data=sent).status_code == 400
    with_other_session = TestClient(browser.app, base_url=HTTP)
    sent = {"token": hidden(page, "token"), "draw": hidden(page, "draw"), "verdict": "corrected", "answer": "door"}
    assert with_other_session.post(f"/review/{NAME}", data=sent).status_code == 400
    assert ask(browser, "the printer eats paper", user="b")["x-tcap-stage"] == "person"


def test_what_people_and_models_write_is_never_markup(browser: TestClient, house: Platform) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    run = ask(browser, evil)["x-tcap-trajectory"]
    page = introduce(browser, "<b>ines</b>")
    judge(browser, page, verdict="corrected", answer=evil, reason=evil)
    ask(browser, evil + "!")
    pages = ["/", f"/capability/{NAME}", f"/review/{NAME}", f"/run/{run}"]
    for path in pages:
        shown = browser.get(path)
        assert shown.status_code == 200
        assert "<script>alert" not in shown.text
        assert "<img" not in shown.text
        assert "<b>ines" not in shown.text
        assert "script-src 'self'" in shown.headers["content-security-policy"]


def test_an_onward_path_never_leaves_the_site(browser: TestClient) -> None:
    page = browser.get(f"/review/{NAME}").text
    for onward in ("https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example"):
        form = {"token": hidden(page, "token"), "onward": onward, "expert": "ines"}
        answered = browser.post("/me", data=form, follow_redirects=False)
        assert answered.headers["location"] == "/"


def test_every_page_answers_and_loads_from_here_alone(browser: TestClient, house: Platform) -> None:
    ask(browser, "the printer eats paper")
    (done,) = recent_trajectories(house.store, NAME, 1)
    for path in ("/", f"/capability/{NAME}", f"/run/{done.id}", f"/review/{NAME}"):
        page = browser.get(path)
        assert page.status_code == 200
        links = re.findall(r'(?:src|href|action)="([^"]*)"', page.text)
        assert all(link.startswith(("/", "#", "data:,")) for link in links)
        for link in links:
            if link.startswith("/static/") and link != "/static/vega.js":
                assert browser.get(link).status_code == 200
    assert browser.get(f"/capability/{NAME}/chart/curve.json").json()["data"]["values"] == []
    missing = browser.get("/run/none", headers={"accept": "text/html"})
    assert missing.status_code == 400
    assert "no run none is stored" in missing.text
    assert browser.get("/v1/nothing", headers={"accept": "text/html"}).json()["error"]["type"]
    assert browser.get("/static/../pages.py").status_code == 404
