"""What is live, and the way back: by hand, and by the watch over a release that does harm."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from tokencapital.core.case import Contract, ContractKind
from tokencapital.core.errors import GateError
from tokencapital.core.policy import Decision, Evidence, Lane, Policy, Release
from tokencapital.evaluate.runner import Runner
from tokencapital.evaluate.sealed import SealedCases
from tokencapital.improve.calibrate import HeldOut
from tokencapital.improve.propose import Candidate
from tokencapital.models.base import ModelRequest
from tokencapital.promote.decide import WATCH_AFTER, WATCHMAN, Gate, Watched, decide, watch
from tokencapital.promote.gate import FEWEST_SEALED
from tokencapital.promote.releases import LiveReleases, load_live, rollback, starting_policy
from tokencapital.serve.ports import Live
from tokencapital.store.database import Store
from tokencapital.store.releases import Artifact, append_release, live_release, load_artifact, releases, save_policy
from tokencapital.testing.models import ScriptedModel

LABEL = Contract(kind=ContractKind.LABEL, labels=("right", "wrong"))
START = Policy(capability="triage", contract=LABEL, instructions="right", exemplars=0)


def obedient(request: ModelRequest) -> str:
    """A model that answers what its instructions say, up to the first comma."""
    return request.messages[0].content.partition(",")[0]


class House:
    """Releases one policy after the other; a policy's instructions are all that it answers."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk
        self.store: Store = desk.store
        self.ids = desk.parts(Live(START)).ids
        self.releases = LiveReleases(self.store, {"triage": START})
        self.model = ScriptedModel(obedient)
        self.gate = Gate(
            capability="triage",
            store=self.store,
            runner=Runner(desk.wanted(LABEL), desk.parts(Live(START), self.model), desk.memory()),
            sealed=SealedCases(self.store, "triage"),
            ids=self.ids,
        )

    def release(self, instructions: str, lane: Lane = Lane.CHANGE, n: int = 0, **more: Any) -> Release:
        policy = msgspec.structs.replace(START, instructions=instructions)
        save_policy(self.store, policy)
        live = live_release(self.store, "triage")
        made = Release(
            id=self.ids.new("rel"), capability="triage", policy=policy.hash, at=self.desk.now, lane=lane,
            decision=more.pop("decision", Decision.PROMOTED), evidence=Evidence(n=n, **more),
            parent=live.id if live else None,
        )  # fmt: skip
        append_release(self.store, made)
        return made

    @property
    def live(self) -> Live:
        return self.releases.live("triage")

    def undo(self) -> Release:
        return rollback(self.store, "triage", "maria", self.desk.now, self.ids)

    def judge_sealed(self, count: int) -> None:
        for number in range(count):
            self.desk.told(f"request {number}", "right", self.desk.sealed[number])

    def candidate(self, instructions: str, lane: Lane, held_out: float | None = None, **more: Any) -> Candidate:
        n = 0 if held_out is None else 400
        right = np.arange(n) < (held_out or 0) * n
        return Candidate(
            policy=msgspec.structs.replace(START, instructions=instructions),
            specialist=self.desk.keywords({}),
            artifact=Artifact(kind="specialist", recipe="x/1", body=b"bytes", lineage=(), at=self.desk.now),
            lane=lane,
            held_out=HeldOut(np.zeros(n), right, tuple(map(str, range(n)))),
            groups=more.get("groups", frozenset()),
            judgments=n,
            rebuilds=more.get("rebuilds", False),
        )


@pytest.fixture
def house(desk: Any) -> House:
    return House(desk)


def test_before_the_first_release_the_starting_policy_answers(house: House) -> None:
    assert house.live == Live(START)
    starting = starting_policy(house.desk.wanted(LABEL))
    assert (starting.exemplars, starting.specialist, starting.memory) == (0, None, 0)


def test_the_newest_promoted_release_is_live_at_once(house: House) -> None:
    first = house.release("one")
    assert (house.live.release, house.live.policy.instructions) == (first.id, "one")
    house.release("held", decision=Decision.HELD)
    house.release("stopped", decision=Decision.STOPPED)
    assert house.live.release == first.id
    second = house.release("two")
    assert house.live.release == second.id


def test_a_rollback_is_a_release_of_its_own_and_twice_goes_back_twice(house: House) -> None:
    first, second, third = house.release("one"), house.release("two"), house.release("three")
    assert third.parent == second.id
    undone = house.undo()
    assert (undone.lane, undone.decided_by, house.live.release) == (Lane.ROLLBACK, "maria", undone.id)
    assert house.live.policy.instructions == "two"
    assert third.id in undone.evidence.reason and second.id in undone.evidence.reason
    house.undo()
    assert house.live.policy.instructions == "one"
    assert [one.id for one in releases(house.store, "triage")][:3] == [first.id, second.id, third.id]
    with pytest.raises(GateError, match="no earlier release"):
        house.undo()
    assert house.live.policy.instructions == "one"


def test_a_release_after_a_rollback_can_be_undone_too(house: House) -> None:
    house.release("one")
    house.release("two")
    house.undo()
    house.release("three")
    house.undo()
    assert house.live.policy.instructions == "one"


def test_with_nothing_released_there_is_nothing_to_go_back_to(house: House) -> None:
    with pytest.raises(GateError, match="`triage` has no earlier release"):
        house.undo()
    house.release("one")
    with pytest.raises(GateError, match="no earlier release"):
        house.undo()


