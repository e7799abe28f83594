"""How an answer is made: recall, specialist, generalist, person; cheapest first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter

import msgspec
import numpy as np
from msgspec import Struct

from tokencapital.core.answer import Exchange, Trajectory
from tokencapital.core.case import Capability, Case, Mode
from tokencapital.core.clock import Clock
from tokencapital.core.ids import IdSource
from tokencapital.core.knowledge import PassageHit
from tokencapital.core.policy import Policy
from tokencapital.core.split import unit_hash
from tokencapital.meter.meter import Meter, Spent
from tokencapital.models.base import Embedder, ModelClient
from tokencapital.models.tokens import case_text
from tokencapital.serve.citations import Checked, check_answer
from tokencapital.serve.generalist import GeneralistAnswer, GeneralistStage, Question
from tokencapital.serve.ports import LessonReader, Live, PassageReader, ReleaseReader, Sink, lessons_that_hold
from tokencapital.serve.prompt import Shown
from tokencapital.serve.stages import Explore, Local, Moment, answer_locally, to_person
from tokencapital.store.database import Store
from tokencapital.store.memory import Memory, Vectors


class Parts(Struct, frozen=True, kw_only=True):
    """What an engine is made of. `generalist` None: no model is asked; `concurrency` bounds its calls.

    `lessons` None: no lesson is shown to it; `knowledge` None: no passage is. `shown` False: nobody gets to
    see the answers, as in `shadow` mode; their propensity is 0.
    """

    store: Store
    releases: ReleaseReader
    sink: Sink
    embedder: Embedder
    meter: Meter
    clock: Clock
    ids: IdSource
    generalist: ModelClient | None = None
    lessons: LessonReader | None = None
    knowledge: PassageReader | None = None
    seed: int = 0
    concurrency: int = 8
    shown: bool = True


class _Batch(Struct, frozen=True):
    """What the cases of a batch share: the policy's hash, and each one's part of this machine's time."""

    moment: Moment
    policy: str
    local_s: float
    spent: Spent


