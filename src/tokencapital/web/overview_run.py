"""The page of one run: what came in, what went out, what that cost, what it rests on and what came of it."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tokencapital.app.explaining import precedents
from tokencapital.app.lineage import consequences, grounds, take_back
from tokencapital.app.platform import Platform
from tokencapital.core.answer import Stage, Trajectory
from tokencapital.core.errors import InputError
from tokencapital.core.people import Role
from tokencapital.store.cases import read_case, read_trajectory, trajectories_of_case
from tokencapital.web.overview import READERS
from tokencapital.web.pages import Pages

_JUDGES = frozenset({Role.EXPERT, Role.ADMIN})


class RunPages:
    """What was done on one case."""

    def __init__(self, platform: Platform, pages: Pages) -> None:
        self._platform = platform
        self._pages = pages

    def routes(self) -> list[BaseRoute]:
        """What the site mounts."""
        return [
            self._pages.route("/run/{trajectory}", self.show, READERS),
            self._pages.route("/run/{trajectory}/retract", self.retract, _JUDGES, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """One run: what was said, who answered, what it cost, and lineage both ways."""
        done = self._done(request)
        place = self._platform.workplace(done.capability)
        case = read_case(self._platform.store, done.case)
        visitor = self._pages.visitor(request)
        facts = {
            "done": done,
            "case": case,
            "stages": stages_tried(done),
            "grounds": grounds(place, done, precedents(place, case) if case else []),
            "said": consequences(place, done.case),
            "others": [one for one in trajectories_of_case(place.store, done.case) if one.id != done.id],
            "mine": visitor.expert,
            "any": Role.ADMIN in visitor.roles,
            "taken_back": request.query_params.get("taken_back"),
        }
        return self._pages.render(request, "run.html", facts)

    async def retract(self, request: Request) -> Response:
        """A judgment of the case is taken back, and the page shown anew."""
        done = self._done(request)
        visitor, form = await self._pages.form(request)
        by = visitor.expert or visitor.login
        take_back(self._platform, form.get("judgment", ""), by=by, roles=visitor.roles, why=form.get("reason", ""))
        return self._pages.onward(request, f"/run/{quote(done.id, safe='')}?taken_back=yes")

    def _done(self, request: Request) -> Trajectory:
        done = read_trajectory(self._platform.store, request.path_params["trajectory"])
        if done is None:
            raise InputError(f"no run {request.path_params['trajectory']} is stored")
        return done


def stages_tried(done: Trajectory) -> list[tuple[Stage, str]]:
    """Each stage and what became of the case there, cheapest first."""
    answer = done.answer
    found: list[tuple[Stage, str]] = []
    for stage in Stage:
        if stage is answer.stage:
            found.append((stage, "is asked" if stage is Stage.PERSON else "answered"))
            break
        if stage is Stage.GENERALIST and done.generalist is None:
            outcome = "was not asked"
        elif stage is Stage.GENERALIST and done.failure is not None:
            outcome = "failed"
        elif stage is answer.source:
            outcome = "gave the best draft, not sure enough"
        else:
            outcome = "passed it on"
        found.append((stage, outcome))
    return found
