"""What may not be kept is taken out of cases, work and judgments, before anything of them is."""

from __future__ import annotations

import msgspec

from tokencapital.core.answer import Exchange
from tokencapital.core.call import Step
from tokencapital.core.case import Case
from tokencapital.core.judgment import Judgment
from tokencapital.record.redaction import Redaction
from tokencapital.record.spans_settling import Found


def cleaned_case(case: Case, redaction: Redaction) -> Case:
    """The case with marks in place of what may not be kept."""
    messages, _ = redaction.messages(case.messages)
    context, count = redaction.json(dict(case.context))
    return msgspec.structs.replace(case, messages=messages, context=context if count else case.context)


def cleaned_work(found: Found, redaction: Redaction) -> Found:
    """The same with marks in all its text: the case, the answer, the steps, and the names of its outcomes."""
    case, head = cleaned_case(found.exchange.case, redaction), found.exchange.trajectory
    answer = msgspec.structs.replace(head.answer, value=redaction.value(head.answer.value))
    head = msgspec.structs.replace(head, answer=answer, failure=_text(head.failure, redaction))
    outcomes = tuple(msgspec.structs.replace(one, name=redaction.text(one.name)[0]) for one in found.outcomes)
    steps = tuple(_step(one, redaction) for one in found.steps)
    return msgspec.structs.replace(found, exchange=Exchange(case, head), steps=steps, outcomes=outcomes)


def cleaned_judgment(judgment: Judgment, redaction: Redaction) -> Judgment:
    """The same with marks in its answer and its reason."""
    answer, reason = redaction.value(judgment.answer), _text(judgment.reason, redaction)
    return msgspec.structs.replace(judgment, answer=answer, reason=reason)


def _step(step: Step, redaction: Redaction) -> Step:
    said = None if step.messages is None else redaction.messages(step.messages)[0]
    details, count = redaction.json(dict(step.details))
    return msgspec.structs.replace(
        step,
        name=redaction.text(step.name)[0],
        messages=said,
        failure=_text(step.failure, redaction),
        details=details if count else step.details,
    )


def _text(text: str | None, redaction: Redaction) -> str | None:
    return None if text is None else redaction.text(text)[0]
