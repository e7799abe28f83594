"""Fitting the specialist for fields on small written conversations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from tokencapital.core.case import Case, Message
from tokencapital.core.judgment import DrawKind, JudgedCase, Judgment, Verdict
from tokencapital.improve.descent import descend
from tokencapital.improve.extraction import assign_folds, fit_fields_specialist
from tokencapital.improve.induction import flatten, learn_fields, observe
from tokencapital.models.arrays import FloatArray
from tokencapital.models.specialist import Prediction
from tokencapital.models.writing import Shape

AT = datetime(2026, 3, 2, tzinfo=UTC)
NAMES = ("Ada", "Bo", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana", "Ida", "Jon")
SITES = ("Harbour", "Hill", "Mill")


def judged(
    group: str, turns: Sequence[tuple[str, str]], answer: Any, context: dict[str, Any] | None = None
) -> JudgedCase:
    case = Case(
        id=f"case-{group}", capability="book", group=group, at=AT,
        messages=tuple(Message(role, content) for role, content in turns), context=context or {},
    )  # fmt: skip
    judgment = Judgment(
        id=f"judgment-{group}", case=case.id, capability="book", expert="e1", at=AT, verdict=Verdict.CORRECTED,
        answer=answer, drawn=DrawKind.UNIFORM, probability=1.0, valid_from=AT,
    )  # fmt: skip
    return JudgedCase(case, judgment)


def booking(n: int, ticket: int, *, urgent: bool | None = None) -> JudgedCase:
    name, site = NAMES[n % len(NAMES)], SITES[n % len(SITES)]
    said = {True: " It is urgent!", False: " No hurry at all.", None: ""}[urgent]
    turns = [
        ("user", f"Hello, I need a room at the {site.lower()} site."),
        ("assistant", "What is your name?"),
        ("user", name),
        ("assistant", "And your ticket?"),
        ("user", f"It is {ticket}.{said}"),
    ]
    answer: dict[str, Any] = {
        "name": name, "site": f"one_of([{site}])", "ticket": ticket, "tags": ["desk"], "who": {"first": name},
    }  # fmt: skip
    if urgent is not None:
        answer["urgent"] = urgent
    return judged(f"g{n}", turns, answer)


BOOKINGS = [booking(n, 1000 + 37 * n, urgent=(None, True, False)[n // 3 % 3]) for n in range(45)]
UNSEEN = booking(100, 777, urgent=True)


def zeros(n: int) -> FloatArray:
    return np.zeros((n, 2), dtype=np.float32)


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    fit = fit_fields_specialist(BOOKINGS, zeros(len(BOOKINGS)), seed=1)
    return fit.specialist.predict([UNSEEN.case], zeros(1))[0]


def test_a_number_never_seen_is_copied_as_a_number(prediction: Prediction) -> None:
    assert isinstance(prediction.value, dict)
    assert prediction.value["ticket"] == 777


def test_a_constant_wrapper_around_a_span_is_learned(prediction: Prediction) -> None:
    assert isinstance(prediction.value, dict)
    assert prediction.value["site"] == "one_of([Hill])"


def test_booleans_lists_and_objects_survive(prediction: Prediction) -> None:
    assert isinstance(prediction.value, dict)
    assert prediction.value["urgent"] is True
    assert prediction.value["tags"] == ["desk"]
    assert prediction.value["who"] == {"first": "Ada"}


def test_each_field_given_has_a_score_and_the_whole_is_no_surer_than_any(prediction: Prediction) -> None:
    assert isinstance(prediction.value, dict)
    assert prediction.fields is not None
    assert set(prediction.fields) == set(prediction.value)
    assert all(0.0 < score <= 1.0 for score in prediction.fields.values())
    assert 0.0 < prediction.score <= min(prediction.fields.values())


def test_a_field_that_nothing_speaks_for_is_left_out() -> None:
    fit = fit_fields_specialist(BOOKINGS, zeros(len(BOOKINGS)), seed=1)
    calm = booking(101, 778)
    value = fit.specialist.predict([calm.case], zeros(1))[0].value
    assert isinstance(value, dict)
    assert "urgent" not in value


def test_held_out_predictions_are_right_and_never_saw_the_group() -> None:
    secret = judged("lone", [("user", "Hello there.")], {"name": "Zoltan the Unsaid", "hidden": "x9"})
    everything = [*BOOKINGS, secret, secret]
    fit = fit_fields_specialist(everything, zeros(len(everything)), seed=1)
    assert len(fit.held_out) == len(everything)
    right = [
        isinstance(p.value, dict) and p.value.get("ticket") == one.judgment.answer["ticket"]  # type: ignore[index]
        for p, one in zip(fit.held_out, BOOKINGS, strict=False)
    ]
    assert sum(right) >= 0.9 * len(BOOKINGS)
    for prediction in fit.held_out[-2:]:
        assert isinstance(prediction.value, dict)
        assert "hidden" not in prediction.value
        assert prediction.value.get("name") != "Zoltan the Unsaid"


def test_fields_are_offered_only_under_the_context_they_were_judged_in() -> None:
    rooms = [judged(f"r{n}", [("user", "a room, number 5")], {"room": "5"}, {"tool": "rooms"}) for n in range(8)]
    rides = [judged(f"t{n}", [("user", "a ride, number 5")], {"ride": "5"}, {"tool": "rides"}) for n in range(8)]
    both = [*rooms, *rides]
    fit = fit_fields_specialist(both, zeros(len(both)), seed=0)
    predictions = fit.specialist.predict([rooms[0].case, rides[0].case], zeros(2))
    assert [p.value for p in predictions] == [{"room": "5"}, {"ride": "5"}]


def test_the_next_number_is_learned_from_the_latest_json() -> None:
    quiz = [
        judged(f"q{n}", [("assistant", f'ask {{"step": "{n}"}}'), ("user", "next one, please")], {"step": str(n + 1)})
        for n in range(2, 40, 2)
    ]
    fit = fit_fields_specialist(quiz, zeros(len(quiz)), seed=0)
    case = judged("new", [("assistant", 'ask {"step": "71"}'), ("user", "next one, please")], None).case
    assert fit.specialist.predict([case], zeros(1))[0].value == {"step": "72"}


@pytest.mark.parametrize("count", [0, 1, 2, 10])
def test_few_judgments_are_enough_to_fit(count: int) -> None:
    fit = fit_fields_specialist(BOOKINGS[:count], zeros(count), seed=3)
    assert len(fit.held_out) == count
    assert len(fit.specialist.predict([UNSEEN.case], zeros(1))) == 1


def test_the_same_judgments_and_seed_give_the_same_specialist() -> None:
    first, second = (fit_fields_specialist(BOOKINGS[:12], zeros(12), seed=5) for _ in range(2))
    assert first.specialist.digest == second.specialist.digest
    assert first.held_out == second.held_out


def test_folds_keep_groups_whole_and_even() -> None:
    groups = [f"g{n % 12}" for n in range(60)]
    folds = assign_folds(groups, 4, seed=2)
    assert len({(group, fold) for group, fold in zip(groups, folds.tolist(), strict=True)}) == 12
    assert np.bincount(folds).tolist() == [15, 15, 15, 15]


def test_what_is_learned_of_a_field() -> None:
    fields, _ = learn_fields(observe(BOOKINGS, {}))
    site = next(field for field in fields if field.path == ("site",))
    ticket = next(field for field in fields if field.path == ("ticket",))
    assert any((shape.prefix, shape.suffix) == ('"one_of([', '])"') for shape in site.shapes)
    assert not site.kinds
    assert ticket.shapes[0] == Shape("same", "", "")
    assert (ticket.kinds, ticket.longest) == (("digits",), 1)


def test_objects_are_opened_and_lists_are_not() -> None:
    flat = dict(flatten({"a": {"b": 1, "c": {}}, "d": [{"e": 2}]}))
    assert flat == {("a", "b"): "1", ("a", "c"): "{}", ("d",): '[{"e": 2}]'}


def test_descent_finds_the_minimum_of_a_bowl() -> None:
    scale = np.array([1.0, 10.0, 100.0], dtype=np.float32)
    middle = np.array([3.0, -2.0, 0.5], dtype=np.float32)

    def loss(point: FloatArray) -> tuple[float, FloatArray]:
        away = point - middle
        return 1.0 + 0.5 * float(scale @ (away * away)), scale * away

    found = descend(loss, np.zeros(3, dtype=np.float32), iterations=60, tolerance=0.0)
    np.testing.assert_allclose(found, middle, atol=1e-3)
