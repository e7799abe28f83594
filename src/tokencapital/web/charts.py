"""Charts of a capability as Vega-Lite specifications; the page has the same figures in tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tokencapital.app.realized import Share
from tokencapital.core.answer import Stage
from tokencapital.core.case import Json
from tokencapital.core.policy import Release
from tokencapital.promote.swap import SwapReport
from tokencapital.store.turns import Turn

_SHARE = {"type": "quantitative", "axis": {"format": "%"}}


def curve_chart(played: Sequence[Turn]) -> dict[str, Json]:
    """The share of right answers by judgments made, turn by turn; turns where nothing is known are left out."""
    points = [
        {"turn": one.number, "judgments": one.judgments, "right": one.facts["accuracy"]}
        for one in played
        if one.facts.get("accuracy") is not None
    ]
    return _chart(
        points,
        {
            "mark": {"type": "line", "point": True, "tooltip": True},
            "encoding": {
                "x": {"field": "judgments", "type": "quantitative", "title": "judgments made"},
                "y": {"field": "right", "title": "right on the newest cases", "scale": {"domain": [0, 1]}, **_SHARE},
            },
        },
    )


def error_chart(errors: Mapping[Stage, Share], tolerance: float | None) -> dict[str, Json]:
    """The error among answers given alone by stage with its interval, beside the error that the goal tolerates."""
    points = [
        {
            "stage": stage.value,
            "error": share.share,
            "low": share.interval.low if share.interval else None,
            "high": share.interval.high if share.interval else None,
            "n": share.n,
        }
        for stage, share in errors.items()
    ]
    stage = {"field": "stage", "type": "nominal", "title": None, "sort": [one.value for one in Stage]}
    layers: list[dict[str, Json]] = [
        {
            "mark": {"type": "rule", "strokeWidth": 2},
            "encoding": {"y": stage, "x": {"field": "low", "title": "wrong", **_SHARE}, "x2": {"field": "high"}},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 80, "tooltip": True},
            "encoding": {"y": stage, "x": {"field": "error", **_SHARE}},
        },
    ]
    if tolerance is not None:
        layers.append(
            {
                "data": {"values": [{"tolerance": tolerance}]},
                "mark": {"type": "rule", "strokeDash": [5, 4], "color": "#b4471f", "tooltip": True},
                "encoding": {"x": {"field": "tolerance", **_SHARE}},
            }
        )
    return _chart(points, {"layer": layers}, height=40 + 36 * max(1, len(points)))


def effect_chart(decided: Sequence[Release]) -> dict[str, Json]:
    """The measured effect of each decision of the gate with its bounds; those not measured are left out."""
    points = [
        {
            "day": f"{one.at:%Y-%m-%d %H:%M}",
            "effect": one.evidence.effect,
            "low": one.evidence.lower,
            "high": one.evidence.upper,
            "decision": one.decision.value,
            "n": one.evidence.n,
        }
        for one in decided
        if one.evidence.effect is not None
    ]
    day = {"field": "day", "type": "ordinal", "title": None}
    colour = {"field": "decision", "type": "nominal", "title": None, "legend": {"orient": "top"}}
    return _chart(
        points,
        {
            "layer": [
                {
                    "mark": {"type": "rule", "strokeWidth": 2},
                    "encoding": {
                        "x": day,
                        "y": {"field": "low", "title": "effect", **_SHARE},
                        "y2": {"field": "high"},
                        "color": colour,
                    },
                },
                {
                    "mark": {"type": "point", "filled": True, "size": 70, "tooltip": True},
                    "encoding": {"x": day, "y": {"field": "effect", **_SHARE}, "color": colour},
                },
                {
                    "data": {"values": [{"zero": 0}]},
                    "mark": {"type": "rule", "strokeDash": [2, 3]},
                    "encoding": {"y": {"field": "zero", "type": "quantitative"}},
                },
            ]
        },
    )


def swap_chart(report: SwapReport | None) -> dict[str, Json]:
    """The share right with the policy and without it, by generalist, with intervals; empty before the first test."""
    ways = [
        (one.generalist, name, way)
        for one in (report.uplifts if report else ())
        for name, way in (("with the policy", one.ran), ("without", one.without))
    ]
    points = [
        {
            "generalist": generalist,
            "way": name,
            "right": way.right,
            "low": way.interval.low if way.interval else None,
            "high": way.interval.high if way.interval else None,
        }
        for generalist, name, way in ways
    ]
    shared = {
        "y": {"field": "generalist", "type": "nominal", "title": None, "sort": None},
        "yOffset": {"field": "way"},
        "color": {"field": "way", "type": "nominal", "title": None, "legend": {"orient": "top"}},
    }
    right = {"field": "right", "title": "right", "scale": {"domain": [0, 1]}, **_SHARE}
    layers = [
        {
            "mark": {"type": "rule", "strokeWidth": 2},
            "encoding": {**shared, "x": {**right, "field": "low"}, "x2": {"field": "high"}},
        },
        {"mark": {"type": "point", "filled": True, "size": 80, "tooltip": True}, "encoding": {**shared, "x": right}},
    ]
    return _chart(points, {"layer": layers}, height=60 + 28 * max(1, len(points)))


def _chart(points: Sequence[Mapping[str, Json]], drawn: Mapping[str, Json], height: int = 240) -> dict[str, Json]:
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "data": {"values": list(points)},
        **drawn,
        "width": "container",
        "height": height,
        "config": {"background": "transparent"},
    }
