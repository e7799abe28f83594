"""What a generalist is shown, and what its answer means."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tokencapital.core.case import Case, Contract, ContractKind, Message, Value
from tokencapital.core.errors import ContractViolation, ModelGarbage
from tokencapital.core.judgment import DrawKind, JudgedCase, Judgment, Verdict
from tokencapital.core.policy import Policy
from tokencapital.core.quantity import Usage
from tokencapital.models.base import Completion
from tokencapital.serve.prompt import Shown, generalist_request, learned_schema, read_answer

AT = datetime(2026, 1, 1, tzinfo=UTC)
LABEL = Contract(kind=ContractKind.LABEL)
FIELDS = Contract(kind=ContractKind.FIELDS)


def case(*said: str, **context: str) -> Case:
    roles = ("user", "assistant")
    messages = tuple(Message(roles[place % 2], text) for place, text in enumerate(said))
    return Case(id="c", capability="x", group="g", at=AT, messages=messages, context=context)


def judged(answer: Value, *said: str) -> JudgedCase:
    judgment = Judgment(
        id="j",
        case="c",
        capability="x",
        expert="e",
        at=AT,
        verdict=Verdict.RIGHT,
        answer=answer,
        drawn=DrawKind.UNIFORM,
        probability=0.5,
        valid_from=AT,
    )
    return JudgedCase(case(*said), judgment)


def completion(text: str) -> Completion:
    return Completion(text=text, usage=Usage(), model="m", elapsed_s=0.0)


def test_the_nearest_exemplar_stands_last_before_the_case() -> None:
    policy = Policy(capability="x", contract=LABEL, instructions="Sort.", lessons=("lsn_1", "lsn_2"))
    shown = Shown(
        exemplars=[judged("near", "almost this"), judged("far", "something else")],
        labels=["near", "far", "other", "near"],
        lessons={"lsn_2": "Lost is not stolen."},
    )
    request = generalist_request(policy, case("this"), shown, seed=3)
    assert [(message.role, message.content) for message in request.messages] == [
        ("system", "Sort.\n\n- Lost is not stolen."),
        ("user", "something else"),
        ("assistant", "far"),
        ("user", "almost this"),
        ("assistant", "near"),
        ("user", "this"),
    ]
    assert request.labels == ("near", "far", "other")
    assert request.seed == 3


def test_a_conversation_is_one_message_with_its_context_and_its_end_is_kept() -> None:
    policy = Policy(capability="x", contract=LABEL)
    long = case("x" * 9_000, "And then?", "It broke.", tool="hotel")
    request = generalist_request(policy, long, Shown(labels=["a"]), seed=0)
    shown = request.messages[-1].content
    assert shown.startswith("tool: hotel\n")
    assert shown.endswith("assistant: And then?\nuser: It broke.")
    assert len(shown) < 5_000


def test_fields_are_bound_to_the_declared_schema_else_to_the_one_learned() -> None:
    declared = {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}
    shown = Shown(exemplars=[judged({"day": "Monday"}, "on monday")])
    with_schema = Policy(capability="x", contract=Contract(kind=ContractKind.FIELDS, schema=declared))
    assert generalist_request(with_schema, case("?"), shown, 0).schema == declared
    request = generalist_request(Policy(capability="x", contract=FIELDS), case("?"), shown, 0)
    assert request.schema == learned_schema([{"day": "Monday"}])
    assert request.messages[-2].content == '{"day":"Monday"}'


def test_a_learned_schema_knows_every_field_and_requires_those_that_all_have() -> None:
    learned = learned_schema([{"day": "Monday", "guests": 2}, {"day": "Friday", "name": "Ann"}, "stray", None])
    assert list(learned["properties"]) == ["day", "guests", "name"]
    assert learned["required"] == ["day"]
    assert learned["properties"]["guests"] == {}
    assert learned_schema([]) == {"type": "object"}


def test_a_label_that_nobody_declared_is_read_as_it_is() -> None:
    assert read_answer(LABEL, completion(" new kind \n")) == "new kind"


def test_an_object_is_read_and_held_to_its_schema() -> None:
    strict = {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}
    contract = Contract(kind=ContractKind.FIELDS, schema=strict)
    assert read_answer(contract, completion('{"a": 1}')) == {"a": 1}
    with pytest.raises(ContractViolation, match="lacks a"):
        read_answer(contract, completion("{}"))
    with pytest.raises(ContractViolation, match="fields that the contract lacks: b"):
        read_answer(contract, completion('{"a": 1, "b": 2}'))


@pytest.mark.parametrize(
    ("text", "error"), [("", ContractViolation), ("[1]", ContractViolation), ("not json", ModelGarbage)]
)
def test_what_is_no_object_is_an_error(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_answer(FIELDS, completion(text))
