"""What stands behind an answer, in words: cases and lessons it rests on first, then what is only near."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tokencapital.app.explaining import Precedent
from tokencapital.app.grounds import GroundKind, citable, grounds_of, source_of
from tokencapital.app.platform import Platform
from tokencapital.app.settings import CapabilitySettings, Settings
from tokencapital.core.answer import Answer, Stage, Trajectory
from tokencapital.core.case import ContractKind
from tokencapital.core.lesson import Lesson
from tokencapital.core.quantity import UNKNOWN_ENERGY
from tokencapital.store.lessons import propose_lesson

AT = datetime(2026, 1, 20, tzinfo=UTC)


def done(because: tuple[str, ...], **more: Any) -> Trajectory:
    answer = Answer(value="lamp", stage=Stage.PERSON, source=more.pop("source", Stage.RECALL), because=because)
    return Trajectory(
        id="trj-1", case="case-1", capability="triage", at=AT, answer=answer, policy="0" * 16, memory=0, seed=0,
        propensity=1.0, elapsed_s=0.0, energy=UNKNOWN_ENERGY, **more,
    )  # fmt: skip


def test_what_it_rests_on_comes_before_what_is_near(store: Any, desk: Any) -> None:
    house = Platform(Settings(store=":none:"), store, desk.parts(None).clock)
    house.declare(CapabilitySettings(contract=ContractKind.LABEL).capability(desk.capability), None, by="mira")
    place = house.workplace(desk.capability)
    rests, near = desk.told("the lamp is dark", "lamp"), desk.told("the lift is dark", "lift")
    propose_lesson(store, Lesson(id="lsn_1", capability=desk.capability, text="Lamps are lamps.", at=AT, by="mira"))
    like = [
        Precedent(judgment=near.id, asked="the lift is dark", answer="lift", at=near.at, similarity=0.9),
        Precedent(judgment=rests.id, asked="the lamp is dark", answer="lamp", at=rests.at, similarity=0.8),
    ]
    found = grounds_of(place, done((rests.id, "lsn_1", "jdg_gone")), like, ())
    assert [(one.kind, one.id, one.rests) for one in found] == [
        (GroundKind.CASE, rests.id, True),
        (GroundKind.LESSON, "lsn_1", True),
        (GroundKind.CASE, near.id, False),
    ]
    assert (found[0].text, found[0].answer, found[0].similarity) == ("the lamp is dark", "lamp", 0.8)
    assert found[0].run == f"trj-{rests.case}"
    assert (found[1].text, found[1].at) == ("Lamps are lamps.", AT)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"source": Stage.RECALL, "release": "rel_1"}, "recalled from a judged case; release rel_1"),
        ({"source": Stage.SPECIALIST}, "by the specialist; no release yet"),
        ({"source": Stage.GENERALIST, "generalist": "small"}, "by the model small; no release yet"),
    ],
)
def test_who_proposed_is_said_in_words(what: dict[str, Any], words: str) -> None:
    assert source_of(done((), **what)) == words
    assert source_of(None) == "nobody proposed anything"


def test_a_judgment_may_rest_on_what_the_answer_cites() -> None:
    assert citable(done(("jdg_1", "psg_1", "lsn_1")), ()) == {"psg_1"}
    assert citable(None, ()) == frozenset()
