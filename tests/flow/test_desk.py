"""The desk of a served house: who is asked what, what happens with what they say, and who settles disagreements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tokencapital.app.desk import Desk, Saying, Task
from tokencapital.app.impact import impact_since, monday
from tokencapital.app.judging import FASTER, IN_HAND
from tokencapital.app.platform import Platform
from tokencapital.app.server import build_app
from tokencapital.app.settings import CapabilitySettings, GoalSettings, Settings
from tokencapital.app.settling import Settlement, count_conflicts, may_settle, open_conflicts, settle
from tokencapital.app.telling import declare_contributor
from tokencapital.core.case import ContractKind, Mode
from tokencapital.core.clock import RecordedClock
from tokencapital.core.errors import ContractViolation, InputError, StoreConflict
from tokencapital.core.judgment import Draw, DrawKind, Verdict
from tokencapital.core.people import EVERYONE, Contributor, NoticeKind, Role
from tokencapital.core.split import Split, assign_split
from tokencapital.store.cases import read_trajectory
from tokencapital.store.draws import append_draws, open_draws
from tokencapital.store.judgments import find_judgments, memory_events, read_judgments
from tokencapital.store.leases import LEASE
from tokencapital.store.manifest import split_of_cases
from tokencapital.store.queue import recount
from tokencapital.testing.people import tell_everyone

NAME = "triage-message"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
KEY = bytes(32)
TRAIN = [f"customer-{n}" for n in range(2_000) if assign_split(f"customer-{n}", KEY) is Split.TRAIN]
SEALED = [f"customer-{n}" for n in range(2_000) if assign_split(f"customer-{n}", KEY) is Split.SEALED]


class House:
    """A served house whose clock is moved by hand."""

    def __init__(self, folder: Path, **goal: float) -> None:
        shares = {"judged_share": 1.0, "tolerance": 0.2, "probe_share": 0.0, "repeat_share": 0.0, "overlap_share": 0.0}
        wanted = GoalSettings(purpose="Answer at once.", owner="maria", **(shares | goal))
        declared = CapabilitySettings(contract=ContractKind.LABEL, mode=Mode.ANSWER, mode_by="maria", goal=wanted)
        self.clock = RecordedClock(START)
        settings = Settings(store=str(folder / "s.db"), capabilities={NAME: declared})
        self.platform = Platform.open(settings, clock=self.clock, key=KEY)
        tell_everyone(self.platform.store)
        self.store = self.platform.store
        self.desk = Desk(self.platform)
        self.client = TestClient(build_app(self.platform))
        self._count = 0

    def ask(self, text: str, group: str | None = None) -> dict[str, str]:
        """A request that came in, of a `train` entity of its own unless one is named; its headers."""
        self._count += 1
        body = {"model": NAME, "messages": [{"role": "user", "content": text}]}
        headers = {"x-tcap-group": group or TRAIN[self._count]}
        answered = self.client.post("/v1/chat/completions", json=body, headers=headers)
        assert answered.status_code in (200, 202), answered.text
        return dict(answered.headers)

    def know(self, pseudonym: str, team: str = "", *fields: str) -> None:
        """The contributor is declared."""
        one = Contributor(pseudonym=pseudonym, team=team, fields=fields)
        declare_contributor(self.store, one, by="maria", at=START)

    def next(self, expert: str) -> Task:
        """The expert's next task; there is one."""
        task = self.desk.next(NAME, expert)
        assert task is not None
        return task

    def say(self, expert: str, answer: str = "", verdict: Verdict = Verdict.CORRECTED, reason: str = "") -> str:
        """The expert judges their next task; the judgment's id."""
        saying = Saying(expert=expert, verdict=verdict, answer=answer or None, reason=reason or None)
        return self.desk.say(self.next(expert), saying).judgment.id

    def again(self, text: str, *answers: str) -> None:
        """The same input comes once for each answer, and another expert judges it each time."""
        for number, answer in enumerate(answers):
            self.ask(text)
            self.say(f"expert-{number}", answer, reason=f"because of {answer}")

    def wait(self, **time: float) -> None:
        """The clock goes on."""
        self.clock.advance_to(self.clock.now() + timedelta(**time))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House(tmp_path)
    yield opened
    opened.platform.close()


