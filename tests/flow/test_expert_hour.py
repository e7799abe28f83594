"""An expert's hour in a real browser, by keyboard alone: each judgment is heeded by the very next request.

Played on a small copy of the demo's store with a generalist that writes replies. Skipped where there is no Chromium.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import httpx2
import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tokencapital.app.platform import Platform
from tokencapital.app.server import build_app
from tokencapital.core.case import Value
from tokencapital.core.clock import SystemClock
from tokencapital.core.judgment import Draw, DrawKind
from tokencapital.core.split import Split, assign_split
from tokencapital.simulate.service_desk import TICKET, TRIAGE
from tokencapital.store.cases import read_case, recent_trajectories, trajectories_of_case
from tokencapital.store.draws import append_draws
from tokencapital.store.experts import newest_judgment
from tokencapital.store.judgments import find_judgments
from tokencapital.store.manifest import split_of_cases
from tokencapital.testing.browser import CHROMIUM, in_chromium
from tokencapital.testing.houses import OWNER, REPLY, SmallHouse, TimedApp, open_small_house, play_small_house
from tokencapital.testing.servers import served
from tokencapital.web.site import Site

LAPTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
DOUBTED = ("the lift is between two floors and nobody answers", "facilities", "security_incident")
SENT = {TRIAGE: 54, TICKET: 16, REPLY: 8}

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[SmallHouse, Path]:
    """The played store, with requests in it that wait for people."""
    store = tmp_path_factory.mktemp("small") / "store.db"
    played = play_small_house(str(store))
    with open_small_house(store, 1.0) as house, served(build_app(house)) as address, httpx2.Client() as client:
        for capability in (TRIAGE, TICKET):
            for case in played.unserved(capability)[: SENT[capability]]:
                ask(client, address, capability, case.messages[-1].content, case.group)
        callers = (f"caller {number}" for number in range(100))
        taught = next(one for one in callers if assign_split(one, house.store.key) is Split.TRAIN)
        ask(client, address, TRIAGE, DOUBTED[0], taught)
        for number in range(SENT[REPLY]):
            ask(client, address, REPLY, f"Where is my order number {number}?", f"buyer {number}")
    return played, store


@pytest.fixture
def house(small: tuple[SmallHouse, Path], tmp_path: Path) -> Iterator[Platform]:
    """The house of its own, in which what is asked from now on is put before nobody."""
    with open_small_house(shutil.copy(small[1], tmp_path / "store.db"), 0.0) as house:
        yield house


def ask(client: httpx2.Client, address: str, capability: str, text: str, user: str) -> tuple[str, str]:
    """What the house answers, and the stage that stands for it."""
    body = {"model": capability, "messages": [{"role": "user", "content": text}], "user": user}
    answered = client.post(f"{address}/v1/chat/completions", json=body)
    assert answered.status_code in (200, 202), answered.text
    content = answered.json()["choices"][0]["message"]["content"] if answered.status_code == 200 else ""
    return content, answered.headers["x-tcap-stage"]


class Expert:
    """A person at a browser who touches the keyboard alone."""

    def __init__(self, chromium: Browser, address: str, house: Platform, name: str, **look: object) -> None:
        self.house, self.address, self.name = house, address, name
        self.pressed = 0
        self.troubles: list[str] = []
        self.context: BrowserContext = chromium.new_context(**{"viewport": LAPTOP, "reduced_motion": "reduce", **look})
        self.context.set_default_timeout(20_000)
        self.context.on("request", self._only_here)
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda said: self.troubles.append(f"console {said.type}: {said.text}"))
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("response", self._no_fault)
        self.client = httpx2.Client()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        self.client.close()
        self.context.close()
        assert kind is not None or self.troubles == []

    def go(self, path: str) -> None:
        self.page.goto(f"{self.address}{path}")
        self.page.wait_for_selector("html[data-ready]")

    def enter(self, capability: str) -> None:
        """The review page, under this expert's pseudonym."""
        self.page.goto(f"{self.address}/review/{capability}")
        if self.page.locator("#expert").count():
            self.type(self.name)
            self.page.keyboard.press("Enter")
        self.page.wait_for_selector("html[data-ready]")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.pressed += 1

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)
        self.pressed += len(text)

    def say(self, *keys: str) -> None:
        """The keys are pressed; the last of them leads to another page, which is ready when this returns."""
        self.press(*keys[:-1])
        with self.page.expect_navigation():
            self.press(keys[-1])
        self.page.wait_for_selector("html[data-ready]")

    def case(self) -> str:
        assert self.page.locator("#case").count() == 1, self.page.locator("main").inner_text()
        return self.page.locator("#case .message p").last.inner_text()

    def draw(self) -> str:
        return self.page.locator("#judgment").get_attribute("data-draw") or ""

    def proposed(self) -> str | None:
        shown = self.page.locator("#proposed")
        return shown.inner_text() if shown.count() else None

    def said(self) -> str:
        return self.page.locator(".said").inner_text()

    def next_answer(self, capability: str, text: str) -> tuple[str, str]:
        """What somebody else gets who asks the same right now."""
        return ask(self.client, self.address, capability, text, "somebody else")

    def newest(self, capability: str) -> str:
        """The id of this expert's newest judgment."""
        midnight = SystemClock().now().replace(hour=0, minute=0, second=0, microsecond=0)
        return newest_judgment(self.house.store, capability, self.name, midnight) or ""

    def heeded(self, capability: str, text: str, answer: Value) -> None:
        """The newest judgment is stored as said, and the very next request is answered by it: unless it is sealed."""
        said = find_judgments(self.house.store, [self.newest(capability)])[self.newest(capability)]
        case = read_case(self.house.store, said.case)
        assert case is not None and case.messages[-1].content == text
        assert said.answer == answer
        content, stage = self.next_answer(capability, text)
        if split_of_cases(self.house.store, [said.case])[said.case] is Split.SEALED:
            assert stage != "recall"
        else:
            assert stage == "recall"
            assert content == (answer if isinstance(answer, str) else msgspec.json.encode(answer).decode())

    def _only_here(self, request: object) -> None:
        url = request.url  # type: ignore[attr-defined]
        if urlsplit(url).hostname != "127.0.0.1" and not url.startswith("data:"):
            self.troubles.append(f"request to {url}")

    def _no_fault(self, response: object) -> None:
        if response.status >= 500:  # type: ignore[attr-defined]
            self.troubles.append(f"{response.status} from {response.url}")  # type: ignore[attr-defined]


