"""Who is declared as a contributor, and what groups are told before their judgments may teach."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from tokencapital.app.platform import Platform
from tokencapital.core.errors import InputError
from tokencapital.core.judgment import DrawKind, Judgment
from tokencapital.core.people import EVERYONE, Contributor, Notice, NoticeKind
from tokencapital.stats.suppression import FEWEST
from tokencapital.store.audit import Act, Done, append_audit
from tokencapital.store.contributors import add_contributor, declared_contributors, read_contributor
from tokencapital.store.database import Store
from tokencapital.store.judgments import Change, hear_noticed, record_notice
from tokencapital.store.notices import may_teach

PLAYER = "player"
_PLAYED = "Work of the past or of a simulated company is played on this machine; nobody is answered by it."


class NoticeAsked(Struct, frozen=True, kw_only=True):
    """A notice as somebody hands it in. `given_on` None: now."""

    group: str
    text: str
    terms: str
    by: str
    kind: NoticeKind = NoticeKind.NOTICE
    given_on: datetime | None = None


class NoticeGiven(Struct, frozen=True):
    """A notice on record, and how many judgments that were kept until then may teach now."""

    notice: Notice
    teaching: int


class NoticeGap(Struct, frozen=True):
    """A group whose judgments of a capability are kept and teach nothing, because it had no notice when they were
    given. There are at least `judgments` of them, a round number, so that nobody sees by one more who gave it; None:
    they are of fewer than five people."""

    capability: str
    group: str
    judgments: int | None


def give_notice(platform: Platform, asked: NoticeAsked) -> NoticeGiven:
    """The group had notice. Raises InputError where a part is empty or the day is to come."""
    now = platform.clock.now()
    if not all(part.strip() for part in (asked.group, asked.text, asked.terms, asked.by)):
        raise InputError("a notice needs a group, a text, terms, and who gave it")
    if asked.given_on is not None and asked.given_on > now:
        raise InputError(f"{asked.given_on:%Y-%m-%d} is to come", where="notice", remedy="Record it when it was given.")
    given = Notice(
        id=platform.ids.new("ntc"),
        group=asked.group,
        kind=asked.kind,
        text=asked.text,
        terms=asked.terms,
        given_on=asked.given_on or now,
        at=now,
        by=asked.by,
    )
    with platform.store.begin() as connection:
        teaching = record_notice(platform.store, given)
        body = {"group": given.group, "kind": given.kind.value, "teaching": teaching}
        act = Act(what=Done.NOTICE_RECORDED, subject=given.id, at=now, by=given.by, body=body)
        append_audit(platform.store, connection, act)
    return NoticeGiven(given, teaching)


def declare_contributor(store: Store, declared: Contributor, *, by: str, at: datetime) -> int:
    """The contributor is as declared; returns how many judgments may teach now that did not before."""
    with store.begin() as connection:
        if declared_contributors(connection, [declared.pseudonym]).get(declared.pseudonym) == declared:
            return 0
        add_contributor(store, declared, by=by, at=at)
        teaching = hear_noticed(store, Change(by, at, f"{declared.pseudonym} is in {declared.group}"))
        body = {"group": declared.group, "teaching": teaching}
        act = Act(what=Done.CONTRIBUTOR_DECLARED, subject=declared.pseudonym, at=at, by=by, body=body)
        append_audit(store, connection, act)
        return teaching


def notice_gaps(platform: Platform, capability: str | None = None) -> tuple[NoticeGap, ...]:
    """The groups whose judgments of a capability (None: of any) teach nothing for want of a notice; empty: all may."""
    counted: dict[tuple[str, str], list[int]] = {}
    for one in platform.untaught.count():
        if capability in (None, one.capability):
            counted.setdefault((one.capability, one.group), []).append(one.count)
    return tuple(
        NoticeGap(name, group, _rounded(sum(counts)) if len(counts) >= FEWEST else None)
        for (name, group), counts in sorted(counted.items())
    )


def _rounded(count: int) -> int:
    """The largest of 1, 5, 10, 50, 100, 500 and so on that is not above the count."""
    power = int("1".ljust(len(str(count)), "0"))
    return 5 * power if count >= 5 * power else power


def why_untaught(store: Store, said: Judgment) -> str | None:
    """Why a judgment may not teach; None: it may.

    Whether its case is kept for the gate, and so teaches nothing either, is told to nobody who judges.
    """
    if not said.verdict.answers:
        return f"the verdict `{said.verdict.value}` holds no answer to learn from"
    if said.drawn is DrawKind.IN_WORK and not said.can_teach:
        return "a draft that was sent as it stood is counted and teaches nothing"
    with store.read() as connection:
        if may_teach(connection, [said]):
            return None
    group = read_contributor(store, said.expert).group
    return f"the group `{group}` had no notice, so that it is kept and teaches nothing"


def tell_players(store: Store, experts: Sequence[Contributor], at: datetime) -> None:
    """The experts of played work are declared, and their judgments from `at` on may teach in this store."""
    for expert in (one for one in experts if read_contributor(store, one.pseudonym) != one):
        declare_contributor(store, expert, by=PLAYER, at=at)
    for group in sorted({EVERYONE, *(expert.group for expert in experts)}):
        record_notice(
            store,
            Notice(
                id=f"ntc_{PLAYER}_{group}",
                group=group,
                kind=NoticeKind.NOTICE,
                text=_PLAYED,
                terms="none: these judgments leave this store in no release",
                given_on=at,
                at=at,
                by=PLAYER,
            ),
        )
