"""The page of swap tests: what the policy is worth to one generalist and to another, and how much of it is portable."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from tokencapital.app.platform import Platform
from tokencapital.app.swapping import newest_report, next_due, scheduled
from tokencapital.core.people import Role
from tokencapital.promote.swap import report_of
from tokencapital.store.swaps import swap_tests
from tokencapital.web.charts import swap_chart
from tokencapital.web.pages import Pages

LOOKERS = frozenset({Role.ENGINEER, Role.FINANCE, Role.COUNCIL, Role.ADMIN})
"""Who decides on generalists, and who values what was learned."""
_EARLIER = 30


class SwapPages:
    """The newest swap test of a capability and those before it."""

    def __init__(self, platform: Platform, pages: Pages) -> None:
        self._platform = platform
        self._pages = pages

    def routes(self) -> list[BaseRoute]:
        """What the site mounts."""
        return [
            self._pages.route("/swap/{capability}", self.swap, LOOKERS),
            self._pages.route("/swap/{capability}/chart.json", self.chart, LOOKERS),
        ]

    async def swap(self, request: Request) -> Response:
        """The newest test with its intervals, when the next is due, and earlier ones."""
        place = self._platform.workplace(request.path_params["capability"])
        declared = scheduled(self._platform, place.name)
        tests = [(one, report_of(one.body)) for one in swap_tests(place.store, place.name)]
        facts = {
            "capability": place.name,
            "report": tests[-1][1] if tests else None,
            "earlier": tests[-2 : -_EARLIER - 2 : -1],
            "declared": declared,
            "due": next_due(place.store, place.name, declared.every_days) if declared else None,
            "now": place.now(),
        }
        return self._pages.render(request, "swap.html", facts)

    async def chart(self, request: Request) -> Response:
        """With and without the policy by generalist, as a Vega-Lite chart."""
        place = self._platform.workplace(request.path_params["capability"])
        return JSONResponse(swap_chart(newest_report(place.store, place.name)))
