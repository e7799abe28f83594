"""Spans on both databases: each once, and one trajectory of a trace in whatever order and however often they come."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from tokencapital.app.recording import HouseDesks
from tokencapital.core.answer import Exchange
from tokencapital.core.call import UNSORTED, Ending, Step, StepKind
from tokencapital.core.case import Capability, Contract, ContractKind, Json, Message
from tokencapital.core.clock import RecordedClock
from tokencapital.core.quantity import Money, Usage
from tokencapital.meter.energy import LocalEstimate
from tokencapital.meter.meter import Meter
from tokencapital.meter.prices import Price, PriceBook
from tokencapital.record.recorder import Recorder
from tokencapital.record.spans import SpanKeeper
from tokencapital.record.spans_settling import Rules, Settler
from tokencapital.record.spool_frames import SpanBatch
from tokencapital.store.capabilities import declare_capability
from tokencapital.store.cases import read_case, read_trajectory
from tokencapital.store.checks import check_payloads
from tokencapital.store.database import Store
from tokencapital.store.erasure import erase_case
from tokencapital.store.outcomes import outcomes_for
from tokencapital.store.schema import metadata, payload, span, step
from tokencapital.store.spans import count_waiting, spans_of_traces, trace_of_trajectory, trajectory_of_trace
from tokencapital.store.steps import append_steps, steps_by_response, steps_of
from tokencapital.testing.spans import START, ScriptedSpan, batch_of, trace_name

METER = Meter(
    PriceBook(contracts={"known": Price(input=Decimal(1), output=Decimal(2))}), LocalEstimate(watts=10.0, pue=1.0)
)


class House:
    """A store that takes spans and settles traces, at a time that the test moves."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = RecordedClock(START)
        self.keeper = SpanKeeper(store, self.clock)
        desks = HouseDesks(store, self.clock)
        seen = lambda responses: steps_by_response(store, responses)  # noqa: E731
        self.settler = Settler(store, self.clock, Rules(METER, desks.observed, seen=seen))
        self._sent = 0

    def take(self, spans: Iterable[ScriptedSpan], application: str | None = None, **resource: Json) -> int:
        """The spans come as one batch."""
        self._sent += 1
        told = {name.replace("__", "."): value for name, value in resource.items()} or None
        body = batch_of(spans, told)
        return self.keeper.keep(SpanBatch(id=f"spb_{self._sent}", at=START, body=body, application=application))

    def wait(self, seconds: float = 60.0) -> int:
        """Time passes, and traces that are quiet are settled."""
        self.clock.advance_to(self.clock.now() + timedelta(seconds=seconds))
        return self.settler.settle_all()

    def steps(self, trace: int = 1) -> list[Step]:
        """The steps of the trajectory that a trace is."""
        own = trajectory_of_trace(trace_name(trace))
        return steps_of(self.store, [own]).get(own, [])


@pytest.fixture
def house(store: Store) -> House:
    return House(store)


def call(number: int, asked: Sequence[str], said: str, **more: Any) -> ScriptedSpan:
    """A call of a model, `number` seconds after the trace began."""
    told = more.pop("told", {})
    messages = [{"role": "user" if place % 2 == 0 else "assistant", "content": one} for place, one in enumerate(asked)]
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "known",
        "gen_ai.response.id": f"r{more.get('trace', 1)}-{number}",
        "gen_ai.usage.input_tokens": 1_000_000,
        "gen_ai.usage.output_tokens": 500_000,
        "gen_ai.input.messages": messages,
        "gen_ai.output.messages": [{"role": "assistant", "content": said}],
        **told,
    }
    return ScriptedSpan(span=number, begins_s=float(number), attributes=attributes, **{"parent": 1, **more})


def an_agents_work(trace: int = 1, **told: Json) -> list[ScriptedSpan]:
    """An agent that asks, looks something up, and asks again; between the two stands a span that says nothing."""
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "desk", **told}
    tool = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "find",
        "gen_ai.tool.call.result": "in stock",
    }
    asked = "Have you cats?" + " Really?" * (trace - 1)
    return [
        ScriptedSpan(trace=trace, span=1, lasts_s=9.0, attributes=agent),
        call(2, [asked], "Let me see.", trace=trace),
        ScriptedSpan(trace=trace, span=3, parent=1, begins_s=3.0, attributes={"http.request.method": "GET"}),
        ScriptedSpan(trace=trace, span=4, parent=3, begins_s=4.0, attributes=tool),
        call(5, [asked, "Let me see.", "Well?"], "We do.", trace=trace),
    ]


