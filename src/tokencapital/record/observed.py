"""Calls that went through the gateway become observed trajectories: a case, what came of it, and a step for each call.

Everything that a call leads to has an id that follows from the call's own, so that a call which comes again changes
nothing, and the order in which calls come does not matter for what each of them leads to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct
from sqlalchemy import Connection

from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.call import Call, Ending, Reading, Step, StepKind
from tokencapital.core.case import Capability, Case, Json, Message
from tokencapital.core.quantity import UNKNOWN_ENERGY, Usage
from tokencapital.meter.meter import Meter, Spent
from tokencapital.record.observed_answer import answer_in
from tokencapital.serve.ports import Sink
from tokencapital.store.database import Store
from tokencapital.store.steps import append_steps, steps_there

GATEWAY = "gateway"


class Observed(Struct, frozen=True, kw_only=True):
    """Where the calls of a capability are put down: `policy` is the hash of what is observed, `sink` takes answers.

    `silent` takes those that failed, about which nobody is asked.
    """

    capability: Capability
    policy: str
    sink: Sink
    silent: Sink


class Heard(Struct, frozen=True):
    """A call and what it says."""

    call: Call
    reading: Reading


class Joined(Struct, frozen=True):
    """The trajectory that a call belongs to; `new`: it begins it. `ambiguous`: it might have belonged to others."""

    trajectory: str
    new: bool
    ambiguous: bool = False


class Asked(Struct, frozen=True):
    """The case in a call: its messages and structured context, apart from the prompt around them.

    `group` and `key` are what the request itself tells of entity and business key; None: it does not.
    """

    messages: tuple[Message, ...]
    context: Mapping[str, Json] = {}
    group: str | None = None
    key: str | None = None


class Desks(Protocol):
    """What the record of calls needs of the house."""

    def observed(self, capability: str | None) -> Observed:
        """Where the calls of a capability are put down; those of one that nobody declared, or of none, as unsorted."""
        ...

    def read(self, call: Call) -> Reading:
        """What the call says."""
        ...

    def join(self, connection: Connection, heard: Sequence[Heard]) -> Sequence[Joined]:
        """Which trajectory each of the calls belongs to, remembered in the same transaction."""
        ...

    def separate(self, capability: Capability, heard: Heard) -> Asked:
        """The case in a call."""
        ...


class CallRecorder:
    """Writes calls into the store. Not safe for threads."""

    def __init__(self, store: Store, meter: Meter, desks: Desks) -> None:
        self._store = store
        self._meter = meter
        self._desks = desks

    def record(self, calls: Sequence[Call]) -> None:
        """All of the calls are in the store when this returns, or none of them; each once.

        What can be worked out before anybody who writes has to wait is worked out before.
        """
        once = {call.id: call for call in calls}
        heard = [Heard(call, self._desks.read(call)) for call in once.values()]
        spent = {one.call.id: self._spent(one) for one in heard}
        with self._store.begin() as connection:
            there = steps_there(connection, once)
            heard = [one for one in heard if one.call.id not in there]
            joined = self._desks.join(connection, heard)
            put_down(self._begin(one) for one, place in zip(heard, joined, strict=True) if place.new)
            steps = [_step(one, place, spent[one.call.id]) for one, place in zip(heard, joined, strict=True)]
            append_steps(self._store, connection, steps)

    def _spent(self, one: Heard) -> Spent:
        return self._meter.call(model_of(one), one.reading.usage, one.call.at, one.call.elapsed_s)

    def _begin(self, one: Heard) -> tuple[Observed, bool, Exchange]:
        place = self._desks.observed(one.call.capability)
        return place, answered(one), self._exchange(place, one)

    def _exchange(self, place: Observed, one: Heard) -> Exchange:
        call, asked = one.call, self._desks.separate(place.capability, one)
        case = Case(
            id=f"cas_{call.id.partition('_')[2] or call.id}",
            capability=place.capability.name,
            group=plain(call.group or asked.group or call.case) or call.id,
            at=call.at,
            messages=asked.messages,
            context=asked.context,
            key=plain(call.key or asked.key) or call.id,
        )
        value = answer_in(place.capability.contract.kind, one.reading.answer) if answered(one) else None
        done = Trajectory(
            id=call.id,
            case=case.id,
            capability=case.capability,
            at=call.at,
            answer=Answer(value=value, stage=Stage.GENERALIST),
            policy=place.policy,
            memory=0,
            seed=0,
            propensity=1.0,
            elapsed_s=call.elapsed_s,
            energy=UNKNOWN_ENERGY,
            usage=Usage(None, None),
            generalist=model_of(one),
            failure=failure_of(one),
        )
        return Exchange(case, done)


def put_down(begun: Iterable[tuple[Observed, bool, Exchange]]) -> None:
    """The trajectories are there, each put down where work of its capability is, as answered or not."""
    places: dict[str, Observed] = {}
    found: defaultdict[tuple[str, bool], list[Exchange]] = defaultdict(list)
    for place, was_answered, exchange in begun:
        places[place.capability.name] = place
        found[place.capability.name, was_answered].append(exchange)
    for (name, was_answered), exchanges in found.items():
        (places[name].sink if was_answered else places[name].silent).record(exchanges)


def _step(one: Heard, place: Joined, spent: Spent) -> Step:
    call, reading = one.call, one.reading
    return Step(
        id=call.id,
        trajectory=place.trajectory,
        at=call.at,
        kind=StepKind.CALL,
        name=call.wire.value,
        source=GATEWAY,
        application=call.application,
        provider=call.provider,
        model=model_of(one),
        ending=call.ending,
        elapsed_s=call.elapsed_s,
        first_s=call.first_s,
        usage=reading.usage,
        cost=spent.cost,
        price=spent.price,
        energy=spent.energy,
        failure=failure_of(one),
        messages=added(reading, new=place.new),
        details=details_of(call, reading, ambiguous=place.ambiguous),
    )


def model_of(one: Heard) -> str:
    """The model that answered, as its provider calls it, else as the caller did."""
    return plain(one.reading.model or one.call.asked)


def plain(text: str | None) -> str:
    """A name without the one character that PostgreSQL cannot hold."""
    return (text or "").replace("\0", "\ufffd")


def answered(one: Heard) -> bool:
    """Whether the provider gave an answer that ended as it should."""
    return one.call.ending is Ending.DONE and bool(one.reading.answer) and one.reading.failure is None


def failure_of(one: Heard) -> str | None:
    """Why a call gave no answer, in words of our own; None: it gave one."""
    if one.reading.failure is not None:
        return one.reading.failure
    if one.call.ending is Ending.DONE:
        return None
    return f"{one.call.ending.value}, status {one.call.status}" if one.call.status else one.call.ending.value


def added(reading: Reading, *, new: bool) -> tuple[Message, ...] | None:
    """The messages that a call added to its conversation, its answer last; None: they are not kept.

    What a call of an earlier conversation adds is what follows the newest of the assistant's messages in it.
    """
    if not reading.messages and not reading.answer:
        return None
    asked = reading.messages
    if not new:
        spoken = [place for place, message in enumerate(asked) if message.role == "assistant"]
        asked = asked[spoken[-1] + 1 :] if spoken else asked
    return (*asked, *reading.answer)


def details_of(call: Call, reading: Reading, *, ambiguous: bool) -> dict[str, Json]:
    """What else is known of a call, without anybody's words."""
    known: dict[str, Json] = {
        "status": call.status,
        "asked": call.asked,
        "streamed": call.streamed,
        "attempts": call.attempts,
        "redacted": call.redacted,
        "choices": 1 + len(reading.others),
        "finish": reading.finish,
        "response": reading.response,
        "capability": call.capability,
        "ambiguous": ambiguous,
        "tags": dict(call.tags),
    }
    plain = {"attempts": 1, "redacted": 0, "choices": 1, "streamed": False, "ambiguous": False, "tags": {}}
    return {name: value for name, value in known.items() if value is not None and plain.get(name) != value}
