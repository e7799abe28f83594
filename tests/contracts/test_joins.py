"""Joining calls on either database: in batches, again, and on two replicas at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from tokencapital.core.call import Call, Ending, Reading, Wire
from tokencapital.core.case import Message
from tokencapital.record.joining import Joining
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
