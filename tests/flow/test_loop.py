"""The loop turns end to end on recorded work, and survives whatever ends it in the middle."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tokencapital.account.statements import check_balanced
from tokencapital.app.judging import judge
from tokencapital.app.loop import turn
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.replay_run import Finished, ReplayOptions, run_replay
from tokencapital.app.settings import Settings
from tokencapital.core.answer import Answer, Stage
from tokencapital.core.case import Case, Message
from tokencapital.core.judgment import DrawKind, Verdict
from tokencapital.core.policy import Decision
from tokencapital.core.split import Split
from tokencapital.review.routes import Said
from tokencapital.store.cases import trajectories_after
from tokencapital.store.database import Store
from tokencapital.store.judgments import expire, memory_events
from tokencapital.store.ledger import transactions
from tokencapital.store.manifest import split_of_cases
from tokencapital.store.releases import lineage_groups, read_policy, releases
from tokencapital.store.sealed import sealed_judged
from tokencapital.store.turns import turns

CAPABILITY = "sort-work"
STREAM = 320
TCAP = [sys.executable, "-c", "from tokencapital.cli import main; main()"]


def place_of(house: Platform) -> Workplace:
    return house.workplace(CAPABILITY)


def test_a_release_goes_live_and_is_worth_it(played: Finished) -> None:
    report = played.report
    assert any(one.decision is Decision.PROMOTED for one in report.releases)
    assert report.test is not None
    assert report.test.accuracy is not None and report.test.accuracy > 0.85
    assert sum(stage.share for stage in report.test.stages.values()) == pytest.approx(1.0)
    assert report.curve[0].test_accuracy == 0.0
    assert [point.turn for point in report.curve] == list(range(1, len(report.curve) + 1))
    assert report.curve[-1].cases == report.cases["stream"] == STREAM
    assert report.cases["test"] == STREAM // 4


def test_every_case_was_judged_and_counted_once(played: Finished) -> None:
    counts = played.report.judgments
    assert counts.total == STREAM
    assert counts.sealed + counts.uniform + counts.active == counts.total
    assert counts.active == 0


def test_the_promise_is_told_with_what_became_of_it(played: Finished) -> None:
    promise = played.report.promise
    assert promise is not None and played.report.test is not None
    assert promise.tolerance == 0.05
    assert promise.interval.low <= promise.realized <= promise.interval.high
    assert promise.share == pytest.approx(played.report.test.stages["specialist"].share)


def test_the_books_balance_and_hold_all_that_the_loop_spent(played: Finished, house: Platform) -> None:
    assert played.report.ledger == {"balanced": True}
    assert check_balanced(house.store)
    booked = transactions(house.store, CAPABILITY)
    assert {one.kind for one in booked} == {"serve", "review", "train", "evaluate"}
    counted = sum(int(one.memo.split()[0]) for one in booked if one.kind == "serve")
    assert counted == STREAM
    for one in booked:
        for commodity in {post.commodity for post in one.postings}:
            assert sum(post.quantity for post in one.postings if post.commodity == commodity) == 0


def test_no_sealed_case_is_in_any_lineage_or_memory(house: Platform) -> None:
    store = house.store
    sealed = {one.case.group for one in sealed_judged(store, CAPABILITY)}
    assert len(sealed) > 10
    memory = place_of(house).engine.memory
    memory.refresh()
    held = memory.judged(range(len(memory)))
    assert held and not sealed & {one.case.group for one in held}
    assert set(split_of_cases(store, [one.case.id for one in held]).values()) == {Split.TRAIN}
    for release in releases(store, CAPABILITY):
        policy = read_policy(store, release.policy)
        assert policy is not None and policy.specialist is not None
        if release.decision is Decision.PROMOTED:
            groups = lineage_groups(store, policy.specialist)
            assert groups and not groups & sealed


def test_every_answer_repeats_what_it_was_made_of(house: Platform) -> None:
    known = {release.id: release for release in releases(house.store, CAPABILITY)}
    done = trajectories_after(house.store, CAPABILITY, None)
    assert len(done) == STREAM
    assert {one.release for one in done} - {None} <= set(known)
    for one in done:
        assert one.release is None or known[one.release].policy == one.policy
        assert 0.0 < one.propensity <= 1.0
    assert len({one.propensity for one in done}) > 1


def ask(text: str, number: int) -> Case:
    return Case(
        id=f"cas_{number}",
        capability=CAPABILITY,
        group=f"caller-{number}",
        at=datetime.now(UTC),
        messages=(Message("user", text),),
    )


class Elsewhere:
    """Another process that answers from the same store, line by line."""

    def __init__(self, store: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, store], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def answer(self, text: str) -> Answer:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(text, file=self._process.stdin, flush=True)
        return msgspec.json.decode(self._process.stdout.readline(), type=Answer)

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(20) == 0


@pytest.fixture
def elsewhere(house: Platform) -> Iterator[Elsewhere]:
    process = Elsewhere(house.settings.store)
    yield process
    process.close()


async def test_a_correction_answers_the_next_identical_request_here_and_elsewhere_until_it_expires(
    house: Platform, elsewhere: Elsewhere
) -> None:
    place, text = place_of(house), "please  bring the blue ladder back"
    before = (await place.engine.answer(ask(text, 1))).trajectory
    assert before.answer.stage is not Stage.RECALL
    assert elsewhere.answer(text).stage is not Stage.RECALL
    read = place.engine.memory.sequence

    said = Said(expert="maria", verdict=Verdict.CORRECTED, trajectory=before.id, answer="ladders")
    accepted = judge(house, said)
    assert accepted.new_label == "ladders"
    assert accepted.judgment.drawn is DrawKind.VOLUNTEERED
    assert len(memory_events(house.store, CAPABILITY, after=read)) == 1
    for answer in ((await place.engine.answer(ask(text.upper(), 2))).trajectory.answer, elsewhere.answer(text.upper())):
        assert (answer.value, answer.stage) == ("ladders", Stage.RECALL)

    expire(house.store, [accepted.judgment.id], house.clock.now(), by="owner", at=house.clock.now())
    for answer in ((await place.engine.answer(ask(text, 3))).trajectory.answer, elsewhere.answer(text)):
        assert answer.stage is Stage.PERSON


async def test_experts_who_disagree_are_asked_again(house: Platform) -> None:
    place, text = place_of(house), "the green ladder is broken"
    done = (await place.engine.answer(ask(text, 1))).trajectory
    for expert, answer in (("maria", "ladders"), ("bert", "repairs")):
        judge(house, Said(expert=expert, verdict=Verdict.CORRECTED, trajectory=done.id, answer=answer))
    again = (await place.engine.answer(ask(text, 2))).trajectory.answer
    assert again.stage is Stage.PERSON
    assert check_balanced(house.store)


async def test_without_a_live_goal_a_capability_serves_and_spends_nothing_on_learning(house: Platform) -> None:
    place = place_of(house)
    assert place.goal is not None
    over = msgspec.structs.replace(place.goal, expires_at=house.clock.now() - timedelta(days=1))
    house.declare(place.capability, over, "maria")
    booked = len(transactions(house.store, CAPABILITY))
    assert (await turn(place_of(house), 99)).idle
    assert len(transactions(house.store, CAPABILITY)) == booked
    assert (await place_of(house).engine.answer(ask("anything", 1))).trajectory.release is not None


def replay(recording: Path, store: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*TCAP, "replay", str(recording), "--store", str(store), "--json", "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def looking(store: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        yield connection
    finally:
        connection.close()


def rows(store: Path, query: str) -> list[Any]:
    with looking(store) as connection:
        return [row[0] for row in connection.execute(query)]


def wait_for_cases(process: subprocess.Popen[str], store: Path, count: int) -> None:
    """Returns once so many cases are on record."""
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up and process.poll() is None:
        try:
            if rows(store, "SELECT count(*) FROM trajectory")[0] >= count:
                return
        except sqlite3.OperationalError:
            pass
        time.sleep(0.02)
    pytest.fail(f"the replay ended or hung before {count} cases: {process.communicate()[1]}")


def what_was_acknowledged(store: Path) -> dict[str, list[Any]]:
    queries = {
        "answers": "SELECT id FROM trajectory ORDER BY position",
        "judgments": "SELECT id FROM judgment ORDER BY sequence",
        "draws": "SELECT id FROM draw ORDER BY position",
        "turns": "SELECT number FROM loop_turn ORDER BY number",
        "booked": "SELECT id FROM ledger_transaction ORDER BY id",
    }
    return {name: rows(store, query) for name, query in queries.items()}


def test_a_replay_stopped_and_killed_in_the_middle_ends_like_one_that_was_not(
    recording: Path, played: Finished, tmp_path: Path
) -> None:
    store = tmp_path / "store.db"
    stopped = replay(recording, store)
    wait_for_cases(stopped, store, 100)
    stopped.send_signal(signal.SIGINT)
    out, told = stopped.communicate(timeout=30)
    assert (stopped.returncode, out) == (130, "")
    assert "the same command goes on from there" in " ".join(told.split())
    first = what_was_acknowledged(store)
    assert 100 <= len(first["answers"]) < STREAM

    killed = replay(recording, store)
    wait_for_cases(killed, store, len(first["answers"]) + 60)
    killed.kill()
    killed.communicate(timeout=30)
    second = what_was_acknowledged(store)
    for name, ids in first.items():
        assert second[name][: len(ids)] == ids

    finished = replay(recording, store)
    out, told = finished.communicate(timeout=120)
    assert finished.returncode == 0, told
    last = what_was_acknowledged(store)
    for name, ids in second.items():
        assert last[name][: len(ids)] == ids
    answered = rows(store, "SELECT case_id FROM trajectory")
    assert len(answered) == len(set(answered)) == STREAM
    assert comparable(msgspec.json.decode(out)) == comparable(msgspec.to_builtins(played.report))


def comparable(report: dict[str, Any]) -> dict[str, Any]:
    """What a replay found, without what every run has of its own: ids, seconds and their cost."""
    same = ("cases", "judgments", "curve", "test", "promise", "ledger")
    told = [
        (one["lane"], one["decision"], one["evidence"]["n"], one["evidence"]["lower"]) for one in report["releases"]
    ]
    return msgspec.json.decode(msgspec.json.encode({**{name: report[name] for name in same}, "releases": told}))


def test_playing_what_is_finished_again_changes_nothing(recording: Path, played: Finished) -> None:
    store = Path(played.store)
    before = what_was_acknowledged(store)
    again = run_replay(ReplayOptions(file=recording, store=played.store))
    assert what_was_acknowledged(store) == before
    assert comparable(msgspec.to_builtins(again.report)) == comparable(msgspec.to_builtins(played.report))
    opened = Store.open(played.store)
    assert len(turns(opened, CAPABILITY)) == len(played.report.curve)
    opened.close()


def serve_lines(store: str) -> None:
    """The other process: answers each line that it reads."""
    with Platform.open(Settings(store=store)) as platform:
        engine = platform.workplace(CAPABILITY).engine
        for number, line in enumerate(sys.stdin):
            exchange = asyncio.run(engine.answer(ask(line.strip(), 1_000 + number)))
            print(msgspec.json.encode(exchange.trajectory.answer).decode(), flush=True)


if __name__ == "__main__":
    serve_lines(sys.argv[1])
