"""The page of conflicts: what colleagues disagree on, side by side, and a named owner who says which side holds."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tokencapital.app.desk import Desk
from tokencapital.app.platform import Platform
from tokencapital.app.settling import Conflict, Settlement, may_settle, open_conflicts, settle
from tokencapital.core.case import ContractKind, Json
from tokencapital.core.errors import AccessRefused, InputError, StoreConflict
from tokencapital.core.people import Role
from tokencapital.store.conflicts import newest_settled
from tokencapital.web.pages import Form, Pages, Visitor

_OTHER = "other"
_SETTLED_SHOWN = 20
READERS = frozenset({Role.EXPERT, Role.ENGINEER, Role.ADMIN})
"""Who may read what customers and colleagues wrote."""


class ConflictPages:
    """Where disagreements are settled."""

    def __init__(self, platform: Platform, pages: Pages) -> None:
        self._platform = platform
        self._pages = pages
        self._desk = Desk(platform)

    def routes(self) -> list[BaseRoute]:
        """What the site mounts."""
        return [
            self._pages.route("/conflicts/{capability}", self.show, READERS),
            self._pages.route("/conflicts/{capability}", self.settle, READERS, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The conflict that the address names, else the newest; and the list of all."""
        return self._page(request, self._pages.visitor(request), request.query_params.get("at", ""))

    async def settle(self, request: Request) -> Response:
        """What the owner decided holds from the next request on. Raises AccessRefused for anybody else."""
        visitor, form = await self._pages.form(request)
        capability, at = _of(request), form.get("conflict", "")
        if visitor.expert is None or not may_settle(self._platform, capability, visitor.expert, visitor.roles):
            raise AccessRefused("only the owner, an engineer or an admin settles conflicts")
        chosen, answer = form.get("side", ""), form.get("answer", "")
        other = chosen == _OTHER
        decided = Settlement(
            by=visitor.expert,
            judgment=None if other or not chosen else chosen,
            answer=(answer or None) if other else None,
            reason=form.get("reason", "") or None,
        )
        try:
            settle(self._platform, at, decided)
        except StoreConflict:
            return self._page(request, visitor, "", fault="Somebody else settled this conflict meanwhile.", status=409)
        except InputError as error:
            return self._page(request, visitor, at, fault=str(error), typed=form, status=422)
        return self._pages.onward(request, f"{_path(request)}?{urlencode({'settled': at})}")

    def _page(
        self,
        request: Request,
        visitor: Visitor,
        at: str,
        *,
        fault: str = "",
        typed: Form | None = None,
        status: int = 200,
    ) -> Response:
        capability = _of(request)
        place = self._platform.workplace(capability)
        waiting = open_conflicts(self._platform, capability, visitor.expert)
        shown = next((one for one in waiting if one.id == at), waiting[0] if waiting else None)
        labels = self._desk.labels(capability) if place.capability.contract.kind is ContractKind.LABEL else ()
        facts = {
            "capability": place.capability,
            "path_of_conflicts": _path(request),
            "waiting": waiting,
            "conflict": shown,
            "following": _following(waiting, shown),
            "differing": differing(shown) if shown else frozenset(),
            "settled": newest_settled(place.store, capability, _SETTLED_SHOWN),
            "just_settled": request.query_params.get("settled", "") if status == 200 else "",
            "may_settle": may_settle(self._platform, capability, visitor.expert, visitor.roles),
            "labels": labels,
            "fault": fault,
            "typed": {"side": "", "answer": "", "reason": "", **(typed or {})},
        }
        return self._pages.render(request, "conflicts.html", facts, status)


def differing(conflict: Conflict) -> frozenset[str]:
    """The names of the fields in which the sides differ; none where answers are no objects."""
    answers: list[dict[str, Json]] = [one.answer for one in conflict.sides if isinstance(one.answer, dict)]
    names = {name for answer in answers for name in answer}
    return frozenset(name for name in names if any(one.get(name) != answers[0].get(name) for one in answers))


def _following(waiting: Sequence[Conflict], shown: Conflict | None) -> str:
    """The id of the conflict after the one that is shown, around the end; empty: there is no other."""
    ids = [one.id for one in waiting]
    if shown is None or len(ids) < 2:
        return ""
    return ids[(ids.index(shown.id) + 1) % len(ids)]


def _of(request: Request) -> str:
    return str(request.path_params["capability"])


def _path(request: Request) -> str:
    return f"/conflicts/{quote(_of(request), safe='')}"
