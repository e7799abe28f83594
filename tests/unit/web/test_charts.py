"""Charts hold the figures of their tables, and are ones that Vega-Lite draws."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import vl_convert

from tokencapital.app.realized import Share
from tokencapital.core.answer import Stage
from tokencapital.core.policy import Decision, Evidence, Lane, Release
from tokencapital.stats.intervals import Interval
from tokencapital.store.turns import Turn
from tokencapital.web.charts import curve_chart, effect_chart, error_chart

AT = datetime(2026, 1, 5, tzinfo=UTC)


def turn(number: int, right: float | None) -> Turn:
    return Turn(
        capability="triage", number=number, at=AT, cases=9, judgments=number, memory=1, release=None,
        facts={"accuracy": right},
    )  # fmt: skip


def release(effect: float | None) -> Release:
    seen = Evidence(n=20, effect=effect, lower=-0.1, upper=0.4)
    return Release(
        id="rel", capability="triage", policy="p", at=AT, lane=Lane.CHANGE, decision=Decision.PROMOTED, evidence=seen
    )


def marks(chart: dict[str, Any]) -> str:
    return vl_convert.vegalite_to_svg(msgspec.json.encode(chart | {"width": 300}).decode())


def test_the_curve_leaves_out_what_is_unknown() -> None:
    chart = curve_chart([turn(1, None), turn(2, 0.5), turn(3, 0.75)])
    assert [(one["turn"], one["right"]) for one in chart["data"]["values"]] == [(2, 0.5), (3, 0.75)]
    assert "judgments made" in marks(chart)


@pytest.mark.parametrize("tolerance", [None, 0.1])
def test_errors_stand_beside_what_is_tolerated(tolerance: float | None) -> None:
    found = {Stage.RECALL: Share(40, 2, 0.05, Interval(0.01, 0.2, 0.95)), Stage.SPECIALIST: Share(1, 0, 0.0, None)}
    chart = error_chart(found, tolerance)
    assert [(one["stage"], one["error"], one["high"]) for one in chart["data"]["values"]] == [
        ("recall", 0.05, 0.2),
        ("specialist", 0.0, None),
    ]
    assert len(chart["layer"]) == (2 if tolerance is None else 3)
    assert "specialist" in marks(chart)


def test_effects_have_their_bounds() -> None:
    chart = effect_chart([release(None), release(0.2)])
    assert [(one["effect"], one["low"], one["high"]) for one in chart["data"]["values"]] == [(0.2, -0.1, 0.4)]
    assert "promoted" in marks(chart)
