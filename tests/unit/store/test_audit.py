"""The chain of acts: what is recorded, and what of it can be changed unseen."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import msgspec
import pytest

from tokencapital.core.errors import InputError
from tokencapital.store.audit import BEGINNING, Act, Done, acts_on, append_audit, broken_links, head_of, links
from tokencapital.store.database import Store

AT = datetime(2026, 2, 1, 12, 0, 0, 250, tzinfo=UTC)


def act(store: Store, subject: str, by: str = "maria") -> None:
    with store.begin() as connection:
        append_audit(store, connection, Act(what=Done.RETRACTED, subject=subject, at=AT, by=by, body={"b": 2, "a": 1}))


def test_each_act_names_the_one_before_it(store: Store) -> None:
    before = len(links(store))
    for subject in ("one", "two", "three"):
        act(store, subject)

    chain = links(store)

    assert [link.number for link in chain] == list(range(1, before + 4))
    assert chain[0].previous == BEGINNING
    assert all(later.previous == earlier.digest for earlier, later in pairwise(chain))
    assert broken_links(chain) == []
    assert head_of(chain).count == len(chain)
    assert [link.body for link in acts_on(store, "two")] == ['{"a":1,"b":2}']


def test_an_act_of_nobody_is_refused(store: Store) -> None:
    with pytest.raises(InputError, match="name of who did it"):
        act(store, "one", by=" ")


def test_an_act_is_undone_with_its_transaction(store: Store) -> None:
    before = len(links(store))
    with pytest.raises(RuntimeError), store.begin() as connection:
        append_audit(store, connection, Act(what=Done.ERASED, subject="one", at=AT, by="maria"))
        raise RuntimeError
    act(store, "two")
    assert [link.subject for link in links(store)[before:]] == ["two"]


@pytest.mark.parametrize("part", ["what", "subject", "body", "at", "by"])
def test_a_changed_part_is_found(store: Store, part: str) -> None:
    for subject in ("one", "two", "three"):
        act(store, subject)
    chain = links(store)
    middle = len(chain) - 2
    other = datetime(2026, 2, 2, tzinfo=UTC) if part == "at" else "other"
    chain[middle] = msgspec.structs.replace(chain[middle], **{part: other})
    assert broken_links(chain) == [
        f"audit: act {chain[middle].number} ({chain[middle].what}) was changed after it was recorded"
    ]


def test_a_dropped_and_a_moved_act_are_found(store: Store) -> None:
    for subject in ("one", "two", "three", "four"):
        act(store, subject)
    chain = links(store)
    assert len(broken_links([*chain[:-3], *chain[-2:]])) == 1
    swapped = [*chain[:-3], chain[-2], chain[-3], chain[-1]]
    assert broken_links(swapped)


def test_a_rewritten_act_breaks_the_next_one(store: Store) -> None:
    from tokencapital.store.audit import digest_of

    for subject in ("one", "two"):
        act(store, subject)
    chain = links(store)
    changed = msgspec.structs.replace(chain[-2], subject="other")
    chain[-2] = msgspec.structs.replace(changed, digest=digest_of(changed))
    assert broken_links(chain) == [
        f"audit: act {chain[-1].number} does not follow act {chain[-2].number} as that one stands"
    ]
