"""What went out, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from tokencapital.core.case import Case, Value
from tokencapital.core.knowledge import Citation
from tokencapital.core.quantity import Energy, Money, Usage


class Stage(StrEnum):
    """Who may answer, cheapest first."""

    RECALL = "recall"
    SPECIALIST = "specialist"
    GENERALIST = "generalist"
    PERSON = "person"


class Answer(Struct, frozen=True, kw_only=True):
    """An answer with the stage that stands for it.

    Where `stage` is PERSON nobody has answered for sure: `value` is then the best draft (None: there
    is none) and `source` the stage that drafted it (None: no draft). `confidence` is the calibrated
    probability that `value` is right; None: nothing was measured. `fields` holds the same per field.
    `because` names the judgments and lessons that the answer rests on.
    """

    value: Value
    stage: Stage
    source: Stage | None = None
    confidence: float | None = None
    fields: Mapping[str, float] | None = None
    because: tuple[str, ...] = ()

    @property
    def sure(self) -> bool:
        """Whether a stage answered alone, so that no person has to."""
        return self.stage is not Stage.PERSON


class Trajectory(Struct, frozen=True, kw_only=True):
    """What was done on a case. (`policy`, `memory`, `generalist`, `seed`) repeat it.

    `release` is None before the first one. `propensity` is the probability with which this way of
    answering was taken. `cost` None: no price is known; `price` says where the price came from and since
    when it holds. `elapsed_s` is wall time inside the engine.
    `failure` says why a stage that was asked gave nothing; None: none failed. `false_citations` counts
    the citations that were taken out of the answer, because no passage shown or standing answers to them.
    """

    id: str
    case: str
    capability: str
    at: datetime
    answer: Answer
    policy: str
    memory: int
    seed: int
    propensity: float
    elapsed_s: float
    energy: Energy
    usage: Usage = Usage()
    cost: Money | None = None
    price: str | None = None
    release: str | None = None
    generalist: str | None = None
    failure: str | None = None
    false_citations: int = 0


class Exchange(Struct, frozen=True):
    """A case with what was done on it: what the engine hands to its sink.

    `citations` are the passages that the words of the answer cite.
    """

    case: Case
    trajectory: Trajectory
    citations: tuple[Citation, ...] = ()
