"""How right an answer is, per contract. A missing answer is wrong; a failing scorer raises."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from tokencapital.core.case import ContractKind, Value
from tokencapital.core.errors import ScorerError


class Score(Struct, frozen=True):
    """Whether the whole answer is right; for objects also how many of the expected fields are.

    `fields` 0: the contract has no fields, or none was expected.
    """

    right: bool
    fields: int = 0
    fields_right: int = 0

    @property
    def share(self) -> float:
        """How right the answer is, in [0, 1]: the share of expected fields, or 0 or 1 where there are none."""
        return self.fields_right / self.fields if self.fields else float(self.right)


def score(kind: ContractKind, expected: Value, given: Value) -> Score:
    """The given answer held against what people decided. Raises ScorerError for a kind without scorer,
    or an expected answer that does not fit the contract."""
    match kind:
        case ContractKind.FIELDS:
            return _fields(expected, given)
        case ContractKind.LABEL | ContractKind.TEXT:
            if not isinstance(expected, str):
                raise ScorerError(f"a {kind} is expected, not {type(expected).__name__}")
            return Score(given == expected)
        case _:
            raise ScorerError(f"no scorer for the contract `{kind}`")


def _fields(expected: Value, given: Value) -> Score:
    if not isinstance(expected, dict):
        raise ScorerError(f"an object is expected, not {type(expected).__name__}")
    found: Mapping[str, object] = given if isinstance(given, dict) else {}
    right = sum(name in found and found[name] == value for name, value in expected.items())
    return Score(right=isinstance(given, dict) and given == expected, fields=len(expected), fields_right=right)
