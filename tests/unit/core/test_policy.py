"""A policy is its content: the same fields, the same hash, whoever rents out the generalist."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tokencapital.core.case import Contract, ContractKind
from tokencapital.core.policy import Calibration, Policy, StageRule, Threshold

POLICY = Policy(capability="triage", contract=Contract(kind=ContractKind.LABEL, labels=("a", "b")))
THRESHOLD = Threshold(score=0.5, tolerance=0.05, delta=0.1, n=90, errors=1, calibrated_on=300)


def test_equal_content_has_an_equal_hash_also_after_storing_it() -> None:
    again = msgspec.json.decode(msgspec.json.encode(POLICY), type=Policy)
    assert again == POLICY
    assert again.hash == POLICY.hash
    assert len(POLICY.hash) == 16
    assert set(POLICY.hash) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    "change",
    [
        {"capability": "other"},
        {"contract": Contract(kind=ContractKind.LABEL, labels=("b", "a"))},
        {"contract": Contract(kind=ContractKind.TEXT)},
        {"instructions": "Be brief."},
        {"lessons": ("Phones go to procurement.",)},
        {"memory": 1},
        {"exemplars": 4},
        {"identical": False},
        {"recall": StageRule(threshold=THRESHOLD)},
        {"specialist": "0" * 64},
        {"specialist_rule": StageRule(calibration=Calibration((0.0, 1.0), (0.1, 0.9)))},
        {"generalist": False},
        {"generalist_rule": StageRule(threshold=THRESHOLD)},
        {"explore": 0.0},
        {"recipes": ("linear/2",)},
        {"passages": 3},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_field_counts(change: dict[str, Any]) -> None:
    changed = msgspec.structs.replace(POLICY, **change)
    assert changed != POLICY
    assert changed.hash != POLICY.hash


def test_every_field_was_tried_above() -> None:
    tried = {
        name
        for mark in test_every_field_counts.pytestmark
        for change in mark.args[1]
        for name in change  # type: ignore[attr-defined]
    }
    assert tried == set(Policy.__struct_fields__)


def test_the_generalist_has_no_place_in_a_policy() -> None:
    # `generalist` says whether one is asked, not which.
    texts = [field.name for field in msgspec.structs.fields(Policy) if field.type in (str, str | None)]
    assert texts == ["capability", "instructions", "specialist"]
    assert next(field.type for field in msgspec.structs.fields(Policy) if field.name == "generalist") is bool


def test_the_order_of_a_schemas_keys_is_not_content() -> None:
    kind = ContractKind.FIELDS
    one = Contract(kind=kind, schema={"type": "object", "properties": {"a": {}, "b": {}}})
    two = Contract(kind=kind, schema={"properties": {"b": {}, "a": {}}, "type": "object"})
    hashes = {msgspec.structs.replace(POLICY, contract=contract).hash for contract in (one, two)}
    assert len(hashes) == 1
