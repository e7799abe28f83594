"""Judged cases as the database returns them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Row, ScalarSelect, Select, exists, func, select

from tokencapital.core.case import Case
from tokencapital.core.judgment import DrawKind, JudgedCase, Judgment, Verdict
from tokencapital.store.cases import CaseInput, decode_input
from tokencapital.store.payloads import decoded
from tokencapital.store.schema import judgment, memory_event, payload, work_case

_input, _answer, _reason = payload.alias("input"), payload.alias("answer"), payload.alias("reason")


def judgments_with_words() -> Select[Any]:
    """Judgments with their cases and payloads; a body is None where it was erased."""
    columns = (
        judgment,
        work_case.c.entity_group,
        work_case.c.at.label("case_at"),
        work_case.c.business_key,
        _input.c.body.label("input_body"),
        _answer.c.body.label("answer_body"),
        _reason.c.body.label("reason_body"),
    )
    return (
        select(*columns)
        .join_from(judgment, work_case, judgment.c.case_id == work_case.c.id)
        .join(_input, work_case.c.payload == _input.c.digest)
        .join(_answer, judgment.c.payload == _answer.c.digest)
        .outerjoin(_reason, judgment.c.reason_payload == _reason.c.digest)
    )


def stands() -> ColumnElement[bool]:
    """Whether a judgment was not withdrawn."""
    gone = exists().where(memory_event.c.judgment_id == judgment.c.id, memory_event.c.kind == "withdrawn")
    return ~gone.correlate(judgment)


def ends() -> ScalarSelect[Any]:
    """Until when a judgment holds, as last decided."""
    expired = memory_event.alias("expired")
    last = (
        select(expired.c.valid_until)
        .where(expired.c.judgment_id == judgment.c.id, expired.c.kind == "expired")
        .order_by(expired.c.sequence.desc())
        .limit(1)
        .correlate(judgment)
        .scalar_subquery()
    )
    return select(func.coalesce(last, judgment.c.valid_until)).correlate(judgment).scalar_subquery()


def judgment_of(row: Row[Any]) -> Judgment:
    """The judgment in a row of `judgments_with_words`, as it was given."""
    return Judgment(
        id=row.id,
        case=row.case_id,
        capability=row.capability,
        expert=row.expert,
        at=row.at,
        verdict=Verdict(row.verdict),
        answer=None if row.answer_body is None else decoded(row.answer_body),
        drawn=DrawKind(row.drawn),
        probability=row.probability,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        reason=None if row.reason_body is None else decoded(row.reason_body),
        minutes=row.minutes,
        blind=row.blind,
        sequence=row.sequence,
    )


def judged_of(row: Row[Any]) -> JudgedCase | None:
    """The judged case in a row of `judgments_with_words`; None where its words were erased."""
    if row.input_body is None:
        return None
    content: CaseInput = decode_input(row.input_body)
    case = Case(
        id=row.case_id,
        capability=row.capability,
        group=row.entity_group,
        at=row.case_at,
        messages=content.messages,
        context=content.context,
        key=row.business_key,
    )
    return JudgedCase(case, judgment_of(row))
