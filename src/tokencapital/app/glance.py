"""The loop at a glance: what each capability is worth by now, and what waits for people."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from tokencapital.app.platform import Platform
from tokencapital.app.reports import CapabilityReport, Reports
from tokencapital.app.settling import count_conflicts
from tokencapital.app.telling import NoticeGap, notice_gaps
from tokencapital.core.lesson import LessonState
from tokencapital.core.policy import Release
from tokencapital.evaluate.sealed import Gathered
from tokencapital.store.lessons import lessons
from tokencapital.store.marks import open_marks
from tokencapital.store.queue import count_open
from tokencapital.store.releases import live_release


class Waits(Struct, frozen=True, kw_only=True):
    """What waits for people: cases to judge, conflicts to settle, lessons to decide on, marks to look at."""

    cases: int
    conflicts: int
    lessons: int
    marks: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.cases + self.conflicts + self.lessons + self.marks


class Glance(Struct, frozen=True, kw_only=True):
    """One capability on the first page. `owner` None: no goal. `live` None: nothing was released yet.

    `gaps` are groups whose judgments teach nothing until they have had notice.
    """

    report: CapabilityReport
    owner: str | None
    waits: Waits
    sealed: Gathered
    live: Release | None
    gaps: tuple[NoticeGap, ...]


class Loop(Struct, frozen=True, kw_only=True):
    """The whole loop in figures. `released` is the newest release that is live; None: there is none.

    `spent_usd` is what learning cost in all.
    """

    cases: int
    waiting: int
    judgments: int
    sealed: int
    released: Release | None
    spent_usd: Decimal


def glance_at(platform: Platform, reports: Reports) -> list[Glance]:
    """Each capability at a glance, by name."""
    return [_glance(platform, reports, one.name) for one in platform.capabilities()]


def waits_of(platform: Platform, name: str) -> Waits:
    """What waits for people in one capability."""
    place = platform.workplace(name)
    now = place.now()
    proposed = [one for one in lessons(place.store, place.name) if one.state_at(now) is LessonState.PROPOSED]
    return Waits(
        cases=count_open(place.store, place.name),
        conflicts=count_conflicts(platform, name),
        lessons=len(proposed),
        marks=len(open_marks(place.store, place.name)),
    )


def loop_of(glances: Sequence[Glance]) -> Loop:
    """The loop over all capabilities."""
    live = [one.live for one in glances if one.live is not None]
    return Loop(
        cases=sum(one.report.cases for one in glances),
        waiting=sum(one.waits.cases for one in glances),
        judgments=sum(one.report.judgments for one in glances),
        sealed=sum(one.sealed.entities for one in glances),
        released=max(live, key=lambda one: one.at, default=None),
        spent_usd=sum((one.report.spent.usd for one in glances), Decimal(0)),
    )


def _glance(platform: Platform, reports: Reports, name: str) -> Glance:
    place = platform.workplace(name)
    return Glance(
        report=reports.on(name),
        owner=place.goal.owner if place.goal else None,
        waits=waits_of(platform, name),
        sealed=place.sealed.gathered(),
        live=live_release(place.store, name),
        gaps=notice_gaps(platform, name),
    )
