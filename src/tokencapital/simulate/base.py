"""What every simulated organization is made of, and how its experts and its business answer.

All that happens by chance is a keyed hash of the seed and of what is asked, so that answers do not
depend on the order of the questions and a run can be resumed anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from tokencapital.core.case import Capability, Case, Value
from tokencapital.core.judgment import Outcome, Verdict
from tokencapital.core.split import unit_hash

LEANS = 0.85
"""How often an expert takes the plausible other answer of an ambiguous case when leaning towards it."""

RESISTS = 0.05
"""How often, when leaning towards the right answer."""

UNDECIDED = 0.30
"""How often, when leaning neither way."""

STRANGER = 2.0
"""How much more often an expert slips outside the kinds of work that they know."""

NOT_MINE = 0.10
"""How often an expert declines a case outside the kinds of work that they know."""

CANNOT_TELL = 0.05
"""How often an expert declines an ambiguous case."""

EXPLAINS = 0.40
"""How often an expert gives a reason for a clear case; for an ambiguous one there is always one."""

OUTCOME = "resolved_first_time"


class Expert(Struct, frozen=True, kw_only=True):
    """A person who judges.

    `reliability` is the share of clear cases of a known kind that they judge rightly. `leanings` are
    answers (a label, or the value of a field) that they prefer where a case is ambiguous. `knows` are
    the kinds of work that they know; empty: all.
    """

    name: str
    team: str
    reliability: float
    leanings: tuple[str, ...] = ()
    knows: tuple[str, ...] = ()

    def leans_to(self, value: Value) -> bool:
        """Whether a value, or one of its fields, is among the leanings."""
        parts = value.values() if isinstance(value, dict) else (value,)
        return any(part in self.leanings for part in parts)

    def is_stranger_to(self, value: Value) -> bool:
        """Whether a label is outside what this expert knows; objects of fields are everybody's work."""
        return bool(self.knows) and isinstance(value, str) and value not in self.knows


class Fact(Struct, frozen=True, kw_only=True):
    """What is true of a case, hidden from the loop that plays it.

    `value` is right, from `changed_at` on `changed` (None: no rule touches the case). `plausible` is
    what a sensible person could say instead; None: the case is clear. `mistakes` are the wrong
    answers that a slip may lead to.
    """

    value: Value
    plausible: Value = None
    mistakes: tuple[Value, ...] = ()
    changed: Value = None
    changed_at: datetime | None = None

    def holds_changed(self, at: datetime) -> bool:
        """Whether the rule that touches the case has changed by the time `at`."""
        return self.changed_at is not None and at >= self.changed_at


class Opinion(Struct, frozen=True, kw_only=True):
    """What an expert would say of a case.

    `declined` is why there is no answer (CANNOT_TELL or NOT_MY_FIELD); None: there is one. `minutes`
    is the time it takes to read, think and say so.
    """

    answer: Value
    declined: Verdict | None = None
    reason: str | None = None
    minutes: float

    def verdict_on(self, value: Value) -> Verdict:
        """The verdict on an answer that was given; None as answer is corrected like any wrong one."""
        if self.declined is not None:
            return self.declined
        return Verdict.RIGHT if value == self.answer else Verdict.CORRECTED


class RuleChange(Struct, frozen=True, kw_only=True):
    """From `at` on other answers are right; judgments given before on `cases`, which came in before, expire then."""

    at: datetime
    capability: str
    cases: tuple[str, ...]
    reason: str


class Leaks(Struct, frozen=True, kw_only=True):
    """Planted ways to cheat: `twins` are pairs of cases with the same input in two groups, `telltales`
    are cases whose text carries their label as a word."""

    twins: tuple[tuple[str, str], ...] = ()
    telltales: tuple[str, ...] = ()


class OutcomeRates(Struct, frozen=True, kw_only=True):
    """How often the business is content, by how the case was answered, and how often it stays silent."""

    right: float = 0.92
    plausible: float = 0.70
    wrong: float = 0.35
    silent: float = 0.12
    earliest_days: float = 1.0
    latest_days: float = 5.0


