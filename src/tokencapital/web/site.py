"""All pages of an open house, as routes that the served app mounts."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tokencapital.app.openapi import OURS
from tokencapital.app.platform import Platform
from tokencapital.serve.gateway import refuse
from tokencapital.web.access import AccessPages
from tokencapital.web.conflicts import ConflictPages
from tokencapital.web.knowledge import KnowledgePages
from tokencapital.web.lessons import LessonPages
from tokencapital.web.me import OwnPages
from tokencapital.web.overview import OverviewPages
from tokencapital.web.overview_run import RunPages
from tokencapital.web.pages import Pages
from tokencapital.web.people import PeoplePages
from tokencapital.web.review import ReviewPages
from tokencapital.web.swap import SwapPages

_KINDS = {"css": "text/css", "js": "text/javascript"}
_FILES = frozenset(
    {"style.css", "review.css", "charts.js", "keys.js", "review.js", "picker.js", "diff.js", "conflicts.js"}
)
_MACHINES = (*OURS, "/static/")
_CHARTING = "vega.js"
_KEPT = {"cache-control": "public, max-age=3600", "x-content-type-options": "nosniff"}


class Site:
    """The pages of an open house."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._pages = Pages(platform.access)

    def routes(self) -> list[BaseRoute]:
        """The pages, and the files that they load."""
        return [
            *AccessPages(self._platform.access, self._pages).routes(),
            *OverviewPages(self._platform, self._pages).routes(),
            *RunPages(self._platform, self._pages).routes(),
            *ReviewPages(self._platform, self._pages).routes(),
            *ConflictPages(self._platform, self._pages).routes(),
            *LessonPages(self._platform, self._pages).routes(),
            *KnowledgePages(self._platform, self._pages).routes(),
            *SwapPages(self._platform, self._pages).routes(),
            *PeoplePages(self._platform, self._pages).routes(),
            *OwnPages(self._platform, self._pages).routes(),
            Route("/static/{name}", _static, methods=["GET"]),
        ]

    async def refuse(self, request: Request, error: Exception) -> Response:
        """Any error as a page for who reads pages, and as JSON for everybody else."""
        answer = await refuse(request, error)
        if request.url.path.startswith(_MACHINES) or "text/html" not in request.headers.get("accept", ""):
            return answer
        message = msgspec.json.decode(answer.body)["error"]["message"]
        return self._pages.render(request, "error.html", {"message": message}, answer.status_code)


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name == _CHARTING:
        return Response(await run_in_threadpool(_charting), media_type="text/javascript", headers=_KEPT)
    if name not in _FILES:
        return Response("not found", 404)
    return Response(_packaged(name), media_type=_KINDS[name.rpartition(".")[2]], headers=_KEPT)


@lru_cache
def _packaged(name: str) -> bytes:
    return files("tokencapital.web").joinpath("static", name).read_bytes()


@lru_cache(maxsize=1)
def _charting() -> str:
    """Vega-Lite with all that it needs, out of the package that also draws charts for reports; it takes seconds."""
    import vl_convert

    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
