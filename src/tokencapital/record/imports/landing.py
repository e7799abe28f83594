"""Where what was imported comes down: cases, trajectories with their steps, outcomes and judgments, each once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, select

from tokencapital.core.answer import Exchange
from tokencapital.core.call import UNSORTED, Step, StepKind
from tokencapital.core.case import Case, ContractKind, Message, Value
from tokencapital.core.clock import Clock
from tokencapital.core.judgment import DrawKind, Judgment, Outcome
from tokencapital.core.quantity import Usage
from tokencapital.core.split import keyed_digest
from tokencapital.record.cleaned import cleaned_judgment, cleaned_work
from tokencapital.record.imports.told import Bunch, Judged, Seen, Skip, Traced, Worked
from tokencapital.record.observed import Observed
from tokencapital.record.observed_answer import answer_in
from tokencapital.record.redaction import Redaction
from tokencapital.record.spans_deeds import Service, responses_in
from tokencapital.record.spans_settling import Found, Rules, find
from tokencapital.store.cases import read_cases, read_trajectory
from tokencapital.store.conflicts import open_disagreements
from tokencapital.store.cursors import set_cursor
from tokencapital.store.database import Store, chunks
from tokencapital.store.judgments import append_judgments, find_judgments, hold_memory, leave_sealed
from tokencapital.store.manifest import Departure, groups_of_cases
from tokencapital.store.outcomes import append_outcomes, known_outcomes
from tokencapital.store.schema import trajectory
from tokencapital.store.steps import append_steps, steps_there

MOST_TOLD = 10_000
"""So many things that were left out are told one by one; all are counted."""
_ANSWERS = frozenset({"assistant", "tool"})
ERASED = "its words were erased here"
NOT_HERE = "what it is about is not here"
NO_FIT = "the answer does not fit the contract of its capability"
UNKNOWN_KEY = "a business key needs a capability that was declared"


class Landing(Struct, frozen=True, kw_only=True):
    """How an import comes down: its `kind`, under which `source` its cursor stands, and under which capability.

    `capability` None: that which the work names itself, or a rule of the house; `unsorted` where nobody declared it.
    `redaction` takes out of all text what may not be kept.
    """

    kind: str
    source: str
    rules: Rules
    capability: str | None = None
    redaction: Redaction = Redaction()


class Landed(Struct):
    """What came of an import so far: what was new, what was here already, and what was left out."""

    trajectories: int = 0
    steps: int = 0
    outcomes: int = 0
    judgments: int = 0
    known: int = 0
    unsorted: int = 0
    skipped: list[Skip] = []
    reasons: dict[str, int] = {}

    def leave_out(self, some: Iterable[Skip]) -> None:
        """They are counted, and the first of them are remembered one by one."""
        for one in some:
            self.reasons[one.why] = self.reasons.get(one.why, 0) + 1
            if len(self.skipped) < MOST_TOLD:
                self.skipped.append(one)


class Lander:
    """Stores bunches, each with its cursor in one transaction. Not safe for threads."""

    def __init__(self, store: Store, clock: Clock, landing: Landing) -> None:
        self.landed = Landed()
        self._store = store
        self._clock = clock
        self._landing = landing

    def land(self, bunch: Bunch) -> None:
        """All of the bunch is stored and its cursor with it, or nothing is; what was here before stays as it is."""
        self.landed.leave_out(one for one in bunch.told if isinstance(one, Skip))
        with self._store.begin() as connection:
            self._work(connection, list(self._found(bunch)))
            self._outcomes([one for one in bunch.told if isinstance(one, Seen)])
            self._judgments(connection, [one for one in bunch.told if isinstance(one, Judged)])
            if bunch.cursor is not None:
                set_cursor(connection, self._landing.source, bunch.cursor, self._clock.now())

    def _found(self, bunch: Bunch) -> Iterator[tuple[str, Found]]:
        for one in bunch.told:
            if isinstance(one, Traced | Worked):
                found = self._of_trace(one) if isinstance(one, Traced) else self._of_work(one)
                yield one.where, cleaned_work(found, self._landing.redaction)

    def _of_trace(self, told: Traced) -> Found:
        wanted = self._landing.capability
        rules = self._landing.rules
        if wanted is not None:
            rules = msgspec.structs.replace(rules, sort=lambda _: wanted)
        found = find(told.trace, rules, rules.seen(responses_in(told.trace)))
        place = rules.observed(wanted) if wanted is not None else found.place
        steps = tuple(self._paid(one, told) for one in found.steps)
        return msgspec.structs.replace(_put(found, place), steps=steps)

    def _paid(self, step: Step, told: Traced) -> Step:
        """The step with what its source says that it cost, where no price is known here."""
        known = told.costs.get(str(step.details.get("span", ""))) if step.cost is None else None
        kept = msgspec.structs.replace(step, source=self._landing.kind)
        return kept if known is None else msgspec.structs.replace(kept, cost=known, price=f"as {kept.source} tells")

    def _of_work(self, told: Worked) -> Found:
        place = self._landing.rules.observed(self._landing.capability or told.capability or self._sorted(told))
        case = msgspec.structs.replace(told.case, capability=place.capability.name)
        answer = told.head.answer
        if told.said is not None:
            value = answer_in(place.capability.contract.kind, told.said)
            answer = msgspec.structs.replace(answer, value=value)
        head = msgspec.structs.replace(
            told.head, capability=case.capability, answer=answer, policy=told.head.policy or place.policy
        )
        steps = tuple(self._priced(one) for one in told.steps)
        return Found(place, Exchange(case, head), steps, ())

    def _sorted(self, told: Worked) -> str | None:
        """The capability that a rule names by what was asked first; None: no rule fits."""
        said = next((one.messages for one in told.steps if one.kind is StepKind.CALL), None) or told.case.messages
        asked = tuple(takewhile(lambda one: one.role not in _ANSWERS, said))
        return self._landing.rules.sort(Service(told.tags, None, told.head.generalist, asked))

    def _priced(self, step: Step) -> Step:
        """The step with what its call took by the prices known here; what was told with it stays."""
        if (
            step.kind is not StepKind.CALL
            or step.model is None
            or step.cost is not None
            or step.usage == Usage(None, None)
        ):
            return step
        spent = self._landing.rules.meter.call(step.model, step.usage, step.at, step.elapsed_s)
        return msgspec.structs.replace(step, cost=spent.cost, price=spent.price, energy=spent.energy)

    def _work(self, connection: Connection, placed: Sequence[tuple[str, Found]]) -> None:
        there = _cases_of(connection, [one.id for _, one in placed])
        fresh = {one.id: one for _, one in placed if one.id not in there}
        by_place: defaultdict[str, list[Found]] = defaultdict(list)
        for one in fresh.values():
            by_place[one.place.capability.name].append(one)
        for some in by_place.values():
            some[0].place.silent.record([one.exchange for one in some])
        erased = set(there.values()) - set(read_cases(self._store, there.values()))
        kept = [(where, one) for where, one in placed if there.get(one.id) not in erased]
        self.landed.leave_out(Skip(where, ERASED) for where, one in placed if there.get(one.id) in erased)
        steps = {step.id: step for _, one in kept for step in one.steps}
        for known in steps_there(connection, steps):
            del steps[known]
        self.landed.steps += append_steps(self._store, connection, list(steps.values()))
        self.landed.trajectories += len(fresh)
        self.landed.known += len(kept) - len(fresh)
        self.landed.unsorted += sum(one.exchange.case.capability == UNSORTED for one in fresh.values())
        append_outcomes(self._store, [seen for _, one in kept for seen in one.outcomes])

    def _outcomes(self, told: Sequence[Seen]) -> None:
        outcomes = {}
        for one in told:
            capability = self._landing.capability or one.capability
            done = read_trajectory(self._store, one.trajectory) if one.trajectory else None
            declared = self._landing.rules.observed(capability).capability.name if capability else UNSORTED
            if one.key is not None and (capability is None or declared == UNSORTED != capability):
                self.landed.leave_out([Skip(one.where, UNKNOWN_KEY)])
                continue
            outcomes[one.id] = Outcome(
                id=one.id,
                capability=done.capability if done else declared,
                key=one.key or (done.id if done else one.trajectory) or "",
                name=self._landing.redaction.text(one.name)[0],
                value=one.value,
                at=one.at,
            )
        known = known_outcomes(self._store, outcomes)
        self.landed.known += len(known)
        self.landed.outcomes += append_outcomes(self._store, [one for one in outcomes.values() if one.id not in known])

    def _judgments(self, connection: Connection, told: Sequence[Judged]) -> None:
        known = find_judgments(self._store, [one.id for one in told]) if told else {}
        self.landed.known += len(known)
        unknown = [(one, self._case_named(one)) for one in told if one.id not in known]
        cases = read_cases(self._store, {name for _, name in unknown if name})
        fresh = []
        for one, name in unknown:
            judgment = self._judgment(one, cases.get(name or ""))
            if isinstance(judgment, Judgment):
                fresh.append(cleaned_judgment(judgment, self._landing.redaction))
            else:
                self.landed.leave_out([judgment])
        if not fresh:
            return
        hold_memory(connection)
        self._open(connection, fresh)
        stored = append_judgments(self._store, fresh)
        open_disagreements(self._store, _comparable(self._landing.rules, stored), self._clock.now())
        self.landed.judgments += len(stored)

    def _open(self, connection: Connection, fresh: Sequence[Judgment]) -> None:
        """Whatever was drawn elsewhere judges nothing here: its groups are in `train`, as for a volunteered one."""
        drawn = [one for one in fresh if one.drawn is not DrawKind.IN_WORK]
        groups = groups_of_cases(connection, [one.case for one in drawn])
        if groups:
            why = Departure(self._clock.now(), self._landing.kind, "judged elsewhere")
            leave_sealed(self._store, connection, groups.values(), why)

    def _case_named(self, told: Judged) -> str | None:
        if told.trajectory is None:
            return told.case
        done = read_trajectory(self._store, told.trajectory)
        return done.case if done else None

    def _judgment(self, told: Judged, case: Case | None) -> Judgment | Skip:
        if case is None:
            return Skip(told.where, NOT_HERE)
        kind = self._landing.rules.observed(case.capability).capability.contract.kind
        answer = told.answer if told.words is None else answer_in(kind, (Message("assistant", told.words),))
        if told.verdict.answers and not fits(kind, answer):
            return Skip(told.where, NO_FIT)
        return Judgment(
            id=told.id,
            case=case.id,
            capability=case.capability,
            expert=told.expert,
            at=told.at,
            verdict=told.verdict,
            answer=answer,
            drawn=told.drawn,
            probability=told.probability,
            valid_from=told.valid_from or told.at,
            valid_until=told.valid_until,
            reason=told.reason,
            minutes=told.minutes,
            blind=told.blind,
        )


def fits(kind: ContractKind, answer: Value) -> bool:
    """Whether an answer has the shape that a contract asks for."""
    return bool(answer) and isinstance(answer, dict if kind is ContractKind.FIELDS else (str, dict))


def pseudonym(key: bytes, kind: str, told: str) -> str:
    """What a person is called here whom another tool knows by an account or an address."""
    return f"{kind}-{keyed_digest(key, f'{kind} {told}'.encode('utf-8', 'surrogatepass'))[:12]}"


def _put(found: Found, place: Observed) -> Found:
    """The same under another capability."""
    name = place.capability.name
    if found.place.capability.name == name:
        return found
    case = msgspec.structs.replace(found.exchange.case, capability=name)
    head = msgspec.structs.replace(found.exchange.trajectory, capability=name, policy=place.policy)
    return msgspec.structs.replace(found, place=place, exchange=Exchange(case, head))


def _cases_of(connection: Connection, names: Sequence[str]) -> dict[str, str]:
    """The case of each of these trajectories that is stored."""
    found: dict[str, str] = {}
    for some in chunks(names):
        query = select(trajectory.c.id, trajectory.c.case_id).where(trajectory.c.id.in_(some))
        found.update((row.id, row.case_id) for row in connection.execute(query))
    return found


def _comparable(rules: Rules, judgments: Sequence[Judgment]) -> list[Judgment]:
    """Those whose answers can be told apart: texts that differ do not yet disagree."""
    kinds: dict[str, ContractKind] = {}
    for one in judgments:
        kinds.setdefault(one.capability, rules.observed(one.capability).capability.contract.kind)
    return [one for one in judgments if kinds[one.capability] is not ContractKind.TEXT]
