"""Runs a policy over tasks: concurrent, resumable, and never paying twice for the same content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct

from tokencapital.core.answer import Exchange, Stage
from tokencapital.core.case import Capability
from tokencapital.core.errors import LineageError
from tokencapital.core.policy import Policy
from tokencapital.core.quantity import Energy, Money, Usage
from tokencapital.core.split import keyed_digest
from tokencapital.evaluate.scorers import Score, score
from tokencapital.evaluate.tasks import Task
from tokencapital.serve.engine import Engine, Parts
from tokencapital.serve.ports import FixedRelease, Live, NoSink, lessons_that_hold
from tokencapital.store.database import Store
from tokencapital.store.evaluations import EvaluationKey, cached_evaluations, save_evaluations
from tokencapital.store.memory import Memory
from tokencapital.store.playbook import knowledge_state

SCORER = "exact/1"
NOT_HAD = Usage(None, None)
"""The tokens of a call that failed: nobody knows."""
_AT_ONCE = 256


class Result(Struct, frozen=True, kw_only=True):
    """How one task came out, without what was written in it.

    `paid` False: it was kept from an earlier run. `failed`: the generalist was asked and could not be had; the
    answer is then what is left without it, and such a result is never kept. `wanted` is the keyed digest of the
    answer that it was held against: where people have changed that since, the case is answered and scored anew.
    """

    case: str
    group: str
    stage: Stage
    source: Stage | None
    confidence: float | None
    score: Score
    usage: Usage
    cost: Money | None
    energy: Energy
    elapsed_s: float
    asked_generalist: bool
    paid: bool = True
    failed: bool = False
    wanted: str = ""


class Trial(Struct, frozen=True):
    """A policy to be run, with the entity groups that it was built from."""

    live: Live
    lineage_groups: frozenset[str]


class Runner:
    """Runs policies of one capability with the parts of the house, recording nothing as work.

    `known_as` tells the generalist from others of its name in what is kept; None: its name does.
    """

    def __init__(self, capability: Capability, parts: Parts, memory: Memory, known_as: str | None = None) -> None:
        self._capability = capability
        self._parts = parts
        self._memory = memory
        self._known_as = known_as or (parts.generalist.name if parts.generalist else None)

    async def run(self, trial: Trial, tasks: Sequence[Task]) -> list[Result]:
        """One result a task, in the order of the tasks.

        What a generalist was asked for is kept as it comes in, so that a run that was cut off goes on
        where it stood. Raises LineageError before anything is run where a task's group is in the
        lineage of the policy.
        """
        _refuse_leaks(trial, tasks)
        engine = Engine(self._capability, self._parts_for(trial.live), self._memory)
        results: dict[str, Result] = self._known(trial.live, tasks)
        for chunk in _chunks([task for task in tasks if task.case.id not in results], self._chunk_size):
            exchanges = await engine.answer_many([task.case for task in chunk])
            fresh = [self._result(task, exchange) for task, exchange in zip(chunk, exchanges, strict=True)]
            results.update((result.case, result) for result in fresh)
            self._keep(trial.live, fresh)
        return [results[task.case.id] for task in tasks]

    @property
    def _chunk_size(self) -> int:
        return _AT_ONCE if self._parts.generalist is None else self._parts.concurrency

    def _parts_for(self, live: Live) -> Parts:
        return msgspec.structs.replace(self._parts, releases=FixedRelease(live), sink=NoSink())

    def _result(self, task: Task, exchange: Exchange) -> Result:
        done = exchange.trajectory
        return Result(
            case=task.case.id,
            group=task.group,
            stage=done.answer.stage,
            source=done.answer.source,
            confidence=done.answer.confidence,
            score=score(self._capability.contract.kind, task.expected, done.answer.value),
            usage=done.usage,
            cost=done.cost,
            energy=done.energy,
            elapsed_s=done.elapsed_s,
            asked_generalist=done.generalist is not None,
            failed=done.failure is not None and done.usage == NOT_HAD,
            wanted=self._digest(task),
        )

    def _digest(self, task: Task) -> str:
        return keyed_digest(self._parts.store.key, msgspec.json.encode(task.expected, order="deterministic"))

    def _known(self, live: Live, tasks: Sequence[Task]) -> dict[str, Result]:
        if self._parts.generalist is None:
            return {}
        found = cached_evaluations(self._parts.store, self._key(live), [task.case.id for task in tasks])
        kept = {case: msgspec.convert({**result, "paid": False}, Result) for case, result in found.items()}
        wanted = {task.case.id: self._digest(task) for task in tasks}
        return {case: result for case, result in kept.items() if result.wanted == wanted[case]}

    def _keep(self, live: Live, results: Sequence[Result]) -> None:
        if self._parts.generalist is not None:
            bodies = {result.case: msgspec.to_builtins(result) for result in results if not result.failed}
            save_evaluations(self._parts.store, self._key(live), bodies)

    def _key(self, live: Live) -> EvaluationKey:
        held = lessons_that_hold(self._parts.lessons, live.policy, self._parts.clock.now())
        return EvaluationKey(
            policy=msgspec.structs.replace(live.policy, lessons=tuple(held)).hash,
            memory=self._memory.sequence if live.memory is None else live.memory,
            generalist=self._known_as,
            seed=self._parts.seed,
            scorer=_scorer(self._parts.store, live.policy),
        )


def _scorer(store: Store, policy: Policy) -> str:
    """What scored, and where passages are shown, on which state of the documents: other ones are another task."""
    return f"{SCORER}, knowledge {knowledge_state(store)}" if policy.passages else SCORER


def _refuse_leaks(trial: Trial, tasks: Sequence[Task]) -> None:
    leaked = [task for task in tasks if task.group in trial.lineage_groups]
    if leaked:
        raise LineageError(
            f"{len(leaked)} of {len(tasks)} tasks belong to entities that the policy was built from",
            where=f"policy {trial.live.policy.hash}, case {leaked[0].case.id}",
            remedy="Score it on cases that are still sealed.",
        )


def _chunks(tasks: Sequence[Task], size: int) -> Iterator[Sequence[Task]]:
    for start in range(0, len(tasks), size):
        yield tasks[start : start + size]