def test_a_task_stays_in_hand_until_it_is_judged_and_its_minutes_are_measured(house: House) -> None:
    house.ask("the printer eats paper")
    house.ask("my phone is silent")
    first = house.next("ines")
    assert house.next("otto").waiting.case != first.waiting.case
    house.wait(minutes=2)
    assert house.next("ines") == first
    said = house.desk.say(first, Saying(expert="ines", verdict=Verdict.CORRECTED, answer="printer"))
    assert said.judgment.minutes == 2
    assert house.desk.next(NAME, "ines") is None
    progress = house.desk.progress(NAME, "ines")
    assert (progress.today, progress.session, progress.open, progress.typical_s) == (1, 1, 1, 120.0)


def test_what_lapsed_goes_to_others_and_the_late_one_is_told(house: House) -> None:
    house.ask("the printer eats paper")
    mine = house.next("ines")
    assert house.desk.next(NAME, "otto") is None
    house.wait(seconds=LEASE.total_seconds())
    theirs = house.next("otto")
    assert theirs.waiting == mine.waiting
    late = Saying(expert="ines", verdict=Verdict.CORRECTED, answer="printer")
    with pytest.raises(StoreConflict, match=IN_HAND):
        house.desk.say(mine, late)
    house.desk.say(theirs, Saying(expert="otto", verdict=Verdict.CORRECTED, answer="door"))
    with pytest.raises(StoreConflict, match=FASTER):
        house.desk.say(mine, late)
    assert house.desk.task(NAME, mine.waiting.draw, "ines") is None
    assert [one.expert for one in read_judgments(house.store, mine.waiting.case)] == ["otto"]


def test_who_is_late_but_first_is_heard_with_unknown_minutes(house: House) -> None:
    house.ask("the printer eats paper")
    task = house.next("ines")
    house.wait(hours=2)
    said = house.desk.say(task, Saying(expert="ines", verdict=Verdict.CORRECTED, answer="printer"))
    assert said.judgment.minutes is None


def test_undoing_puts_the_case_back_into_the_same_hand(house: House) -> None:
    for text in ("the printer eats paper", "my phone is silent", "the door is locked"):
        house.ask(text)
    before = house.next("ines")
    said = house.say("ines", "printer")
    assert house.next("ines").waiting.case != before.waiting.case
    assert house.desk.undo(NAME, "ines") == said
    assert house.next("ines").waiting.case == before.waiting.case
    assert len({house.next(name).waiting.case for name in ("ines", "otto", "pia")}) == 3
    assert open_draws(house.store, NAME) == recount(house.store, NAME)
    assert house.desk.undo(NAME, "otto") is None


def test_a_case_that_somebody_cannot_answer_goes_to_somebody_else_and_ends(house: House) -> None:
    house.ask("the printer eats paper")
    house.say("ines", verdict=Verdict.NOT_MY_FIELD)
    assert house.desk.next(NAME, "ines") is None
    (first,) = open_draws(house.store, NAME)
    assert (first.kind, first.probability, first.id) == (DrawKind.UNIFORM, 1.0, f"drw_{first.case}_2")
    house.say("otto", verdict=Verdict.SECOND_OPINION)
    house.say("pia", verdict=Verdict.NOT_MY_FIELD)
    assert house.desk.next(NAME, "quin") is None
    assert open_draws(house.store, NAME) == recount(house.store, NAME) == []


def test_a_second_opinion_comes_from_another_team(house: House) -> None:
    house.know("ines", "north")
    house.know("otto", "north")
    house.know("pia", "south")
    house.ask("the printer eats paper")
    house.say("ines", verdict=Verdict.SECOND_OPINION)
    assert house.desk.next(NAME, "otto") is None
    assert house.next("pia").waiting.messages[0].content == "the printer eats paper"


def test_undoing_a_pass_asks_once_and_not_twice(house: House) -> None:
    house.ask("the printer eats paper")
    house.say("ines", verdict=Verdict.NOT_MY_FIELD)
    house.desk.undo(NAME, "ines")
    house.say("ines", "printer")
    assert open_draws(house.store, NAME) == []


