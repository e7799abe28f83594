"""Scripted generalists as clients: for stores whose work is a simulated organization's, whose truth is known."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime

from tokencapital.core.case import Case, Value
from tokencapital.core.errors import InputError, ModelUnavailable
from tokencapital.core.quantity import Usage
from tokencapital.models.base import Completion, Delta, ModelRequest
from tokencapital.simulate.base import Organization
from tokencapital.simulate.scripted import NO_IDEA, Guess, ScriptedMind

Truth = Callable[[ModelRequest], Value]
"""The right answer to what is asked. Raises ModelUnavailable where nobody knows it."""


class ScriptedGeneralist:
    """A `ModelClient` of known ability that takes no time and counts a word as a token.

    `known_as` tells it from one of the same name and another ability.
    """

    def __init__(self, mind: ScriptedMind, truth: Truth) -> None:
        self.name = mind.name
        self.known_as = f"{mind.name}={mind.ability.plain:g}/{mind.ability.shown:g}#{mind.seed}"
        self._mind = mind
        self._truth = truth

    async def complete(self, request: ModelRequest) -> Completion:
        """Right with the ability that it has, plain or shown exemplars."""
        guess = self._guess(request)
        text = _text(guess.value, request)
        usage = Usage(input=sum(_words(message.content) for message in request.messages), output=_words(text))
        return Completion(text=text, usage=usage, model=self.name, elapsed_s=0.0, logprob=math.log(guess.certainty))

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        """The same answer in one piece."""
        done = await self.complete(request)
        yield Delta(done.text)
        yield Delta(finish="stop", usage=done.usage)

    async def close(self) -> None:
        """Nothing is held."""

    def _guess(self, request: ModelRequest) -> Guess:
        shown = any(message.role == "assistant" for message in request.messages)
        return self._mind.guess(request.messages[-1].content, self._truth(request), request.labels, shown=shown)


def truth_of(organization: Organization, cases: Sequence[Case], at: datetime) -> Truth:
    """What is right of these cases of an organization at a time, found by what was said last."""
    return known_truth({case.messages[-1].content: organization.truth(case, at) for case in cases})


def known_truth(right: Mapping[str, Value]) -> Truth:
    """The right answers by the words that they answer."""

    def truth(request: ModelRequest) -> Value:
        asked = request.messages[-1].content
        if asked not in right:
            raise ModelUnavailable("a scripted generalist knows only the cases of the simulated organization")
        return right[asked]

    return truth


def organization_behind(cases: Sequence[Case]) -> Organization:
    """The simulated organization that all these cases are of, word for word: that of `tcap demo`.

    Raises InputError where they are somebody's real work, to which only people know the answers.
    """
    from tokencapital.app.demo import SEED
    from tokencapital.simulate.service_desk import service_desk

    organization = service_desk(SEED)
    known = {case.id: case for case in organization.cases}
    if all(case.id in known and known[case.id].messages == case.messages for case in cases):
        return organization
    raise InputError(
        "a scripted generalist has to be told what is right, and the work in this store is no simulated organization's",
        remedy="Name `none`, `embedded` or a URL; `tcap demo` makes a store in which scripted ones can be asked.",
    )


def _text(value: Value, request: ModelRequest) -> str:
    if request.labels is not None and value not in request.labels:
        return request.labels[0]
    if value is None:
        return NO_IDEA
    return value if isinstance(value, str) else json.dumps(value)


def _words(text: str) -> int:
    return max(1, len(text.split()))
