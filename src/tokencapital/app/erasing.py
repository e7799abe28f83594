"""Erasing what a customer, a contributor or a case left in words, and what was made of it.

Words go at once, and so does every artifact that can hold them. An artifact that holds numbers only serves on
until the loop's next turn has made it anew, and is then erased, too. Facts, counts and chains stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from tokencapital.app.platform import Platform
from tokencapital.app.rebuilding import rebuild
from tokencapital.app.recording import drain_all, spool_folder
from tokencapital.app.tracing import settle_spans
from tokencapital.core.case import Capability, ContractKind
from tokencapital.core.errors import InputError, StoreUnavailable
from tokencapital.core.policy import Release
from tokencapital.models.artifacts import words_in
from tokencapital.record.spool import drained_now
from tokencapital.record.spool_dead import dead_letters
from tokencapital.store.audit import Act, Done, append_audit
from tokencapital.store.capabilities import read_capability
from tokencapital.store.contributors import declared_contributors
from tokencapital.store.database import Store
from tokencapital.store.erasure import (
    Scope,
    Wiped,
    cases_of_group,
    compact,
    erase_person,
    erase_words,
    scope_of_cases,
    scope_of_contributor,
)
from tokencapital.store.rebuilds import (
    NOT_LIVE,
    Rebuild,
    artifacts_resting_on,
    erase_artifact,
    mark_done,
    queue_rebuild,
)
from tokencapital.store.releases import live_release, load_artifact, policies_with
from tokencapital.store.remains import facts_about, has_case, labels_left

CARRY_S = 30.0
"""So long a server that drains is waited for before an erasure."""
REBUILD_WITHIN = timedelta(days=30)
"""So long an artifact that holds numbers only may serve on; `tcap verify` names one that has waited longer."""


class Ground(StrEnum):
    """Why something is erased. Words would outlive what they explain."""

    REQUEST = "request"
    RETENTION = "retention"
    MISTAKE = "mistake"


class Erasure(Struct, frozen=True, kw_only=True):
    """What somebody wants erased: all of a customer's `group`, all that a `contributor` said, or one `case`.

    `rebuild`: artifacts are made anew right away, also where no live goal is declared.
    """

    by: str
    group: str | None = None
    contributor: str | None = None
    case: str | None = None
    ground: Ground = Ground.REQUEST
    rebuild: bool = False


class ArtifactFate(Struct, frozen=True, kw_only=True):
    """An artifact that was built from erased judgments.

    `erased`: its content is gone. `live`: a release that was live was answering with it. `due`: until when
    it is made anew; None: nobody needs it again, or that was tried at once.
    """

    artifact: str
    capability: str
    erased: bool
    live: bool
    due: datetime | None


class Erased(Struct, frozen=True, kw_only=True):
    """What was erased, as act `number` of the audit chain, and what stays.

    `facts` counts what stays without words. `people` counts names, accounts and sessions. `rebuilt` are the
    gate's decisions on what was made anew right away. `compacted`: the store's files hold none of it any
    more; None: nobody has tried yet. `set_aside` counts what the store would not take and waits on disk, of whomever.
    """

    number: int
    kind: str
    subject: str
    by: str
    at: datetime
    ground: Ground
    wiped: Wiped
    people: Mapping[str, int]
    facts: Mapping[str, int]
    artifacts: tuple[ArtifactFate, ...]
    rebuilt: tuple[Release, ...] = ()
    compacted: bool | None = None
    set_aside: int = 0


async def erase_and_rebuild(platform: Platform, asked: Erasure) -> Erased:
    """The erasure is done, its artifacts are made anew where a goal is live or it was asked for, and files compacted.

    Raises InputError where nothing is known of whom or what is to be erased.
    """
    done = erase(platform, asked)
    now = platform.clock.now()
    rebuilt: list[Release] = []
    tried: set[str] = set()
    for name in sorted({one.capability for one in done.artifacts if one.due is not None}):
        place = platform.workplace(name)
        if asked.rebuild or (place.goal is not None and place.goal.is_live(now)):
            rebuilt += await rebuild(place, f"erasure-{done.number}")
            tried.add(name)
    fates = [
        msgspec.structs.replace(one, erased=True, due=None) if one.capability in tried else one
        for one in done.artifacts
    ]
    return msgspec.structs.replace(
        done, artifacts=tuple(fates), rebuilt=tuple(rebuilt), compacted=compact(platform.store)
    )


def erase(platform: Platform, asked: Erasure) -> Erased:
    """No word in the scope can be read again, from the next request on; the files are not compacted yet.

    What was acknowledged before and waits on disk is carried into the store first, so that none of it comes back.
    Raises InputError where nothing is known of whom or what is to be erased, StoreUnavailable where something waits on.
    """
    store, now = platform.store, platform.clock.now()
    kind, subject = _subject(asked)
    if asked.contributor is None:
        carry_over(platform)
    with store.begin() as connection:
        scope = _scope(connection, kind, subject)
        facts = facts_about(connection, scope)
        wiped = erase_words(store, connection, scope, by=asked.by, at=now)
        people = {} if scope.contributor is None else erase_person(connection, scope.contributor)
        fates = _artifacts(platform, connection, scope, asked.by)
        body = {
            "kind": kind,
            "ground": asked.ground.value,
            "payloads": wiped.payloads,
            "judgments": len(wiped.withdrawn),
            "lessons": list(wiped.lessons),
            "artifacts": {one.artifact: "erased" if one.erased else "waits" for one in fates},
        }
        act = Act(what=Done.ERASED, subject=subject, at=now, by=asked.by, body=body)
        number = append_audit(store, connection, act)
    return Erased(
        number=number,
        kind=kind,
        subject=subject,
        by=asked.by,
        at=now,
        ground=asked.ground,
        wiped=wiped,
        people=people,
        facts=facts,
        artifacts=tuple(fates),
        set_aside=len(dead_letters(spool_folder(platform.settings))),
    )


def carry_over(platform: Platform, wait_s: float = CARRY_S) -> None:
    """What was acknowledged until now is in the store, and all spans that were told are trajectories.

    Where a server drains it is waited for. Raises StoreUnavailable where something still waits after so long.
    """
    root = spool_folder(platform.settings)
    if root.is_dir():
        drain_all(platform.store, platform.settings, platform.clock)
        if not drained_now(root, wait_s):
            raise StoreUnavailable(
                "what was acknowledged lately still waits on disk, and would come back after an erasure",
                where=str(root),
                remedy="Nothing was erased. See with `tcap doctor` why it waits, and erase then.",
            )
    settle_spans(platform)


def _subject(asked: Erasure) -> tuple[str, str]:
    named = {"group": asked.group, "contributor": asked.contributor, "case": asked.case}
    given = [(kind, value) for kind, value in named.items() if value]
    if len(given) != 1:
        raise InputError("an erasure names a group, a contributor or a case", remedy="Give exactly one of the three.")
    if not asked.by.strip():
        raise InputError("an erasure needs the name of who carries it out")
    return given[0]


def _scope(connection: Connection, kind: str, subject: str) -> Scope:
    if kind == "contributor":
        scope = scope_of_contributor(connection, subject)
        known = scope.judgments or subject in declared_contributors(connection, [subject])
        if not known and not any(facts_about(connection, scope).values()):
            raise InputError(f"no contributor is called {subject}", remedy="Give the pseudonym, not the name.")
        return scope
    cases = cases_of_group(connection, subject) if kind == "group" else [subject]
    if not cases or (kind == "case" and not has_case(connection, subject)):
        raise InputError(f"no case of {kind} {subject} is stored", remedy="Groups and cases are named on a run's page.")
    return scope_of_cases(connection, cases)


def _artifacts(platform: Platform, connection: Connection, scope: Scope, by: str) -> list[ArtifactFate]:
    return [_fate(platform, connection, digest, by) for digest in artifacts_resting_on(connection, scope.judgments)]


def _fate(platform: Platform, connection: Connection, digest: str, by: str) -> ArtifactFate:
    """What becomes of an artifact: its content is erased unless it holds numbers only and is live."""
    store, now = platform.store, platform.clock.now()
    policies = policies_with(store, digest)
    name = policies[0].capability if policies else ""
    live = _is_live(store, name, [one.hash for one in policies])
    kept = live and not _holds_words(store, connection, digest, read_capability(store, name))
    asked = Rebuild(artifact=digest, capability=name, because=NOT_LIVE, at=now, by=by)
    if not kept:
        erase_artifact(connection, digest, now)
    if live:
        queue_rebuild(connection, msgspec.structs.replace(asked, because="erasure"))
    else:
        mark_done(connection, asked)
    due = now + REBUILD_WITHIN if live else None
    return ArtifactFate(artifact=digest, capability=name, erased=not kept, live=live, due=due)


def _is_live(store: Store, capability: str, policies: Sequence[str]) -> bool:
    release = live_release(store, capability)
    return release is not None and release.policy in policies


def _holds_words(store: Store, connection: Connection, digest: str, capability: Capability | None) -> bool:
    """Whether words of somebody could be read in an artifact: any value of a field or text, and any label that
    is neither declared nor in a judgment that is left."""
    body = load_artifact(store, digest)
    if body is None or capability is None or capability.contract.kind is not ContractKind.LABEL:
        return True
    labels = words_in(body)
    if labels is None:
        return True
    unknown = labels - frozenset(capability.contract.labels)
    return bool(unknown and unknown - labels_left(connection, capability.name))
