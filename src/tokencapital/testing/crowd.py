"""Many people who judge at once, each with a browser session of their own, and what must be true afterwards."""

from __future__ import annotations

import asyncio
import html
import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, perf_counter, sleep
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import numpy as np
from msgspec import Struct
from sqlalchemy import select

from tokencapital.app.platform import Platform
from tokencapital.app.server import answering_engine
from tokencapital.core.case import Case, Message
from tokencapital.core.judgment import Judgment
from tokencapital.store.database import Store
from tokencapital.store.judgments import find_judgments
from tokencapital.store.queue import open_draws, recount
from tokencapital.store.rows import stands
from tokencapital.store.schema import judgment

if TYPE_CHECKING:
    from httpx2 import Client, Response

_AT_ONCE = 256
_NAME = "person-"
_HIDDEN = re.compile(r'name="(token|draw)" value="([^"]*)"')
_OPTION = re.compile(r'<option value="([^"]*)"')
_SERVER_MS = re.compile(r"app;dur=([0-9.]+)")


class Crowd(Struct, frozen=True, kw_only=True):
    """Who judges what at `address`: for so many seconds, with a pause of `pause_s` on average before each judgment.

    One in `twice_every` judgments is sent twice at the same time, as by somebody who presses a key twice; one
    in `undo_every` is taken back at once.
    """

    address: str
    capability: str
    people: int = 20
    seconds: float = 120.0
    pause_s: float = 0.0
    twice_every: int = 10
    undo_every: int = 25
    seed: int = 0


class Acknowledged(Struct, frozen=True):
    """A judgment that the house said it has: by its id, for `draw`, of a person; perhaps taken back since."""

    judgment: str
    draw: str
    person: str
    label: str
    undone: bool


class Heard(Struct, kw_only=True):
    """What people saw: judgments acknowledged, cases that were somebody else's by then, and what went wrong.

    `page_ms` and `server_ms` are the times of each page and of each judgment, as the person and as the server saw it.
    """

    acknowledged: list[Acknowledged]
    late: int = 0
    faults: list[str]
    page_ms: list[float]
    server_ms: list[float]


class Found(Struct, frozen=True, kw_only=True):
    """What the store says of what people heard.

    `judged_twice` are draws that two standing judgments answer, or that one person answered of one case;
    `lost` judgments were acknowledged and are not there as they were given; `unheard` ones are there and were
    acknowledged to nobody. `queue_off` are draws that wait though they were answered, or the other way round.
    """

    judged_twice: tuple[str, ...]
    lost: tuple[str, ...]
    unheard: tuple[str, ...]
    queue_off: tuple[str, ...]
    standing: int

    @property
    def faultless(self) -> bool:
        """Whether nothing was judged twice by mistake, lost, or made up."""
        return not (self.judged_twice or self.lost or self.unheard or self.queue_off)


def fill_queue(house: Platform, capability: str, cases: Sequence[Case]) -> None:
    """The cases were served and, by the goal's share, put before people."""
    engine = answering_engine(house.workplace(capability))

    async def serve() -> None:
        for start in range(0, len(cases), _AT_ONCE):
            await engine.answer_many(cases[start : start + _AT_ONCE])

    asyncio.run(serve())


def many_cases(house: Platform, capability: str, texts: Sequence[str], count: int) -> list[Case]:
    """So many cases of as many people, no two in the same words."""
    now = house.clock.now()
    return [
        Case(
            id=f"crowd-{number:06}",
            capability=capability,
            group=f"employee-{number:06}",
            at=now,
            messages=(Message("user", f"{texts[number % len(texts)]} (request {number})"),),
            key=f"crowd-{number:06}",
        )
        for number in range(count)
    ]


def judge_at_once(crowd: Crowd) -> Heard:
    """What all of the people saw until the time was over."""
    until = monotonic() + crowd.seconds
    with ThreadPoolExecutor(crowd.people) as pool:
        heard = list(pool.map(lambda number: _Person(crowd, number).judge(until), range(crowd.people)))
    return Heard(
        acknowledged=[one for them in heard for one in them.acknowledged],
        late=sum(them.late for them in heard),
        faults=[one for them in heard for one in them.faults],
        page_ms=[one for them in heard for one in them.page_ms],
        server_ms=[one for them in heard for one in them.server_ms],
    )


