"""Limits: windows, what a request takes at most, and shares that together never exceed the limit."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import add

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tokencapital.core.limit import EACH, NOTHING, Amount, Limit, Most, Per, nano_usd, share
from tokencapital.meter.limits import OUTPUT_TOKENS, Pot, input_tokens, output_tokens, window_at


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda at: 1970 < at.year < 2100), st.sampled_from(Per))
def test_every_moment_is_in_exactly_one_window(at: datetime, per: Per) -> None:
    window = window_at(per, at)
    assert window.start <= at < window.end
    assert window_at(per, window.end).start == window.end
    assert window_at(per, window.end - timedelta(microseconds=1)) == window


def test_a_month_ends_with_the_calendar() -> None:
    window = window_at(Per.MONTH, datetime(2026, 12, 31, 23, 59, tzinfo=UTC))
    assert window.start == datetime(2026, 12, 1, tzinfo=UTC)
    assert window.end == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "most"),
    [
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 9, "max_tokens": 7}, 9),
        ({"max_output_tokens": 5}, 5),
        ({"max_tokens": 7, "n": 3}, 21),
        ({"messages": [{"content": '"max_tokens": 1'}]}, OUTPUT_TOKENS),
        ({"max_tokens": "many"}, OUTPUT_TOKENS),
    ],
)
def test_an_answer_is_as_long_as_the_request_allows(body: object, most: int) -> None:
    assert output_tokens(json.dumps(body).encode()) == most


def test_a_request_is_held_for_more_tokens_than_its_text_has_and_not_for_its_pictures() -> None:
    text = json.dumps({"messages": [{"role": "user", "content": "word " * 9000}]}).encode()
    assert input_tokens(text) > 9000
    picture = json.dumps({"url": "data:image/png;base64," + "A" * 1_000_000}).encode()
    assert input_tokens(picture) < 10_000
    assert output_tokens(b"\xff{") == OUTPUT_TOKENS


def test_dollars_are_rounded_up() -> None:
    from decimal import Decimal

    assert nano_usd(Decimal("0.0000000001")) == 1
    assert nano_usd(Decimal("1.5")) == 1_500_000_000


def test_a_limit_is_about_what_it_names() -> None:
    together = Limit(name="all", per=Per.DAY, most=Most(1))
    each = Limit(name="each", per=Per.DAY, most=Most(1), application=EACH)
    one = Limit(name="one", per=Per.DAY, most=Most(1), application="crm", provider="openai")
    assert together.pot_of("crm", "triage", "openai") == together.pot_of("shop", "", "other")
    assert each.pot_of("crm", "triage", "openai") != each.pot_of("shop", "triage", "openai")
    assert each.pot_of("crm", "a", "openai") == each.pot_of("crm", "b", "other")
    assert one.pot_of("crm", "", "openai") is not None
    assert one.pot_of("crm", "", "other") is None
    assert one.pot_of("", "", "openai") is None


amounts = st.builds(Amount, st.integers(0, 3), st.integers(0, 400), st.integers(0, 3000))
REPLICAS = st.integers(0, 2)
MOST = Most(40, 5000, 40_000)


class Replicas(RuleBasedStateMachine):
    """Three replicas that take from one limit in any order: holds, settles, asks for shares, gives back, dies."""

    def __init__(self) -> None:
        super().__init__()
        self.pots = [Pot(MOST) for _ in range(3)]
        self.kept = [NOTHING] * 3
        self.lost = NOTHING
        self.held: list[tuple[int, Amount]] = []

    @rule(replica=REPLICAS, wanted=amounts)
    def hold(self, replica: int, wanted: Amount) -> None:
        if self.pots[replica].room(wanted):
            self.pots[replica].take(wanted)
            self.held.append((replica, wanted))

    @precondition(lambda self: self.held)
    @rule(part=st.integers(0, 4), which=st.integers(0, 1000))
    def settle(self, part: int, which: int) -> None:
        replica, held = self.held.pop(which % len(self.held))
        used = Amount(held.requests, held.tokens * part // 4, held.nano_usd * part // 4)
        self.pots[replica].settle(held, NOTHING if part == 0 else used)

    @rule(replica=REPLICAS, want=amounts)
    def ask(self, replica: int, want: Amount) -> None:
        pot = self.pots[replica]
        others = reduce(add, (one for at, one in enumerate(self.kept) if at != replica), self.lost)
        pot.granted = self.kept[replica] = share(MOST, others, pot.spent, want)

    @rule(replica=REPLICAS)
    def die(self, replica: int) -> None:
        self.lost += self.kept[replica]
        self.kept[replica], self.pots[replica] = NOTHING, Pot(MOST)
        self.held = [one for one in self.held if one[0] != replica]

    @invariant()
    def never_more_than_the_limit(self) -> None:
        taken = reduce(add, (one.spent for one in self.pots), self.lost)
        assert taken.requests <= 40 and taken.tokens <= 5000 and taken.nano_usd <= 40_000
        assert all(min(one.held.requests, one.held.tokens, one.held.nano_usd) >= 0 for one in self.pots)


TestReplicas = Replicas.TestCase
