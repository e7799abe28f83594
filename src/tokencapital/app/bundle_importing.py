"""A capability from a bundle, at home in this store: it answers as at its origin, on the word of who imports it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from tokencapital.app.bundle import Bundle
from tokencapital.app.bundle_reading import Opened, open_bundle
from tokencapital.app.platform import Platform
from tokencapital.core.case import Json, Mode
from tokencapital.core.errors import InputError, StoreConflict
from tokencapital.core.lesson import LessonState
from tokencapital.core.people import Contributor, Notice, NoticeKind
from tokencapital.core.policy import Decision, Evidence, Lane, Policy, Release
from tokencapital.store import releases as book
from tokencapital.store.audit import Act, Done, append_audit
from tokencapital.store.capabilities import declare_capability, declare_goal, read_capability
from tokencapital.store.carriage import (
    Carried,
    as_lesson,
    known_passages,
    refuse_known,
    renumbered,
    write_document,
    write_judgments,
    write_memory,
)
from tokencapital.store.cases import record_cases
from tokencapital.store.contributors import add_contributor
from tokencapital.store.database import Store
from tokencapital.store.judgments import Change, hold_memory, record_notice
from tokencapital.store.lessons import Decision as LessonDecision
from tokencapital.store.lessons import decide_lesson, propose_lesson
from tokencapital.store.manifest import seal_hidden, seal_unseen

IMPORTED = "imported"
"""The group of people whose judgments came in a bundle."""
_SHORT = 12
_FROM_ITS_BATCHES = frozenset({"batch", "comparison", "cases"})
"""What evidence says of sealed cases that stay at the origin."""


class Imported(Struct, frozen=True, kw_only=True):
    """A capability that came in a bundle. `origin` is the hash of its policy there, `policy` here: memory is
    numbered anew. `evals` are the sealed cases that came along with their words."""

    capability: str
    mode: Mode
    bundle: str
    release: Release
    origin: str
    policy: str
    counts: Mapping[str, int]
    evals: int


def import_bundle(
    platform: Platform, file: Path, *, by: str, expected: str | None = None, mode: Mode | None = None
) -> Imported:
    """The capability of the bundle is in the store, live as a change that `by` decided on; all of it, or nothing.

    `mode` None: that of its origin. Raises InputError where the file is no bundle, is damaged or is not the
    `expected` one, StoreConflict where the capability or one of its cases is in the store already.
    """
    if not by.strip():
        raise InputError("a bundle is imported by somebody who answers for it", remedy="Give --by.")
    opened = open_bundle(file, expected)
    change = Change(by, platform.clock.now())
    with platform.store.begin() as connection:
        done = _bring_in(platform, connection, opened, change, mode)
        body: dict[str, Json] = {"bundle": opened.digest, "origin": done.origin, "counts": dict(opened.manifest.counts)}
        act = Act(what=Done.BUNDLE_IMPORTED, subject=done.capability, at=change.at, by=by, body=body)
        append_audit(platform.store, connection, act)
    return done


def _bring_in(
    platform: Platform, connection: Connection, opened: Opened, change: Change, mode: Mode | None
) -> Imported:
    store, bundle = platform.store, opened.bundle
    hold_memory(connection)
    _refuse_known(store, connection, bundle)
    memory, evals = _named_anew(opened, bundle.memory), _named_anew(opened, bundle.evals)
    _tell(store, opened, [*memory, *evals], change)
    capability = msgspec.structs.replace(bundle.capability, mode=mode or bundle.capability.mode)
    declare_capability(store, capability, by=change.by, at=change.at)
    if bundle.goal is not None:
        declare_goal(store, msgspec.structs.replace(bundle.goal, owner=change.by), by=change.by, at=change.at)
    seal_hidden(store, connection, bundle.sealed, by=IMPORTED, at=change.at)
    numbers = write_memory(store, connection, memory, change)
    kept = _write_evals(store, connection, evals, change)
    _write_lessons(store, bundle, change)
    for document in bundle.documents:
        write_document(store, connection, document.document, document.passages, change)
    policy = msgspec.structs.replace(bundle.policy, memory=renumbered(bundle.policy.memory, numbers))
    _write_specialist(store, bundle, numbers, change.at)
    release = _release(platform, opened, policy, change)
    book.save_policy(store, policy)
    book.append_release(store, release)
    return Imported(
        capability=capability.name,
        mode=capability.mode,
        bundle=opened.digest,
        release=release,
        origin=bundle.policy.hash,
        policy=policy.hash,
        counts=opened.manifest.counts,
        evals=kept,
    )


def _refuse_known(store: Store, connection: Connection, bundle: Bundle) -> None:
    name = bundle.capability.name
    if read_capability(store, name) is not None:
        raise StoreConflict(
            f"`{name}` is in this store already",
            remedy="Import into another store, and take it out of tokencapital.toml if it is declared there.",
        )
    refuse_known(connection, [*bundle.memory, *bundle.evals], bundle.lessons)
    passage = known_passages(connection, (one.id for each in bundle.documents for one in each.passages))
    if passage is not None:
        raise StoreConflict(f"passage {passage} is in this store already", remedy="Import into another store.")


def _named_anew(opened: Opened, carried: Sequence[Carried]) -> list[Carried]:
    """The judged cases by contributors that no other bundle has."""
    prefix = opened.digest[:_SHORT]
    return [
        msgspec.structs.replace(
            one, judgment=msgspec.structs.replace(one.judgment, expert=f"{prefix}-{one.judgment.expert}")
        )
        for one in carried
    ]


def _tell(store: Store, opened: Opened, carried: Sequence[Carried], change: Change) -> None:
    """The contributors are declared, and the notice that they had at the origin is on record."""
    if not carried:
        return
    for expert in sorted({one.judgment.expert for one in carried}):
        add_contributor(store, Contributor(pseudonym=expert, group=IMPORTED), by=change.by, at=change.at)
    notice = Notice(
        id=f"ntc_bundle_{opened.digest[:_SHORT]}",
        group=IMPORTED,
        kind=NoticeKind.NOTICE,
        text=f"Those who judged had notice at the origin of bundle {opened.digest}.",
        terms="\n".join(opened.bundle.terms) or "none came along",
        given_on=min(one.judgment.at for one in carried),
        at=change.at,
        by=change.by,
    )
    record_notice(store, notice)


def _write_evals(store: Store, connection: Connection, evals: Sequence[Carried], change: Change) -> int:
    """The sealed cases that came with words and whose group nobody here has learned from are sealed here, too."""
    sealed = seal_unseen(store, connection, (one.case.group for one in evals), by=IMPORTED, at=change.at)
    kept = [one for one in evals if one.case.group in sealed]
    places = record_cases(store, connection, list({one.case.id: one.case for one in kept}.values()))
    still = {place.case_id for place in places if place.group in sealed}
    kept = [one for one in kept if one.case.id in still]
    write_judgments(store, kept)
    return len(kept)


def _write_lessons(store: Store, bundle: Bundle, change: Change) -> None:
    known = {one.judgment.id for one in bundle.memory if not one.taken_back}
    for carried in bundle.lessons:
        lesson = as_lesson(carried, bundle.capability.name, change)
        here = tuple(source for source in lesson.judgments if source in known)
        propose_lesson(store, msgspec.structs.replace(lesson, judgments=here))
        decision = LessonDecision(
            state=LessonState.APPROVED, by=change.by, at=change.at, valid_until=carried.valid_until
        )
        decide_lesson(store, lesson.id, decision)


def _write_specialist(store: Store, bundle: Bundle, numbers: Mapping[int, int], at: datetime) -> None:
    if bundle.specialist is None or bundle.trained is None:
        return
    lineage = [numbers[one] for one in bundle.trained.lineage if one in numbers]
    made = book.Artifact(
        kind=bundle.trained.kind, recipe=bundle.trained.recipe, body=bundle.specialist, lineage=lineage, at=at
    )
    digest = book.save_artifact(store, made)
    if book.is_erased(store, digest):
        raise StoreConflict("the specialist of this bundle was erased in this store", where=digest)


def _release(platform: Platform, opened: Opened, policy: Policy, change: Change) -> Release:
    before = opened.bundle.evidence or Evidence(n=0)
    details = {name: value for name, value in before.details.items() if name not in _FROM_ITS_BATCHES}
    return Release(
        id=platform.ids.new("rel"),
        capability=policy.capability,
        policy=policy.hash,
        at=change.at,
        lane=Lane.CHANGE,
        decision=Decision.PROMOTED,
        evidence=Evidence(
            n=0,
            grade=before.grade,
            reason=f"imported from bundle {opened.digest[:_SHORT]}; proven at its origin, not here",
            details={**details, "imported": opened.digest, "origin_policy": opened.manifest.policy},
        ),
        decided_by=change.by,
    )
