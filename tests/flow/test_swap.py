"""The swap test on a played store: from the command line, by the loop, on its page, and when generalists fail."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from tokencapital.account.entries import Kind
from tokencapital.app.demo import KEY, SEED, declare
from tokencapital.app.house import evaluate_live
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.replay import Budget, Player
from tokencapital.app.server import build_app
from tokencapital.app.settings import CapabilitySettings, GoalSettings, Settings, SwapSettings
from tokencapital.app.simulated import OrganizationScript
from tokencapital.app.swapping import SwapAsked, swap, swap_reports, turn_and_swap
from tokencapital.cli import app
from tokencapital.core.case import Capability, ContractKind, Mode
from tokencapital.core.clock import RecordedClock
from tokencapital.core.errors import EvaluationError, InputError, ModelUnavailable
from tokencapital.models.base import ModelRequest
from tokencapital.simulate.service_desk import TRIAGE, service_desk
from tokencapital.store.audit import Done, acts_on
from tokencapital.store.ledger import transactions
from tokencapital.testing.models import Reply, ScriptedModel, scripted_endpoint
from tokencapital.web.site import Site

CASES = 420
AGAINST = SwapAsked(against=("scripted:weak", "scripted:0.9"), by="maria")


@pytest.fixture(scope="module")
def desk_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some weeks at the service desk, every case judged, and one turn of the loop."""
    path = tmp_path_factory.mktemp("desk") / "desk.sqlite"
    desk = service_desk(SEED)
    script = OrganizationScript(desk, TRIAGE)
    script.cases = script.cases[:CASES]
    clock = RecordedClock(script.cases[0].at)
    with Platform.open(Settings(store=str(path)), clock=clock, key=KEY) as platform:
        capability = next(one for one in desk.capabilities if one.name == TRIAGE)
        place = declare(platform, capability, 0.1)
        asyncio.run(Player(place, clock, script, Budget(CASES, active=False, turns=1)).play())
    return path


@pytest.fixture
def store(desk_store: Path, tmp_path: Path) -> str:
    return str(shutil.copy(desk_store, tmp_path / "store.sqlite"))


@pytest.fixture
def house(store: str) -> Iterator[Platform]:
    with Platform.open(Settings(store=store)) as platform:
        yield platform


def looks(place: Workplace) -> int:
    return len(place.sealed.looks(place.sealed.open(place.now())))


