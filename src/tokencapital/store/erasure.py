"""Erasing what somebody wrote, while every fact and every count stays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Select, or_, select

from tokencapital.store.copies import copied_answers, strings_of
from tokencapital.store.database import Store, chunks, next_numbers
from tokencapital.store.joins import forget_joins
from tokencapital.store.judgments import ERASED, WORDS, Change, hold_memory, withdraw_all
from tokencapital.store.lessons import COUNTER, lessons_resting_on
from tokencapital.store.payloads import decoded
from tokencapital.store.queue import bring_up_to_date
from tokencapital.store.rows import stands
from tokencapital.store.schema import (
    account,
    artifact,
    conflict_event,
    contributor_name,
    judgment,
    lesson_event,
    memory_event,
    payload,
    step,
    trajectory,
    web_session,
    work_case,
)
from tokencapital.store.spans import payloads_of_runs

_MACHINE_WORDED = ("generalist", "pattern")


class Scope(Struct, frozen=True, kw_only=True):
    """What is to be erased: all that was written about `cases`, and all that was said in `judgments`.

    `contributor` None: nobody's other words.
    """

    cases: tuple[str, ...]
    judgments: tuple[str, ...]
    contributor: str | None = None


class Wiped(Struct, frozen=True, kw_only=True):
    """How much was erased, by what it was. `withdrawn` are the judgments that memory has let go of.

    `copies` are answers to other cases that held words of an erased answer, `reasons` include those of
    retractions and decisions, `lessons` the ids of those whose words are gone, `steps` what was said on the way, and
    `spans` what was told of it.
    """

    cases: int
    answers: int
    steps: int
    spans: int
    copies: int
    judgments: int
    reasons: int
    lessons: tuple[str, ...]
    withdrawn: tuple[str, ...]

    @property
    def payloads(self) -> int:
        """All payloads that were erased."""
        answered = self.cases + self.answers + self.steps + self.spans + self.copies
        return answered + self.judgments + self.reasons + len(self.lessons)


def erase_case(store: Store, case_id: str, *, by: str, at: datetime) -> int:
    """Nothing that was written about the case can be read again; returns how many payloads that erased.

    Its facts, its counts and the digests stay. Its judgments are withdrawn from memory.
    """
    with store.begin() as connection:
        return erase_words(store, connection, scope_of_cases(connection, [case_id]), by=by, at=at).payloads


def cases_of_group(connection: Connection, group: str) -> list[str]:
    """The cases of an entity group: those that came under its name, and identical inputs that share it."""
    query = select(work_case.c.id).where(or_(work_case.c.entity_group == group, work_case.c.given_group == group))
    return list(connection.execute(query.order_by(work_case.c.position)).scalars())


def scope_of_cases(connection: Connection, case_ids: Sequence[str]) -> Scope:
    """All that was written about the cases."""
    found: list[str] = []
    for some in chunks(case_ids):
        query = select(judgment.c.id).where(judgment.c.case_id.in_(some)).order_by(judgment.c.sequence)
        found += connection.execute(query).scalars()
    return Scope(cases=tuple(case_ids), judgments=tuple(found))


def scope_of_contributor(connection: Connection, pseudonym: str) -> Scope:
    """All that a contributor said, of whatever case."""
    query = select(judgment.c.id).where(judgment.c.expert == pseudonym).order_by(judgment.c.sequence)
    return Scope(cases=(), judgments=tuple(connection.execute(query).scalars()), contributor=pseudonym)


def erase_words(store: Store, connection: Connection, scope: Scope, *, by: str, at: datetime) -> Wiped:
    """No word in the scope can be read again, and memory, queue and readers of lessons have heard of it. No call goes
    on with an erased conversation.

    A payload that somebody else's fact names too, because they said the same of the same case, stays.
    """
    hold_memory(connection)
    copies = _copies(connection, scope)
    standing = _standing(connection, scope)
    withdraw_all(store, standing, Change(by, at, ERASED))
    runs = _runs(connection, scope)
    wiped = Wiped(
        cases=_erase(connection, _digests(connection, _of_cases(scope)), at),
        answers=_erase(connection, _digests(connection, _of_runs(scope)), at),
        steps=_erase(connection, _digests(connection, _of_steps(scope)), at),
        spans=_erase(connection, payloads_of_runs(connection, runs), at),
        copies=_erase(connection, copies, at),
        judgments=_erase(connection, _unshared(connection, scope), at),
        reasons=_erase(connection, _reasons(connection, scope), at),
        lessons=_erase_lessons(connection, scope, at),
        withdrawn=tuple(standing),
    )
    forget_joins(connection, runs)
    bring_up_to_date(store, connection, scope.cases)
    next_numbers(connection, COUNTER, 1)
    return wiped


def erase_person(connection: Connection, pseudonym: str) -> dict[str, int]:
    """The contributor's name, login, secret and sessions are gone; returns how many names, accounts and sessions.

    The account's row stays without a login that anybody knows: a house that had accounts never opens again.
    """
    logins = list(connection.execute(select(account.c.login).where(account.c.contributor == pseudonym)).scalars())
    named = connection.execute(contributor_name.delete().where(contributor_name.c.contributor == pseudonym)).rowcount
    sessions = connection.execute(web_session.delete().where(web_session.c.login.in_(logins))).rowcount
    for number, login in enumerate(logins):
        closed = account.update().where(account.c.login == login)
        nobody = f"erased-{pseudonym}" + (f"-{number}" if number else "")
        connection.execute(closed.values(login=nobody, secret="", active=False))
    return {"names": named, "accounts": len(logins), "sessions": sessions}


def compact(store: Store) -> bool:
    """Whether what was erased is gone from the store's files, too, and not only overwritten in its tables.

    False: a reader held an earlier state; call it again. On PostgreSQL copies may live on in the server's log
    of changes, in replicas and in backups until these are overwritten.
    """
    if store.dialect == "sqlite":
        store.run_alone("VACUUM")
        return int(store.run_alone("PRAGMA wal_checkpoint(TRUNCATE)")) == 0
    for table in (payload, artifact, contributor_name, account, web_session):
        store.run_alone(f"VACUUM FULL {table.name}")
    return True


def _standing(connection: Connection, scope: Scope) -> list[str]:
    found: list[str] = []
    for some in chunks(scope.judgments):
        query = select(judgment.c.id).where(judgment.c.id.in_(some), stands()).order_by(judgment.c.sequence)
        found += connection.execute(query).scalars()
    return found


def _of_cases(scope: Scope) -> Iterator[Select[Any]]:
    for some in chunks(scope.cases):
        yield select(work_case.c.payload).where(work_case.c.id.in_(some))


def _runs(connection: Connection, scope: Scope) -> list[str]:
    queries = (select(trajectory.c.id).where(trajectory.c.case_id.in_(some)) for some in chunks(scope.cases))
    return [found for query in queries for found in connection.execute(query).scalars()]


def _of_runs(scope: Scope) -> Iterator[Select[Any]]:
    for some in chunks(scope.cases):
        yield select(trajectory.c.payload).where(trajectory.c.case_id.in_(some))


def _of_steps(scope: Scope) -> Iterator[Select[Any]]:
    for some in chunks(scope.cases):
        yield select(step.c.payload).where(step.c.case_id.in_(some))


def _unshared(connection: Connection, scope: Scope) -> list[str]:
    """The payloads of the judgments' answers that no fact outside the scope names."""
    wanted = set(_digests(connection, (select(judgment.c.payload).where(judgment.c.id.in_(s)) for s in _some(scope))))
    mine, shared = set(scope.judgments), set[str]()
    for some in chunks(wanted):
        runs = select(trajectory.c.payload, trajectory.c.case_id).where(trajectory.c.payload.in_(some))
        shared |= {row.payload for row in connection.execute(runs) if row.case_id not in set(scope.cases)}
        others = select(judgment.c.payload, judgment.c.id).where(judgment.c.payload.in_(some))
        shared |= {row.payload for row in connection.execute(others) if row.id not in mine}
    return sorted(wanted - shared)


