"""Calls of one conversation become one trajectory.

A call belongs to the conversation that its caller names (`x-tcap-case`), else to the one with the answer that it goes
on from (`previous_response_id`), else to the one that stands where its own messages stand. Only calls of one
application and one capability are joined. Where two conversations stand in the same place nobody can tell which of them
went on: such a call begins a trajectory of its own, and is counted as ambiguous.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from tokencapital.core.call import UNSORTED, Call, Wire
from tokencapital.core.split import keyed_digest
from tokencapital.record.joining_digests import standpoint_of
from tokencapital.record.observed import Heard, Joined
from tokencapital.store.database import Store
from tokencapital.store.joins import (
    JoinKey,
    Standing,
    add_joins,
    drop_joins,
    find_joins,
    move_joins,
    one_joins_at_a_time,
)

_FRESH = timedelta(minutes=15)
"""Of several conversations that stand in one place, those that have stood there for longer are taken to be over, as
long as one has not."""
_SILENT = frozenset({Wire.EMBEDDINGS, Wire.COUNT_TOKENS})
"""Wires on which no conversation is held."""
MOST_HERE = 64
"""So many conversations are remembered at one place. Where so many stand at once nobody can tell them apart, and what
goes on from there stays apart: an application that asks the same again and again costs no more than any other."""


class Keys(Struct, frozen=True, kw_only=True):
    """By what a call finds its conversation, and by what later calls find it there."""

    case: str | None
    answer_before: str | None
    found: str | None
    answer: str | None
    left: tuple[str, ...]
    around: str

    @property
    def sought(self) -> tuple[str, ...]:
        """The places that a call goes on from, best told first."""
        return tuple(one for one in (self.answer_before, self.found) if one)

    @property
    def made(self) -> tuple[str, ...]:
        """The places at which it leaves its conversation."""
        return (*((self.answer,) if self.answer else ()), *self.left)

    @property
    def looked_up(self) -> tuple[str, ...]:
        """All that has to be known before the call can be joined."""
        mine = (*((self.case,) if self.case else ()), *self.sought, *self.made)
        return (*mine, *map(_waiting_for, self.made))


class Joining:
    """Joins calls in a store, each batch in the transaction that writes them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def join(self, connection: Connection, heard: Sequence[Heard]) -> list[Joined]:
        """Which trajectory each of the calls belongs to, in their order, remembered in the same transaction."""
        if not heard:
            return []
        keys = [keys_of(self._store.key, one) for one in heard]
        one_joins_at_a_time(self._store, connection)
        shelf = Shelf(find_joins(connection, (key for one in keys for key in one.looked_up)))
        places = [shelf.place(one.call, own) for one, own in zip(heard, keys, strict=True)]
        drop_joins(connection, shelf.gone)
        add_joins(self._store, connection, list(shelf.added.values()))
        move_joins(connection, list(shelf.moved.values()))
        return places


def keys_of(store_key: bytes, heard: Heard) -> Keys:
    """The keys of a call: digests that hold within its application and capability only."""
    call, reading = heard.call, heard.reading
    scope = f"{call.capability or UNSORTED}\x1f{call.application or ''}"

    def key(kind: str, value: str) -> str:
        return keyed_digest(store_key, f"{scope}\x1f{kind}\x1f{value}".encode("utf-8", "surrogatepass"))

    def maybe(kind: str, value: str | None) -> str | None:
        return key(kind, value) if value else None

    if call.wire in _SILENT:
        return Keys(case=maybe("case", call.case), answer_before=None, found=None, answer=None, left=(), around="")
    stand = standpoint_of(store_key, reading)
    around = f"{call.group or ''}\x1f{call.key or ''}\x1f{stand.prompt}"
    return Keys(
        case=maybe("case", call.case),
        answer_before=maybe("answer", reading.previous),
        found=maybe("state", stand.found),
        answer=maybe("answer", reading.response if stand.left else None),
        left=tuple(dict.fromkeys(key("state", one) for one in stand.left)),
        around=key("around", around),
    )


