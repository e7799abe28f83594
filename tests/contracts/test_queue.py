"""The queue of every store: what waits is what the facts say, in one hand at a time, and nothing is answered twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.case import Case, Message
from tokencapital.core.judgment import Draw, DrawKind, Judgment, Verdict
from tokencapital.core.quantity import UNKNOWN_ENERGY
from tokencapital.core.split import Split, assign_split
from tokencapital.store import leases, queue
from tokencapital.store.cases import record_exchanges
from tokencapital.store.database import Store
from tokencapital.store.draws import append_draws
from tokencapital.store.judgments import append_judgments, hold_memory, withdraw

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
NAME = "triage"
TRAIN = [f"customer-{n}" for n in range(200) if assign_split(f"customer-{n}", b"k" * 32) is Split.TRAIN]
CASES = 6


def record(store: Store, count: int) -> None:
    record_exchanges(store, [_exchange(number) for number in range(count)])


def _exchange(number: int) -> Exchange:
    case = Case(
        id=f"case-{number}", capability=NAME, group=TRAIN[number], at=NOW, messages=(Message("user", f"ask {number}"),)
    )
    done = Trajectory(
        id=f"run-{number}",
        case=case.id,
        capability=NAME,
        at=NOW,
        answer=Answer(value=None, stage=Stage.PERSON),
        policy="0" * 16,
        memory=0,
        seed=0,
        propensity=1.0,
        elapsed_s=0.0,
        energy=UNKNOWN_ENERGY,
    )
    return Exchange(case, done)


def asked(number: int, kind: DrawKind = DrawKind.ACTIVE, name: str = "", passed_by: str | None = None) -> Draw:
    return Draw(
        id=name or f"draw-{number}",
        case=f"case-{number}",
        capability=NAME,
        kind=kind,
        probability=0.5,
        at=NOW,
        passed_by=passed_by,
    )


def said(name: str, number: int, kind: DrawKind = DrawKind.ACTIVE, verdict: Verdict = Verdict.CORRECTED) -> Judgment:
    return Judgment(
        id=name,
        case=f"case-{number}",
        capability=NAME,
        expert="ines",
        at=NOW,
        verdict=verdict,
        answer="refund" if verdict.answers else None,
        drawn=kind,
        probability=0.5,
        valid_from=NOW,
    )


def waiting(store: Store) -> list[str]:
    return [one.id for one in queue.open_draws(store, NAME)]


def test_a_judgment_takes_its_draw_off_the_queue_and_undoing_puts_it_back(store: Store) -> None:
    record(store, 2)
    append_draws(store, [asked(0), asked(1)])
    append_judgments(store, [said("j", 0)])
    assert waiting(store) == ["draw-1"]
    withdraw(store, "j", by="ines", at=NOW)
    assert waiting(store) == ["draw-0", "draw-1"]
    assert queue.count_open(store, NAME) == 2
    assert queue.open_draws(store, "other") == []


def test_a_page_of_the_queue_is_as_long_as_asked_and_for_whom_it_is(store: Store) -> None:
    record(store, 3)
    repeat = Draw(
        id="again", case="case-2", capability=NAME, kind=DrawKind.REPEAT, probability=None, at=NOW, asked_of="ines"
    )
    append_draws(store, [asked(0), asked(1), repeat])
    assert [one.id for one in queue.open_draws(store, NAME, 1)] == ["draw-0"]
    assert [one.id for one in queue.draws_for(store, NAME, "ines", 9)] == ["draw-0", "draw-1", "again"]
    assert [one.id for one in queue.draws_for(store, NAME, "otto", 9)] == ["draw-0", "draw-1"]
    assert (queue.count_open(store, NAME, "ines"), queue.count_open(store, NAME, "otto")) == (3, 2)
    assert queue.find_open(store, "again") == repeat


def test_undoing_a_pass_takes_back_the_draw_that_it_opened(store: Store) -> None:
    record(store, 1)
    append_draws(store, [asked(0)])
    append_judgments(store, [said("pass", 0, verdict=Verdict.NOT_MY_FIELD)])
    append_draws(store, [asked(0, name="draw-0-2", passed_by="pass")])
    assert waiting(store) == ["draw-0-2"]
    withdraw(store, "pass", by="ines", at=NOW)
    assert waiting(store) == ["draw-0"]
    append_judgments(store, [said("answer", 0)])
    assert waiting(store) == []
    assert queue.recount(store, NAME) == []


@pytest.mark.parametrize("seed", range(6))
def test_the_queue_is_what_the_facts_say_whatever_happens(store: Store, seed: int) -> None:
    """A random walk over draws, judgments, passes and withdrawals: after each step queue and facts agree."""
    rng = np.random.default_rng(seed)
    record(store, CASES)
    kinds = (DrawKind.ACTIVE, DrawKind.UNIFORM, DrawKind.VOLUNTEERED)
    given: list[str] = []
    for step in range(30):
        number, kind = int(rng.integers(CASES)), kinds[int(rng.integers(3))]
        match int(rng.integers(5)):
            case 0 | 1 if kind is not DrawKind.VOLUNTEERED:
                append_draws(store, [asked(number, kind, f"draw-{step}"), asked(0, kind, f"more-{step}")])
            case 2:
                append_judgments(store, [said(f"j{step}", number, kind)])
                given.append(f"j{step}")
            case 3:
                append_judgments(store, [said(f"p{step}", number, DrawKind.ACTIVE, Verdict.SECOND_OPINION)])
                append_draws(store, [asked(number, DrawKind.ACTIVE, f"next-{step}", f"p{step}")])
                given.append(f"p{step}")
            case 4 if given:
                withdraw(store, given.pop(int(rng.integers(len(given)))), by="ines", at=NOW)
        assert queue.open_draws(store, NAME) == queue.recount(store, NAME)
        assert queue.count_open(store, NAME) == len(queue.recount(store, NAME))


def test_a_draw_is_in_one_hand_at_a_time_and_for_a_while(store: Store) -> None:
    record(store, 2)
    append_draws(store, [asked(0), asked(1)])
    both, soon, later = ["draw-0", "draw-1"], NOW + timedelta(minutes=3), NOW + timedelta(minutes=6)
    first = leases.take(store, both, "ines", NOW)
    assert first == leases.Lease("draw-0", "ines", NOW, NOW + leases.LEASE)
    again = leases.take(store, both, "ines", soon)
    assert again == leases.Lease("draw-0", "ines", NOW, soon + leases.LEASE)
    other = leases.take(store, both, "otto", soon)
    assert other is not None
    assert other.draw == "draw-1"
    assert leases.take(store, both, "pia", soon) is None
    assert set(leases.leases_held(store, soon)) == {"draw-0", "draw-1"}
    assert leases.lease_in_hand(store, NAME, "ines", later) == again
    assert leases.lease_in_hand(store, NAME, "ines", later + leases.LEASE) is None
    taken = leases.take(store, both, "pia", later + leases.LEASE)
    assert taken is not None
    assert taken.draw == "draw-0"


def test_what_was_answered_is_taken_in_no_hand(store: Store) -> None:
    record(store, 1)
    append_draws(store, [asked(0)])
    append_judgments(store, [said("j", 0)])
    assert leases.take(store, ["draw-0", "unheard-of"], "ines", NOW) is None


def test_a_draw_given_back_is_anybodys(store: Store) -> None:
    record(store, 1)
    append_draws(store, [asked(0)])
    leases.take(store, ["draw-0"], "ines", NOW)
    with store.begin() as connection:
        leases.give_back(connection, ["draw-0"])
    taken = leases.take(store, ["draw-0"], "otto", NOW)
    assert taken is not None
    with store.begin() as connection:
        leases.empty_hands(connection, "otto", "other")
    assert leases.lease_in_hand(store, NAME, "otto", NOW) == taken
    with store.begin() as connection:
        leases.empty_hands(connection, "otto", NAME)
    assert leases.leases_held(store, NOW) == {}


def test_twenty_who_take_at_once_get_twenty_draws(
    open_store: Callable[..., Store], store: Store, store_url: str
) -> None:
    """Half of them through a store of their own, as another process would."""
    record(store, 30)
    append_draws(store, [asked(number) for number in range(30)])
    other = open_store(store_url)
    draws = [f"draw-{number}" for number in range(30)]
    with ThreadPoolExecutor(20) as pool:
        taken = list(pool.map(lambda n: leases.take(store if n % 2 else other, draws, f"expert-{n}", NOW), range(20)))
    held = [one.draw for one in taken if one is not None]
    assert len(held) == 20
    assert max(Counter(held).values()) == 1


def test_two_who_answer_one_draw_at_once_are_stored_once(
    open_store: Callable[..., Store], store: Store, store_url: str
) -> None:
    record(store, 1)
    append_draws(store, [asked(0)])
    stores = [store, open_store(store_url)]

    def answer(number: int) -> bool:
        mine = stores[number % 2]
        with mine.begin() as connection:
            hold_memory(connection)
            if queue.find_open(mine, "draw-0") is None:
                return False
            append_judgments(mine, [said(f"j{number}", 0)])
            return True

    with ThreadPoolExecutor(10) as pool:
        stored = list(pool.map(answer, range(10)))
    assert sum(stored) == 1
    assert waiting(store) == []
