"""A learner that knows whose judgments are worth less learns better from them, and as before where nobody's are."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from tokencapital.core.case import ContractKind
from tokencapital.core.judgment import DrawKind, JudgedCase, Judgment, Verdict
from tokencapital.improve.extraction import fit_fields_specialist
from tokencapital.improve.ridge import Examples, Setting, solve
from tokencapital.improve.specialist import Lessons, fit_label_specialist
from tokencapital.models.tokens import case_text
from tokencapital.models.wordllama import WordLlamaEmbedder
from tokencapital.review.reliability import estimate_reliability, weights
from tokencapital.simulate.base import Organization
from tokencapital.simulate.organization import Plan, simulated_organization
from tokencapital.store.opinions import Opinion

AT = datetime(2026, 3, 2, tzinfo=UTC)
TRAINED = 400


def judged_by(organization: Organization, reliabilities: list[float], seed: int) -> list[JudgedCase]:
    """Every case judged by one of the people, every third by two."""
    rng = np.random.default_rng(seed)
    labels = sorted({str(fact.value) for fact in organization.facts.values()})
    judged = []
    for place, case in enumerate(organization.cases[:TRAINED]):
        for rater in rng.permutation(len(reliabilities))[: 2 if place % 3 == 0 else 1].tolist():
            truth = labels.index(str(organization.facts[case.id].value))
            slip = rng.random() > reliabilities[rater]
            answer = labels[(truth + int(rng.integers(1, len(labels)))) % len(labels)] if slip else labels[truth]
            said = Judgment(
                id=f"j-{place}-{rater}", case=case.id, capability=case.capability, expert=f"e{rater}", at=AT,
                verdict=Verdict.CORRECTED, answer=answer, drawn=DrawKind.UNIFORM, probability=1.0, valid_from=AT,
            )  # fmt: skip
            judged.append(JudgedCase(case, said))
    return judged


def weights_of(judged: list[JudgedCase]) -> np.ndarray | None:
    given = [
        Opinion(
            id=one.judgment.id,
            case=one.case.id,
            input=one.case.id,
            expert=one.judgment.expert,
            at=AT,
            verdict=one.judgment.verdict,
            answer=one.judgment.answer,
            drawn=one.judgment.drawn,
        )
        for one in judged
    ]
    known = estimate_reliability(given, ContractKind.LABEL)
    counted = weights(known, ((one.judgment.id, one.judgment.expert) for one in judged))
    return None if counted is None else np.array(counted)


def test_one_bad_expert_costs_less_where_weights_are_known(embedder: WordLlamaEmbedder) -> None:
    gains = []
    for seed in range(3):
        organization = simulated_organization(seed, Plan(cases=TRAINED + 400, kinds=8, ambiguous=0.0))
        judged = judged_by(organization, [0.95, 0.95, 0.95, 0.3], seed)
        counted = weights_of(judged)
        assert counted is not None
        vectors = embedder.embed([case_text(one.case) for one in judged])
        unseen = list(organization.cases[TRAINED:])
        right = []
        for some in (None, counted):
            fit = fit_label_specialist(Lessons(judged, vectors, weights=some), seed=0)
            said = fit.specialist.predict(unseen, embedder.embed([case_text(case) for case in unseen]))
            truths = [organization.facts[case.id].value for case in unseen]
            right.append(np.mean([one.value == truth for one, truth in zip(said, truths, strict=True)]))
        gains.append(right[1] - right[0])
    assert np.mean(gains) > 0.01
    assert min(gains) > 0


def test_equal_experts_and_equal_weights_change_no_byte(embedder: WordLlamaEmbedder) -> None:
    organization = simulated_organization(5, Plan(cases=TRAINED + 1, kinds=5, ambiguous=0.0))
    judged = judged_by(organization, [0.9] * 4, 5)
    assert weights_of(judged) is None
    vectors = embedder.embed([case_text(one.case) for one in judged])
    plain = fit_label_specialist(Lessons(judged, vectors), seed=0)
    same = fit_label_specialist(Lessons(judged, vectors, weights=np.ones(len(judged))), seed=0)
    assert plain.specialist.to_bytes() == same.specialist.to_bytes()
    assert plain.held_out == same.held_out


def test_held_out_scores_are_exact_with_weights(embedder: WordLlamaEmbedder) -> None:
    """What is said of a left-out group in closed form is what a fit without it says."""
    rng = np.random.default_rng(0)
    n, groups = 30, np.repeat(np.arange(10), 3)
    vectors = embedder.embed([f"word{number} other{number % 7}" for number in range(n)])
    targets = np.full((n, 3), -0.5, np.float32)
    targets[np.arange(n), rng.integers(3, size=n)] = 1
    noise = rng.uniform(1, 20, n).astype(np.float32)
    examples = Examples(vectors, csr_matrix((n, 1), dtype=np.float32), targets, groups, noise)
    setting = Setting(gamma=1.0, share=0.0, ridge=0.1)
    whole = solve(examples, setting, radial=True)
    part = solve(examples.at(np.flatnonzero(groups != 4)), setting, radial=True)
    left_out = part.weights.meaning.scores(vectors[groups == 4])
    assert whole.held_out[groups == 4] - whole.weights.bias == pytest.approx(left_out, abs=2e-3)


def test_fields_that_count_for_little_teach_little(embedder: WordLlamaEmbedder) -> None:
    organization = simulated_organization(6, Plan(cases=120, kinds=3, ambiguous=0.0, overlap=0.05))
    cases = organization.cases[:90]
    judged = []
    for place, case in enumerate(cases):
        wrong = place % 3 == 0
        value = "wrong" if wrong else str(organization.facts[case.id].value)
        said = Judgment(
            id=f"j-{place}", case=case.id, capability=case.capability, expert="bad" if wrong else "good", at=AT,
            verdict=Verdict.CORRECTED, answer={"kind": value}, drawn=DrawKind.UNIFORM, probability=1.0, valid_from=AT,
        )  # fmt: skip
        judged.append(JudgedCase(case, said))
    vectors = embedder.embed([case_text(case) for case in cases])
    counted = np.array([0.05 if one.judgment.expert == "bad" else 1.0 for one in judged])

    def said_wrong(some: np.ndarray | None) -> int:
        fit = fit_fields_specialist(judged, vectors, seed=0, weights=some)
        return sum(one.value == {"kind": "wrong"} for one in fit.held_out)

    assert said_wrong(counted) < said_wrong(None)
    plain, same = (fit_fields_specialist(judged, vectors, seed=0, weights=some) for some in (None, np.ones(90)))
    assert plain.held_out == same.held_out
