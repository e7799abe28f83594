"""How people's earlier judgments came out, by label: what routing goes by beside what they declare."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from tokencapital.core.case import Value
from tokencapital.core.judgment import Verdict
from tokencapital.review.reliability import same_answer
from tokencapital.review.routing import Results
from tokencapital.store.opinions import Opinion


def results_by_label(given: Sequence[Opinion], said: Mapping[str, Value]) -> dict[str, dict[str, Results]]:
    """For each expert the results by label.

    Where others judged the same input, a judgment counts as agreed by the share of them who said the same, under
    the label that most of them gave. A case that somebody declined as not their field counts as not agreed,
    under the label that the machine gave it in `said`, by case.
    """
    counts: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    by_input: dict[str, dict[str, Opinion]] = defaultdict(dict)
    for one in given:
        if one.verdict is Verdict.NOT_MY_FIELD:
            _count(counts, one.expert, said.get(one.case), 0.0)
        elif one.answer is not None and one.drawn.is_review:
            by_input[one.input][one.expert] = one
    for opinions in by_input.values():
        for expert, one in opinions.items():
            others = [other for name, other in opinions.items() if name != expert]
            if others:
                agreed = sum(same_answer(other.answer) == same_answer(one.answer) for other in others) / len(others)
                _count(counts, expert, _usual(others), agreed)
    results: dict[str, dict[str, Results]] = defaultdict(dict)
    for (expert, label), (agreed, n) in counts.items():
        results[expert][label] = Results(agreed, n)
    return dict(results)


def _usual(others: Sequence[Opinion]) -> Value:
    """The answer that most of them gave; of several the one that was given first."""
    often = Counter(same_answer(one.answer) for one in others)
    return max(others, key=lambda one: often[same_answer(one.answer)]).answer


def _count(counts: dict[tuple[str, str], list[float]], expert: str, label: Value, agreed: float) -> None:
    if isinstance(label, str):
        counted = counts[expert, label]
        counted[0] += agreed
        counted[1] += 1
