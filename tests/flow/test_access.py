"""Who may see and do what: every mounted route by every role, and the doors that nobody gets in by."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from tokencapital.app.access import Access
from tokencapital.app.accounts import AccountAsked, change_password, disable_account, give_roles, make_account
from tokencapital.app.contributors import ContributorAsked, declare
from tokencapital.app.guard import FORM_HEADER, MACHINES, PUBLIC, KeptRoute, OwnNames, check_address
from tokencapital.app.platform import Platform
from tokencapital.app.server import build_app
from tokencapital.app.settings import AccessSettings, CapabilitySettings, GoalSettings, Settings
from tokencapital.core.case import ContractKind, Mode
from tokencapital.core.clock import RecordedClock
from tokencapital.core.errors import AccessRefused, InputError, SettingsError
from tokencapital.core.people import Role
from tokencapital.store.schema import web_session
from tokencapital.testing.people import tell_everyone
from tokencapital.web.site import Site

NAME = "triage-message"
PASSWORD = "a sentence that nobody guesses"
START = datetime(2026, 11, 24, 9, tzinfo=UTC)
HTTP, HTTPS = "http://testserver", "https://testserver"
KEY = "an application's key"
CHAT = {"model": NAME, "messages": [{"role": "user", "content": "the printer eats paper"}]}


@pytest.fixture
def clock() -> RecordedClock:
    return RecordedClock(START)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCAP_TEST_KEY", KEY)


def settings(store: Path) -> Settings:
    goal = GoalSettings(purpose="Answer at once.", owner="maria", judged_share=1.0, tolerance=0.2)
    declared = CapabilitySettings(contract=ContractKind.LABEL, mode=Mode.ANSWER, mode_by="maria", goal=goal)
    access = AccessSettings(key_env="TCAP_TEST_KEY")
    return Settings(store=str(store), capabilities={NAME: declared}, access=access)


@pytest.fixture
def house(tmp_path: Path, clock: RecordedClock) -> Iterator[Platform]:
    """A house that nobody has an account of yet."""
    with Platform.open(settings(tmp_path / "s.db"), clock=clock, key=bytes(32)) as platform:
        tell_everyone(platform.store)
        yield platform


@pytest.fixture(scope="session")
def closed_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with an account for each role, made once: passwords cost time. Each login is the role's name."""
    path = tmp_path_factory.mktemp("closed") / "s.db"
    with Platform.open(settings(path), clock=RecordedClock(START), key=bytes(32)) as platform:
        tell_everyone(platform.store)
        for role in Role:
            make_account(platform, asked(role.value, role))
    return path


@pytest.fixture
def closed(closed_store: Path, tmp_path: Path, clock: RecordedClock) -> Iterator[Platform]:
    """A house with an account for each role, that may be changed."""
    path = tmp_path / "closed.db"
    for suffix in ("", "-wal"):
        if Path(f"{closed_store}{suffix}").exists():
            shutil.copy(f"{closed_store}{suffix}", f"{path}{suffix}")
    with Platform.open(settings(path), clock=clock, key=bytes(32)) as platform:
        yield platform


def asked(login: str, *roles: Role) -> AccountAsked:
    who = f"the {login}"
    return AccountAsked(login=login, password=PASSWORD, roles=frozenset(roles), by="maria", contributor=who)


def browser(house: Platform, base_url: str = HTTP) -> TestClient:
    return TestClient(build_app(house, Site(house)), base_url=base_url, follow_redirects=False)


def hidden(page: str, name: str = "token") -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, page
    return found[1]


def log_in(client: TestClient, login: str, password: str = PASSWORD, onward: str = "/") -> Any:
    token = hidden(client.get("/login").text)
    return client.post("/login", data={"token": token, "login": login, "password": password, "onward": onward})


def logged_in(house: Platform, login: str) -> TestClient:
    client = browser(house)
    assert log_in(client, login).status_code == 303
    return client