def test_cases_go_to_who_declared_their_kind(house: House) -> None:
    house.know("ines", "north", "printer")
    house.know("otto", "north", "door")
    for text, answer in (("the printer eats paper", "printer"), ("the door is locked", "door")):
        house.ask(text)
        house.say("pia", answer)
    doubted = [house.ask(text) for text in ("the door is locked", "the printer eats paper")]
    for done in doubted:
        trajectory = read_trajectory(house.store, done["x-tcap-trajectory"])
        assert trajectory is not None
        draw = Draw(
            id=f"again_{trajectory.case}", case=trajectory.case, capability=NAME, kind=DrawKind.ACTIVE,
            probability=0.5, at=START,
        )  # fmt: skip
        append_draws(house.store, [draw])
    assert house.next("ines").waiting.proposed == "printer"
    assert house.next("otto").waiting.proposed == "door"


def test_nobody_is_asked_blindly_before_the_agreement(tmp_path: Path) -> None:
    house = House(tmp_path, probe_share=1.0)
    for text in ("the printer eats paper", "the printer eats my paper"):
        house.ask(text)
    assert not house.next("ines").blind
    house.say("ines", "printer")
    tell_everyone(house.store, kind=NoticeKind.AGREEMENT)
    task = house.next("ines")
    assert task.blind
    assert (task.waiting.proposed, task.waiting.trajectory, task.precedents, task.passages) == (None, None, (), ())
    with pytest.raises(ContractViolation):
        house.desk.say(task, Saying(expert="ines", verdict=Verdict.RIGHT))
    said = house.desk.say(task, Saying(expert="ines", verdict=Verdict.CORRECTED, answer="printer")).judgment
    assert (said.blind, said.verdict) == (True, Verdict.CORRECTED)
    found = house.desk.compare(said.id)
    assert found is not None
    assert (found.said, found.machine, found.agree) == ("printer", None, False)
    assert house.desk.compare("jdg_unknown") is None
    house.platform.close()


def test_a_share_is_asked_again_of_the_same_person_and_teaches_nothing(tmp_path: Path) -> None:
    house = House(tmp_path, repeat_share=1.0)
    tell_everyone(house.store, kind=NoticeKind.AGREEMENT)
    house.ask("the printer eats paper")
    first = house.say("ines", "printer")
    assert house.desk.next(NAME, "ines") is None
    house.wait(days=8)
    assert house.desk.next(NAME, "otto") is None
    task = house.next("ines")
    assert task.blind
    assert task.waiting.proposed is None
    again = house.desk.say(task, Saying(expert="ines", verdict=Verdict.CORRECTED, answer="door")).judgment
    assert (again.drawn, again.blind) == (DrawKind.REPEAT, True)
    assert [event.judgment_id for event in memory_events(house.store, NAME, 0)] == [first]
    assert open_conflicts(house.platform, NAME) == ()
    house.wait(days=8)
    assert house.desk.next(NAME, "ines") is None
    assert house.ask("the printer eats paper")["x-tcap-stage"] == "recall"
    house.platform.close()


def test_some_cases_are_asked_of_two_people(tmp_path: Path) -> None:
    house = House(tmp_path, overlap_share=1.0)
    house.know("ines", "north")
    house.know("otto", "north")
    house.ask("the printer eats paper")
    house.say("ines", "printer")
    assert house.desk.next(NAME, "ines") is None
    second = house.next("otto")
    assert second.precedents == ()
    house.say("otto", "printer")
    assert open_draws(house.store, NAME) == recount(house.store, NAME) == []
    house.platform.close()


