"""Traces that are quiet become trajectories: one each, however often and in whatever order their spans came."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from hashlib import blake2b

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.call import Step, StepKind
from tokencapital.core.case import Case, ContractKind, Json, Message, Value
from tokencapital.core.clock import Clock
from tokencapital.core.errors import StoreUnavailable
from tokencapital.core.judgment import Outcome
from tokencapital.core.quantity import UNKNOWN_ENERGY, Usage
from tokencapital.meter.meter import Meter
from tokencapital.record.observed import Observed, put_down
from tokencapital.record.observed_answer import answer_in
from tokencapital.record.spans_deeds import Service, Trace, capability_of, read_trace, responses_in, steps_in
from tokencapital.record.spans_own import ANSWER, INPUT, OUTCOME, came_in, decoded, plain
from tokencapital.serve.rules_prompt import PROMPT_ROLES
from tokencapital.store.cases import read_cases
from tokencapital.store.database import Store, is_refused, there
from tokencapital.store.outcomes import append_outcomes
from tokencapital.store.schema import trajectory, work_case
from tokencapital.store.spans import (
    Quiet,
    Waiting,
    mark_settled,
    spans_of_traces,
    trajectory_of_trace,
    waiting_traces,
)
from tokencapital.store.steps import append_steps, steps_there

_log = logging.getLogger(__name__)
_AT_ONCE = 16
"""So many traces are settled in one transaction, so that nobody else who writes waits long for it."""


class Rules(Struct, frozen=True):
    """What the house knows that a trace does not: prices, where work of a capability is put down, and whose it is.

    `seen` finds calls that are on record already, by the ids of the providers' answers: the step of each.
    """

    meter: Meter
    observed: Callable[[str | None], Observed]
    sort: Callable[[Service], str | None] = lambda _: None
    seen: Callable[[Collection[str]], Mapping[str, str]] = lambda _: {}


class Found(Struct, frozen=True):
    """A trajectory as a trace tells it, and where it is put down."""

    place: Observed
    exchange: Exchange
    steps: tuple[Step, ...]
    outcomes: tuple[Outcome, ...]

    @property
    def id(self) -> str:
        """The trajectory's."""
        return self.exchange.trajectory.id

    @property
    def answered(self) -> bool:
        """Whether something came of it."""
        done = self.exchange.trajectory
        return done.answer.value is not None and done.failure is None


class Settler:
    """Makes trajectories of traces that are quiet. Not safe for threads."""

    def __init__(self, store: Store, clock: Clock, rules: Rules, quiet: Quiet | None = None) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._quiet = quiet or Quiet()
        self.failed = 0

    def turn(self) -> int:
        """How many traces were settled; at most a few, so that nobody else who writes waits long.

        A trace of which no trajectory can be made waits no longer, and is counted in `failed`. Raises StoreUnavailable.
        """
        waiting = waiting_traces(self._store, self._clock.now(), self._quiet, _AT_ONCE)
        if not waiting:
            return 0
        try:
            self._settle(waiting)
        except Exception as error:
            if isinstance(error, StoreUnavailable) and not is_refused(error):
                raise
            for one in waiting:
                self._settle_alone(one)
        return len(waiting)

    def _settle_alone(self, one: Waiting) -> None:
        try:
            self._settle([one])
        except Exception as error:
            if isinstance(error, StoreUnavailable) and not is_refused(error):
                raise
            self.failed += 1
            _log.warning("no trajectory can be made of trace %s: %s", one.trace, type(error).__name__)
            with self._store.begin() as connection:
                mark_settled(connection, [one], [])

    def _settle(self, waiting: Sequence[Waiting]) -> None:
        """The traces are trajectories where something was done in them, and wait no longer."""
        told = spans_of_traces(self._store, [one.trace for one in waiting])
        worth = [trace for one in waiting if (trace := read_trace(one.trace, told.get(one.trace, ()))).deeds]
        asked = {response for trace in worth for response in responses_in(trace)}
        seen = self._rules.seen(asked) if asked else {}
        found = [find(trace, self._rules, seen) for trace in worth]
        with self._store.begin() as connection:
            made = self._record(connection, found, {trajectory_of_trace(one.trace) for one in waiting if one.made})
            mark_settled(connection, waiting, [one.trace for one in waiting if trajectory_of_trace(one.trace) in made])

    def settle_all(self) -> int:
        """How many traces were settled, until none is left that is quiet."""
        total = 0
        while some := self.turn():
            total += some
        return total

    def _record(self, connection: Connection, found: Sequence[Found], ours: set[str]) -> set[str]:
        """The trajectories and their steps are stored, each once; returns those that are made of their traces.

        A trajectory that was there and is made of something else gets nothing from a trace.
        """
        before = there(connection, trajectory.c.id, (one.id for one in found))
        fresh = [one for one in found if one.id not in before]
        begun = _with_known_cases(self._store, connection, fresh)
        put_down((one.place, one.answered, one.exchange) for one in begun)
        grown = [one for one in found if one.id not in before or one.id in ours]
        steps = [step for one in grown for step in one.steps]
        old = steps_there(connection, [step.id for step in steps])
        append_steps(self._store, connection, [step for step in steps if step.id not in old])
        outcomes = [outcome for one in grown for outcome in one.outcomes]
        if outcomes:
            append_outcomes(self._store, outcomes)
        return {one.id for one in grown}


