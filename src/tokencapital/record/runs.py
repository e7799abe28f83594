"""Recorded runs from files: what an agent did, step by step, one run a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from tokencapital.core.errors import MalformedLine
from tokencapital.record.importers import numbered_lines

_AGENT = "assistant"


class RecordedMessage(Struct, frozen=True):
    """A message of a run, as far as flowcharts need it. `action` None: it has no name, such as free words."""

    role: str
    action: str | None = None


class RecordedRun(Struct, frozen=True, kw_only=True):
    """One run. `workflows` are those that it was done under; empty: the one with the capability's name."""

    id: str
    capability: str
    messages: tuple[RecordedMessage, ...]
    workflows: tuple[str, ...] = ()
    group: str | None = None
    customer: str | None = None

    @property
    def entity(self) -> str:
        """Whom the run belongs to: runs of one entity may depend on each other."""
        return self.group or self.customer or self.id

    @property
    def under(self) -> str:
        """The workflow that the run was done under."""
        return self.workflows[0] if self.workflows else self.capability

    @property
    def actions(self) -> tuple[str | None, ...]:
        """What the agent did, in order."""
        return tuple(message.action for message in self.messages if message.role == _AGENT)


_DECODER = msgspec.json.Decoder(RecordedRun)


def read_runs(path: Path) -> Iterator[RecordedRun | MalformedLine]:
    """The runs of a file in its order; a line that cannot be read gives its number and its reason.

    Raises InputError where the file is missing or broken.
    """
    for number, line in numbered_lines(path):
        try:
            yield _DECODER.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            yield MalformedLine(str(error), where=f"{path}:{number}")
