"""An expert's desk: the next case that nobody else has in hand, what was said of it, and undoing that."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from tokencapital.app.explaining import Precedent, precedents
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.reviewing import Waiting, say, waiting_cases
from tokencapital.core.case import ContractKind
from tokencapital.core.errors import InputError
from tokencapital.core.judgment import Verdict
from tokencapital.review.judgments import Accepted
from tokencapital.store.cases import read_case
from tokencapital.store.draws import open_draws
from tokencapital.store.experts import count_judged, newest_judgment
from tokencapital.store.judgments import withdraw

LEASE = timedelta(minutes=5)
"""So long a case that was shown to one person is shown to nobody else."""
_AHEAD = 50


class Task(Struct, frozen=True, kw_only=True):
    """A case on the desk. `fields` names what an object may hold, `precedents` are judged cases like it."""

    waiting: Waiting
    fields: tuple[str, ...]
    precedents: tuple[Precedent, ...]


class Progress(Struct, frozen=True):
    """How far an expert is: judged `today`, and how many cases are `open` for all."""

    today: int
    open: int


class Leases:
    """Who has which draw in hand. Safe for threads; of this process only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, tuple[str, datetime]] = {}

    def take(self, draws: Sequence[str], holder: str, now: datetime) -> str | None:
        """The first draw that `holder` has in hand already or that nobody has, now in hand; None: all are taken."""
        with self._lock:
            self._held = {draw: (who, until) for draw, (who, until) in self._held.items() if until > now}
            mine = [draw for draw in draws if self._held.get(draw, ("", now))[0] == holder]
            free = [draw for draw in draws if draw not in self._held]
            chosen = next(iter([*mine, *free]), None)
            if chosen is not None:
                self._held[chosen] = (holder, now + LEASE)
            return chosen

    def give_back(self, draw: str) -> None:
        """Nobody has the draw in hand any more."""
        with self._lock:
            self._held.pop(draw, None)


class Desk:
    """Where experts get cases and say what is right."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._leases = Leases()

    def next(self, capability: str, holder: str) -> Task | None:
        """The oldest open case that nobody else has in hand; None: nothing waits."""
        place = self._platform.workplace(capability)
        waiting = {one.draw: one for one in waiting_cases(place, _AHEAD)}
        chosen = self._leases.take(list(waiting), holder, place.now())
        return self._task(place, waiting[chosen]) if chosen else None

    def task(self, capability: str, draw: str) -> Task | None:
        """The case of an open draw; None: it was answered meanwhile."""
        place = self._platform.workplace(capability)
        found = [one for one in waiting_cases(place, _AHEAD) if one.draw == draw]
        return self._task(place, found[0]) if found else None

    def say(self, task: Task, expert: str, verdict: Verdict, answer: str | None, reason: str | None) -> Accepted:
        """What the expert said is stored and heeded from the next request on. Raises ContractViolation."""
        accepted = say(self._platform, task.waiting, expert, verdict, answer, reason)
        self._leases.give_back(task.waiting.draw)
        return accepted

    def undo(self, capability: str, expert: str) -> str | None:
        """The expert's newest judgment of today is withdrawn, its case waits again; None: there is none."""
        place = self._platform.workplace(capability)
        newest = newest_judgment(place.store, capability, expert, _midnight(place.now()))
        if newest is not None:
            withdraw(place.store, newest, by=expert, at=place.now(), reason="undone")
        return newest

    def labels(self, capability: str) -> tuple[str, ...]:
        """The labels to choose from: those declared, else those that judgments hold."""
        place = self._platform.workplace(capability)
        place.engine.memory.refresh()
        return place.capability.contract.labels or place.engine.memory.labels(place.now())

    def progress(self, capability: str, expert: str) -> Progress:
        """How far the expert is today."""
        place = self._platform.workplace(capability)
        today = count_judged(place.store, capability, expert, _midnight(place.now()))
        return Progress(today, len(open_draws(place.store, capability)))

    def _task(self, place: Workplace, waiting: Waiting) -> Task:
        case = read_case(place.store, waiting.case)
        if case is None:
            raise InputError(f"the words of case {waiting.case} were erased")
        like = tuple(precedents(place, case))
        return Task(waiting=waiting, fields=_fields(place, waiting, like), precedents=like)


def _fields(place: Workplace, waiting: Waiting, like: Sequence[Precedent]) -> tuple[str, ...]:
    """The names of a `fields` object: those of the schema, of the proposal and of cases like this one."""
    if waiting.kind is not ContractKind.FIELDS:
        return ()
    names = list((place.capability.contract.schema or {}).get("properties", {}))
    answers = [waiting.proposed, *(one.answer for one in like)]
    names += [name for answer in answers if isinstance(answer, dict) for name in answer]
    return tuple(dict.fromkeys(names))


def _midnight(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)
