"""What people and models write is shown as they wrote it, on every page, and never runs: seen in a real browser.

Every field that somebody can fill holds markup that would set `window.pwned`. The pages are looked at as they are
served, and once more with the browser told to ignore their content security policy, which must not be what saves
them. Skipped where there is no Chromium.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx2
import msgspec
import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from starlette.routing import Route

from tokencapital.app.accounts import AccountAsked, make_account
from tokencapital.app.contributors import ContributorAsked, declare
from tokencapital.app.house import turn_once
from tokencapital.app.lessons import ByHand, approve, propose_by_hand
from tokencapital.app.platform import Platform
from tokencapital.app.server import build_app
from tokencapital.app.settings import AccessSettings, Settings
from tokencapital.app.telling import NoticeAsked, give_notice
from tokencapital.core.case import Capability, Contract, ContractKind, Goal, Mode
from tokencapital.core.knowledge import Media, Piece
from tokencapital.core.people import NoticeKind, Role
from tokencapital.models.base import ModelRequest
from tokencapital.store.cases import recent_trajectories
from tokencapital.store.knowledge import NewDocument, documents, take_document
from tokencapital.store.lessons import lessons
from tokencapital.store.own import own_judgments
from tokencapital.testing.browser import CHROMIUM, in_chromium
from tokencapital.testing.models import Reply, ScriptedModel
from tokencapital.testing.people import tell_everyone
from tokencapital.testing.servers import served
from tokencapital.web.site import Site

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")

IMAGE, SCRIPT = "<img src=x onerror=window.pwned=1>", '"><script>window.pwned=1</script>'
LINK, TEMPLATE, TEXTAREA = "javascript:window.pwned=1//", "{{7*7}}", "</textarea><script>window.pwned=1</script>"
ATTRIBUTE, SVG = "' autofocus onfocus=window.pwned=1 x='", "</title></style></script><svg onload=window.pwned=1>"
MARKDOWN = "[here](javascript:window.pwned=1) <javascript:window.pwned=1>"
ALL = (IMAGE, SCRIPT, LINK, TEMPLATE, TEXTAREA, ATTRIBUTE, SVG, MARKDOWN)
EVERYTHING = " ".join(ALL)
MARKUP = ("a[href^='javascript:' i]", "form[action^='javascript:' i]", "img", "main [onfocus]", "svg[onload]")
"""What no page has unless something that was written became part of it."""
LABELS, FIELDS, TEXT = IMAGE, "fields-of-a-form", "reply-to-customer"
"""Three capabilities; the first is called by markup itself."""
LOGIN, PASSWORD = "viewer", "a sentence that nobody guesses"
KEY = "key"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCAP_TEST_KEY", KEY)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Platform]:
    """A house whose people, customers and generalist all write markup."""
    settings = Settings(store=str(tmp_path / "s.db"), access=AccessSettings(key_env="TCAP_TEST_KEY"))
    with Platform.open(settings, key=bytes(32)) as platform:
        platform.generalist = ScriptedModel(written)
        for name, kind in ((LABELS, ContractKind.LABEL), (FIELDS, ContractKind.FIELDS), (TEXT, ContractKind.TEXT)):
            labels = ALL if kind is ContractKind.LABEL else ()
            contract = Contract(kind=kind, labels=labels)
            capability = Capability(name=name, contract=contract, mode=Mode.ANSWER, instructions=EVERYTHING)
            goal = Goal(
                capability=name,
                purpose=EVERYTHING,
                owner=IMAGE,
                metric=SCRIPT,
                tolerance=0.1,
                judged_share=1.0,
            )
            platform.declare(capability, goal, by=IMAGE)
        people(platform)
        yield platform


def written(request: ModelRequest) -> Reply:
    """What a hostile generalist answers."""
    if request.labels is not None:
        return Reply(request.labels[0])
    if request.schema is not None:
        return Reply(msgspec.json.encode({ATTRIBUTE: EVERYTHING, SCRIPT: {IMAGE: [TEXTAREA]}}).decode())
    return Reply(EVERYTHING)


def people(house: Platform) -> None:
    """Contributors, names, groups, teams, fields, notices and an account, all called by markup."""
    tell_everyone(house.store)
    for number, one in enumerate(ALL):
        asked = ContributorAsked(
            pseudonym=one,
            group=ALL[(number + 1) % len(ALL)],
            team=ALL[(number + 2) % len(ALL)],
            fields=ALL,
            name=ALL[(number + 3) % len(ALL)],
            by=SCRIPT,
        )
        declare(house, asked)
    for one in ALL[:4]:
        kind = NoticeKind.AGREEMENT if one is SCRIPT else NoticeKind.NOTICE
        give_notice(house, NoticeAsked(group=one, text=EVERYTHING, terms=EVERYTHING, by=one, kind=kind))
    everything = AccountAsked(login=LOGIN, password=PASSWORD, roles=frozenset(Role), by=IMAGE, contributor=IMAGE)
    make_account(house, everything)


class App:
    """A program that sends markup wherever it may, with the house's key."""

    def __init__(self, address: str) -> None:
        self._client = httpx2.Client(base_url=address, headers={"authorization": f"Bearer {KEY}"})

    def close(self) -> None:
        self._client.close()

    def ask(self, capability: str, words: str, number: int) -> str:
        """A request; gives its run."""
        messages = [
            {"role": "system", "content": EVERYTHING},
            {"role": "assistant", "content": EVERYTHING, "name": IMAGE},
            {"role": "user", "content": words, "name": SCRIPT},
        ]
        context = {IMAGE: EVERYTHING, SCRIPT: {TEMPLATE: [ATTRIBUTE]}} if number % 2 else {}
        body = {"model": capability, "messages": messages, "user": f"{IMAGE}{number}", "context": context}
        answered = self._client.post(
            "/v1/chat/completions", json=body, headers={"x-tcap-key": f"{IMAGE}{capability}{number}"}
        )
        assert answered.status_code in (200, 202), answered.text
        return str(answered.headers["x-tcap-trajectory"])

    def judge(self, run: str, expert: str, answer: object) -> None:
        said = {"trajectory": run, "expert": expert, "verdict": "corrected", "answer": answer, "reason": EVERYTHING}
        answered = self._client.post("/v1/judgments", json=said)
        assert answered.status_code == 201, answered.text

    def see(self, capability: str, number: int) -> None:
        outcome = {"capability": capability, "key": f"{IMAGE}{capability}{number}", "name": SCRIPT, "value": True}
        assert self._client.post("/v1/outcomes", json=outcome).status_code == 201


