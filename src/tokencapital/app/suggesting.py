"""Which labels a person is likely to want: what the specialist thinks of next, then what people use most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec import Struct

from tokencapital.app.platform import Workplace
from tokencapital.core.case import Case
from tokencapital.store.memory import Memory


class Suggestion(Struct, frozen=True):
    """A label to choose, and why it stands where it does; empty: for no reason of its own."""

    label: str
    why: str = ""


class LabelUse:
    """How often each label of a capability was given, kept current without rereading. One thread at a time."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._seen = 0
        self._given: Counter[str] = Counter()

    def most_used(self) -> list[str]:
        """The labels in memory, those given most often first; judgments that were taken back count too."""
        self._memory.refresh()
        fresh = self._memory.judged(range(self._seen, len(self._memory)))
        self._seen += len(fresh)
        self._given.update(one.judgment.answer for one in fresh if isinstance(one.judgment.answer, str))
        return [label for label, _ in self._given.most_common()]


def suggest_labels(
    place: Workplace, use: LabelUse, labels: Sequence[str], case: Case | None, proposed: str | None
) -> list[Suggestion]:
    """Every label once, the likeliest first.

    `case` None: nothing that the machine thinks of it may be seen, so that only use decides. `proposed` is not a
    correction of itself and comes last.
    """
    likely = list(_next_best(place, case)) if case is not None else []
    known = dict.fromkeys([*likely, *use.most_used(), *labels])
    allowed = set(labels)
    ordered = [label for label in known if label in allowed and label != proposed]
    reasons = dict.fromkeys(likely, "next best")
    chosen = [Suggestion(label, reasons.get(label, "")) for label in ordered]
    return [*chosen, Suggestion(proposed, "proposed")] if proposed in allowed and proposed is not None else chosen


def _next_best(place: Workplace, case: Case) -> Iterator[str]:
    """What the live specialist thinks of first, second and so on."""
    specialist = place.releases.live(place.name).specialist
    if specialist is None:
        return
    (prediction,) = specialist.predict([case], place.engine.encode([case]))
    for label, _ in prediction.alternatives:
        yield label
