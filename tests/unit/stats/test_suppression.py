"""No figure of any report, nor what is left when one is taken from another, is about fewer than five people.

Each entry counts for a power of two of its own, so that a figure says which entries it is the sum of.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.stats.suppression import FEWEST, OTHERS, Cell, Entry, Fold, Row, cut, rows

Report = Callable[[Sequence[Entry]], list[Row]]

Period = list[tuple[int, int, int]]
"""How many people took part, by group and team; team 0 is no team."""

TEAMS = st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 8))
PERIODS = st.lists(st.lists(TEAMS, min_size=1, max_size=5), min_size=1, max_size=4)


def entries(periods: Iterable[Period]) -> list[Entry]:
    """What the people did, period by period."""
    said = [
        (f"p{group}.{team}.{person}", f"group {group}", f"team {group}.{team}" if team else "", f"2026-W{week:02}")
        for week, some in enumerate(periods)
        for group, team, size in some
        for person in range(size)
    ]
    return [Entry(*one, judgments=1 << place, minutes=float(place)) for place, one in enumerate(said)]


def folded(said: Iterable[Entry]) -> Fold:
    fold = Fold()
    for one in said:
        fold.add(one)
    return fold


def report(said: Sequence[Entry]) -> list[Row]:
    """What is published once these entries are recorded."""
    return rows(folded(said).cells)


def people_of(figure: int, said: Sequence[Entry]) -> set[str]:
    """Whose entries a figure is the sum of."""
    return {one.person for one in said if figure & one.judgments}


def revealed(told: Iterable[int], said: Sequence[Entry]) -> list[set[str]]:
    """The small sets of people that a reader of the figures finds by taking sums and differences of them.

    They are among the unions of the atoms of the figures: entries that every figure counts together.
    """
    figures = sorted(set(told))
    atoms: dict[tuple[bool, ...], set[str]] = {}
    for one in said:
        pattern = tuple(bool(figure & one.judgments) for figure in figures)
        if any(pattern):
            atoms.setdefault(pattern, set()).add(one.person)
    return [people for people in atoms.values() if len(people) < FEWEST]


def differences(told: Iterable[int], said: Sequence[Entry]) -> list[set[str]]:
    """The small sets of people that are left when a figure is taken from one that holds it."""
    pairs = itertools.permutations(sorted(set(told)), 2)
    left = [people_of(more - less, said) for more, less in pairs if more & less == less and more > less]
    return [people for people in left if 0 < len(people) < FEWEST]


def figures_over_time(said: Sequence[Entry], make: Report) -> list[int]:
    """All figures of the reports that are made after each entry."""
    return [row.judgments for end in range(1, len(said) + 1) for row in make(said[:end])]


@given(PERIODS)
def test_nothing_that_is_ever_published_tells_of_fewer_than_five(periods: list[Period]) -> None:
    said = entries(periods)
    told = figures_over_time(said, report)
    assert min((len(people_of(figure, said)) for figure in told), default=FEWEST) >= FEWEST
    assert differences(told, said) == []
    assert revealed(told, said) == []


@given(PERIODS)
def test_a_report_loses_and_invents_nothing_but_what_waits(periods: list[Period]) -> None:
    said = entries(periods)
    fold = folded(said)
    everything = sum(one.judgments for one in said)
    told = [one.judgments for one in fold.cells]
    assert all(one & other == 0 for one, other in itertools.combinations(told, 2))
    assert sum(told) & everything == sum(told)
    if fold.cells:
        total, *groups = rows(fold.cells)
        assert total.judgments == sum(told) == sum(row.judgments for row in groups if row.team is None)
        assert total.people_at_least % FEWEST == 0
        assert FEWEST <= total.people_at_least <= len({one.person for one in said})


@given(PERIODS)
def test_what_was_published_is_never_cut_anew(periods: list[Period]) -> None:
    said = entries(periods)
    whole = folded(said).cells
    for end in range(len(said)):
        before = folded(said[:end]).cells
        assert whole[: len(before)] == before


def only_large(said: Sequence[Entry]) -> list[Row]:
    """The report that suppresses small cells and nothing else."""
    parts: dict[tuple[str | None, str | None], list[Entry]] = {}
    for one in said:
        for key in ((None, None), (one.group, None), (one.group, one.team)):
            parts.setdefault(key, []).append(one)
    return [
        Row(
            group=key[0],
            team=key[1],
            people_at_least=FEWEST,
            judgments=sum(one.judgments for one in some),
            minutes=0.0,
            periods=1,
        )
        for key, some in parts.items()
        if len({one.person for one in some}) >= FEWEST
    ]


def test_the_attack_finds_what_a_threshold_alone_gives_away() -> None:
    said = entries([[(0, 1, 7), (1, 1, 2)]])
    told = [row.judgments for row in only_large(said)]
    assert all(len(people_of(figure, said)) >= FEWEST for figure in told)
    assert {"p1.1.0", "p1.1.1"} in differences(told, said)
    assert {"p1.1.0", "p1.1.1"} in revealed(told, said)


def test_the_attack_finds_the_one_who_judged_between_two_reports() -> None:
    said = entries([[(0, 1, 7), (0, 1, 1)]])
    told = figures_over_time(said, only_large)
    assert {"p0.1.0"} in differences(told, said)


def part(group: str, team: str, people: Iterable[int]) -> Cell:
    names = frozenset(f"p{one}" for one in people)
    return Cell(
        since="2026-W01", until="2026-W01", group=group, team=team, people=names, judgments=len(names), minutes=0.0
    )


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([part("desk", "north", range(4))], []),
        ([part("desk", "north", range(5))], [("desk", "north", 5)]),
        ([part("desk", "north", range(7)), part("desk", "south", [8])], [("desk", None, 8)]),
        ([part("desk", "north", range(5)), part("desk", "", range(5, 10))], [("desk", "north", 5), ("desk", None, 5)]),
        ([part("desk", "north", range(9)), part("law", "", range(10, 12))], [(OTHERS, None, 11)]),
        (
            [part("desk", "", range(9)), part("law", "", [10, 11]), part("sales", "", range(12, 18))],
            [("desk", None, 9), (OTHERS, None, 8)],
        ),
        ([part("a", "", [1, 2, 3]), part("b", "", [4, 5, 6])], [(OTHERS, None, 6)]),
    ],
)
def test_small_parts_are_merged_with_their_neighbours(
    parts: list[Cell], expected: list[tuple[str, str | None, int]]
) -> None:
    assert [(one.group, one.team, len(one.people)) for one in cut(parts)] == expected


def test_a_period_of_too_few_waits_for_the_next() -> None:
    said = entries([[(0, 0, 3)], [(1, 0, 3)], [(0, 0, 1)]])
    (cell,) = folded(said).cells
    assert (cell.since, cell.until, len(cell.people)) == ("2026-W00", "2026-W01", 6)


def test_what_is_recorded_late_counts_in_the_current_period() -> None:
    first = entries([[(0, 0, 6)], [(1, 0, 1)]])
    late = Entry("p9", "group 0", "", "2026-W00")
    assert folded([*first, late]).cells == folded(first).cells