class Hour:
    """What the expert does with each kind of case, knowing what is right."""

    def __init__(self, expert: Expert, played: SmallHouse) -> None:
        self.expert = expert
        now = SystemClock().now()
        self.truth: Mapping[tuple[str, str], Value] = {
            (one.capability, one.messages[-1].content): played.desk.truth(one, now) for one in played.desk.cases
        }
        self.truth = {**self.truth, (TRIAGE, DOUBTED[0]): DOUBTED[1]}
        self.label_keys: list[int] = []
        self.ways: set[str] = set()

    def judge_label(self, *, reason: str = "") -> None:
        """Right by Enter, else a digit and Enter, else a search and Enter."""
        expert, page = self.expert, self.expert.page
        text, before = expert.case(), expert.pressed
        right = self.truth[TRIAGE, text]
        assert isinstance(right, str)
        if reason:
            expert.press("w")
            expert.type(reason)
            expert.press("Enter")
        options = page.locator("#options [role=option] .name").all_inner_texts()
        if expert.proposed() == right:
            self.ways.add("right")
            expert.say("Enter")
        elif right in options[:9]:
            self.ways.add("digit")
            expert.say(str(options.index(right) + 1), "Enter")
        else:
            self.ways.add("search")
            expert.press("c")
            expert.type(right.replace("_", " ")[:5])
            expert.say("Enter")
        self.label_keys.append(expert.pressed - before)
        expert.heeded(TRIAGE, text, right)

    def judge_fields(self) -> None:
        """The fields are typed over, one after the other, and saved."""
        expert, page = self.expert, self.expert.page
        text = expert.case()
        right = self.truth[TICKET, text]
        assert isinstance(right, dict)
        expert.press("c")
        for name in ("device", "location", "due", "urgency"):
            control = page.locator(f"[name='field.{name}']")
            assert control.evaluate("element => element === document.activeElement")
            if control.input_value() != right.get(name, ""):
                if name == "urgency":
                    expert.type(right[name])
                else:
                    expert.press("Control+a", "Delete")
                    expert.type(right.get(name, ""))
                expect(page.locator(f".field.changed:has([name='field.{name}'])")).to_have_count(1)
            if name != "urgency":
                expert.press("Tab")
        expert.say("Enter")
        expert.heeded(TICKET, text, right)

    def judge_text(self) -> None:
        """A line is put before the proposed reply; the difference is seen while it is typed."""
        expert, page = self.expert, self.expert.page
        text, proposed = expert.case(), expert.proposed()
        expert.press("c", "Control+Home")
        expert.type("Good morning!")
        expert.press("Enter")
        expect(page.locator("#diff ins")).to_have_text("[added: Good morning!\n]", use_inner_text=False)
        expect(page.locator("#diff del")).to_have_count(0)
        expert.say("Control+Enter")
        said = find_judgments(expert.house.store, [expert.newest(REPLY)])[expert.newest(REPLY)]
        assert said.answer == f"Good morning!\n{proposed}"
        assert said.minutes is not None and 0 < said.minutes < 1
        done = expert.client.get(f"{expert.address}/v1/answers/{self._run_of(said.case)}").json()
        assert done["content"] == said.answer
        assert text.startswith("Where is my order")

    def _run_of(self, case: str) -> str:
        return trajectories_of_case(self.expert.house.store, case)[-1].id