def invoke(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


def test_from_the_command_line_and_not_again_before_its_time(store: str, tmp_path: Path) -> None:
    out = tmp_path / "swap.json"
    asked = ("swap", TRIAGE, "--store", store, "--against", "scripted:weak", "--against", "scripted:0.9")
    done = invoke(*asked, "--json", str(out))
    assert done.exit_code == 0, done.output
    report = json.loads(out.read_text())
    names = [one["generalist"] for one in report["uplifts"]]
    assert names == ["none", "scripted-weak", "scripted-0.9"]
    none, weak, strong = report["uplifts"]
    assert none["home"] and none["without"]["right"] == 0.0
    assert none["ran"]["right"] > 0.5
    assert weak["without"]["right"] < strong["without"]["right"]
    assert report["portable"]["share"] == min(weak["portable"]["share"], strong["portable"]["share"])
    assert report["portable"]["interval"]["low"] <= report["portable"]["share"]
    assert "portable share: " in done.output
    early = invoke(*asked, "--every", "30")
    assert early.exit_code == 0
    assert "younger than 30 days" in early.output
    with Platform.open(Settings(store=store)) as platform:
        assert len(swap_reports(platform.store, TRIAGE)) == 1
    assert invoke(*asked, "--every", "0").exit_code == 0


async def test_it_is_a_look_an_act_and_a_cost_and_nothing_is_paid_twice(house: Platform) -> None:
    place = house.workplace(TRIAGE)
    before = looks(place)
    first = await swap(house, place, AGAINST)
    assert looks(place) == before + 1 == first.reading.comparison
    second = await swap(house, place, AGAINST)
    assert looks(place) == before + 2
    assert [one.ran.right for one in second.uplifts] == [one.ran.right for one in first.uplifts]
    acts = [link for link in acts_on(place.store, TRIAGE) if link.what == Done.SWAP_TEST_RUN.value]
    assert [link.by for link in acts] == ["maria", "maria"]
    booked = [one for one in transactions(place.store, TRIAGE) if one.kind == Kind.EVALUATE.value]

    def tokens(report: Any) -> int:
        mine = [one for one in booked if report.id in (one.reference or "")]
        assert len(mine) == 3
        return sum(
            post.quantity for one in mine for post in one.postings if ":Tokens:" in post.account and post.quantity > 0
        )

    assert tokens(first) > 0
    assert tokens(second) == 0
    assert await evaluate_live(place)


async def test_fewer_cases_are_the_same_ones_each_time(house: Platform) -> None:
    place = house.workplace(TRIAGE)
    batch = place.sealed.open(place.now())
    few = len(batch.tasks) - 4
    asked = SwapAsked(against=("scripted:0.6",), by="maria", cases=few)
    once, again = await swap(house, place, asked), await swap(house, place, asked)
    assert once.cases == again.cases == few < len(batch.tasks)
    assert once.uplifts[1].without == again.uplifts[1].without
    with pytest.raises(InputError, match="15 sealed entities"):
        await swap(house, place, SwapAsked(against=("scripted:0.6",), by="maria", cases=5))


@pytest.mark.parametrize(
    ("against", "told"),
    [
        ((), "needs a second generalist"),
        (("none",), "`none` is the configured generalist"),
        (("gpt",), "`gpt` is no generalist"),
        (("scripted:clever",), "says no ability"),
        (("scripted:0.6", "scripted:0.6=0.7"), "two generalists are called `scripted-0.6`"),
    ],
)
async def test_what_cannot_be_swapped_in_is_refused_before_anything_is_looked_at(
    house: Platform, against: tuple[str, ...], told: str
) -> None:
    place = house.workplace(TRIAGE)
    before = looks(place)
    with pytest.raises(InputError, match=told):
        await swap(house, place, SwapAsked(against=against, by="maria"))
    assert looks(place) == before


async def test_a_model_at_a_url_is_told_apart_and_its_price_is_unknown(house: Platform) -> None:
    place = house.workplace(TRIAGE)
    model = ScriptedModel(lambda request: (request.labels or ("ready",))[0])
    with scripted_endpoint(model) as url:
        report = await swap(house, place, SwapAsked(against=(f"{url}#big",), by="maria"))
    other = report.uplifts[1]
    assert other.generalist.startswith("big at 127.0.0.1:")
    assert (other.without.usd, other.without.joules) == (None, None)
    assert other.without.asked == 1.0
    assert report.portable is not None


async def test_a_model_that_is_away_costs_no_look(house: Platform) -> None:
    place = house.workplace(TRIAGE)
    before = looks(place)
    with pytest.raises(ModelUnavailable):
        await swap(house, place, SwapAsked(against=("http://127.0.0.1:9/v1",), by="maria"))
    assert looks(place) == before


async def test_a_test_that_failed_goes_on_under_the_same_look_and_asks_nobody_twice(house: Platform) -> None:
    place = house.workplace(TRIAGE)
    failing = True

    def script(request: ModelRequest) -> Reply:
        if failing and request.labels and sum(map(ord, request.messages[-1].content)) % 3 == 0:
            return Reply(fault=ModelUnavailable("away"))
        return Reply((request.labels or ("ready",))[0])

    model, before = ScriptedModel(script), looks(place)
    with scripted_endpoint(model) as url:
        asked = SwapAsked(against=(f"{url}#big",), by="maria")
        with pytest.raises(EvaluationError, match="were lost to calls that failed"):
            await swap(house, place, asked)
        assert swap_reports(place.store, TRIAGE) == []
        failing = False
        asked_before = len(model.requests)
        report = await swap(house, place, asked)
    assert report.failed == 0
    assert looks(place) == before + 1 == report.reading.comparison
    assert len(model.requests) - asked_before < asked_before


def test_no_scripted_model_knows_what_is_right_of_real_work(played: Any, tmp_path: Path) -> None:
    store = str(shutil.copy(played.store, tmp_path / "real.db"))
    done = invoke("swap", "sort-work", "--store", store, "--against", "scripted:0.6")
    assert done.exit_code == 1
    assert "no simulated organization's" in done.output


def scheduled_house(store: str, against: str = "scripted:weak", **goal: Any) -> Platform:
    desk = service_desk(SEED)
    capability: Capability = next(one for one in desk.capabilities if one.name == TRIAGE)
    declared = CapabilitySettings(
        contract=ContractKind.LABEL,
        labels=capability.contract.labels,
        instructions=capability.instructions,
        mode=Mode.ANSWER,
        mode_by="maria",
        goal=GoalSettings(purpose="Answer at once.", owner="maria", **goal),
        swap=SwapSettings(against=(against,), every_days=30),
    )
    return Platform.open(Settings(store=store, capabilities={TRIAGE: declared}))


async def test_a_turn_runs_the_test_that_is_due_and_only_then(store: str) -> None:
    with scheduled_house(store) as platform:
        place = platform.workplace(TRIAGE)
        first = await turn_and_swap(platform, place)
        (report,) = swap_reports(place.store, TRIAGE)
        assert (first.swap, first.swap_failure) == (report.id, None)
        assert (await turn_and_swap(platform, place)).swap is None
        assert len(swap_reports(place.store, TRIAGE)) == 1


async def test_a_goal_whose_limit_is_reached_pays_for_no_test(store: str) -> None:
    with scheduled_house(store, limit_minutes=1.0) as platform:
        report = await turn_and_swap(platform, platform.workplace(TRIAGE))
        assert report.idle is not None
        assert swap_reports(platform.store, TRIAGE) == []


async def test_a_due_test_that_fails_leaves_the_turn_as_it_is(store: str) -> None:
    with scheduled_house(store, against="http://127.0.0.1:9/v1") as platform:
        report = await turn_and_swap(platform, platform.workplace(TRIAGE))
        assert report.idle is None
        assert report.swap is None
        assert report.swap_failure is not None and "127.0.0.1:9" in report.swap_failure


def test_the_page_shows_the_newest_test_and_earlier_ones(store: str) -> None:
    with scheduled_house(store) as platform:
        place = platform.workplace(TRIAGE)
        with TestClient(build_app(platform, Site(platform)), base_url="http://testserver") as browser:
            empty = browser.get(f"/swap/{TRIAGE}")
            assert empty.status_code == 200
            assert "<strong>unknown</strong>" in empty.text
            assert browser.get(f"/swap/{TRIAGE}/chart.json").json()["data"]["values"] == []
            for against in (("scripted:weak",), ("scripted:weak", "scripted:0.9")):
                asyncio.run(swap(platform, place, SwapAsked(against=against, by="maria")))
            page = browser.get(f"/swap/{TRIAGE}")
            assert page.status_code == 200
            report = swap_reports(place.store, TRIAGE)[-1]
            assert report.portable is not None
            assert f"{100 * report.portable.share:.1f}%" in page.text
            assert "scripted-0.9" in page.text
            assert "Earlier tests" in page.text
            assert "Every 30 days against scripted:weak" in page.text
            drawn = browser.get(f"/swap/{TRIAGE}/chart.json").json()["data"]["values"]
            assert len(drawn) == 2 * len(report.uplifts)
            assert {point["way"] for point in drawn} == {"with the policy", "without"}
            assert f'href="/swap/{TRIAGE}"' in browser.get(f"/capability/{TRIAGE}").text
