"""Recorded work: what can be read is read, what cannot is named with its line and its reason."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tokencapital.core.case import ContractKind
from tokencapital.core.errors import InputError
from tokencapital.record.importers import Recording, contract_kind, read_recording

LINE: dict[str, Any] = {
    "id": "1",
    "capability": "triage",
    "group": "ada",
    "at": "2026-01-05T09:00:00Z",
    "input": [{"role": "user", "content": "my card was stolen"}],
    "answer": "card_lost",
}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes lines, objects or text, into a file."""

    def to_file(*lines: dict[str, Any] | str | bytes) -> Path:
        path = tmp_path / "cases.jsonl"
        path.write_bytes(b"\n".join(_line(line) for line in lines))
        return path

    return to_file


def _line(line: dict[str, Any] | str | bytes) -> bytes:
    if isinstance(line, bytes):
        return line
    return line.encode() if isinstance(line, str) else msgspec.json.encode(line)


def line(number: int, **changes: Any) -> dict[str, Any]:
    return {**LINE, "id": str(number), **changes}


def ids(recording: Recording) -> list[str]:
    return [one.id for one in recording.cases]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("{", "truncated"),
        ("not json", "malformed"),
        ("[1, 2]", "object"),
        ("null", "object"),
        (b'{"id": "\xff\xfe"}', "utf-8"),
        ({key: value for key, value in LINE.items() if key != "answer"}, "answer"),
        (line(2, answer=5), "answer"),
        (line(2, answer=None), "answer"),
        (line(2, input=[]), "no message"),
        (line(2, input="hello"), "input"),
        (line(2, id=""), "must not be empty"),
        (line(2, group=""), "must not be empty"),
        (line(2, split="validation"), "split"),
        (line(2, at="yesterday"), "at"),
        (line(2, at="2026-01-05T09:00:00"), "time zone"),
        (line(2, outcome={"name": "ok", "value": True, "at": "2026-01-05T09:00:00"}), "time zone"),
        (line(2, outcome={"value": True}), "name"),
        (line(1), "used before"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_and_the_rest_is_loaded(
    write: Write, bad: dict[str, Any] | str | bytes, reason: str
) -> None:
    path = write(line(1), bad, line(3))
    recording = read_recording(path)
    assert ids(recording) == ["1", "3"]
    (problem,) = recording.problems
    assert problem.where == f"{path}:2"
    assert reason.lower() in problem.what.lower()


def test_blank_lines_are_no_problem_and_keep_the_count(write: Write) -> None:
    recording = read_recording(write("", line(1), "   ", "{", "", line(3)))
    assert ids(recording) == ["1", "3"]
    assert [str(problem.where).rpartition(":")[2] for problem in recording.problems] == ["4"]


def test_plain_and_compressed_files_read_the_same(write: Write, tmp_path: Path) -> None:
    plain = write(line(1), line(2, context={"tier": "gold"}))
    packed = tmp_path / "cases.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_recording(packed).cases == read_recording(plain).cases


@pytest.mark.parametrize("content", [b"", b"\n\n", b"not json\n{\n"])
def test_a_file_without_any_case_is_refused_with_what_a_line_should_be(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no case could be read") as raised:
        read_recording(path)
    assert raised.value.where == str(path)
    assert "JSON object" in str(raised.value)


def test_a_directory_and_a_missing_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="directory"):
        read_recording(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read_recording(tmp_path / "missing.jsonl")


def test_a_broken_compressed_file_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b"\n".join(msgspec.json.encode(line(n)) for n in range(200)))
    for name, content in {"cut": whole[:-20], "damaged": whole[:20] + b"\0\0\0\0" + whole[24:]}.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(InputError, match="broken"):
            read_recording(path)


def test_a_recorded_case_becomes_a_case_without_its_answer(write: Write) -> None:
    outcome = {"name": "resolved", "value": None, "at": "2026-01-07T10:00:00+01:00"}
    path = write(line(1, at="2026-01-05T10:00:00+01:00", context={"a": 1}, outcome=outcome, unknown_key=3))
    (recorded,) = read_recording(path).cases
    assert recorded.case.at == datetime(2026, 1, 5, 9, tzinfo=UTC)
    assert recorded.case.at.tzinfo is UTC
    assert recorded.case.key == "1"
    assert recorded.case.context == {"a": 1}
    assert "card_lost" not in repr(recorded.case)
    late = recorded.late_outcome
    assert late is not None and late.value is None and late.key == "1"
    assert late.at == datetime(2026, 1, 7, 9, tzinfo=UTC)


def test_an_outcome_without_a_time_is_known_at_once(write: Write) -> None:
    (one, two) = read_recording(write(line(1, outcome={"name": "ok", "value": True}), line(2))).cases
    assert one.late_outcome is not None and one.late_outcome.at == one.case.at
    assert two.late_outcome is None


def test_one_capability_is_chosen_by_name(write: Write) -> None:
    recording = read_recording(write(line(1), line(2, capability="ticket"), line(3)))
    assert recording.capabilities == ("triage", "ticket")
    assert ids(recording.of("triage")) == ["1", "3"]
    with pytest.raises(InputError, match=r"`other`.*triage, ticket"):
        recording.of("other")


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        (["a", "b", "c"], ContractKind.LABEL),
        ([{"city": "Rome"}, {"city": "Oslo"}], ContractKind.FIELDS),
        ([{"city": "Rome"}, {"city": "Oslo"}, "Oslo"], ContractKind.FIELDS),
        (["a", {"city": "Oslo"}, "b", ""], ContractKind.LABEL),
        (["Card lost", "Card stolen"] * 60, ContractKind.LABEL),
        (["We are sorry.", "Thank you.", "It is on its way."], ContractKind.TEXT),
        (["Card lost", "Line\nbreak"] * 60, ContractKind.TEXT),
        (["x " * 50] * 60, ContractKind.TEXT),
        (["Card lost"] * 97 + ["one of a kind", "another", "a third"], ContractKind.TEXT),
        (["Card lost"] * 99 + ["one of a kind"], ContractKind.LABEL),
    ],
)
def test_the_kind_of_contract_is_read_off_the_answers(answers: list[Any], kind: ContractKind) -> None:
    assert contract_kind(answers) is kind


def test_an_answer_that_does_not_fit_the_contract_is_one_more_problem(write: Write) -> None:
    recording = read_recording(write(line(1), line(2, answer={"label": "fraud"}), line(3, answer=""), line(4), "{"))
    fitting = recording.fitting(contract_kind([one.answer for one in recording.cases]))
    assert ids(fitting) == ["1", "4"]
    assert [problem.where for problem in fitting.problems][1:] == ["case 2", "case 3"]
    assert len(recording.fitting(ContractKind.FIELDS).cases) == 1
