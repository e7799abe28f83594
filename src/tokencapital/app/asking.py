"""Which served cases are put before people: some by chance as they arrive, most of them where they teach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tokencapital.app.limits import limit_reached
from tokencapital.app.platform import Workplace
from tokencapital.core.answer import Exchange
from tokencapital.core.case import Case, Goal
from tokencapital.core.judgment import Draw
from tokencapital.review.acquisition import acquisition_scores, draw
from tokencapital.review.queue import draw_active, draw_uniform, uniform_rates
from tokencapital.serve.ports import Sink
from tokencapital.store.cases import count_cases, read_cases
from tokencapital.store.database import Store
from tokencapital.store.draws import append_draws, count_drawn, undrawn_train_cases
from tokencapital.store.manifest import assign

POOL = 2_000
"""Waiting cases that active sampling looks at."""


class AskingSink:
    """Records exchanges, and draws by chance which of them people are asked about."""

    def __init__(self, sink: Sink, store: Store, goal: Goal) -> None:
        self._sink = sink
        self._store = store
        self._goal = goal
        self._rates = uniform_rates(goal.judged_share, 1.0)

    def record(self, exchanges: Sequence[Exchange]) -> None:
        """The exchanges and the draws among them are durable when this returns, all or none of them."""
        if not exchanges:
            return
        at = exchanges[-1].trajectory.at
        with self._store.begin():
            self._sink.record(exchanges)
            if self._goal.is_live(at) and limit_reached(self._store, self._goal) is None:
                arrived = assign(self._store, [exchange.case for exchange in exchanges])
                append_draws(
                    self._store, draw_uniform(arrived, self._rates, self._store.key, self._goal.capability, at)
                )


def asking(sink: Sink, store: Store, goal: Goal | None) -> Sink:
    """A sink that draws answers for review where somebody wants something of the capability."""
    return sink if goal is None else AskingSink(sink, store, goal)


def ask_active(place: Workplace) -> list[Draw]:
    """What is left of the goal's share of judgments is asked about the waiting cases that teach most."""
    goal, now = place.goal, place.now()
    if goal is None or not goal.is_live(now) or limit_reached(place.store, goal) is not None:
        return []
    drawn = count_drawn(place.store, place.name)
    due = round(goal.judged_share * count_cases(place.store, place.name)) - drawn
    cases = list(read_cases(place.store, undrawn_train_cases(place.store, place.name, POOL)).values())
    if due <= 0 or not cases:
        return []
    picks = teaching_picks(place, cases, place.engine.encode(cases), due, np.random.default_rng(drawn))
    draws = draw_active([(cases[i].id, probability) for i, probability in picks], place.name, now)
    append_draws(place.store, draws)
    return draws


def teaching_picks(
    place: Workplace, cases: Sequence[Case], vectors: np.ndarray, count: int, rng: np.random.Generator
) -> list[tuple[int, float]]:
    """At most `count` of the cases, drawn by what they would teach, each with its probability of being picked."""
    live = place.releases.live(place.name)
    predictions = live.specialist.predict(cases, vectors) if live.specialist else []
    memory = place.engine.memory
    memory.refresh()
    judged = memory.vectors(memory.valid_rows(place.now()))
    return draw(acquisition_scores(predictions, vectors, judged), min(count, len(cases)), rng)