def test_a_release_whose_parts_are_missing_says_so(house: House) -> None:
    policy = msgspec.structs.replace(START, specialist="0" * 64)
    save_policy(house.store, policy)
    made = msgspec.structs.replace(house.release("one"), policy=policy.hash)
    with pytest.raises(GateError, match="artifact is not in the store"):
        load_live(house.store, made)
    with pytest.raises(GateError, match="policy of this release"):
        load_live(house.store, msgspec.structs.replace(made, policy="f" * 16))


async def test_a_proven_change_goes_live_with_its_evidence(house: House) -> None:
    house.release("wrong")
    house.judge_sealed(30)
    decided = await decide(house.gate, house.candidate("right", Lane.CHANGE), house.live, house.desk.now)
    made = decided.release
    assert made.decision is Decision.PROMOTED
    assert (made.evidence.n, made.evidence.effect) == (30, 1.0)
    assert made.evidence.lower is not None and made.evidence.lower > 0
    assert made.evidence.detectable is not None
    assert made.evidence.details["comparison"] == 1
    assert house.live.policy.instructions == "right"
    assert load_artifact(house.store, hashlib.sha256(b"bytes").hexdigest()) == b"bytes"
    assert len(decided.results) == 60


async def test_a_change_that_is_worse_is_stopped_and_only_its_policy_is_kept(house: House) -> None:
    house.release("right")
    house.judge_sealed(30)
    candidate = house.candidate("wrong", Lane.CHANGE)
    decided = await decide(house.gate, candidate, house.live, house.desk.now)
    assert decided.release.decision is Decision.STOPPED
    assert house.live.policy.instructions == "right"
    with house.store.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM artifact").scalar() == 0


async def test_a_change_waits_for_enough_sealed_entities_without_spending_a_look(house: House) -> None:
    house.release("wrong")
    house.judge_sealed(FEWEST_SEALED - 1)
    for _ in range(3):
        decided = await decide(house.gate, house.candidate("right", Lane.CHANGE), house.live, house.desk.now)
        assert decided.release.decision is Decision.HELD
        assert decided.release.evidence.n == FEWEST_SEALED - 1
    assert house.model.requests == []
    assert house.gate.sealed.looks(house.gate.sealed.open(house.desk.now)) == []


@pytest.mark.parametrize(
    ("held_out", "rebuilds", "decision"),
    [(0.9, False, Decision.PROMOTED), (0.7, False, Decision.HELD), (0.7, True, Decision.PROMOTED)],
)
async def test_a_refresh_is_held_against_what_the_live_release_promised_unless_that_lapsed(
    house: House, held_out: float, rebuilds: bool, decision: Decision
) -> None:
    house.release("right", details={"held_out": {"share": 0.9, "n": 400}})
    candidate = house.candidate("right, refreshed", Lane.REFRESH, held_out, rebuilds=rebuilds)
    decided = await decide(house.gate, candidate, house.live, house.desk.now)
    assert decided.release.decision is decision
    assert decided.release.evidence.details["held_out"] == {"share": held_out, "n": 400}


async def test_a_harmful_refresh_is_undone_by_the_watch(house: House) -> None:
    house.release("right")
    harmful = house.release("wrong", Lane.REFRESH)
    house.judge_sealed(WATCH_AFTER - 1)
    assert await watch(house.gate, house.live, house.desk.now) == Watched()
    assert house.model.requests == []
    for number in range(WATCH_AFTER, WATCH_AFTER + 10):
        house.desk.told(f"request {number}", "right", house.desk.sealed[number])
    watched = await watch(house.gate, house.live, house.desk.now)
    assert watched.undone is not None
    assert (watched.undone.lane, watched.undone.decided_by) == (Lane.ROLLBACK, WATCHMAN)
    assert harmful.id in watched.undone.evidence.reason
    assert house.live.policy.instructions == "right"
    assert await watch(house.gate, house.live, house.desk.now) == Watched()


async def test_the_watch_looks_again_only_when_so_many_more_are_judged(house: House) -> None:
    house.release("right")
    house.release("right, refreshed", Lane.REFRESH)
    asked = []
    for number in range(2 * WATCH_AFTER + 1):
        house.desk.told(f"request {number}", "right", house.desk.sealed[number])
        if number + 2 >= WATCH_AFTER:
            watched = await watch(house.gate, house.live, house.desk.now + timedelta(minutes=number))
            assert watched.undone is None
            if watched.results:
                asked.append(number + 1)
    assert asked == [WATCH_AFTER, 2 * WATCH_AFTER]


async def test_a_release_is_watched_on_later_batches_however_large_the_one_was_that_decided_on_it(house: House) -> None:
    house.release("right")
    house.release("wrong", Lane.REFRESH, n=100, details={"batch": "triage/0", "comparison": 1})
    house.judge_sealed(WATCH_AFTER)
    assert (await watch(house.gate, house.live, house.desk.now)).undone is not None


async def test_a_refresh_after_a_rollback_is_held_against_what_the_policy_was_worth(house: House) -> None:
    house.release("right", details={"held_out": {"share": 0.9, "n": 400}})
    house.release("wrong", Lane.REFRESH)
    house.undo()
    candidate = house.candidate("right, refreshed", Lane.REFRESH, 0.7)
    decided = await decide(house.gate, candidate, house.live, house.desk.now)
    assert decided.release.decision is Decision.HELD


async def test_a_refresh_that_does_no_harm_and_a_change_that_was_proven_stand(house: House) -> None:
    house.judge_sealed(60)
    house.release("right")
    house.release("wrong", Lane.CHANGE)
    assert await watch(house.gate, house.live, house.desk.now) == Watched()
    refreshed = house.release("right", Lane.REFRESH)
    assert await watch(house.gate, house.live, house.desk.now) != Watched()
    assert house.live.release == refreshed.id
