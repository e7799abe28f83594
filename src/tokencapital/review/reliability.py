"""How often each expert is right, and what each judgment is worth to a learner.

People are compared on inputs that two or more of them judged. Where nobody certainly differs from the
others, nothing is known that learning could use, and every judgment counts the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
from msgspec import Struct

from tokencapital.core.case import ContractKind, Value
from tokencapital.core.judgment import DrawKind
from tokencapital.stats.raters import Ability, Estimate, Votes, abilities, dawid_skene, differ, one_coin
from tokencapital.store.opinions import Opinion

LEVEL = 0.90
"""Of the intervals."""
FEWEST_IN_COMMON = 20
"""Below so many inputs that several people judged nothing is estimated."""
MOST_LABELS = 40
"""Above so many labels a table of confusions for each person says nothing: one probability is estimated instead."""
NOISE = 0.05
"""What an answer varies even where everybody is right, in the units of a label's target; see `worth`."""
LEAST_WORTH = 0.05
"""No judgment counts less: it stands for what one person held."""


class Retest(Struct, frozen=True):
    """How often a person said the same again, of `n` hidden repeats."""

    same: int
    n: int


class Reliability(Struct, frozen=True):
    """What is known of the experts of one capability.

    `abilities` is by expert, of those who judged what others judged, `right` by judgment the probability
    that it is right where several people judged the input, `pooled` how often a judgment is right, whoever gives it.
    `differ` says whether somebody certainly is better or worse than the others; `repeats` is by expert.
    """

    abilities: Mapping[str, Ability]
    right: Mapping[str, float]
    pooled: float
    differ: bool
    repeats: Mapping[str, Retest]


def estimate_reliability(given: Sequence[Opinion], kind: ContractKind) -> Reliability | None:
    """What the opinions tell of the experts; None: too few inputs were judged by two or more of them."""
    shared = _shared([one for one in given if one.answer is not None and one.drawn.is_review])
    inputs = list(dict.fromkeys(one.input for one in shared))
    if len(inputs) < FEWEST_IN_COMMON:
        return None
    experts = sorted({one.expert for one in shared})
    votes = _votes(shared, inputs, experts)
    found = _estimate(shared, votes, kind)
    of_each = dict(zip(experts, abilities(votes, found, LEVEL), strict=True))
    return Reliability(
        abilities=of_each,
        right={one.id: float(right) for one, right in zip(shared, found.right, strict=True)},
        pooled=float(found.right.mean()),
        differ=differ(votes),
        repeats=_repeats(given),
    )


def weights(known: Reliability | None, judged: Iterable[tuple[str, str]]) -> list[float] | None:
    """What each judgment, as (id, expert), counts for a learner, at most 1; None: all the same.

    A judgment of what others judged, too, counts by the probability that it is right; any other by how often its
    expert is, or people are where the expert is not known.
    """
    if known is None or not known.differ:
        return None
    best = worth(max(one.estimate for one in known.abilities.values()))
    usual = {expert: ability.estimate for expert, ability in known.abilities.items()}
    right = [known.right.get(name, usual.get(expert, known.pooled)) for name, expert in judged]
    return [max(LEAST_WORTH, min(1.0, worth(one) / best)) for one in right]


def worth(right: float) -> float:
    """How much an answer that is right with probability p tells, up to a factor: p^2 / (NOISE + p (1 - p)).

    A label's target that is met with probability p has p times the signal and p (1 - p) more variance; what a
    regression should count it for is the squared signal over the variance.
    """
    return right * right / (NOISE + right * (1 - right))


def same_answer(answer: Value) -> bytes:
    """The same bytes for answers that are the same."""
    return msgspec.json.encode(answer, order="deterministic")


def _shared(given: Sequence[Opinion]) -> list[Opinion]:
    """The newest opinion of each expert on each input that two or more experts judged."""
    newest = {(one.input, one.expert): one for one in given}
    experts: dict[str, set[str]] = defaultdict(set)
    for name, expert in newest:
        experts[name].add(expert)
    return [one for one in newest.values() if len(experts[one.input]) > 1]


def _votes(shared: Sequence[Opinion], inputs: Sequence[str], experts: Sequence[str]) -> Votes:
    """The opinions as numbers; the answers of each input are numbered by themselves."""
    case = {name: place for place, name in enumerate(inputs)}
    rater = {name: place for place, name in enumerate(experts)}
    numbers: dict[str, dict[bytes, int]] = defaultdict(dict)
    answer = []
    for one in shared:
        of_input = numbers[one.input]
        answer.append(of_input.setdefault(same_answer(one.answer), len(of_input)))
    return Votes(
        np.array([case[one.input] for one in shared], np.intp),
        np.array([rater[one.expert] for one in shared], np.intp),
        np.array(answer, np.intp),
    )


def _estimate(shared: Sequence[Opinion], votes: Votes, kind: ContractKind) -> Estimate:
    labels = {label: number for number, label in enumerate(sorted({same_answer(one.answer) for one in shared}))}
    if kind is not ContractKind.LABEL or not 2 <= len(labels) <= MOST_LABELS:
        return one_coin(votes)
    said = np.array([labels[same_answer(one.answer)] for one in shared], np.intp)
    return dawid_skene(Votes(votes.case, votes.rater, said), len(labels))


def _repeats(given: Sequence[Opinion]) -> dict[str, Retest]:
    """How often each expert said the same of a case that was put before them again."""
    first: dict[tuple[str, str], Value] = {}
    found: dict[str, Retest] = {}
    for one in given:
        if one.answer is None or one.drawn is DrawKind.IN_WORK:
            continue
        if one.drawn is not DrawKind.REPEAT:
            first.setdefault((one.case, one.expert), one.answer)
        elif (one.case, one.expert) in first:
            before = found.get(one.expert, Retest(0, 0))
            same = same_answer(first[one.case, one.expert]) == same_answer(one.answer)
            found[one.expert] = Retest(before.same + same, before.n + 1)
    return found
