"""Judgments over HTTP: what an expert said of a case or of an answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tokencapital.core.case import Value
from tokencapital.core.clock import utc
from tokencapital.core.errors import AccessRefused, InputError
from tokencapital.core.judgment import Judgment, Verdict
from tokencapital.review.judgments import Accepted

VOUCHED = "tcap.expert"
"""Where a request's scope names the pseudonym of who is logged in: they judge under no other."""


class Said(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A judgment as a person or an app sends it: of a `trajectory`, or of a `case`.

    `answer` may be left out where the verdict is `right`: it is then what was answered. `draw` names the
    draw of the queue that this answers; without it the judgment is volunteered and proves nothing.
    """

    expert: str
    verdict: Verdict
    trajectory: str | None = None
    case: str | None = None
    draw: str | None = None
    answer: Value = None
    reason: str | None = None
    minutes: float | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None

    def __post_init__(self) -> None:
        if (self.trajectory is None) == (self.case is None):
            raise ValueError("name either a `trajectory` or a `case`")
        if not self.expert.strip():
            raise ValueError("`expert` is empty")
        if self.minutes is not None and not 0 <= self.minutes < 24 * 60:
            raise ValueError("`minutes` is not between 0 and a day")
        for moment in (self.valid_from, self.valid_until):
            if moment is not None:
                utc(moment)


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
        """One judgment, durable when this answers and heeded from the next request on.

        `teaches` is false where it is kept but may not teach; `why` then says what is missing, such as a notice.
        """
        try:
            said = msgspec.json.decode(await request.body(), type=Said)
        except msgspec.MsgspecError as error:
            raise InputError(f"the body is no judgment: {error}") from error
        if request.scope.get(VOUCHED, said.expert) != said.expert:
            raise AccessRefused("`expert` is not the pseudonym of your account", where="judgment")
        accepted = self._judge(said)
        why = self._why_untaught(accepted.judgment)
        body = {
            "judgment": accepted.judgment.id,
            "memory": accepted.judgment.sequence,
            "drawn": accepted.judgment.drawn.value,
            "new_label": accepted.new_label,
            "teaches": why is None,
            **({} if why is None else {"why": why}),
        }
        return JSONResponse(body, 201)