def test_a_trace_is_one_trajectory_with_its_steps(house: House) -> None:
    assert house.take(an_agents_work(), application="shop") == 5
    assert house.wait(1.0) == 0, "it may still be going on"
    assert house.wait(2.0) == 1
    done = read_trajectory(house.store, trajectory_of_trace(trace_name(1)))
    assert done is not None
    assert (done.capability, done.answer.value, done.generalist, done.elapsed_s) == (UNSORTED, "We do.", "known", 9.0)
    case = read_case(house.store, done.case)
    assert case is not None
    assert case.messages == (Message("user", "Have you cats?"),)
    agent, first, tool, second = house.steps()
    assert [one.kind for one in house.steps()] == [StepKind.AGENT, StepKind.CALL, StepKind.TOOL, StepKind.CALL]
    assert (agent.parent, first.parent, tool.parent) == (None, agent.id, agent.id)
    assert first.messages == (Message("user", "Have you cats?"), Message("assistant", "Let me see."))
    assert second.messages == (Message("user", "Well?"), Message("assistant", "We do.")), "only what it adds"
    assert (first.cost, first.usage) == (Money(Decimal(2)), Usage(1_000_000, 500_000))
    assert {one.application for one in house.steps()} == {"shop"}
    assert (agent.usage, tool.usage) == (Usage(), Usage())


