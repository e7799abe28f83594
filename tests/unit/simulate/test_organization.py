from __future__ import annotations

import time
from collections import Counter, defaultdict
from datetime import timedelta
from itertools import combinations, pairwise

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from tokencapital.core.case import Case
from tokencapital.core.errors import InputError
from tokencapital.simulate.base import Organization
from tokencapital.simulate.organization import START, Plan, made_up_word, simulated_organization


def texts(organization: Organization) -> list[str]:
    return [case.messages[0].content for case in organization.cases]


def labels(organization: Organization) -> list[object]:
    return [organization.truth(case, case.at) for case in organization.cases]


def linear_accuracy(organization: Organization, learned_from: int) -> float:
    words = TfidfVectorizer().fit_transform(texts(organization))
    kinds = np.array(labels(organization))
    model = LogisticRegression(C=10, max_iter=200).fit(words[:learned_from], kinds[:learned_from])
    return float((model.predict(words[learned_from:]) == kinds[learned_from:]).mean())


def test_the_same_seed_repeats_everything_and_another_does_not() -> None:
    plan = Plan(cases=300, ruled=0.3, drift=0.2, twins=3, telltales=3)
    assert simulated_organization(3, plan) == simulated_organization(3, plan)
    assert texts(simulated_organization(3, plan)) != texts(simulated_organization(4, plan))


def test_ten_thousand_cases_take_about_a_second() -> None:
    started = time.process_time()
    organization = simulated_organization(1, Plan(cases=10_000, ruled=0.2, drift=0.2, twins=20, telltales=20))
    assert len(organization.cases) == 10_000
    assert time.process_time() - started < 3.0


def test_made_up_words_do_not_repeat() -> None:
    assert len({made_up_word(number) for number in range(50_000)}) == 50_000


def test_cases_are_in_order_in_time_and_every_kind_occurs() -> None:
    organization = simulated_organization(2, Plan(cases=500, kinds=20, days=10.0))
    times = [case.at for case in organization.cases]
    assert times == sorted(times)
    assert times[-1] - times[0] < timedelta(days=10)
    assert set(labels(organization)) == set(organization.capabilities[0].contract.labels)


def test_a_linear_model_gets_most_right_and_fewer_with_more_overlap() -> None:
    usual, hard = (linear_accuracy(simulated_organization(1, Plan(overlap=o)), 1500) for o in (0.4, 0.6))
    assert 0.84 < usual < 0.95
    assert hard < usual - 0.1


def test_difficulty_is_shared_within_an_entity() -> None:
    organization = simulated_organization(5, Plan(cases=4000, cases_per_group=8, spread=0.25, ambiguous=0.0))
    common = {made_up_word(number) for number in range(400)}
    shares: defaultdict[str, list[float]] = defaultdict(list)
    for case in organization.cases:
        words = case.messages[0].content.split()
        shares[case.group].append(sum(word in common for word in words) / len(words))
    groups = [group for group in shares.values() if len(group) > 1]
    within = float(np.mean([np.var(group, ddof=1) for group in groups]))
    in_all = float(np.var([share for group in groups for share in group], ddof=1))
    assert within < 0.75 * in_all


def test_entities_have_several_cases() -> None:
    organization = simulated_organization(5, Plan(cases=4000, cases_per_group=4))
    sizes = Counter(case.group for case in organization.cases)
    assert np.mean(list(sizes.values())) == pytest.approx(4.0, rel=0.1)


def wrong_share(organization: Organization, expert: int, *, ambiguous: bool) -> float:
    person = organization.experts[expert]
    wrong = [
        answer != organization.truth(case, case.at)
        for case in organization.cases
        if (organization.facts[case.id].plausible is not None) is ambiguous
        and not person.is_stranger_to(organization.truth(case, case.at))
        and (answer := organization.opinion(case, person, case.at).answer) is not None
    ]
    return float(np.mean(wrong))


def test_experts_err_on_clear_cases_as_often_as_their_reliability_says() -> None:
    organization = simulated_organization(6, Plan(cases=4000))
    for index, expert in enumerate(organization.experts):
        assert wrong_share(organization, index, ambiguous=False) == pytest.approx(1 - expert.reliability, abs=0.02)
        assert wrong_share(organization, index, ambiguous=True) > 0.2


def test_experts_disagree_more_where_cases_are_ambiguous() -> None:
    organization = simulated_organization(6)

    def share(cases: list[Case]) -> float:
        pairs = [
            pair
            for case in cases
            for pair in combinations([organization.opinion(case, e, case.at).answer for e in organization.experts], 2)
            if None not in pair
        ]
        return float(np.mean([left != right for left, right in pairs]))

    ambiguous = [case for case in organization.cases if organization.facts[case.id].plausible is not None]
    clear = [case for case in organization.cases if organization.facts[case.id].plausible is None]
    assert share(ambiguous) > 2 * share(clear)


def test_a_rule_change_moves_one_topic_to_the_second_kind() -> None:
    organization = simulated_organization(8, Plan(cases=1000, ruled=0.4))
    change = organization.changes[0]
    touched = [case for case in organization.cases if organization.facts[case.id].changed is not None]
    assert {organization.truth(case, change.at - timedelta(seconds=1)) for case in touched} == {"kind_00"}
    assert {organization.truth(case, change.at) for case in touched} == {"kind_01"}
    assert set(change.cases) == {case.id for case in touched if case.at < change.at}
    assert 0 < len(change.cases) < len(touched)
    assert simulated_organization(8, Plan(cases=1000)).changes == ()


def test_drift_changes_the_words_from_the_middle_on() -> None:
    still, drifting = (simulated_organization(9, Plan(drift=drift)) for drift in (0.0, 0.3))
    middle = next(i for i, case in enumerate(still.cases) if case.at >= START + timedelta(days=21))
    assert texts(drifting)[:middle] == texts(still)[:middle]
    known = {word for text in texts(still) for word in text.split()}
    late = [word for text in texts(drifting)[middle:] for word in text.split()]
    assert 0.10 < sum(word not in known for word in late) / len(late) < 0.30


def test_twins_are_the_same_words_of_two_entities_and_telltales_carry_their_label() -> None:
    plan = Plan(cases=1000, cases_per_group=250, ruled=0.4, twins=25, telltales=15)
    organization = simulated_organization(10, plan)
    by_id = {case.id: case for case in organization.cases}
    assert len(organization.leaks.twins) == 25
    assert len(organization.leaks.telltales) == 15
    for first, second in organization.leaks.twins:
        assert by_id[first].messages == by_id[second].messages
        assert by_id[first].group != by_id[second].group
        assert organization.facts[first] == organization.facts[second]
    for told in organization.leaks.telltales:
        assert organization.facts[told].value in by_id[told].messages[0].content.split()
    clean = [text for text in texts(organization) if "kind_" in text]
    assert len(clean) == 15


def test_planted_leaks_leave_the_rest_as_it_was() -> None:
    plain, planted = (simulated_organization(11, Plan(cases=400, twins=n, telltales=n)) for n in (0, 5))
    changed = sum(left != right for left, right in zip(texts(plain), texts(planted), strict=True))
    assert changed == 10
    assert all(left.at <= right.at for left, right in pairwise(planted.cases))


@pytest.mark.parametrize("plan", [{"kinds": 2}, {"cases": 5, "kinds": 12}])
def test_a_plan_that_cannot_be_simulated_is_refused(plan: dict[str, int]) -> None:
    with pytest.raises(InputError, match="cannot be simulated"):
        Plan(**plan)
