"""The veteran: what was learned, frozen, content-hashed and free of the generalist's name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec
from msgspec import Struct

from tokencapital.core.case import Contract, Json


class Threshold(Struct, frozen=True, kw_only=True):
    """A score from which a stage answers alone, and the promise behind it.

    Among the answers at or above `score` the share of wrong ones is at most `tolerance`, with
    probability at least 1 - `delta`; `errors` of `n` calibration cases were wrong there, out of
    `calibrated_on` in all.
    """

    score: float
    tolerance: float
    delta: float
    n: int
    errors: int
    calibrated_on: int


class Calibration(Struct, frozen=True):
    """A monotone map from a stage's score to the probability of being right: knots, ascending in both."""

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]


class StageRule(Struct, frozen=True, kw_only=True):
    """When a stage answers alone, and what its scores are worth.

    `threshold` None: it never answers alone. `calibration` maps the score of an answer, `fields` that
    of one field of an object, to the probability of being right; None: that is unknown.
    """

    threshold: Threshold | None = None
    calibration: Calibration | None = None
    fields: Calibration | None = None


class Policy(Struct, frozen=True, kw_only=True):
    """Everything that decides how a case is answered, apart from the generalist that is rented.

    `memory` is the sequence up to which judgments may be recalled as near-duplicates and shown as
    exemplars in `answer` mode. `identical` says whether an identical input that people agreed on is
    answered as they did. `specialist` is the digest of its artifact; None: there is none.
    `lessons` are the ids of those that the generalist is shown while they hold, `passages` how many
    passages of the company's documents. `explore` is the share of entities whose sure answers go one
    stage further, so that stages can be compared without bias.
    """

    capability: str
    contract: Contract
    instructions: str = ""
    lessons: tuple[str, ...] = ()
    memory: int = 0
    exemplars: int = 8
    identical: bool = True
    recall: StageRule = StageRule()
    specialist: str | None = None
    specialist_rule: StageRule = StageRule()
    generalist: bool = True
    generalist_rule: StageRule = StageRule()
    explore: float = 0.02
    recipes: tuple[str, ...] = ()
    passages: int = 0

    @property
    def hash(self) -> str:
        """16 hex digits of the SHA-256 over the canonical JSON of all fields.

        A field that came later counts only where it is used, so that older policies keep their names.
        """
        fields = msgspec.to_builtins(self)
        if not self.passages:
            del fields["passages"]
        return hashlib.sha256(msgspec.json.encode(fields, order="sorted")).hexdigest()[:16]


class Lane(StrEnum):
    """How a release came to be: a new recipe that was proven, or the same one on more judgments."""

    CHANGE = "change"
    REFRESH = "refresh"
    ROLLBACK = "rollback"


class Decision(StrEnum):
    """What the gate said."""

    PROMOTED = "promoted"
    HELD = "held"
    STOPPED = "stopped"


class Evidence(Struct, frozen=True, kw_only=True):
    """Why the gate decided as it did.

    `effect`, `lower` and `upper` are the paired difference in the share of right answers, candidate
    minus live, on `n` sealed cases at level `alpha`; None: not measured. `detectable` is the smallest
    effect that n cases could have shown with power 0.8. `grade` is that of design section 6: E for
    offline only.
    """

    n: int
    alpha: float | None = None
    effect: float | None = None
    lower: float | None = None
    upper: float | None = None
    detectable: float | None = None
    grade: str = "E"
    reason: str = ""
    details: Mapping[str, Json] = {}


class Release(Struct, frozen=True, kw_only=True):
    """A policy with the gate's decision on it. It is live when promoted and not followed by another."""

    id: str
    capability: str
    policy: str
    at: datetime
    lane: Lane
    decision: Decision
    evidence: Evidence
    parent: str | None = None
    decided_by: str = "gate"
