"""The purse: room for requests within limits, taken before a call and made right when it is known what it took."""

from __future__ import annotations

import math
import os
import secrets
import socket
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from time import monotonic

from tokencapital.app.access_settings import named_apart
from tokencapital.app.settings import Settings
from tokencapital.app.shares import Share, Shares
from tokencapital.core.call import Wire
from tokencapital.core.clock import Clock
from tokencapital.core.errors import LimitReached
from tokencapital.core.limit import NOTHING, Amount, Limit, Per, Window, nano_usd
from tokencapital.core.quantity import Usage
from tokencapital.meter.limits import input_tokens, output_tokens, window_at
from tokencapital.meter.prices import PriceBook
from tokencapital.serve.relay_ports import Asked, Hold
from tokencapital.store.database import Store
from tokencapital.store.spending import take_share

PriceOf = Callable[[str, Usage, datetime], Decimal | None]
"""Dollars of a call to a model; None: no price is known."""
_WAIT_S = 0.25
"""So long a request waits for the store at most, and with it all others of this process."""
_SOON_S = 5.0
_LOOKS = 8
_MILLION = 1_000_000
_MOST_KEPT = 4096
_SILENT = frozenset({Wire.EMBEDDINGS, Wire.COUNT_TOKENS})
"""Wires whose answers have no tokens."""


class Purse:
    """All limits of a house as one process sees them; a `Purse` of the relay."""

    def __init__(self, limits: Sequence[Limit], shares: Shares, clock: Clock, price_of: PriceOf) -> None:
        self._limits = tuple(limits)
        self._shares = shares
        self._clock = clock
        self._price_of = price_of
        self._pots: dict[tuple[str, str, str], tuple[tuple[Limit, str], ...]] = {}
        self._windows: dict[str, Window] = {}
        self._unit: dict[str, tuple[int | None, int | None, datetime]] = {}

    def hold(self, asked: Asked, capability: str | None, provider: str) -> Hold | None:
        """Room for this request; None: no limit holds for it. Raises LimitReached, naming the limit."""
        if not self._limits:
            return None
        who = (asked.caller.application or "", capability or "", provider)
        pots = self._pots.get(who)
        if pots is None:
            pots = self._find(who)
        if not pots:
            return None
        now = self._clock.now()
        wanted, priced = self._wanted(asked, pots, now)
        with self._shares.lock:
            shares = [self._shares.of(limit, name, self._window(limit, now)) for limit, name in pots]
            _refuse_unpriced(shares, priced=priced)
            for _ in range(_LOOKS):
                if all(self._make_room(share, wanted, now) for share in shares):
                    break
            else:
                raise LimitReached("too many requests look for room at once", retry_after_s=_SOON_S)
            for share in shares:
                share.pot.take(wanted)
                if share.low:
                    self._shares.want(share, NOTHING)
        return _Held(self, shares, wanted, asked.model)

    def standing(self) -> list[Share]:
        """The shares of this process, for whoever watches."""
        return self._shares.all()

    def close(self) -> None:
        """What is not spent is given back."""
        self._shares.close()

    def settle(self, shares: Sequence[Share], held: Amount, used: Amount) -> None:
        """What was held is free again, and so much is used for good."""
        with self._shares.lock:
            for share in shares:
                share.pot.settle(held, used)

    def usd(self, model: str, usage: Usage) -> Decimal | None:
        """Dollars of a call that is over; None: no price is known."""
        return self._price_of(model, usage, self._clock.now())

    def _make_room(self, share: Share, wanted: Amount, now: datetime) -> bool:
        """Whether the request may take from the share as it is; False: it may, but time has passed, look again.

        Raises LimitReached where it may not.
        """
        if self._fits(share, wanted, now):
            return True
        until = monotonic() + _WAIT_S
        while monotonic() < until and self._shares.want(share, wanted):
            self._shares.wait(share, until - monotonic())
            if self._fits(share, wanted, now):
                return False
        if share.dry and not share.failing:
            raise _used_up(share, (share.window.end - now).total_seconds())
        if share.limit.hard:
            raise LimitReached(
                f"whether the limit `{share.limit.name}` leaves room cannot be told while the store does not answer",
                retry_after_s=_SOON_S,
            )
        share.over += 1
        return True

    def _fits(self, share: Share, wanted: Amount, now: datetime) -> bool:
        return share.pot.room(wanted) and (not share.limit.hard or share.good(now))

    def _find(self, who: tuple[str, str, str]) -> tuple[tuple[Limit, str], ...]:
        named = [(limit, limit.pot_of(*who)) for limit in self._limits]
        found = tuple((limit, f"{limit.name}|{pot}") for limit, pot in named if pot is not None)
        if len(self._pots) >= _MOST_KEPT:
            self._pots.clear()
        self._pots[who] = found
        return found

    def _window(self, limit: Limit, now: datetime) -> Window:
        found = self._windows.get(limit.per)
        if found is None or not found.start <= now < found.end:
            found = self._windows[limit.per] = window_at(limit.per, now)
        return found

    def _wanted(self, asked: Asked, pots: Sequence[tuple[Limit, str]], now: datetime) -> tuple[Amount, bool]:
        """What the request takes at most, and whether its price is known."""
        usd = any(limit.most.nano_usd is not None for limit, _ in pots)
        if not usd and all(limit.most.tokens is None for limit, _ in pots):
            return Amount(1), True
        if asked.wire is Wire.COUNT_TOKENS:
            return Amount(1), True
        before = input_tokens(asked.body)
        after = 0 if asked.wire in _SILENT else output_tokens(asked.body)
        if not usd:
            return Amount(1, before + after), True
        to_read, to_write = self._prices(asked.model, now)
        if to_read is None or (after and to_write is None):
            return Amount(1, before + after), False
        nano = math.ceil((before * to_read + after * (to_write or 0)) / _MILLION)
        return Amount(1, before + after, nano), True

    def _prices(self, model: str, now: datetime) -> tuple[int | None, int | None]:
        """Billionths of a dollar for a million tokens in and out, looked up once in a while."""
        known = self._unit.get(model)
        day = window_at(Per.DAY, now).start
        if known is None or known[2] != day:
            if len(self._unit) >= _MOST_KEPT:
                self._unit.clear()
            found = [self._price_of(model, usage, now) for usage in (Usage(_MILLION, 0), Usage(0, _MILLION))]
            read, write = (None if usd is None else nano_usd(usd) for usd in found)
            known = self._unit[model] = (read, write, day)
        return known[0], known[1]