class Organization(Struct, frozen=True, kw_only=True):
    """A company at work. `cases` stand in order of arrival, `facts` has one entry for each of their ids.

    `meanings` says in a few words what each label is for; experts quote it as their reason.
    """

    seed: int
    capabilities: tuple[Capability, ...]
    experts: tuple[Expert, ...]
    cases: tuple[Case, ...]
    facts: Mapping[str, Fact]
    meanings: Mapping[str, str] = {}
    changes: tuple[RuleChange, ...] = ()
    leaks: Leaks = Leaks()
    rates: OutcomeRates = OutcomeRates()

    def truth(self, case: Case, at: datetime) -> Value:
        """The right answer to a case at a time. Raises KeyError for a case of another organization."""
        fact = self.facts[case.id]
        return fact.changed if fact.holds_changed(at) else fact.value

    def opinion(self, case: Case, expert: Expert, at: datetime) -> Opinion:
        """What an expert says of a case at a time: always the same when asked again under the same rules.

        On an ambiguous case experts follow their leanings, the same way for the same words; on every
        case they slip with probability 1 - reliability, now and then.
        """
        right, plausible = self.truth(case, at), self._plausible(case, at)
        minutes = self._minutes(case, expert, ambiguous=plausible is not None)
        declined = self._declined(case, expert, right, plausible)
        if declined is not None:
            return Opinion(answer=None, declined=declined, minutes=minutes)
        answer = self._leaning(case, expert, right, plausible)
        answer = self._slip(case, expert, answer)
        return Opinion(answer=answer, reason=self._reason(case, expert, answer, at), minutes=minutes)

    def outcome(self, case: Case, value: Value, at: datetime) -> Outcome | None:
        """What the business sees of a case that was answered with `value` at `at`, 1 to 5 days later by default.

        None: it never says. A case that ends well with a wrong answer would have with the right one.
        """
        if self._chance("silent", case.id) < self.rates.silent:
            return None
        wait = self.rates.latest_days - self.rates.earliest_days
        days = self.rates.earliest_days + wait * self._chance("late", case.id)
        return Outcome(
            id=f"out_{case.id}",
            capability=case.capability,
            key=case.key,
            name=OUTCOME,
            value=self._chance("resolved", case.id) < self._success_rate(case, value, at),
            at=at + timedelta(days=days),
        )

    def _chance(self, *asked: str) -> float:
        return unit_hash(self.seed.to_bytes(8, "big"), *asked)

    def _plausible(self, case: Case, at: datetime) -> Value:
        fact = self.facts[case.id]
        return None if fact.holds_changed(at) else fact.plausible

    def _success_rate(self, case: Case, value: Value, at: datetime) -> float:
        if value == self.truth(case, at):
            return self.rates.right
        if value is not None and value == self._plausible(case, at):
            return self.rates.plausible
        return self.rates.wrong

    def _declined(self, case: Case, expert: Expert, right: Value, plausible: Value) -> Verdict | None:
        if expert.is_stranger_to(right) and self._chance("stranger", expert.name, case.id) < NOT_MINE:
            return Verdict.NOT_MY_FIELD
        if plausible is not None and self._chance("doubt", expert.name, case.id) < CANNOT_TELL:
            return Verdict.CANNOT_TELL
        return None

    def _leaning(self, case: Case, expert: Expert, right: Value, plausible: Value) -> Value:
        if plausible is None:
            return right
        words = "\n".join(message.content for message in case.messages)
        share = other_share(expert, right, plausible)
        return plausible if self._chance("lean", expert.name, case.capability, words) < share else right

    def _slip(self, case: Case, expert: Expert, answer: Value) -> Value:
        mistakes = [value for value in self.facts[case.id].mistakes if value != answer]
        rate = (1 - expert.reliability) * (STRANGER if expert.is_stranger_to(answer) else 1.0)
        chance = self._chance("slip", expert.name, case.id)
        if not mistakes or chance >= rate:
            return answer
        return mistakes[int(chance / rate * len(mistakes))]

    def _reason(self, case: Case, expert: Expert, answer: Value, at: datetime) -> str | None:
        fact = self.facts[case.id]
        if fact.holds_changed(at) and answer == fact.changed:
            return next((change.reason for change in self.changes if change.at == fact.changed_at), None)
        if not isinstance(answer, str) or answer not in self.meanings:
            return None
        if fact.plausible is not None:
            other = fact.plausible if answer == fact.value else fact.value
            return f"{answer} rather than {other}: {self.meanings[answer]}"
        return self.meanings[answer] if self._chance("reason", expert.name, case.id) < EXPLAINS else None

    def _minutes(self, case: Case, expert: Expert, *, ambiguous: bool) -> float:
        words = sum(len(message.content.split()) for message in case.messages)
        thought = 0.25 + words / 220 + (0.5 if ambiguous else 0.0)
        return round(thought * (0.6 + 0.8 * self._chance("minutes", expert.name, case.id)), 2)


def other_share(expert: Expert, right: Value, plausible: Value) -> float:
    """The probability that an expert takes the plausible answer of an ambiguous case, not the right one."""
    towards, against = expert.leans_to(plausible), expert.leans_to(right)
    if towards == against:
        return UNDECIDED
    return LEANS if towards else RESISTS
