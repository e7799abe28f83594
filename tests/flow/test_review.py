"""The review page without a script: faults at their fields with nothing lost, blind cases, cases of somebody else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tokencapital.app.knowing import Handed, add_bytes
from tokencapital.app.platform import Platform
from tokencapital.app.server import build_app
from tokencapital.app.settings import CapabilitySettings, GoalSettings, Settings
from tokencapital.app.telling import NoticeAsked, give_notice
from tokencapital.core.case import ContractKind, Mode
from tokencapital.core.people import EVERYONE, NoticeKind
from tokencapital.store.bases import basis_of
from tokencapital.store.experts import newest_judgment
from tokencapital.store.queue import open_draws
from tokencapital.testing.models import Reply, ScriptedModel
from tokencapital.testing.people import tell_everyone
from tokencapital.web.site import Site

LABEL, FORM, REPLY = "triage", "ticket", "reply"
HTTP = "http://testserver"
SCHEMA = {
    "type": "object",
    "properties": {
        "floor": {"type": "integer", "minimum": 0, "maximum": 9},
        "urgency": {"type": "string", "enum": ["low", "high"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "note": {"type": "string", "default": "none"},
    },
    "required": ["floor", "urgency"],
    "additionalProperties": False,
}
WRITTEN = "We look into it today.\nYour service desk"


def open_house(store: Path, probe_share: float = 0.0) -> Platform:
    goal = GoalSettings(purpose="Answer.", owner="mira", judged_share=1.0, tolerance=0.2, probe_share=probe_share)
    common = {"mode": Mode.ANSWER, "mode_by": "mira", "goal": goal}
    declared = {
        LABEL: CapabilitySettings(contract=ContractKind.LABEL, **common),  # type: ignore[arg-type]
        FORM: CapabilitySettings(contract=ContractKind.FIELDS, schema=SCHEMA, **common),  # type: ignore[arg-type]
        REPLY: CapabilitySettings(contract=ContractKind.TEXT, **common),  # type: ignore[arg-type]
    }
    house = Platform.open(Settings(store=str(store), capabilities=declared), key=bytes(32))
    house.generalist = ScriptedModel(lambda asked: Reply('{"floor": 3, "urgency": "low"}' if asked.schema else WRITTEN))
    for name, one in declared.items():
        house.declare(one.capability(name), one.live_goal(name), by="mira")
    tell_everyone(house.store)
    return house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Platform]:
    with open_house(tmp_path / "s.db") as house:
        yield house


class Person:
    """A browser of somebody's that runs no script."""

    def __init__(self, house: Platform, name: str) -> None:
        self.client = TestClient(build_app(house, Site(house)), base_url=HTTP, cookies={"tcap_expert": name})
        self.at = ""

    def ask(self, capability: str, text: str, user: str = "somebody") -> str:
        body = {"model": capability, "messages": [{"role": "user", "content": text}], "user": user}
        answered = self.client.post("/v1/chat/completions", json=body)
        assert answered.status_code in (200, 202), answered.text
        return answered.headers["x-tcap-trajectory"]

    def look(self, capability: str) -> str:
        page = self.client.get(f"/review/{capability}")
        assert page.status_code == 200
        return page.text

    def say(self, capability: str, page: str, status: int = 200, **form: str) -> str:
        hidden = dict(re.findall(r'name="(token|draw)" value="([^"]*)"', page))
        answered = self.client.post(f"/review/{capability}", data={**hidden, **form})
        assert answered.status_code == status, answered.text
        self.at = answered.url.path
        return answered.text


def control(page: str, name: str) -> str:
    """The HTML of the field's control."""
    start = page.index(f'name="{name}"')
    kind = re.findall(r"<(input|select|textarea)", page[:start])[-1]
    return page[page.rindex(f"<{kind}", 0, start) : page.index(">" if kind == "input" else f"</{kind}>", start)]


