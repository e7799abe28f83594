"""Counts by group and team that tell nothing of fewer than five people, whatever is subtracted from whatever.

What people did is cut into cells that do not overlap: by period, group and team, each of at least `FEWEST` people;
what would be smaller is merged with its neighbours, and where all of a period is, with the next period. A period is
cut when a later one has begun, by what was known then, and never again. Every figure of every report, today's and
next year's, of a team, a group or all, is a sum of whole cells. Sums and differences of such figures are again sums
of whole cells (those that cancel drop out), so that none is about fewer than `FEWEST` people. This is primary and
complementary suppression (Hundepool et al. 2012, Statistical Disclosure Control, ch. 4) by merging, kept over time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

FEWEST = 5
"""People behind a figure."""
OTHERS = "others"
"""The group of a cell that holds several groups, each too small to be told."""

Key = tuple[str, str]
"""A group and a team of it."""


class Entry(Struct, frozen=True):
    """Something that a `person` did in a `period` (periods sort in time), and what of it is added up."""

    person: str
    group: str
    team: str
    period: str
    judgments: int = 1
    minutes: float = 0.0


class Cell(Struct, frozen=True, kw_only=True):
    """All that at least `FEWEST` people did from the period `since` to `until`.

    `team` None: of all teams of the group that have no cell of their own. `group` `OTHERS`: of several groups.
    """

    since: str
    until: str
    group: str
    team: str | None
    people: frozenset[str]
    judgments: int
    minutes: float


class Row(Struct, frozen=True, kw_only=True):
    """A line of a report. `group` None: all; `team` None: the whole group.

    `people_at_least` is of the period in which most took part, rounded down to fives, so that it tells of nobody who
    came or went. `periods` were added up: in any other this group or team is counted among its neighbours.
    """

    group: str | None
    team: str | None
    people_at_least: int
    judgments: int
    minutes: float
    periods: int


class _Sum:
    """What was added up for one group and team since the last cut."""

    __slots__ = ("judgments", "minutes", "people")

    def __init__(self) -> None:
        self.people: set[str] = set()
        self.judgments = 0
        self.minutes = 0.0


class Fold:
    """Entries as they are recorded, folded into cells. Entries of a period that is past count in the current one."""

    def __init__(self) -> None:
        self.cells: list[Cell] = []
        self._period = ""
        self._since = ""
        self._pending: dict[Key, _Sum] = {}

    def add(self, entry: Entry) -> None:
        """The entry will be in a cell once its period is over."""
        if entry.period > self._period:
            self._close()
            self._period = entry.period
            self._since = self._since or entry.period
        told = self._pending.setdefault((entry.group, entry.team), _Sum())
        told.people.add(entry.person)
        told.judgments += entry.judgments
        told.minutes += entry.minutes

    def _close(self) -> None:
        """What is pending is cut; where it is of too few people it waits for the next period."""
        parts = [
            Cell(
                since=self._since,
                until=self._period,
                group=group,
                team=team,
                people=frozenset(told.people),
                judgments=told.judgments,
                minutes=told.minutes,
            )
            for (group, team), told in self._pending.items()
        ]
        made = cut(parts)
        if made:
            self.cells += made
            self._pending, self._since = {}, ""


def cut(parts: Sequence[Cell]) -> list[Cell]:
    """The parts, one for each group and team, as cells of at least `FEWEST` people; none where all are fewer."""
    if len(_people(parts)) < FEWEST:
        return []
    by_group: dict[str, list[Cell]] = {}
    for one in parts:
        by_group.setdefault(one.group, []).append(one)
    told = {group: _cut_group(group, teams) for group, teams in sorted(by_group.items())}
    small = [one for group, teams in by_group.items() if not told[group] for one in teams]
    while small and len(_people(small)) < FEWEST:
        least = min((group for group in told if told[group]), key=lambda group: (len(_people(told[group])), group))
        small += told[least]
        told[least] = []
    others = [_merge(small, OTHERS, None)] if small else []
    return [*(one for cells in told.values() for one in cells), *others]


def rows(cells: Iterable[Cell]) -> list[Row]:
    """A report: all, then each group with its teams, by name; empty where there is no cell."""
    cells = list(cells)
    if not cells:
        return []
    groups: dict[str, list[Cell]] = {}
    for one in cells:
        groups.setdefault(one.group, []).append(one)
    found = [_row(None, None, cells)]
    for group in sorted(groups, key=lambda name: (name == OTHERS, name)):
        found.append(_row(group, None, groups[group]))
        teams = sorted({one.team for one in groups[group] if one.team is not None})
        found += [_row(group, team, [one for one in groups[group] if one.team == team]) for team in teams]
    return found


def _cut_group(group: str, teams: Sequence[Cell]) -> list[Cell]:
    """The group's teams as cells, the small ones merged; none where the whole group is too small."""
    if len(_people(teams)) < FEWEST:
        return []
    told = sorted((one for one in teams if len(one.people) >= FEWEST and one.team), key=lambda one: len(one.people))
    rest = [one for one in teams if one not in told]
    while rest and len(_people(rest)) < FEWEST:
        rest.append(told.pop(0))
    return [*told, *([_merge(rest, group, None)] if rest else [])]


def _merge(parts: Sequence[Cell], group: str, team: str | None) -> Cell:
    return Cell(
        since=min(one.since for one in parts),
        until=max(one.until for one in parts),
        group=group,
        team=team,
        people=_people(parts),
        judgments=sum(one.judgments for one in parts),
        minutes=sum(one.minutes for one in parts),
    )


def _row(group: str | None, team: str | None, cells: Sequence[Cell]) -> Row:
    by_period: dict[str, list[Cell]] = {}
    for one in cells:
        by_period.setdefault(one.until, []).append(one)
    return Row(
        group=group,
        team=team,
        people_at_least=max(len(_people(some)) for some in by_period.values()) // FEWEST * FEWEST,
        judgments=sum(one.judgments for one in cells),
        minutes=sum(one.minutes for one in cells),
        periods=len(by_period),
    )


def _people(parts: Iterable[Cell]) -> frozenset[str]:
    nobody: frozenset[str] = frozenset()
    return nobody.union(*(one.people for one in parts))
