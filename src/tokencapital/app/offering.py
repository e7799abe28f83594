"""Which of the waiting draws an expert gets next."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from msgspec import Struct

from tokencapital.app.asking import ask_active
from tokencapital.app.blind import ask_again
from tokencapital.app.platform import Workplace
from tokencapital.core.case import ContractKind
from tokencapital.core.judgment import Draw, Verdict
from tokencapital.core.people import Contributor
from tokencapital.core.split import unit_hash
from tokencapital.review.results import results_by_label
from tokencapital.review.routing import Candidate, Knower, Results, barred_from, order
from tokencapital.store.contributors import contributors
from tokencapital.store.experts import judges_of
from tokencapital.store.judgments import find_judgments, latest_sequence
from tokencapital.store.leases import Lease, leases_held, take
from tokencapital.store.newest import newest_answers, newest_case
from tokencapital.store.opinions import opinions
from tokencapital.store.queue import draws_for, repeats_for

WINDOW = 200
"""So many of the oldest waiting draws are looked at."""
FEW = 50
"""Where fewer wait, more are drawn."""
REST = timedelta(seconds=30)
"""Drawing more takes time: it is done so often at most while something waits."""
EVERY = 0.2
"""Of the cases that somebody gets, so many are hidden repeats while any wait for them."""
OPINIONS, FRESH = 2_000, 200
"""Results are those of so many newest opinions, found anew after so many numbers of the memory."""


class Seen(Struct, frozen=True):
    """Results by expert and label, as of a sequence of the memory."""

    sequence: int
    results: Mapping[str, Mapping[str, Results]]


class Drawn(Struct, frozen=True):
    """When more was drawn last, and the newest case at that time."""

    at: datetime
    newest: int


class Offers:
    """Finds the next draw for an expert. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._labels: dict[str, str | None] = {}
        self._seen: dict[str, Seen] = {}
        self._drawn: dict[str, Drawn] = {}
        self._looked: dict[tuple[str, str], date] = {}

    def take(self, place: Workplace, expert: str) -> Lease | None:
        """The best waiting draw for the expert that nobody else has in hand, now in theirs; None: there is none."""
        now = place.now()
        held = {name: one for name, one in leases_held(place.store, now).items() if one.holder != expert}
        asked = [one for one in self._waiting(place, expert) if one.id not in held]
        people = contributors(place.store)
        active = {one.holder for one in held.values()}
        with self._lock:
            candidates = self._candidates(place, asked, people)
            knowers = {name: self._knower(place, name, people) for name in {expert, *active}}
        mine = knowers.pop(expert)
        best = order(candidates, mine, list(knowers.values()), now)
        return take(place.store, [*self._again(place, expert, held), *best], expert, now)

    def _again(self, place: Workplace, expert: str, held: Mapping[str, Lease]) -> list[str]:
        """The hidden repeats that wait for the expert, about every so many cases; looked for once a day."""
        day = place.now().date()
        with self._lock:
            looked = self._looked.get((place.name, expert)) == day
            self._looked[place.name, expert] = day
        if not looked:
            ask_again(place, expert)
        turn = unit_hash(place.store.key, "again", expert, str(latest_sequence(place.store)))
        if turn >= EVERY:
            return []
        return [one.id for one in repeats_for(place.store, place.name, expert) if one.id not in held]

    def _waiting(self, place: Workplace, expert: str) -> list[Draw]:
        """The oldest waiting draws; more are drawn where few wait."""
        asked = draws_for(place.store, place.name, expert, WINDOW)
        if len(asked) >= FEW:
            return asked
        with self._lock:
            before, newest = self._drawn.get(place.name), newest_case(place.store, place.name)
            rested = before is None or place.now() - before.at >= REST or not asked
            if rested and (before is None or newest > before.newest):
                ask_active(place)
                self._drawn[place.name] = Drawn(place.now(), newest)
                return draws_for(place.store, place.name, expert, WINDOW)
        return asked

    def _candidates(self, place: Workplace, asked: Sequence[Draw], people: Sequence[Contributor]) -> list[Candidate]:
        judged = judges_of(place.store, [one.case for one in asked])
        askers = _askers(place, asked)
        labels = self._labels_of(place, asked)
        known = [Knower(pseudonym=one.pseudonym, team=one.team) for one in people]
        teams = {one.pseudonym: one.team for one in people}
        return [
            Candidate(
                draw=one.id,
                capability=place.name,
                label=labels[one.case],
                at=one.at,
                barred=frozenset()
                if one.asked_of
                else barred_from(
                    {name: teams.get(name, "") for name in judged.get(one.case, ())}, askers.get(one.id), known
                ),
            )
            for one in asked
        ]

    def _labels_of(self, place: Workplace, asked: Sequence[Draw]) -> dict[str, str | None]:
        """What the machine takes each case for, as far as that is a label; read once for each case."""
        if place.capability.contract.kind is not ContractKind.LABEL:
            return dict.fromkeys((one.case for one in asked), None)
        cases = [one.case for one in asked]
        unread = [case for case in cases if case not in self._labels]
        for case, answer in newest_answers(place.store, unread).items() if unread else ():
            self._labels[case] = answer if isinstance(answer, str) else None
        found = {case: self._labels.get(case) for case in cases}
        if len(self._labels) > 50 * WINDOW:
            self._labels = dict(found)
        return found

    def _knower(self, place: Workplace, name: str, people: Sequence[Contributor]) -> Knower:
        declared = next((one for one in people if one.pseudonym == name), Contributor(pseudonym=name))
        results = self._results(place).get(name, {})
        return Knower(pseudonym=name, team=declared.team, fields=declared.fields, results=results)

    def _results(self, place: Workplace) -> Mapping[str, Mapping[str, Results]]:
        latest = latest_sequence(place.store)
        seen = self._seen.get(place.name)
        if place.capability.contract.kind is not ContractKind.LABEL:
            return {}
        if seen is None or latest - seen.sequence >= FRESH:
            given = opinions(place.store, place.name, OPINIONS)
            declined = [one.case for one in given if one.verdict is Verdict.NOT_MY_FIELD]
            seen = Seen(latest, results_by_label(given, newest_answers(place.store, declined)))
            self._seen[place.name] = seen
        return seen.results


def _askers(place: Workplace, asked: Sequence[Draw]) -> dict[str, str]:
    """Who wanted the second opinion that a draw asks for, by draw."""
    passed = {one.id: one.passed_by for one in asked if one.passed_by is not None}
    known = find_judgments(place.store, passed.values()) if passed else {}
    return {
        draw: known[by].expert
        for draw, by in passed.items()
        if by in known and known[by].verdict is Verdict.SECOND_OPINION
    }
