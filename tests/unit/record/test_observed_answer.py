"""What a provider answered, in the shape of a contract."""

from __future__ import annotations

import pytest

from tokencapital.core.case import ContractKind, Message, ToolCall
from tokencapital.record.observed_answer import answer_in

DEEP = '{"a":' * 100_000


@pytest.mark.parametrize("kind", [ContractKind.FIELDS, ContractKind.TOOLS])
def test_an_answer_nested_deeper_than_anybody_reads_is_no_object(kind: ContractKind) -> None:
    assert answer_in(kind, (Message("assistant", DEEP),)) is None
    assert answer_in(kind, (Message("assistant", '```json\n{"a": 1}\n```'),)) == {"a": 1}


def test_arguments_nested_deeper_than_anybody_reads_are_left_as_written() -> None:
    called = Message("assistant", tool_calls=(ToolCall("c", "find", DEEP),))
    assert answer_in(ContractKind.TOOLS, (called,)) == {"tool": "find", "arguments": DEEP}
