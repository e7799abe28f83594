from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from itertools import combinations

import pytest

from tokencapital.core.case import Case
from tokencapital.core.errors import MalformedLine
from tokencapital.core.judgment import Verdict
from tokencapital.core.split import normalize
from tokencapital.simulate.base import Expert, Organization
from tokencapital.simulate.service_desk import (
    CHANGE_AT,
    MEANINGS,
    MISTAKEN_FOR,
    REPEATED_SHARE,
    RULED_TO,
    SHORT_WORDS,
    START,
    TICKET,
    TRIAGE,
    Written,
    parse_messages,
    service_desk,
    written_messages,
)

DESK = service_desk(7)
WRITTEN = written_messages()


def of(capability: str, organization: Organization = DESK) -> list[Case]:
    return [case for case in organization.cases if case.capability == capability]


def text_of(case: Case) -> str:
    return case.messages[0].content


def disagreement(cases: list[Case], experts: tuple[Expert, ...] = DESK.experts) -> float:
    answers = [[DESK.opinion(case, expert, case.at).answer for expert in experts] for case in cases]
    pairs = [pair for given in answers for pair in combinations([a for a in given if a is not None], 2)]
    return sum(left != right for left, right in pairs) / len(pairs)


def test_the_same_seed_repeats_everything_and_another_does_not() -> None:
    assert service_desk(7) == DESK
    assert [text_of(case) for case in service_desk(8).cases] != [text_of(case) for case in DESK.cases]


def test_written_messages_are_distinct_and_not_variations_of_each_other() -> None:
    words = [frozenset(re.findall(r"\w+", normalize(written.text))) for written in WRITTEN]
    alike = [
        (WRITTEN[i].text, WRITTEN[j].text)
        for (i, left), (j, right) in combinations(enumerate(words), 2)
        if len(left & right) > 0.8 * len(left | right)
    ]
    assert len(WRITTEN) >= 480
    assert alike == []


def test_kinds_are_declared_and_unevenly_frequent() -> None:
    counts = Counter(written.kind for written in WRITTEN)
    assert set(counts) == set(MEANINGS) == set(MISTAKEN_FOR)
    assert 14 <= len(counts) <= 16
    assert min(counts.values()) >= 15
    assert max(counts.values()) >= 3 * min(counts.values())


def test_about_one_message_in_eight_is_ambiguous_between_declared_kinds() -> None:
    seconds = [(written.kind, written.second) for written in WRITTEN if written.second]
    assert all(kind != second and second in MEANINGS for kind, second in seconds)
    assert 0.10 < len(seconds) / len(WRITTEN) < 0.14


def test_capabilities_declare_every_label_and_urgency_that_is_right_at_some_time() -> None:
    contracts = {capability.name: capability.contract for capability in DESK.capabilities}
    labels = {DESK.truth(case, at) for case in of(TRIAGE) for at in (START, CHANGE_AT)}
    schema = contracts[TICKET].schema
    assert labels == set(contracts[TRIAGE].labels)
    assert schema is not None
    objects = [value for case in of(TICKET) if isinstance(value := DESK.facts[case.id].value, dict)]
    assert len(objects) == len(of(TICKET))
    assert {fields["urgency"] for fields in objects} == set(schema["properties"]["urgency"]["enum"])
    assert {name for fields in objects for name in fields} == set(schema["properties"])


def test_copied_fields_stand_in_their_message_and_none_is_in_every_ticket_but_urgency() -> None:
    tickets = [written for written in WRITTEN if written.fields is not None]
    assert len(tickets) >= 150
    for written in tickets:
        for name, value in (written.fields or {}).items():
            assert name == "urgency" or value in written.text, written.text
    shares = Counter(name for written in tickets for name in written.fields or {})
    assert shares["urgency"] == len(tickets)
    assert all(20 < shares[name] < len(tickets) for name in ("device", "location", "due"))


def test_all_written_messages_come_in_and_some_come_again() -> None:
    texts = Counter(text_of(case) for case in of(TRIAGE))
    repeats = sum(count - 1 for count in texts.values())
    assert set(texts) == {written.text for written in WRITTEN}
    assert repeats / len(of(TRIAGE)) == pytest.approx(REPEATED_SHARE, abs=0.005)
    assert all(len(text.split()) <= SHORT_WORDS for text, count in texts.items() if count > 1)


def test_cases_come_in_order_of_time_within_six_weeks_of_working_hours() -> None:
    times = [case.at for case in DESK.cases]
    assert times == sorted(times)
    assert times[0] >= START
    assert START + timedelta(weeks=5) < times[-1] < START + timedelta(weeks=6)
    assert all(at.weekday() < 5 and 8 <= at.hour <= 18 for at in times)


