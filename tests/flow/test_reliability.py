"""A house in which one expert is careless: learning counts them less, and nobody but they themselves is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tokencapital.app.loop import learn
from tokencapital.app.platform import Platform
from tokencapital.app.reliability import reliability_of, reliability_of_teams, weigh
from tokencapital.app.settings import CapabilitySettings, GoalSettings, Settings
from tokencapital.app.telling import declare_contributor
from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.case import ContractKind
from tokencapital.core.clock import RecordedClock
from tokencapital.core.judgment import DrawKind, JudgedCase, Judgment, Verdict
from tokencapital.core.people import Contributor
from tokencapital.core.quantity import UNKNOWN_ENERGY
from tokencapital.core.split import unit_hash
from tokencapital.simulate.organization import CAPABILITY, START, Plan, simulated_organization
from tokencapital.store.cases import read_case, record_exchanges
from tokencapital.store.judgments import append_judgments
from tokencapital.testing.people import tell_everyone

CAREFUL, CARELESS = ("ada", "ben", "cem", "dot", "eva"), "fay"
CASES = 240


def right(case: str, expert: str) -> bool:
    """Whether the expert is right on the case, by hash."""
    return unit_hash(b"slips", case, expert) < (0.35 if expert == CARELESS else 0.96)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Every case was judged by two of six people."""
    organization = simulated_organization(2, Plan(cases=CASES, kinds=5, ambiguous=0.0, overlap=0.2))
    labels = sorted({str(fact.value) for fact in organization.facts.values()})
    goal = GoalSettings(purpose="Sort.", owner="maria")
    declared = CapabilitySettings(contract=ContractKind.LABEL, goal=goal)
    path: Path = tmp_path_factory.mktemp("house") / "s.db"
    clock = RecordedClock(START + timedelta(days=60))
    with Platform.open(
        Settings(store=str(path), capabilities={CAPABILITY: declared}), clock=clock, key=bytes(32)
    ) as opened:
        tell_everyone(opened.store)
        people = (*CAREFUL, CARELESS)
        for name in people:
            one = Contributor(pseudonym=name, team="north" if name in CAREFUL else "south")
            declare_contributor(opened.store, one, by="maria", at=START)
        record_exchanges(opened.store, [Exchange(case, _unanswered(case.id, case.at)) for case in organization.cases])
        judged = []
        for place, case in enumerate(organization.cases):
            truth = labels.index(str(organization.facts[case.id].value))
            for expert in (people[place % 6], people[(place // 6 + place + 1) % 6]):
                answer = labels[truth if right(case.id, expert) else (truth + 1 + place % 4) % 5]
                judged.append(_said(f"{place}-{expert}", case.id, expert, answer, clock))
        append_judgments(opened.store, list({one.id: one for one in judged}.values()))
        yield opened


def _unanswered(case: str, at: object) -> Trajectory:
    return Trajectory(
        id=f"run-{case}", case=case, capability=CAPABILITY, at=at, answer=Answer(value=None, stage=Stage.PERSON),
        policy="0" * 16, memory=0, seed=0, propensity=1.0, elapsed_s=0.0, energy=UNKNOWN_ENERGY,
    )  # fmt: skip


def _said(name: str, case: str, expert: str, answer: str, clock: RecordedClock) -> Judgment:
    return Judgment(
        id=name, case=case, capability=CAPABILITY, expert=expert, at=clock.now(), verdict=Verdict.CORRECTED,
        answer=answer, drawn=DrawKind.UNIFORM, probability=1.0, valid_from=clock.now(),
    )  # fmt: skip


def test_the_careless_one_counts_less_for_learning(house: Platform) -> None:
    place = house.workplace(CAPABILITY)
    case = read_case(house.store, "work-000000")
    assert case is not None
    alone = [JudgedCase(case, _said("new", case.id, expert, "x", RecordedClock(START))) for expert in ("ada", CARELESS)]
    counted = weigh(place)(alone)
    assert counted is not None
    assert counted[0] > 0.5
    assert counted[1] < 0.2
    (candidate,) = learn(place, 0.2)
    assert candidate.artifact is not None
    assert candidate.held_out is not None


def test_people_are_told_of_themselves_alone(house: Platform) -> None:
    (own,) = reliability_of(house, CARELESS)
    assert own.ability is not None
    assert own.ability.interval.low < 0.35 < own.ability.interval.high
    (other,) = reliability_of(house, "ada")
    assert other.ability is not None
    assert other.ability.estimate > 0.85
    assert reliability_of(house, "nobody") == ()


def test_no_team_is_told_whose_difference_to_all_would_tell_of_one(house: Platform) -> None:
    assert reliability_of_teams(house, CAPABILITY) == ()
    declare_contributor(house.store, Contributor(pseudonym=CARELESS, team="north"), by="maria", at=START)
    (team,) = reliability_of_teams(house, CAPABILITY)
    assert (team.team, team.people) == ("north", 6)
    assert 0.7 < team.right < 0.95