def test_a_fault_stands_at_its_field_and_nothing_typed_is_lost(house: Platform) -> None:
    ines = Person(house, "ines")
    run = ines.ask(FORM, "the lamp on the third floor is dark")
    page = ines.look(FORM)
    assert 'value="3"' in control(page, "field.floor")
    assert "needed" in page
    typed = {
        "field.floor": "third",
        "field.urgency": "high",
        "field.tags": "lamp\r\nlight",
        "reason": "it <b>blinks</b>",
    }
    page = ines.say(FORM, page, 422, verdict="corrected", **typed)
    assert "write a whole number, such as 3" in page
    assert 'aria-invalid="true"' in control(page, "field.floor")
    assert 'value="third"' in control(page, "field.floor")
    assert '<option value="high" selected>' in control(page, "field.urgency")
    assert "lamp\nlight" in control(page, "field.tags")
    assert "it &lt;b&gt;blinks&lt;/b&gt;" in page
    assert "field changed faulty" in page
    page = ines.say(FORM, page, verdict="corrected", **{**typed, "field.floor": "4"})
    assert "Saved: corrected" in page
    decided = ines.client.get(f"/v1/answers/{run}").json()["content"]
    assert decided == '{"floor":4,"urgency":"high","tags":["lamp","light"]}'


def test_a_correction_that_says_the_same_is_right(house: Platform) -> None:
    ines = Person(house, "ines")
    ines.ask(FORM, "the lamp on the third floor is dark")
    page = ines.say(FORM, ines.look(FORM), verdict="corrected", **{"field.floor": "3", "field.urgency": "low"})
    assert "Saved: right" in page


def test_a_new_label_is_asked_about_once_more(house: Platform) -> None:
    ines = Person(house, "ines")
    ines.ask(LABEL, "the lamp is dark")
    page = ines.say(LABEL, ines.look(LABEL), 422, verdict="corrected", answer="lamp", reason="dark")
    assert "“lamp” is a new label" in page
    assert 'value="lamp"' in control(page, "answer")
    assert ">\ndark</textarea>" in page
    page = ines.say(LABEL, page, verdict="corrected", answer="lamp", new_label="lamp")
    assert "Saved: corrected (lamp)" in page
    ines.ask(LABEL, "the other lamp is dark", "b")
    assert "Saved: corrected" in ines.say(LABEL, ines.look(LABEL), verdict="corrected", answer="lamp")


def test_what_changed_in_a_text_is_shown_after_an_error(house: Platform) -> None:
    ines = Person(house, "ines")
    ines.ask(REPLY, "where is my parcel?")
    page = ines.look(REPLY)
    assert ">\n" + WRITTEN + "</textarea>" in page
    page = ines.say(REPLY, page, 422, verdict="corrected", answer="")
    assert "the answer is not a text" in page
    assert '<del><span class="unseen">[removed: </span>We look into it today.' in page
    page = ines.say(REPLY, page, verdict="corrected", answer="We looked into it.\r\nYour desk")
    assert "Saved: corrected (We looked into it. Your desk)" in page


def test_a_case_that_somebody_took_is_told_plainly_and_what_was_typed_can_be_copied(house: Platform) -> None:
    ines, otto = Person(house, "ines"), Person(house, "otto")
    ines.ask(LABEL, "the lamp is dark")
    page = ines.look(LABEL)
    ines.say(LABEL, page, verdict="corrected", answer="lamp", new_label="lamp")
    late = otto.say(
        LABEL,
        page.replace(token(page), token(otto.look(LABEL))),
        409,
        verdict="corrected",
        answer="dark <i>",
        reason="so",
    )
    assert "Somebody else judged this case meanwhile" in late
    assert "dark &lt;i&gt;" in late
    assert ">\nso</textarea>" in late


