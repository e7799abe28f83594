"""All pages of an open house, as routes that the served app mounts."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tokencapital.app.platform import Platform
from tokencapital.web.overview import OverviewPages
from tokencapital.web.pages import Pages
from tokencapital.web.review import ReviewPages

_KINDS = {"style.css": "text/css", "keys.js": "text/javascript", "charts.js": "text/javascript"}
_CHARTING = "vega.js"
_KEPT = {"cache-control": "public, max-age=3600", "x-content-type-options": "nosniff"}


def site_routes(platform: Platform) -> list[BaseRoute]:
    """The pages, and the files that they load."""
    pages = Pages(platform.store.key)
    return [
        *OverviewPages(platform, pages).routes(),
        *ReviewPages(platform, pages).routes(),
        Route("/static/{name}", _static, methods=["GET"]),
    ]


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name == _CHARTING:
        return Response(_charting(), media_type="text/javascript", headers=_KEPT)
    if name not in _KINDS:
        return Response("not found", 404)
    return Response(_packaged(name), media_type=_KINDS[name], headers=_KEPT)


@lru_cache
def _packaged(name: str) -> bytes:
    return files("tokencapital.web").joinpath("static", name).read_bytes()


@lru_cache(maxsize=1)
def _charting() -> str:
    """Vega-Lite with all that it needs, out of the package that also draws charts for reports."""
    import vl_convert

    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