def token_of(client: TestClient) -> str:
    """The token of this session's forms, as any page carries it to log out by."""
    return hidden(client.get("/notices").text)


def mounted(house: Platform) -> list[Route]:
    routes = build_app(house, Site(house)).routes
    assert not [one for one in routes if isinstance(one, Mount)]
    return [one for one in routes if isinstance(one, Route)]


def asked_for(route: Route) -> list[tuple[str, str]]:
    """The requests that a route answers, with names that nothing has."""
    path = re.sub(r"{(\w+)(:\w+)?}", lambda part: NAME if part[1] == "capability" else "none", route.path)
    return [(method, path) for method in sorted(route.methods or ()) if method != "HEAD"]


def test_every_route_names_who_may_reach_it(house: Platform) -> None:
    for route in mounted(house):
        if route.path in PUBLIC:
            assert not isinstance(route, KeptRoute)
        else:
            assert isinstance(route, KeptRoute), f"{route.path} is reached by anybody: make it with Pages.route"
            assert route.roles <= frozenset(Role)
            assert route.roles, f"nobody reaches {route.path}"
            assert not route.path.startswith("/v1/") or route.path in MACHINES, f"say who may use {route.path}"


@pytest.mark.parametrize("role", [*Role, None], ids=str)
def test_every_route_is_closed_to_all_roles_but_its_own(closed: Platform, role: Role | None) -> None:
    """A refusal is 403, or without a login the way to it; whoever may pass is answered with anything else."""
    client = browser(closed) if role is None else logged_in(closed, role.value)
    token = "" if role is None else token_of(client)
    for route in mounted(closed):
        for method, path in asked_for(route):
            if route.path in PUBLIC or route.path == "/logout":
                continue
            assert isinstance(route, KeptRoute)
            answer = client.request(method, path, headers={FORM_HEADER: token}, content=b"")
            machine = route.path in MACHINES
            if role is None and machine:
                assert answer.status_code == 401, (method, path)
            elif role is None:
                assert answer.status_code == 303, (method, path)
                assert urlsplit(answer.headers["location"]).path == "/login"
            elif role in route.roles:
                assert answer.status_code not in {401, 403, 500}, (method, path, answer.text)
                assert "/login" not in answer.headers.get("location", "")
            else:
                assert answer.status_code == 403, (method, path)


def test_what_nobody_needs_an_account_for_tells_nothing(closed: Platform) -> None:
    client = browser(closed)
    assert client.get("/healthz").status_code == 200
    assert client.get("/static/style.css").status_code == 200
    page = client.get("/login").text
    assert NAME not in page
    assert "Runs open" not in page
    missing = client.get("/nothing/here", headers={"accept": "text/html"}).text
    assert NAME not in missing


def test_a_house_without_accounts_runs_open_and_says_so(house: Platform) -> None:
    client = browser(house)
    for path in ("/", "/people", "/notices", "/contributors", "/me", f"/capability/{NAME}"):
        page = client.get(path)
        assert page.status_code == 200
        assert "Runs open" in page.text
    assert client.get("/login").headers["location"] == "/"
    assert client.post("/v1/chat/completions", json=CHAT).status_code == 202


def test_the_first_account_closes_an_open_house_at_once(house: Platform) -> None:
    client = browser(house)
    assert client.get("/").status_code == 200
    make_account(house, asked("expert", Role.EXPERT))
    assert client.get("/").status_code == 303
    assert client.post("/v1/chat/completions", json=CHAT).status_code == 401
    disable_account(house, "expert", "maria")
    assert browser(house).get("/").status_code == 303


def test_an_open_house_is_not_served_on_a_network(house: Platform) -> None:
    check_address(house.access, "127.0.0.1")
    check_address(house.access, "::1")
    check_address(house.access, "localhost")
    for host in ("0.0.0.0", "192.168.1.4", "::", "example.com"):
        with pytest.raises(SettingsError, match="tcap account add"):
            check_address(house.access, host)
    make_account(house, asked("expert", Role.EXPERT))
    check_address(house.access, "0.0.0.0")