def test_twenty_people_judge_at_once_and_nothing_is_lost_or_done_twice(tmp_path: Path) -> None:
    house = House(tmp_path)
    for number in range(120):
        house.ask(f"request number {number} of this morning", TRAIN[number % 100])
    waiting = len(open_draws(house.store, NAME))

    def work(number: int) -> list[str]:
        """One expert judges until nothing waits for them."""
        expert, given = f"expert-{number}", []
        while (task := house.desk.next(NAME, expert)) is not None:
            saying = Saying(expert=expert, verdict=Verdict.CORRECTED, answer=f"label-{number % 3}")
            given.append(house.desk.say(task, saying).judgment.id)
        return given

    with ThreadPoolExecutor(20) as pool:
        given = [name for names in pool.map(work, range(20)) for name in names]
    stored = find_judgments(house.store, given)
    assert len(given) == len(set(given)) == len(stored) == waiting == 120
    assert max(Counter(one.case for one in stored.values()).values()) == 1
    assert open_draws(house.store, NAME) == recount(house.store, NAME) == []
    assert len(memory_events(house.store, NAME, 0)) == 120
    house.platform.close()


def test_two_posts_for_one_draw_store_one_judgment(house: House) -> None:
    house.ask("the printer eats paper")
    task = house.next("ines")

    def post(number: int) -> bool:
        try:
            house.desk.say(task, Saying(expert="ines", verdict=Verdict.CORRECTED, answer=f"label-{number}"))
        except StoreConflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(post, range(8))) == 1
    assert len(read_judgments(house.store, task.waiting.case)) == 1


def test_an_answer_over_http_to_what_somebody_has_in_hand_is_told_so(house: House) -> None:
    house.ask("the printer eats paper")
    task = house.next("ines")
    body = {"expert": "app", "verdict": "corrected", "answer": "door", "case": task.waiting.case}
    sent = house.client.post("/v1/judgments", json=body | {"draw": task.waiting.draw})
    assert sent.status_code == 409
    assert IN_HAND in sent.text
    mine = house.client.post("/v1/judgments", json=body | {"draw": task.waiting.draw, "expert": "ines"})
    assert (mine.status_code, mine.json()["drawn"]) == (201, "uniform")


def test_once_settled_the_next_request_is_answered_accordingly(house: House) -> None:
    house.ask("the printer eats paper")
    house.ask("the printer  eats paper")
    first, second = house.say("ines", "printer", reason="it is one"), house.say("otto", "facilities")
    assert house.ask("the printer eats paper")["x-tcap-stage"] == "person"
    (conflict,) = open_conflicts(house.platform, NAME, viewer="otto")
    assert count_conflicts(house.platform, NAME) == 1
    assert [side.answer for side in conflict.sides] == ["printer", "facilities"]
    assert [side.voices[0].who for side in conflict.sides] == ["a colleague", "you"]
    assert (conflict.sides[0].voices[0].reason, conflict.owner, conflict.sealed) == ("it is one", "maria", False)
    settled = settle(house.platform, conflict.id, Settlement(by="maria", judgment=second, reason="rule of May"))
    assert (settled.kept, settled.lapsed, settled.added) == ((second,), (first,), None)
    answered = house.ask("the printer eats paper")
    assert answered["x-tcap-stage"] == "recall"
    done = read_trajectory(house.store, answered["x-tcap-trajectory"])
    assert done is not None
    assert done.answer.value == "facilities"
    assert open_conflicts(house.platform, NAME) == ()
    with pytest.raises(StoreConflict, match="settled already"):
        settle(house.platform, conflict.id, Settlement(by="maria", judgment=second))


def test_a_settled_conflict_opens_anew_when_somebody_disagrees_again(house: House) -> None:
    house.again("the printer eats paper", "printer")
    body = {"expert": "otto", "verdict": "corrected", "answer": "door"}
    case = house.ask("the printer eats paper")["x-tcap-trajectory"]
    for expert in ("otto", "pia"):
        assert house.client.post("/v1/judgments", json=body | {"trajectory": case, "expert": expert}).status_code == 201
        (conflict,) = open_conflicts(house.platform, NAME)
        settle(house.platform, conflict.id, Settlement(by="maria", answer="printer"))
    assert open_conflicts(house.platform, NAME) == ()


