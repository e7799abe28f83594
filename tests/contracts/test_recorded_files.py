"""Recorded work of every contract is read whole, and its contract is read off its answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tokencapital.core.case import ContractKind
from tokencapital.record.importers import contract_kind, read_recording

Find = Callable[[str], Path]


@pytest.mark.parametrize(
    ("name", "kind", "stream", "test"),
    [
        ("banking77.cases.jsonl.gz", ContractKind.LABEL, 10_003, 3_080),
        ("star.cases.jsonl.gz", ContractKind.LABEL, 17_743, 3_922),
        ("star-arguments.cases.jsonl.gz", ContractKind.FIELDS, 5_548, 1_219),
        ("star-reply.cases.jsonl.gz", ContractKind.TEXT, None, None),
    ],
)
def test_a_file_is_read_whole(
    recorded: Find, name: str, kind: ContractKind, stream: int | None, test: int | None
) -> None:
    recording = read_recording(recorded(name))
    splits = [case.split for case in recording.cases]
    assert not recording.problems
    assert contract_kind([case.answer for case in recording.cases]) is kind
    if stream is not None:
        assert (splits.count("stream"), splits.count("test")) == (stream, test)
