"""Nothing that stands in a file breaks an import: what cannot be read is left out with its place and reason."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokencapital.core.errors import InputError
from tokencapital.core.quantity import Usage
from tokencapital.record.imports.cases import read_cases_file
from tokencapital.record.imports.chat import read_chat
from tokencapital.record.imports.langfuse import read_langfuse
from tokencapital.record.imports.lines import csv_lines, json_lines, moment
from tokencapital.record.imports.litellm import read_litellm
from tokencapital.record.imports.mlflow import read_mlflow
from tokencapital.record.imports.outcomes import read_outcomes, value_of
from tokencapital.record.imports.phoenix import read_phoenix
from tokencapital.record.imports.told import Skip, Source, Told, Traced, Worked, span_name, trace_name
from tokencapital.record.imports.trajectories import read_trajectories

NOW = datetime(2026, 11, 1, tzinfo=UTC)
READERS: dict[str, Callable[[Path], Source]] = {
    "chat": lambda path: read_chat(path, NOW),
    "cases": read_cases_file,
    "trajectories": lambda path: read_trajectories(path, NOW),
    "langfuse": lambda path: read_langfuse(path, str),
    "mlflow": lambda path: read_mlflow(path, str),
    "phoenix": read_phoenix,
    "litellm": read_litellm,
    "outcomes": lambda path: read_outcomes(path, None, NOW),
}
KEYS = [
    "id", "messages", "role", "content", "tool_calls", "request", "response", "choices", "message", "usage", "at",
    "traceId", "startTime", "endTime", "type", "input", "output", "observations", "scores", "value", "dataType", "name",
    "source", "timestamp", "info", "data", "spans", "trace_id", "span_id", "attributes", "start_time_unix_nano", "key",
    "value", "context", "parent_id", "start_time", "status", "events", "request_id", "session_id", "spend", "made",
    "case", "steps", "judgments", "outcomes", "capability", "group", "input", "answer", "trajectory", "assessments",
    "metadata", "usageDetails", "created", "kind", "erased", "calculatedTotalCost", "parentObservationId", "model",
]  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=12),
    st.sampled_from(["user", "assistant", "tool", "GENERATION", "2026-01-01T00:00:00Z", "0x12", "NUMERIC", "LLM"]),
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=5)), inner)
    ),
    max_leaves=25,
)


def told(source: Source) -> list[Told]:
    return [one for bunch in source for one in bunch.told]


def read(kind: str, path: Path) -> list[Told]:
    """What is told; that a file is none at all is the only other thing that may be said."""
    with suppress(InputError):
        return told(READERS[kind](path))
    return []


@pytest.mark.parametrize("kind", READERS)
@given(body=st.binary(max_size=300), ending=st.sampled_from([".jsonl", ".json", ".csv", ".jsonl.gz"]))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_break_a_reader(kind: str, body: bytes, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"file{ending}"
    path.write_bytes(gzip.compress(body) if ending.endswith("gz") and len(body) % 2 else body)
    for one in read(kind, path):
        assert not isinstance(one, Skip) or (one.where and one.why)


@pytest.mark.parametrize("kind", READERS)
@given(lines=st.lists(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=12), max_size=4))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_json_breaks_a_reader(kind: str, lines: list[dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    path.write_bytes(b"\n".join(msgspec.json.encode(one) for one in lines))
    for one in read(kind, path):
        assert isinstance(one, Told)


@pytest.mark.parametrize("kind", [one for one in READERS if one != "cases"])
def test_deep_json_is_a_line_like_any_other(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    deep = b"[" * 100_000
    path.write_bytes(b'{"id": "x"}\n' + deep + b'\n{"a": ' + deep)
    assert len([one for one in read(kind, path) if isinstance(one, Skip)]) >= 2


def test_a_packed_bomb_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(80):
            file.write(b" " * (1 << 20))
    with pytest.raises(InputError, match="longer than 64 MiB"):
        list(json_lines(path))


@pytest.mark.parametrize(
    ("words", "value"),
    [("yes", True), ("No", False), ("TRUE", True), ("", None), (" unknown ", None), ("4.5", 4.5), ("-1", -1.0)],
)
def test_values_in_words(words: str, value: bool | float | None) -> None:
    found = value_of(words)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("words", ["maybe", "nan", "inf", "1e999", [1], {}])
def test_what_is_no_value(words: Any) -> None:
    with pytest.raises(ValueError, match="value"):
        value_of(words)


@pytest.mark.parametrize(
    "told",
    ["2026-01-01T00:00:00Z", "2026-01-01", "2026-01-01T01:00:00+01:00", 1767225600, "1767225600", 1767225600_000,
     1767225600_000_000, 1767225600_000_000_000, 1767225600.0],
)  # fmt: skip
def test_moments_in_all_ways_of_writing(told: Any) -> None:
    assert moment(told) == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("told", [None, True, "soon", "", [], 1e300, "9" * 400])
def test_what_is_no_moment(told: Any) -> None:
    assert moment(told) is None


def test_a_table_is_read_by_its_first_row(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes('\ufeffkey,name,value\r\n"a,b",n,1\r\n\r\nx,y,z,more\r\n'.encode())
    first, second = list(csv_lines(path))
    assert first.told == {"key": "a,b", "name": "n", "value": "1"}  # type: ignore[union-attr]
    assert "4 cells" in second.what  # type: ignore[union-attr]


def test_the_same_trace_has_one_name_wherever_it_comes_from() -> None:
    name = "0af7651916cd43dd8448eb211c80319c"
    assert {trace_name("langfuse", name), trace_name("mlflow", f"tr-{name}"), trace_name("phoenix", name)} == {name}
    assert trace_name("langfuse", "my trace/../x") != trace_name("phoenix", "my trace/../x")
    assert span_name("mlflow", "B7AD6B7169203331") == "b7ad6b7169203331"


def test_langfuse_tables_of_three_kinds_are_put_together(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"id": "o1", "traceId": "t1", "type": "GENERATION", "startTime": "2026-01-01T00:00:00Z", "model": "m",
         "input": "hi", "output": "hello", "usage": {"input": 3, "output": 1}},
        {"id": "t1", "timestamp": "2026-01-01T00:00:00Z", "name": "desk", "sessionId": "s"},
        {"id": "t2", "timestamp": "2026-01-01T00:00:00Z", "input": {"messages": [{"role": "user", "content": "a"}]},
         "output": "b"},
        {"id": "t3", "timestamp": "2026-01-01T00:00:00Z"},
        {"id": "s1", "traceId": "t1", "name": "ok", "value": 1, "dataType": "BOOLEAN", "source": "API",
         "timestamp": "2026-01-02T00:00:00Z"},
    ]  # fmt: skip
    path = tmp_path / "f.jsonl"
    path.write_bytes(b"\n".join(map(msgspec.json.encode, lines)))
    found = told(read_langfuse(path, str))
    assert [type(one).__name__ for one in found] == ["Traced", "Traced", "Skip", "Seen"]
    first = found[0]
    assert isinstance(first, Traced) and first.trace.deeds[0].usage.input == 3


def test_tokens_in_logs_are_counted_as_their_provider_does(tmp_path: Path) -> None:
    usage = {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 4}
    asked = {"request": {"messages": [{"role": "user", "content": "hi"}]}}
    file = tmp_path / "c.jsonl"
    file.write_bytes(msgspec.json.encode(asked | {"response": {"content": "hello", "usage": usage}}))
    (one,) = read("chat", file)
    assert isinstance(one, Worked)
    assert one.steps[0].usage == Usage(10, 4, 90)


def test_litellm_logs_without_words_are_calls_all_the_same(tmp_path: Path) -> None:
    call: dict[str, Any] = {"request_id": "r1", "startTime": "2026-01-01T00:00:00", "model": "m", "spend": 0.5}
    call |= {"messages": {}, "response": "{}", "prompt_tokens": 5, "completion_tokens": 2, "session_id": "s"}
    path = tmp_path / "f.json"
    path.write_bytes(msgspec.json.encode([call, {**call, "request_id": "r2"}, {"model": "m"}]))
    skipped, trace = told(read_litellm(path))
    assert isinstance(skipped, Skip) and isinstance(trace, Traced)
    assert [one.usage.output for one in trace.trace.deeds] == [2, 2] and len(trace.costs) == 2


def test_recorded_runs_are_read_as_they_lie(recorded: Callable[[str], Path]) -> None:
    found = told(read_trajectories(recorded("tau-airline.trajectories.jsonl.gz"), NOW))
    assert sum(isinstance(one, Worked) for one in found) == 148
    assert not any(isinstance(one, Skip) for one in found)
