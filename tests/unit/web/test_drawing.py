"""Small pictures stay in their box and say in words what they show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.web.drawing import HEIGHT, WIDTH, bar, spark

shares = st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=30)


@given(shares)
def test_a_curve_stays_in_its_box(found: list[float | None]) -> None:
    curve = spark(found)
    known = [share for share in found if share is not None]
    if len(known) < 2:
        assert curve is None
        return
    assert curve is not None
    points = [tuple(map(float, point.split(","))) for point in curve.line.split()]
    assert len(points) == len(known)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert [x for x, _ in points] == sorted(x for x, _ in points)


def test_a_higher_share_is_drawn_higher_and_told() -> None:
    curve = spark([None, 0.25, None, 0.75])
    assert curve is not None
    (_, low), (_, high) = (map(float, point.split(",")) for point in curve.line.split())
    assert high < low
    assert curve.words == "right on the newest cases: 25% at turn 2, 75% at turn 4"


def test_a_bar_is_whole() -> None:
    parts = bar({"recall": 1, "specialist": 0, "person": 3})
    assert [(one.name, one.start, one.width, one.count) for one in parts] == [
        ("recall", 0.0, 25.0, 1),
        ("person", 25.0, 75.0, 3),
    ]
    assert sum(one.width for one in bar({"a": 1, "b": 1, "c": 1})) == pytest.approx(100, abs=0.05)
    assert bar({"recall": 0}) == []