def open_purse(settings: Settings, store: Store, clock: Clock, prices: PriceBook) -> Purse:
    """The purse of this process, with the limits of the settings."""

    def price_of(model: str, usage: Usage, at: datetime) -> Decimal | None:
        quote = prices.cost(model, usage, at, 0.0)
        return None if quote is None or quote.amount.currency != "USD" else quote.amount.amount

    replica = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    shares = Shares(lambda asked: take_share(store, asked), clock, replica)
    return Purse(named_apart(settings.limits), shares, clock, price_of)


class _Held:
    """Room taken from shares while a request is on its way."""

    __slots__ = ("_held", "_model", "_open", "_purse", "_shares")

    def __init__(self, purse: Purse, shares: Sequence[Share], held: Amount, model: str) -> None:
        self._purse = purse
        self._shares = shares
        self._held = held
        self._model = model
        self._open = True

    def settle(self, usage: Usage | None, usd: Decimal | None) -> None:
        """The room taken is what the request really took; None: unknown, and what was held stays taken."""
        if not self._open:
            return
        self._open = False
        tokens, nano = _tokens(usage), self._held.nano_usd
        if usd is None and usage is not None and nano:
            usd = self._purse.usd(self._model, usage)
        if usd is not None:
            nano = nano_usd(usd)
        used = Amount(1, self._held.tokens if tokens is None else tokens, nano)
        self._purse.settle(self._shares, self._held, used)

    def release(self) -> None:
        """The request took nothing."""
        if self._open:
            self._open = False
            self._purse.settle(self._shares, self._held, NOTHING)


def _tokens(usage: Usage | None) -> int | None:
    """Tokens of all kinds; None: nobody knows."""
    if usage is None or usage.input is None or usage.output is None:
        return None
    return usage.input + usage.output + usage.cache_read + usage.cache_write


def _refuse_unpriced(shares: Sequence[Share], *, priced: bool) -> None:
    for limit in (share.limit for share in shares):
        if limit.hard and limit.most.nano_usd is not None and not priced:
            raise LimitReached(
                f"the limit `{limit.name}` counts dollars, and no price of this model is known: declare it in [prices]"
            )


def _used_up(share: Share, seconds: float) -> LimitReached:
    most, per = share.limit.most, share.limit.per
    told = [
        None if most.requests is None else f"{most.requests:,} requests",
        None if most.tokens is None else f"{most.tokens:,} tokens",
        None if most.nano_usd is None else f"{Decimal(most.nano_usd) / 10**9:f} USD",
    ]
    amounts = " or ".join(one for one in told if one)
    return LimitReached(
        f"the limit `{share.limit.name}` of {amounts} per {per} leaves no room for this request", retry_after_s=seconds
    )