def _reasons(connection: Connection, scope: Scope) -> list[str]:
    """The payloads of what was said beside answers: reasons of judgments, of retractions, of settled conflicts."""
    found = _digests(connection, (select(judgment.c.reason_payload).where(judgment.c.id.in_(s)) for s in _some(scope)))
    taken_back = memory_event.c.reason.startswith(WORDS)
    queries = [
        select(memory_event.c.reason).where(memory_event.c.judgment_id.in_(some), taken_back) for some in _some(scope)
    ]
    if scope.cases:
        found += _conflicts_of(connection, frozenset(scope.cases))
    if scope.contributor is not None:
        queries.append(select(memory_event.c.reason).where(memory_event.c.by == scope.contributor, taken_back))
        found += _digests(
            connection,
            [
                select(conflict_event.c.reason_payload).where(conflict_event.c.by == scope.contributor),
                select(lesson_event.c.text_payload).where(
                    lesson_event.c.by == scope.contributor, lesson_event.c.kind != "proposed"
                ),
            ],
        )
    return [*found, *(reason.removeprefix(WORDS) for reason in _digests(connection, queries))]


def _conflicts_of(connection: Connection, cases: frozenset[str]) -> list[str]:
    """The payloads of what was said when conflicts on these cases were settled."""
    query = select(conflict_event.c.body, conflict_event.c.reason_payload)
    rows = connection.execute(query.where(conflict_event.c.reason_payload.is_not(None)))
    return [row.reason_payload for row in rows if msgspec.json.decode(row.body)["case"] in cases]


