"""`tcap look`: what kinds of work are in recorded traffic, and whether people's judgments of it would suffice.

Everything is read and counted on this machine; nothing is kept, and nothing is sent.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

import numpy as np
from msgspec import Struct

from tokencapital.app.look_kinds import Kinds, find_kinds
from tokencapital.app.look_pile import Drawn, Pile
from tokencapital.app.look_reading import Looked, Recorded
from tokencapital.app.look_rules import example_of, found_by, propose_rules, write_rules
from tokencapital.core.errors import InputError
from tokencapital.improve.calibrate import DELTA
from tokencapital.meter.prices import PriceBook
from tokencapital.models.base import Embedder
from tokencapital.record.imports.told import Skip
from tokencapital.serve.rules_meaning import opening
from tokencapital.serve.rules_sorting import Rules
from tokencapital.stats.distributions import binomial_tail

TOLERANCE = 0.05
_POWER, _ASSUMED_ERROR, _SURE_SHARE = 0.8, 0.02, 1 / 3
_NEAR, _MOST_COMPARED = 0.9, 600
_EXAMPLES = 3
_NANO = Decimal(10) ** 9
ASSUMED = (
    f"Judgments: of cases drawn by chance, one of each customer or thread, so that the surest third may be answered "
    f"alone with at most {TOLERANCE:.0%} errors (Learn then Test, probability {1 - DELTA:.0%}); found with a chance of "
    f"{_POWER:.0%} where {_ASSUMED_ERROR:.0%} of that third are really wrong."
)

Told = Callable[[int, int], None]


class KindReport(Struct, frozen=True, kw_only=True):
    """One kind of work. `share` is that of all calls, `usd` what they cost where it is known (None: of no call).

    `exact_repeats` is the share of cases whose opening came before, `near_repeats` of those in the sample that are
    nearly like another. `decisions` counts what people decided in it. `judgments` is how many would be needed,
    `enough` whether there are so many cases. `found_by_rules` is the share that the proposed rules sort into it.
    """

    name: str
    cases: int
    calls: int
    share: float
    usd: Decimal | None
    unpriced_calls: int
    exact_repeats: float
    near_repeats: float | None
    decisions: dict[str, int]
    topics: int
    judgments: int
    enough: bool
    found_by_rules: float | None
    examples: tuple[str, ...] = ()


class LookReport(Struct, frozen=True, kw_only=True):
    """What was seen. `skipped` counts what could not be read, by reason. `rules` are proposed, as TOML."""

    cases: int
    calls: int
    first: datetime | None
    last: datetime | None
    kinds: tuple[KindReport, ...]
    skipped: dict[str, int]
    assumed: str
    rules: str


class Looking(Struct, frozen=True, kw_only=True):
    """How to look: `since` leaves out what is older (what has no time stays), `names` are of kinds by number from 1."""

    since: datetime | None = None
    names: dict[int, str] = {}
    examples: bool = False


def look_at(
    work: Iterator[Looked], looking: Looking, parts: tuple[Embedder, PriceBook, datetime], told: Told
) -> LookReport:
    """What is in the recorded work. `parts` are what embeds, what knows prices, and the time.

    Raises InputError where nothing could be read.
    """
    embedder, prices, now = parts
    pile, skipped = Pile(embedder, prices, now), Counter[str]()
    for number, one in enumerate(work, 1):
        match one:
            case Skip(why=why):
                skipped[why] += 1
            case Recorded(at=at) if at is not None and looking.since is not None and at < looking.since:
                skipped["it is older than was asked for"] += 1
            case _:
                pile.add(one)
        if number % 500 == 0:
            told(number, number)
    if not len(pile):
        why = ", ".join(f"{count} times {reason}" for reason, count in skipped.most_common(3)) or "it is empty"
        raise InputError(f"no recorded work could be read: {why}", remedy="See docs/how-to/look.md for what is read.")
    return _report(pile, find_kinds(pile), looking, embedder, skipped)


@lru_cache(maxsize=16)
def judgments_needed(tolerance: float = TOLERANCE, delta: float = DELTA) -> int:
    """How many judged cases vouch for a threshold, as `ASSUMED` says.

    Of n cases in the surest third, the exact test allows c errors: the most with P(Bin(n, tolerance) <= c) <= delta.
    The smallest n with P(Bin(n, assumed error) <= c) >= power, times three.
    """
    n = allowed = 0
    while True:
        n += 1
        if binomial_tail(0, n, tolerance) > delta:
            continue
        while binomial_tail(allowed + 1, n, tolerance) <= delta:
            allowed += 1
        if binomial_tail(allowed, n, _ASSUMED_ERROR) >= _POWER:
            return round(n / _SURE_SHARE)


def _report(pile: Pile, kinds: Kinds, looking: Looking, embedder: Embedder, skipped: Counter[str]) -> LookReport:
    names = [looking.names.get(kind + 1, f"kind-{kind + 1}") for kind in range(kinds.count)]
    proposed = propose_rules(pile, kinds, names, embedder)
    found = found_by(pile, kinds, names, Rules(proposed, embedder))
    total = sum(pile.calls)
    decided = _decided(pile, kinds)
    reports = [
        _kind(pile, kinds, kind, _Seen(names[kind], total, found[kind], decided[kind], looking.examples), embedder)
        for kind in range(kinds.count)
    ]
    return LookReport(
        cases=len(pile),
        calls=total,
        first=pile.first,
        last=pile.last,
        kinds=tuple(reports),
        skipped=dict(skipped),
        assumed=ASSUMED,
        rules=write_rules(proposed),
    )


class _Seen(Struct, frozen=True):
    name: str
    total: int
    found: float | None
    decided: Counter[str]
    examples: bool


def _decided(pile: Pile, kinds: Kinds) -> defaultdict[int, Counter[str]]:
    """What people decided, by kind of work."""
    found: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for (case, what), count in pile.decisions.items():
        found[int(kinds.of_case[case])][what] += count
    return found


def _kind(pile: Pile, kinds: Kinds, kind: int, seen: _Seen, embedder: Embedder) -> KindReport:
    cases = np.flatnonzero(kinds.of_case == kind)
    calls = int(np.frombuffer(pile.calls, np.uintc)[cases].sum())
    unpriced = int(np.frombuffer(pile.unpriced, np.uintc)[cases].sum())
    nano = int(np.frombuffer(pile.nano_usd, np.int64)[cases].sum())
    drawn = [one for one, of in zip(pile.sample, kinds.of_sample, strict=True) if of == kind]
    inputs = np.frombuffer(pile.inputs, np.uint64)[cases]
    topics = {int(topic) for topic, of in zip(kinds.topics, kinds.of_sample, strict=True) if of == kind}
    needed = judgments_needed()
    return KindReport(
        name=seen.name,
        cases=len(cases),
        calls=calls,
        share=calls / seen.total,
        usd=Decimal(nano) / _NANO if unpriced < calls else None,
        unpriced_calls=unpriced,
        exact_repeats=1 - len(np.unique(inputs)) / len(cases),
        near_repeats=_near(drawn, embedder),
        decisions=dict(seen.decided),
        topics=max(1, len(topics)),
        judgments=needed,
        enough=len(cases) >= needed,
        found_by_rules=seen.found,
        examples=tuple(example_of(one.messages) for one in drawn[:_EXAMPLES]) if seen.examples else (),
    )


def _near(drawn: Sequence[Drawn], embedder: Embedder) -> float | None:
    """The share of openings that are nearly like another in the sample; None: there are not two."""
    if len(drawn) < 2:
        return None
    vectors = embedder.embed([opening(one.messages) for one in drawn[:_MOST_COMPARED]])
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -1.0)
    return float((alike.max(axis=1) >= _NEAR).mean())