async def fill(house: Platform, address: str) -> None:
    """Cases, judgments, conflicts, lessons, documents, outcomes and a turn of the loop."""
    app = App(address)
    answers = {LABELS: SCRIPT, FIELDS: {ATTRIBUTE: EVERYTHING, IMAGE: TEXTAREA}, TEXT: EVERYTHING}
    others = {LABELS: IMAGE, FIELDS: {IMAGE: TEMPLATE}, TEXT: TEXTAREA}
    for capability in (LABELS, FIELDS, TEXT):
        for number in range(8):
            run = app.ask(capability, f"{EVERYTHING} request {number // 2}", number)
            app.see(capability, number)
            if number < 6:
                app.judge(run, ALL[number], others[capability] if number % 2 else answers[capability])
        place = house.workplace(capability)
        lesson = propose_by_hand(place, ByHand(text=f"{IMAGE} {ATTRIBUTE} is {TEMPLATE} {SCRIPT}.", by=SCRIPT))
        approve(house, lesson.id, by=IMAGE)
        propose_by_hand(place, ByHand(text=f"{SVG} is {TEXTAREA} {LINK}.", by=SVG))
    app.close()
    now = house.clock.now()
    piece = Piece(heading=(IMAGE, SCRIPT), text=f"{EVERYTHING} {MARKDOWN}")
    document = NewDocument(
        source=LINK, title=SVG, media=Media.MARKDOWN, owner=ATTRIBUTE, pieces=[piece], at=now, by=SCRIPT,
        valid_until=now + timedelta(days=9),
    )  # fmt: skip
    with house.store.begin() as connection:
        take_document(house.store, connection, document)
    await turn_once(house.workplace(LABELS))


def paths(house: Platform) -> list[str]:
    """Every page that the site mounts, of everything there is to see."""
    runs = [one.id for name in (LABELS, FIELDS, TEXT) for one in recent_trajectories(house.store, name, 2)]
    known: Mapping[str, Sequence[str]] = {
        "capability": (LABELS, FIELDS, TEXT),
        "trajectory": runs,
        "judgment": [one.id for one in own_judgments(house.store, IMAGE, 5)],
        "document": [one.id for one in documents(house.store)],
        "lesson": [one.id for one in lessons(house.store, LABELS)],
        "chart": ("curve", "curve.json"),
    }
    found = []
    for route in build_app(house, Site(house)).routes:
        if not isinstance(route, Route) or "GET" not in (route.methods or ()) or route.path.startswith(("/v1", "/st")):
            continue
        names = re.findall(r"{(\w+)", route.path)
        plain = re.sub(r"{(\w+):\w+}", r"{\1}", route.path)
        for place in range(max([1, *(len(known.get(name, ())) for name in names)])):
            chosen = {name: (known.get(name) or ("none",))[place % len(known.get(name) or ("none",))] for name in names}
            found.append(plain.format(**{name: quote(value, safe="") for name, value in chosen.items()}))
    return found


