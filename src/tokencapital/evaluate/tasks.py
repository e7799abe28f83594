"""What an evaluation asks: a case, and what people decided on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from tokencapital.core.case import Case, Value
from tokencapital.core.judgment import JudgedCase


class Task(Struct, frozen=True):
    """A case with the answer that people want, and the entity group that it counts for."""

    case: Case
    expected: Value
    group: str


def tasks_from(judged: Sequence[JudgedCase], groups: Mapping[str, str]) -> list[Task]:
    """One task a case that has an agreed answer; a case on which people disagree is none.

    `groups` gives the entity group of each case id as the manifest has it.
    """
    answers: dict[str, list[JudgedCase]] = {}
    for one in judged:
        if one.judgment.verdict.answers and one.judgment.answer is not None:
            answers.setdefault(one.case.id, []).append(one)
    return [
        Task(given[0].case, given[0].judgment.answer, groups[case_id])
        for case_id, given in answers.items()
        if all(one.judgment.answer == given[0].judgment.answer for one in given)
    ]
