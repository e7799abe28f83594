"""Judgments over HTTP: what an expert said of a case or of an answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tokencapital.core.access import CALLER, Caller, Scope
from tokencapital.core.case import Json, Value
from tokencapital.core.clock import utc
from tokencapital.core.errors import AccessRefused, InputError, StoreUnavailable, TokenCapitalError
from tokencapital.core.judgment import Judgment, Verdict
from tokencapital.record.items import CREATED, Taken, answer_items, split_body
from tokencapital.review.judgments import Accepted

LONGEST_ID = 400
VOUCHED = "tcap.expert"
"""Where a request's scope names the pseudonym of who is logged in: they judge under no other."""


_NOBODY = Caller()
NO_REVIEWS = (
    "this key tells what people sent, `edited` or `sent_unchanged`, and does not judge: a `review` needs the scope"
    f" `{Scope.REVIEW}`"
)


class SaidKind(StrEnum):
    """How something was said: by a person who judged, or by the tool in which a draft was worked on with."""

    REVIEW = "review"
    EDITED = "edited"
    SENT_UNCHANGED = "sent_unchanged"


class Said(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A judgment: of a `trajectory`, of a `case`, or of the newest case under a business `key` of a `capability`.

    `answer` may be left out where the verdict is `right`: it is then what was answered. `draw` names the
    draw of the queue that this answers; without it the judgment is volunteered and proves nothing. `in_work`:
    nobody judged, somebody worked on with a `draft`. `id` makes it idempotent; None: a new one is given.
    """

    expert: str
    verdict: Verdict
    trajectory: str | None = None
    case: str | None = None
    key: str | None = None
    capability: str | None = None
    draw: str | None = None
    answer: Value = None
    reason: str | None = None
    minutes: float | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    id: str | None = None
    in_work: bool = False
    draft: Value = None

    def __post_init__(self) -> None:
        _check_subject(self.trajectory, self.case, self.key, self.capability)
        if not self.expert.strip():
            raise ValueError("`expert` is empty")
        if self.minutes is not None and not 0 <= self.minutes < 24 * 60:
            raise ValueError("`minutes` is not between 0 and a day")
        for moment in (self.valid_from, self.valid_until):
            if moment is not None:
                utc(moment)


class JudgmentBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A judgment as a person or an app sends it: of a `trajectory`, a `case`, or a business `key` with `capability`.

    `kind` `review` has a `verdict`; `answer` may be left out where it is `right`: it is then what was answered.
    `draw` names the draw of the queue that this answers; without it the judgment is volunteered and proves nothing.
    `edited` has the text as `sent`, and the `draft` that it was made of (left out: what was answered);
    `sent_unchanged` may have the `draft`. Both come from the tools where people work: nobody judged, so that they
    count for less than a review and prove nothing. `expert` is the pseudonym of whoever judged or sent it. `id` makes
    it idempotent.
    """

    expert: str
    kind: SaidKind = SaidKind.REVIEW
    verdict: Verdict | None = None
    trajectory: str | None = None
    case: str | None = None
    key: str | None = None
    capability: str | None = None
    draw: str | None = None
    answer: Value = None
    draft: Value = None
    sent: Value = None
    reason: str | None = None
    minutes: float | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    id: str | None = None

    def __post_init__(self) -> None:
        reviewed = self.kind is SaidKind.REVIEW
        if reviewed != (self.verdict is not None):
            raise ValueError("a `review` has a `verdict`" if reviewed else f"`{self.kind}` has no `verdict`")
        if not reviewed and (self.draw is not None or self.answer is not None):
            raise ValueError(f"`{self.kind}` has no `draw` and no `answer`: say what was `sent`")
        if (self.sent is not None) != (self.kind is SaidKind.EDITED):
            raise ValueError("`sent` is what was made of a draft that was `edited`")
        if reviewed and self.draft is not None:
            raise ValueError("a `review` has no `draft`")
        if self.id is not None and not 0 < len(self.id) <= LONGEST_ID:
            raise ValueError(f"`id` has 1 to {LONGEST_ID} characters")
        self.said()

    def said(self) -> Said:
        """What was said. A draft that was edited into itself was sent as it stood."""
        edited = self.kind is SaidKind.EDITED and self.sent != self.draft
        in_work = Verdict.CORRECTED if edited else Verdict.RIGHT
        return Said(
            expert=self.expert,
            verdict=self.verdict or in_work,
            trajectory=self.trajectory,
            case=self.case,
            key=self.key,
            capability=self.capability,
            draw=self.draw,
            answer=self.answer if self.kind is SaidKind.REVIEW else self.sent if edited else self.draft,
            reason=self.reason,
            minutes=self.minutes,
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            id=self.id,
            in_work=self.kind is not SaidKind.REVIEW,
            draft=self.draft,
        )


class _Sender(Struct, frozen=True):
    """Who sends judgments. `vouched` is the pseudonym of whoever is logged in; None: nobody is."""

    caller: Caller
    vouched: str | None


Judge = Callable[[Said], Accepted]
"""Stores what was said; the house knows the case's capability and how it was drawn."""


Explain = Callable[[Judgment], str | None]
"""Why a stored judgment may not teach; None: it may."""


class JudgmentRoutes:
    """Takes judgments down."""

    def __init__(self, judge: Judge, why_untaught: Explain) -> None:
        self._judge = judge
        self._why_untaught = why_untaught

    def routes(self) -> list[Route]:
        """What the platform mounts."""
        return [Route("/v1/judgments", self.post, methods=["POST"])]

    async def post(self, request: Request) -> Response:
        """One judgment or a list of up to 1,000, durable when this answers and heeded from the next request on.

        `teaches` is false where it is kept but may not teach; `why` then says what is missing, such as a notice.
        A list is answered item by item, in order, under `results`: 207 where some were refused.
        """
        items = split_body(await request.body(), JudgmentBody, "judgment")
        sender = _Sender(request.scope.get(CALLER, _NOBODY), request.scope.get(VOUCHED))
        results = await run_in_threadpool(lambda: [self._take(body, sender) for body in items.read])
        if not items.single:
            taken = [one.told["judgment"] for one in results if isinstance(one, Taken)]
            return await answer_items(request, results, {"recorded": taken})
        if isinstance(results[0], Exception):
            raise results[0]
        return JSONResponse(results[0].told, CREATED)

    def _take(self, body: JudgmentBody | InputError, sender: _Sender) -> Taken | TokenCapitalError:
        if isinstance(body, InputError):
            return body
        if sender.vouched is not None and body.expert != sender.vouched:
            return AccessRefused("`expert` is not the pseudonym of your account", where="judgment")
        if body.kind is SaidKind.REVIEW and not sender.caller.may(Scope.REVIEW):
            return AccessRefused(NO_REVIEWS, where="judgment")
        try:
            return Taken(self._told(self._judge(body.said())))
        except StoreUnavailable:
            raise
        except TokenCapitalError as error:
            return error

    def _told(self, accepted: Accepted) -> dict[str, Json]:
        why = self._why_untaught(accepted.judgment)
        return {
            "judgment": accepted.judgment.id,
            "memory": accepted.judgment.sequence,
            "drawn": accepted.judgment.drawn.value,
            "new_label": accepted.new_label,
            "teaches": why is None,
            **({} if why is None else {"why": why}),
        }


def _check_subject(trajectory: str | None, case: str | None, key: str | None, capability: str | None) -> None:
    if sum(name is not None for name in (trajectory, case, key)) != 1:
        raise ValueError("name either a `trajectory`, a `case`, or a business `key`")
    if key is not None and capability is None:
        raise ValueError("a business `key` needs its `capability`")
