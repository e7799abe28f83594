"""Books what the loop spent. What is unknown is not booked as zero: the memo counts it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import chain
from typing import TypeVar

from msgspec import Struct

from tokencapital.account import accounts
from tokencapital.account.entries import Flow, Heading, Kind, enter
from tokencapital.core.answer import Stage, Trajectory
from tokencapital.core.call import Step
from tokencapital.core.errors import LedgerError
from tokencapital.core.ids import IdSource
from tokencapital.core.judgment import Judgment
from tokencapital.core.quantity import Energy, Money, Usage
from tokencapital.meter.assumptions import Assumptions
from tokencapital.store.ledger import Transaction

ANSWERS = "answers"
STEPS = "steps"
UNPRICED = "unpriced"
WITHOUT_ENERGY = "without energy"
WITHOUT_TOKENS = "without tokens"

_Fact = TypeVar("_Fact")
_LEARNING = {Kind.EVALUATE: accounts.EVALS, Kind.TRAIN: accounts.TRAINING}


class LearningRun(Struct, frozen=True, kw_only=True):
    """What one evaluation or one training used up.

    `provider` is to whom its cost is owed; None: it ran on our own machine. `cost` None: unknown.
    """

    id: str
    kind: Kind
    capability: str
    at: datetime
    cost: Money | None
    energy: Energy
    usage: Usage = Usage()
    provider: str | None = None
    release: str | None = None


def book_serving(
    trajectories: Iterable[Trajectory], providers: Mapping[str, str], ids: IdSource
) -> tuple[Transaction, ...]:
    """One transaction per capability, release and UTC day: tokens, dollars by stage, joules by grade.

    `providers` names to whom the calls of a generalist are owed. A generalist that is not in it ran on
    our own machine, as did every answer that used no tokens. Each trajectory is handed in once:
    `booked_until` says where to go on. Raises LedgerError for a cost in another currency than USD.
    """
    days = _groups(trajectories, lambda done: (done.capability, done.release, _day(done.at)))
    return tuple(_serving(done, providers, ids) for done in days)


def book_steps(capability: str, steps: Iterable[tuple[int, Step]], ids: IdSource) -> tuple[Transaction, ...]:
    """One transaction per UTC day for the steps of a capability, each handed in once with its position in the record.

    What a step took is owed to its provider; one without a provider ran on our own machine. `steps_booked_until`
    says where to go on. Raises LedgerError for a cost in another currency than USD.
    """
    days = _groups(steps, lambda placed: _day(placed[1].at))
    return tuple(_observed(capability, placed, ids) for placed in days)


def book_review(judgments: Iterable[Judgment], declared: Assumptions, ids: IdSource) -> tuple[Transaction, ...]:
    """One transaction per capability and UTC day: people's minutes, and their cost at the declared wage.

    A judgment whose time nobody measured takes the declared minutes; they come from an account of their own.
    """
    days = _groups(judgments, lambda judgment: (judgment.capability, _day(judgment.at)))
    return tuple(_review(said, declared, ids) for said in days)


def book_learning(run: LearningRun, ids: IdSource) -> Transaction:
    """One run of evaluation or training. Raises LedgerError for another kind and for another currency than USD."""
    if run.kind not in _LEARNING:
        raise LedgerError(f"learning run {run.id} is of the kind {run.kind}.", remedy="Evaluation and training only.")
    heading = Heading(
        kind=run.kind,
        at=run.at,
        capability=run.capability,
        release=run.release,
        reference=f"{run.kind}:{run.capability}:{run.id}",
        counts={"runs": 1} | _unknown([run]),
    )
    spent = _dollars(run.cost, _creditor(run.provider), _LEARNING[run.kind])
    return enter(heading, chain(spent, _tokens(run.usage), _joules(run.energy)), ids)


def booked_until(transactions: Iterable[Transaction], kind: Kind, capability: str) -> str | None:
    """The greatest id among the served or judged facts in the books. None: none is in them.

    Ids sort by time, so that facts with a greater id are those not yet booked.
    """
    prefix = f"{kind}:{capability}:"
    references = (booked.reference for booked in transactions if booked.reference)
    return max((ref.rpartition("..")[2] for ref in references if ref.startswith(prefix)), default=None)


def steps_booked_until(transactions: Iterable[Transaction], capability: str) -> int:
    """The greatest position among the steps in the books; 0: none is in them."""
    prefix = f"{STEPS}:{capability}:"
    references = (booked.reference for booked in transactions if booked.reference)
    return max((int(ref.rpartition("..")[2]) for ref in references if ref.startswith(prefix)), default=0)


def _observed(capability: str, placed: Sequence[tuple[int, Step]], ids: IdSource) -> Transaction:
    steps = [one for _, one in placed]
    heading = Heading(
        kind=Kind.SERVE,
        at=max(one.at for one in steps),
        capability=capability,
        release=None,
        reference=f"{STEPS}:{capability}:{placed[0][0]}..{placed[-1][0]}",
        counts={STEPS: len(steps)} | _unknown(steps),
    )
    return enter(heading, chain.from_iterable(_step_flows(each) for each in steps), ids)


def _step_flows(one: Step) -> Iterator[Flow]:
    yield from _dollars(one.cost, _creditor(one.provider), accounts.spend_account(Stage.GENERALIST))
    yield from _tokens(one.usage)
    yield from _joules(one.energy)


def _serving(done: Sequence[Trajectory], providers: Mapping[str, str], ids: IdSource) -> Transaction:
    first, last = done[0], done[-1]
    heading = Heading(
        kind=Kind.SERVE,
        at=last.at,
        capability=first.capability,
        release=first.release,
        reference=f"{Kind.SERVE}:{first.capability}:{first.release or 'none'}:{first.id}..{last.id}",
        counts={ANSWERS: len(done)} | _unknown(done),
    )
    return enter(heading, chain.from_iterable(_answer_flows(each, providers) for each in done), ids)


def _review(said: Sequence[Judgment], declared: Assumptions, ids: IdSource) -> Transaction:
    first, last = said[0], said[-1]
    heading = Heading(
        kind=Kind.REVIEW,
        at=last.at,
        capability=first.capability,
        release=None,
        reference=f"{Kind.REVIEW}:{first.capability}:{first.id}..{last.id}",
        counts={"judgments": len(said), "of assumed minutes": sum(each.minutes is None for each in said)},
    )
    return enter(heading, chain.from_iterable(_judgment_flows(each, declared) for each in said), ids)


def _answer_flows(done: Trajectory, providers: Mapping[str, str]) -> Iterator[Flow]:
    called = done.generalist if done.usage != Usage() else None
    creditor = _creditor(providers.get(called) if called else None)
    yield from _dollars(done.cost, creditor, accounts.spend_account(done.answer.stage))
    yield from _tokens(done.usage)
    yield from _joules(done.energy)


def _judgment_flows(said: Judgment, declared: Assumptions) -> Iterator[Flow]:
    measured = said.minutes is not None
    minutes = Decimal(str(said.minutes if said.minutes is not None else declared.minutes_per_judgment))
    source = accounts.MINUTES_MEASURED if measured else accounts.MINUTES_ASSUMED
    yield Flow(source, accounts.REVIEW, accounts.MINUTE, minutes)
    yield Flow(accounts.WAGES, accounts.REVIEW, accounts.USD, declared.wages_usd(minutes))


def _dollars(cost: Money | None, creditor: str, use: str) -> Iterator[Flow]:
    if cost is None:
        return
    if cost.currency != accounts.USD:
        raise LedgerError(f"a cost in {cost.currency} cannot be booked.", remedy="Declare the price in USD.")
    yield Flow(creditor, use, accounts.USD, cost.amount)


def _tokens(usage: Usage) -> Iterator[Flow]:
    kinds = (
        (usage.input, accounts.TOKENS_INPUT),
        (usage.cache_read, accounts.TOKENS_CACHE_READ),
        (usage.cache_write, accounts.TOKENS_CACHE_WRITE),
        (usage.output, accounts.TOKENS_OUTPUT),
    )
    for tokens, use in kinds:
        if tokens is not None:
            yield Flow(accounts.SUPPLY_TOKENS, use, accounts.TOK, Decimal(tokens))


def _joules(energy: Energy) -> Iterator[Flow]:
    if energy.joules is not None:
        use = accounts.energy_account(energy.grade)
        yield Flow(accounts.SUPPLY_ENERGY, use, accounts.JOULE, Decimal(str(energy.joules)))


def _unknown(facts: Sequence[Trajectory | LearningRun | Step]) -> dict[str, int]:
    counts = {
        UNPRICED: sum(fact.cost is None for fact in facts),
        WITHOUT_ENERGY: sum(fact.energy.joules is None for fact in facts),
        WITHOUT_TOKENS: sum(fact.usage.input is None or fact.usage.output is None for fact in facts),
    }
    return {name: count for name, count in counts.items() if count}


def _creditor(provider: str | None) -> str:
    return accounts.MACHINE_TIME if provider is None else accounts.provider_account(provider)


def _groups(facts: Iterable[_Fact], key: Callable[[_Fact], Hashable]) -> Iterable[list[_Fact]]:
    groups: dict[Hashable, list[_Fact]] = {}
    for fact in facts:
        groups.setdefault(key(fact), []).append(fact)
    return groups.values()


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
