"""What learning costs is booked once, to whom it is owed, also where a rented generalist did the work."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tokencapital.account import accounts
from tokencapital.account.statements import check_balanced
from tokencapital.app.house import turn_once
from tokencapital.app.judging import take_down
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.settings import CapabilitySettings, GeneralistKind, GeneralistSettings, GoalSettings, Settings
from tokencapital.core.case import Case, ContractKind, Message, Mode
from tokencapital.core.judgment import DrawKind, Judgment, Verdict
from tokencapital.meter.prices import Price
from tokencapital.models.base import ModelRequest
from tokencapital.store.ledger import transactions
from tokencapital.store.schema import COMMODITY_SCALES
from tokencapital.testing.models import Reply, ScriptedModel, scripted_endpoint
from tokencapital.testing.people import tell_everyone

NOW = datetime(2026, 1, 5, tzinfo=UTC)
TOKENS = 12
"""Of a scripted call: 10 in, 2 out."""
MICRO = Decimal(1_000_000)


def knowing(request: ModelRequest) -> Reply:
    return Reply(request.messages[-1].content.split()[0])


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel(knowing)


@pytest.fixture
def house(tmp_path: Path, model: ScriptedModel) -> Iterator[Platform]:
    with scripted_endpoint(model) as url:
        settings = Settings(
            store=str(tmp_path / "store.db"),
            generalist=GeneralistSettings(kind=GeneralistKind.HTTP, url=url, model="scripted"),
            prices={"scripted": Price(input=MICRO, output=MICRO)},
            capabilities={
                "triage": CapabilitySettings(
                    contract=ContractKind.LABEL,
                    labels=("card", "parcel"),
                    mode=Mode.ANSWER,
                    mode_by="maria",
                    goal=GoalSettings(purpose="Answer at once.", owner="maria"),
                )
            },
        )
        with Platform.open(settings, key=b"k" * 32) as platform:
            tell_everyone(platform.store)
            yield platform


_COUNT = itertools.count()


async def work(place: Workplace, count: int) -> None:
    """Cases come in, and every one of them is judged."""
    cases = []
    for number in itertools.islice(_COUNT, count):
        words = f"{('card', 'parcel')[number % 2]} request {number}"
        said = (Message("user", words),)
        cases.append(Case(id=f"case-{number}", capability="triage", group=f"g{number}", at=NOW, messages=said))
    await place.engine.answer_many(cases)
    take_down(place, [_judgment(case) for case in cases])


def _judgment(case: Case) -> Judgment:
    return Judgment(
        id=f"jdg-{case.id}", case=case.id, capability="triage", expert="ines", at=NOW, verdict=Verdict.RIGHT,
        answer=case.messages[0].content.split()[0], drawn=DrawKind.UNIFORM, probability=1.0, valid_from=NOW,
    )  # fmt: skip


def booked(place: Workplace, commodity: str, kind: str, account: str) -> int:
    return sum(
        post.quantity
        for one in transactions(place.store, "triage")
        if one.kind == kind
        for post in one.postings
        if post.commodity == commodity and post.account.startswith(account)
    )


async def test_every_call_is_booked_once_and_owed_to_its_provider(house: Platform, model: ScriptedModel) -> None:
    place = house.workplace("triage")
    served = 0
    for count in (150, 30, 0):
        before = len(model.requests)
        await work(place, count)
        served += len(model.requests) - before
        await turn_once(place)
    learned = len(model.requests) - served
    assert served > 0
    assert learned > 0
    assert check_balanced(house.store)
    for kind, calls in (("serve", served), ("evaluate", learned)):
        assert -booked(place, accounts.TOK, kind, accounts.SUPPLY_TOKENS) == TOKENS * calls
        owed = -booked(place, accounts.USD, kind, accounts.PROVIDERS)
        assert owed == pytest.approx(TOKENS * calls * 10 ** COMMODITY_SCALES[accounts.USD], rel=1e-4)
    assert booked(place, accounts.USD, "train", accounts.PROVIDERS) == 0