class Shelf:
    """What is known of where conversations stand, and what a batch of calls adds to it and moves."""

    def __init__(self, known: Mapping[str, Sequence[JoinKey]]) -> None:
        self._known = {key: list(joins) for key, joins in known.items()}
        self.added: dict[tuple[str, str], JoinKey] = {}
        self.moved: dict[tuple[str, str], JoinKey] = {}
        self.gone: list[JoinKey] = []

    def place(self, call: Call, keys: Keys) -> Joined:
        """The trajectory of the call, which stands on the shelf from now on."""
        found = self._find(call, keys)
        self._put(call, keys, found)
        return found

    def _find(self, call: Call, keys: Keys) -> Joined:
        if keys.case is not None:
            named = self._at(keys.case)
            return Joined(named[0].trajectory, new=False) if named else Joined(call.id, new=True)
        for place in keys.sought:
            if self._at(place):
                return self._go_on(call, place, keys.around)
        late = self._waited_for(call, keys)
        return Joined(late, new=False) if late is not None else Joined(call.id, new=True)

    def _go_on(self, call: Call, place: str, around: str) -> Joined:
        """The one conversation that may go on from this place; else a new trajectory, ambiguous."""
        all_here = self._at(place)
        if len(all_here) == 1:
            self._move(all_here[0], Standing.MOVED)
            return Joined(all_here[0].trajectory, new=False)
        if len(all_here) >= MOST_HERE and call.at - all_here[0].at <= _FRESH:
            return Joined(call.id, new=True, ambiguous=True)
        standing = [one for one in all_here if one.standing is not Standing.MOVED] or all_here
        likely = _narrowed(standing, (lambda one: call.at - one.at <= _FRESH, lambda one: one.around == around))
        if len(likely) == 1 and likely[0].standing is not Standing.PERHAPS:
            self._move(likely[0], Standing.MOVED)
            return Joined(likely[0].trajectory, new=False)
        for one in likely[1:]:
            if one.standing is Standing.STANDS:
                self._move(one, Standing.PERHAPS)
        self._move(likely[0], Standing.MOVED)
        return Joined(call.id, new=True, ambiguous=True)

    def _waited_for(self, call: Call, keys: Keys) -> str | None:
        """The one trajectory that began later, on another replica, with what this call left; None: there is none."""
        for place in keys.made:
            waiting = [one for one in self._at(_waiting_for(place)) if one.standing is Standing.STANDS]
            later = [one for one in waiting if one.at > call.at and one.around == keys.around]
            if len(later) == 1:
                self._move(later[0], Standing.MOVED)
                return later[0].trajectory
        return None

    def _put(self, call: Call, keys: Keys, found: Joined) -> None:
        if keys.case is not None and found.new:
            self._add(call, keys, keys.case, found.trajectory)
        if found.new and not found.ambiguous and keys.case is None:
            for place in keys.sought[:1]:
                self._add(call, keys, _waiting_for(place), found.trajectory)
        for place in keys.made:
            self._add(call, keys, place, found.trajectory)
            waited = (one for one in self._at(_waiting_for(place)) if one.trajectory == found.trajectory)
            if any(one.at > call.at for one in waited):
                self._stand(place, found.trajectory, Standing.MOVED)

    def _add(self, call: Call, keys: Keys, place: str, trajectory: str) -> None:
        """The trajectory stands at the place; one that stood there before stands there again."""
        if self._stand(place, trajectory, Standing.STANDS):
            return
        fresh = JoinKey(key=place, trajectory=trajectory, at=call.at, around=keys.around)
        here = self._known.setdefault(place, [])
        if len(here) >= MOST_HERE:
            self._forget_one(here)
        here.append(fresh)
        self.added[place, trajectory] = fresh

    def _forget_one(self, here: list[JoinKey]) -> None:
        """One that went on makes room, or else the oldest."""
        one = next((each for each in here if each.standing is Standing.MOVED), here[0])
        here.remove(one)
        place = one.key, one.trajectory
        self.moved.pop(place, None)
        if self.added.pop(place, None) is None:
            self.gone.append(one)

    def _stand(self, place: str, trajectory: str, standing: Standing) -> bool:
        """Whether the trajectory is known at the place; it stands there as given."""
        for one in self._at(place):
            if one.trajectory == trajectory:
                self._move(one, standing)
                return True
        return False

    def _move(self, one: JoinKey, standing: Standing) -> None:
        if one.standing is standing:
            return
        changed = msgspec.structs.replace(one, standing=standing)
        here = self._known[one.key]
        here[here.index(one)] = changed
        place = one.key, one.trajectory
        (self.added if place in self.added else self.moved)[place] = changed

    def _at(self, place: str) -> list[JoinKey]:
        return self._known.get(place, [])


def _waiting_for(place: str) -> str:
    """Under what a trajectory is found that began where nothing was known of how it came there."""
    return f"~{place}"


def _narrowed(joins: list[JoinKey], tests: Sequence[Callable[[JoinKey], bool]]) -> list[JoinKey]:
    """Those that pass the tests one after the other; a test that none passes is passed over."""
    for test in tests:
        joins = [one for one in joins if test(one)] or joins
    return joins
