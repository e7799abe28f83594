"""Where people disagree: both sides side by side, and a named owner who says which one holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from tokencapital.app.judging import take_down
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.reviewing import read_answer
from tokencapital.core.case import ContractKind, Json, Message, Value
from tokencapital.core.errors import InputError, StoreConflict
from tokencapital.core.judgment import DrawKind, Judgment, Verdict
from tokencapital.core.people import Role
from tokencapital.core.split import Split
from tokencapital.review.reliability import same_answer
from tokencapital.stats.suppression import FEWEST
from tokencapital.store.audit import Act, Done, append_audit
from tokencapital.store.cases import read_cases
from tokencapital.store.conflicts import (
    ConflictEvent,
    ConflictKind,
    find_conflict,
    holding,
    settle_conflict,
    unsettled,
)
from tokencapital.store.contributors import contributors
from tokencapital.store.judgments import expire, hold_memory
from tokencapital.store.manifest import split_of_cases
from tokencapital.store.notices import may_teach

MOST = 100
"""So many conflicts are looked at, the newest first."""
SETTLERS = frozenset({Role.ENGINEER, Role.ADMIN})
"""Roles that may settle any conflict; a capability's owner may, too."""


class Voice(Struct, frozen=True, kw_only=True):
    """One judgment of a side. `who` names nobody: `you`, or a colleague. `reason` None: none was given."""

    judgment: str
    who: str
    reason: str | None
    at: datetime


class Side(Struct, frozen=True):
    """An answer, and the judgments that give it, oldest first."""

    answer: Value
    voices: tuple[Voice, ...]


class Conflict(Struct, frozen=True, kw_only=True):
    """An input on which people disagree since `at`; recall abstains there.

    `owner` may settle it (None: the capability has no goal). Where it is `sealed` only an answer that
    somebody gave can be chosen, so that the case goes on judging and teaches nothing.
    """

    id: str
    capability: str
    kind: ContractKind
    case: str
    messages: tuple[Message, ...]
    context: Mapping[str, Json]
    sides: tuple[Side, ...]
    at: datetime
    sealed: bool
    owner: str | None


class Settlement(Struct, frozen=True, kw_only=True):
    """What an owner decides: the answer of a `judgment`, or another `answer` as it is typed. One of them is None."""

    by: str
    judgment: str | None = None
    answer: str | None = None
    reason: str | None = None


class Settled(Struct, frozen=True, kw_only=True):
    """A settled conflict: the judgments that stand, those that lapsed, and the owner's own (None: none was needed).

    `teaches` False: the owner's group had no notice, so that the own judgment answers nobody yet.
    """

    conflict: str
    answer: Value
    kept: tuple[str, ...]
    lapsed: tuple[str, ...]
    added: str | None
    teaches: bool = True


def open_conflicts(platform: Platform, capability: str, viewer: str | None = None) -> tuple[Conflict, ...]:
    """The conflicts of a capability that wait for somebody to settle them, the newest first.

    People appear as colleagues; `viewer` is told which judgments are their own.
    """
    place = platform.workplace(capability)
    events = unsettled(place.store, capability, MOST)
    held = holding(place.store, [name for event in events for name in event.judgments], place.now())
    disagreed = [event for event in events if len(_answers(event, held)) > 1]
    cases = read_cases(place.store, [event.case for event in disagreed])
    splits = split_of_cases(place.store, cases)
    names = _Names(platform, viewer)
    return tuple(
        Conflict(
            id=event.conflict,
            capability=capability,
            kind=place.capability.contract.kind,
            case=event.case,
            messages=cases[event.case].messages,
            context=cases[event.case].context,
            sides=tuple(_sides(event, held, names)),
            at=event.at,
            sealed=splits[event.case] is Split.SEALED,
            owner=place.goal.owner if place.goal else None,
        )
        for event in disagreed
        if event.case in cases
    )


def count_conflicts(platform: Platform, capability: str) -> int:
    """How many conflicts of a capability wait for somebody to settle them."""
    place = platform.workplace(capability)
    events = unsettled(place.store, capability, MOST)
    held = holding(place.store, [name for event in events for name in event.judgments], place.now())
    return sum(len(_answers(event, held)) > 1 for event in events)


def may_settle(platform: Platform, capability: str, who: str | None, roles: frozenset[Role]) -> bool:
    """Whether this person may settle conflicts of the capability: its owner may, and engineers and admins."""
    goal = platform.workplace(capability).goal
    return who is not None and (bool(roles & SETTLERS) or (goal is not None and goal.owner == who))


