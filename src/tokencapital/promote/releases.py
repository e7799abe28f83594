"""What is live, read for every request and written by the gate; a rollback is a release of its own."""

from __future__ import annotations

from datetime import datetime

import msgspec

from tokencapital.core.case import Capability
from tokencapital.core.errors import GateError, StoreUnavailable
from tokencapital.core.ids import IdSource
from tokencapital.core.policy import Decision, Evidence, Lane, Policy, Release
from tokencapital.models.artifacts import load_specialist
from tokencapital.models.specialist import Specialist
from tokencapital.serve.ports import Live
from tokencapital.store import releases as book
from tokencapital.store.audit import Act, Done, append_audit
from tokencapital.store.database import Store


class LiveReleases:
    """The engine's reader of releases: sees each time whether one was made, loads a policy once.

    A specialist whose artifact was erased is let go at the next request.
    """

    def __init__(self, store: Store, starting: dict[str, Policy]) -> None:
        self._store = store
        self._starting = starting
        self._loaded: dict[str, Live] = {}
        self._seen: dict[str, int] = {}

    def live(self, capability: str) -> Live:
        """The policy that answers now: that of the newest promoted release, or the starting one before.

        While the store is away it is the one that answered before.
        """
        made, known = book.decisions_made(self._store), self._loaded.get(capability)
        if known is not None and self._seen[capability] == made:
            return known
        try:
            now = self._look(capability, known)
        except StoreUnavailable:
            if known is None:
                raise
            return known
        self._seen[capability], self._loaded[capability] = made, now
        return now

    def _look(self, capability: str, known: Live | None) -> Live:
        release = book.live_release(self._store, capability)
        if known is None or known.release != (release.id if release else None) or self._lost_specialist(known):
            return load_live(self._store, release) if release else self.starting(capability)
        return known

    def _lost_specialist(self, known: Live) -> bool:
        digest = known.policy.specialist
        return known.specialist is not None and digest is not None and book.is_erased(self._store, digest)

    def starting(self, capability: str) -> Live:
        """What answers before the first release."""
        return Live(self._starting[capability])


def load_live(store: Store, release: Release) -> Live:
    """The release's policy with its specialist loaded. Raises GateError where the store lacks them."""
    policy = book.read_policy(store, release.policy)
    if policy is None:
        raise GateError("the policy of this release is not in the store", where=release.id)
    return Live(policy, release.id, load_policy_specialist(store, policy))


def load_policy_specialist(store: Store, policy: Policy) -> Specialist | None:
    """The specialist of a policy; None where it has none, or its artifact was erased: it then answers without.

    Raises GateError where the artifact is missing.
    """
    if policy.specialist is None:
        return None
    body = book.load_artifact(store, policy.specialist)
    if body is None and book.is_erased(store, policy.specialist):
        return None
    if body is None:
        raise GateError("the specialist's artifact is not in the store", where=policy.specialist)
    return load_specialist(body)


def starting_policy(capability: Capability) -> Policy:
    """What answers before the first release: instructions and documents, no memory but identical inputs."""
    return Policy(
        capability=capability.name,
        contract=capability.contract,
        instructions=capability.instructions,
        exemplars=0,
        passages=capability.passages,
    )


def observing_policy(capability: Capability) -> Policy:
    """What answers in `observe` and `shadow` mode: the generalist with the instructions, nothing learned."""
    return msgspec.structs.replace(starting_policy(capability), identical=False, explore=0.0)


def rollback(store: Store, capability: str, by: str, at: datetime, ids: IdSource) -> Release:
    """The release before the live one is live again, as a new release that says who wanted it.

    Raises GateError where there is nothing to go back to.
    """
    live = book.live_release(store, capability)
    earlier = _before(store, live) if live else None
    if live is None or earlier is None:
        raise GateError(
            f"`{capability}` has no earlier release to go back to",
            remedy="`tcap releases` lists what was released.",
        )
    undone = Release(
        id=ids.new("rel"),
        capability=capability,
        policy=earlier.policy,
        at=at,
        lane=Lane.ROLLBACK,
        decision=Decision.PROMOTED,
        evidence=Evidence(
            n=0, reason=f"{live.id} undone; back to the policy of {earlier.id}", details=earlier.evidence.details
        ),
        parent=earlier.parent,
        decided_by=by,
    )
    with store.begin() as connection:
        book.append_release(store, undone)
        act = Act(
            what=Done.ROLLED_BACK, subject=undone.id, at=at, by=by, body={"capability": capability, "undone": live.id}
        )
        append_audit(store, connection, act)
    return undone


def _before(store: Store, live: Release) -> Release | None:
    """The release that `live` replaced: its parent, or for a rollback the parent of what it went back to."""
    known = {release.id: release for release in book.releases(store, live.capability)}
    return known.get(live.parent) if live.parent else None
