"""The pages that say how things stand: the house, and a capability."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from tokencapital.app.glance import glance_at, loop_of, waits_of
from tokencapital.app.guard import READERS
from tokencapital.app.platform import Platform
from tokencapital.app.reports import Reports
from tokencapital.app.swapping import newest_report
from tokencapital.app.telling import notice_gaps
from tokencapital.core.answer import Stage
from tokencapital.core.case import Json
from tokencapital.core.people import ANYBODY, Role
from tokencapital.store.capabilities import mode_since
from tokencapital.store.cases import recent_trajectories
from tokencapital.store.releases import releases
from tokencapital.store.turns import turns
from tokencapital.web.charts import curve_chart, effect_chart, error_chart
from tokencapital.web.drawing import bar, spark
from tokencapital.web.pages import Pages

_RUNS, _DECISIONS = 15, 30


class OverviewPages:
    """How the house and its capabilities stand."""

    def __init__(self, platform: Platform, pages: Pages) -> None:
        self._platform = platform
        self._pages = pages
        self._reports = Reports(platform)

    def routes(self) -> list[BaseRoute]:
        """What the site mounts."""
        return [
            self._pages.route("/", self.home, ANYBODY),
            self._pages.route("/capability/{capability}", self.capability, ANYBODY),
            self._pages.route("/capability/{capability}/chart/{chart}", self.chart, ANYBODY),
        ]

    async def home(self, request: Request) -> Response:
        """The loop at a glance."""
        glances = glance_at(self._platform, self._reports)
        facts = {
            "glances": glances,
            "whole": loop_of(glances),
            "curves": {one.report.capability: spark(one.report.agreement or ()) for one in glances},
            "notice_gaps": [gap for one in glances for gap in one.gaps],
            "judges": bool({Role.EXPERT, Role.ADMIN} & self._pages.visitor(request).roles),
        }
        return self._pages.render(request, "home.html", facts)

    async def capability(self, request: Request) -> Response:
        """One capability: its curve, its promise and what became of it, its releases with their evidence."""
        place = self._platform.workplace(request.path_params["capability"])
        report = self._reports.on(place.name)
        decided = releases(place.store, place.name)
        reads = bool(READERS & self._pages.visitor(request).roles)
        facts = {
            "report": report,
            "since": mode_since(place.store, place.name),
            "goal": place.goal,
            "live_goal": place.goal is not None and place.goal.is_live(place.now()),
            "contract": place.capability.contract,
            "waits": waits_of(self._platform, place.name),
            "notice_gaps": notice_gaps(self._platform, place.name),
            "stages": bar({stage.value: count for stage, count in report.stages.items()}),
            "all_stages": list(Stage),
            "decided": decided[: -_DECISIONS - 1 : -1],
            "more_decided": max(0, len(decided) - _DECISIONS),
            "measured": any(one.evidence.effect is not None for one in decided[-_DECISIONS:]),
            "turns": turns(place.store, place.name),
            "swap": newest_report(place.store, place.name),
            "runs": recent_trajectories(place.store, place.name, _RUNS) if reads else [],
            "reads": reads,
        }
        return self._pages.render(request, "capability.html", facts)

    async def chart(self, request: Request) -> Response:
        """One of the capability's charts as a Vega-Lite specification; the page has its figures in a table."""
        place = self._platform.workplace(request.path_params["capability"])
        found: dict[str, Json]
        match request.path_params["chart"]:
            case "curve.json":
                found = curve_chart(turns(place.store, place.name))
            case "errors.json":
                found = error_chart(self._reports.on(place.name).errors, place.goal.tolerance if place.goal else None)
            case "effects.json":
                found = effect_chart(releases(place.store, place.name)[-_DECISIONS:])
            case _:
                return JSONResponse({"error": {"message": "there is no such chart"}}, 404)
        return JSONResponse(found, headers={"cache-control": "no-store"})