def test_an_owner_may_say_what_nobody_said(house: House) -> None:
    house.ask("the printer eats paper")
    house.ask("the printer eats  paper")
    house.say("ines", "printer")
    house.say("otto", "facilities")
    (conflict,) = open_conflicts(house.platform, NAME)
    settled = settle(house.platform, conflict.id, Settlement(by="maria", answer="hardware"))
    assert settled.added is not None
    assert len(settled.lapsed) == 2
    done = read_trajectory(house.store, house.ask("the printer eats paper")["x-tcap-trajectory"])
    assert done is not None
    assert (done.answer.value, done.answer.because) == ("hardware", (settled.added,))


def test_a_sealed_conflict_is_settled_for_a_given_answer_and_stays_sealed(house: House) -> None:
    done = read_trajectory(house.store, house.ask("the printer eats paper", SEALED[0])["x-tcap-trajectory"])
    assert done is not None
    draw = Draw(id="second", case=done.case, capability=NAME, kind=DrawKind.UNIFORM, probability=1.0, at=START)
    append_draws(house.store, [draw])
    first, _ = house.say("ines", "printer"), house.say("otto", "facilities")
    (conflict,) = open_conflicts(house.platform, NAME)
    assert conflict.sealed
    with pytest.raises(InputError, match="sealed"):
        settle(house.platform, conflict.id, Settlement(by="maria", answer="hardware"))
    settle(house.platform, conflict.id, Settlement(by="maria", answer="printer"))
    assert split_of_cases(house.store, [done.case]) == {done.case: Split.SEALED}
    assert memory_events(house.store, NAME, 0) == []
    assert [task.expected for task in house.platform.workplace(NAME).sealed.open(START).tasks] == ["printer"]
    assert first


@pytest.mark.parametrize(
    ("decided", "said"),
    [
        (Settlement(by=" ", answer="door"), "named person"),
        (Settlement(by="maria"), "named person"),
        (Settlement(by="maria", answer="a", judgment="b"), "named person"),
        (Settlement(by="maria", judgment="jdg_other"), "on no side"),
    ],
)
def test_a_decision_that_is_none_is_refused(house: House, decided: Settlement, said: str) -> None:
    house.ask("the printer eats paper")
    house.ask("the printer eats  paper")
    house.say("ines", "printer")
    house.say("otto", "facilities")
    (conflict,) = open_conflicts(house.platform, NAME)
    with pytest.raises(InputError, match=said):
        settle(house.platform, conflict.id, decided)
    with pytest.raises(InputError, match="no conflict"):
        settle(house.platform, "cfl_unknown", decided)


def test_the_owner_engineers_and_admins_settle(house: House) -> None:
    assert may_settle(house.platform, NAME, "maria", frozenset())
    assert may_settle(house.platform, NAME, "otto", frozenset({Role.ENGINEER}))
    assert not may_settle(house.platform, NAME, "otto", frozenset({Role.EXPERT}))
    assert not may_settle(house.platform, NAME, None, frozenset({Role.ADMIN}))


def test_experts_are_told_what_their_judgments_changed(house: House) -> None:
    house.ask("the printer eats paper")
    house.say("ines", "printer")
    house.wait(days=7)
    since = monday(house.clock.now())
    assert since == datetime(2026, 3, 9, tzinfo=UTC)
    runs = [house.ask("the printer eats paper")["x-tcap-trajectory"] for _ in range(3)]
    impact = impact_since(house.platform, "ines", since)
    assert (impact.changed, impact.confirmed, impact.releases) == (3, 0, ())
    assert set(impact.trajectories) == set(runs)
    assert impact_since(house.platform, "otto", since).changed == 0
    assert impact_since(house.platform, "ines", since + timedelta(days=7)).changed == 0


def test_the_names_of_colleagues_are_told_by_teams_that_are_big_enough(house: House) -> None:
    for name in ("ines", "otto", "a", "b", "c"):
        house.know(name, "north")
    house.know("pia", "south")
    house.ask("the printer eats paper")
    house.ask("the printer eats  paper")
    house.say("ines", "printer")
    house.say("pia", "door")
    (conflict,) = open_conflicts(house.platform, NAME)
    assert {side.voices[0].who for side in conflict.sides} == {"a colleague of team north", "a colleague"}
    assert EVERYONE not in str(conflict)
