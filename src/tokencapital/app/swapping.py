"""The swap test, run: the same policy with one generalist and with others, on record and in the books."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from time import perf_counter

import msgspec
from msgspec import Struct

from tokencapital.account.entries import Kind
from tokencapital.account.journal import LearningRun, book_learning
from tokencapital.app.contenders import SCRIPTED, Contender, home_contender, named_contenders, read_generalist
from tokencapital.app.house import turn_once
from tokencapital.app.limits import limit_reached
from tokencapital.app.loop import TurnReport
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.settings import SwapSettings
from tokencapital.core.case import ContractKind, Message, Value
from tokencapital.core.errors import EvaluationError, InputError, TokenCapitalError
from tokencapital.core.quantity import UNKNOWN_ENERGY, Usage
from tokencapital.core.split import unit_hash
from tokencapital.evaluate.runner import NOT_HAD, Result, Runner, Trial
from tokencapital.evaluate.sealed import OpenBatch
from tokencapital.evaluate.tasks import Task
from tokencapital.models.base import ModelRequest
from tokencapital.promote.decide import trial_of_live
from tokencapital.promote.gate import FEWEST_SEALED
from tokencapital.promote.swap import LEVEL, MOST_FAILED, Answered, Reading, SwapReport, plain_policy, report_of, weigh
from tokencapital.serve.ports import Live
from tokencapital.store.audit import Act, Done, append_audit
from tokencapital.store.database import Store
from tokencapital.store.ledger import append_transactions
from tokencapital.store.swaps import SwapTest, append_swap, newest_swap, swap_tests

GREETING = ModelRequest(messages=(Message("user", "Say: ready"),), max_tokens=8)
"""Finds out before anything is looked at whether a generalist answers at all, and loads what it has to load."""

Told = Callable[[int, int], None]
"""Told how many generalists of how many are done."""


class SwapAsked(Struct, frozen=True, kw_only=True):
    """Which generalists to swap in. `cases` None: all sealed cases of the batch. `key_env`: see `SwapSettings`."""

    against: tuple[str, ...]
    by: str
    cases: int | None = None
    key_env: str | None = None


class _Test(Struct, frozen=True, kw_only=True):
    """A swap test under way: the two ways of answering, on these tasks."""

    id: str
    place: Workplace
    tasks: Sequence[Task]
    ran: Trial
    without: Trial


async def swap(
    platform: Platform, place: Workplace, asked: SwapAsked, told: Told = lambda done, total: None
) -> SwapReport:
    """What the live policy is worth to each generalist, measured, on record and booked.

    It is one look at the sealed batch. Cut off, it goes on where it stood and asks nobody twice. Raises InputError
    where too few sealed entities are judged or a generalist is named wrongly, ModelError where one cannot be had,
    EgressRefused where one may not see the data, EvaluationError where too many calls failed.
    """
    for named_so in asked.against:
        if not named_so.startswith(SCRIPTED):
            named = read_generalist(named_so, asked.key_env, platform.settings.generalist)
            platform.egress.check_generalist(place.name, named)
    tasks = sealed_tasks(place, place.sealed.open(place.now()), asked.cases)
    others = named_contenders(platform, asked.against, asked.key_env, [task.case for task in tasks])
    try:
        return await swap_between([home_contender(platform, place), *others], place, asked, told)
    finally:
        for one in others:
            if one.client is not None:
                await one.client.close()


async def swap_between(
    contenders: Sequence[Contender], place: Workplace, asked: SwapAsked, told: Told = lambda done, total: None
) -> SwapReport:
    """The swap test between these generalists, the first of which is the home one."""
    batch = place.sealed.open(place.now())
    test = _test(place, sealed_tasks(place, batch, asked.cases))
    _refuse_namesakes(contenders)
    tried = [await _try(one) for one in contenders]
    reading = _reading(place, batch, test)
    answered: list[Answered] = []
    for one, took in zip(contenders, tried, strict=True):
        told(len(answered), len(contenders))
        answered.append(await _answers(test, one, took))
    report = _report(test, reading, answered)
    _keep(place.store, report, asked.by)
    return report


def sealed_tasks(place: Workplace, batch: OpenBatch, cases: int | None) -> list[Task]:
    """The tasks of the batch, or `cases` of them that chance picked once for all.

    Raises InputError where they are of fewer than FEWEST_SEALED entities: nothing could be seen on them.
    """
    tasks = list(batch.tasks)
    if cases is not None and cases < len(tasks):
        ranked = sorted(tasks, key=lambda task: unit_hash(place.store.key, "swap", task.case.id))
        picked = {task.case.id for task in ranked[:cases]}
        tasks = [task for task in tasks if task.case.id in picked]
    entities = len({task.group for task in tasks})
    if entities < FEWEST_SEALED:
        raise InputError(
            f"a swap test takes the judged cases of {FEWEST_SEALED} sealed entities; there are {entities}",
            where=place.name,
            remedy="Let people judge more of the cases that the queue asks for, or ask for more --cases.",
        )
    return tasks


def _test(place: Workplace, tasks: Sequence[Task]) -> _Test:
    """Both ways at one fixed state of the memory, so that what people say meanwhile changes nothing.

    A plain prompt depends on the memory only for labels that nobody declared.
    """
    memory, now, contract = place.engine.memory, place.now(), place.capability.contract
    sequence = memory.refresh()
    answers: list[Value] = [one.judgment.answer for one in memory.judged(memory.valid_rows(now))]
    plain = plain_policy(place.capability, answers)
    learned = contract.kind is ContractKind.LABEL and not contract.labels
    live = msgspec.structs.replace(place.releases.live(place.name), memory=sequence)
    return _Test(
        id=place.parts.ids.new("swp"),
        place=place,
        tasks=tasks,
        ran=trial_of_live(place.store, live),
        without=Trial(Live(plain, memory=sequence if learned else 0), frozenset()),
    )


def _refuse_namesakes(contenders: Sequence[Contender]) -> None:
    names = [one.name for one in contenders]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two generalists are called `{name}`", remedy="Name each of them once.")


async def _try(contender: Contender) -> Usage:
    """What a first call took. Raises ModelError where the generalist gives nothing usable."""
    if contender.client is None or not contender.greets:
        return Usage()
    return (await contender.client.complete(GREETING)).usage


def _reading(place: Workplace, batch: OpenBatch, test: _Test) -> Reading:
    """The next look at the batch, on record; that of a test which was cut off before it told anything serves again."""
    live, plain, at = test.ran.live, test.without.live.policy.hash, place.now()
    earlier = place.sealed.looks(batch)
    told = {(one.reading.batch, one.reading.comparison) for one in swap_reports(place.store, place.name)}
    if earlier and (earlier[-1].candidate, earlier[-1].live) == (live.policy.hash, plain):
        last = earlier[-1]
        at = at if (last.batch, last.comparison) in told else last.at
    look = place.sealed.look(batch, live.policy.hash, plain, at)
    return Reading(
        policy=live.policy.hash,
        plain=plain,
        release=live.release,
        memory=live.memory or 0,
        batch=look.batch,
        comparison=look.comparison,
        alpha=look.alpha,
    )


async def _answers(test: _Test, contender: Contender, tried: Usage) -> Answered:
    """Both ways of answering with one generalist, booked when they are through."""
    place, started = test.place, perf_counter()
    parts = msgspec.structs.replace(
        place.parts, generalist=contender.client, meter=contender.meter, concurrency=contender.concurrency
    )
    runner = Runner(place.capability, parts, place.engine.memory, contender.known_as)
    ran = await runner.run(test.ran, test.tasks)
    without = None if contender.client is None else await runner.run(test.without, test.tasks)
    paid = [one for one in (*ran, *(without or ())) if one.paid]
    runs = _spending(test, contender, perf_counter() - started, tried, paid)
    append_transactions(place.store, [book_learning(run, place.parts.ids) for run in runs])
    return Answered(contender.name, tuple(ran), None if without is None else tuple(without))


def _spending(
    test: _Test, contender: Contender, elapsed_s: float, tried: Usage, paid: Sequence[Result]
) -> Iterator[LearningRun]:
    """Time of this machine, the calls that are owed to somebody else, and those of which nobody knows the price."""
    place, now = test.place, test.place.now()
    usage = sum((one.usage for one in paid if not one.failed), tried)
    here = contender.meter.machine(elapsed_s)
    run = LearningRun(
        id=f"{test.id}-{contender.name}",
        kind=Kind.EVALUATE,
        capability=place.name,
        at=now,
        cost=here.cost,
        energy=here.energy,
    )
    if contender.client is None or contender.provider is None:
        yield msgspec.structs.replace(run, usage=usage)
        return
    yield run
    calls = contender.meter.call(contender.client.name, usage, now, 0.0)
    owed = msgspec.structs.replace(
        run, id=f"{run.id}-calls", cost=calls.cost, energy=calls.energy, usage=usage, provider=contender.provider
    )
    if usage != Usage():
        yield owed
    if any(one.failed for one in paid):
        yield msgspec.structs.replace(owed, id=f"{run.id}-failed", cost=None, energy=UNKNOWN_ENERGY, usage=NOT_HAD)


def _report(test: _Test, reading: Reading, answered: Sequence[Answered]) -> SwapReport:
    found = weigh(answered, reading.alpha)
    if found.failed > MOST_FAILED * len(test.tasks):
        raise EvaluationError(
            f"{found.failed} of {len(test.tasks)} cases were lost to calls that failed",
            where=f"swap test of {test.place.name}",
            remedy="See that each generalist answers and run it again: what was answered is kept and not asked twice.",
        )
    return SwapReport(
        id=test.id,
        capability=test.place.name,
        at=test.place.now(),
        reading=reading,
        level=LEVEL,
        cases=found.cases,
        entities=found.entities,
        failed=found.failed,
        uplifts=found.uplifts,
        portable=found.portable,
        unknown=found.unknown,
    )


def _keep(store: Store, report: SwapReport, by: str) -> None:
    test = SwapTest(id=report.id, capability=report.capability, at=report.at, by=by, body=msgspec.to_builtins(report))
    facts = {"test": report.id, "generalists": len(report.uplifts), "cases": report.cases}
    with store.begin() as connection:
        append_swap(store, test)
        act = Act(what=Done.SWAP_TEST_RUN, subject=report.capability, at=report.at, by=by, body=facts)
        append_audit(store, connection, act)


def swap_reports(store: Store, capability: str) -> list[SwapReport]:
    """The reports of all swap tests of a capability, oldest first."""
    return [report_of(one.body) for one in swap_tests(store, capability)]


def newest_report(store: Store, capability: str) -> SwapReport | None:
    """The newest swap test of the capability; None: none has run."""
    test = newest_swap(store, capability)
    return None if test is None else report_of(test.body)


def next_due(store: Store, capability: str, every_days: float) -> datetime | None:
    """When the next test is due, `every_days` after the newest; None: now, as none has run."""
    newest = newest_swap(store, capability)
    return None if newest is None else newest.at + timedelta(days=every_days)


def is_due(place: Workplace, every_days: float) -> bool:
    """Whether the newest test is as old as that, or there is none."""
    due = next_due(place.store, place.name, every_days)
    return due is None or due <= place.now()


def scheduled(platform: Platform, capability: str) -> SwapSettings | None:
    """What the settings say about swap tests of a capability; None: nothing."""
    declared = platform.settings.capabilities.get(capability)
    return declared.swap if declared else None


async def turn_and_swap(platform: Platform, place: Workplace) -> TurnReport:
    """The loop's next turn, and after it the swap test that is due; one that fails leaves the turn as it is."""
    report = await turn_once(place)
    if report.idle is not None:
        return report
    try:
        made = await swap_if_due(platform, place)
    except TokenCapitalError as error:
        return msgspec.structs.replace(report, swap_failure=str(error))
    return report if made is None else msgspec.structs.replace(report, swap=made.id)


async def swap_if_due(platform: Platform, place: Workplace) -> SwapReport | None:
    """The swap test that the settings ask for, where it is due, enough was judged and the goal's limits allow it."""
    declared, goal, now = scheduled(platform, place.name), place.goal, place.now()
    if declared is None or goal is None or not goal.is_live(now) or limit_reached(place.store, goal):
        return None
    entities = {task.group for task in place.sealed.open(now).tasks}
    if not is_due(place, declared.every_days) or len(entities) < FEWEST_SEALED:
        return None
    asked = SwapAsked(against=declared.against, by="loop", cases=declared.cases, key_env=declared.key_env)
    return await swap(platform, place, asked)
