"""Reports of people: by group and team, never by person, and of no fewer than five."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime

from msgspec import Struct

from tokencapital.app.platform import Platform
from tokencapital.core.people import EVERYONE, Contributor, NoticeKind
from tokencapital.stats.suppression import OTHERS, Entry, Fold, Row, rows
from tokencapital.store.notices import notices
from tokencapital.store.people import Did, declared_over_time, judged_after

Told = list[tuple[datetime, Contributor]]


class NoticeState(Struct, frozen=True):
    """Since when a group has had notice, and since when an agreement is in force; None: it has not."""

    noticed: datetime | None
    agreed: datetime | None


class PeopleReport(Struct, frozen=True, kw_only=True):
    """What groups and teams did up to the end of the week `until` (None: too few people did anything yet).

    `rows` come group by group, all of them first; what a week holds is told once a later week has begun.
    `minutes_assumed`: some judgments were not timed, and count with the declared minutes.
    """

    until: str | None
    rows: list[Row]
    minutes_assumed: bool
    notices: dict[str, NoticeState]


class PeopleBooks:
    """Reports of people of one house: each costs what was judged since the last."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._fold = Fold()
        self._sequence = 0
        self._assumed = False

    def report(self) -> PeopleReport:
        """What may be told now."""
        told = declared_over_time(self._platform.store)
        for did in judged_after(self._platform.store, self._sequence):
            self._fold.add(self._entry(did, told.get(did.expert, [])))
            self._sequence = did.sequence
        found = rows(self._fold.cells)
        return PeopleReport(
            until=self._fold.cells[-1].until if self._fold.cells else None,
            rows=found,
            minutes_assumed=self._assumed,
            notices=notice_states(self._platform, {row.group for row in found if row.group not in {None, OTHERS}}),
        )

    def _entry(self, did: Did, declared: Told) -> Entry:
        known = bisect_right(declared, did.at, key=lambda one: one[0])
        who = declared[known - 1][1] if known else Contributor(pseudonym=did.expert, group=EVERYONE)
        self._assumed = self._assumed or did.minutes is None
        minutes = self._platform.settings.assumptions.minutes_per_judgment if did.minutes is None else did.minutes
        year, week, _ = did.at.isocalendar()
        return Entry(did.expert, who.group, who.team, f"{year}-W{week:02}", 1, minutes)


def notice_states(platform: Platform, groups: set[str | None]) -> dict[str, NoticeState]:
    """What each of the groups was told and agreed to."""
    recorded = notices(platform.store)
    found = {}
    for group in sorted(one for one in groups if one is not None):
        theirs = sorted((one.given_on, one.kind) for one in recorded if one.group == group)
        agreed = [at for at, kind in theirs if kind is NoticeKind.AGREEMENT]
        found[group] = NoticeState(theirs[0][0] if theirs else None, agreed[0] if agreed else None)
    return found
