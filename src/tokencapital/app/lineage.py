"""Lineage both ways: what an answer rests on, and what the judgments of its case went into since."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from tokencapital.app.explaining import Precedent
from tokencapital.app.grounds import Ground, grounds_of
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.retracting import Retracted, retract
from tokencapital.app.telling import why_untaught
from tokencapital.core.answer import Trajectory
from tokencapital.core.errors import AccessRefused, InputError
from tokencapital.core.judgment import Judgment
from tokencapital.core.people import Role
from tokencapital.evaluate.sealed import judgments_of_sealed
from tokencapital.store.cases import answers_resting_on
from tokencapital.store.judgments import find_judgments, read_judgments
from tokencapital.store.knowledge import passages_at
from tokencapital.store.lineage import releases_taught

NEWEST = 5
"""So many of the answers that rest on a judgment are named; the others are counted."""


class Consequence(Struct, frozen=True, kw_only=True):
    """What somebody said of a case, and what it went into.

    `untaught` says why it may not teach (None: it may, unless its case is kept for the gate, which is told to
    nobody who judges). `answers` rest on it, of which `newest` are named; `releases` learned from it.
    """

    judgment: Judgment
    untaught: str | None
    answers: int
    newest: tuple[Trajectory, ...]
    releases: tuple[str, ...]


def grounds(place: Workplace, done: Trajectory, like: Sequence[Precedent]) -> list[Ground]:
    """What the answer of a run rests on, then judged cases like its own."""
    passages = passages_at(place.store, done.answer.because, place.now())
    return grounds_of(place, done, like, list(passages.values()))


def consequences(place: Workplace, case_id: str) -> list[Consequence]:
    """What people said of a case, oldest first, and what it went into; what was taken back is left out."""
    store = place.store
    said = read_judgments(store, case_id) or judgments_of_sealed(store, case_id)
    ids = [one.id for one in said]
    taught = releases_taught(store, place.name, ids)
    found = []
    for one in said:
        count, newest = answers_resting_on(store, one.id, NEWEST)
        found.append(
            Consequence(
                judgment=one,
                untaught=why_untaught(store, one),
                answers=count,
                newest=tuple(newest),
                releases=taught.get(one.id, ()),
            )
        )
    return found


def take_back(platform: Platform, judgment_id: str, *, by: str | None, roles: frozenset[Role], why: str) -> Retracted:
    """The judgment neither answers nor teaches from now on. Whoever gave it may take it back, and an admin.

    Raises AccessRefused for anybody else, InputError where there is no such judgment or nobody says who asks.
    """
    if by is None:
        raise InputError("taking a judgment back needs a name", remedy="Tell your pseudonym on the review page first.")
    known = find_judgments(platform.store, [judgment_id]).get(judgment_id)
    if known is None:
        raise InputError(f"no judgment {judgment_id} is stored")
    if known.expert != by and Role.ADMIN not in roles:
        raise AccessRefused("only who gave a judgment, or an admin, may take it back")
    return retract(platform, [judgment_id], by, why or None)
