"""Outcomes over HTTP: what the business saw, often late, by business key or by the name of what was done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tokencapital.core.call import UNSORTED
from tokencapital.core.clock import Clock, utc
from tokencapital.core.errors import (
    InputError,
    StoreConflict,
    StoreUnavailable,
    TokenCapitalError,
    UnknownCapability,
)
from tokencapital.core.ids import IdSource
from tokencapital.core.judgment import Outcome
from tokencapital.record.items import CREATED, Items, Taken, answer_items, split_body
from tokencapital.store.capabilities import read_capability
from tokencapital.store.database import Store
from tokencapital.store.outcomes import append_outcomes, known_outcomes
from tokencapital.store.steps import capabilities_of

LONGEST_NAME = 400
KeepAside = Callable[[Sequence[Outcome]], Awaitable[None]]
"""Keeps outcomes on this machine until the store is back."""
Clean = Callable[[str], str]


class OutcomeBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One outcome as a caller sends it: by business `key` and `capability`, or by `trajectory`.

    `value` null: asked for, not yet known. `id` makes it idempotent. A newer `at` supersedes what was said under the
    same name before. The trajectory may be recorded later; it may also be the id of one of its steps.
    """

    name: str
    value: bool | float | None
    capability: str | None = None
    key: str | None = None
    trajectory: str | None = None
    at: datetime | None = None
    id: str | None = None

    def __post_init__(self) -> None:
        if (self.key is None) == (self.trajectory is None):
            raise ValueError("name either a `key` or a `trajectory`")
        if self.key is not None and self.capability is None:
            raise ValueError("a business `key` needs its `capability`")
        for word in (self.name, self.key, self.trajectory, self.id):
            if word is not None and not 0 < len(word) <= LONGEST_NAME:
                raise ValueError(f"a name, key or id has 1 to {LONGEST_NAME} characters")
        if isinstance(self.value, float) and abs(self.value) == float("inf"):
            raise ValueError("`value` is not finite")
        if self.at is not None:
            utc(self.at)


class _Here(Struct, frozen=True):
    """What the store knows of what a body names: by id the capability of what was done, and which ones are declared."""

    done: Mapping[str, str]
    declared: frozenset[str]


class OutcomeRoutes:
    """Takes outcomes down. `aside` keeps them while the store is away; None: they are then refused. `clean` takes out
    of their names what may not be kept."""

    def __init__(
        self, store: Store, clock: Clock, ids: IdSource, aside: KeepAside | None = None, clean: Clean = str
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._aside = aside
        self._clean = clean

    def routes(self) -> list[Route]:
        """What the platform mounts."""
        return [Route("/v1/outcomes", self.post, methods=["POST"])]

    async def post(self, request: Request) -> Response:
        """One outcome or a list of up to 1,000, durable when this answers.

        A list is answered item by item, in order, under `results`: 207 where some were refused, which loses none
        of the others. 202 where the store is away and they wait on this machine's disk.
        """
        items = split_body(await request.body(), OutcomeBody, "outcome")
        try:
            results = await run_in_threadpool(self._record, items.read)
        except StoreUnavailable:
            if self._aside is None:
                raise
            return await self._keep_aside(items, self._aside)
        if items.single and isinstance(results[0], Exception):
            raise results[0]
        recorded = [one.told["id"] for one in results if isinstance(one, Taken)]
        if items.single:
            return JSONResponse({"recorded": recorded}, CREATED)
        return await answer_items(request, results, {"recorded": recorded})

    def _record(self, bodies: Sequence[OutcomeBody | InputError]) -> list[Taken | TokenCapitalError]:
        """What became of each; the good ones are stored together.

        One whose id is there already changes nothing; where it said something else then, it is refused.
        """
        results: list[Taken | TokenCapitalError] = []
        fresh: list[Outcome] = []
        with self._store.begin():
            good = [one for one in bodies if isinstance(one, OutcomeBody)]
            known, here = known_outcomes(self._store, [one.id for one in good if one.id]), self._here(good)
            for body in bodies:
                if isinstance(body, InputError):
                    results.append(body)
                    continue
                try:
                    outcome = self._outcome(body, _capability(body, here))
                except (InputError, StoreConflict) as error:
                    results.append(error)
                    continue
                earlier = known.setdefault(outcome.id, outcome)
                if earlier is outcome:
                    fresh.append(outcome)
                results.append(Taken({"id": outcome.id}) if _same(earlier, outcome, body) else _reused(outcome))
            append_outcomes(self._store, fresh)
        return results

    async def _keep_aside(self, items: Items[OutcomeBody], aside: KeepAside) -> Response:
        """They wait on disk under the capability that they name: the store cannot be asked about it."""
        outcomes = [
            self._outcome(one, one.capability or UNSORTED) for one in items.read if not isinstance(one, InputError)
        ]
        await aside(outcomes)
        refused = [str(one) for one in items.read if isinstance(one, InputError)]
        return JSONResponse({"waiting": [one.id for one in outcomes], "refused": refused}, 202)

    def _outcome(self, body: OutcomeBody, capability: str) -> Outcome:
        return Outcome(
            id=body.id or self._ids.new("out"),
            capability=capability,
            key=body.key or body.trajectory or "",
            name=self._clean(body.name),
            value=body.value,
            at=utc(body.at) if body.at else self._clock.now(),
        )

    def _here(self, bodies: Sequence[OutcomeBody]) -> _Here:
        named = {one.capability for one in bodies if one.capability is not None}
        declared = frozenset(name for name in named if read_capability(self._store, name) is not None)
        return _Here(capabilities_of(self._store, (one.trajectory for one in bodies if one.trajectory)), declared)


def _capability(body: OutcomeBody, here: _Here) -> str:
    """What the outcome is of. Raises UnknownCapability, and InputError where the trajectory is of another one."""
    done = here.done.get(body.trajectory or "")
    if body.capability is None:
        return done or UNSORTED
    if done is not None and done != body.capability:
        raise InputError(f"the trajectory is of the capability `{done}`", where=f"outcome {body.name}")
    if body.capability not in (UNSORTED, *here.declared):
        raise UnknownCapability(f"no capability is called `{body.capability}`", remedy="Add it to tokencapital.toml.")
    return body.capability


def _same(earlier: Outcome, told: Outcome, body: OutcomeBody) -> bool:
    return earlier == (told if body.at else msgspec.structs.replace(told, at=earlier.at))


def _reused(told: Outcome) -> StoreConflict:
    return StoreConflict("this id was used for another outcome", where=f"outcome {told.id}", remedy="Use another id.")
