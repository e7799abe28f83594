"""Trajectories go out as spans, and a house that reads them has the same steps."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tokencapital.app.exporting import ExportAsked, ExportKind, run_export
from tokencapital.app.platform import Platform
from tokencapital.app.settings import CapabilitySettings, Settings
from tokencapital.app.tracing import settle_spans, take_spans
from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.call import Ending, Step, StepKind
from tokencapital.core.case import Case, ContractKind, Message, ToolCall
from tokencapital.core.errors import InputError
from tokencapital.core.quantity import UNKNOWN_ENERGY, Energy, Grade, Money, Usage
from tokencapital.record.otlp import read_protobuf, spans_of
from tokencapital.record.otlp_out import Collector, write_otlp
from tokencapital.record.spans_told import attributes_of
from tokencapital.store.cases import read_case, read_trajectory, record_exchanges
from tokencapital.store.exporting import Wanted
from tokencapital.store.steps import append_steps, steps_of
from tokencapital.testing.spans import START, ScriptedSpan, batch_of
from tokencapital.testing.upstream import Scripted, ScriptedUpstream

OWN, TOLD = "trj_01jd0000000000000abc", "trj_" + "0" * 31 + "1"


def a_house(path: Path) -> Platform:
    declared = {"triage": CapabilitySettings(contract=ContractKind.TEXT)}
    return Platform.open(Settings(store=str(path), capabilities=declared), key=bytes(32))


@pytest.fixture
def first(tmp_path: Path) -> Iterator[Platform]:
    """A house with a trajectory of its gateway, of two steps, and one that was told as spans."""
    with a_house(tmp_path / "first.db") as house:
        _record_own(house)
        agent = {"gen_ai.operation.name": "invoke_agent", "tcap.capability": "triage"}
        call = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.input.messages": "Cats?"}
        take_spans(house, batch_of([ScriptedSpan(attributes=agent), ScriptedSpan(span=2, parent=1, attributes=call)]))
        settle_spans(house)
        yield house


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Platform]:
    """An empty house."""
    with a_house(tmp_path / "second.db") as house:
        yield house


def _record_own(house: Platform) -> None:
    asked = (Message("user", "Cats?", parts=({"type": "image_url"},)), Message("user", "Well?"))
    case = Case(id="cas_1", capability="triage", group="cust-1", at=START, messages=asked, context={"a": 1}, key="T-1")
    done = Trajectory(
        id=OWN, case="cas_1", capability="triage", at=START, answer=Answer(value="We do.", stage=Stage.GENERALIST),
        policy="p", memory=0, seed=0, propensity=1.0, elapsed_s=2.0, energy=UNKNOWN_ENERGY,
    )  # fmt: skip
    record_exchanges(house.store, [Exchange(case, done)])
    call = Step(
        id=OWN, trajectory=OWN, at=START, kind=StepKind.CALL, name="chat", source="gateway", application="shop",
        provider="openai", model="m", elapsed_s=1.25, first_s=0.5, usage=Usage(10, 2, 3, 4, 1),
        cost=Money(Decimal("0.0012")), price="contract", energy=Energy(1.5, Grade.ESTIMATED),
        messages=(*asked, Message("assistant", tool_calls=(ToolCall("c1", "find", "{broken"),))),
        details={"response": "r1", "tags": {"a": "b"}},
    )  # fmt: skip
    tool = Step(
        id="stp_01jd0000000000000xyz", trajectory=OWN, at=START + timedelta(seconds=1), kind=StepKind.TOOL, name="find",
        source="sdk", parent=OWN, ending=Ending.BROKEN, failure="TimeoutError", usage=Usage(),
        messages=(Message("tool", "", tool_call_id="c1"),),
    )  # fmt: skip
    with house.store.begin() as connection:
        append_steps(house.store, connection, [call, tool])


def _batches(house: Platform) -> list[bytes]:
    found: list[bytes] = []
    write_otlp(house.store, Wanted(), found.append, lambda _done: None)
    return found


def test_what_goes_out_comes_back_as_the_same_steps(first: Platform, second: Platform) -> None:
    for batch in _batches(first):
        take_spans(second, batch)
        take_spans(second, batch)
    settle_spans(second)
    assert steps_of(second.store, [OWN, TOLD]) == steps_of(first.store, [OWN, TOLD])
    for name in (OWN, TOLD):
        here, there = read_trajectory(first.store, name), read_trajectory(second.store, name)
        assert here is not None
        assert there is not None
        assert (there.capability, there.answer.value) == (here.capability, here.answer.value)
        before, after = read_case(first.store, here.case), read_case(second.store, there.case)
        assert before is not None
        assert after is not None
        assert (after.messages, after.context, after.group, after.key) == (
            before.messages, before.context, before.group, before.key,
        )  # fmt: skip


def test_what_comes_back_where_it_is_changes_nothing(first: Platform) -> None:
    before = steps_of(first.store, [OWN, TOLD])
    for batch in _batches(first):
        take_spans(first, batch)
    settle_spans(first)
    assert steps_of(first.store, [OWN, TOLD]) == before


def test_other_readers_find_opentelemetrys_names(first: Platform) -> None:
    (batch,) = _batches(first)
    call, tool, *_ = (span for _, _, span in spans_of(read_protobuf(batch)))
    told = attributes_of(call.attributes)
    assert (told["gen_ai.operation.name"], told["gen_ai.response.model"]) == ("chat", "m")
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (17, 2)
    assert '"tool_call"' in told["gen_ai.output.messages"]
    assert (tool.parent_span_id, tool.status.code) == (call.span_id, 2)


def test_an_answer_without_steps_goes_out_as_one_span(first: Platform, second: Platform) -> None:
    case = Case(id="cas_2", capability="triage", group="g", at=START, messages=(Message("user", "a?"),))
    done = Trajectory(
        id="trj_01jd0000000000000abd", case="cas_2", capability="triage", at=START,
        answer=Answer(value={"b": 1}, stage=Stage.SPECIALIST), policy="p", memory=0, seed=0, propensity=1.0,
        elapsed_s=0.0, energy=UNKNOWN_ENERGY,
    )  # fmt: skip
    record_exchanges(first.store, [Exchange(case, done)])
    for batch in _batches(first):
        take_spans(second, batch)
    settle_spans(second)
    there = read_trajectory(second.store, done.id)
    assert there is not None
    assert there.answer.value == {"b": 1}


def test_batches_one_after_the_other_are_one(first: Platform) -> None:
    (batch,) = _batches(first)
    assert len(list(spans_of(read_protobuf(batch)))) == 4
    assert len(list(spans_of(read_protobuf(batch + batch)))) == 8


def test_a_collector_takes_them_over_http() -> None:
    with ScriptedUpstream(Scripted(pieces=(b"",))) as upstream:
        with closing(Collector(upstream.url, {"authorization": "Bearer k"})) as collector:
            collector.take(batch_of([ScriptedSpan()]))
        (got,) = upstream.received
        assert (got.path, got.header("authorization")) == ("/v1/traces", "Bearer k")
    with (
        ScriptedUpstream(Scripted(status=401)) as upstream,
        closing(Collector(upstream.url)) as collector,
        pytest.raises(InputError, match="401"),
    ):
        collector.take(b"")
    with pytest.raises(InputError, match="no address"):
        Collector("file:///etc/passwd")


def test_the_command_writes_a_file_or_tells_a_collector(first: Platform, second: Platform, tmp_path: Path) -> None:
    path = tmp_path / "out.pb"
    report = run_export(first, ExportAsked(file=path, kind=ExportKind.OTLP), lambda _done, _total: None)
    assert (report.written.trajectories, report.written.steps) == (2, 4)
    take_spans(second, path.read_bytes())
    settle_spans(second)
    assert steps_of(second.store, [OWN, TOLD]) == steps_of(first.store, [OWN, TOLD])
    with ScriptedUpstream(Scripted(pieces=(b"",))) as upstream:
        asked = ExportAsked(url=f"{upstream.url}/v1/traces", kind=ExportKind.OTLP)
        assert run_export(first, asked, lambda _done, _total: None).file == f"{upstream.url}/v1/traces"
        assert gzip.decompress(upstream.received[0].body) == path.read_bytes()