def _erase_lessons(connection: Connection, scope: Scope, at: datetime) -> tuple[str, ...]:
    """The lessons whose words are gone: nothing else is behind them, or they are the contributor's own words."""
    gone = [one.id for one in lessons_resting_on(connection, scope.judgments) if not _rests(connection, one.judgments)]
    if scope.contributor is not None:
        own = select(lesson_event.c.lesson).where(
            lesson_event.c.by == scope.contributor,
            lesson_event.c.kind == "proposed",
            *(~lesson_event.c.body.contains(f'"wording":"{one}"') for one in _MACHINE_WORDED),
        )
        gone += connection.execute(own).scalars()
    erased = []
    for lesson in sorted(set(gone)):
        query = select(lesson_event.c.text_payload).where(lesson_event.c.lesson == lesson)
        if _erase(connection, _digests(connection, [query]), at):
            erased.append(lesson)
    return tuple(erased)


def _rests(connection: Connection, judgments: Iterable[str]) -> bool:
    """Whether one of the judgments still has its words."""
    for some in chunks(judgments):
        query = (
            select(judgment.c.id)
            .join_from(judgment, payload, judgment.c.payload == payload.c.digest)
            .join(work_case, judgment.c.case_id == work_case.c.id)
            .where(judgment.c.id.in_(some), payload.c.erased_at.is_(None), stands())
            .limit(1)
        )
        if connection.execute(query).first() is not None:
            return True
    return False


def _copies(connection: Connection, scope: Scope) -> list[str]:
    """Answers to other cases that hold words of the answers in the scope."""
    said: dict[str, dict[str, datetime]] = {}
    for some in _some(scope):
        query = (
            select(judgment.c.capability, judgment.c.at, payload.c.body)
            .join_from(judgment, payload, judgment.c.payload == payload.c.digest)
            .where(judgment.c.id.in_(some), payload.c.body.is_not(None))
        )
        for row in connection.execute(query):
            first = said.setdefault(row.capability, {})
            for string in strings_of(decoded(row.body)):
                first[string] = min(row.at, first.get(string, row.at))
    mine = set(_digests(connection, _of_runs(scope)))
    found = [
        digest
        for capability, strings in sorted(said.items())
        for digest in copied_answers(connection, capability, strings, scope.judgments)
    ]
    return [digest for digest in found if digest not in mine]


def _some(scope: Scope) -> Iterator[list[str]]:
    return chunks(scope.judgments)


def _digests(connection: Connection, queries: Iterable[Select[Any]]) -> list[str]:
    return [one for query in queries for one in connection.execute(query).scalars() if one is not None]


def _erase(connection: Connection, digests: Iterable[str], at: datetime) -> int:
    erased = 0
    for some in chunks(digests):
        there = payload.update().where(payload.c.digest.in_(some), payload.c.body.is_not(None))
        erased += connection.execute(there.values(body=None, erased_at=at)).rowcount
    return erased