def test_an_open_house_answers_to_loopback_names_alone(house: Platform) -> None:
    app = OwnNames(build_app(house, Site(house)), house.access)
    assert TestClient(app, base_url="http://127.0.0.1:8000").get("/").status_code == 200
    assert TestClient(app, base_url="http://localhost").get("/").status_code == 200
    assert TestClient(app, base_url="http://rebound.example:8000").get("/").status_code == 421
    make_account(house, asked("expert", Role.EXPERT))
    assert TestClient(app, base_url="http://house.example").get("/login").status_code == 200


# --- forms ---


def form_of(client: TestClient, **fields: str) -> dict[str, str]:
    return {"token": token_of(client), "group": "desk", "kind": "notice", "text": "t", "terms": "t", **fields}


@pytest.mark.parametrize("token", ["", "0" * 64, "ü" * 64])
def test_a_form_without_the_sessions_token_is_refused(closed: Platform, token: str) -> None:
    client = logged_in(closed, "council")
    assert client.post("/notices", data=form_of(client, token=token)).status_code == 400
    without = {name: value for name, value in form_of(client).items() if name != "token"}
    assert client.post("/notices", data=without).status_code == 400
    assert client.post("/notices", data=form_of(client)).status_code == 303


def test_a_form_of_another_session_is_refused(closed: Platform) -> None:
    council, admin = logged_in(closed, "council"), logged_in(closed, "admin")
    assert council.post("/notices", data=form_of(council, token=token_of(admin))).status_code == 400
    again = logged_in(closed, "council")
    assert again.post("/notices", data=form_of(again, token=token_of(council))).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
        {"origin": "http://testserver.elsewhere.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_form_that_comes_from_elsewhere_is_refused(closed: Platform, headers: dict[str, str]) -> None:
    client = logged_in(closed, "council")
    assert client.post("/notices", data=form_of(client), headers=headers).status_code == 400
    own = {"origin": HTTP, "sec-fetch-site": "same-origin"}
    assert client.post("/notices", data=form_of(client), headers=own).status_code == 303


def test_a_page_elsewhere_cannot_post_to_an_open_house(house: Platform) -> None:
    client = browser(house)
    evil = {"origin": "https://elsewhere.example", "content-type": "text/plain"}
    assert client.post("/v1/chat/completions", json=CHAT, headers=evil).status_code == 403
    assert client.post("/v1/outcomes", json=[], headers={"sec-fetch-site": "cross-site"}).status_code == 403


# --- sessions ---


def test_a_session_that_was_planted_is_never_the_one_logged_in(closed: Platform) -> None:
    victim, attacker = browser(closed), browser(closed)
    attacker.get("/login")
    planted = attacker.cookies["tcap_session"]
    victim.cookies.set("tcap_session", planted)
    assert log_in(victim, "admin").status_code == 303
    assert victim.get("/contributors").status_code == 200
    assert attacker.get("/contributors").status_code == 303
    assert victim.cookies.get("tcap_session", domain="testserver.local") != planted


def test_logging_in_anew_ends_the_session_before(closed: Platform) -> None:
    client = logged_in(closed, "expert")
    before = client.cookies["tcap_session"]
    page = client.get("/me").text
    data = {"token": hidden(page), "login": "admin", "password": PASSWORD, "onward": "/"}
    assert client.post("/login", data=data).status_code == 303
    old = browser(closed)
    old.cookies.set("tcap_session", before)
    assert old.get("/me").status_code == 303


def test_only_a_digest_of_a_session_is_kept(closed: Platform) -> None:
    client = logged_in(closed, "expert")
    with closed.store.read() as connection:
        (row,) = connection.execute(web_session.select())
    assert client.cookies["tcap_session"] not in str(row)
    raw = Path(closed.settings.store).read_bytes() + Path(f"{closed.settings.store}-wal").read_bytes()
    assert client.cookies["tcap_session"].encode() not in raw
    assert PASSWORD.encode() not in raw


def test_a_session_ends_by_itself(closed: Platform, clock: RecordedClock) -> None:
    client = logged_in(closed, "expert")
    for _ in range(11):
        clock.advance_to(clock.now() + timedelta(hours=1, minutes=1))
        assert client.get("/me").status_code == 200
    clock.advance_to(START + timedelta(hours=12))
    assert client.get("/me").status_code == 303


def test_a_session_that_nobody_uses_ends_sooner(closed: Platform, clock: RecordedClock) -> None:
    client = logged_in(closed, "expert")
    clock.advance_to(START + timedelta(hours=2))
    assert client.get("/me").status_code == 303
    logged_in(closed, "admin")
    with closed.store.read() as connection:
        assert len(list(connection.execute(web_session.select()))) == 1


def test_logging_out_ends_the_session_for_good(closed: Platform) -> None:
    client = logged_in(closed, "expert")
    kept = client.cookies["tcap_session"]
    assert client.post("/logout", data={"token": "0"}).status_code == 400
    assert client.get("/me").status_code == 200
    assert client.post("/logout", data={"token": token_of(client)}).status_code == 303
    old = browser(closed)
    old.cookies.set("tcap_session", kept)
    assert old.get("/me").status_code == 303


def test_disabling_an_account_ends_its_sessions_at_once(closed: Platform) -> None:
    client, other = logged_in(closed, "expert"), logged_in(closed, "admin")
    disable_account(closed, "expert", "maria")
    assert client.get("/me").status_code == 303
    assert log_in(client, "expert").status_code == 401
    assert other.get("/me").status_code == 200


def test_a_new_password_and_new_roles_end_sessions_too(closed: Platform) -> None:
    client = logged_in(closed, "expert")
    change_password(closed, "expert", "another sentence altogether", "maria")
    assert client.get("/me").status_code == 303
    assert log_in(client, "expert").status_code == 401
    assert log_in(client, "expert", "another sentence altogether").status_code == 303
    assert client.get("/contributors").status_code == 403
    give_roles(closed, "expert", [Role.ADMIN], "maria")
    assert client.get("/me").status_code == 303


def test_cookies_are_for_this_site_alone(closed: Platform) -> None:
    for base, name in ((HTTP, "tcap_session"), (HTTPS, "__Host-tcap_session")):
        client = browser(closed, base)
        cookie = log_in(client, "expert").headers["set-cookie"].lower()
        assert cookie.startswith(f"{name.lower()}=")
        assert "httponly" in cookie and "samesite=strict" in cookie and "path=/" in cookie
        assert ("secure" in cookie) == (base == HTTPS)
        assert "domain" not in cookie
    planted = browser(closed, HTTPS)
    planted.cookies.set("tcap_session", logged_in(closed, "expert").cookies["tcap_session"])
    assert planted.get("/me").status_code == 303


# --- logging in ---


def test_guessing_is_made_slow_and_tells_nothing(closed: Platform, clock: RecordedClock) -> None:
    for login in ("expert", "nobody-has-this"):
        client = browser(closed)
        said = {re.sub(r'value="[^"]*"', "", log_in(client, login, f"guess {number}").text) for number in range(5)}
        assert len(said) == 1
        assert "do not fit together" in said.pop()
        slowed = log_in(client, login)
        assert slowed.status_code == 429
        assert re.search(r"Wait \d+ seconds", slowed.text)
    assert log_in(browser(closed), "admin").status_code == 303
    clock.advance_to(START + timedelta(minutes=5))
    assert log_in(browser(closed), "expert").status_code == 303
    assert log_in(browser(closed), "expert", "a guess").status_code == 401


async def test_an_unknown_login_costs_what_a_wrong_password_costs(closed: Platform) -> None:
    """Told by what is done, not by a watch: one secret is checked either way, and both cost the same."""
    checked: list[str | None] = []

    def fits(secret: str | None, password: str) -> bool:
        checked.append(secret)
        return False

    access = Access(closed.store, closed.clock, closed.settings.access, fits)
    for login in ("expert", "nobody-has-this"):
        with pytest.raises(AccessRefused, match="do not fit together"):
            await access.log_in(login, "a wrong one")
    assert [secret is None for secret in checked] == [False, True]


@pytest.mark.parametrize(
    "onward",
    [
        "https://elsewhere.example",
        "//elsewhere.example",
        "/\\elsewhere.example",
        "/\t/elsewhere.example",
        "/\n/elsewhere.example",
        "\\\\elsewhere.example",
        "javascript:alert(1)",
        "",
    ],
)
def test_logging_in_never_leads_off_the_site(closed: Platform, onward: str) -> None:
    answer = log_in(browser(closed), "expert", onward=onward)
    assert answer.headers["location"] == "/"
    form = browser(closed).get("/login", params={"onward": onward}).text
    assert hidden(form, "onward") == "/"


def test_logging_in_leads_on_to_where_one_wanted_to_go(closed: Platform) -> None:
    client = browser(closed)
    led = client.get(f"/review/{NAME}?said=1")
    onward = parse_qs(urlsplit(led.headers["location"]).query)["onward"][0]
    assert onward == f"/review/{NAME}?said=1"
    answer = log_in(client, "expert", onward=hidden(client.get(led.headers["location"]).text, "onward"))
    assert answer.headers["location"] == onward
    late = browser(closed).post(f"/review/{NAME}/undo", headers={"referer": f"{HTTP}/review/{NAME}"})
    assert parse_qs(urlsplit(late.headers["location"]).query)["onward"] == [f"/review/{NAME}"]
    elsewhere = browser(closed).post(f"/review/{NAME}/undo", headers={"referer": "https://elsewhere.example/x"})
    assert parse_qs(urlsplit(elsewhere.headers["location"]).query)["onward"] == ["/"]


def test_accounts_that_make_no_sense_are_refused(closed: Platform) -> None:
    for wrong in (
        asked("expert", Role.EXPERT),
        AccountAsked(login="new", password=PASSWORD, roles=frozenset({Role.EXPERT}), by="m", contributor="the expert"),
        AccountAsked(login="new", password="short", roles=frozenset({Role.EXPERT}), by="m"),
        AccountAsked(login="new", password=PASSWORD, roles=frozenset(), by="m"),
        AccountAsked(login="New Person", password=PASSWORD, roles=frozenset({Role.EXPERT}), by="m"),
        AccountAsked(login="new", password=PASSWORD, roles=frozenset({Role.EXPERT}), by=" "),
    ):
        with pytest.raises(InputError):
            make_account(closed, wrong)
    free = AccountAsked(login="new", password=PASSWORD, roles=frozenset({Role.EXPERT}), by="m")
    assert "new" not in make_account(closed, free).contributor


# --- programs ---


def test_programs_need_the_key_where_there_are_accounts(closed: Platform) -> None:
    client = browser(closed)
    for sent in ({}, {"authorization": "Bearer wrong"}, {"authorization": KEY}, {"authorization": f"Basic {KEY}"}):
        assert client.post("/v1/chat/completions", json=CHAT, headers=sent).status_code == 401
    key = {"authorization": f"Bearer {KEY}"}
    answered = client.post("/v1/chat/completions", json=CHAT, headers=key)
    assert answered.status_code == 202
    said = {"expert": "ines", "verdict": "corrected", "answer": "printer", "trajectory": answered.json()["id"]}
    assert client.post("/v1/judgments", json=said, headers=key).status_code == 201
    assert client.get(answered.json()["url"], headers=key).json()["content"] == "printer"


def test_the_key_opens_no_page(closed: Platform) -> None:
    assert browser(closed).get("/contributors", headers={"authorization": f"Bearer {KEY}"}).status_code == 303


def test_a_key_that_is_named_and_not_set_is_told_at_once() -> None:
    with pytest.raises(SettingsError, match="TCAP_NO_SUCH_KEY"):
        assert AccessSettings(key_env="TCAP_NO_SUCH_KEY").key


def test_without_a_key_only_people_use_the_endpoints(closed: Platform) -> None:
    access = Access(closed.store, closed.clock, AccessSettings())
    assert access.caller({}) is None
    for sent in ("", "Bearer", "Bearer ", "Bearer None"):
        assert access.caller({"authorization": sent}) is None


def test_people_judge_over_http_under_their_own_pseudonym(closed: Platform) -> None:
    client = logged_in(closed, "expert")
    token = {FORM_HEADER: token_of(client)}
    answered = client.post("/v1/chat/completions", json=CHAT, headers=token)
    assert answered.status_code == 202
    said = {"expert": "the expert", "verdict": "corrected", "answer": "printer", "trajectory": answered.json()["id"]}
    assert client.post("/v1/judgments", json=said).status_code == 403
    assert client.post("/v1/judgments", json=said, headers={FORM_HEADER: "0"}).status_code == 403
    elsewhere = token | {"origin": "https://elsewhere.example"}
    assert client.post("/v1/judgments", json=said, headers=elsewhere).status_code == 403
    forged = client.post("/v1/judgments", json=said | {"expert": "the admin"}, headers=token)
    assert forged.status_code == 403
    kept = client.post("/v1/judgments", json=said, headers=token)
    assert kept.status_code == 201
    assert kept.json()["teaches"] is True


def test_a_judgment_says_whether_it_teaches(tmp_path: Path) -> None:
    declared = CapabilitySettings(contract=ContractKind.LABEL, mode=Mode.ANSWER, mode_by="maria")
    with Platform.open(Settings(store=str(tmp_path / "s.db"), capabilities={NAME: declared})) as house:
        client = browser(house)
        answered = client.post("/v1/chat/completions", json=CHAT).json()
        said = {"expert": "ines", "verdict": "corrected", "answer": "printer", "trajectory": answered["id"]}
        told = client.post("/v1/judgments", json=said).json()
        assert told["teaches"] is False
        assert "everyone" in told["why"] and "no notice" in told["why"]
        assert client.post("/v1/chat/completions", json=CHAT).headers["x-tcap-stage"] == "person"
        assert "Kept, teaches nothing" in client.get("/notices").text
        tell_everyone(house.store)
        assert "Kept, teaches nothing" not in client.get("/notices").text
        later = client.post("/v1/judgments", json=said).json()
        assert later["teaches"] is True and "why" not in later


# --- people ---


def test_a_notice_is_recorded_by_those_who_may_under_their_pseudonym(closed: Platform) -> None:
    council, expert = logged_in(closed, "council"), logged_in(closed, "expert")
    assert "Record a notice" not in expert.get("/notices").text
    assert expert.post("/notices", data=form_of(expert)).status_code == 403
    sent = form_of(council, text="You teach the triage.", given_on="2026-11-02", kind="agreement", by="somebody else")
    assert council.post("/notices", data=sent).status_code == 303
    page = expert.get("/notices").text
    assert "You teach the triage." in page and "2026-11-02" in page and "the council" in page
    assert "somebody else" not in page
    for wrong in ({"given_on": "2027-01-01"}, {"given_on": "yesterday"}, {"kind": "rumour"}, {"text": ""}):
        assert council.post("/notices", data=form_of(council, **wrong)).status_code == 400


def judged(house: Platform, client: TestClient, text: str) -> str:
    key = {"authorization": f"Bearer {KEY}"}
    body = {"model": NAME, "messages": [{"role": "user", "content": text}], "user": text}
    run = client.post("/v1/chat/completions", json=body, headers=key).headers["x-tcap-trajectory"]
    said = {"expert": "the expert", "verdict": "corrected", "answer": "printer", "trajectory": run}
    token = {FORM_HEADER: token_of(client)}
    return str(client.post("/v1/judgments", json=said, headers=token).json()["judgment"])


def test_ones_own_judgments_are_taken_back_by_oneself_alone(closed: Platform) -> None:
    mine, theirs = logged_in(closed, "expert"), logged_in(closed, "admin")
    judgment = judged(closed, mine, "the printer eats paper")
    assert judgment in mine.get("/me").text
    assert judgment not in theirs.get("/me").text
    forged = {"token": token_of(theirs), "judgment": judgment}
    assert theirs.post("/me/retract", data=forged).status_code == 403
    assert mine.post("/me/retract", data={"token": token_of(mine), "judgment": judgment}).status_code == 303
    assert judgment not in mine.get("/me").text
    assert mine.post("/me/retract", data={"token": token_of(mine), "judgment": judgment}).status_code == 403
    key = {"authorization": f"Bearer {KEY}"}
    assert mine.post("/v1/chat/completions", json=CHAT, headers=key).headers["x-tcap-stage"] == "person"


def test_one_says_oneself_what_one_knows(closed: Platform) -> None:
    client = logged_in(closed, "expert")
    declare(closed, ContributorAsked(pseudonym="the expert", group="desk", team="north", by="maria"))
    sent = {"token": token_of(client), "fields": f"{NAME}, printers,, printers ", "group": "council"}
    assert client.post("/me/fields", data=sent).status_code == 303
    page = client.get("/me").text
    assert hidden(page, "fields") == f"{NAME}, printers"
    assert "desk" in page and "north" in page


def test_ones_own_password_is_changed_by_who_knows_it(closed: Platform) -> None:
    client, other = logged_in(closed, "expert"), logged_in(closed, "expert")
    new = "quite another sentence"
    for sent in ({"password": "a guess", "new_password": new}, {"password": PASSWORD, "new_password": "short"}):
        refused = client.post("/me/password", data={"token": token_of(client), **sent})
        assert refused.status_code == 422
        assert 'role="alert"' in refused.text
    sent = {"token": token_of(client), "password": PASSWORD, "new_password": new}
    assert client.post("/me/password", data=sent).status_code == 303
    assert client.get("/me").status_code == 200
    assert other.get("/me").status_code == 303
    assert log_in(browser(closed), "expert").status_code == 401
    assert log_in(browser(closed), "expert", new).status_code == 303


def test_a_link_on_another_site_logs_nobody_out(closed: Platform) -> None:
    """Browsers keep back the cookie of a session there; it must not be taken for missing and set anew."""
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    asked = browser(closed).get("/capability/50%25%20%22off?x=1&y=%22", headers=followed)
    assert asked.status_code == 200
    assert "set-cookie" not in asked.headers
    assert 'content="0; url=/capability/50%25%20%22off?x=1&amp;y=%22"' in asked.text
    client = logged_in(closed, "expert")
    assert "Log out" in client.get("/me", headers=followed).text
    assert browser(closed).get("/login", headers=followed).status_code == 200


def test_how_often_one_is_right_is_for_ones_own_eyes(closed: Platform, tmp_path: Path) -> None:
    assert logged_in(closed, "expert").get("/me/reliability").status_code == 200
    with Platform.open(Settings(store=str(tmp_path / "open.db"))) as house:
        client = browser(house)
        client.cookies.set("tcap_expert", "ines")
        assert client.get("/me/reliability").status_code == 403


def test_a_cookie_makes_nobody_somebody_else(closed: Platform) -> None:
    client = logged_in(closed, "expert")
    client.cookies.set("tcap_expert", "the%20admin")
    assert "<h1>the expert</h1>" in client.get("/me").text
    judgment = judged(closed, client, "the printer eats paper")
    assert judgment in client.get("/me").text
