"""The purse on either database: exactly as many as the limit allows, over threads, replicas, restarts and outages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from time import perf_counter

import pytest

from tokencapital.app.purse import Purse
from tokencapital.app.shares import LEASE, Shares
from tokencapital.core.access import Caller
from tokencapital.core.call import Wire
from tokencapital.core.clock import RecordedClock
from tokencapital.core.errors import LimitReached, StoreUnavailable
from tokencapital.core.limit import EACH, Amount, Limit, Most, Per, nano_usd
from tokencapital.core.quantity import Usage
from tokencapital.serve.relay_ports import Asked
from tokencapital.store.database import Store
from tokencapital.store.spending import ShareAsked, shares_taken, take_share

START = datetime(2026, 11, 24, 9, 0, 20, tzinfo=UTC)
BODY = b'{"model":"gpt","max_tokens":100,"messages":[{"role":"user","content":"How long does it take?"}]}'


def asked(application: str | None = "crm", body: bytes = BODY, model: str = "gpt") -> Asked:
    caller = Caller(application=application)
    return Asked(wire=Wire.CHAT, path="/", model=model, streamed=False, headers={}, body=body, caller=caller)


def price_of(model: str, usage: Usage, at: datetime) -> Decimal | None:
    """Two dollars for a million tokens in, ten out."""
    if model == "unpriced":
        return None
    return (2 * Decimal(usage.input or 0) + 10 * Decimal(usage.output or 0)) / 1_000_000


class Line:
    """The way to a store, that may be cut."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.cut = False

    def __call__(self, wanted: ShareAsked) -> Amount:
        if self.cut:
            raise StoreUnavailable("the database server cannot be reached")
        return take_share(self._store, wanted)


Opened = Callable[..., tuple[Purse, Line]]


@pytest.fixture
def clock() -> RecordedClock:
    return RecordedClock(START)


@pytest.fixture
def opened(store: Store, clock: RecordedClock) -> Iterator[Opened]:
    purses: list[Purse] = []

    def open_it(*limits: Limit, replica: str = "one") -> tuple[Purse, Line]:
        line = Line(store)
        purses.append(Purse(limits, Shares(line, clock, replica), clock, price_of))
        return purses[-1], line

    yield open_it
    for purse in purses:
        purse.close()


def limit(**most: int) -> Limit:
    return Limit(name="test", per=Per.DAY, most=Most(**most))


def passed(purse: Purse, count: int = 64, **said: str) -> int:
    """How many of so many requests that come at once pass."""

    def one(_: int) -> bool:
        try:
            return purse.hold(asked(**said), "triage", "openai") is not None
        except LimitReached:
            return False

    with ThreadPoolExecutor(64) as pool:
        return sum(pool.map(one, range(count)))


@pytest.mark.parametrize("most", [1, 7, 50])
def test_exactly_as_many_pass_as_the_limit_allows(opened: Opened, most: int) -> None:
    purse, _ = opened(limit(requests=most))
    assert passed(purse) == most


