"""Our own cases files: what came in, what a person decided, and what the business saw."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from tokencapital.core.answer import Answer, Stage, Trajectory
from tokencapital.core.clock import utc
from tokencapital.core.judgment import DrawKind
from tokencapital.core.quantity import UNKNOWN_ENERGY, Usage
from tokencapital.record.importers import RecordedCase, numbered_lines
from tokencapital.record.imports.told import Judged, Seen, Skip, Source, Told, Worked, bunches, digest

KIND = "cases"
_BUNCH = 300


def read_cases_file(path: Path) -> Source:
    """The cases of a file. What a person decided then is the answer that stands, and counts as said in work:
    nobody was asked, and nobody chose which cases to decide."""
    return bunches((_read(line, f"{path}:{number}") for number, line in numbered_lines(path)), _BUNCH)


def _read(line: bytes, where: str) -> Iterator[Told]:
    try:
        one = msgspec.json.decode(line, type=RecordedCase)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError) as error:
        yield Skip(where, "it is nested too deeply" if isinstance(error, RecursionError) else str(error))
        return
    case, at = one.case, utc(one.at)
    head = Trajectory(
        id=f"trj_{digest(KIND, one.id)}",
        case=case.id,
        capability=case.capability,
        at=at,
        answer=Answer(value=one.answer, stage=Stage.PERSON),
        policy="",
        memory=0,
        seed=0,
        propensity=1.0,
        elapsed_s=0.0,
        energy=UNKNOWN_ENERGY,
        usage=Usage(),
    )
    yield Worked(where=where, capability=one.capability, case=case, head=head)
    if one.answer:
        yield Judged(
            where=where,
            id=f"jdg_{digest(KIND, one.id)}",
            case=case.id,
            expert=one.expert,
            at=at,
            answer=one.answer,
            drawn=DrawKind.IN_WORK,
        )
    seen = one.late_outcome
    if seen is not None:
        yield Seen(where=where, id=seen.id, name=seen.name, value=seen.value, at=seen.at, trajectory=head.id)
