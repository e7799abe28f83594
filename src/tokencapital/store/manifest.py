"""Which group a case belongs to and which split a group is in, frozen the first time it is seen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct
from sqlalchemy import BindParameter, Connection, bindparam, select

from tokencapital.core.case import Case
from tokencapital.core.split import Split, assign_split, input_key
from tokencapital.store.database import Store, chunks
from tokencapital.store.schema import group_manifest, input_group, meta, work_case

_SOME: BindParameter[str] = bindparam("some", expanding=True)
_SPLITS = (
    select(group_manifest.c.entity_group, group_manifest.c.split)
    .where(group_manifest.c.entity_group.in_(_SOME))
    .order_by(group_manifest.c.ordinal)
)
_GROUPS_OF_CASES = select(work_case.c.id, work_case.c.entity_group).where(work_case.c.id.in_(_SOME))
_GROUPS_OF_INPUTS = select(input_group.c.input_key, input_group.c.entity_group).where(
    input_group.c.input_key.in_(_SOME)
)


class Assignment(Struct, frozen=True):
    """Where a case stands. `group` is its entity group, or that of an earlier identical input."""

    case_id: str
    group: str
    split: Split
    input_key: str


class Departure(Struct, frozen=True):
    """Why groups leave `sealed` for `train`, for good. `looks` is how often the gate looked at them."""

    at: datetime
    by: str
    reason: str
    looks: int = 0


def assign(store: Store, cases: Sequence[Case]) -> list[Assignment]:
    """Where the cases stand, or would stand were they recorded now in this order. Writes nothing."""
    keys = [input_key(case, store.key) for case in cases]
    with store.read() as connection:
        earlier = _earlier_groups(connection, _stand_alone(cases, keys))
        groups = []
        for case, key in zip(cases, keys, strict=True):
            groups.append(earlier.setdefault(key, case.group) if is_stand_alone(case) else case.group)
        splits = splits_of(connection, groups)
        fresh = _fresh_splits(store, connection, set(groups) - set(splits))
    return [
        Assignment(case.id, group, splits.get(group) or fresh[group][0], key)
        for case, group, key in zip(cases, groups, keys, strict=True)
    ]


def freeze(store: Store, connection: Connection, cases: Sequence[Case]) -> list[Assignment]:
    """Where the cases stand, from now on for good."""
    keys = [input_key(case, store.key) for case in cases]
    earlier = _claim_inputs(store, connection, _stand_alone(cases, keys))
    groups: dict[str, datetime] = {}
    places = []
    for case, key in zip(cases, keys, strict=True):
        group = earlier[key] if is_stand_alone(case) else case.group
        groups.setdefault(group, case.at)
        places.append((case.id, group, key))
    splits = _claim_groups(store, connection, groups)
    return [Assignment(case_id, group, splits[group], key) for case_id, group, key in places]


def is_stand_alone(case: Case) -> bool:
    """Whether the input says all there is: one message without context means the same whoever sends it."""
    return len(case.messages) == 1 and not case.context


def splits_of(connection: Connection, groups: Iterable[str]) -> dict[str, Split]:
    """The split of each group that was seen before."""
    found: dict[str, Split] = {}
    for some in chunks(groups):
        found.update((group, Split(split)) for group, split in connection.execute(_SPLITS, {"some": some}))
    return found


def split_of_cases(store: Store, case_ids: Iterable[str]) -> dict[str, Split]:
    """The split of each case that is stored, as it is now."""
    with store.read() as connection:
        groups = groups_of_cases(connection, case_ids)
        splits = splits_of(connection, groups.values())
    return {case_id: splits[group] for case_id, group in groups.items()}


def groups_of_cases(connection: Connection, case_ids: Iterable[str]) -> dict[str, str]:
    """The group of each case that is stored."""
    found: dict[str, str] = {}
    for some in chunks(case_ids):
        rows = connection.execute(_GROUPS_OF_CASES, {"some": some})
        found.update((case_id, group) for case_id, group in rows)
    return found


def mark_departure(store: Store, connection: Connection, groups: Iterable[str], why: Departure) -> None:
    """The groups are in `train` for good; those that left earlier keep their first event."""
    rows = [
        {
            "entity_group": group,
            "ordinal": 1,
            "split": Split.TRAIN.value,
            "at": why.at,
            "by": why.by,
            "reason": why.reason,
            "looks": why.looks,
        }
        for group in sorted(set(groups))
    ]
    if rows:
        store.add_new(connection, group_manifest, rows)


def hidden_name(group: str) -> str:
    """What a group is called in a bundle in which its name must not stand."""
    return f"sha256:{hashlib.sha256(group.encode()).hexdigest()}"


def sealed_groups(connection: Connection, capability: str) -> list[str]:
    """The names of the groups that have cases of the capability and are sealed."""
    query = select(work_case.c.entity_group).where(work_case.c.capability == capability).distinct()
    splits = splits_of(connection, connection.execute(query).scalars())
    return sorted(group for group, split in splits.items() if split is Split.SEALED)


def seal_hidden(store: Store, connection: Connection, names: Iterable[str], *, by: str, at: datetime) -> None:
    """Groups of these hidden names are sealed from their first case on."""
    rows = [_first_event(name, Split.SEALED, at, (by, _AT_ORIGIN[1])) for name in sorted(set(names))]
    store.add_new(connection, group_manifest, rows)
    store.add_new(connection, meta, [{"name": "bundles", "value": "1"}])


def seal_unseen(store: Store, connection: Connection, groups: Iterable[str], *, by: str, at: datetime) -> set[str]:
    """Those of the groups that are sealed now: such as nobody had seen before, and such as were sealed already."""
    wanted = sorted(set(groups))
    rows = [_first_event(group, Split.SEALED, at, (by, _AT_ORIGIN[1])) for group in wanted]
    store.add_new(connection, group_manifest, rows)
    return {group for group, split in splits_of(connection, wanted).items() if split is Split.SEALED}


def _stand_alone(cases: Sequence[Case], keys: Sequence[str]) -> dict[str, str]:
    """The group of the first case of each stand-alone input among these cases."""
    first: dict[str, str] = {}
    for case, key in zip(cases, keys, strict=True):
        if is_stand_alone(case):
            first.setdefault(key, case.group)
    return first


def _claim_inputs(store: Store, connection: Connection, wanted: dict[str, str]) -> dict[str, str]:
    """The group of each stand-alone input: the wanted one, unless an earlier case came with the same input."""
    rows = [{"input_key": key, "entity_group": wanted[key]} for key in sorted(wanted)]
    if store.add_new(connection, input_group, rows) == len(rows):
        return wanted
    return _earlier_groups(connection, wanted)


def _claim_groups(store: Store, connection: Connection, groups: Mapping[str, datetime]) -> dict[str, Split]:
    """The split of each group, frozen now where it was not before."""
    fresh = _fresh_splits(store, connection, groups)
    rows = [_first_event(group, split, groups[group], why) for group, (split, why) in fresh.items()]
    if store.add_new(connection, group_manifest, rows) == len(rows):
        return {group: split for group, (split, _) in fresh.items()}
    return splits_of(connection, groups)


def _fresh_splits(
    store: Store, connection: Connection, groups: Iterable[str]
) -> dict[str, tuple[Split, tuple[str, str]]]:
    """Where the store's key puts each group, and why; those that are sealed at the origin of a bundle are sealed."""
    fresh = {group: (assign_split(group, store.key), _BY_HASH) for group in sorted(groups)}
    if fresh and store.probe(_HAS_BUNDLES):
        hidden = {hidden_name(group): group for group in fresh}
        for name in splits_of(connection, hidden):
            fresh[hidden[name]] = (Split.SEALED, _AT_ORIGIN)
    return fresh


def _earlier_groups(connection: Connection, keys: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for some in chunks(keys):
        rows = connection.execute(_GROUPS_OF_INPUTS, {"some": some})
        found.update((key, group) for key, group in rows)
    return found


def _first_event(group: str, split: Split, at: datetime, why: tuple[str, str]) -> dict[str, object]:
    return {
        "entity_group": group,
        "ordinal": 0,
        "split": split.value,
        "at": at,
        "by": why[0],
        "reason": why[1],
        "looks": 0,
    }


_BY_HASH, _AT_ORIGIN = ("hash", "first seen"), ("bundle", "sealed at its origin")
_HAS_BUNDLES = "SELECT value FROM meta WHERE name = 'bundles'"
