"""The stages that answer on this machine, as pure decisions: recall and the specialist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tokencapital.core.answer import Answer, Stage
from tokencapital.core.case import Case, ContractKind
from tokencapital.core.policy import Calibration, StageRule
from tokencapital.models.replies import as_reply
from tokencapital.models.specialist import Prediction
from tokencapital.serve.ports import Live
from tokencapital.stats.calibration import confidence
from tokencapital.store.memory import Memory, Recollection, Vectors

ANSWERS_ALONE = frozenset({ContractKind.LABEL, ContractKind.FIELDS})
"""Contracts for which stored or predicted answers may go out without a model or a person."""


class Local(Struct, frozen=True):
    """What this machine makes of a case: an answer, and the probability with which it was let through."""

    answer: Answer
    propensity: float = 1.0


class Explore(Struct, frozen=True):
    """Which cases of a batch pass on a sure answer so that stages can be compared without bias."""

    chosen: NDArray[np.bool_]
    share: float


class Moment(Struct, frozen=True):
    """Under what cases are answered: the live policy, the time, and the state of the memory."""

    live: Live
    now: datetime
    memory: int


def answer_locally(
    moment: Moment, memory: Memory, cases: Sequence[Case], vectors: Vectors, explore: Explore
) -> list[Local]:
    """One answer a case, by recall or the specialist where they may answer alone, else a draft for a person."""
    live, now = moment.live, moment.now
    alone = live.policy.contract.kind in ANSWERS_ALONE
    recalls = alone and live.policy.identical
    recollections = [memory.recall(case, now, moment.memory) if recalls else None for case in cases]
    doubtful = memory.doubtful(vectors, now)
    drafts = _specialist_drafts(live, cases, vectors)
    near = _near_duplicates(live, memory, vectors, now) if alone else [None] * len(cases)
    return [
        _decide(live, _Evidence(recollections[i], near[i], drafts[i], bool(doubtful[i]), alone), explore, i)
        for i in range(len(cases))
    ]


class _Evidence(Struct, frozen=True):
    recollection: Recollection | None
    near: Answer | None
    draft: Answer | None
    doubtful: bool
    alone: bool


def _decide(live: Live, evidence: _Evidence, explore: Explore, index: int) -> Local:
    recollection = evidence.recollection
    if recollection is not None and not recollection.conflict:
        known = _confidence(live.policy.recall, 1.0)
        return Local(
            Answer(
                value=recollection.value, stage=Stage.RECALL, source=Stage.RECALL,
                confidence=known, because=recollection.judgments,
            )
        )  # fmt: skip
    draft = _standing(evidence.near, evidence.draft)
    if draft is None:
        return Local(Answer(value=None, stage=Stage.PERSON))
    asked = evidence.doubtful or recollection is not None or not evidence.alone
    if asked or not draft.sure:
        return Local(to_person(draft))
    if explore.chosen[index]:
        return Local(to_person(draft), explore.share)
    return Local(draft, 1.0 - explore.share)


def _standing(near: Answer | None, draft: Answer | None) -> Answer | None:
    """The surest of the stages that would answer alone; the specialist's draft where neither would."""
    alone = [answer for answer in (near, draft) if answer is not None and answer.sure]
    return surest(*alone) or draft


def to_person(draft: Answer) -> Answer:
    """The same answer as a draft that a person decides on."""
    return Answer(
        value=draft.value,
        stage=Stage.PERSON,
        source=draft.source,
        confidence=draft.confidence,
        fields=draft.fields,
        because=draft.because,
    )


def _specialist_drafts(live: Live, cases: Sequence[Case], vectors: Vectors) -> list[Answer | None]:
    if live.specialist is None:
        return [None] * len(cases)
    predictions = live.specialist.predict(cases, vectors)
    if live.policy.contract.kind is ContractKind.TEXT:
        predictions = [as_reply(prediction) for prediction in predictions]
    return [_drafted(prediction, live.policy.specialist_rule) for prediction in predictions]


def _drafted(prediction: Prediction, rule: StageRule) -> Answer:
    sure = rule.threshold is not None and prediction.score >= rule.threshold.score
    return Answer(
        value=prediction.value,
        stage=Stage.SPECIALIST if sure else Stage.PERSON,
        source=Stage.SPECIALIST,
        confidence=_confidence(rule, prediction.score),
        fields=_field_confidences(prediction.fields, rule.fields),
    )


def _near_duplicates(live: Live, memory: Memory, vectors: Vectors, now: datetime) -> list[Answer | None]:
    rule = live.policy.recall
    if rule.threshold is None:
        return [None] * len(vectors)
    near = memory.nearest(vectors, 1, upto=live.policy.memory, now=now)
    found: list[Answer | None] = []
    for row, similarity in zip(near.rows[:, 0], near.similarities[:, 0], strict=True):
        if row < 0 or similarity < rule.threshold.score:
            found.append(None)
            continue
        judgment = memory.judged([int(row)])[0].judgment
        found.append(
            Answer(
                value=judgment.answer, stage=Stage.RECALL, source=Stage.RECALL,
                confidence=_confidence(rule, float(similarity)), because=(judgment.id,),
            )
        )  # fmt: skip
    return found


def _confidence(rule: StageRule, score: float) -> float | None:
    return confidence(rule.calibration, score)


def _field_confidences(scores: Mapping[str, float] | None, calibration: Calibration | None) -> dict[str, float] | None:
    if scores is None or calibration is None:
        return None
    known = {name: confidence(calibration, score) for name, score in scores.items()}
    return {name: value for name, value in known.items() if value is not None}


def surest(*drafts: Answer | None) -> Answer | None:
    """The draft with the highest known confidence; an unknown one ranks below all; None: there is no draft."""
    given = [draft for draft in drafts if draft is not None and draft.value is not None]
    return max(given, key=lambda draft: -1.0 if draft.confidence is None else draft.confidence, default=None)
