"""Opening a bundle: nothing of it is used before every part is what the manifest says."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tokencapital.app import bundle as parts
from tokencapital.app.bundle import FORMAT, MANIFEST, Bundle, CarriedDocument, EvalTask, Manifest, Trained
from tokencapital.core.case import Capability, Goal
from tokencapital.core.errors import InputError
from tokencapital.core.policy import Evidence, Policy
from tokencapital.models.artifacts import load_specialist
from tokencapital.store.carriage import Carried, CarriedLesson

T = TypeVar("T")

MOST_BYTES = 8 * 2**30
"""No part is read that claims to be longer."""

_ALWAYS = {parts.CAPABILITY, parts.POLICY, parts.TERMS, parts.EVALS, parts.ENVIRONMENTS, parts.MEMORY}
_ALWAYS |= {parts.LESSONS, parts.DOCUMENTS}
_SOMETIMES = {parts.GOAL, parts.RELEASE, parts.SPECIALIST, parts.LINEAGE, parts.EVAL_CASES}
_REMEDY = "Get the file again from where it was exported."


class Opened(msgspec.Struct, frozen=True):
    """A bundle that was checked, with its name: the SHA-256 of its manifest."""

    bundle: Bundle
    manifest: Manifest
    digest: str


def open_bundle(file: Path, expected: str | None = None) -> Opened:
    """The bundle in the file, every part of it checked.

    Raises InputError where it is no bundle, is damaged or was changed, is of another format, or is not the one
    whose name is `expected` (None: any).
    """
    try:
        with zipfile.ZipFile(file) as archive:
            found = {entry.filename: _read(archive, entry) for entry in archive.infolist()}
            twice = len(archive.infolist()) != len(found)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where=str(file)) from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise InputError("this is no bundle, or it is damaged", where=str(file), remedy=_REMEDY) from error
    if twice:
        raise InputError("it has a part twice", where=str(file), remedy=_REMEDY)
    return _checked(found, str(file), expected)


def _checked(found: dict[str, bytes], where: str, expected: str | None) -> Opened:
    said = found.pop(MANIFEST, None)
    if said is None:
        raise InputError("it has no manifest: this is no bundle", where=where)
    digest = hashlib.sha256(said).hexdigest()
    if expected is not None and digest != expected:
        raise InputError(f"this is bundle {digest}, and not the one that was expected", where=where)
    manifest = _decoded(said, Manifest, MANIFEST, where)
    if manifest.format != FORMAT:
        raise InputError(f"its format is {manifest.format}, and {FORMAT} can be read", where=where)
    _check_parts(manifest, found, where)
    bundle = _bundle(manifest, found, where)
    _check_whole(manifest, bundle, where)
    return Opened(bundle, manifest, digest)


def _check_parts(manifest: Manifest, found: Mapping[str, bytes], where: str) -> None:
    names = set(found)
    if names != set(manifest.parts) or not names >= _ALWAYS or not names <= _ALWAYS | _SOMETIMES:
        odd = sorted((names ^ set(manifest.parts)) | (_ALWAYS - names) | (names - _ALWAYS - _SOMETIMES))
        raise InputError(f"parts are missing or unknown: {', '.join(odd)}", where=where, remedy=_REMEDY)
    for name, body in sorted(found.items()):
        if hashlib.sha256(body).hexdigest() != manifest.parts[name]:
            raise InputError(f"{name} is not what the manifest says", where=where, remedy=_REMEDY)


def _bundle(manifest: Manifest, found: Mapping[str, bytes], where: str) -> Bundle:
    def one(name: str, kind: type[T]) -> T:
        decoded: T = _decoded(found[name], kind, name, where)
        return decoded

    def maybe(name: str, kind: type[T]) -> T | None:
        return one(name, kind) if name in found else None

    def lines(name: str, kind: type[T]) -> tuple[T, ...]:
        return tuple(_decoded(line, kind, name, where) for line in found.get(name, b"").splitlines())

    return Bundle(
        capability=one(parts.CAPABILITY, Capability),
        goal=maybe(parts.GOAL, Goal),
        policy=one(parts.POLICY, Policy),
        evidence=maybe(parts.RELEASE, Evidence),
        specialist=found.get(parts.SPECIALIST),
        trained=maybe(parts.LINEAGE, Trained),
        memory=lines(parts.MEMORY, Carried),
        lessons=lines(parts.LESSONS, CarriedLesson),
        documents=lines(parts.DOCUMENTS, CarriedDocument),
        terms=one(parts.TERMS, tuple[str, ...]),
        tasks=one(parts.EVALS, tuple[EvalTask, ...]),
        evals=lines(parts.EVAL_CASES, Carried),
        sealed=manifest.sealed,
    )


def _check_whole(manifest: Manifest, bundle: Bundle, where: str) -> None:
    """Parts that are each what was written must fit together, too."""
    policy, name = bundle.policy, manifest.capability
    if (policy.hash, policy.capability, bundle.capability.name) != (manifest.policy, name, name):
        raise InputError("its policy is not the one that the manifest names", where=where)
    held = None if bundle.specialist is None else hashlib.sha256(bundle.specialist).hexdigest()
    if held != policy.specialist or (held is None) != (bundle.trained is None):
        raise InputError("its specialist is not the one of its policy", where=where)
    if bundle.specialist is not None:
        load_specialist(bundle.specialist)
    foreign = [one for one in (*bundle.memory, *bundle.evals) if one.case.capability != name]
    mixed = [one for one in (*bundle.memory, *bundle.evals) if one.judgment.case != one.case.id]
    if foreign or mixed:
        raise InputError("it has judgments of other cases than its own", where=where)


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    if entry.file_size > MOST_BYTES:
        raise ValueError(f"{entry.filename} is too long")
    return archive.read(entry)


def _decoded(body: bytes, kind: Any, name: str, where: str) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise InputError(f"{name} cannot be read: {error}", where=where, remedy=_REMEDY) from error
