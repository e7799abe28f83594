"""Pictures of the learning curve: on the terminal, and as PNG and SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

_WIDTH = 40


class CurveLine(Struct, frozen=True):
    """One capability's curve: judgments made so far and the share right on cases never seen, by turn."""

    name: str
    judgments: tuple[int, ...]
    right: tuple[float, ...]


def draw_terminal(line: CurveLine) -> str:
    """The curve as one bar a turn, for a terminal."""
    rows = [f"{line.name}: share right on cases never seen, by judgments made"]
    for judgments, right in zip(line.judgments, line.right, strict=True):
        filled = round(right * _WIDTH)
        rows.append(f"{judgments:>6} {'█' * filled}{'·' * (_WIDTH - filled)} {100 * right:5.1f}%")
    return "\n".join(rows)


def save_pictures(lines: Sequence[CurveLine], folder: Path, name: str = "curve") -> list[Path]:
    """The curves in one chart as PNG and SVG in the folder, which is made where it is missing."""
    import altair as alt
    import vl_convert

    points = [
        {"capability": line.name, "judgments": judgments, "right": right}
        for line in lines
        for judgments, right in zip(line.judgments, line.right, strict=True)
    ]
    chart = (
        alt.Chart(alt.Data(values=points), title="What judgments taught")
        .mark_line(point=True)
        .encode(
            x=alt.X("judgments:Q", title="judgments made"),
            y=alt.Y(
                "right:Q", title="right on cases never seen", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])
            ),
            color=alt.Color("capability:N", title=None),
        )
        .properties(width=560, height=320)
    )
    spec = chart.to_json(indent=None)
    folder.mkdir(parents=True, exist_ok=True)
    svg, png = folder / f"{name}.svg", folder / f"{name}.png"
    svg.write_text(vl_convert.vegalite_to_svg(spec), "utf-8")
    png.write_bytes(vl_convert.vegalite_to_png(spec, scale=2))
    return [svg, png]
