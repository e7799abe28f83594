"""What was typed on the review page: read from its form, shown again where it cannot be stored."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tokencapital.app.desk import Saying, Task
from tokencapital.core.case import ContractKind
from tokencapital.core.judgment import Judgment, Verdict
from tokencapital.web.pages import Form
from tokencapital.web.schema_form import Field, SchemaForm

_VERDICTS = {one.value: one for one in Verdict}
_FIELD, _BASIS = "field.", "basis."
_LONGEST_S = 1_800.0
VERDICT_WORDS = {
    Verdict.RIGHT: "right",
    Verdict.CORRECTED: "corrected",
    Verdict.CANNOT_TELL: "cannot tell",
    Verdict.NOT_MY_FIELD: "not my field",
    Verdict.SECOND_OPINION: "second opinion",
}
"""The verdicts as people read them."""


class Typed(Struct, frozen=True, kw_only=True):
    """What stands in the boxes of the page. `minutes` None: nobody took the time."""

    answer: str = ""
    reason: str = ""
    new_label: str = ""
    new_field: str = ""
    new_value: str = ""
    fields: dict[str, str] | None = None
    basis: frozenset[str] = frozenset()
    minutes: float | None = None

    def words(self) -> list[tuple[str, str]]:
        """Everything that was typed, by the name of its box, as it can be copied."""
        found = [("Answer", self.answer), *(self.fields or {}).items(), (self.new_field, self.new_value)]
        return [(name, text) for name, text in [*found, ("Reason", self.reason)] if text]


class Reading(Struct, frozen=True, kw_only=True):
    """A form as a judgment. `fault` says why it cannot be stored (empty: it can), beside faults of single fields."""

    saying: Saying
    typed: Typed
    fields: tuple[Field, ...] = ()
    fault: str = ""

    @property
    def refused(self) -> bool:
        """Whether something has to be put right first."""
        return bool(self.fault) or any(one.fault for one in self.fields)


def read_typed(form: Form) -> Typed:
    """What was typed, whatever the verdict; lines end as everywhere, not as browsers send them."""
    form = {name: _plain(text) for name, text in form.items()}
    return Typed(
        answer=form.get("answer", ""),
        reason=form.get("reason", ""),
        new_label=form.get("new_label", ""),
        new_field=form.get("new_field", ""),
        new_value=form.get("new_value", ""),
        fields={name.removeprefix(_FIELD): text for name, text in form.items() if name.startswith(_FIELD)},
        basis=frozenset(name.removeprefix(_BASIS) for name in form if name.startswith(_BASIS)),
        minutes=_minutes(form.get("seconds", "")),
    )


def read_verdict(form: Form) -> Verdict | None:
    """The verdict of the button that was pressed; None: of none that is known."""
    return _VERDICTS.get(form.get("verdict", ""))


def typed_again(task: Task, said: Judgment, basis: Collection[str]) -> Reading:
    """What was said of the task before, resting on the passages `basis`, as it stands in the boxes to be changed."""
    answer = said.answer if isinstance(said.answer, str) and said.verdict is Verdict.CORRECTED else ""
    if task.waiting.kind not in (ContractKind.LABEL, ContractKind.FIELDS) and not answer:
        answer = task.waiting.proposed if isinstance(task.waiting.proposed, str) else ""
    fields: tuple[Field, ...] = ()
    if task.waiting.kind is ContractKind.FIELDS and isinstance(said.answer, dict):
        before = {one.name: one for one in SchemaForm(task.schema, task.fields, said.answer).fields()}
        shown = [one for one in form_of(task).fields() if one.name in before]
        fields = tuple(replace(one, typed=before[one.name].typed) for one in shown)
    typed = Typed(answer=answer, reason=said.reason or "", basis=frozenset(basis))
    return Reading(saying=Saying(expert=said.expert, verdict=said.verdict), typed=typed, fields=fields)


def form_of(task: Task) -> SchemaForm:
    """The form of a task whose answer is an object."""
    proposed = task.waiting.proposed if isinstance(task.waiting.proposed, dict) else None
    return SchemaForm(task.schema, task.fields, proposed)


class Known(Struct, frozen=True):
    """What a judgment may name: the `labels` that are known, the `passages` that it may rest on."""

    labels: Collection[str]
    passages: Collection[str]


def read_judgment(task: Task, expert: str, verdict: Verdict, typed: Typed, known: Known) -> Reading:
    """The typed as a judgment of the task, with what has to be put right before it can be stored.

    A correction that says what was proposed is no correction but `right`.
    """
    fields: tuple[Field, ...] = ()
    fault, answer = "", None
    if verdict is Verdict.CORRECTED:
        if task.waiting.kind is ContractKind.FIELDS:
            fields, answer, fault = _read_fields(task, typed)
        else:
            answer, fault = typed.answer or None, _text_fault(task, typed, known.labels)
        if not task.blind and not fault and _same(task, answer):
            verdict = Verdict.RIGHT
    saying = Saying(
        expert=expert,
        verdict=verdict,
        answer=answer if verdict is Verdict.CORRECTED else None,
        reason=typed.reason or None,
        minutes=typed.minutes,
        basis=tuple(sorted(typed.basis & set(known.passages))),
    )
    return Reading(saying=saying, typed=typed, fields=fields, fault=fault)


def _read_fields(task: Task, typed: Typed) -> tuple[tuple[Field, ...], str | None, str]:
    form = form_of(task)
    filled = form.read(typed.fields or {})
    value = dict(filled.value)
    if typed.new_field and typed.new_value:
        if not form.open:
            return filled.fields, None, f"the schema has no field {typed.new_field}"
        value.setdefault(typed.new_field, typed.new_value)
    if filled.faults:
        return filled.fields, None, ""
    return filled.fields, msgspec.json.encode(value).decode(), "" if value else "fill in at least one field"


def _text_fault(task: Task, typed: Typed, labels: Collection[str]) -> str:
    if not typed.answer:
        return "the answer is not a text: type or pick one"
    if task.waiting.kind is ContractKind.LABEL and typed.answer not in labels and typed.new_label != typed.answer:
        return f"“{typed.answer}” is a new label. Save once more to make it."
    return ""


def _same(task: Task, answer: str | None) -> bool:
    proposed = task.waiting.proposed
    if proposed is None or answer is None:
        return False
    if isinstance(proposed, str):
        return _plain(proposed) == _plain(answer)
    return bool(proposed == msgspec.json.decode(answer))


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _minutes(seconds: str) -> float | None:
    """The time that the page was looked at; None where it was not taken, or is longer than anybody looks."""
    try:
        found = float(seconds)
    except ValueError:
        return None
    return found / 60 if 0 < found <= _LONGEST_S else None