def test_replicas_together_take_no_more(opened: Opened, store: Store) -> None:
    one, _ = opened(limit(requests=40), replica="one")
    two, _ = opened(limit(requests=40), replica="two")
    counts: list[int] = []
    threads = [threading.Thread(target=lambda p=p: counts.append(passed(p, 40))) for p in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 40
    pot = next(iter(one.standing()))
    assert sum(share.requests for share in shares_taken(store, pot.name, pot.window.start).values()) == 40


def test_what_was_spent_is_not_forgotten_by_a_restart(opened: Opened) -> None:
    before, _ = opened(limit(requests=10), replica="before")
    for _ in range(6):
        before.hold(asked(), None, "openai")
    before.close()
    after, _ = opened(limit(requests=10), replica="after")
    assert passed(after) == 4


def test_a_new_window_has_room_again(opened: Opened, clock: RecordedClock) -> None:
    purse, _ = opened(Limit(name="slow", per=Per.MINUTE, most=Most(requests=2)))
    assert passed(purse) == 2
    with pytest.raises(LimitReached, match="`slow` of 2 requests per minute") as refused:
        purse.hold(asked(), None, "openai")
    assert refused.value.retry_after_s == 40
    clock.advance_to(START + timedelta(seconds=40))
    assert passed(purse) == 2


def test_tokens_and_dollars_are_made_right_when_they_are_known(opened: Opened) -> None:
    purse, _ = opened(limit(tokens=1000, nano_usd=nano_usd(Decimal("0.01"))))
    hold = purse.hold(asked(), None, "openai")
    assert hold is not None
    pot = next(iter(purse.standing())).pot
    assert pot.held.tokens == len(BODY) // 2 + 1 + 100
    assert pot.held.nano_usd == 2000 * (len(BODY) // 2 + 1) + 10_000 * 100
    hold.settle(Usage(20, 30, cache_read=5), None)
    hold.settle(Usage(999, 999), None)
    assert pot.used == Amount(1, 55, 2000 * 20 + 10_000 * 30)
    assert pot.held == Amount()
    unknown = purse.hold(asked(), None, "openai")
    assert unknown is not None
    unknown.settle(None, None)
    assert pot.used.tokens == 55 + len(BODY) // 2 + 101
    gone = purse.hold(asked(), None, "openai")
    assert gone is not None
    gone.release()
    gone.release()
    assert pot.used.requests == 2 and pot.held == Amount()


def test_requests_on_their_way_count(opened: Opened) -> None:
    purse, _ = opened(limit(tokens=2 * (len(BODY) // 2 + 101)))
    holds = [purse.hold(asked(), None, "openai") for _ in range(2)]
    with pytest.raises(LimitReached):
        purse.hold(asked(), None, "openai")
    assert holds[0] is not None
    holds[0].release()
    assert purse.hold(asked(), None, "openai") is not None


def test_each_application_may_have_a_limit_of_its_own(opened: Opened) -> None:
    purse, _ = opened(Limit(name="each", per=Per.DAY, most=Most(requests=3), application=EACH))
    assert passed(purse, application="crm") == 3
    assert passed(purse, application="shop") == 3


def test_a_refused_request_takes_nothing_of_other_limits(opened: Opened) -> None:
    wide = Limit(name="wide", per=Per.DAY, most=Most(requests=100))
    purse, _ = opened(wide, Limit(name="narrow", per=Per.DAY, most=Most(requests=1), capability="triage"))
    assert passed(purse, 10) == 1
    standing = {share.limit.name: share.pot.spent.requests for share in purse.standing()}
    assert standing == {"wide": 1, "narrow": 1}


def test_a_hard_limit_needs_a_price_and_a_soft_one_does_not(opened: Opened) -> None:
    soft, _ = opened(limit(nano_usd=10**9))
    assert soft.hold(asked(model="unpriced"), None, "openai") is not None
    hard, _ = opened(Limit(name="hard", per=Per.DAY, most=Most(nano_usd=10**9), hard=True), replica="two")
    with pytest.raises(LimitReached, match=r"no price .* \[prices\]"):
        hard.hold(asked(model="unpriced"), None, "openai")


@pytest.mark.parametrize("hard", [True, False])
def test_without_the_store_a_hard_limit_refuses_when_its_lease_has_run_out(
    opened: Opened, clock: RecordedClock, hard: bool
) -> None:
    purse, line = opened(Limit(name="test", per=Per.DAY, most=Most(requests=5000), hard=hard))
    assert purse.hold(asked(), None, "openai") is not None
    line.cut = True
    assert purse.hold(asked(), None, "openai") is not None, "the lease is good for a while"
    clock.advance_to(START + LEASE + timedelta(seconds=1))
    if hard:
        with pytest.raises(LimitReached, match="cannot be told"):
            purse.hold(asked(), None, "openai")
    else:
        held = [purse.hold(asked(), None, "openai") for _ in range(300)]
        assert all(held)
        [share] = purse.standing()
        assert share.over >= 300 - 5000 // 50
        line.cut = False
        share.again_at = 0.0
        assert purse.hold(asked(), None, "openai") is not None
        assert share.pot.granted.requests >= 302


def test_no_limit_costs_next_to_nothing_and_some_cost_little(opened: Opened) -> None:
    none, _ = opened()
    some, _ = opened(limit(requests=10**9), limit(tokens=10**12, nano_usd=10**15), replica="two")
    request, body = asked(), asked(body=BODY[:-1] + b',"x":"' + b"word " * 800 + b'"}')

    def each_us(purse: Purse, one: Asked, count: int = 500) -> float:
        best = 1e9
        for _ in range(8):
            started = perf_counter()
            for _ in range(count):
                hold = purse.hold(one, "triage", "openai")
                if hold is not None:
                    hold.settle(Usage(10, 10), Decimal("0.001"))
            best = min(best, (perf_counter() - started) / count)
        return best * 1e6

    each_us(some, body)
    assert each_us(none, request) < 1.5
    assert each_us(some, body) < 60
