"""The review page: one case, one proposed answer with its reasons, one key to say what is right."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tokencapital.app.desk import Desk, Progress, Task
from tokencapital.app.grounds import citable, grounds_of, source_of
from tokencapital.app.impact import Impact, impact_since, monday
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.suggesting import LabelUse, Suggestion, suggest_labels
from tokencapital.app.telling import NoticeGap
from tokencapital.core.answer import Trajectory
from tokencapital.core.case import Case, ContractKind
from tokencapital.core.errors import ContractViolation, InputError, StoreConflict
from tokencapital.core.judgment import Judgment, Verdict
from tokencapital.core.people import Role
from tokencapital.store.bases import basis_of
from tokencapital.store.cases import read_trajectory
from tokencapital.store.contributors import read_contributor
from tokencapital.store.judgments import find_judgments
from tokencapital.store.notices import notices
from tokencapital.web.judging import (
    VERDICT_WORDS,
    Known,
    Reading,
    Typed,
    form_of,
    read_judgment,
    read_typed,
    read_verdict,
    typed_again,
)
from tokencapital.web.pages import Pages, own_path, shown
from tokencapital.web.worddiff import word_diff

_MOST_LENGTH = 64
_LATE = "Somebody else judged this case meanwhile, or has it in hand."
_EVERY = 10
_NOTHING = "nothing"
_TEXTS = frozenset({ContractKind.TEXT, ContractKind.TOOLS})
JUDGES = frozenset({Role.EXPERT, Role.ADMIN})
"""Who may judge."""


class ReviewPages:
    """Where experts judge."""

    def __init__(self, platform: Platform, pages: Pages) -> None:
        self._platform = platform
        self._pages = pages
        self._desk = Desk(platform)
        self._uses: dict[str, LabelUse] = {}

    def routes(self) -> list[BaseRoute]:
        """What the site mounts."""
        return [
            self._pages.route("/review/{capability}", self.show, JUDGES),
            self._pages.route("/review/{capability}", self.judge, JUDGES, methods=["POST"]),
            self._pages.route("/review/{capability}/undo", self.undo, JUDGES, methods=["POST"]),
            self._pages.route("/review/{capability}/said/{judgment}", self.compare, JUDGES),
            self._pages.route("/me", self.introduce, JUDGES, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The next case for this expert; without a pseudonym, the question for one."""
        expert = self._pages.visitor(request).expert
        if expert is None:
            return self._render(request, _View(expert=None))
        task = self._desk.next(request.path_params["capability"], expert)
        said = self._own(request.query_params.get("said", ""), expert)
        taken_back = request.query_params.get("undone", "")
        undone = self._own(taken_back, expert)
        told = "You have said nothing here today that could be taken back." if taken_back == _NOTHING else ""
        view = _View(expert=expert, task=task, said=told or _told(said, undone), judged=said is not None)
        if task is not None and undone is not None and undone.case == task.waiting.case:
            basis = basis_of(self._platform.store, undone.id)
            return self._render(request, replace(view, reading=typed_again(task, undone, basis)))
        return self._render(request, view)

    async def introduce(self, request: Request) -> Response:
        """The pseudonym that this browser's judgments carry is kept."""
        _, form = await self._pages.form(request)
        name = form.get("expert", "")
        if not name or len(name) > _MOST_LENGTH or not name.isprintable():
            raise InputError(f"a pseudonym has 1 to {_MOST_LENGTH} printable characters", where="expert")
        return self._pages.onward(request, own_path(form.get("onward", "")), expert=name)

    async def judge(self, request: Request) -> Response:
        """What the expert said is stored, and the next case comes; after a blind one, what the machine said."""
        visitor, form = await self._pages.form(request)
        capability, expert, verdict, typed = _of(request), visitor.expert, read_verdict(form), read_typed(form)
        if expert is None or verdict is None:
            raise InputError("a judgment needs an expert and a verdict", remedy="Open the page again and repeat.")
        task = self._desk.task(capability, form.get("draw", ""), expert)
        if task is None:
            return self._late(request, verdict, typed)
        reading = read_judgment(task, expert, verdict, typed, Known(self._labels(task), self._citable(task)))
        if reading.refused:
            return self._render(request, _View(expert=expert, task=task, reading=reading), 422)
        try:
            accepted = self._desk.say(task, reading.saying)
        except StoreConflict:
            return self._late(request, verdict, typed)
        except ContractViolation as error:
            reading = replace(reading, fault=str(error))
            return self._render(request, _View(expert=expert, task=task, reading=reading), 422)
        stored, own = accepted.judgment, f"/review/{quote(capability, safe='')}"
        if task.blind and stored.verdict.answers:
            return self._pages.onward(request, f"{own}/said/{quote(stored.id, safe='')}")
        return self._pages.onward(request, f"{own}?{urlencode({'said': stored.id})}")

    async def undo(self, request: Request) -> Response:
        """The expert's newest judgment here is withdrawn, and its case is asked again as it was answered."""
        visitor, _ = await self._pages.form(request)
        capability = _of(request)
        undone = self._desk.undo(capability, visitor.expert) if visitor.expert else None
        query = urlencode({"undone": undone or _NOTHING})
        return self._pages.onward(request, f"/review/{quote(capability, safe='')}?{query}")

    async def compare(self, request: Request) -> Response:
        """What the expert said blindly beside what the machine says. Raises InputError for another's judgment."""
        expert, judgment = self._pages.visitor(request).expert, request.path_params["judgment"]
        said, found = self._own(judgment, expert), self._desk.compare(judgment)
        if said is None or found is None:
            raise InputError(f"you gave no blind judgment {judgment}")
        place = self._platform.workplace(said.capability)
        facts = {"found": found, "reason": said.reason, "grounds": grounds_of(place, None, found.precedents, ())}
        return self._pages.render(request, "review_said.html", facts | {"path_of_review": _path(request)})

    def _own(self, judgment: str, expert: str | None) -> Judgment | None:
        """The judgment, if this expert gave it."""
        said = find_judgments(self._platform.store, [judgment]).get(judgment) if judgment else None
        return said if said is not None and said.expert == expert else None

    def _labels(self, task: Task) -> tuple[str, ...]:
        return self._desk.labels(task.waiting.capability) if task.waiting.kind is ContractKind.LABEL else ()

    def _citable(self, task: Task) -> frozenset[str]:
        return citable(self._done(task), task.passages)

    def _done(self, task: Task) -> Trajectory | None:
        """What was done on the case last; None: nothing, or nothing that may be seen."""
        run = task.waiting.trajectory
        return read_trajectory(self._platform.store, run) if run else None

    def _late(self, request: Request, verdict: Verdict, typed: Typed) -> Response:
        facts = {"message": _LATE, "verdict": VERDICT_WORDS[verdict], "typed": typed.words()}
        return self._pages.render(request, "review_late.html", facts | {"path_of_review": _path(request)}, 409)

    def _render(self, request: Request, view: _View, status: int = 200) -> Response:
        place = self._platform.workplace(_of(request))
        progress = self._desk.progress(place.name, view.expert) if view.expert else None
        facts: dict[str, Any] = {
            "capability": place.capability,
            "goal": place.goal,
            "path_of_review": _path(request),
            "expert": view.expert,
            "progress": progress,
            "said": view.said,
            "task": view.task,
            "impact": self._impact(view, progress),
            "notice_gaps": self._gaps(place, view.expert),
        }
        if view.task is None:
            facts["elsewhere"] = self._elsewhere(place, view.expert)
        else:
            facts |= self._task_facts(place, view.task, view.reading)
        return self._pages.render(request, "review.html", facts, status)

    def _task_facts(self, place: Workplace, task: Task, reading: Reading | None) -> dict[str, Any]:
        waiting = task.waiting
        done = self._done(task)
        typed = reading.typed if reading else Typed(answer=_begin(task))
        form = form_of(task)
        proposed = waiting.proposed if waiting.kind in _TEXTS and isinstance(waiting.proposed, str) else typed.answer
        return {
            "typed": typed,
            "is_typed": reading is not None,
            "fault": reading.fault if reading else "",
            "fields": (reading.fields if reading else ()) or form.fields(),
            "open_fields": form.open,
            "field_confidence": (done.answer.fields if done else None) or {},
            "source": source_of(done),
            "marks": task.marks,
            "grounds": grounds_of(place, done, task.precedents, task.passages),
            "labels": self._suggestions(place, task),
            "pieces": word_diff(proposed, typed.answer) if proposed != typed.answer else (),
        }

    def _suggestions(self, place: Workplace, task: Task) -> list[Suggestion]:
        waiting = task.waiting
        if waiting.kind is not ContractKind.LABEL:
            return []
        use = self._uses.setdefault(place.name, LabelUse(place.engine.memory))
        case = Case(
            id=waiting.case,
            capability=place.name,
            group="",
            at=task.shown_at,
            messages=waiting.messages,
            context=waiting.context,
        )
        proposed = waiting.proposed if isinstance(waiting.proposed, str) else None
        return suggest_labels(place, use, self._labels(task), None if task.blind else case, proposed)

    def _impact(self, view: _View, progress: Progress | None) -> Impact | None:
        """What the expert's judgments did this week, where nothing waits and after every tenth of a day."""
        tenth = view.judged and progress is not None and progress.today % _EVERY == 0
        if view.expert is None or not (view.task is None or tenth):
            return None
        return impact_since(self._platform, view.expert, monday(self._platform.clock.now()))

    def _gaps(self, place: Workplace, expert: str | None) -> list[NoticeGap]:
        """What is wanting before the expert's judgments may teach."""
        if expert is None:
            return []
        group, now = read_contributor(place.store, expert).group, place.now()
        told = any(one.given_on <= now for one in notices(place.store, group))
        return [] if told else [NoticeGap(place.name, group, None)]

    def _elsewhere(self, here: Workplace, expert: str | None) -> list[tuple[str, int]]:
        """The other capabilities in which cases wait for the expert, with how many."""
        if expert is None:
            return []
        names = [one.name for one in self._platform.capabilities() if one.name != here.name]
        waiting = [(name, self._desk.progress(name, expert).open) for name in names]
        return [(name, count) for name, count in waiting if count]


class _View(Struct, frozen=True, kw_only=True):
    """What a page shows: who judges, the case, what was typed of it, and what was just `said` or taken back;
    `judged` where it follows on a judgment."""

    expert: str | None
    task: Task | None = None
    reading: Reading | None = None
    said: str = ""
    judged: bool = False


def _begin(task: Task) -> str:
    """What stands in the box before anybody typed: a text is changed where it stands, a label is chosen anew."""
    proposed = task.waiting.proposed
    return proposed if task.waiting.kind in _TEXTS and isinstance(proposed, str) else ""


def _told(said: Judgment | None, undone: Judgment | None) -> str:
    """What became of the last key, in words."""
    if undone is not None:
        return f"Taken back: {_words(undone)}. The machine has forgotten it."
    return f"Saved: {_words(said)}." if said is not None else ""


def _words(said: Judgment) -> str:
    answer = f" ({_short(shown(said.answer))})" if said.answer is not None else ""
    return f"{VERDICT_WORDS[said.verdict]}{answer}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:79]}…"


def _of(request: Request) -> str:
    return str(request.path_params["capability"])


def _path(request: Request) -> str:
    return f"/review/{quote(_of(request), safe='')}"
