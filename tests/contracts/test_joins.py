"""Joining calls on either database: in batches, again, and on two replicas at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from tokencapital.core.call import Call, Ending, Reading, Wire
from tokencapital.core.case import Message
from tokencapital.record.joining import MOST_HERE, Joining
from tokencapital.record.observed import Heard
from tokencapital.store.database import Store
from tokencapital.store.joins import JoinKey, Standing, find_joins, forget_joins

AT = datetime(2026, 2, 1, tzinfo=UTC)


def talk(conversation: str, turns: int) -> list[Heard]:
    """The calls of a conversation, one for each turn."""
    said: list[Message] = []
    calls = []
    for turn in range(turns):
        said.append(Message("user", f"{conversation} asks {turn}"))
        answer = Message("assistant", f"answer {turn}")
        call = Call(
            id=f"trj_{conversation}_{turn}", at=AT + timedelta(seconds=turn), wire=Wire.CHAT, asked="m", provider="p",
            status=200, ending=Ending.DONE, case=f"case {conversation}" if conversation.startswith("named") else None,
        )  # fmt: skip
        calls.append(Heard(call, Reading(messages=tuple(said), answer=(answer,))))
        said.append(answer)
    return calls


def join(store: Store, calls: Sequence[Heard]) -> list[str]:
    with store.begin() as connection:
        return [one.trajectory for one in Joining(store).join(connection, calls)]


def test_calls_are_joined_within_a_batch_and_over_batches(store: Store) -> None:
    calls = talk("a", 4)
    assert join(store, calls[:2]) == ["trj_a_0"] * 2
    assert join(store, calls[2:]) == ["trj_a_0"] * 2
    assert join(store, []) == []


def test_where_a_conversation_stood_is_remembered_until_it_is_forgotten(store: Store) -> None:
    calls = talk("a", 2)
    join(store, calls[:1])
    join(store, calls[1:])
    with store.read() as connection:
        rows = list(connection.exec_driver_sql("SELECT key FROM join_key").scalars())
        found = find_joins(connection, rows)
    assert sorted(one.standing for joins in found.values() for one in joins) == [Standing.MOVED, Standing.STANDS]
    assert all(isinstance(one, JoinKey) and one.trajectory == "trj_a_0" for joins in found.values() for one in joins)
    with store.begin() as connection:
        forget_joins(connection, ["trj_a_0"])
        assert find_joins(connection, rows) == {}


def test_two_replicas_agree_on_whose_case_it_is(store: Store, store_url: str, open_store: Callable[..., Store]) -> None:
    other = open_store(store_url) if store.dialect == "postgresql" else store
    names = [f"named {number}" for number in range(20)]
    calls = [talk(name, 2) for name in names]
    found: dict[str, list[str]] = {}

    def replica(own: Store, turn: int) -> None:
        found[str(turn)] = [join(own, [one[turn]])[0] for one in calls]

    threads = [threading.Thread(target=replica, args=one) for one in ((store, 0), (other, 1))]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found["0"] == found["1"]


def test_a_conversation_over_two_replicas_is_one_in_either_order(
    store: Store, store_url: str, open_store: Callable[..., Store]
) -> None:
    other = open_store(store_url) if store.dialect == "postgresql" else store
    early, late = talk("a", 2)
    assert join(other, [late]) == ["trj_a_1"]
    assert join(store, [early]) == ["trj_a_1"]


def alike(number: int, *, at: datetime = AT, turns: int = 1) -> Heard:
    """A call that reads like every other one of its number of turns."""
    (*_, last) = talk("alike", turns)
    return Heard(msgspec.structs.replace(last.call, id=f"trj_{number}_{turns}", at=at), last.reading)


def test_a_crowd_at_one_place_is_bounded_and_what_goes_on_from_it_stays_apart(store: Store) -> None:
    crowd = [alike(number, at=AT + timedelta(seconds=number)) for number in range(3 * MOST_HERE)]
    for start in range(0, len(crowd), 50):
        join(store, crowd[start : start + 50])
    with store.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM join_key").scalar_one() == MOST_HERE

    soon = alike(1000, at=AT + timedelta(seconds=3 * MOST_HERE), turns=2)
    assert join(store, [soon]) == [soon.call.id]


def test_a_crowd_of_yesterday_is_in_nobodys_way(store: Store) -> None:
    join(store, [alike(number) for number in range(2 * MOST_HERE)])
    later = AT + timedelta(days=1)
    assert join(store, [alike(500, at=later)]) == ["trj_500_1"]
    assert join(store, [alike(501, at=later + timedelta(minutes=1), turns=2)]) == ["trj_500_1"]
