"""Candidates of each field of a case, laid out as rows for one linear ranker.

Every group of rows is one field of one case. Beside the values found in the conversation it holds the
values that are right without being said, ABSENT (the field is left out) and OTHER (the value is none
of these), so that the softmax over a group is a probability over everything that can be the case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tokencapital.core.case import Case, Message
from tokencapital.models.candidates import FieldKnowledge, Finder, feature
from tokencapital.models.evidence import History, Scope, case_words, context_items, gather
from tokencapital.models.reading import Reading
from tokencapital.models.rows import Layout, Rows, join

ABSENT = ""
"""The candidate that leaves the field out; no JSON text is empty."""
OTHER = "?"
"""The candidate that stands for every value not offered; no JSON text. It is the last of its group."""

_MOST_MESSAGES = 64
_CHUNK = 256
_UNMENTIONED = feature("unmentioned")
_ABSENT_BIAS = feature("absent")
_OTHER_BIAS = feature("other")
_LEVEL = [feature("level", level) for level in range(11)]


class Ranker:
    """Lays out the candidates of cases for given fields. Messages once read are kept for the next case.

    `readings` spares reading the messages in it.
    """

    def __init__(
        self,
        fields: tuple[FieldKnowledge, ...],
        contexts: Mapping[str, Sequence[int]],
        readings: Mapping[Message, Reading] | None = None,
    ) -> None:
        self._fields = fields
        self._readings = readings or {}
        self._contexts = {item: frozenset(numbers) for item, numbers in contexts.items()}
        self._marks = [feature("field", *field.path) for field in fields]
        self._common = [{value: feature("value", value) for value in field.common} for field in fields]
        self._scopes: dict[tuple[int, ...], Scope] = {}
        self._relevant: dict[frozenset[str], tuple[int, ...]] = {}

    def _relevant_to(self, items: frozenset[str]) -> tuple[int, ...]:
        """Numbers of the fields that were ever judged present under each of these known items of context."""
        numbers = self._relevant.get(items)
        if numbers is None:
            kept = frozenset(range(len(self._fields)))
            for item in items:
                kept &= self._contexts[item]
            numbers = self._relevant[items] = tuple(sorted(kept))
        return numbers

    def rows(self, cases: Sequence[Case]) -> Rows:
        """The candidates of every relevant field of the cases."""
        parts = [self._part(cases, begin) for begin in range(0, len(cases), _CHUNK)]
        return join(parts) if len(parts) != 1 else parts[0]

    def _part(self, cases: Sequence[Case], begin: int) -> Rows:
        layout = Layout()
        for place in range(begin, min(begin + _CHUNK, len(cases))):
            case = cases[place]
            items = context_items(case.context)
            numbers = self._relevant_to(frozenset(item for item in items if item in self._contexts))
            scope = self._scopes.get(numbers)
            if scope is None:
                scope = self._scopes[numbers] = Scope(Finder(self._fields, numbers), self._readings)
            seen = [scope.see(message) for message in reversed(case.messages[-_MOST_MESSAGES:])]
            layout.open_case(case_words(items, seen))
            history = History(seen, items)
            for number in numbers:
                self._lay(layout, place, number, history)
        return layout.close()

    def _lay(self, layout: Layout, place: int, number: int, history: History) -> None:
        common = self._common[number]
        field = self._fields[number]
        values = field.values
        candidates, state = gather(number, values, history)
        layout.open_group(place, number, self._marks[number])
        for value, features in candidates.items():
            groups = values.get(value, 0)
            features.append(_LEVEL[min(groups.bit_length(), 10)])
            layout.row(value, features, common.get(value, 0))
        for value, against in common.items():
            if value not in candidates:
                layout.row(value, [_UNMENTIONED], against)
        optional = not any(item in field.required for item in history.items)
        layout.row(ABSENT, [_ABSENT_BIAS, *(s ^ _ABSENT_BIAS for s in state)], _ABSENT_BIAS if optional else 0)
        layout.row(OTHER, [_OTHER_BIAS, *(s ^ _OTHER_BIAS for s in state)], 0)