def check_store(store: Store, capability: str, heard: Heard) -> Found:
    """What the store says of what the people were told."""
    theirs = select(judgment.c.id, judgment.c.case_id, judgment.c.expert).where(
        judgment.c.capability == capability, judgment.c.expert.like(f"{_NAME}%"), stands()
    )
    with store.read() as connection:
        rows = list(connection.execute(theirs))
    told = {one.judgment: one for one in heard.acknowledged}
    kept, stored = {row.id for row in rows}, find_judgments(store, told)
    answered = Counter(one.draw for one in heard.acknowledged if not one.undone)
    by_person = Counter((row.case_id, row.expert) for row in rows)
    waiting, due = ({one.id for one in draws} for draws in (open_draws(store, capability), recount(store, capability)))
    return Found(
        judged_twice=tuple(
            sorted(
                {draw for draw, count in answered.items() if count > 1}
                | {f"{case} by {person}" for (case, person), count in by_person.items() if count > 1}
            )
        ),
        lost=tuple(
            name for name, one in told.items() if not _as_given(one, stored.get(name)) or (name in kept) == one.undone
        ),
        unheard=tuple(sorted(kept - set(told))),
        queue_off=tuple(sorted((waiting ^ due) | (waiting & set(answered)))),
        standing=len(rows),
    )


def _as_given(told: Acknowledged, stored: Judgment | None) -> bool:
    return stored is not None and (stored.expert, stored.answer) == (told.person, told.label)


class _Person:
    """One person at a browser."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        self._crowd = crowd
        self._name = f"{_NAME}{number:02}"
        self._rng = np.random.default_rng([crowd.seed, number])
        self._path = f"{crowd.address}/review/{crowd.capability}"
        self._heard = Heard(acknowledged=[], faults=[], page_ms=[], server_ms=[])

    def judge(self, until: float) -> Heard:
        """Page after page, until the time is over and something was said, or nothing waits."""
        import httpx2

        with httpx2.Client(timeout=30.0, cookies={"tcap_expert": self._name}) as client:
            page = self._timed(client, "GET")
            while monotonic() < until or not self._heard.acknowledged:
                if page.status_code != 200:
                    self._heard.faults.append(f"{page.status_code} from {page.url}: {page.text[:200]}")
                    break
                fields = dict(_HIDDEN.findall(page.text))
                if "draw" not in fields:
                    break
                sleep(self._rng.exponential(self._crowd.pause_s) if self._crowd.pause_s else 0.0)
                self._say(client, fields, page.text)
                page = self._timed(client, "GET")
        return self._heard

    def _say(self, client: Client, fields: dict[str, str], page: str) -> None:
        labels = [html.unescape(one) for one in _OPTION.findall(page)]
        label = labels[int(self._rng.integers(len(labels)))]
        form = {**fields, "verdict": "corrected", "answer": label, "new_label": label}
        if self._rng.integers(self._crowd.twice_every) == 0:
            with ThreadPoolExecutor(2) as both:
                answers = list(both.map(lambda _: self._timed(client, "POST", form), range(2)))
        else:
            answers = [self._timed(client, "POST", form)]
        said = [one for one in answers if one.status_code == 303]
        self._heard.late += sum(one.status_code == 409 for one in answers)
        self._heard.faults += [
            f"{one.status_code} to {form['draw']}: {one.text[:200]}"
            for one in answers
            if one.status_code not in (303, 409)
        ]
        for one in said:
            self._acknowledge(client, one, form)

    def _acknowledge(self, client: Client, answered: Response, form: dict[str, str]) -> None:
        name = parse_qs(urlsplit(answered.headers["location"]).query)["said"][0]
        undone = bool(self._rng.integers(self._crowd.undo_every) == 0)
        if undone:
            taken = client.post(f"{self._path}/undo", data={"token": form["token"]})
            undone = parse_qs(urlsplit(taken.headers["location"]).query)["undone"] == [name]
        self._heard.acknowledged.append(Acknowledged(name, form["draw"], self._name, form["answer"], undone))

    def _timed(self, client: Client, method: str, form: dict[str, str] | None = None) -> Response:
        started = perf_counter()
        answered = client.request(method, self._path, data=form)
        self._heard.page_ms.append(1_000 * (perf_counter() - started))
        told = _SERVER_MS.search(answered.headers.get("server-timing", ""))
        if told:
            self._heard.server_ms.append(float(told[1]))
        return answered
