"""Taking judgments back: the next request no longer knows them, and what learned from them is named."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from tokencapital.app.platform import Platform
from tokencapital.core.errors import InputError
from tokencapital.store.audit import Act, Done, append_audit
from tokencapital.store.judgments import find_judgments, withdraw
from tokencapital.store.releases import lineage_of


class Retracted(Struct, frozen=True):
    """The `judgments` that were taken back, and the live releases whose specialist learned from one: it is fitted
    anew at the next turn."""

    judgments: tuple[str, ...]
    rebuilt_next: tuple[str, ...]


def retract(platform: Platform, ids: Sequence[str], by: str, reason: str | None) -> Retracted:
    """The judgments neither answer nor teach from now on; all of them, or none where one is not known.

    Raises InputError.
    """
    store, now = platform.store, platform.clock.now()
    with store.begin() as connection:
        known = find_judgments(store, ids)
        missing = sorted(set(ids) - set(known))
        if missing:
            raise InputError(f"no judgment {', '.join(missing)} is stored", remedy="See the judgments of a case's run.")
        for judgment_id in dict.fromkeys(ids):
            withdraw(store, judgment_id, by=by, at=now, reason=reason)
        for judgment_id in dict.fromkeys(ids):
            append_audit(store, connection, Act(what=Done.RETRACTED, subject=judgment_id, at=now, by=by))
    sequences = {one.sequence for one in known.values()}
    resting = [
        _resting(platform, capability, sequences) for capability in sorted({one.capability for one in known.values()})
    ]
    return Retracted(tuple(dict.fromkeys(ids)), tuple(release for release in resting if release is not None))


def _resting(platform: Platform, capability: str, sequences: set[int]) -> str | None:
    """The capability's live release, where its specialist learned from one of these judgments."""
    live = platform.workplace(capability).releases.live(capability)
    digest = live.policy.specialist
    learned = set(lineage_of(platform.store, digest)) if digest else set()
    return live.release if learned & sequences else None
