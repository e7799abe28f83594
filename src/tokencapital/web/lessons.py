"""The page of the playbook: one lesson at a time with what it came from, decided on by one key."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tokencapital.app.guard import READERS
from tokencapital.app.lessons import (
    ByHand,
    Listed,
    approve,
    playbook,
    propose_by_hand,
    reject,
    retire,
    sources_of,
)
from tokencapital.app.platform import Platform
from tokencapital.app.settling import may_settle
from tokencapital.core.errors import AccessRefused, InputError, StoreConflict
from tokencapital.core.lesson import HOLDS_FOR, LONGEST, LessonState
from tokencapital.store.lessons import read_lesson
from tokencapital.web.pages import Form, Pages, Visitor
from tokencapital.web.people import who_acts

_MOST_REASON = 500
_SAID = {
    "proposed": "Proposed. It is shown to nobody until somebody approves it.",
    "approved": "Approved. The gate tries it at the next turn of the loop.",
    "rejected": "Turned down.",
    "retired": "Retired. The next request is answered without it.",
}


class LessonPages:
    """Where lessons are proposed and decided on."""

    def __init__(self, platform: Platform, pages: Pages) -> None:
        self._platform = platform
        self._pages = pages

    def routes(self) -> list[BaseRoute]:
        """What the site mounts."""
        return [
            self._pages.route("/lessons/{capability}", self.lessons, READERS),
            self._pages.route("/lessons/{capability}", self.decide, READERS, methods=["POST"]),
            self._pages.route("/lessons/{capability}/new", self.propose, READERS, methods=["POST"]),
        ]

    async def lessons(self, request: Request) -> Response:
        """The lesson that the address names, else one that waits for a decision; and the list of all."""
        return self._page(request, self._pages.visitor(request))

    async def decide(self, request: Request) -> Response:
        """What was decided on a lesson holds from the next request on. Raises AccessRefused for who may not."""
        visitor, form = await self._pages.form(request)
        if not self._may_decide(request, visitor):
            raise AccessRefused("only the owner, an engineer or an admin decides on lessons")
        try:
            by = who_acts(visitor, form)
            return self._onward(request, visitor, self._decided(_of(request), form, by), by)
        except (InputError, StoreConflict) as error:
            return self._page(request, visitor, fault=str(error), typed=form)

    async def propose(self, request: Request) -> Response:
        """A lesson in a person's own words waits for a decision."""
        visitor, form = await self._pages.form(request)
        place, by = self._platform.workplace(_of(request)), who_acts(visitor, form)
        try:
            propose_by_hand(place, ByHand(text=form.get("new", ""), by=by))
        except InputError as error:
            return self._page(request, visitor, fault=str(error), typed=form)
        return self._onward(request, visitor, LessonState.PROPOSED, by)

    def _decided(self, capability: str, form: Form, by: str) -> LessonState:
        if not by:
            raise InputError("a decision needs the name of who takes it", where="by")
        known = read_lesson(self._platform.store, form.get("lesson", ""))
        if known is None or known.capability != capability:
            raise InputError(f"`{capability}` has no such lesson", where="lesson")
        lesson, reason = known.id, form.get("reason", "")[:_MOST_REASON] or None
        match form.get("act"):
            case "approve":
                approve(self._platform, lesson, by, _days(form), form.get("text") or None)
                return LessonState.APPROVED
            case "reject":
                reject(self._platform, lesson, by, reason)
                return LessonState.REJECTED
            case "retire":
                retire(self._platform, lesson, by, reason)
                return LessonState.RETIRED
        raise InputError("a lesson is approved, turned down or retired", remedy="Open the page again and repeat.")

    def _page(self, request: Request, visitor: Visitor, *, fault: str = "", typed: Form | None = None) -> Response:
        place = self._platform.workplace(_of(request))
        book = playbook(place)
        typed = typed or {}
        at = typed.get("lesson") or request.query_params.get("at", "")
        order = _order(book.lessons)
        current = next((one for one in order if one.lesson.id == at), order[0] if order else None)
        facts = {
            "capability": place.capability,
            "here": _path(request),
            "book": book,
            "order": order,
            "current": current,
            "sources": sources_of(place, current.lesson) if current else [],
            "following": _following(order, current),
            "waiting": len(book.of(LessonState.PROPOSED)),
            "may_decide": self._may_decide(request, visitor),
            "generalist": place.parts.generalist.name if place.parts.generalist else None,
            "said": "" if fault else _SAID.get(request.query_params.get("said", ""), ""),
            "fault": fault,
            "typed": {"text": "", "new": "", "by": "", "reason": "", "days": "", **typed},
            "days": HOLDS_FOR.days,
            "longest": LONGEST,
        }
        return self._pages.render(request, "lessons.html", facts, 422 if fault else 200)

    def _may_decide(self, request: Request, visitor: Visitor) -> bool:
        return visitor.open or may_settle(self._platform, _of(request), visitor.expert, visitor.roles)

    def _onward(self, request: Request, visitor: Visitor, state: LessonState, by: str) -> Response:
        """The page again; the browser of an open house keeps the pseudonym that was told."""
        told = by if visitor.open and visitor.expert is None else None
        return self._pages.onward(request, f"{_path(request)}?{urlencode({'said': state.value})}", expert=told)


def _order(listed: Sequence[Listed]) -> list[Listed]:
    """Those that wait for a decision first, most entities first; then those that are marked; then the rest."""
    return sorted(
        listed,
        key=lambda one: (one.state is not LessonState.PROPOSED, not one.marks, not one.holds, -one.lesson.entities),
    )


def _following(order: Sequence[Listed], current: Listed | None) -> str:
    """The id of the lesson after the one that is shown, around the end; empty: there is no other."""
    ids = [one.lesson.id for one in order]
    if current is None or len(ids) < 2:
        return ""
    return ids[(ids.index(current.lesson.id) + 1) % len(ids)]


def _path(request: Request) -> str:
    return f"/lessons/{quote(_of(request), safe='')}"


def _days(form: Form) -> int | None:
    days = form.get("days", "")
    if days and not days.isdecimal():
        raise InputError(f"{days!r} is no number of days", where="days")
    return int(days[:6]) if days else None


def _of(request: Request) -> str:
    return str(request.path_params["capability"])
