"""How an answer is made with a generalist, and what is on record when that fails."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tokencapital.core.answer import Stage
from tokencapital.core.case import Contract, ContractKind, Mode
from tokencapital.core.errors import ModelGarbage, ModelTimeout, ModelUnavailable, StoreUnavailable
from tokencapital.core.judgment import DrawKind
from tokencapital.core.policy import Calibration, Policy, StageRule, Threshold
from tokencapital.core.quantity import Grade, Usage
from tokencapital.meter.energy import LocalEstimate
from tokencapital.meter.meter import Meter
from tokencapital.meter.prices import Price, PriceBook
from tokencapital.models.base import ModelRequest
from tokencapital.models.specialist import Prediction
from tokencapital.serve.engine import Engine
from tokencapital.serve.ports import Live
from tokencapital.store.cases import count_cases, read_trajectory, recent_trajectories
from tokencapital.store.database import Store
from tokencapital.testing.models import Reply, ScriptedModel

LABEL = Contract(kind=ContractKind.LABEL, labels=("card_lost", "fraud"))
FIELDS = Contract(
    kind=ContractKind.FIELDS,
    schema={
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
)
TEXT = Contract(kind=ContractKind.TEXT)


def policy(contract: Contract = LABEL, **more: Any) -> Policy:
    return Policy(capability="triage", contract=contract, **more)


def sure_from(score: float) -> StageRule:
    threshold = Threshold(score=score, tolerance=0.05, delta=0.1, n=100, errors=0, calibrated_on=300)
    return StageRule(threshold=threshold, calibration=Calibration((0.0, 1.0), (0.0, 1.0)))


async def test_every_exchange_is_on_record_with_what_repeats_it(desk: Any, store: Store) -> None:
    said = desk.told("an earlier request", "fraud")
    engine = desk.engine(Live(policy(), "rel_1"), ScriptedModel(["card_lost"]), seed=7)
    exchange = await engine.answer(desk.case("my card is gone"))
    kept = read_trajectory(store, exchange.trajectory.id)
    assert kept == exchange.trajectory
    assert kept is not None
    assert (kept.policy, kept.release, kept.memory, kept.seed) == (policy().hash, "rel_1", said.sequence, 7)
    assert kept.generalist == "scripted"
    assert kept.usage == Usage(10, 2)
    assert kept.propensity == 1.0
    assert kept.failure is None
    assert (kept.answer.value, kept.answer.stage, kept.answer.source) == ("card_lost", Stage.PERSON, Stage.GENERALIST)
    assert kept.energy.grade in {Grade.ESTIMATED, Grade.UNKNOWN}


FAILURES = [
    Reply(fault=ModelUnavailable("refused")),
    Reply(fault=ModelTimeout("no answer within 1 s")),
    Reply(fault=ModelGarbage("neither JSON nor a label")),
]


@pytest.mark.parametrize("reply", FAILURES, ids=lambda reply: type(reply.fault).__name__)
async def test_a_generalist_that_fails_leaves_the_case_to_a_person_and_the_record_says_why(
    desk: Any, store: Store, reply: Reply
) -> None:
    engine = desk.engine(Live(policy()), ScriptedModel([reply]))
    done = (await engine.answer(desk.case("my card is gone"))).trajectory
    assert done.answer.stage is Stage.PERSON
    assert done.answer.value is None
    assert reply.fault is not None
    assert done.failure == str(reply.fault)
    assert done.generalist == "scripted"
    assert done.usage == Usage(None, None)
    assert done.cost is None
    assert read_trajectory(store, done.id) == done


@pytest.mark.parametrize("reply", FAILURES, ids=lambda reply: type(reply.fault).__name__)
async def test_what_the_specialist_drafted_survives_a_generalist_that_fails(desk: Any, reply: Reply) -> None:
    specialist = desk.keywords({"my": Prediction("fraud", 0.3)})
    engine = desk.engine(Live(policy(), "rel_1", specialist), ScriptedModel([reply]))
    answer = (await engine.answer(desk.case("my card is gone"))).trajectory.answer
    assert (answer.value, answer.stage, answer.source) == ("fraud", Stage.PERSON, Stage.SPECIALIST)


@pytest.mark.parametrize(
    ("contract", "text", "why"),
    [
        (LABEL, "", "empty"),
        (TEXT, "  \n", "empty"),
        (FIELDS, "", "empty"),
        (FIELDS, "Rome", "not JSON"),
        (FIELDS, "[1]", "not an object"),
        (FIELDS, "{}", "lacks city"),
        (FIELDS, '{"city": "Rome", "planet": "Mars"}', "fields that the contract lacks"),
    ],
)
async def test_an_answer_that_does_not_fit_is_paid_for_and_not_given(
    desk: Any, contract: Contract, text: str, why: str
) -> None:
    engine = desk.engine(Live(policy(contract, generalist_rule=sure_from(0.1))), ScriptedModel([text]))
    done = (await engine.answer(desk.case("to Rome please"))).trajectory
    assert done.answer.stage is Stage.PERSON
    assert done.answer.value is None
    assert why in (done.failure or "")
    assert done.usage == Usage(10, 2)
    assert "Rome" not in (done.failure or "") and "planet" not in (done.failure or "")


async def test_one_call_that_fails_spoils_no_other(desk: Any, store: Store) -> None:
    def script(request: ModelRequest) -> Reply | str:
        bad = "bad" in request.messages[-1].content
        return Reply(fault=ModelTimeout("too slow"), delay_s=0.01) if bad else "card_lost"

    engine = desk.engine(Live(policy()), ScriptedModel(script), concurrency=3)
    cases = [desk.case("bad" if n % 3 == 1 else f"request {n}") for n in range(9)]
    done = [exchange.trajectory for exchange in await engine.answer_many(cases)]
    assert [one.answer.value for one in done] == ["card_lost", None, "card_lost"] * 3
    assert [one.failure is None for one in done] == [True, False, True] * 3
    assert [one.case for one in done] == [case.id for case in cases]
    assert count_cases(store, "triage") == 9


async def test_a_generalist_is_asked_only_where_nothing_here_is_sure(desk: Any) -> None:
    desk.told("known request", "card_lost")
    specialist = desk.keywords({"sure": Prediction("fraud", 0.9)})
    model = ScriptedModel(lambda request: "card_lost")
    live = Live(policy(specialist_rule=sure_from(0.5), explore=0.0), "rel_1", specialist)
    cases = [desk.case(text) for text in ("known request", "sure thing", "something else")]
    done = [one.trajectory for one in await desk.engine(live, model).answer_many(cases)]
    assert [one.answer.stage for one in done] == [Stage.RECALL, Stage.SPECIALIST, Stage.PERSON]
    assert [one.generalist for one in done] == [None, None, "scripted"]
    assert [one.usage for one in done] == [Usage(), Usage(), Usage(10, 2)]
    assert len(model.requests) == 1


async def test_a_generalist_answers_alone_from_its_threshold_on(desk: Any) -> None:
    live = Live(policy(generalist_rule=sure_from(0.8)), "rel_1")
    model = ScriptedModel([Reply("fraud", logprob=-0.1), Reply("fraud", logprob=-1.0), Reply("fraud", logprob=None)])
    engine = desk.engine(live, model)
    answers = [(await engine.answer(desk.case(text))).trajectory.answer for text in ("one", "two", "three")]
    assert [answer.stage for answer in answers] == [Stage.GENERALIST, Stage.PERSON, Stage.PERSON]
    assert answers[0].confidence == pytest.approx(0.9048, abs=1e-4)
    assert answers[1].confidence == pytest.approx(0.3679, abs=1e-4)
    assert answers[2].confidence is None


async def test_the_surer_of_two_drafts_is_shown(desk: Any) -> None:
    calibration = Calibration((0.0, 1.0), (0.0, 1.0))
    rule = StageRule(calibration=calibration)
    specialist = desk.keywords({"my": Prediction("fraud", 0.7)})
    live = Live(policy(specialist_rule=rule, generalist_rule=rule), "rel_1", specialist)
    engine = desk.engine(live, ScriptedModel([Reply("card_lost", logprob=-0.1), Reply("card_lost", logprob=-1.0)]))
    first, second = [(await engine.answer(desk.case(f"my card {n}"))).trajectory.answer for n in range(2)]
    assert (first.value, first.source) == ("card_lost", Stage.GENERALIST)
    assert (second.value, second.source) == ("fraud", Stage.SPECIALIST)


async def test_exemplars_are_nearest_and_bounded_by_the_release_but_newest_where_people_check(desk: Any) -> None:
    early = desk.told("my card was stolen", "card_lost")
    late = desk.told("my card was stolen today", "fraud")
    declared = policy(memory=early.sequence, exemplars=4)
    case = desk.case("my card was stolen yesterday")
    shown = {}
    for mode in (Mode.ANSWER, Mode.SUGGEST):
        model = ScriptedModel(["fraud"])
        answer = (await desk.engine(Live(declared, "rel_1"), model, mode).answer(case)).trajectory.answer
        shown[mode] = set(answer.because)
        assert len(model.requests[0].messages) == 2 + 2 * len(answer.because)
    assert shown == {Mode.ANSWER: {early.id}, Mode.SUGGEST: {early.id, late.id}}


async def test_sealed_judgments_are_never_shown(desk: Any) -> None:
    desk.told("my card was stolen", "fraud", desk.sealed[0])
    model = ScriptedModel(["fraud"])
    live = Live(policy(memory=10**9), "rel_1")
    answer = (await desk.engine(live, model).answer(desk.case("my card was stolen yesterday"))).trajectory.answer
    assert answer.because == ()
    assert len(model.requests[0].messages) == 2


async def test_labels_are_the_declared_ones_or_else_those_that_people_gave(desk: Any) -> None:
    undeclared = policy(Contract(kind=ContractKind.LABEL))
    model = ScriptedModel(lambda request: "b")
    engine = desk.engine(Live(undeclared), model)
    nobody = (await engine.answer(desk.case("one"))).trajectory
    assert nobody.generalist is None and nobody.answer.value is None
    desk.told("two", "b")
    desk.told("three", "a")
    await engine.answer(desk.case("four"))
    assert [request.labels for request in model.requests] == [("a", "b")]


async def test_no_case_takes_no_time_and_leaves_no_trace(desk: Any, store: Store) -> None:
    assert await desk.engine(Live(policy())).answer_many([]) == []
    assert count_cases(store, "triage") == 0


class Refusing:
    """A sink that cannot write."""

    def record(self, exchanges: Any) -> None:
        raise StoreUnavailable("the disk is full")


async def test_what_cannot_be_recorded_is_not_acknowledged(desk: Any, store: Store) -> None:
    parts = msgspec.structs.replace(desk.parts(Live(policy())), sink=Refusing())
    with pytest.raises(StoreUnavailable):
        await Engine(desk.wanted(LABEL), parts).answer(desk.case("one"))
    assert recent_trajectories(store, "triage", 1) == []


async def test_exploring_sticks_to_an_entity(desk: Any) -> None:
    specialist = desk.keywords({"sure": Prediction("fraud", 0.9)})
    live = Live(policy(specialist_rule=sure_from(0.5), explore=0.5), "rel_1", specialist)
    engine = desk.engine(live)
    groups = desk.train[:60]
    seen = []
    for round_number in range(2):
        cases = [desk.case(f"sure thing {round_number} {group}", group) for group in groups]
        seen.append([one.trajectory.answer.stage for one in await engine.answer_many(cases)])
    assert seen[0] == seen[1]
    # 30 of 60 are expected, with a standard deviation of 4.
    assert 14 < seen[0].count(Stage.PERSON) < 46


async def test_an_accepted_correction_answers_the_very_next_identical_request(desk: Any) -> None:
    specialist = desk.keywords({"my": Prediction("fraud", 0.9)})
    engine = desk.engine(Live(policy(specialist_rule=sure_from(0.5), explore=0.0), "rel_1", specialist))
    case = desk.case("my card is gone")
    assert (await engine.answer(case)).trajectory.answer.value == "fraud"
    desk.judge(case, "card_lost", drawn=DrawKind.VOLUNTEERED)
    again = (await engine.answer(desk.case("My card is gone"))).trajectory
    assert (again.answer.value, again.answer.stage) == ("card_lost", Stage.RECALL)


async def test_a_call_costs_what_its_price_says_beside_the_machines_time(desk: Any) -> None:
    price = Price(input=Decimal(1_000_000), output=Decimal(2_000_000))
    meter = Meter(PriceBook(contracts={"scripted": price}, machine_usd_per_hour=Decimal(0)), LocalEstimate(10.0, 1.0))
    parts = msgspec.structs.replace(desk.parts(Live(policy()), ScriptedModel(["fraud"])), meter=meter)
    done = (await Engine(desk.wanted(LABEL), parts).answer(desk.case("one"))).trajectory
    assert done.cost is not None
    assert done.cost.amount == Decimal(10 + 2 * 2)
    assert "contract" in (done.price or "")


async def test_the_time_of_a_call_that_failed_was_spent_all_the_same(desk: Any) -> None:
    model = ScriptedModel([Reply(fault=ModelTimeout("no answer"), delay_s=0.05)])
    done = (await desk.engine(Live(policy()), model).answer(desk.case("one"))).trajectory
    assert done.elapsed_s >= 0.05
