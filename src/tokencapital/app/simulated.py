"""A simulated organization as something to play: its experts and its business answer when asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tokencapital.app.script import Lapse, Said, Served, judgment_of
from tokencapital.core.case import Case, Value
from tokencapital.core.judgment import Draw, Judgment, Outcome
from tokencapital.core.people import Contributor
from tokencapital.core.split import unit_hash
from tokencapital.simulate.base import Expert, Organization


class OrganizationScript:
    """A simulated organization at work on one capability."""

    def __init__(self, organization: Organization, capability: str) -> None:
        self._organization = organization
        self.cases: Sequence[Case] = [case for case in organization.cases if case.capability == capability]
        self.lapses: Sequence[Lapse] = [
            Lapse(change.at, change.cases, change.reason)
            for change in organization.changes
            if change.capability == capability
        ]
        self.experts: Sequence[Contributor] = [
            Contributor(pseudonym=one.name, group="experts", team=one.team, fields=one.knows)
            for one in organization.experts
        ]

    def right(self, case: Case, at: datetime) -> Value:
        """The truth, under the rules in force at the time."""
        return self._organization.truth(case, at)

    def first_right(self, case: Case) -> Value:
        """The truth before any rule changed."""
        return self._organization.facts[case.id].value

    def opinion(self, case: Case) -> Value:
        """What the expert whose turn it is would say of a case on arrival; None: nothing."""
        return self._organization.opinion(case, self._expert(case), case.at).answer

    def judge(self, asked: Draw, case: Case, answered: Value) -> Judgment:
        """The opinion of the expert whose turn it is."""
        expert = self._expert(case)
        opinion = self._organization.opinion(case, expert, asked.at)
        verdict = opinion.verdict_on(answered)
        return judgment_of(asked, Said(expert.name, opinion.answer, verdict, opinion.reason, opinion.minutes))

    def outcome(self, case: Case, served: Served) -> Outcome | None:
        """What the business sees, depending on how the case was answered."""
        return self._organization.outcome(case, served.value, served.at)

    def _expert(self, case: Case) -> Expert:
        experts = self._organization.experts
        turn = unit_hash(self._organization.seed.to_bytes(8, "big"), "expert", case.id)
        return experts[int(turn * len(experts))]
