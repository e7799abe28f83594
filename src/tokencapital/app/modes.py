"""What becomes of a capability's answers: raising it takes a named person and proof, lowering it one command."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from tokencapital.app.platform import Platform, Workplace
from tokencapital.core.case import ContractKind, Mode
from tokencapital.core.errors import GateError, InputError
from tokencapital.core.policy import Policy
from tokencapital.improve.calibrate import DELTA
from tokencapital.stats.thresholds import cases_required
from tokencapital.store.capabilities import mode_since, set_mode
from tokencapital.store.judgments import memory_events
from tokencapital.store.releases import live_release, read_policy

_MODES = list(Mode)
_ANYBODY = "command line"
_ALONE = frozenset({ContractKind.LABEL, ContractKind.FIELDS})
"""Contracts under which a stage may answer alone, once a threshold is vouched for."""


class ModeSet(Struct, frozen=True, kw_only=True):
    """A capability's mode as it is now, what it was before, who changed it and when."""

    capability: str
    before: Mode
    mode: Mode
    by: str
    at: datetime


def change_mode(platform: Platform, name: str, mode: Mode, by: str | None) -> ModeSet:
    """The capability is in the mode from the next request on, in every process that serves it.

    Lowering is done for whoever asks. Raises UnknownCapability, InputError where a mode is raised and nobody is
    named, and GateError with all that is missing.
    """
    place = platform.workplace(name)
    before = place.capability.mode
    if _MODES.index(mode) > _MODES.index(before):
        if not (by or "").strip():
            raise InputError(f"raising `{name}` to `{mode}` needs a name", remedy="Say who answers for it: --by NAME.")
        _refuse_unproven(place, mode)
    if mode is not before:
        set_mode(platform.store, name, mode, by=by or _ANYBODY, at=place.now())
        platform.declared.look()
    since = mode_since(platform.store, name)
    return ModeSet(
        capability=name,
        before=before,
        mode=mode,
        by=since.by if since else by or _ANYBODY,
        at=since.at if since else place.now(),
    )


def missing_for(place: Workplace, mode: Mode) -> list[str]:
    """All that is missing before the capability may be raised to the mode, in words; empty: nothing is."""
    match mode:
        case Mode.ANSWER:
            return list(_missing_for_answers(place))
        case Mode.SUGGEST:
            return list(_missing_for_suggestions(place))
        case _:
            return []


def _refuse_unproven(place: Workplace, mode: Mode) -> None:
    missing = missing_for(place, mode)
    if missing:
        raise GateError(
            f"`{place.name}` cannot be raised to `{mode}`: {'; '.join(missing)}",
            remedy=f"It stays in `{place.capability.mode}`, and nothing has changed.",
        )


def _missing_for_suggestions(place: Workplace) -> Iterator[str]:
    if live_release(place.store, place.name) is None and not memory_events(place.store, place.name, 0):
        yield "nothing was released and no judgment has taught it, so that it has nothing to suggest (`tcap review`)"


def _missing_for_answers(place: Workplace) -> Iterator[str]:
    goal = place.goal
    if goal is None or not goal.is_live(place.now()):
        ended = "no goal is declared" if goal is None else "its goal has expired"
        yield f"{ended}, so that nobody has said how many errors are tolerated ([capabilities.{place.name}.goal])"
    live = live_release(place.store, place.name)
    if live is None:
        yield "the gate has let no release through (`tcap improve` proposes one when there are judgments)"
        return
    policy = read_policy(place.store, live.policy)
    tolerance = goal.tolerance if goal else 0.0
    if policy is None or goal is None or place.capability.contract.kind not in _ALONE:
        return
    if not _vouched(policy, tolerance):
        needed = cases_required(tolerance, DELTA)
        yield (
            f"no threshold of {live.id} is vouched for at {tolerance:.0%} errors: that takes at least {needed} cases"
            " that chance drew and people judged, all right, and more with each error"
        )


def _vouched(policy: Policy, tolerance: float) -> bool:
    rules = (policy.recall, policy.specialist_rule, policy.generalist_rule)
    return any(rule.threshold is not None and rule.threshold.tolerance <= tolerance for rule in rules)
