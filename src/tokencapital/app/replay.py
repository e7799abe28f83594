"""Plays recorded work in order of arrival: each case is answered before its answer is revealed.

A judgment is revealed only for a case that was served and that the queue asked for. Everything that
chance decides is a keyed hash or seeded by the turn, so that a replay cut off anywhere goes on as if
it had not been.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from time import perf_counter

import numpy as np
from msgspec import Struct

from tokencapital.app.asking import POOL, teaching_picks
from tokencapital.app.judging import take_down
from tokencapital.app.loop import TurnReport, turn, turn_record
from tokencapital.app.platform import Workplace
from tokencapital.app.script import Script, Served, judgment_id
from tokencapital.app.telling import tell_players
from tokencapital.core.case import Case
from tokencapital.core.clock import RecordedClock
from tokencapital.core.judgment import Draw, Judgment, Outcome
from tokencapital.core.split import Split
from tokencapital.improve.propose import REFRESH_GROWTH
from tokencapital.review.queue import draw_active, draw_uniform, uniform_rates
from tokencapital.store.cases import count_cases, recent_trajectories, trajectories_of_case
from tokencapital.store.draws import all_draws, append_draws, drawn_cases
from tokencapital.store.judgments import expire
from tokencapital.store.manifest import Assignment, assign
from tokencapital.store.memory import Vectors
from tokencapital.store.outcomes import append_outcomes
from tokencapital.store.turns import append_turn, turns

TURNS = 12
"""Turns of the loop over a stream, evenly spaced in arrivals."""
CHUNK = 128
"""Cases answered at once; a chunk is recorded whole or not at all."""
RECENT = 500
"""Stream cases over which the accuracy of a turn is taken."""

Progress = Callable[[int, int], None]
"""Told how many cases of how many were served."""


class Budget(Struct, frozen=True):
    """How many judgments may be asked for, and whether most of them are drawn actively."""

    judgments: int
    active: bool
    turns: int = TURNS


class Timing(Struct):
    """Seconds that this process spent: on answering and recording, and on everything that learns."""

    serve_s: float = 0.0
    learn_s: float = 0.0

    def since(self, earlier: Timing) -> Timing:
        """The seconds that came after `earlier`."""
        return Timing(self.serve_s - earlier.serve_s, self.learn_s - earlier.learn_s)


class Player:
    """Feeds recorded cases to a workplace and lets its loop turn."""

    def __init__(self, place: Workplace, clock: RecordedClock, script: Script, budget: Budget) -> None:
        self.timing = Timing()
        self._told = Timing()
        self._place = place
        self._clock = clock
        self._script = script
        self._budget = budget
        self._cases = {case.id: case for case in script.cases}
        self._rates = uniform_rates(budget.judgments, max(1, len(script.cases)), active=budget.active)
        self._assigned: list[Assignment] = []
        self._vectors: list[Vectors] = []
        self._served: dict[str, Served] = {}
        self._awaited: list[Outcome] = []
        self._lapses = list(script.lapses)

    async def play(self, progress: Progress = lambda done, total: None) -> None:
        """The whole stream was served, and the loop turned at each of its stations."""
        store, name, stream = self._place.store, self._place.name, self._script.cases
        position, done = count_cases(store, name), len(turns(store, name))
        if stream:
            tell_players(store, self._script.experts, stream[0].at)
        for number, (start, end) in enumerate(stations(len(stream), self._budget.turns), start=1):
            for first, last in _spans(start, end, CHUNK):
                self._clock.advance_to(stream[last - 1].at)
                self._lapse()
                if last > position:
                    await self._serve(stream[first:last])
                self._remember(stream[first:last])
                if number > done:
                    self._ask_uniform(self._assigned[first:last])
                progress(last, len(stream))
                await asyncio.sleep(0)  # Ctrl-C is heeded here: without a generalist nothing else waits.
            if number > done:
                await self._turn(number, end)

    async def _serve(self, cases: Sequence[Case]) -> None:
        started = perf_counter()
        exchanges = await self._place.engine.answer_many(cases)
        self.timing.serve_s += perf_counter() - started
        for done in exchanges:
            self._served[done.case.id] = Served(done.trajectory.answer.value, done.trajectory.at)

    def _remember(self, cases: Sequence[Case]) -> None:
        """What draws and outcomes need of cases that were served, in this process or in one before it."""
        self._assigned.extend(assign(self._place.store, cases))
        self._vectors.append(self._place.engine.encode(cases))
        expected = [self._script.outcome(case, self._answered(case.id)) for case in cases]
        self._awaited.extend(outcome for outcome in expected if outcome is not None)
        now = self._clock.now()
        append_outcomes(self._place.store, [outcome for outcome in self._awaited if outcome.at <= now])
        self._awaited = [outcome for outcome in self._awaited if outcome.at > now]

    def _lapse(self) -> None:
        """Judgments under a rule that has changed by now hold no longer."""
        store, now = self._place.store, self._clock.now()
        while self._lapses and self._lapses[0].at <= now:
            change = self._lapses.pop(0)
            before = {one.case for one in all_draws(store, self._place.name) if one.at < change.at}
            judged = before & set(change.cases)
            expire(store, [judgment_id(case) for case in sorted(judged)], change.at, by=change.reason, at=now)

    def _ask_uniform(self, arrived: Sequence[Assignment]) -> None:
        """What chance picks of the cases that just came in, as far as the budget reaches."""
        store, name = self._place.store, self._place.name
        left = max(0, self._budget.judgments - len(drawn_cases(store, name)))
        self._ask(draw_uniform(arrived, self._rates, store.key, name, self._clock.now())[:left])

    def _ask_active(self, number: int, arrived: int) -> None:
        """The budget up to here is spent on the cases that teach most."""
        place = self._place
        drawn = drawn_cases(place.store, place.name)
        due = round(self._budget.judgments * arrived / len(self._script.cases)) - len(drawn)
        waiting = [i for i, one in enumerate(self._assigned) if one.split is Split.TRAIN and one.case_id not in drawn]
        if due <= 0 or not waiting:
            return
        rng = np.random.default_rng([place.parts.seed, number])
        pool = np.sort(rng.permutation(waiting)[:POOL])
        cases, vectors = [self._script.cases[i] for i in pool], np.concatenate(self._vectors)[pool]
        chosen = teaching_picks(place, cases, vectors, due, rng)
        share = len(pool) / len(waiting)
        picks = [(self._assigned[pool[i]].case_id, probability * share) for i, probability in chosen]
        self._ask(draw_active(picks, place.name, self._clock.now()))

    def _ask(self, draws: Sequence[Draw]) -> None:
        """The draws are on record, and people's answers to all that are open."""
        place = self._place
        with place.store.begin():
            append_draws(place.store, draws)
            take_down(place, [self._judge(one) for one in draws])

    def _judge(self, asked: Draw) -> Judgment:
        return self._script.judge(asked, self._cases[asked.case], self._answered(asked.case).value)

    def _answered(self, case_id: str) -> Served:
        if case_id not in self._served:
            done = trajectories_of_case(self._place.store, case_id)[-1]
            self._served[case_id] = Served(done.answer.value, done.at)
        return self._served[case_id]

    async def _turn(self, number: int, arrived: int) -> None:
        started = perf_counter()
        if self._budget.active:
            self._ask_active(number, arrived)
        last = arrived == len(self._script.cases)
        report = await turn(self._place, number, least_growth=0.0 if last else REFRESH_GROWTH)
        self.timing.learn_s += perf_counter() - started
        spent = self.timing.since(self._told)
        self._told = Timing(self.timing.serve_s, self.timing.learn_s)
        self._keep(number, report, spent)

    def _keep(self, number: int, report: TurnReport, spent: Timing) -> None:
        facts = {
            "accuracy": self._recent_accuracy(),
            "decided": [release.id for release in report.releases],
            "serve_s": spent.serve_s,
            "learn_s": spent.learn_s,
        }
        append_turn(self._place.store, turn_record(self._place, number, facts))

    def _recent_accuracy(self) -> float | None:
        recent = recent_trajectories(self._place.store, self._place.name, RECENT)
        right = [done.answer.value == self._script.right(self._cases[done.case], done.at) for done in recent]
        return sum(right) / len(right) if right else None


def stations(cases: int, count: int) -> Iterator[tuple[int, int]]:
    """The spans of at most `count` turns over a stream of `cases`, as even as can be and none empty."""
    edges = sorted({round(cases * i / count) for i in range(count + 1)})
    yield from pairwise(edges)


def _spans(start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    for first in range(start, end, size):
        yield first, min(first + size, end)
