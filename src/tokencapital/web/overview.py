"""The pages that say how things stand: the house, a capability, a run."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from tokencapital.app.explaining import precedents
from tokencapital.app.platform import Platform
from tokencapital.app.reports import report_on_capabilities
from tokencapital.core.case import Json
from tokencapital.core.errors import InputError
from tokencapital.core.people import ANYBODY, Role
from tokencapital.store.cases import read_case, read_trajectory, recent_trajectories
from tokencapital.store.draws import open_draws
from tokencapital.store.releases import releases
from tokencapital.store.turns import Turn, turns
from tokencapital.web.pages import Pages

_RUNS = 20
READERS = frozenset({Role.EXPERT, Role.ENGINEER, Role.ADMIN})
"""Who may read what customers wrote."""


class OverviewPages:
    """What there is to see."""

    def __init__(self, platform: Platform, pages: Pages) -> None:
        self._platform = platform
        self._pages = pages

    def routes(self) -> list[BaseRoute]:
        """What the site mounts."""
        return [
            self._pages.route("/", self.home, ANYBODY),
            self._pages.route("/capability/{capability}", self.capability, ANYBODY),
            self._pages.route("/capability/{capability}/curve.json", self.curve, ANYBODY),
            self._pages.route("/run/{trajectory}", self.run, READERS),
        ]

    async def home(self, request: Request) -> Response:
        """The loop at a glance."""
        reports = report_on_capabilities(self._platform)
        waiting = {one.capability: len(open_draws(self._platform.store, one.capability)) for one in reports}
        return self._pages.render(request, "home.html", {"reports": reports, "waiting": waiting})

    async def capability(self, request: Request) -> Response:
        """One capability: its curve, its promise, its releases with their evidence."""
        place = self._platform.workplace(request.path_params["capability"])
        facts = {
            "report": report_on_capabilities(self._platform, place.name)[0],
            "goal": place.goal,
            "contract": place.capability.contract,
            "releases": list(reversed(releases(place.store, place.name))),
            "turns": turns(place.store, place.name),
            "runs": recent_trajectories(place.store, place.name, _RUNS),
            "waiting": len(open_draws(place.store, place.name)),
        }
        return self._pages.render(request, "capability.html", facts)

    async def curve(self, request: Request) -> Response:
        """The learning curve as a Vega-Lite chart."""
        place = self._platform.workplace(request.path_params["capability"])
        return JSONResponse(curve_chart(turns(place.store, place.name)))

    async def run(self, request: Request) -> Response:
        """One run: what was said, who answered, what it cost, what it rests on, and judged cases like it."""
        trajectory = read_trajectory(self._platform.store, request.path_params["trajectory"])
        if trajectory is None:
            raise InputError(f"no run {request.path_params['trajectory']} is stored")
        case = read_case(self._platform.store, trajectory.case)
        place = self._platform.workplace(trajectory.capability)
        facts = {"done": trajectory, "case": case, "precedents": precedents(place, case) if case else []}
        return self._pages.render(request, "run.html", facts)


def curve_chart(played: Sequence[Turn]) -> dict[str, Json]:
    """The share of right answers by judgments made, turn by turn; turns where nothing is known are left out."""
    points = [
        {"turn": one.number, "judgments": one.judgments, "right": one.facts["accuracy"]}
        for one in played
        if one.facts.get("accuracy") is not None
    ]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "data": {"values": msgspec.to_builtins(points)},
        "mark": {"type": "line", "point": True, "tooltip": True},
        "encoding": {
            "x": {"field": "judgments", "type": "quantitative", "title": "judgments made"},
            "y": {
                "field": "right",
                "type": "quantitative",
                "title": "right on the newest cases",
                "axis": {"format": "%"},
                "scale": {"domain": [0, 1]},
            },
        },
        "width": "container",
        "height": 240,
        "config": {"background": "transparent"},
    }
