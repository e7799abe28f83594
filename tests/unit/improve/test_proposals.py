"""What the next policy rests on: uniform draws alone, other entities alone, and all that holds."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from tokencapital.core.case import Contract, ContractKind, Value
from tokencapital.core.judgment import DrawKind, JudgedCase
from tokencapital.core.policy import Lane, Policy
from tokencapital.improve.calibrate import HeldOut, held_out_uniform, stage_rule
from tokencapital.improve.dataset import Dataset, gather
from tokencapital.improve.propose import FEWEST_JUDGMENTS, REFRESH_GROWTH, Asked, propose
from tokencapital.improve.recall import nearest_elsewhere
from tokencapital.models.specialist import Prediction
from tokencapital.serve.ports import Live
from tokencapital.store.judgments import expire, withdraw

LABEL = Contract(kind=ContractKind.LABEL)
START = Live(Policy(capability="triage", contract=LABEL, exemplars=0))
WORDS = {
    "card_lost": "my bank card was stolen",
    "parcel": "where is my parcel now",
    "login": "reset my password please",
}


def judged(desk: Any, text: str, answer: Value, group: str, drawn: DrawKind = DrawKind.UNIFORM) -> JudgedCase:
    one = desk.judged(desk.case(text, group), answer)
    return JudgedCase(one.case, msgspec.structs.replace(one.judgment, drawn=drawn))


def dataset_of(desk: Any, rows: list[JudgedCase]) -> Dataset:
    uniform = np.array([row.judgment.drawn is DrawKind.UNIFORM for row in rows], bool)
    return Dataset(tuple(rows), desk.encode([row.case for row in rows]), uniform, len(rows))


def asked(desk: Any, **more: Any) -> Asked:
    return Asked(tolerance=0.05, seed=0, now=desk.now, **{"rebuilds": False, **more})


def teach(desk: Any, each: int, **more: Any) -> list[Any]:
    return [desk.told(f"{text} {n}", label, **more) for n in range(each) for label, text in WORDS.items()]


def test_only_uniform_draws_calibrate(desk: Any) -> None:
    kinds = [DrawKind.UNIFORM, DrawKind.ACTIVE, DrawKind.VOLUNTEERED, DrawKind.UNIFORM]
    rows = [judged(desk, f"text {n}", "a", f"g{n}", kind) for n, kind in enumerate(kinds)]
    predictions = [Prediction("a", 0.1), Prediction("a", 0.2), Prediction("a", 0.3), Prediction("b", 0.4)]
    held_out = held_out_uniform(dataset_of(desk, rows), predictions)
    assert held_out.scores.tolist() == [0.1, 0.4]
    assert held_out.right.tolist() == [True, False]
    assert held_out.groups == ("g0", "g3")
    assert held_out.accuracy == 0.5


def test_without_uniform_draws_nothing_is_promised(desk: Any) -> None:
    rows = [judged(desk, f"text {n}", "a", f"g{n}", DrawKind.ACTIVE) for n in range(50)]
    held_out = held_out_uniform(dataset_of(desk, rows), [Prediction("a", 0.9)] * 50)
    assert held_out.accuracy is None
    rule = stage_rule(held_out, 0.05, 0)
    assert rule.threshold is None and rule.calibration is None


@pytest.mark.parametrize(("right", "answers_alone"), [(1.0, True), (0.8, False)])
def test_a_threshold_stands_only_where_the_error_can_be_vouched_for(right: float, answers_alone: bool) -> None:
    n = 200
    hits = np.arange(n) % 10 < right * 10
    held_out = HeldOut(np.linspace(0.3, 0.9, n), hits, tuple(map(str, range(n))))
    rule = stage_rule(held_out, 0.05, 0)
    assert (rule.threshold is not None) is answers_alone
    assert rule.calibration is not None


def test_a_near_duplicate_of_the_same_entity_proves_nothing(desk: Any) -> None:
    rows = [
        judged(desk, "my bank card was stolen", "card_lost", "ada"),
        judged(desk, "my bank card was stolen!", "fraud", "ada"),
        judged(desk, "my bank card was stolen today", "card_lost", "bert"),
        judged(desk, "where is my parcel", "parcel", "cleo", DrawKind.ACTIVE),
    ]
    held_out = nearest_elsewhere(dataset_of(desk, rows))
    assert held_out.groups == ("ada", "ada", "bert")
    # Bert's nearest of somebody else is Ada's first or second; Ada's nearest of somebody else is Bert's.
    assert held_out.right.tolist()[:2] == [True, False]
    vectors = desk.encode([row.case for row in rows])
    assert held_out.scores[:2] == pytest.approx([float(vectors[0] @ vectors[2]), float(vectors[1] @ vectors[2])])


def test_one_entity_alone_has_nobody_to_agree_with(desk: Any) -> None:
    rows = [judged(desk, f"text {n}", "a", "ada") for n in range(4)]
    assert len(nearest_elsewhere(dataset_of(desk, rows)).scores) == 0


def test_what_holds_is_gathered_with_its_lineage(desk: Any) -> None:
    said = teach(desk, 2)
    withdraw(desk.store, said[0].id, by="ines", at=desk.now)
    expire(desk.store, [said[1].id], desk.now, by="owner", at=desk.now)
    desk.told("of a sealed group", "parcel", desk.sealed[0])
    desk.told("drawn to teach", "parcel", drawn=DrawKind.ACTIVE)
    memory = desk.memory()
    memory.refresh()
    dataset = gather(memory, desk.now)
    assert [one.judgment.id for one in dataset.judged][:-1] == [one.id for one in said[2:]]
    assert dataset.uniform.tolist() == [True] * 4 + [False]
    assert dataset.lineage == tuple(one.judgment.sequence for one in dataset.judged)
    assert dataset.sequence == memory.sequence
    assert np.allclose(dataset.vectors, desk.encode([one.case for one in dataset.judged]), atol=1e-6)
    assert dataset.subset(np.array([1, 0])).groups == [dataset.groups[1], dataset.groups[0]]


def test_too_few_judgments_make_no_proposal(desk: Any) -> None:
    teach(desk, 3)
    memory = desk.memory()
    memory.refresh()
    assert len(gather(memory, desk.now)) == FEWEST_JUDGMENTS - 1
    assert propose(gather(memory, desk.now), START, asked(desk)) is None


def test_the_first_proposal_is_a_change_and_the_next_a_refresh_of_the_same_recipe(desk: Any) -> None:
    teach(desk, 20)
    memory = desk.memory()
    memory.refresh()
    first = propose(gather(memory, desk.now), START, asked(desk))
    assert first is not None and first.specialist is not None and first.artifact is not None
    assert first.lane is Lane.CHANGE
    assert first.policy.specialist == first.specialist.digest
    assert first.policy.memory == memory.sequence
    assert first.judgments == 60
    assert first.groups == {one.case.group for one in gather(memory, desk.now).judged}
    assert tuple(first.artifact.lineage) == gather(memory, desk.now).lineage
    assert first.held_out is not None and first.held_out.accuracy == 1.0
    live = Live(first.policy, "rel_1", first.specialist)
    assert propose(gather(memory, desk.now), live, asked(desk)) is None
    patient = msgspec.structs.replace(asked(desk), least_growth=REFRESH_GROWTH)
    few = int(REFRESH_GROWTH * first.judgments) - 1
    for number in range(few):
        desk.told(f"reset my password at once, number {number}", "login")
    memory.refresh()
    assert propose(gather(memory, desk.now), live, patient) is None
    assert propose(gather(memory, desk.now), live, asked(desk)) is not None
    desk.told("reset my password now", "login")
    memory.refresh()
    second = propose(gather(memory, desk.now), live, patient)
    assert second is not None
    assert second.lane is Lane.REFRESH
    assert second.policy.recipes == first.policy.recipes
    assert set(second.artifact.lineage if second.artifact else ()) > set(first.artifact.lineage)


def test_the_same_judgments_make_the_same_policy(desk: Any) -> None:
    teach(desk, 8)
    memory = desk.memory()
    memory.refresh()
    made = [propose(gather(memory, desk.now), START, asked(desk)) for _ in range(2)]
    assert made[0] is not None and made[1] is not None
    assert made[0].policy.hash == made[1].policy.hash


def test_whatever_else_a_policy_has_learned_stays(desk: Any) -> None:
    teach(desk, 8)
    memory = desk.memory()
    memory.refresh()
    policy = msgspec.structs.replace(START.policy, lessons=("Be kind.",), exemplars=4, recipes=("exemplars/1",))
    made = propose(gather(memory, desk.now), Live(policy), asked(desk))
    assert made is not None
    assert (made.policy.lessons, made.policy.exemplars) == (("Be kind.",), 4)
    assert "exemplars/1" in made.policy.recipes


def test_a_refresh_is_held_beside_the_live_specialist_on_what_neither_learned(desk: Any) -> None:
    teach(desk, 20)
    memory = desk.memory()
    memory.refresh()
    first = propose(gather(memory, desk.now), START, asked(desk))
    assert first is not None and first.beside_live is None
    live = Live(first.policy, "rel_1", first.specialist)
    for number in range(12):
        desk.told(f"a new kind of request {number}", "novelty")
    memory.refresh()
    dataset = gather(memory, desk.now)
    second = propose(dataset, live, asked(desk))
    assert second is not None and second.beside_live is not None
    ours, theirs = second.beside_live
    since = int((dataset.uniform & np.array([row >= 60 for row in range(len(dataset))])).sum())
    assert len(ours.right) == len(theirs.right) == since
    assert theirs.accuracy == 0.0
