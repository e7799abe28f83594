"""What an expert said is checked before anything is stored, and new labels are pointed out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tokencapital.core.case import Contract, ContractKind, Value
from tokencapital.core.errors import ContractViolation, InputError
from tokencapital.core.judgment import DrawKind, Judgment, Verdict
from tokencapital.review.judgments import accept
from tokencapital.store.database import Store
from tokencapital.store.judgments import latest_sequence, read_judgments

NOW = datetime(2026, 1, 5, tzinfo=UTC)
LABEL = Contract(kind=ContractKind.LABEL, labels=("card_lost",))
FIELDS = Contract(kind=ContractKind.FIELDS)
TEXT = Contract(kind=ContractKind.TEXT)


def said(case: str, answer: Value, verdict: Verdict = Verdict.CORRECTED, **more: Any) -> Judgment:
    told = Judgment(
        id=f"jdg-{case}", case=case, capability="triage", expert="ines", at=NOW, verdict=verdict, answer=answer,
        drawn=DrawKind.UNIFORM, probability=0.1, valid_from=NOW,
    )  # fmt: skip
    return msgspec.structs.replace(told, **more)


@pytest.mark.parametrize(
    ("contract", "answer"),
    [
        (LABEL, None),
        (LABEL, ""),
        (LABEL, {"label": "card_lost"}),
        (FIELDS, "card_lost"),
        (FIELDS, {}),
        (FIELDS, None),
        (TEXT, ""),
        (TEXT, {"text": "Sorry."}),
    ],
)
def test_an_answer_of_the_wrong_shape_is_refused_with_all_that_came_with_it(
    desk: Any, store: Store, contract: Contract, answer: Value
) -> None:
    good, bad = desk.case("one"), desk.case("two")
    desk.record(good, bad)
    fitting: Value = {"kind": "a"} if contract is FIELDS else "a"
    with pytest.raises(ContractViolation) as raised:
        accept(store, contract, (), [said(good.id, fitting), said(bad.id, answer)])
    assert raised.value.where == f"judgment jdg-{bad.id}"
    assert latest_sequence(store) == 0
    assert read_judgments(store, good.id) == []


@pytest.mark.parametrize("verdict", [Verdict.CANNOT_TELL, Verdict.NOT_MY_FIELD])
def test_who_declines_gives_no_answer(desk: Any, store: Store, verdict: Verdict) -> None:
    case = desk.case("one")
    desk.record(case)
    with pytest.raises(ContractViolation, match="carries no answer"):
        accept(store, LABEL, (), [said(case.id, "card_lost", verdict)])
    (accepted,) = accept(store, LABEL, (), [said(case.id, None, verdict)])
    assert accepted.judgment.answer is None
    assert accepted.new_label is None


def test_a_label_that_nobody_knew_is_accepted_and_pointed_out(desk: Any, store: Store) -> None:
    cases = [desk.case(text) for text in ("one", "two", "three")]
    desk.record(*cases)
    answers = ["card_lost", "seen_before", "brand_new"]
    accepted = accept(store, LABEL, ["seen_before"], [said(c.id, a) for c, a in zip(cases, answers, strict=True)])
    assert [one.new_label for one in accepted] == [None, None, "brand_new"]
    assert [one.judgment.sequence for one in accepted] == [1, 2, 3]
    assert read_judgments(store, cases[2].id)[0].answer == "brand_new"


def test_other_contracts_have_no_new_labels(desk: Any, store: Store) -> None:
    case = desk.case("one")
    desk.record(case)
    assert accept(store, TEXT, (), [said(case.id, "We are sorry.")])[0].new_label is None


def test_a_judgment_of_a_case_that_nobody_recorded_is_refused(store: Store) -> None:
    with pytest.raises(InputError, match="no case nowhere"):
        accept(store, LABEL, (), [said("nowhere", "card_lost")])
