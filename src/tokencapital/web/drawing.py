"""Small pictures that a page draws itself: lines and bars as SVG, with the same in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

WIDTH, HEIGHT = 200.0, 40.0
"""The box that pictures are drawn in; the page stretches it."""
_EDGE = 3.0


class Spark(Struct, frozen=True):
    """A curve of shares: SVG points of the line and of the area under it, where its last point is, and in words."""

    line: str
    area: str
    last: tuple[float, float]
    words: str


class Segment(Struct, frozen=True):
    """A part of a bar: where it begins and how wide it is, of 100, and what share of all it stands for."""

    name: str
    start: float
    width: float
    count: int


def spark(shares: Sequence[float | None]) -> Spark | None:
    """The curve of shares in [0, 1] by turn, those that are unknown left out; None where fewer than two are known."""
    known = [(turn, share) for turn, share in enumerate(shares, start=1) if share is not None]
    if len(known) < 2:
        return None
    first, last = known[0][0], known[-1][0]
    points = [
        (_EDGE + (WIDTH - 2 * _EDGE) * (turn - first) / (last - first), HEIGHT - _EDGE - (HEIGHT - 2 * _EDGE) * share)
        for turn, share in known
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    area = f"{points[0][0]:.1f},{HEIGHT} {line} {points[-1][0]:.1f},{HEIGHT}"
    words = f"right on the newest cases: {known[0][1]:.0%} at turn {first}, {known[-1][1]:.0%} at turn {last}"
    return Spark(line, area, (round(points[-1][0], 1), round(points[-1][1], 1)), words)


def bar(counts: Mapping[str, int]) -> list[Segment]:
    """The counts as parts of one bar, in their order, those of nothing left out."""
    whole = sum(counts.values())
    segments, start = [], 0.0
    for name, count in counts.items():
        if count:
            width = 100 * count / whole
            segments.append(Segment(name, round(start, 2), round(width, 2), count))
            start += width
    return segments
