"""The page of one run: what came in, what went out, what that cost, what it rests on and what came of it."""

from __future__ import annotations

from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tokencapital.app.erasing import Erasure, Ground, erase
from tokencapital.app.explaining import precedents
from tokencapital.app.guard import READERS
from tokencapital.app.lineage import consequences, grounds, take_back
from tokencapital.app.observing import in_all
from tokencapital.app.platform import Platform
from tokencapital.core.answer import Stage, Trajectory
from tokencapital.core.errors import InputError
from tokencapital.core.people import Role
from tokencapital.store.cases import read_case, read_trajectory, trajectories_of_case
from tokencapital.store.erasure import compact
from tokencapital.store.steps import steps_of
from tokencapital.web.pages import Pages

_JUDGES = frozenset({Role.EXPERT, Role.ADMIN})
_TOLD = {
    "taken_back": "Taken back. From the next request on it neither answers nor teaches.",
    "erased": "Erased. The chain of acts has it, and `tcap verify` shows that all counts still agree.",
}


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
            self._pages.route("/run/{trajectory}/erase", self.erase, frozenset({Role.ADMIN}), methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """One run: what was said, who answered, what it cost, and lineage both ways."""
        done = self._done(request)
        place = self._platform.workplace(done.capability)
        case = read_case(self._platform.store, done.case)
        steps = steps_of(place.store, [done.id]).get(done.id, [])
        visitor = self._pages.visitor(request)
        rests = grounds(place, done, precedents(place, case) if case else [])
        facts = {
            "of_capability": done.capability,
            "done": in_all(done, steps),
            "steps": steps,
            "case": case,
            "stages": stages_tried(done),
            "grounds": [one for one in rests if one.rests or one.run != done.id],
            "said": consequences(place, done.case),
            "others": [one for one in trajectories_of_case(place.store, done.case) if one.id != done.id],
            "mine": visitor.expert,
            "any": Role.ADMIN in visitor.roles,
            "told": _TOLD.get(request.query_params.get("told", ""), ""),
            "grounds_to_erase": [one.value for one in Ground],
        }
        return self._pages.render(request, "run.html", facts)

    async def retract(self, request: Request) -> Response:
        """A judgment of the case is taken back, and the page shown anew."""
        done = self._done(request)
        visitor, form = await self._pages.form(request)
        by = visitor.expert or visitor.login
        take_back(self._platform, form.get("judgment", ""), by=by, roles=visitor.roles, why=form.get("reason", ""))
        return self._pages.onward(request, f"/run/{quote(done.id, safe='')}?told=taken_back")

    async def erase(self, request: Request) -> Response:
        """The words of the case, or of all cases of its entity, are gone; what learned from them is made anew."""
        done = self._done(request)
        visitor, form = await self._pages.form(request)
        case, by = read_case(self._platform.store, done.case), visitor.expert or visitor.login
        if by is None or form.get("sure") != "yes":
            raise InputError("erasing needs a name and a yes", remedy="Tell your pseudonym, tick the box and repeat.")
        ground = next((one for one in Ground if one.value == form.get("ground")), Ground.REQUEST)
        if form.get("scope") == "group" and case is not None:
            asked = Erasure(by=by, group=case.group, ground=ground)
        else:
            asked = Erasure(by=by, case=done.case, ground=ground)
        await run_in_threadpool(erase, self._platform, asked)
        await run_in_threadpool(compact, self._platform.store)
        return self._pages.onward(request, f"/run/{quote(done.id, safe='')}?told=erased")

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