class Engine:
    """Answers the cases of one capability under its live release, and records every exchange.

    Not safe for threads; concurrent coroutines are fine.
    """

    def __init__(self, capability: Capability, parts: Parts, memory: Memory | None = None) -> None:
        self.capability = capability
        self.memory = memory or Memory(parts.store, capability.name, self.encode)
        self._parts = parts
        self._hashed: tuple[Policy, str] | None = None
        self._lot: tuple[Policy, str] | None = None
        self.generalist = (
            GeneralistStage(parts.generalist, seed=parts.seed, concurrency=parts.concurrency)
            if parts.generalist
            else None
        )

    def encode(self, cases: Sequence[Case]) -> Vectors:
        """Unit vectors (n, d) of the cases, as memory and specialists compare them."""
        return self._parts.embedder.embed([case_text(case) for case in cases])

    async def answer(self, case: Case) -> Exchange:
        """The case answered and recorded."""
        return (await self.answer_many([case]))[0]

    async def answer_many(self, cases: Sequence[Case]) -> list[Exchange]:
        """The cases answered under one release and one state of the memory, and recorded together.

        A generalist that fails raises nothing: the case goes to a person and the trajectory says why.
        """
        if not cases:
            return []
        started = perf_counter()
        live = self._parts.releases.live(self.capability.name)
        newest = self.memory.refresh()
        moment = Moment(live, self._parts.clock.now(), newest if live.memory is None else live.memory)
        vectors = self.encode(cases)
        local = answer_locally(moment, self.memory, cases, vectors, self._explore(live, cases))
        local_s = (perf_counter() - started) / len(cases)
        asked = await self._ask_unsure(moment, cases, vectors, local)
        batch = _Batch(moment, self._hash_of(live.policy), local_s, self._parts.meter.machine(local_s))
        exchanges = [
            self._exchange(batch, case, here, there) for case, here, there in zip(cases, local, asked, strict=True)
        ]
        self._parts.sink.record(exchanges)
        return exchanges

    def _hash_of(self, policy: Policy) -> str:
        """The policy's hash, computed once while the policy stays the same."""
        if self._hashed is None or self._hashed[0] is not policy:
            self._hashed = (policy, policy.hash)
        return self._hashed[1]

    def _explore(self, live: Live, cases: Sequence[Case]) -> Explore:
        """By what goes along with the policy into another store, so that it answers there as here."""
        if not live.policy.explore:
            return Explore(np.zeros(len(cases), bool), 0.0)
        share, lot = live.policy.explore, self._lot_of(live.policy)
        chosen = [unit_hash(b"", "explore", lot, case.group) < share for case in cases]
        return Explore(np.array(chosen, bool), share)

    def _lot_of(self, policy: Policy) -> str:
        """What a policy is called by where memory is numbered otherwise, computed once while it stays the same."""
        if self._lot is None or self._lot[0] is not policy:
            self._lot = (policy, msgspec.structs.replace(policy, memory=0).hash)
        return self._lot[1]

    async def _ask_unsure(
        self, moment: Moment, cases: Sequence[Case], vectors: Vectors, local: Sequence[Local]
    ) -> list[GeneralistAnswer]:
        asked = [GeneralistAnswer(here.answer) for here in local]
        unsure = [i for i, here in enumerate(local) if not here.answer.sure]
        policy, stage = moment.live.policy, self.generalist
        if stage is None or not policy.generalist or not unsure:
            return asked
        labels = policy.contract.labels or self.memory.labels(moment.now)
        lessons = lessons_that_hold(self._parts.lessons, policy, moment.now)
        shown = [
            Shown(
                exemplars=self.memory.judged(rows),
                labels=labels,
                lessons=lessons,
                passages=self._passages(moment, cases[i]),
            )
            for i, rows in zip(unsure, self._exemplars(moment, vectors[unsure]), strict=True)
        ]
        questions = [Question(cases[i], beside, local[i].answer) for i, beside in zip(unsure, shown, strict=True)]
        answers = await asyncio.gather(*(stage.ask(policy, question) for question in questions))
        for i, answer in zip(unsure, answers, strict=True):
            asked[i] = answer
        return asked

    def _exemplars(self, moment: Moment, vectors: Vectors) -> list[list[int]]:
        policy = moment.live.policy
        if policy.exemplars == 0:
            return [[] for _ in vectors]
        upto = moment.memory if self.capability.mode is Mode.SUGGEST else policy.memory
        near = self.memory.nearest(vectors, policy.exemplars, upto=upto, now=moment.now)
        return [[int(row) for row in rows if row >= 0] for rows in near.rows]

    def _passages(self, moment: Moment, case: Case) -> Sequence[PassageHit]:
        most, reader = moment.live.policy.passages, self._parts.knowledge
        return reader.find(case_text(case), most, moment.now) if most and reader is not None else ()

    def _exchange(self, batch: _Batch, case: Case, here: Local, there: GeneralistAnswer) -> Exchange:
        """The case with an answer whose citations hold at the moment at which it goes out."""
        checked = check_answer(there.answer, there.passages, self._parts.knowledge, self._parts.clock.now())
        return Exchange(case, self._trajectory(batch, case, here, there, checked), checked.citations)

    def _trajectory(
        self, batch: _Batch, case: Case, here: Local, there: GeneralistAnswer, checked: Checked
    ) -> Trajectory:
        moment, usage, spent = batch.moment, there.usage, batch.spent
        if there.model is not None:
            spent += self._parts.meter.call(there.model, usage, moment.now, there.elapsed_s)
        return Trajectory(
            id=self._parts.ids.new("trj"),
            case=case.id,
            capability=case.capability,
            at=moment.now,
            answer=to_person(checked.answer) if self.capability.mode is Mode.SUGGEST else checked.answer,
            policy=batch.policy,
            memory=moment.memory,
            seed=self._parts.seed,
            propensity=here.propensity if self._parts.shown else 0.0,
            elapsed_s=batch.local_s + there.elapsed_s,
            energy=spent.energy,
            usage=usage,
            cost=spent.cost,
            price=spent.price,
            release=moment.live.release,
            generalist=there.model,
            failure=there.failure,
            false_citations=checked.removed,
        )
