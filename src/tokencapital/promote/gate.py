"""The gate: what the sealed cases say of a candidate, and what follows from it.

Two lanes. A *change* (new recipe, prompt, model or rule) must be proven: the anytime-valid lower
bound of its paired difference to the live policy is above zero, or above minus the declared margin.
A *refresh* (the same recipe on more judgments) claims nothing: it goes live when its out-of-fold
estimate does not fall and the sealed cases show no harm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tokencapital.core.policy import Decision, Evidence
from tokencapital.stats.power import PairedDesign, smallest_detectable
from tokencapital.stats.sequential import betting_sequence, cluster_means

FEWEST_SEALED = 15
"""Below so many sealed entities a change is not looked at: no effect could be shown, and the look would be spent."""
LOOK_GROWTH = 1.25
"""A change that was held is looked at again when there are so many times more sealed entities."""

FALL_ERRORS = 1.645
"""One-sided 5% point of the normal distribution."""


class Estimate(Struct, frozen=True):
    """A share of right answers among `n` cases; None: nothing was measured."""

    share: float | None
    n: int

    @property
    def standard_error(self) -> float | None:
        """Of the share, by the binomial with one success and one failure added; None without cases."""
        if self.share is None or self.n == 0:
            return None
        smoothed = (self.share * self.n + 1) / (self.n + 2)
        return math.sqrt(smoothed * (1 - smoothed) / self.n)


class Verdict(Struct, frozen=True):
    """What the gate decides, and why."""

    decision: Decision
    evidence: Evidence


def compare(candidate: Sequence[float], live: Sequence[float], groups: Sequence[str], alpha: float) -> Evidence:
    """The paired difference of two score columns on the same sealed cases, entity by entity.

    Scores are in [0, 1]. The bounds hold at every time at which the batch is looked at; each alone is
    wrong with probability at most `alpha`.
    """
    if not groups:
        return Evidence(n=0, alpha=alpha, reason="no sealed case was judged yet")
    differences = cluster_means(np.asarray(candidate) - np.asarray(live), groups)
    bounds = betting_sequence(differences, alpha)
    return Evidence(
        n=len(differences),
        alpha=alpha,
        effect=float(differences.mean()),
        lower=float(bounds.lower[-1]),
        upper=float(bounds.upper[-1]),
        detectable=_detectable(differences, alpha),
    )


def decide_change(evidence: Evidence, margin: float = 0.0) -> Verdict:
    """Promoted where the lower bound is above minus `margin`, stopped where the upper one is below it."""
    if evidence.lower is None or evidence.upper is None:
        return _verdict(Decision.HELD, evidence, evidence.reason)
    if evidence.lower > -margin:
        return _verdict(Decision.PROMOTED, evidence, f"the lower bound is above {0.0 - margin:+.3f}")
    if evidence.upper < -margin:
        return _verdict(Decision.STOPPED, evidence, f"the upper bound is below {0.0 - margin:+.3f}")
    return _verdict(Decision.HELD, evidence, "neither shown nor excluded at this size")


def entities_wanted(held: Sequence[Evidence]) -> int:
    """How many sealed entities the next look at a change takes, after those that were held on this batch."""
    return max([FEWEST_SEALED, *(math.ceil(LOOK_GROWTH * evidence.n) for evidence in held)])


def decide_refresh(evidence: Evidence, candidate: Estimate, live: Estimate) -> Verdict:
    """Promoted, unproven, where the out-of-fold share does not fall and the sealed cases show no harm.

    A fall is one that chance alone would show in 5% of refreshes: more than FALL_ERRORS standard errors of
    the difference of both estimates.
    """
    if shows_harm(evidence):
        return _verdict(Decision.STOPPED, evidence, "the sealed cases show harm")
    fall = _fall(candidate, live)
    if fall is not None and fall > 0:
        return _verdict(Decision.HELD, evidence, f"the out-of-fold share fell by {fall:.3f} more than its error")
    return _verdict(Decision.PROMOTED, evidence, "refresh, unproven: no fall out of fold, no harm on sealed cases")


def shows_harm(evidence: Evidence) -> bool:
    """Whether the upper bound of the difference is below zero."""
    return evidence.upper is not None and evidence.upper < 0


def _fall(candidate: Estimate, live: Estimate) -> float | None:
    ours, theirs = candidate.standard_error, live.standard_error
    if candidate.share is None or live.share is None or ours is None or theirs is None:
        return None
    return live.share - candidate.share - math.hypot(ours, theirs)


def _detectable(differences: NDArray[np.float64], alpha: float) -> float | None:
    discordant = (np.count_nonzero(differences) + 1) / (len(differences) + 2)
    found = smallest_detectable(len(differences), PairedDesign(alpha=alpha, discordant=discordant))
    return None if found is None else float(found)


def _verdict(decision: Decision, evidence: Evidence, reason: str) -> Verdict:
    return Verdict(decision, msgspec.structs.replace(evidence, reason=reason))
