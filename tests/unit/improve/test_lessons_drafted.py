"""Lessons out of corrections: what is put together, what is said of it, and what may never be said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from tokencapital.core.case import Case, Contract, ContractKind, Message, Value
from tokencapital.core.errors import ModelUnavailable
from tokencapital.core.judgment import DrawKind, JudgedCase, Judgment, Verdict
from tokencapital.core.lesson import Lesson, Wording
from tokencapital.core.policy import Lane, Policy
from tokencapital.core.quantity import Usage
from tokencapital.improve.corrections import About, Answered, Kind, findings, kinds_of_work, value_difference
from tokencapital.improve.patterns import kept_by, pattern, telling_words
from tokencapital.improve.playbook import RECIPE, clusters, drafts, propose_lessons, says_the_same, worded_by
from tokencapital.improve.wording import Sources, complaint, mentions, reason_as_lesson
from tokencapital.models.wordllama import WordLlamaEmbedder
from tokencapital.serve.ports import Live
from tokencapital.testing.models import Reply, ScriptedModel

NOW = datetime(2026, 1, 5, tzinfo=UTC)
WORDS = WordLlamaEmbedder()
NATO = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel")


def answered(
    number: int, said: str, given: Value, right: Value, *, reason: str | None = None, tool: str = ""
) -> Answered:
    case = Case(
        id=f"c{number}",
        capability="triage",
        group=f"g{number}",
        at=NOW,
        messages=(Message("user", said),),
        context={"tool": tool} if tool else {},
    )
    judgment = Judgment(
        id=f"j{number}",
        case=case.id,
        capability="triage",
        expert=f"e{number % 3}",
        at=NOW,
        verdict=Verdict.RIGHT if given == right else Verdict.CORRECTED,
        answer=right,
        drawn=DrawKind.UNIFORM,
        probability=0.1,
        valid_from=NOW,
        reason=reason,
    )
    return Answered(JudgedCase(case, judgment), given)


def texts(cases: Sequence[Answered]) -> list[str | None]:
    return [draft.text for draft in drafts(cases, WORDS)]


def lost(number: int, reason: str | None = None, word: str = "") -> Answered:
    return answered(number, f"cannot find it anywhere {word or NATO[number % 8]}", "stolen", "lost", reason=reason)


@pytest.mark.parametrize(
    ("given", "right", "about"),
    [
        ("MARK", "Mark", About(kind=Kind.LETTERS, field="f", right="title")),
        ("1pm", "1 pm", About(kind=Kind.SPACES, field="f", right="apart")),
        ("May 3rd", "3rd", About(kind=Kind.PART, field="f", right="word")),
        ("about 12 people", "12", About(kind=Kind.PART, field="f", right="number")),
        ("Old Town", "Old Town Inn", About(kind=Kind.WHOLE, field="f")),
        ("tomorrow night", "the blue hall", About(kind=Kind.COPY, field="f")),
        ("Book", "Check", About(kind=Kind.INSTEAD, field="f", given="Book", right="Check")),
        (3, 4, About(kind=Kind.INSTEAD, field="f", given="3", right="4")),
    ],
)
def test_a_field_is_corrected_in_a_way_that_can_be_named(given: Value, right: Value, about: About) -> None:
    assert value_difference("f", given, right, "please, in the blue hall") == about


def test_a_case_without_an_answer_of_the_machine_teaches_by_its_reason_alone() -> None:
    assert findings([answered(1, "x", None, "lost"), answered(2, "x", None, {"day": "Monday"})]) == []
    [found] = findings([answered(1, "x", None, "lost", reason="A card that cannot be found is lost.")])
    assert found.about == About(kind=Kind.ANSWER, right="lost")


def test_the_kind_of_work_is_told_by_names_in_the_context() -> None:
    cases = [answered(n, "x", "a", "b", tool=("book", "ask")[n % 2]) for n in range(6)]
    assert kinds_of_work(cases) == ("tool",)
    numbered = [answered(n, "x", "a", "b", tool=f"room {n}") for n in range(6)]
    assert kinds_of_work(numbered) == ()
    assert kinds_of_work([answered(n, "x", "a", "b", tool="book") for n in range(6)]) == ()


def test_a_lesson_takes_three_entities_or_a_clear_reason() -> None:
    common = [answered(n, f"it vanished {NATO[n]}", "stolen", "lost") for n in range(2)]
    assert texts(common) == []
    [text] = texts(
        [*common, answered(2, "it vanished quite", "stolen", "lost"), answered(9, "robbed", "stolen", "stolen")]
    )
    assert text == "What speaks of *vanished* is `lost`, not `stolen`."
    assert texts([lost(1, reason="Whatever cannot be found counts as lost.")]) == [
        "Whatever cannot be found counts as lost."
    ]
    assert texts([lost(1, reason="no")]) == []


def test_reasons_that_differ_are_lessons_of_their_own_and_silence_joins_the_only_one() -> None:
    first, second = "Nothing was taken, so the card is lost.", "Insurance pays for lost cards abroad only."
    cases = [lost(1, first), lost(2, first), lost(3, second), lost(4)]
    parts = clusters(findings(cases), WORDS)
    assert sorted(len(one.found) for one in parts) == [1, 1, 2]
    [joined] = clusters(findings([lost(1, first), lost(4)]), WORDS)
    assert (joined.entities, joined.people, joined.judgments) == (2, 1, ("j1", "j4"))


def test_a_pattern_that_many_judged_cases_break_is_no_lesson() -> None:
    give = [answered(n, "x", {"day": "Monday"}, {"day": "Monday", "hour": "noon"}) for n in range(4)]
    [text] = texts(give)
    assert text == "Give `hour` too, as `noon`."
    against = [answered(n, "x", {"day": "Monday"}, {"day": "Monday"}) for n in range(10, 14)]
    assert kept_by(About(kind=Kind.MISSING, field="hour"), [*give, *against]) == 0.5
    assert texts([*give, *against]) == []


def test_a_pattern_names_its_kind_of_work_and_no_value_with_a_number() -> None:
    cases = [answered(n, f"at noon {NATO[n]}", {"d": "x"}, {"d": "x", "room": "12"}, tool="book") for n in range(3)]
    cases += [answered(n, "x", {"d": "x"}, {"d": "x"}, tool="ask") for n in range(5, 9)]
    assert texts(cases) == ["Where `tool` is `book`, give `room` too."]


def test_words_of_few_customers_and_names_tell_nothing() -> None:
    found = findings([answered(n, f"Pittsburgh vanished {NATO[n]}", "stolen", "lost") for n in range(3)])
    assert telling_words(found, []) == ["vanished"]
    assert pattern(found[0].about, found, [one.case for one in found]) is not None


SOURCES = Sources.of(
    findings(
        [
            answered(
                1,
                "Hello, I am called Angela and my account 4711 is at ann@example.com since we moved to Berlin.",
                "stolen",
                "lost_card",
            )
        ]
    )
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("A lost card is not a stolen one.", None),
        ("Answer `lost_card` where nothing was taken.", None),
        ("Too short", "fewer than"),
        ("It is lost. It is not stolen.", "one sentence"),
        ("The card of Angela is always lost.", "names somebody"),
        ("Cards in Berlin are lost_card and not stolen.", "names somebody"),
        ("The account 4711 has a lost card.", "names somebody"),
        ("Write to ann@example.com for a lost card.", "address"),
        ("See https://example.com for a lost card.", "address"),
        ("My account 4711 is at the bank of lost cards.", "names somebody"),
        ("They say I am called Angela and my card is lost.", "repeats what came in"),
    ],
)
def test_a_lesson_names_no_customer_and_repeats_none(text: str, why: str | None) -> None:
    found = complaint(text, SOURCES)
    assert (found is None) if why is None else (found is not None and why in found)


def test_a_name_that_many_entities_share_is_no_secret() -> None:
    cases = [answered(n, f"The office in Berlin is closed {NATO[n]}", "stolen", "lost") for n in range(3)]
    assert complaint("Requests from Berlin are always lost cards.", Sources.of(findings(cases))) is None
    assert complaint("Requests from Berlin are always lost cards.", Sources.of(findings(cases[:2]))) is not None


def test_a_reason_is_cleaned_before_it_is_a_lesson() -> None:
    found = findings([answered(1, "my purse fell into the river", "stolen", "lost_card")])
    sources = Sources.of(found)
    said = 'See above. The customer said "my purse fell into the river", which is an accident and no theft.'
    assert reason_as_lesson(said, found, sources) == (
        "`lost_card`, not `stolen`: the customer said, which is an accident and no theft."
    )
    assert reason_as_lesson("An accident is a lost card and no theft.", found, sources) == (
        "An accident is a lost card and no theft."
    )
    assert reason_as_lesson("They wrote that my purse fell into the river today.", found, sources) is None
    assert reason_as_lesson("wrong", found, sources) is None


def test_a_lesson_says_which_answer_is_meant() -> None:
    found = findings([answered(1, "x", "stolen", "lost_card")])
    assert mentions("It is a lost card.", found)
    assert mentions("It is `lost_card`.", found)
    assert not mentions("It is a card.", found)


def test_a_reason_for_a_text_stands_by_itself() -> None:
    found = findings([answered(1, "where is it", "Bye.", "Your order is on its way, we are sorry.")])
    said = reason_as_lesson("Say sorry whenever an order is late.", found, Sources.of(found))
    assert said == "Say sorry whenever an order is late."


async def test_a_generalists_words_are_taken_only_where_they_pass_the_same_checks() -> None:
    reason = "A card that cannot be found is a lost card and was not stolen."
    cases = [answered(1, "I am Angela and it is gone", "stolen", "lost", reason=reason)]
    drafted = drafts(cases, WORDS)
    good = "A card that the customer cannot find is lost, not stolen."
    for said, expected, wording in (
        (good, good, Wording.GENERALIST),
        ("The card of Angela is lost.", reason, Wording.PERSON),
        ("A card that cannot be found is somewhere.", reason, Wording.PERSON),
        ("Bananas that were lost grow on warm islands.", reason, Wording.PERSON),
        ("It is lost. It is not stolen.", reason, Wording.PERSON),
    ):
        model = ScriptedModel([json.dumps({"lesson": said})])
        [worded], usage = await worded_by(model, drafted, WORDS, seed=0)
        assert (worded.text, worded.wording) == (expected, wording)
        assert usage == Usage(input=10, output=2)
        assert model.requests[0].schema is not None


@pytest.mark.parametrize("reply", [Reply("no JSON"), Reply("{}"), Reply(fault=ModelUnavailable("gone"))])
async def test_a_generalist_that_fails_leaves_the_persons_words(reply: Reply) -> None:
    drafted = drafts([lost(1, reason="Whatever cannot be found counts as lost.")], WORDS)
    assert (await worded_by(ScriptedModel([reply]), drafted, WORDS, seed=0))[0] == drafted


def test_what_says_the_same_is_found_among_the_earlier_ones() -> None:
    said = ["A lost card is not a stolen one.", "Leave out the day.", "A lost card is not a stolen card."]
    assert says_the_same(said, WORDS) == [None, None, 0]
    assert says_the_same([], WORDS) == []


def test_approved_lessons_are_a_change_of_the_live_policy() -> None:
    live = Live(Policy(capability="triage", contract=Contract(kind=ContractKind.LABEL), recipes=("exemplars/1",)))
    lessons = [
        Lesson(id=name, capability="triage", text="x", at=NOW, by="m", judgments=(f"j-{name}", "j")) for name in "ab"
    ]
    candidate = propose_lessons(live, lessons, (), frozenset({"g1"}))
    assert candidate is not None
    assert candidate.policy.lessons == ("a", "b")
    assert candidate.policy.recipes == ("exemplars/1", RECIPE)
    assert (candidate.lane, candidate.groups, candidate.judgments) == (Lane.CHANGE, frozenset({"g1"}), 3)
    assert propose_lessons(live, lessons, ("b", "a"), frozenset()) is None
    assert propose_lessons(live, [], (), frozenset()) is None