def find(trace: Trace, rules: Rules, seen: Mapping[str, str]) -> Found:
    """The trajectory that the trace is. In one of its spans at least something was done."""
    own = trajectory_of_trace(trace.id)
    mine = {one.span.id for one in trace.deeds}
    elsewhere = {name: place for name, place in seen.items() if place[-16:] not in mine}
    steps = steps_in(trace, rules.meter, elsewhere)
    place = rules.observed(capability_of(trace, rules.sort))
    case = _case(trace, place.capability.name, own)
    first, last = trace.spans[0].at, max(one.at + timedelta(seconds=one.elapsed_s) for one in trace.spans)
    head = Trajectory(
        id=own,
        case=case.id,
        capability=case.capability,
        at=first,
        answer=Answer(value=_answer(trace, place.capability.contract.kind), stage=Stage.GENERALIST),
        policy=place.policy,
        memory=0,
        seed=0,
        propensity=1.0,
        elapsed_s=(last - first).total_seconds(),
        energy=UNKNOWN_ENERGY,
        usage=Usage(None, None),
        generalist=next((one.model for one in reversed(steps) if one.kind is StepKind.CALL and one.model), None),
        failure=trace.roots_first[0].failure,
    )
    return Found(place, Exchange(case, head), tuple(steps), tuple(_outcomes(trace, case)))


def _case(trace: Trace, capability: str, own: str) -> Case:
    named = trace.said_so("tcap.case")
    group = trace.said_so("tcap.group", "session.id", "gen_ai.conversation.id", "user.id") or named
    name = own.partition("_")[2]
    if named is not None:
        said = "\x1f".join((trace.spans[0].application or "", capability, named))
        name = blake2b(said.encode(), digest_size=16).hexdigest()
    messages, context = _input(trace)
    return Case(
        id=f"cas_{name}",
        capability=capability,
        group=group or own,
        at=trace.spans[0].at,
        messages=messages,
        context=context,
        key=trace.said_so("tcap.key") or own,
    )


def _input(trace: Trace) -> tuple[tuple[Message, ...], Mapping[str, Json]]:
    """What came in: what the outermost of our own spans was given, or what the first call was asked, or a root was."""
    whole = next((found for one in trace.roots_first if (found := came_in(one)) is not None), None)
    if whole is not None:
        return whole
    given = next((one.attributes[INPUT] for one in trace.roots_first if INPUT in one.attributes), None)
    if given is not None:
        said = decoded(given)
        return (Message("user", plain(given)),), said if isinstance(said, dict) else {}
    calls = [one for one in trace.deeds if one.kind is StepKind.CALL and one.asked]
    first = next(iter(calls), None) or next((one for one in trace.deeds if one.asked), None)
    asked = first.asked if first is not None and first.asked else ()
    return tuple(one for one in asked if one.role not in PROMPT_ROLES), {}


def _answer(trace: Trace, kind: ContractKind) -> Value:
    """What went out: what the outermost of our own spans answered, or else what the last call said."""
    given = next((one.attributes[ANSWER] for one in trace.roots_first if ANSWER in one.attributes), None)
    if given is not None:
        said = decoded(given)
        return said if isinstance(said, dict) else plain(given)
    ended = [one for one in trace.deeds if one.kind is StepKind.CALL and one.said and not one.failure]
    last = max(ended, key=lambda one: (one.span.at, one.span.id), default=None)
    return answer_in(kind, last.said) if last is not None and last.said else None


def _outcomes(trace: Trace, case: Case) -> Iterator[Outcome]:
    for one in trace.spans:
        for number, event in enumerate(one.events):
            name, value = event.attributes.get("name"), event.attributes.get("value")
            if (
                event.name == OUTCOME
                and isinstance(name, str)
                and (value is None or isinstance(value, bool | int | float))
            ):
                yield Outcome(
                    id=f"out_{trace.id}{one.id}{number}",
                    capability=case.capability,
                    key=case.key,
                    name=name,
                    value=value,
                    at=one.at + timedelta(seconds=one.elapsed_s),
                )


def _with_known_cases(store: Store, connection: Connection, found: Sequence[Found]) -> Iterator[Found]:
    """The same, where a case that is there stays as it is, and one whose words were erased is not written again."""
    here = there(connection, work_case.c.id, (one.exchange.case.id for one in found))
    known = read_cases(store, here)
    begun: dict[str, Case] = {}
    for one in found:
        case = one.exchange.case
        if case.id in here and case.id not in known:
            case = msgspec.structs.replace(case, id=f"cas_{one.id.partition('_')[2]}")
        case = begun.setdefault(case.id, known.get(case.id, case))
        head = msgspec.structs.replace(one.exchange.trajectory, case=case.id)
        yield msgspec.structs.replace(one, exchange=Exchange(case, head))
