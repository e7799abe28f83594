"""Replies as labels: what a company says again and again, and the case for which nothing of it fits.

Only canned replies are ever drafted, never one customer's stored words to another: a text counts as
canned when it was sent in at least three entity groups.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from tokencapital.core.judgment import JudgedCase
from tokencapital.models.specialist import Prediction

NO_REPLY = ""
"""The label of cases that no canned reply fits."""
FEWEST_GROUPS = 3


def with_canned_replies(judged: Sequence[JudgedCase]) -> list[JudgedCase]:
    """The same judgments with every answer that is not canned replaced by NO_REPLY, in the same order."""
    groups: dict[str, set[str]] = defaultdict(set)
    for one in judged:
        if isinstance(one.judgment.answer, str):
            groups[one.judgment.answer].add(one.case.group)
    canned = {text for text, senders in groups.items() if len(senders) >= FEWEST_GROUPS}
    return [one if one.judgment.answer in canned else _unfit(one) for one in judged]


def as_reply(prediction: Prediction) -> Prediction:
    """The best canned reply, scored by how far it stands above NO_REPLY; value None where there is none."""
    scores = dict(prediction.alternatives)
    replies = [(text, score) for text, score in prediction.alternatives if text != NO_REPLY]
    if not replies:
        return Prediction(value=None, score=-scores.get(NO_REPLY, 0.0))
    text, score = max(replies, key=lambda reply: reply[1])
    lowest = min(scores.values())
    return msgspec.structs.replace(prediction, value=text, score=score - scores.get(NO_REPLY, lowest))


def _unfit(one: JudgedCase) -> JudgedCase:
    return JudgedCase(one.case, msgspec.structs.replace(one.judgment, answer=NO_REPLY))