class Looker:
    """Somebody who looks at pages, and notes whatever should not happen."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.troubles: list[str] = []
        self._address = address
        self._where = ""
        context.set_default_timeout(15_000)
        context.on("request", lambda asked: self._only_here(asked.url))
        self.page: Page = context.new_page()
        self.page.on("dialog", lambda dialog: (self._note(f"dialog {dialog.message}"), dialog.dismiss()))
        self.page.on("pageerror", lambda error: self._note(f"error {error}"))
        self.page.on("console", lambda said: self._said(said.type, said.text))

    def log_in(self) -> None:
        """A login that is markup is refused, one that is known leads on."""
        self.open(f"/login?onward={quote(SCRIPT)}")
        self._send({"#login": SCRIPT, "#password": SCRIPT})
        self.look()
        self._send({"#login": LOGIN, "#password": PASSWORD})
        assert self.page.locator("text=Log out").count() == 1

    def open(self, path: str) -> None:
        self._where = path
        self.page.goto(f"{self._address}{path}")
        self.look()

    def judge(self, capability: str) -> None:
        """Markup is typed wherever the page lets one type, and sent; the page that follows tells what became of it."""
        self.open(f"/review/{quote(capability, safe='')}")
        boxes = self.page.locator("main textarea:visible, main input:visible:not([type=radio]):not([type=checkbox])")
        assert boxes.count()
        for box in boxes.all():
            box.fill(EVERYTHING)
            self.look()
        if capability == LABELS:  # a label that nobody used yet is asked about first
            self.page.click("#correct")
            self.look()
        with self.page.expect_navigation():
            self.page.click("#correct")
        self.look()

    def look(self) -> None:
        """Everything that is folded away is opened, everything that can have the focus gets it, and nothing ran."""
        self.page.evaluate(
            """() => {
                for (const one of document.querySelectorAll("details")) one.open = true;
                for (const one of document.querySelectorAll("a, button, input, textarea, select")) one.focus();
                if (document.activeElement) document.activeElement.blur();
            }"""
        )
        if self.page.evaluate("window.pwned") is not None:
            self._note("it ran")
        for found in (
            "a[href^='javascript:' i]",
            "form[action^='javascript:' i]",
            "img",
            "main [onfocus]",
            "svg[onload]",
        ):
            if self.page.locator(found).count():
                self._note(f"the page has {found}")
        text = self.page.inner_text("body")
        if re.search(r"(?<!\d)49(?!\d)", text) and "{{7*7}}" not in text:
            self._note("a template was filled in")

    def _send(self, typed: Mapping[str, str]) -> None:
        for field, value in typed.items():
            self.page.fill(field, value)
        with self.page.expect_navigation():
            self.page.click("main button")

    def _only_here(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"data", "blob"} and f"{parts.scheme}://{parts.netloc}" != self._address:
            self._note(f"request to {url}")
        if parts.path.endswith("/x"):
            self._note("an image was asked for")

    def _said(self, kind: str, text: str) -> None:
        refused = re.search(r"status of 4\d\d", text)
        if kind == "error" and not refused:
            self._note(f"console {text}")

    def _note(self, what: str) -> None:
        self.troubles.append(f"{self._where}: {what}")


async def test_nothing_that_anybody_writes_runs_on_any_page(house: Platform) -> None:
    with served(build_app(house, Site(house))) as address:
        await fill(house, address)
        seen = paths(house)

        def look(browser: Browser) -> tuple[list[str], dict[str, str]]:
            troubles, shown = [], {}
            for ignores_policy in (False, True):
                context = browser.new_context(bypass_csp=ignores_policy)
                looker = Looker(context, address)
                looker.log_in()
                for path in seen:
                    looker.open(path)
                    shown[path] = looker.page.inner_text("body")
                    if ignores_policy:
                        looker.open(f"{path}?q={quote(EVERYTHING)}&said={quote(SCRIPT)}&page={quote(IMAGE)}")
                for capability in (LABELS, FIELDS, TEXT):
                    looker.judge(capability)
                troubles += looker.troubles
                context.close()
            return troubles, shown

        troubles, shown = in_chromium(look)
    assert troubles == []
    assert len(seen) > 20
    run = next(text for path, text in shown.items() if path.startswith("/run/"))
    for one in (IMAGE, SCRIPT, LINK, TEMPLATE, TEXTAREA):
        assert one in run
    everywhere = " ".join(shown.values())
    for one in ALL:
        assert " ".join(one.split()) in " ".join(everywhere.split())


def test_the_looker_sees_what_runs() -> None:
    """The check itself can fail: a page that is markup all through is caught in every way."""

    async def bad(scope: dict[str, object], receive: object, send: object) -> None:
        body = f"<!doctype html><body><main>{IMAGE}<a href='{LINK}'>x</a><script>alert(1)</script></main>".encode()
        headers = [(b"content-type", b"text/html")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": body})  # type: ignore[operator]

    def look(browser: Browser) -> list[str]:
        with served(bad) as address:  # type: ignore[arg-type]
            looker = Looker(browser.new_context(), address)
            looker.open("/")
            looker.look()
            return looker.troubles

    seen = " ".join(in_chromium(look))
    for trouble in ("it ran", "dialog 1", "javascript:", "the page has img", "an image was asked for"):
        assert trouble in seen
