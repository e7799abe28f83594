"""An expert's desk: the next case for them that nobody else has in hand, what was said of it, and undoing that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median

from msgspec import Struct

from tokencapital.app.blind import asks_blind
from tokencapital.app.explaining import Precedent, precedents
from tokencapital.app.judging import Manner, is_asked_of_others, judge, take_back
from tokencapital.app.knowing import passages_for
from tokencapital.app.offering import Offers
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.reviewing import Waiting, newest_answer, read_answer, waiting_of, without_answer
from tokencapital.core.case import Case, ContractKind, Json, Value
from tokencapital.core.errors import InputError
from tokencapital.core.judgment import Draw, Verdict
from tokencapital.core.knowledge import PassageHit
from tokencapital.review.judgments import Accepted
from tokencapital.review.routes import Said
from tokencapital.store.cases import read_case, trajectories_of_case
from tokencapital.store.experts import judged_since, newest_judgment
from tokencapital.store.judgments import find_judgments, read_judgments
from tokencapital.store.leases import Lease, lease_in_hand, take
from tokencapital.store.marks import Subject, marked, open_marks
from tokencapital.store.queue import count_open, find_open

LIKE, PASSAGES = 3, 3
"""At most so many judged cases and passages are shown beside a case."""
PAUSE = timedelta(minutes=30)
"""Who says nothing for so long has ended a session."""


class Task(Struct, frozen=True, kw_only=True):
    """A case on the desk, shown since `shown_at`.

    `fields` names what an object may hold, by its `schema` (None: none is declared), `precedents` are judged
    cases like it, `passages` what the company's documents say. Where it is asked `blind` nothing of the
    machine's is in it, and `marks` names what rests on words that have changed since.
    """

    waiting: Waiting
    schema: dict[str, Json] | None
    fields: tuple[str, ...]
    precedents: tuple[Precedent, ...]
    passages: tuple[PassageHit, ...]
    blind: bool
    marks: tuple[str, ...]
    shown_at: datetime


class Saying(Struct, frozen=True, kw_only=True):
    """What an expert says of a task.

    `answer` is a label, a text, or a JSON object (None: none is given). `minutes` None: they are measured from
    when the task was first shown. `basis` are the passages that it rests on.
    """

    expert: str
    verdict: Verdict
    answer: str | None = None
    reason: str | None = None
    minutes: float | None = None
    basis: tuple[str, ...] = ()


class Progress(Struct, frozen=True, kw_only=True):
    """How far an expert is: judged `today` and since the last long pause, how many cases are `open`, and the
    median seconds of a judgment today (None: none was timed)."""

    today: int
    session: int
    open: int
    typical_s: float | None


class Comparison(Struct, frozen=True, kw_only=True):
    """What somebody said blindly beside what the machine says. `machine` None: it has no answer."""

    judgment: str
    said: Value
    machine: Value
    source: str | None
    confidence: float | None
    precedents: tuple[Precedent, ...]

    @property
    def agree(self) -> bool:
        """Whether both say the same."""
        return self.said == self.machine


class Desk:
    """Where experts get cases and say what is right."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._offers = Offers()

    def next(self, capability: str, expert: str) -> Task | None:
        """The case that this expert has in hand, else the best one for them to judge; None: nothing waits for them."""
        place = self._platform.workplace(capability)
        held = lease_in_hand(place.store, capability, expert, place.now()) or self._offers.take(place, expert)
        asked = find_open(place.store, held.draw) if held else None
        return self._task(place, asked, held) if asked and held else None

    def task(self, capability: str, draw: str, expert: str) -> Task | None:
        """The open draw's case, now in this expert's hand; None: it was answered, or is in somebody else's."""
        place = self._platform.workplace(capability)
        asked = find_open(place.store, draw)
        if asked is None or asked.capability != capability or asked.asked_of not in (None, expert):
            return None
        if is_asked_of_others(place, asked, expert):
            return None
        held = take(place.store, [draw], expert, place.now())
        return self._task(place, asked, held) if held else None

    def say(self, task: Task, saying: Saying) -> Accepted:
        """What the expert said is stored and heeded from the next request on, and the case leaves their hand.

        Raises ContractViolation where the answer does not fit, StoreConflict where somebody was faster.
        """
        place, verdict = self._platform.workplace(task.waiting.capability), saying.verdict
        said = read_answer(task.waiting.kind, verdict, saying.answer)
        value = task.waiting.proposed if verdict is Verdict.RIGHT and not task.blind else said
        if task.blind and verdict.answers:
            verdict = Verdict.RIGHT if value == newest_answer(place, task.waiting.case) else Verdict.CORRECTED
        taken = Said(
            expert=saying.expert,
            verdict=verdict,
            case=task.waiting.case,
            draw=task.waiting.draw,
            answer=value,
            reason=saying.reason,
            minutes=saying.minutes,
        )
        return judge(self._platform, taken, Manner(blind=task.blind, basis=saying.basis))

    def undo(self, capability: str, expert: str) -> str | None:
        """The expert's newest judgment of today is withdrawn and its case is in their hand again; None: there is none.

        What they had in hand until then is anybody's.
        """
        place = self._platform.workplace(capability)
        newest = newest_judgment(place.store, capability, expert, _midnight(place.now()))
        if newest is None:
            return None
        take_back(place, newest, expert)
        return newest

    def compare(self, judgment_id: str) -> Comparison | None:
        """What was said blindly beside what the machine says; None: no judgment has this id, or it was not blind."""
        said = find_judgments(self._platform.store, [judgment_id]).get(judgment_id)
        case = read_case(self._platform.store, said.case) if said and said.blind else None
        if said is None or case is None:
            return None
        place = self._platform.workplace(said.capability)
        done = trajectories_of_case(place.store, said.case)
        answer = done[-1].answer if done else None
        return Comparison(
            judgment=said.id,
            said=said.answer,
            machine=answer.value if answer else None,
            source=answer.source.value if answer and answer.source else None,
            confidence=answer.confidence if answer else None,
            precedents=tuple(one for one in precedents(place, case, 4) if one.judgment != said.id)[:3],
        )

    def labels(self, capability: str) -> tuple[str, ...]:
        """The labels to choose from: those declared, else those that judgments hold."""
        place = self._platform.workplace(capability)
        place.engine.memory.refresh()
        return place.capability.contract.labels or place.engine.memory.labels(place.now())

    def progress(self, capability: str, expert: str) -> Progress:
        """How far the expert is today."""
        place = self._platform.workplace(capability)
        now = place.now()
        said = judged_since(place.store, capability, expert, _midnight(now))
        return Progress(
            today=len(said),
            session=_session([one.at for one in said], now),
            open=count_open(place.store, capability, expert),
            typical_s=_typical_s([one.minutes for one in said if one.minutes is not None]),
        )

    def _task(self, place: Workplace, asked: Draw, held: Lease) -> Task:
        case = read_case(place.store, asked.case)
        if case is None:
            raise InputError(f"the words of case {asked.case} were erased")
        blind = asks_blind(place, asked, held.holder)
        waiting = waiting_of(place, asked, case)
        waiting = without_answer(waiting) if blind else waiting
        like = () if blind else self._like(place, case)
        return Task(
            waiting=waiting,
            schema=place.capability.contract.schema,
            fields=_fields(place, waiting, like),
            precedents=like,
            passages=() if blind else passages_for(place, case, PASSAGES),
            blind=blind,
            marks=_marked(place, like),
            shown_at=held.since,
        )

    @staticmethod
    def _like(place: Workplace, case: Case) -> tuple[Precedent, ...]:
        """Judged cases like this one; what others said of the case itself would lead whoever is asked after them."""
        of_itself = {one.id for one in read_judgments(place.store, case.id)}
        near = precedents(place, case, LIKE + len(of_itself))
        return tuple(one for one in near if one.judgment not in of_itself)[:LIKE]


def _marked(place: Workplace, like: Sequence[Precedent]) -> tuple[str, ...]:
    """The judgments among the precedents that rest on words which have changed since."""
    marks = marked(open_marks(place.store, place.name, Subject.JUDGMENT)) if like else {}
    return tuple(one.judgment for one in like if one.judgment in marks)


def _fields(place: Workplace, waiting: Waiting, like: Sequence[Precedent]) -> tuple[str, ...]:
    """The names of a `fields` object: those of the schema, of the proposal and of cases like this one."""
    if waiting.kind is not ContractKind.FIELDS:
        return ()
    names = list((place.capability.contract.schema or {}).get("properties", {}))
    answers = [waiting.proposed, *(one.answer for one in like)]
    names += [name for answer in answers if isinstance(answer, dict) for name in answer]
    return tuple(dict.fromkeys(names))


def _session(times: Sequence[datetime], now: datetime) -> int:
    """How many of the times, newest first, came without a long pause between them until now."""
    later = now
    for place, at in enumerate(times):
        if later - at > PAUSE:
            return place
        later = at
    return len(times)


def _typical_s(minutes: Sequence[float]) -> float | None:
    return 60 * median(minutes) if minutes else None


def _midnight(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)
