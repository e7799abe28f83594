"""What this machine decides alone: recall and the specialist, and when both leave a case to people."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from tokencapital.core.answer import Stage
from tokencapital.core.case import Case, Contract, ContractKind
from tokencapital.core.policy import Calibration, Policy, StageRule, Threshold
from tokencapital.models.specialist import Prediction
from tokencapital.serve.ports import Live
from tokencapital.serve.stages import Explore, Local, Moment, answer_locally
from tokencapital.store.judgments import expire, withdraw

LABEL, FIELDS, TEXT = (Contract(kind=kind) for kind in (ContractKind.LABEL, ContractKind.FIELDS, ContractKind.TEXT))
LINE = Calibration((0.0, 1.0), (0.1, 0.9))
STOLEN = "stolen is my card"


def rule(score: float, **more: Any) -> StageRule:
    threshold = Threshold(score=score, tolerance=0.05, delta=0.1, n=100, errors=0, calibrated_on=300)
    return StageRule(threshold=threshold, calibration=LINE, **more)


def policy(contract: Contract = LABEL, **more: Any) -> Policy:
    return Policy(capability="triage", contract=contract, specialist_rule=rule(0.6), memory=10**9, **more)


def decide(desk: Any, live: Live, case: Case, *, chosen: bool = False, upto: int = 10**9) -> Local:
    memory = desk.memory()
    memory.refresh()
    explore = Explore(np.array([chosen]), 0.02)
    (local,) = answer_locally(Moment(live, desk.now, upto), memory, [case], desk.encode([case]), explore)
    return local


@pytest.fixture
def sure(desk: Any) -> Live:
    """A specialist that says `fraud` with much confidence of whatever begins with `stolen`."""
    return Live(policy(), "rel_1", desk.keywords({"stolen": Prediction("fraud", 0.8, (("fraud", 0.8),))}))


def test_an_identical_case_that_people_agree_on_overrides_the_specialist(desk: Any, sure: Live) -> None:
    said = desk.told(STOLEN, "card_lost")
    answer = decide(desk, sure, desk.case("STOLEN  is my card")).answer
    assert (answer.value, answer.stage, answer.source) == ("card_lost", Stage.RECALL, Stage.RECALL)
    assert answer.because == (said.id,)


def test_what_people_said_is_never_explored_away(desk: Any, sure: Live) -> None:
    desk.told(STOLEN, "card_lost")
    local = decide(desk, sure, desk.case(STOLEN), chosen=True)
    assert local.answer.stage is Stage.RECALL
    assert local.propensity == 1.0


def test_where_people_disagree_a_person_decides_whatever_the_specialist_thinks(desk: Any, sure: Live) -> None:
    desk.told(STOLEN, "card_lost")
    desk.told(STOLEN, "card_stolen", expert="bert")
    answer = decide(desk, sure, desk.case(STOLEN)).answer
    assert answer.stage is Stage.PERSON
    assert (answer.value, answer.source) == ("fraud", Stage.SPECIALIST)


def test_a_policy_that_recalls_no_identical_input_answers_from_what_it_learned(desk: Any, sure: Live) -> None:
    desk.told(STOLEN, "card_lost")
    live = Live(policy(identical=False), "rel_1", sure.specialist)
    assert decide(desk, live, desk.case(STOLEN)).answer.stage is Stage.SPECIALIST


def test_another_context_is_another_case(desk: Any, sure: Live) -> None:
    desk.told(STOLEN, "card_lost")
    answer = decide(desk, sure, desk.case(STOLEN, context={"tier": "gold"})).answer
    assert (answer.value, answer.stage) == ("fraud", Stage.SPECIALIST)


@pytest.mark.parametrize("how", [withdraw, expire])
def test_what_was_taken_back_stops_answering_at_once_and_makes_its_neighbourhood_doubtful(
    desk: Any, sure: Live, how: Any
) -> None:
    said = desk.told(STOLEN, "card_lost")
    if how is withdraw:
        withdraw(desk.store, said.id, by="ines", at=desk.now)
    else:
        expire(desk.store, [said.id], desk.now, by="ines", at=desk.now)
    answer = decide(desk, sure, desk.case(STOLEN)).answer
    assert (answer.value, answer.stage) == ("fraud", Stage.PERSON)


def test_a_memory_of_an_earlier_state_answers_as_it_did_then(desk: Any, sure: Live) -> None:
    said = desk.told(STOLEN, "card_lost")
    assert decide(desk, sure, desk.case(STOLEN), upto=said.sequence - 1).answer.stage is Stage.SPECIALIST


def test_the_specialist_answers_alone_from_its_threshold_on_only(desk: Any) -> None:
    words = {f"w{score}": Prediction("fraud", score, (("fraud", score),)) for score in (0.59, 0.6, 0.61)}
    live = Live(policy(), "rel_1", desk.keywords(words))
    stages = [decide(desk, live, desk.case(f"{word} card")).answer.stage for word in words]
    assert stages == [Stage.PERSON, Stage.SPECIALIST, Stage.SPECIALIST]
    unproven = Live(Policy(capability="triage", contract=LABEL), "rel_1", live.specialist)
    answer = decide(desk, unproven, desk.case("w0.61 card")).answer
    assert (answer.stage, answer.source, answer.confidence) == (Stage.PERSON, Stage.SPECIALIST, None)


def test_confidence_is_the_calibrated_probability(desk: Any, sure: Live) -> None:
    answer = decide(desk, sure, desk.case(STOLEN)).answer
    assert answer.confidence == pytest.approx(0.1 + 0.8 * 0.8)
    desk.told("something else", "x")
    recalling = Live(policy(recall=rule(0.9)), "rel_1", sure.specialist)
    assert decide(desk, recalling, desk.case("Something else")).answer.confidence == pytest.approx(0.9)


def test_exploring_passes_sure_answers_on_and_says_how_likely_that_was(desk: Any, sure: Live) -> None:
    passed = decide(desk, sure, desk.case(STOLEN), chosen=True)
    assert passed.answer.stage is Stage.PERSON
    assert passed.propensity == pytest.approx(0.02)
    kept = decide(desk, sure, desk.case(STOLEN))
    assert kept.answer.stage is Stage.SPECIALIST
    assert kept.propensity == pytest.approx(0.98)


@pytest.mark.parametrize("chosen", [True, False])
def test_an_unsure_answer_goes_to_a_person_with_certainty(desk: Any, sure: Live, chosen: bool) -> None:
    local = decide(desk, sure, desk.case("unknown words"), chosen=chosen)
    assert (local.answer.stage, local.propensity) == (Stage.PERSON, 1.0)


def test_with_nothing_learned_there_is_no_draft(desk: Any) -> None:
    answer = decide(desk, Live(policy()), desk.case("hello")).answer
    assert (answer.value, answer.stage, answer.source, answer.confidence) == (None, Stage.PERSON, None, None)


def test_a_near_duplicate_answers_from_its_threshold_on_only(desk: Any) -> None:
    said = desk.told("my bank card was stolen yesterday in the train", "card_lost")
    near, far = desk.case("my bank card was stolen yesterday in the bus"), desk.case("where is my parcel")
    similarity = float((desk.encode([near]) @ desk.memory_vectors().T)[0, 0])
    assert 0.7 < similarity < 0.999
    below, above = (Live(policy(recall=rule(similarity + d)), "rel_1") for d in (-0.01, 0.01))
    answer = decide(desk, below, near).answer
    assert (answer.value, answer.stage, answer.because) == ("card_lost", Stage.RECALL, (said.id,))
    assert decide(desk, above, near).answer.stage is Stage.PERSON
    assert decide(desk, below, far).answer.stage is Stage.PERSON
    assert decide(desk, Live(policy(), "rel_1"), near).answer.value is None


def test_a_near_duplicate_waits_for_the_release_that_was_calibrated_with_it(desk: Any) -> None:
    said = desk.told("my bank card was stolen yesterday in the train", "card_lost")
    live = Live(Policy(capability="triage", contract=LABEL, recall=rule(0.5), memory=said.sequence - 1), "rel_1")
    assert decide(desk, live, desk.case("my bank card was stolen yesterday in the bus")).answer.value is None


def test_text_never_answers_alone_and_never_quotes_one_customer_to_another(desk: Any) -> None:
    desk.told(STOLEN, "Dear Ada, your card 4711 is blocked.")
    reply = Prediction("Your card is blocked.", 0.9, (("Your card is blocked.", 0.9), ("", 0.1)))
    live = Live(policy(TEXT, recall=rule(0.1)), "rel_1", desk.keywords({"stolen": reply}))
    answer = decide(desk, live, desk.case(STOLEN)).answer
    assert (answer.value, answer.stage, answer.source) == ("Your card is blocked.", Stage.PERSON, Stage.SPECIALIST)
    assert decide(desk, Live(live.policy, "rel_1"), desk.case(STOLEN)).answer.value is None


def test_a_case_that_no_canned_reply_fits_has_no_draft(desk: Any) -> None:
    unfit = Prediction("", 0.9, (("", 0.9),))
    live = Live(policy(TEXT), "rel_1", desk.keywords({"stolen": unfit}))
    answer = decide(desk, live, desk.case(STOLEN)).answer
    assert (answer.value, answer.stage) == (None, Stage.PERSON)


def test_fields_have_a_confidence_each(desk: Any) -> None:
    filled = Prediction({"city": "Rome", "day": "Monday"}, 0.7, fields={"city": 1.0, "day": 0.5})
    asked = policy(FIELDS)
    ruled = Policy(capability="triage", contract=FIELDS, specialist_rule=rule(0.6, fields=LINE))
    specialist = desk.keywords({"stolen": filled})
    answer = decide(desk, Live(ruled, "rel_1", specialist), desk.case(STOLEN)).answer
    assert answer.stage is Stage.SPECIALIST
    assert answer.value == {"city": "Rome", "day": "Monday"}
    assert answer.fields == {"city": pytest.approx(0.9), "day": pytest.approx(0.5)}
    assert decide(desk, Live(asked, "rel_1", specialist), desk.case(STOLEN)).answer.fields is None


def test_a_rule_that_will_lapse_later_holds_until_then(desk: Any, sure: Live) -> None:
    desk.told(STOLEN, "card_lost", valid_until=desk.now + timedelta(seconds=1))
    assert decide(desk, sure, desk.case(STOLEN)).answer.stage is Stage.RECALL
