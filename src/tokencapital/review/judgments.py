"""Takes down what an expert said: checked against the contract, stored, and its minutes booked by the caller."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from tokencapital.core.case import Contract, ContractKind, Value
from tokencapital.core.errors import ContractViolation
from tokencapital.core.judgment import Judgment
from tokencapital.store.database import Store
from tokencapital.store.judgments import append_judgments


class Accepted(Struct, frozen=True):
    """A judgment as it was stored. `new_label` is an answer outside the known labels, to be confirmed."""

    judgment: Judgment
    new_label: str | None = None


def accept(store: Store, contract: Contract, known: Sequence[str], judgments: Sequence[Judgment]) -> list[Accepted]:
    """The judgments are stored and answer from the next request on.

    A label that nobody knew is no error: it is accepted and pointed out. Raises ContractViolation,
    before anything is stored, where an answer does not have the shape of the contract.
    """
    for judgment in judgments:
        check_answer(contract, judgment)
    labels = set(known) | set(contract.labels)
    return [
        Accepted(stored, _new_label(contract, labels, stored.answer)) for stored in append_judgments(store, judgments)
    ]


def check_answer(contract: Contract, judgment: Judgment) -> None:
    """Returns where the judgment's answer fits the contract. Raises ContractViolation where it does not."""
    where = f"judgment {judgment.id}"
    if not judgment.verdict.answers:
        if judgment.answer is not None:
            raise ContractViolation(f"the verdict `{judgment.verdict}` carries no answer", where=where)
        return
    wanted = dict if contract.kind is ContractKind.FIELDS else str
    if not isinstance(judgment.answer, wanted) or not judgment.answer:
        kind = "a JSON object with at least one field" if wanted is dict else "a text that is not empty"
        raise ContractViolation(f"the answer is not {kind}", where=where, remedy=f"The contract is `{contract.kind}`.")


def _new_label(contract: Contract, labels: set[str], answer: Value) -> str | None:
    if contract.kind is not ContractKind.LABEL or not isinstance(answer, str) or answer in labels:
        return None
    return answer