def test_undo_shows_the_case_again_as_it_was_answered(house: Platform) -> None:
    ines = Person(house, "ines")
    for number in range(3):
        ines.ask(FORM, f"lamp {number} on the third floor is dark", f"caller {number}")
    page = ines.look(FORM)
    ines.say(FORM, page, verdict="corrected", reason="seen", **{"field.floor": "7", "field.urgency": "high"})
    answered = ines.client.post(f"/review/{FORM}/undo", data={"token": token(page)})
    again = answered.text
    assert "Taken back: corrected" in again
    assert re.findall(r'name="draw" value="([^"]*)"', again) == re.findall(r'name="draw" value="([^"]*)"', page)
    assert 'value="7"' in control(again, "field.floor")
    assert '<option value="high" selected>' in control(again, "field.urgency")
    assert ">\nseen</textarea>" in again
    assert "changed; proposed was: <span>3</span>" in again
    nothing = ines.client.post(f"/review/{LABEL}/undo", data={"token": token(page)})
    assert "You have said nothing here today" in nothing.text


def token(page: str) -> str:
    return re.findall(r'name="token" value="([^"]*)"', page)[0]


def test_a_blind_case_has_nothing_of_the_machines_in_it(tmp_path: Path) -> None:
    with open_house(tmp_path / "s.db", probe_share=1.0) as house:
        agreed = NoticeAsked(
            group=EVERYONE, text="Probes are asked.", terms="none", by="mira", kind=NoticeKind.AGREEMENT,
            given_on=datetime(2026, 1, 1, tzinfo=UTC),
        )  # fmt: skip
        give_notice(house, agreed)
        ines, otto = Person(house, "ines"), Person(house, "otto")
        ines.ask(REPLY, "where is my parcel?")
        page = ines.look(REPLY)
        for theirs in (
            "We look into it",
            "service desk",
            "right with probability",
            "scripted",
            'value="right"',
            "its run",
        ):
            assert theirs not in page
        shown = ines.say(REPLY, page, verdict="corrected", answer="It left today.", reason="seen it")
        assert "You and the machine differ" in shown
        assert "It left today." in shown
        assert WRITTEN in shown
        assert f'href="/review/{REPLY}" data-key="Enter"' in shown
        assert "/said/jdg_" in ines.at
        assert ines.client.get(ines.at).status_code == 200
        assert otto.client.get(ines.at).status_code == 400


def test_a_judgment_can_rest_on_a_passage_that_the_page_shows(house: Platform) -> None:
    book = b"# Lamps\n\nA lamp that is dark is changed by the porter on floor three.\n"
    (added,) = add_bytes(house, "lamps.md", book, Handed(owner="mira", valid_from=datetime(2026, 2, 3, tzinfo=UTC)))
    ines = Person(house, "ines")
    ines.ask(LABEL, "the lamp is dark on floor three")
    page = ines.look(LABEL)
    assert "changed by the porter" in page
    assert f'href="/knowledge/document/{added.document.id}"' in page
    assert '<time datetime="2026-02-03' in page
    (passage,) = re.findall(r'name="basis\.([^"]*)"', page)
    said = {"verdict": "corrected", "answer": "lamp", "new_label": "lamp", "basis.psg_none": "yes"}
    page = ines.say(LABEL, page, **said, **{f"basis.{passage}": "yes"})
    judged = newest_judgment(house.store, LABEL, "ines", datetime(2026, 1, 1, tzinfo=UTC))
    assert judged is not None
    assert basis_of(house.store, judged) == [passage]
    again = ines.client.post(f"/review/{LABEL}/undo", data={"token": token(page)}).text
    assert f'name="basis.{passage}" value="yes" form="judgment" checked' in again


def test_whoever_had_no_notice_is_told_that_nothing_is_taught(tmp_path: Path) -> None:
    with open_house(tmp_path / "s.db") as house:
        ines = Person(house, "ines")
        assert "teaches nothing" not in ines.look(LABEL)
    declared = CapabilitySettings(contract=ContractKind.LABEL)
    with Platform.open(Settings(store=str(tmp_path / "t.db"), capabilities={LABEL: declared})) as house:
        assert "Kept, teaches nothing" in Person(house, "ines").look(LABEL)
        assert open_draws(house.store, LABEL) == []
