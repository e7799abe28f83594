"""A capability in one file: everything that decides its answers, checksummed, and nobody's name.

A zip archive without compression, its parts in a fixed order and without dates: the same capability gives the
same bytes. `manifest.json` has the SHA-256 of every other part; the SHA-256 of the manifest is the bundle's
name.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from tokencapital.app.platform import Platform, Workplace
from tokencapital.core.case import Capability, Goal, Json
from tokencapital.core.errors import GateError, InputError
from tokencapital.core.judgment import JudgedCase
from tokencapital.core.knowledge import Document, Passage
from tokencapital.core.policy import Evidence, Policy
from tokencapital.evaluate.sealed import sealed_for_bundle
from tokencapital.store.audit import Act, Done, append_audit
from tokencapital.store.carriage import Carried, CarriedLesson, carried_lessons, carried_memory, carried_sealed
from tokencapital.store.contributors import groups_of
from tokencapital.store.database import Store
from tokencapital.store.knowledge import documents, passages_of
from tokencapital.store.manifest import hidden_name, sealed_groups
from tokencapital.store.notices import notices
from tokencapital.store.releases import lineage_of, live_release, load_artifact

FORMAT = 1
MANIFEST = "manifest.json"
NO_DATE = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip archive knows."""

CAPABILITY, GOAL, POLICY, RELEASE = "capability.json", "goal.json", "policy.json", "release.json"
SPECIALIST, LINEAGE = "specialist.npz", "specialist.json"
MEMORY, LESSONS, DOCUMENTS, TERMS = "memory.jsonl", "lessons.jsonl", "documents.jsonl", "terms.json"
EVALS, EVAL_CASES, ENVIRONMENTS = "evals.json", "evals.jsonl", "environments.json"


class Manifest(Struct, frozen=True, kw_only=True):
    """What is in a bundle. `policy` is the hash under which the capability answered at its origin.

    `sealed` are the hidden names of groups that must never teach; `parts` the SHA-256 of each part.
    """

    format: int
    capability: str
    policy: str
    counts: Mapping[str, int]
    sealed: tuple[str, ...]
    parts: Mapping[str, str]


class Trained(Struct, frozen=True, kw_only=True):
    """How the specialist was made; `lineage` are numbers of the memory at its origin."""

    kind: str
    recipe: str
    lineage: tuple[int, ...]


class EvalTask(Struct, frozen=True):
    """A sealed judged case by hash: whoever has its words can tell that they are the same."""

    case: str
    group: str
    content: str


class CarriedDocument(Struct, frozen=True):
    """A document of the company with its passages, without whose it is."""

    document: Document
    passages: tuple[Passage, ...]


class Bundle(Struct, frozen=True, kw_only=True):
    """What a bundle holds. `specialist` None: the policy has none. `evals` is empty unless they came with words."""

    capability: Capability
    goal: Goal | None
    policy: Policy
    evidence: Evidence | None
    specialist: bytes | None
    trained: Trained | None
    memory: tuple[Carried, ...]
    lessons: tuple[CarriedLesson, ...]
    documents: tuple[CarriedDocument, ...]
    terms: tuple[str, ...]
    tasks: tuple[EvalTask, ...]
    evals: tuple[Carried, ...]
    sealed: tuple[str, ...]


class Exported(Struct, frozen=True, kw_only=True):
    """A bundle that was written: its name, its size in bytes, and what it holds."""

    file: str
    digest: str
    size: int
    manifest: Manifest


def export_bundle(platform: Platform, capability: str, file: Path, *, by: str, with_evals: bool = False) -> Exported:
    """The capability as it answers now is in the file, whole, or the file is as it was before.

    Sealed cases go along by hash only, unless `with_evals`. Raises UnknownCapability, InputError where the
    file cannot be written, GateError where the live specialist was erased.
    """
    place = platform.workplace(capability)
    with platform.store.read():
        packed = pack(gather_bundle(place, with_evals=with_evals))
    _write(file, packed.body)
    counts = packed.manifest.counts
    with platform.store.begin() as connection:
        body = {"digest": packed.digest, "counts": dict(counts), "with_evals": with_evals}
        act = Act(what=Done.BUNDLE_EXPORTED, subject=capability, at=platform.clock.now(), by=by, body=body)
        append_audit(platform.store, connection, act)
    return Exported(file=str(file), digest=packed.digest, size=len(packed.body), manifest=packed.manifest)


class Packed(Struct, frozen=True):
    """A bundle as bytes, with its name."""

    body: bytes
    digest: str
    manifest: Manifest


def pack(bundle: Bundle) -> Packed:
    """The bundle as bytes; the same bundle gives the same bytes."""
    parts = dict(_parts(bundle))
    manifest = Manifest(
        format=FORMAT,
        capability=bundle.capability.name,
        policy=bundle.policy.hash,
        counts={
            "judgments": len(bundle.memory),
            "contributors": len({one.judgment.expert for one in bundle.memory}),
            "lessons": len(bundle.lessons),
            "documents": len(bundle.documents),
            "sealed_tasks": len(bundle.tasks),
            "sealed_with_words": len(bundle.evals),
            "environments": 0,
        },
        sealed=bundle.sealed,
        parts={name: hashlib.sha256(body).hexdigest() for name, body in parts.items()},
    )
    said = msgspec.json.encode(manifest, order="sorted")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, body in [(MANIFEST, said), *sorted(parts.items())]:
            archive.writestr(_entry(name), body)
    return Packed(file.getvalue(), hashlib.sha256(said).hexdigest(), manifest)


