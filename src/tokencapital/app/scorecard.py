"""How a release does on cases with known answers, as the numbers that a replay prints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from tokencapital.core.answer import Answer, Stage
from tokencapital.core.case import ContractKind, Value
from tokencapital.evaluate.scorers import Score, score
from tokencapital.record.importers import RecordedCase
from tokencapital.stats.intervals import Interval, share_interval
from tokencapital.stats.scores import Auc, auc, macro_f1, weighted_f1

LEVEL = 0.95


class StageShare(Struct, frozen=True):
    """The share of cases that a stage stands for, and how many of those have the right best answer."""

    share: float
    accuracy: float | None


class Scorecard(Struct, frozen=True, kw_only=True):
    """Scores over all cases, deferred and unanswered ones included; a missing answer is wrong.

    F1 is None but for labels, the field figures are None but for objects, `no_fitting_reply` None but for text.
    """

    cases: int
    accuracy: float | None
    interval: Interval | None
    macro_f1: float | None
    weighted_f1: float | None
    stages: dict[str, StageShare]
    deferred: float | None
    field_recall: float | None = None
    whole_object: float | None = None
    no_fitting_reply: Auc | None = None


class Promise(Struct, frozen=True):
    """What the specialist's answers were promised to be and what they were, where it answered alone.

    `realized` is the share of wrong ones among them, `share` the share of all cases that they are.
    """

    tolerance: float
    realized: float
    interval: Interval
    share: float


def score_answers(kind: ContractKind, recorded: Sequence[RecordedCase], answers: Sequence[Answer]) -> Scorecard:
    """The scorecard of answers to recorded cases, aligned with them."""
    scores = [score(kind, one.answer, answer.value) for one, answer in zip(recorded, answers, strict=True)]
    right = np.array([one.right for one in scores], float)
    groups = [one.group for one in recorded]
    labels = kind is ContractKind.LABEL
    expected, given = [str(one.answer) for one in recorded], [_text(answer.value) for answer in answers]
    return Scorecard(
        cases=len(recorded),
        accuracy=float(right.mean()) if len(right) else None,
        interval=share_interval(right, groups, LEVEL),
        macro_f1=macro_f1(expected, given) if labels else None,
        weighted_f1=weighted_f1(expected, given) if labels else None,
        stages=_stages(answers, right),
        deferred=float(np.mean([not answer.sure for answer in answers])) if answers else None,
        field_recall=_field_recall(scores) if kind is ContractKind.FIELDS else None,
        whole_object=float(right.mean()) if kind is ContractKind.FIELDS and len(right) else None,
        no_fitting_reply=_no_fitting_reply(recorded, answers) if kind is ContractKind.TEXT else None,
    )


def realized_promise(
    tolerance: float, kind: ContractKind, recorded: Sequence[RecordedCase], answers: Sequence[Answer]
) -> Promise | None:
    """How the specialist kept its promise on these cases; None where it answered none of them alone."""
    alone = [
        (one.group, not score(kind, one.answer, answer.value).right)
        for one, answer in zip(recorded, answers, strict=True)
        if answer.stage is Stage.SPECIALIST
    ]
    if not alone:
        return None
    wrong = np.array([missed for _, missed in alone], float)
    interval = share_interval(wrong, [group for group, _ in alone], LEVEL)
    assert interval is not None  # there is at least one case
    return Promise(tolerance, float(wrong.mean()), interval, len(alone) / len(recorded))


def _stages(answers: Sequence[Answer], right: np.ndarray) -> dict[str, StageShare]:
    shares = {}
    for stage in Stage:
        chosen = np.array([answer.stage is stage for answer in answers], bool)
        if chosen.any():
            shares[stage.value] = StageShare(float(chosen.mean()), float(right[chosen].mean()))
    return shares


def _field_recall(scores: Sequence[Score]) -> float | None:
    fields = sum(one.fields for one in scores)
    return sum(one.fields_right for one in scores) / fields if fields else None


def _no_fitting_reply(recorded: Sequence[RecordedCase], answers: Sequence[Answer]) -> Auc | None:
    """How well a low confidence tells the cases for which a person wrote a reply of their own; None: none is known."""
    if all(answer.confidence is None for answer in answers):
        return None
    doubt = [1.0 - (answer.confidence or 0.0) for answer in answers]
    return auc(doubt, [is_written(one) for one in recorded], LEVEL)


def is_written(recorded: RecordedCase) -> bool:
    """Whether a person wrote the answer instead of accepting a suggestion."""
    return recorded.origin is not None and not recorded.origin.endswith("accepted")


def _text(value: Value) -> str | None:
    return value if isinstance(value, str) else None
