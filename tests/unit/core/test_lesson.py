"""What a lesson may say, and until when it holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from tokencapital.core.errors import InputError
from tokencapital.core.lesson import LONGEST, Lesson, LessonState, one_sentence

NOW = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "A lost card is not a stolen one.",
        "A lost card is not a stolen one",
        "Ask for the day, e.g. Monday, before the hour.",
        "Write 3.5 hours, i.e. 210 minutes, for half days.",
        "Mr. Smith Street is a street, not a person.",
        "Where `tool` is `weather`, leave out `Day`.",
    ],
)
def test_one_sentence_is_a_lesson(text: str) -> None:
    assert one_sentence(f"  {text} \n") == text


def test_white_space_is_put_in_order() -> None:
    assert one_sentence("A lost\ncard  is not stolen.") == "A lost card is not stolen."


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "needs words"),
        ("  \n ", "needs words"),
        ("A lost card is lost. A stolen one is stolen.", "one sentence"),
        ("Is it lost? Then say so.", "one sentence"),
        ("He said “stop.” Then he left.", "one sentence"),
        ("x" * (LONGEST + 1), f"at most {LONGEST}"),
        ("A lost card \x07 is lost", "printable"),
    ],
)
def test_anything_else_is_none(text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        one_sentence(text)


def test_an_approved_lesson_expires_by_itself() -> None:
    lesson = Lesson(id="l", capability="c", text="x", at=NOW, by="m")
    assert lesson.state_at(NOW) is LessonState.PROPOSED
    approved = msgspec.structs.replace(lesson, decided=LessonState.APPROVED, valid_until=NOW + timedelta(days=1))
    assert approved.state_at(NOW) is LessonState.APPROVED
    assert approved.state_at(NOW + timedelta(days=1)) is LessonState.EXPIRED
    retired = msgspec.structs.replace(approved, decided=LessonState.RETIRED)
    assert retired.state_at(NOW + timedelta(days=1)) is LessonState.RETIRED
