"""Shares of limits in this process: asked of the store by a thread of their own, before they run out and while used."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

from tokencapital.core.clock import Clock
from tokencapital.core.errors import StoreError
from tokencapital.core.limit import NOTHING, Amount, Limit, Most, Window
from tokencapital.meter.limits import Pot, window_at
from tokencapital.store.spending import ShareAsked

LEASE = timedelta(seconds=30)
"""So long a share is good without the store being heard of; a hard limit then gives nothing more."""
_PARTS = 50
"""A share is this part of a limit at a time: what a replica that dies has not spent is lost until the window ends."""
_TICK_S, _AGAIN_S, _NEXT = 0.5, 0.5, timedelta(seconds=5)
"""How often shares are looked after, how long nobody asks again after the store gave nothing, and how long before a
window ends the next one's share is taken."""

Ask = Callable[[ShareAsked], Amount]
"""Takes a share from the store. Raises StoreError."""


class Share:
    """What this process may take of a pot in one window, good `until` the store has to be heard of again."""

    __slots__ = (
        "again_at", "asked", "dry", "failing", "limit", "name", "need", "over", "pot", "until", "used_at", "window",
    )  # fmt: skip

    def __init__(self, limit: Limit, name: str, window: Window, used_at: float) -> None:
        self.limit = limit
        self.name = name
        self.window = window
        self.pot = Pot(limit.most)
        self.until: datetime | None = None
        self.used_at = used_at
        self.again_at = 0.0
        self.asked = False
        self.dry = False
        self.failing = False
        self.need = NOTHING
        self.over = 0

    def good(self, now: datetime) -> bool:
        """Whether the store was heard of lately enough for a hard limit."""
        return self.until is not None and now < self.until

    @property
    def low(self) -> bool:
        """Whether less than half of a usual share is left."""
        most, granted, spent = self.limit.most, self.pot.granted, self.pot.spent
        return (
            _is_low(most.requests, granted.requests - spent.requests)
            or _is_low(most.tokens, granted.tokens - spent.tokens)
            or _is_low(most.nano_usd, granted.nano_usd - spent.nano_usd)
        )


class Shares:
    """All shares of this process. `lock` is held by whoever looks at or changes one."""

    def __init__(self, ask: Ask, clock: Clock, replica: str, ticks: Callable[[], float] = monotonic) -> None:
        self.lock = threading.Lock()
        self._changed = threading.Condition(self.lock)
        self._ask = ask
        self._clock = clock
        self._replica = replica
        self._ticks = ticks
        self._shares: dict[tuple[str, datetime], Share] = {}
        self._asking: set[Share] = set()
        self._thread: threading.Thread | None = None
        self._closed = False

    def of(self, limit: Limit, name: str, window: Window) -> Share:
        """The share of a pot in a window; of one that nobody has asked about nothing is granted yet."""
        found = self._shares.get((name, window.start))
        if found is None:
            found = self._shares[name, window.start] = Share(limit, name, window, self._ticks())
        found.used_at = self._ticks()
        return found

    def all(self) -> list[Share]:
        """Every share of a window that is not over."""
        with self.lock:
            return list(self._shares.values())

    def want(self, share: Share, need: Amount) -> bool:
        """The store is asked for more of this share, and at least for the need; False: it just was, in vain."""
        if self._ticks() < share.again_at:
            return False
        share.need += need
        if not share.asked:
            share.asked = True
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="tcap-limits", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return True

    def wait(self, share: Share, seconds: float) -> None:
        """Returns when the store has answered about the share, or after so many seconds."""
        self._changed.wait_for(lambda: self._closed or not (share.asked or share in self._asking), seconds)

    def close(self) -> None:
        """What is not spent is given back where the store can be reached, and nothing is asked any more."""
        with self.lock:
            self._closed = True
            self._changed.notify_all()
        if self._thread is None:
            return
        self._thread.join()
        for share in self.all():
            if not self._settle(share, None):
                return

    def _work(self) -> None:
        while True:
            with self.lock:
                self._changed.wait_for(lambda: self._closed or any(s.asked for s in self._shares.values()), _TICK_S)
                if self._closed:
                    return
                waiting = [share for share in self._shares.values() if share.asked]
            for share in waiting or self._due():
                idle = not share.asked and share.used_at < self._ticks() - LEASE.total_seconds()
                self._settle(share, None if idle else _part(share.limit.most))

    def _due(self) -> list[Share]:
        """Shares that end soon while they are used, or that nobody uses any more; windows that are over are dropped."""
        now, ticks = self._clock.now(), self._ticks()
        with self.lock:
            for key, share in list(self._shares.items()):
                if share.window.end + _NEXT < now and share.pot.held == NOTHING:
                    del self._shares[key]
                elif share.window.start <= now < share.window.end <= now + _NEXT:
                    self._begin_next(share, ticks)
            return [share for share in self._shares.values() if self._is_due(share, now, ticks)]

    def _begin_next(self, share: Share, ticks: float) -> None:
        """Whoever takes in the last seconds of a window finds a share of the next one."""
        window = window_at(share.limit.per, share.window.end)
        if share.used_at > ticks - LEASE.total_seconds() and (share.name, window.start) not in self._shares:
            self._shares[share.name, window.start] = Share(share.limit, share.name, window, ticks)

    def _is_due(self, share: Share, now: datetime, ticks: float) -> bool:
        if ticks < share.again_at:
            return False
        if share.used_at < ticks - LEASE.total_seconds():
            return share.pot.granted != share.pot.spent and not share.failing
        return share.until is None or share.until - now < LEASE / 2 or share.failing

    def _settle(self, share: Share, more: Amount | None) -> bool:
        """The store and the share agree on what it may take; False: the store does not answer.

        It is filled up by what requests wait for and so much more; None: what is not spent is given back, and can be
        taken by nobody here from the moment that it is offered.
        """
        now = self._clock.now()
        window = share.window
        with self.lock:
            spent = share.pot.spent
            want = NOTHING if more is None else more + share.need
            share.need, share.asked = NOTHING, False
            self._asking.add(share)
            share.pot.granted = share.pot.granted.least(spent + want)
        asked = ShareAsked(
            pot=share.name,
            window_start=window.start,
            replica=self._replica,
            most=share.limit.most,
            spent=spent,
            want=want,
            until=now + LEASE,
            forget_before=window.start - 1.5 * (window.end - window.start),
        )
        try:
            granted: Amount | None = self._ask(asked)
        except StoreError:
            granted = None
        with self.lock:
            self._answered(share, asked, granted)
            self._changed.notify_all()
        return granted is not None

    def _answered(self, share: Share, asked: ShareAsked, granted: Amount | None) -> None:
        self._asking.discard(share)
        share.failing = granted is None
        if granted is None:
            share.again_at = self._ticks() + _AGAIN_S
            return
        share.pot.granted = granted
        share.until = asked.until
        share.dry = granted != asked.spent + asked.want
        share.again_at = self._ticks() + _AGAIN_S if share.dry else 0.0


def _part(most: Most) -> Amount:
    """What a share is filled up with."""
    return Amount((most.requests or 0) // _PARTS, (most.tokens or 0) // _PARTS, (most.nano_usd or 0) // _PARTS)


def _is_low(most: int | None, left: int) -> bool:
    return most is not None and left < most // (2 * _PARTS)
