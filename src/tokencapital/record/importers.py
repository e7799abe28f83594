"""Recorded work from files: one JSON object a line, plain or compressed with gzip."""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from tokencapital.core.case import Case, ContractKind, Json, Message
from tokencapital.core.clock import utc
from tokencapital.core.errors import InputError, MalformedLine
from tokencapital.core.judgment import Outcome

STREAM, TEST = "stream", "test"
LONGEST_LINE = 64 * 1024 * 1024
"""So many bytes of one line are read at most, so that a packed file cannot fill the memory."""
LONGEST_LABEL = 80
MOST_UNREPEATED = 0.02
_WHITE_SPACE = re.compile(r"\s")


class RecordedOutcome(Struct, frozen=True):
    """What the business saw of a case. `value` None: not known; `at` None: known at once."""

    name: str
    value: bool | float | None
    at: datetime | None = None

    def __post_init__(self) -> None:
        if self.at is not None:
            utc(self.at)


class RecordedCase(Struct, frozen=True, kw_only=True):
    """One line of a cases file, as design section 10 describes it. Unknown keys are passed over."""

    id: str
    capability: str
    group: str
    at: datetime
    input: tuple[Message, ...]
    answer: str | dict[str, Json]
    split: str = STREAM
    context: dict[str, Json] = {}
    expert: str = "unnamed"
    outcome: RecordedOutcome | None = None
    workflow: str | None = None
    origin: str | None = None

    def __post_init__(self) -> None:
        if self.split not in (STREAM, TEST):
            raise ValueError(f"`split` is {self.split!r}; it is `stream` or `test`")
        if not self.input:
            raise ValueError("`input` has no message")
        if not self.id or not self.group:
            raise ValueError("`id` and `group` must not be empty")
        utc(self.at)

    @property
    def case(self) -> Case:
        """The case without what people decided; its id is its business key.

        The workflow that a case was handled under is part of its context: whoever asks knows it.
        """
        known = {} if self.workflow is None else {"workflow": self.workflow}
        return Case(
            id=self.id,
            capability=self.capability,
            group=self.group,
            at=utc(self.at),
            messages=self.input,
            context={**known, **self.context},
            key=self.id,
        )

    @property
    def late_outcome(self) -> Outcome | None:
        """The outcome as the business would report it; None: there is none in the record."""
        if self.outcome is None:
            return None
        return Outcome(
            id=f"out_{self.id}",
            capability=self.capability,
            key=self.id,
            name=self.outcome.name,
            value=self.outcome.value,
            at=utc(self.outcome.at or self.at),
        )


class Recording(Struct, frozen=True):
    """A file of recorded work: what could be read, in the order of the file, and what could not."""

    cases: tuple[RecordedCase, ...]
    problems: tuple[MalformedLine, ...]

    def of(self, capability: str) -> Recording:
        """The part of one capability. Raises InputError where there is none."""
        cases = tuple(case for case in self.cases if case.capability == capability)
        if not cases:
            raise InputError(
                f"no case has the capability `{capability}`",
                remedy=f"The file has: {', '.join(self.capabilities)}.",
            )
        return Recording(cases, self.problems)

    def fitting(self, kind: ContractKind) -> Recording:
        """The cases whose answer has the shape of the contract; each of the others is one more problem."""
        wanted = dict if kind is ContractKind.FIELDS else str
        fits = [isinstance(case.answer, wanted) and bool(case.answer) for case in self.cases]
        misfits = [
            MalformedLine(f"the answer does not fit the contract `{kind}`", where=f"case {case.id}")
            for case, fit in zip(self.cases, fits, strict=True)
            if not fit
        ]
        cases = tuple(case for case, fit in zip(self.cases, fits, strict=True) if fit)
        return Recording(cases, (*self.problems, *misfits))

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The names of the capabilities in the file, in order of appearance."""
        return tuple(dict.fromkeys(case.capability for case in self.cases))


def read_recording(path: Path) -> Recording:
    """All that the file holds. A line that cannot be read is a problem with its number and its reason.

    Raises InputError where the file is missing, a directory, not text, or holds no case at all.
    """
    cases: dict[str, RecordedCase] = {}
    problems: list[MalformedLine] = []
    for number, line in numbered_lines(path):
        try:
            case = _DECODER.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
            problems.append(MalformedLine(str(error), where=f"{path}:{number}"))
            continue
        if case.id in cases:
            problems.append(MalformedLine(f"the id {case.id!r} was used before", where=f"{path}:{number}"))
            continue
        cases[case.id] = case
    if not cases:
        first = f" The first problem: {problems[0].what}" if problems else ""
        raise InputError(
            f"no case could be read ({len(problems)} malformed lines).{first}",
            where=str(path),
            remedy="Each line is one JSON object with at least id, capability, group, at, input and answer.",
        )
    return Recording(tuple(cases.values()), tuple(problems))


def contract_kind(answers: Sequence[str | dict[str, Json]]) -> ContractKind:
    """The kind of contract that recorded answers look like.

    Mostly objects are fields. Strings are labels where they are short names (no white space), or short
    and nearly always used again; otherwise they are text. Empty answers say nothing.
    """
    texts = [answer for answer in answers if answer and isinstance(answer, str)]
    if 2 * len(texts) < sum(bool(answer) for answer in answers):
        return ContractKind.FIELDS
    if not any(_WHITE_SPACE.search(text) for text in texts):
        return ContractKind.LABEL
    short = all(len(text) <= LONGEST_LABEL and "\n" not in text for text in texts)
    once = sum(uses == 1 for uses in Counter(texts).values())
    return ContractKind.LABEL if short and once <= MOST_UNREPEATED * len(texts) else ContractKind.TEXT


_DECODER = msgspec.json.Decoder(RecordedCase)


def numbered_lines(path: Path, *, blank: bool = False) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that say something (`blank`: all of them), with their numbers.

    Raises InputError where the file cannot be read, or a line is longer than anybody writes by hand or program.
    """
    with opened(path) as file:
        number = 0
        while line := file.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) > LONGEST_LINE:
                raise InputError(f"line {number} is longer than {LONGEST_LINE >> 20} MiB", where=str(path))
            if blank or line.strip():
                yield number, line


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO | gzip.GzipFile]:
    """The file, unpacked where it is packed. Raises InputError where it cannot be read."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            yield file
    except IsADirectoryError:
        raise InputError("this is a directory", where=str(path), remedy="Give the path of a JSONL file.") from None
    except FileNotFoundError:
        raise InputError("there is no such file", where=str(path), remedy="Check the path.") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"the compressed file is broken: {error}", where=str(path)) from None
    except OSError as error:
        raise InputError(f"the file cannot be read: {error.strerror}", where=str(path)) from None
