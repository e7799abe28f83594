"""Plays recorded work in order of arrival: each case is answered before its answer is revealed.

A judgment is revealed only for a case that was served and that the queue asked for. Everything that
chance decides is a keyed hash or seeded by the turn, so that a replay cut off anywhere goes on as if
it had not been.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter

import numpy as np
from msgspec import Struct

from tokencapital.app.judging import take_down
from tokencapital.app.loop import TurnReport, turn, turn_record
from tokencapital.app.platform import Workplace
from tokencapital.core.case import Value
from tokencapital.core.clock import RecordedClock
from tokencapital.core.judgment import Draw, Judgment, Verdict
from tokencapital.core.split import Split
from tokencapital.record.importers import RecordedCase
from tokencapital.review.acquisition import acquisition_scores, draw
from tokencapital.review.queue import draw_active, draw_uniform, uniform_rates
from tokencapital.store.cases import count_cases, recent_trajectories, trajectories_of_case
from tokencapital.store.draws import append_draws, drawn_cases
from tokencapital.store.manifest import Assignment, assign
from tokencapital.store.memory import Vectors
from tokencapital.store.outcomes import append_outcomes
from tokencapital.store.turns import append_turn, turns

TURNS = 16
"""Turns of the loop over a stream, evenly spaced in arrivals."""
CHUNK = 128
"""Cases answered at once; a chunk is recorded whole or not at all."""
RECENT = 500
"""Stream cases over which the accuracy of a turn is taken."""
POOL = 2_000
"""Cases that active sampling looks at in a turn, themselves chosen by chance from all that wait."""

Progress = Callable[[int, int], None]
"""Told how many cases of how many were served."""


class Budget(Struct, frozen=True):
    """How many judgments may be asked for, and whether most of them are drawn actively."""

    judgments: int
    active: bool


class Timing(Struct):
    """Seconds that this process spent: on answering and recording, and on everything that learns."""

    serve_s: float = 0.0
    learn_s: float = 0.0

    def since(self, earlier: Timing) -> Timing:
        """The seconds that came after `earlier`."""
        return Timing(self.serve_s - earlier.serve_s, self.learn_s - earlier.learn_s)


class Player:
    """Feeds recorded cases to a workplace and lets its loop turn."""

    def __init__(
        self, place: Workplace, clock: RecordedClock, stream: Sequence[RecordedCase], budget: Budget
    ) -> None:
        self.timing = Timing()
        self._told = Timing()
        self._place = place
        self._clock = clock
        self._stream = stream
        self._budget = budget
        self._by_id = {one.id: one for one in stream}
        self._rates = uniform_rates(budget.judgments, max(1, len(stream)), active=budget.active)
        self._assigned: list[Assignment] = []
        self._vectors: list[Vectors] = []
        self._served: dict[str, Value] = {}
        self._outcomes = sorted(
            (outcome for one in stream if (outcome := one.late_outcome) is not None), key=lambda outcome: outcome.at
        )

    async def play(self, progress: Progress = lambda done, total: None) -> None:
        """The whole stream was served, and the loop turned at each of its stations."""
        position = count_cases(self._place.store, self._place.name)
        done = len(turns(self._place.store, self._place.name))
        for number, (start, end) in enumerate(stations(len(self._stream), TURNS), start=1):
            for first, last in _spans(start, end, CHUNK):
                cases = self._stream[first:last]
                if last > position:
                    await self._serve(cases)
                self._remember(cases)
                if number > done:
                    self._ask_uniform(self._assigned[first:last])
                progress(last, len(self._stream))
            if number > done:
                await self._turn(number, end)

    async def _serve(self, cases: Sequence[RecordedCase]) -> None:
        self._clock.advance_to(cases[-1].at)
        started = perf_counter()
        exchanges = await self._place.engine.answer_many([one.case for one in cases])
        self.timing.serve_s += perf_counter() - started
        self._served.update((done.case.id, done.trajectory.answer.value) for done in exchanges)

    def _remember(self, cases: Sequence[RecordedCase]) -> None:
        """What the draws need of cases that were served, in this process or in one before it."""
        self._clock.advance_to(cases[-1].at)
        plain = [one.case for one in cases]
        self._assigned.extend(assign(self._place.store, plain))
        self._vectors.append(self._place.engine.encode(plain))
        now, late = self._clock.now(), self._outcomes
        arrived = next((i for i, outcome in enumerate(late) if outcome.at > now), len(late))
        append_outcomes(self._place.store, late[:arrived])
        self._outcomes = late[arrived:]

    def _ask_uniform(self, arrived: Sequence[Assignment]) -> None:
        store, name = self._place.store, self._place.name
        self._ask(draw_uniform(arrived, self._rates, store.key, name, self._clock.now()))

    def _ask_active(self, number: int, arrived: int) -> None:
        """The budget up to here is spent on the cases that teach most."""
        place = self._place
        drawn = drawn_cases(place.store, place.name)
        due = round(self._budget.judgments * arrived / len(self._stream)) - len(drawn)
        waiting = [
            i for i, one in enumerate(self._assigned) if one.split is Split.TRAIN and one.case_id not in drawn
        ]
        if due <= 0 or not waiting:
            return
        rng = np.random.default_rng([place.parts.seed, number])
        pool = np.sort(rng.permutation(waiting)[:POOL])
        chosen = draw(self._teaching_scores(pool), min(due, len(pool)), rng)
        share = len(pool) / len(waiting)
        picks = [(self._assigned[pool[i]].case_id, probability * share) for i, probability in chosen]
        self._ask(draw_active(picks, place.name, self._clock.now()))

    def _teaching_scores(self, pool: np.ndarray) -> np.ndarray:
        place, now = self._place, self._clock.now()
        vectors = np.concatenate(self._vectors)[pool]
        live = place.releases.live(place.name)
        cases = [self._stream[i].case for i in pool]
        predictions = live.specialist.predict(cases, vectors) if live.specialist else []
        memory = place.engine.memory
        memory.refresh()
        return acquisition_scores(predictions, vectors, memory.vectors(memory.valid_rows(now)))

    def _ask(self, draws: Sequence[Draw]) -> None:
        """The draws are on record, and people's answers to all that are open."""
        place = self._place
        with place.store.begin():
            append_draws(place.store, draws)
            take_down(place, [self._judgment(one) for one in draws])

    def _judgment(self, asked: Draw) -> Judgment:
        recorded = self._by_id[asked.case]
        right = self._answered(asked.case) == recorded.answer
        return Judgment(
            id=f"jdg_{asked.case}",
            case=asked.case,
            capability=asked.capability,
            expert=recorded.expert,
            at=asked.at,
            verdict=Verdict.RIGHT if right else Verdict.CORRECTED,
            answer=recorded.answer,
            drawn=asked.kind,
            probability=asked.probability,
            valid_from=asked.at,
            valid_until=recorded.valid_until,
        )

    def _answered(self, case_id: str) -> Value:
        if case_id not in self._served:
            done = trajectories_of_case(self._place.store, case_id)
            self._served[case_id] = done[-1].answer.value if done else None
        return self._served[case_id]

    async def _turn(self, number: int, arrived: int) -> None:
        started = perf_counter()
        if self._budget.active:
            self._ask_active(number, arrived)
        report = await turn(self._place, number)
        self.timing.learn_s += perf_counter() - started
        spent = self.timing.since(self._told)
        self._told = Timing(self.timing.serve_s, self.timing.learn_s)
        self._keep(number, report, spent)

    def _keep(self, number: int, report: TurnReport, spent: Timing) -> None:
        facts = {
            "accuracy": self._recent_accuracy(),
            "decided": report.release.id if report.release else None,
            "serve_s": spent.serve_s,
            "learn_s": spent.learn_s,
        }
        append_turn(self._place.store, turn_record(self._place, number, facts))

    def _recent_accuracy(self) -> float | None:
        recent = recent_trajectories(self._place.store, self._place.name, RECENT)
        right = [done.answer.value == self._by_id[done.case].answer for done in recent]
        return sum(right) / len(right) if right else None


def stations(cases: int, count: int) -> Iterator[tuple[int, int]]:
    """The spans of at most `count` turns over a stream of `cases`, as even as can be and none empty."""
    edges = sorted({round(cases * i / count) for i in range(count + 1)})
    yield from zip(edges, edges[1:], strict=False)


def _spans(start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    for first in range(start, end, size):
        yield first, min(first + size, end)
