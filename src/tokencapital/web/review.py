"""The review page: one case, one proposed answer with its reasons, one key to say what is right."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tokencapital.app.desk import Desk, Saying, Task
from tokencapital.app.platform import Platform
from tokencapital.core.case import ContractKind, Json
from tokencapital.core.errors import ContractViolation, InputError
from tokencapital.core.judgment import Verdict
from tokencapital.core.people import Role
from tokencapital.web.pages import Form, Pages, Visitor

_VERDICTS = {one.value: one for one in Verdict}
_MOST_LENGTH = 64
JUDGES = frozenset({Role.EXPERT, Role.ADMIN})
"""Who may judge."""


class ReviewPages:
    """Where experts judge."""

    def __init__(self, platform: Platform, pages: Pages) -> None:
        self._platform = platform
        self._pages = pages
        self._desk = Desk(platform)

    def routes(self) -> list[BaseRoute]:
        """What the site mounts."""
        return [
            self._pages.route("/review/{capability}", self.show, JUDGES),
            self._pages.route("/review/{capability}", self.judge, JUDGES, methods=["POST"]),
            self._pages.route("/review/{capability}/undo", self.undo, JUDGES, methods=["POST"]),
            self._pages.route("/me", self.introduce, JUDGES, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The next case for this expert; without a pseudonym, the question for one."""
        return self._page(request, self._pages.visitor(request))

    async def introduce(self, request: Request) -> Response:
        """The pseudonym that this browser's judgments carry is kept."""
        _, form = await self._pages.form(request)
        name = form.get("expert", "")
        if not name or len(name) > _MOST_LENGTH or not name.isprintable():
            raise InputError(f"a pseudonym has 1 to {_MOST_LENGTH} printable characters", where="expert")
        return self._pages.onward(request, _own_page(form.get("onward", "")), expert=name)

    async def judge(self, request: Request) -> Response:
        """What the expert said is stored, and the next case comes."""
        visitor, form = await self._pages.form(request)
        capability, expert = request.path_params["capability"], _expert(visitor)
        verdict = _VERDICTS.get(form.get("verdict", ""))
        if expert is None or verdict is None:
            raise InputError("a judgment needs an expert and a verdict", remedy="Open the page again and repeat.")
        task = self._desk.task(capability, form.get("draw", ""), expert)
        if task is None:
            return self._page(request, visitor, notice="Somebody else was faster: that case is judged already.")
        try:
            self._desk.say(
                task,
                Saying(
                    expert=expert,
                    verdict=verdict,
                    answer=self._answer(task, form),
                    reason=form.get("reason", "") or None,
                ),
            )
        except ContractViolation as error:
            return self._page(request, visitor, task=task, notice=str(error), status=422)
        return self._pages.onward(request, f"/review/{quote(capability)}")

    async def undo(self, request: Request) -> Response:
        """The expert's newest judgment here is withdrawn, and its case is asked again."""
        visitor, _ = await self._pages.form(request)
        capability, expert = request.path_params["capability"], _expert(visitor)
        if expert is not None:
            self._desk.undo(capability, expert)
        return self._pages.onward(request, f"/review/{quote(capability)}")

    def _page(
        self, request: Request, visitor: Visitor, *, task: Task | None = None, notice: str = "", status: int = 200
    ) -> Response:
        capability, expert = request.path_params["capability"], _expert(visitor)
        place = self._platform.workplace(capability)
        if task is None and expert is not None:
            task = self._desk.next(capability, expert)
        facts = {
            "capability": place.capability,
            "goal": place.goal,
            "expert": expert,
            "task": task,
            "labels": self._desk.labels(capability) if place.capability.contract.kind is ContractKind.LABEL else (),
            "progress": self._desk.progress(capability, expert) if expert else None,
            "notice": notice,
        }
        return self._pages.render(request, "review.html", facts, status)

    @staticmethod
    def _answer(task: Task, form: Form) -> str | None:
        """The correction as it is stored: a label or text as typed, an object of the fields that are filled in."""
        if task.waiting.kind is not ContractKind.FIELDS:
            return form.get("answer", "") or None
        proposed = task.waiting.proposed if isinstance(task.waiting.proposed, dict) else {}
        typed = {name: form.get(f"field.{name}", "") for name in task.fields}
        typed[form.get("new_field", "")] = form.get("new_value", "")
        filled = {name: field_value(text, proposed.get(name)) for name, text in typed.items() if name and text}
        return msgspec.json.encode(filled).decode()


def _expert(visitor: Visitor) -> str | None:
    return visitor.expert


def field_value(text: str, proposed: Json) -> Json:
    """What a field's text stands for: text where text was proposed, else JSON such as a number where it is some."""
    if proposed is None or isinstance(proposed, str):
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _own_page(path: str) -> str:
    """A path of this site; anything else leads home."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"
