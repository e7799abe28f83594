"""What was typed becomes a judgment, or a fault with nothing lost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tokencapital.app.desk import Task
from tokencapital.app.reviewing import Waiting
from tokencapital.core.case import ContractKind, Message, Value
from tokencapital.core.judgment import Verdict
from tokencapital.web.judging import Known, read_judgment, read_typed

KNOWN = Known({"printer", "door"}, {"psg_1"})


def task(kind: ContractKind, proposed: Value, **more: Any) -> Task:
    waiting = Waiting(
        capability="triage", case="case-1", draw="drw_1", kind=kind, messages=(Message("user", "it is stuck"),),
        context={}, proposed=proposed, source=None, confidence=None,
    )  # fmt: skip
    usual = {"schema": None, "fields": (), "precedents": (), "passages": (), "blind": False, "marks": ()}
    return Task(waiting=waiting, shown_at=datetime(2026, 2, 1, tzinfo=UTC), **{**usual, **more})


def test_lines_end_as_everywhere_and_the_rest_is_as_typed() -> None:
    typed = read_typed({"answer": "a\r\nb", "field.note": "c\r\nd", "basis.psg_1": "yes", "seconds": "12.0"})
    assert (typed.answer, typed.fields, typed.basis) == ("a\nb", {"note": "c\nd"}, frozenset({"psg_1"}))
    assert typed.minutes == pytest.approx(0.2)


@pytest.mark.parametrize("seconds", ["", "soon", "-1", "0", "nan", "inf", "1e9"])
def test_a_time_that_nobody_took_is_unknown(seconds: str) -> None:
    assert read_typed({"seconds": seconds}).minutes is None


def test_a_known_label_is_a_correction_and_the_proposed_one_is_right() -> None:
    asked = task(ContractKind.LABEL, "printer")
    corrected = read_judgment(asked, "ines", Verdict.CORRECTED, read_typed({"answer": "door"}), KNOWN)
    assert (corrected.refused, corrected.saying.verdict, corrected.saying.answer) == (False, Verdict.CORRECTED, "door")
    same = read_judgment(asked, "ines", Verdict.CORRECTED, read_typed({"answer": "printer"}), KNOWN)
    assert (same.saying.verdict, same.saying.answer) == (Verdict.RIGHT, None)


def test_what_is_said_blindly_is_never_turned_into_right() -> None:
    asked = task(ContractKind.LABEL, None, blind=True)
    said = read_judgment(asked, "ines", Verdict.CORRECTED, read_typed({"answer": "printer"}), KNOWN)
    assert (said.saying.verdict, said.saying.answer) == (Verdict.CORRECTED, "printer")


@pytest.mark.parametrize(
    ("form", "refused"), [({}, True), ({"new_label": "door"}, True), ({"new_label": "lamp"}, False)]
)
def test_a_new_label_has_to_be_said_twice(form: dict[str, str], refused: bool) -> None:
    typed = read_typed({"answer": "lamp", **form})
    assert read_judgment(task(ContractKind.LABEL, None), "ines", Verdict.CORRECTED, typed, KNOWN).refused is refused


def test_a_verdict_without_an_answer_drops_what_was_typed_and_keeps_the_reason() -> None:
    typed = read_typed({"answer": "half a th", "reason": "no idea"})
    said = read_judgment(task(ContractKind.TEXT, "x"), "ines", Verdict.NOT_MY_FIELD, typed, KNOWN).saying
    assert (said.answer, said.reason) == (None, "no idea")


def test_a_judgment_rests_on_passages_that_were_shown_alone() -> None:
    typed = read_typed({"answer": "door", "basis.psg_1": "yes", "basis.psg_2": "yes"})
    said = read_judgment(task(ContractKind.LABEL, None), "ines", Verdict.CORRECTED, typed, KNOWN).saying
    assert said.basis == ("psg_1",)


def test_a_new_field_is_added_where_the_schema_is_open() -> None:
    typed = read_typed({"field.floor": "4", "new_field": "room", "new_value": "12"})
    open_task = task(ContractKind.FIELDS, {"floor": 3}, fields=("floor",))
    assert read_judgment(open_task, "ines", Verdict.CORRECTED, typed, KNOWN).saying.answer == '{"floor":4,"room":"12"}'
    closed = task(ContractKind.FIELDS, {"floor": 3}, fields=("floor",), schema={"additionalProperties": False})
    assert read_judgment(closed, "ines", Verdict.CORRECTED, typed, KNOWN).fault == "the schema has no field room"


def test_an_object_with_nothing_in_it_is_refused() -> None:
    empty = read_judgment(task(ContractKind.FIELDS, None), "ines", Verdict.CORRECTED, read_typed({}), KNOWN)
    assert empty.fault == "fill in at least one field"


def test_everything_typed_can_be_copied() -> None:
    typed = read_typed({"answer": "a", "field.floor": "4", "new_field": "room", "new_value": "12", "reason": "so"})
    assert typed.words() == [("Answer", "a"), ("floor", "4"), ("room", "12"), ("Reason", "so")]