def gather_bundle(place: Workplace, *, with_evals: bool) -> Bundle:
    """All that decides the answers of a capability now."""
    store, name, now = place.store, place.name, place.now()
    policy = place.releases.live(name).policy
    release = live_release(store, name)
    memory = carried_memory(store, name)
    judged = sealed_for_bundle(store, name)
    evals = carried_sealed(judged) if with_evals else []
    known = {one.judgment.sequence for one in memory}
    specialist = _specialist(store, policy)
    with store.read() as connection:
        sealed = tuple(hidden_name(group) for group in sealed_groups(connection, name))
    return Bundle(
        capability=place.capability,
        goal=None if place.goal is None else msgspec.structs.replace(place.goal, owner=""),
        policy=policy,
        evidence=release.evidence if release else None,
        specialist=specialist,
        trained=_trained(place, policy, known),
        memory=_anonymous(memory, memory),
        lessons=tuple(carried_lessons(store, name, now)),
        documents=_documents(store, policy),
        terms=_terms(store, {one.judgment.expert for one in memory}),
        tasks=tuple(_task(one) for one in judged),
        evals=_anonymous(evals, [*memory, *evals]),
        sealed=tuple(sorted(sealed)),
    )


def _specialist(store: Store, policy: Policy) -> bytes | None:
    if policy.specialist is None:
        return None
    body = load_artifact(store, policy.specialist)
    if body is None:
        raise GateError(
            "the live specialist was erased, and its successor is not made yet",
            where=policy.capability,
            remedy="Run `tcap improve`, then export.",
        )
    return body


def _trained(place: Workplace, policy: Policy, known: set[int]) -> Trained | None:
    specialist = place.releases.live(place.name).specialist
    if policy.specialist is None or specialist is None:
        return None
    lineage = tuple(one for one in lineage_of(place.store, policy.specialist) if one in known)
    return Trained(kind="specialist", recipe=specialist.recipe, lineage=lineage)


def _anonymous(carried: Sequence[Carried], everybody: Sequence[Carried]) -> tuple[Carried, ...]:
    """The judged cases with `contributor-1`, … in the order in which people first appear among `everybody`."""
    names: dict[str, str] = {}
    for one in everybody:
        names.setdefault(one.judgment.expert, f"contributor-{len(names) + 1}")
    return tuple(
        msgspec.structs.replace(one, judgment=msgspec.structs.replace(one.judgment, expert=names[one.judgment.expert]))
        for one in carried
    )


def _documents(store: Store, policy: Policy) -> tuple[CarriedDocument, ...]:
    """The company's documents where the policy shows passages of them."""
    if not policy.passages:
        return ()
    return tuple(
        CarriedDocument(
            msgspec.structs.replace(one, owner="", by=""),
            tuple(passage for passage in passages_of(store, one.id, one.version) if passage.text is not None),
        )
        for one in documents(store)
        if not one.retired
    )


def _terms(store: Store, experts: Iterable[str]) -> tuple[str, ...]:
    """The terms under which the contributors gave what they said."""
    with store.read() as connection:
        groups = set(groups_of(connection, experts).values())
    return tuple(sorted({one.terms for one in notices(store) if one.group in groups}))


def _task(one: JudgedCase) -> EvalTask:
    content: Json = [one.case.messages, one.case.context, one.judgment.answer]
    said = hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()
    return EvalTask(one.case.id, hidden_name(one.case.group), said)


def _parts(bundle: Bundle) -> Iterator[tuple[str, bytes]]:
    yield CAPABILITY, _json(bundle.capability)
    yield POLICY, _json(bundle.policy)
    yield TERMS, _json(bundle.terms)
    yield EVALS, _json(bundle.tasks)
    yield ENVIRONMENTS, b"[]"
    yield MEMORY, _lines(bundle.memory)
    yield LESSONS, _lines(bundle.lessons)
    yield DOCUMENTS, _lines(bundle.documents)
    if bundle.goal is not None:
        yield GOAL, _json(bundle.goal)
    if bundle.evidence is not None:
        yield RELEASE, _json(bundle.evidence)
    if bundle.specialist is not None:
        yield SPECIALIST, bundle.specialist
        yield LINEAGE, _json(bundle.trained)
    if bundle.evals:
        yield EVAL_CASES, _lines(bundle.evals)


def _json(content: object) -> bytes:
    return msgspec.json.encode(content)


def _lines(contents: Iterable[object]) -> bytes:
    return b"".join(msgspec.json.encode(one) + b"\n" for one in contents)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, NO_DATE)
    entry.external_attr = 0o600 << 16
    entry.create_system = 3
    return entry


def _write(file: Path, body: bytes) -> None:
    beside = file.with_name(f"{file.name}.part")
    try:
        beside.write_bytes(body)
        beside.replace(file)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(file)) from error