@pytest.fixture
def desk(house: Platform) -> Iterator[tuple[str, TimedApp]]:
    """The house's pages on loopback."""
    timed = TimedApp(build_app(house, Site(house)))
    with served(timed) as address:
        yield address, timed


def test_an_experts_hour(small: tuple[SmallHouse, Path], house: Platform, desk: tuple[str, TimedApp]) -> None:
    def hour_of_work(chromium: Browser) -> list[int]:
        with Expert(chromium, desk[0], house, "ines") as ines:
            hour = Hour(ines, small[0])
            ines.enter(TRIAGE)
            for number in range(40):
                hour.judge_label(reason="since the form says so" if number == 3 else "")
                if number == 9:
                    expect(ines.page.locator(".impact")).to_contain_text("since Monday")
            assert hour.ways == {"right", "digit", "search"}
            undo(ines, hour)
            handed_on = hand_on(ines)
            while ines.page.locator("#judgment").count():
                hour.judge_label()
            take_over(chromium, ines, handed_on)
            disagree(chromium, ines)
            ines.enter(TICKET)
            for _ in range(10):
                hour.judge_fields()
            ines.enter(REPLY)
            for _ in range(5):
                hour.judge_text()
            take_back(ines)
        return sorted(hour.label_keys)

    keys = in_chromium(hour_of_work)
    medians = ", ".join(f"{page} {taken:.1f}" for page, taken in desk[1].medians_ms().items())
    print(
        f"\nkeys per label judgment: median {keys[len(keys) // 2]}, mean {sum(keys) / len(keys):.1f}, most {keys[-1]}"
    )
    print(f"median server ms: {medians}")
    assert keys[len(keys) // 2] <= 2


def undo(ines: Expert, hour: Hour) -> None:
    """A judgment is taken back by one key: the machine has forgotten it, and the page shows what was said."""
    text = ines.case()
    ines.press("w")
    ines.type("said in haste")
    ines.press("Enter")
    wrong = ines.page.locator("#options [role=option] .name").all_inner_texts()[0]
    ines.say("1", "Enter")
    ines.heeded(TRIAGE, text, wrong)
    ines.say("u")
    assert "Taken back: corrected" in ines.said()
    assert ines.case() == text
    assert ines.page.locator("#answer").input_value() == wrong
    assert ines.page.locator("#reason").input_value() == "said in haste"
    assert ines.next_answer(TRIAGE, text)[1] != "recall"
    ines.press("Escape")
    hour.judge_label()


def hand_on(ines: Expert) -> list[str]:
    """A case that needs a second opinion and one of another field come before the same person no more."""
    texts = []
    for key in ("s", "n"):
        texts.append(ines.case())
        ines.say(key)
        assert ines.case() not in texts
    return texts


def take_over(chromium: Browser, ines: Expert, texts: list[str]) -> None:
    """What one person handed on comes before a colleague."""
    with Expert(chromium, ines.address, ines.house, "otto") as otto:
        otto.enter(TRIAGE)
        waiting = set(texts)
        while waiting:
            waiting.discard(otto.case())
            otto.say("t")


def disagree(chromium: Browser, ines: Expert) -> None:
    """Two people differ: the machine answers nothing there until the owner has settled it."""
    text, ours, theirs = DOUBTED
    store = ines.house.store
    assert ines.next_answer(TRIAGE, text) == (ours, "recall")
    (second,) = recent_trajectories(store, TRIAGE, 1)
    now = SystemClock().now()
    again = Draw(id="drw_again", case=second.case, capability=TRIAGE, kind=DrawKind.UNIFORM, probability=1.0, at=now)
    append_draws(store, [again])
    with Expert(chromium, ines.address, ines.house, "otto") as otto:
        otto.enter(TRIAGE)
        while otto.case() != text:
            otto.say("t")
        otto.press("w")
        otto.type("people are locked in")
        otto.press("Enter", "c")
        otto.type(theirs)
        otto.say("Enter")
        assert otto.next_answer(TRIAGE, text)[1] == "person"
    with Expert(chromium, ines.address, ines.house, OWNER) as mira:
        mira.enter(TRIAGE)
        mira.go(f"/conflicts/{TRIAGE}")
        sides = mira.page.locator(".side .answer").all_inner_texts()
        assert set(sides) == {ours, theirs}
        assert "people are locked in" in mira.page.locator(".sides").inner_text()
        mira.press("Enter")
        expect(mira.page.locator("#status")).to_contain_text("Choose a side first")
        mira.press(str(sides.index(ours) + 1), "w")
        mira.type("lifts belong to the building")
        mira.say("Enter", "Enter")
        assert "Settled." in mira.said()
        assert "lifts belong to the building" in mira.page.locator("main").inner_text()
        assert mira.next_answer(TRIAGE, text) == (ours, "recall")


def take_back(ines: Expert) -> None:
    """What was judged is withdrawn on one's own page: the next request no longer knows it."""
    judged = ines.newest(TRIAGE)
    case = read_case(ines.house.store, find_judgments(ines.house.store, [judged])[judged].case)
    assert case is not None
    text = case.messages[-1].content
    before = ines.next_answer(TRIAGE, text)[1]
    ines.page.goto(f"{ines.address}/me")
    button = ines.page.locator(f"[aria-label='Take back the judgment {judged}']")
    while not button.evaluate("element => element === document.activeElement"):
        ines.press("Tab")
    with ines.page.expect_navigation():
        ines.press("Enter")
    assert before == "recall"
    assert ines.next_answer(TRIAGE, text)[1] != "recall"


LOOKS = {
    "phone": {"viewport": PHONE},
    "dark": {"color_scheme": "dark"},
    "dark phone": {"viewport": PHONE, "color_scheme": "dark", "has_touch": True, "is_mobile": True},
}


@pytest.mark.parametrize("look", LOOKS)
def test_a_few_judgments_in_every_look(
    small: tuple[SmallHouse, Path], house: Platform, desk: tuple[str, TimedApp], look: str
) -> None:
    def some_work(chromium: Browser) -> None:
        with Expert(chromium, desk[0], house, "nora", **LOOKS[look]) as nora:
            hour = Hour(nora, small[0])
            for capability, judge in (
                (TRIAGE, hour.judge_label),
                (TICKET, hour.judge_fields),
                (REPLY, hour.judge_text),
            ):
                nora.enter(capability)
                for _ in range(2):
                    judge()
                    assert_fits(nora.page)
                    check_accessible(nora.page)

    in_chromium(some_work)


def test_every_page_of_judging_is_accessible(house: Platform, desk: tuple[str, TimedApp]) -> None:
    def visit(chromium: Browser) -> None:
        with Expert(chromium, desk[0], house, "nora") as nora:
            nora.page.goto(f"{desk[0]}/review/{TRIAGE}")
            check_accessible(nora.page)
            nora.enter(TRIAGE)
            nora.press("?")
            expect(nora.page.locator("dialog[open]")).to_have_count(1)
            check_accessible(nora.page)
            nora.press("Escape", "c")
            nora.type("zzz")
            nora.press("Enter")
            expect(nora.page.locator("#status")).to_contain_text("is a new label")
            check_accessible(nora.page)
            nora.enter(TICKET)
            nora.press("c")
            nora.type("x")
            check_accessible(nora.page)
            disagreeing(nora)
            nora.go(f"/conflicts/{TRIAGE}")
            assert nora.page.locator("#conflict").count() == 1
            check_accessible(nora.page)

    in_chromium(visit)


def test_what_was_typed_outlives_a_reload(house: Platform, desk: tuple[str, TimedApp]) -> None:
    def reload(chromium: Browser) -> None:
        with Expert(chromium, desk[0], house, "nora") as nora:
            nora.enter(TICKET)
            nora.press("c", "Control+a")
            nora.type("lamp <b>")
            nora.press("Escape", "w")
            nora.type("seen")
            nora.enter(TICKET)
            expect(nora.page.locator("[name='field.device']")).to_have_value("lamp <b>")
            expect(nora.page.locator(".field.changed")).to_have_count(1)
            expect(nora.page.locator("#reason")).to_have_value("seen")
            nora.say("Control+Enter")
            expect(nora.page.locator("#reason")).to_have_value("")
            nora.enter(TRIAGE)
            nora.press("3", "w")
            chosen = nora.page.locator("#answer").input_value()
            nora.enter(TRIAGE)
            expect(nora.page.locator("#answer")).to_have_value(chosen)
            nora.say("Enter")
            assert f"({chosen})" in nora.said()

    in_chromium(reload)


def disagreeing(nora: Expert) -> None:
    """Two people have answered one case differently."""
    text, *labels = DOUBTED
    body = {"model": TRIAGE, "messages": [{"role": "user", "content": text}], "user": "caller 1"}
    run = nora.client.post(f"{nora.address}/v1/chat/completions", json=body).headers["x-tcap-trajectory"]
    for expert, label in zip(("otto", "paul"), labels, strict=True):
        said = {"expert": expert, "verdict": "corrected", "trajectory": run, "answer": label, "reason": f"{label}!"}
        assert nora.client.post(f"{nora.address}/v1/judgments", json=said).status_code == 201


def assert_fits(page: Page) -> None:
    """Nothing sticks out at the side."""
    wide, room = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= room


def check_accessible(page: Page) -> None:
    """Axe finds nothing serious."""
    found = Axe().run(page)
    assert found.response["passes"]
    serious = [one for one in found.response["violations"] if one["impact"] in ("serious", "critical")]
    assert serious == [], found.generate_report()
