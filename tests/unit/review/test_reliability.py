"""What opinions tell of experts, what judgments count for a learner, and how past answers came out by label."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from tokencapital.core.case import ContractKind, Value
from tokencapital.core.judgment import DrawKind, Verdict
from tokencapital.review.reliability import LEAST_WORTH, Retest, estimate_reliability, weights, worth
from tokencapital.review.results import results_by_label
from tokencapital.review.routing import Results
from tokencapital.store.opinions import Opinion

AT = datetime(2026, 3, 2, tzinfo=UTC)
KINDS = [ContractKind.LABEL, ContractKind.FIELDS]


def opinion(
    case: str, expert: str, answer: Value, drawn: DrawKind = DrawKind.UNIFORM, verdict: Verdict = Verdict.CORRECTED
) -> Opinion:
    return Opinion(
        id=f"{case}-{expert}-{drawn}", case=case, input=case, expert=expert, at=AT,
        verdict=verdict, answer=answer, drawn=drawn,
    )  # fmt: skip


def opinions(seed: int, reliabilities: dict[str, float], kind: ContractKind, cases: int = 300) -> list[Opinion]:
    """Two experts judge each case; who slips says one of nine other things."""
    rng = np.random.default_rng(seed)
    names = sorted(reliabilities)
    given = []
    for case in range(cases):
        truth = int(rng.integers(10))
        for place in rng.permutation(len(names))[:2]:
            slips = rng.random() > reliabilities[names[place]]
            said = (truth + int(rng.integers(1, 10))) % 10 if slips else truth
            answer = f"kind-{said}" if kind is ContractKind.LABEL else {"kind": said}
            given.append(opinion(f"case-{case}", names[place], answer))
    return given


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_expert_is_found_and_counts_less(kind: ContractKind) -> None:
    known = estimate_reliability(opinions(1, {"a": 0.95, "b": 0.95, "c": 0.95, "d": 0.4}, kind), kind)
    assert known is not None
    assert known.differ
    assert known.abilities["d"].interval.high < 0.6
    assert known.abilities["a"].interval.low > 0.85
    counted = weights(known, [("new", "a"), ("new", "d"), ("new", "nobody")])
    assert counted is not None
    good, bad, unknown = counted
    assert good > 0.8
    assert bad < 0.2
    assert bad < unknown < good


@pytest.mark.parametrize("kind", KINDS)
def test_equal_experts_count_the_same(kind: ContractKind) -> None:
    known = estimate_reliability(opinions(2, dict.fromkeys("abcd", 0.9), kind), kind)
    assert known is not None
    assert weights(known, [("new", "a")]) is None


def test_too_little_in_common_tells_nothing() -> None:
    alone = [opinion(f"case-{n}", "a", "x") for n in range(100)]
    few = [opinion(f"case-{n}", "b", "x") for n in range(19)]
    assert estimate_reliability(alone + few, ContractKind.LABEL) is None
    assert weights(None, [("any", "a")]) is None


def test_a_judgment_that_others_contradict_counts_less_than_its_expert() -> None:
    given = opinions(3, {"a": 0.95, "b": 0.95, "c": 0.5}, ContractKind.LABEL)
    given += [opinion("odd", "a", "kind-1"), opinion("odd", "b", "kind-2")]
    counted = weights(estimate_reliability(given, ContractKind.LABEL), [("odd-a-uniform", "a"), ("new", "a")])
    assert counted is not None
    assert counted[0] < counted[1]


def test_what_is_likelier_right_is_worth_more_and_nothing_is_worth_nothing() -> None:
    rising = [worth(right) for right in np.linspace(0, 1, 50)]
    assert rising == sorted(rising)
    assert LEAST_WORTH > 0


def test_repeats_tell_how_often_somebody_says_the_same_again() -> None:
    given = opinions(4, dict.fromkeys("ab", 0.9), ContractKind.LABEL)
    given += [opinion("r1", "a", "x"), opinion("r1", "a", "x", DrawKind.REPEAT)]
    given += [opinion("r2", "a", "x"), opinion("r2", "a", "y", DrawKind.REPEAT)]
    given += [opinion("r3", "b", "x", DrawKind.REPEAT)]
    known = estimate_reliability(given, ContractKind.LABEL)
    assert known is not None
    assert known.repeats == {"a": Retest(1, 2)}


def test_results_count_agreement_with_others_and_what_was_declined() -> None:
    given = [opinion("c1", "a", "x"), opinion("c1", "b", "x"), opinion("c1", "c", "y"), opinion("c2", "a", "x")]
    given.append(opinion("c3", "b", None, verdict=Verdict.NOT_MY_FIELD))
    found = results_by_label(given, {"c3": "z"})
    assert found["a"] == {"x": Results(0.5, 1)}
    assert found["b"] == {"x": Results(0.5, 1), "z": Results(0, 1)}
    assert found["c"] == {"x": Results(0, 1)}
