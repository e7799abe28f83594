"""From the bytes of an artifact to the specialist in them."""

from __future__ import annotations

import io
from zipfile import BadZipFile

import msgspec
import numpy as np
from msgspec import Struct

from tokencapital.core.errors import InputError
from tokencapital.models.extraction import FieldsSpecialist
from tokencapital.models.specialist import LabelSpecialist, Specialist


def load_specialist(artifact: bytes) -> Specialist:
    """The specialist in an artifact, of whichever kind its header names. Raises InputError otherwise."""
    kind = _kind(artifact)
    if kind == "label":
        return LabelSpecialist.from_bytes(artifact)
    if kind == "fields":
        return FieldsSpecialist.from_bytes(artifact)
    raise InputError(f"no specialist is of the kind {kind!r}", remedy="Fit it anew with this version.")


def words_in(artifact: bytes) -> frozenset[str] | None:
    """All that can be read in an artifact: the labels that it chooses from; beside them it holds numbers only.

    None: it holds values that people gave, as one for fields does. Raises InputError where it is no specialist.
    """
    header = _header(artifact)
    return frozenset(header.labels) if header.kind == "label" else None


class _Header(Struct, frozen=True):
    kind: str
    labels: tuple[str, ...] = ()


def _kind(artifact: bytes) -> str:
    return _header(artifact).kind


def _header(artifact: bytes) -> _Header:
    try:
        with np.load(io.BytesIO(artifact), allow_pickle=False) as arrays:
            return msgspec.json.decode(arrays["header"].tobytes(), type=_Header)
    except (ValueError, OSError, EOFError, KeyError, BadZipFile, msgspec.DecodeError) as error:
        raise InputError("these bytes are no specialist", remedy="Fit it anew.") from error