def test_ids_and_keys_are_unique_and_employees_write_several_times() -> None:
    assert len({case.id for case in DESK.cases}) == len({case.key for case in DESK.cases}) == len(DESK.cases)
    assert set(DESK.facts) == {case.id for case in DESK.cases}
    per_employee = Counter(case.group for case in of(TRIAGE))
    assert 100 <= len(per_employee) <= 400
    assert sum(count > 1 for count in per_employee.values()) > 0.7 * len(per_employee)


def test_experts_disagree_where_a_message_is_ambiguous() -> None:
    ambiguous = [case for case in of(TRIAGE) if DESK.facts[case.id].plausible is not None]
    clear = [case for case in of(TRIAGE) if DESK.facts[case.id].plausible is None]
    assert disagreement(ambiguous) > 0.35
    assert disagreement(clear) < 0.10


def test_most_wrong_judgments_come_from_ambiguity_and_not_from_slips() -> None:
    wrong = [
        DESK.facts[case.id].plausible is not None
        for case in of(TRIAGE)
        for expert in DESK.experts
        if (answer := DESK.opinion(case, expert, case.at).answer) is not None and answer != DESK.truth(case, case.at)
    ]
    assert sum(wrong) > 0.5 * len(wrong)


def test_a_leaning_shows_in_ambiguous_cases_only() -> None:
    cautious = DESK.experts[0]
    assert "security_incident" in cautious.leanings
    doubtful = [case for case in of(TRIAGE) if DESK.facts[case.id].plausible == "security_incident"]
    answers = [
        [DESK.opinion(case, expert, case.at).answer == "security_incident" for case in doubtful]
        for expert in DESK.experts[:2]
    ]
    assert sum(answers[0]) > 0.6 * len(doubtful)
    assert sum(answers[1]) < 0.4 * len(doubtful)


def test_the_rule_change_flips_the_truth_at_its_time_and_names_the_earlier_cases() -> None:
    change = DESK.changes[0]
    touched = [case for case in of(TRIAGE) if DESK.facts[case.id].changed is not None]
    before = CHANGE_AT - timedelta(seconds=1)
    assert {DESK.truth(case, before) for case in touched} == {"phone_mobile"}
    assert {DESK.truth(case, CHANGE_AT) for case in touched} == {RULED_TO}
    assert change.at == CHANGE_AT
    assert set(change.cases) == {case.id for case in touched if case.at < CHANGE_AT}
    assert len(change.cases) >= 10
    assert len(touched) - len(change.cases) >= 10


def test_short_messages_that_the_rule_touches_come_before_and_after_it_changes() -> None:
    short = [written.text for written in WRITTEN if written.ruled and len(written.text.split()) <= SHORT_WORDS]
    assert len(short) >= 5
    for text in short:
        sides = {case.at < CHANGE_AT for case in of(TRIAGE) if text_of(case) == text}
        assert sides == {True, False}


def test_experts_follow_the_changed_rule_and_say_so() -> None:
    case = next(case for case in of(TRIAGE) if DESK.facts[case.id].changed is not None)
    opinions = [DESK.opinion(case, expert, CHANGE_AT) for expert in DESK.experts]
    followed = [opinion for opinion in opinions if opinion.answer == RULED_TO]
    assert len(followed) >= 2
    assert all(opinion.reason == DESK.changes[0].reason for opinion in followed)


def test_a_slip_in_a_ticket_is_another_object_and_the_verdict_corrects() -> None:
    case = of(TICKET)[0]
    fact = DESK.facts[case.id]
    assert fact.value not in fact.mistakes
    opinion = DESK.opinion(case, DESK.experts[0], case.at)
    assert opinion.verdict_on(opinion.answer) is Verdict.RIGHT
    assert opinion.verdict_on({"urgency": "never"}) is Verdict.CORRECTED
    assert opinion.verdict_on(None) is Verdict.CORRECTED


def test_the_layout_is_read_as_its_head_describes_it() -> None:
    text = (
        "# note\n\n== printer\n?hardware no toner :: device=toner; urgency=high/normal\n== phone_mobile\n!new phone\n"
    )
    assert list(parse_messages(text)) == [
        Written(
            kind="printer",
            text="no toner",
            second="hardware",
            fields={"device": "toner", "urgency": "high"},
            other_fields={"device": "toner", "urgency": "normal"},
        ),
        Written(kind="phone_mobile", text="new phone", ruled=True),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "a message under no kind",
        "== gardening\nthe hedge is too high",
        "== printer\n?gardening the hedge",
        "== printer\nno toner :: toner",
        "== printer\nno toner :: urgency=soon",
        "== printer\nno toner :: device=drum",
    ],
)
def test_a_line_outside_the_layout_is_named_by_its_number(text: str) -> None:
    with pytest.raises(MalformedLine, match=f"line {text.count(chr(10)) + 1}"):
        list(parse_messages(text))
