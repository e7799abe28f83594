"""The stage that asks a generalist, with instructions, lessons and the nearest judged cases."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from time import perf_counter

from msgspec import Struct

from tokencapital.core.answer import Answer, Stage
from tokencapital.core.case import Case, ContractKind
from tokencapital.core.errors import ContractViolation, ModelError
from tokencapital.core.knowledge import PassageHit
from tokencapital.core.policy import Policy
from tokencapital.core.quantity import Usage
from tokencapital.models.base import Completion, ModelClient
from tokencapital.serve.prompt import Shown, generalist_request, read_answer
from tokencapital.serve.stages import surest, to_person
from tokencapital.stats.calibration import confidence


class Question(Struct, frozen=True):
    """A case to ask about, what to show beside it, and the best local draft."""

    case: Case
    shown: Shown
    draft: Answer


class GeneralistAnswer(Struct, frozen=True):
    """What came of a question. `model` None: nobody was asked. `completion` None: or the call failed, as
    `failure` says, after `waited_s`; what the provider counts of it is then unknown.
    `passages` are those that it was shown and may cite."""

    answer: Answer
    model: str | None = None
    completion: Completion | None = None
    failure: str | None = None
    waited_s: float = 0.0
    passages: Sequence[PassageHit] = ()

    @property
    def elapsed_s(self) -> float:
        """Wall time of the call, one that failed included."""
        return self.waited_s if self.completion is None else self.completion.elapsed_s

    @property
    def usage(self) -> Usage:
        """The tokens of the call: none where nobody was asked, unknown where it failed."""
        if self.completion is not None:
            return self.completion.usage
        return Usage() if self.model is None else Usage(None, None)


class GeneralistStage:
    """Asks one generalist, at most `concurrency` questions at a time."""

    def __init__(self, client: ModelClient, *, seed: int, concurrency: int) -> None:
        self.name = client.name
        self._client = client
        self._seed = seed
        self._slots = asyncio.Semaphore(concurrency)

    async def ask(self, policy: Policy, question: Question) -> GeneralistAnswer:
        """The generalist's answer, or a draft for a person where it fails or is not sure enough."""
        if policy.contract.kind is ContractKind.LABEL and not question.shown.labels:
            return GeneralistAnswer(question.draft)
        request = generalist_request(policy, question.case, question.shown, self._seed)
        async with self._slots:
            started = perf_counter()
            try:
                completion = await self._client.complete(request)
            except ModelError as error:
                return GeneralistAnswer(
                    question.draft, self.name, failure=error.without_words, waited_s=perf_counter() - started
                )
        try:
            answer = self._weigh(policy, question, completion)
            citable = question.shown.passages if policy.contract.kind is ContractKind.TEXT else ()
            return GeneralistAnswer(answer, self.name, completion, passages=citable)
        except (ModelError, ContractViolation) as error:
            return GeneralistAnswer(question.draft, self.name, completion, error.without_words)

    def _weigh(self, policy: Policy, question: Question, completion: Completion) -> Answer:
        rule = policy.generalist_rule
        score = answer_score(completion)
        known = None if score is None else confidence(rule.calibration, score)
        sure = rule.threshold is not None and score is not None and score >= rule.threshold.score
        answer = Answer(
            value=read_answer(policy.contract, completion),
            stage=Stage.GENERALIST if sure else Stage.PERSON,
            source=Stage.GENERALIST,
            confidence=known,
            because=question.shown.because,
        )
        if sure:
            return answer
        return to_person(surest(answer, question.draft) or answer)


def answer_score(completion: Completion) -> float | None:
    """The model's own probability of its whole answer, in [0, 1]; None: it does not tell."""
    return None if completion.logprob is None else math.exp(min(0.0, completion.logprob))