def settle(platform: Platform, conflict: str, decided: Settlement) -> Settled:
    """The other answers hold no longer, and the next request is answered as was decided.

    An answer that nobody gave becomes a judgment of the owner's own. Raises InputError where there is no such
    conflict or the decision is none, StoreConflict where it is settled already, ContractViolation where
    the answer does not fit.
    """
    event = find_conflict(platform.store, conflict)
    if event is None:
        raise InputError(f"there is no conflict {conflict}", remedy="See `tcap conflict list`.")
    if not decided.by.strip() or (decided.judgment is None) == (decided.answer is None):
        raise InputError("a conflict is settled by a named person, for a judgment or with an answer", where=conflict)
    place = platform.workplace(event.capability)
    with place.store.begin() as connection:
        hold_memory(connection)
        event = find_conflict(place.store, conflict) or event
        held = holding(place.store, event.judgments, place.now())
        if event.kind is ConflictKind.SETTLED or len(_answers(event, held)) < 2:
            raise StoreConflict("this conflict is settled already", where=conflict)
        answer = _chosen(place, event, held, decided)
        settled = _decide(place, event, held, decided, answer)
        body = {"kept": list(settled.kept), "lapsed": list(settled.lapsed), "added": settled.added}
        act = Act(what=Done.CONFLICT_SETTLED, subject=conflict, at=place.now(), by=decided.by, body=body)
        append_audit(place.store, connection, act)
    return settled


def _chosen(place: Workplace, event: ConflictEvent, held: Mapping[str, Judgment], decided: Settlement) -> Value:
    if decided.judgment is None:
        return read_answer(place.capability.contract.kind, Verdict.CORRECTED, decided.answer)
    if decided.judgment not in event.judgments or decided.judgment not in held:
        raise InputError(f"judgment {decided.judgment} is on no side of this conflict", where=event.conflict)
    return held[decided.judgment].answer


def _decide(
    place: Workplace, event: ConflictEvent, held: Mapping[str, Judgment], decided: Settlement, answer: Value
) -> Settled:
    """What was decided is in the store; the caller's transaction keeps all of it or nothing."""
    now, theirs = place.now(), [held[name] for name in event.judgments if name in held]
    kept = [one.id for one in theirs if same_answer(one.answer) == same_answer(answer)]
    lapsed = [one.id for one in theirs if one.id not in kept]
    added, teaches = None, True
    if not kept:
        if split_of_cases(place.store, [event.case])[event.case] is Split.SEALED:
            raise InputError(
                "this case is sealed: its answer is one that somebody gave",
                where=event.conflict,
                remedy="Choose a judgment of one of the sides.",
            )
        own = _own(place, event, decided, answer)
        added = take_down(place, [own])[0].judgment.id
        with place.store.read() as connection:
            teaches = own.id in may_teach(connection, [own])
    expire(place.store, lapsed, now, by=decided.by, at=now)
    settle_conflict(
        place.store,
        msgspec.structs.replace(
            event,
            kind=ConflictKind.SETTLED,
            at=now,
            by=decided.by,
            kept=(*kept, *([added] if added else [])),
            reason=decided.reason or None,
        ),
    )
    return Settled(
        conflict=event.conflict, answer=answer, kept=tuple(kept), lapsed=tuple(lapsed), added=added, teaches=teaches
    )


def _own(place: Workplace, event: ConflictEvent, decided: Settlement, answer: Value) -> Judgment:
    now = place.now()
    return Judgment(
        id=place.parts.ids.new("jdg"),
        case=event.case,
        capability=place.name,
        expert=decided.by,
        at=now,
        verdict=Verdict.CORRECTED,
        answer=answer,
        drawn=DrawKind.VOLUNTEERED,
        probability=None,
        valid_from=now,
        reason=decided.reason,
    )


def _answers(event: ConflictEvent, held: Mapping[str, Judgment]) -> set[bytes]:
    """The different answers that still hold."""
    return {same_answer(held[name].answer) for name in event.judgments if name in held}


def _sides(event: ConflictEvent, held: Mapping[str, Judgment], names: _Names) -> list[Side]:
    """The sides with the most voices first; of equal ones the older first."""
    voices: dict[bytes, list[Judgment]] = {}
    for name in event.judgments:
        if name in held:
            voices.setdefault(same_answer(held[name].answer), []).append(held[name])
    ordered = sorted(voices.values(), key=lambda them: -len(them))
    return [Side(them[0].answer, tuple(names.voice(one) for one in them)) for them in ordered]


class _Names:
    """What people are called to one who looks: by team where it is big enough to hide in."""

    def __init__(self, platform: Platform, viewer: str | None) -> None:
        people: Sequence[tuple[str, str]] = [(one.pseudonym, one.team) for one in contributors(platform.store)]
        self._team_of = dict(people)
        self._sizes = Counter(team for _, team in people if team)
        self._viewer = viewer

    def voice(self, said: Judgment) -> Voice:
        return Voice(judgment=said.id, who=self._who(said.expert), reason=said.reason, at=said.at)

    def _who(self, expert: str) -> str:
        if expert == self._viewer:
            return "you"
        team = self._team_of.get(expert, "")
        return f"a colleague of team {team}" if self._sizes[team] >= FEWEST else "a colleague"