def facts(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of what spans lead to, without the order in which they were written."""
    found = {}
    with store.read() as connection:
        for name in ("span", "step", "trajectory", "work_case", "outcome"):
            table = metadata.tables[name]
            columns = [one for one in table.columns if one.name not in {"position", "payload"}]
            found[name] = sorted(map(tuple, connection.execute(select(*columns))), key=repr)
    return found


def words(store: Store) -> list[bytes]:
    """All that steps, trajectories and cases say."""
    with store.read() as connection:
        named = select(span.c.payload)
        return sorted(connection.execute(select(payload.c.body).where(payload.c.digest.not_in(named))).scalars())


@pytest.mark.parametrize("seed", range(4))
def test_in_any_order_in_any_batches_and_twice_spans_lead_to_the_same(
    open_store: Callable[..., Store], tmp_path: Path, store: Store, seed: int
) -> None:
    random_ = random.Random(seed)
    spans = [one for trace in (1, 2, 3) for one in an_agents_work(trace)]
    in_order = House(open_store(str(tmp_path / "other.db"), key=store.key))
    in_order.take(spans)
    in_order.wait()
    mixed = House(store)
    told = spans + random_.sample(spans, k=random_.randint(0, len(spans)))
    random_.shuffle(told)
    while told:
        size = random_.randint(1, 6)
        some, told = told[:size], told[size:]
        mixed.take(some)
        if random_.random() < 0.3:
            mixed.take(some)
    mixed.wait()
    assert facts(mixed.store) == facts(in_order.store)
    assert words(mixed.store) == words(in_order.store)
    assert not list(check_payloads(mixed.store))


def test_what_comes_after_a_trace_was_settled_becomes_further_steps(house: House) -> None:
    spans = an_agents_work()
    house.take(spans[:3])
    house.wait()
    assert len(house.steps()) == 2
    before = house.steps()
    house.take(spans)
    house.wait()
    assert len(house.steps()) == 4
    assert house.steps()[:2] == before
    assert house.take(spans) == 0
    assert house.wait() == 0
    assert not list(check_payloads(house.store))


def test_a_trace_without_its_root_is_waited_for_longer(house: House) -> None:
    house.take(an_agents_work()[1:])
    assert house.wait(10.0) == 0
    assert house.wait(25.0) == 1
    assert len(house.steps()) == 3


def test_a_trace_in_which_no_ai_worked_is_kept_and_is_no_trajectory(house: House) -> None:
    house.take([ScriptedSpan(attributes={"http.request.method": "GET"})])
    assert house.wait() == 1
    assert not house.steps()
    assert read_trajectory(house.store, trajectory_of_trace(trace_name(1))) is None
    assert len(spans_of_traces(house.store, [trace_name(1)])[trace_name(1)]) == 1
    assert count_waiting(house.store) == 0


def test_a_call_that_two_tools_tell_of_is_counted_once(house: House) -> None:
    outer = call(2, ["a?"], "b", lasts_s=3.0)
    inner = call(3, ["a?"], "b", parent=2, told={"gen_ai.response.id": "r1-2"})
    beside = call(7, ["a?"], "b", parent=0, told={"gen_ai.response.id": "r1-2"})
    house.take([ScriptedSpan(lasts_s=9.0, attributes={"gen_ai.operation.name": "invoke_agent"}), outer, inner, beside])
    house.wait()
    kinds = [(one.kind, one.cost) for one in house.steps()]
    nothing, paid = Money(Decimal(0)), Money(Decimal(2))
    assert kinds == [
        (StepKind.AGENT, nothing),
        (StepKind.AGENT, nothing),
        (StepKind.CALL, paid),
        (StepKind.CALL, nothing),
    ]
    assert house.steps()[3].details["counted"] == house.steps()[2].id


def test_a_call_that_also_went_through_the_gateway_is_counted_there(house: House) -> None:
    house.take([call(1, ["a?"], "b", trace=9, parent=0)])
    house.wait()
    (other,) = house.steps(9)
    with house.store.begin() as connection:
        mine = Step(
            id="trj_gateway", trajectory=other.trajectory, at=START, kind=StepKind.CALL, name="chat", source="gateway",
            details={"response": "r1-2"},
        )  # fmt: skip
        append_steps(house.store, connection, [mine])
    house.take(an_agents_work())
    house.wait()
    linked, own = (one for one in house.steps() if one.kind is StepKind.CALL)
    assert (linked.details["counted"], linked.cost, linked.usage) == ("trj_gateway", Money(Decimal(0)), Usage())
    assert own.cost == Money(Decimal(2))


def test_the_trace_says_whose_work_it_is(house: House) -> None:
    declared = Capability(name="triage", contract=Contract(kind=ContractKind.TEXT))
    declare_capability(house.store, declared, by="ann", at=START)
    told = {"tcap.capability": "triage", "tcap.group": "cust-1", "tcap.key": "T-1"}
    house.take(an_agents_work(1, **told))
    house.take(an_agents_work(2), service__name="desk", tcap__capability="triage", session__id="s-9")
    house.take(an_agents_work(3, **{"tcap.capability": "nobody declared this"}))
    house.wait()
    cases = [_case(house, trace) for trace in (1, 2, 3)]
    assert [one.capability for one in cases] == ["triage", "triage", UNSORTED]
    assert [one.group for one in cases] == ["cust-1", "s-9", trajectory_of_trace(trace_name(3))]
    assert (cases[0].key, cases[1].key) == ("T-1", trajectory_of_trace(trace_name(2)))


def _case(house: House, trace: int) -> Any:
    done = read_trajectory(house.store, trajectory_of_trace(trace_name(trace)))
    assert done is not None
    return read_case(house.store, done.case)


def test_traces_of_one_case_share_it(house: House) -> None:
    house.take(an_agents_work(1, **{"tcap.case": "C-1"}))
    house.wait()
    house.take(an_agents_work(2, **{"tcap.case": "C-1"}))
    house.wait()
    assert _case(house, 1) == _case(house, 2)
    assert not list(check_payloads(house.store))
    erase_case(house.store, _case(house, 1).id, by="ann", at=START)
    house.take(an_agents_work(3, **{"tcap.case": "C-1"}))
    house.wait()
    assert _case(house, 3).messages, "a case whose words were erased is not written again"
    assert not list(check_payloads(house.store))


def test_outcomes_that_a_trace_tells_are_on_record(house: House) -> None:
    events: tuple[tuple[str, Mapping[str, Json]], ...] = (
        ("tcap.outcome", {"name": "solved", "value": True}),
        ("tcap.outcome", {"name": "score", "value": 0.5}),
        ("tcap.outcome", {"name": "later"}),
        ("tcap.outcome", {"name": "words", "value": "no outcome"}),
    )
    house.take([call(1, ["a?"], "b", parent=0, events=events, told={"tcap.key": "T-1"})])
    house.wait()
    found = outcomes_for(house.store, UNSORTED, ["T-1"])
    assert {name: one.value for (_, name), one in found.items()} == {"solved": True, "score": 0.5, "later": None}


def test_a_failure_is_told_and_is_no_answer(house: House) -> None:
    broken = (("exception", {"exception.type": "TimeoutError", "exception.message": "Ann waited"}),)
    house.take([call(1, ["a?"], "", parent=0, failed=True, events=broken)])
    house.wait()
    (one,) = house.steps()
    assert (one.failure, one.ending) == ("TimeoutError", Ending.REFUSED)
    done = read_trajectory(house.store, one.trajectory)
    assert done is not None
    assert (done.answer.value, done.failure) == (None, "TimeoutError")


def test_erasing_a_case_erases_its_spans_and_no_others(house: House) -> None:
    house.take([*an_agents_work(1), *an_agents_work(2)])
    house.take([ScriptedSpan(trace=1, span=8, name="late", begins_s=8.0)])
    house.wait()
    erase_case(house.store, _case(house, 1).id, by="ann", at=START)
    assert trace_name(1) not in spans_of_traces(house.store, [trace_name(1)])
    assert all(one.messages is None for one in house.steps(1))
    assert house.steps(2)[1].messages is not None
    assert spans_of_traces(house.store, [trace_name(2)])
    assert not list(check_payloads(house.store))
    with house.store.read() as connection:
        assert len(list(connection.execute(select(step.c.id)))) == 8, "facts and counts stay"


def test_names_of_traces_and_trajectories_lead_to_each_other() -> None:
    for trace in (trace_name(1), "f" * 32, f"7463617{5:025x}", "74636170" + "0" * 24):
        assert trace_of_trajectory(trajectory_of_trace(trace)) == trace
    assert trajectory_of_trace(trace_of_trajectory("trj_01jd0000000000000abc") or "") == "trj_01jd0000000000000abc"
    assert trace_of_trajectory("trj_short") is None
    assert trace_of_trajectory("other") is None


def test_a_trace_that_claims_the_name_of_another_trajectory_adds_nothing_to_it(house: House) -> None:
    house.take(an_agents_work(1))
    house.wait()
    done = read_trajectory(house.store, trajectory_of_trace(trace_name(1)))
    assert done is not None
    case = _case(house, 1)
    theirs = msgspec.structs.replace(done, id="trj_01jd0000000000000abc")
    Recorder(house.store).record([Exchange(case, theirs)])
    claimed = int(trace_of_trajectory(theirs.id) or "", 16)
    house.take([call(1, ["forged"], "forged", trace=claimed, parent=0)])
    house.wait()
    assert not steps_of(house.store, [theirs.id])


def test_a_trace_that_the_database_refuses_holds_up_no_other(house: House) -> None:
    refused = Step(
        id="stp_1",
        trajectory="",
        at=START,
        kind=StepKind.CALL,
        name="a\0b",
        source="otlp",
        ending=Ending.DONE,
        elapsed_s=1.0,
        usage=Usage(2**63, 2**63),
    )
    house.take([ScriptedSpan(attributes={"tcap.step": msgspec.json.encode(refused).decode()})])
    house.take([call(2, ["Hello?"], "Yes.", trace=2, parent=0)])
    assert house.wait() == 2
    assert (count_waiting(house.store), house.settler.failed) == (0, 1)
    assert house.steps(2)


def test_a_step_belongs_to_the_application_whose_key_it_was_sent_with(house: House) -> None:
    theirs = Step(
        id="stp_1", trajectory="", at=START, kind=StepKind.TOOL, name="find", source="otlp", ending=Ending.DONE,
        elapsed_s=1.0, application="theirs",
    )  # fmt: skip
    told = {"tcap.step": msgspec.json.encode(theirs).decode()}
    again = {"tcap.step": msgspec.json.encode(msgspec.structs.replace(theirs, id="stp_2")).decode()}
    house.take([ScriptedSpan(attributes=told)], application="mine")
    house.take([ScriptedSpan(trace=2, attributes=again)])
    house.wait()
    assert [one.application for trace in (1, 2) for one in house.steps(trace)] == ["mine", "theirs"]


def test_a_batch_of_any_length_is_stored_in_portions(house: House) -> None:
    long = [ScriptedSpan(trace=1, span=number + 1) for number in range(1_300)]
    short = [ScriptedSpan(trace=trace, span=1) for trace in range(2, 300)]
    assert house.take([*long, *short]) == 1_598
    assert house.take([*long, *short]) == 0
    assert len(spans_of_traces(house.store, [trace_name(1)])[trace_name(1)]) == 3
    assert not list(check_payloads(house.store))
