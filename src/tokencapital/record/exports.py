"""Trajectories as lines for whoever takes them elsewhere: all that is known of them, people by pseudonym only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct

from tokencapital.core.call import Step, StepKind
from tokencapital.core.case import Message
from tokencapital.core.errors import SettingsError
from tokencapital.core.judgment import Judgment, Outcome
from tokencapital.record.imports.trajectories import ExportedLine, JudgmentLine, Made, OutcomeLine, StepLine
from tokencapital.store.database import Store
from tokencapital.store.exporting import Recorded, Wanted, recorded

Tell = Callable[[int], None]


class Exported(Struct, kw_only=True):
    """What was written: `erased` are lines without words, `judgments_kept_back` those of groups that are kept to judge
    by, which leave the house in no file."""

    trajectories: int = 0
    steps: int = 0
    judgments: int = 0
    outcomes: int = 0
    erased: int = 0
    judgments_kept_back: int = 0


def write_jsonl(store: Store, wanted: Wanted, file: BinaryIO, tell: Tell) -> Exported:
    """Each trajectory is a line of JSON; what is held in memory does not grow with their number."""
    counted = Exported()
    encoder = msgspec.json.Encoder()
    for page in recorded(store, wanted):
        file.writelines(encoder.encode(_bare(line)) + b"\n" for line in lines_of(page, counted))
        tell(counted.trajectories)
    return counted


def write_parquet(store: Store, wanted: Wanted, path: Path, tell: Tell) -> Exported:
    """The same as a table, a row a trajectory; what has parts of its own stands as JSON in its column.

    Raises SettingsError where the reader and writer of such files is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise SettingsError("Parquet needs its library", remedy="pip install 'tokencapital[parquet]'") from None
    times = pa.timestamp("us", "UTC")
    columns = {name: pa.string() for name in ("id", "capability", "group", "case", "key", "model", *_PARTS)}
    columns |= {"at": times, "case_at": times, "erased": pa.bool_()}
    schema = pa.schema(list(columns.items()))
    counted = Exported()
    with parquet.ParquetWriter(path, schema) as writer:
        for page in recorded(store, wanted):
            rows = [_row(line) for line in lines_of(page, counted)]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            tell(counted.trajectories)
    return counted


def lines_of(page: Iterable[Recorded], counted: Exported) -> Iterator[ExportedLine]:
    """The lines of a page, counted."""
    for one in page:
        line = line_of(one)
        counted.trajectories += 1
        counted.steps += len(line.steps)
        counted.judgments += len(line.judgments)
        counted.outcomes += len(line.outcomes)
        counted.erased += line.erased
        counted.judgments_kept_back += one.sealed
        yield line


def line_of(one: Recorded) -> ExportedLine:
    """A trajectory as a line. Its messages are those that its steps added, or else what came in and went out."""
    done, case = one.done, one.case
    kept = case is not None
    messages = tuple(chain.from_iterable(step.messages or () for step in one.steps if is_spoken(step)))
    if not one.steps and case is not None:
        words = done.answer.value
        said = words if isinstance(words, str) else msgspec.json.encode(words).decode() if words else None
        messages = (*case.messages, *((Message("assistant", said),) if said else ()))
    return ExportedLine(
        id=done.id,
        capability=done.capability,
        group=one.place.group,
        at=done.at,
        case=done.case,
        case_at=one.place.at,
        key=one.place.key,
        model=done.generalist,
        context=dict(case.context) if case else {},
        input=case.messages if case else (),
        messages=messages if kept else (),
        answer=done.answer.value if kept else None,
        made=_made(one),
        steps=tuple(_step(step, kept=kept) for step in one.steps),
        outcomes=tuple(_outcome(seen, one) for seen in one.outcomes),
        judgments=tuple(_judgment(said) for said in one.judgments) if kept else (),
        erased=not kept,
    )


def _made(one: Recorded) -> Made:
    done = one.done
    answer = done.answer
    return Made(
        stage=answer.stage,
        source=answer.source,
        confidence=answer.confidence,
        fields=dict(answer.fields) if answer.fields is not None else None,
        because=answer.because,
        policy=done.policy,
        memory=done.memory,
        seed=done.seed,
        propensity=done.propensity,
        elapsed_s=done.elapsed_s,
        usage=done.usage,
        energy=done.energy,
        cost=done.cost,
        price=done.price,
        release=done.release,
        failure=done.failure,
        false_citations=done.false_citations,
    )


def _step(step: Step, *, kept: bool) -> StepLine:
    facts: dict[str, Any] = {
        name: getattr(step, name)
        for name in step.__struct_fields__
        if name not in ("trajectory", "messages", "details")
    }
    if step.messages is None or not kept:
        return StepLine(added=None, details=dict(step.details), **facts)
    spoken = is_spoken(step)
    own = None if spoken else step.messages
    return StepLine(added=len(step.messages) if spoken else 0, messages=own, details=dict(step.details), **facts)


def is_spoken(step: Step) -> bool:
    """Whether what a step added belongs to the conversation, and is not told of a tool or an agent beside it."""
    return step.kind is StepKind.CALL or step.source in _CONVERSED


def _outcome(seen: Outcome, one: Recorded) -> OutcomeLine:
    """An outcome; one that names the work by a business key keeps it, any other is the line's own."""
    key = seen.key if seen.key == one.place.key and seen.key != one.done.id else None
    return OutcomeLine(id=seen.id, name=seen.name, value=seen.value, at=seen.at, key=key)


def _judgment(said: Judgment) -> JudgmentLine:
    return JudgmentLine(**{name: getattr(said, name) for name in JudgmentLine.__struct_fields__})


_CONVERSED = frozenset({"chat", "trajectories"})
"""Imports whose steps are the parts of one conversation."""
_PARTS = ("context", "input", "messages", "answer", "made", "steps", "outcomes", "judgments")
_OPTIONAL = ("context", "input", "answer", "steps", "outcomes", "judgments", "erased", "model")


def _bare(line: ExportedLine) -> dict[str, Any]:
    """The line without what it does not have."""
    told = msgspec.structs.asdict(line)
    return {name: value for name, value in told.items() if name not in _OPTIONAL or value not in (None, (), {}, False)}


def _row(line: ExportedLine) -> dict[str, Any]:
    told = msgspec.structs.asdict(line)
    return told | {name: msgspec.json.encode(told[name]).decode() for name in _PARTS}
