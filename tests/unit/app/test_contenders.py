"""What names of generalists mean, and scripted ones as clients."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tokencapital.app.contenders import home_contender, named_contenders, read_generalist
from tokencapital.app.platform import Platform
from tokencapital.app.scripted import ScriptedGeneralist, known_truth, organization_behind
from tokencapital.app.settings import CapabilitySettings, GeneralistKind, GeneralistSettings, Settings
from tokencapital.core.case import Case, ContractKind, Message, Value
from tokencapital.core.errors import InputError, ModelUnavailable, SettingsError
from tokencapital.models.base import ModelRequest
from tokencapital.simulate.scripted import Ability, ScriptedMind
from tokencapital.simulate.service_desk import service_desk
from tokencapital.testing.models import check_model_client

HOME = GeneralistSettings(kind=GeneralistKind.HTTP, url="http://a:b@127.0.0.1:9/v1", model="big", concurrency=3)
ASK = ModelRequest(messages=(Message("user", "the printer eats paper"),), max_tokens=8, labels=("printer", "door"))


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    declared = {"triage": CapabilitySettings(contract=ContractKind.LABEL)}
    settings = Settings(store=str(tmp_path / "s.db"), generalist=HOME, capabilities=declared)
    with Platform.open(settings) as opened:
        yield opened


def test_the_home_generalist_is_the_configured_one(platform: Platform) -> None:
    home = home_contender(platform, platform.workplace("triage"))
    assert (home.name, home.known_as, home.provider, home.concurrency) == ("big at 127.0.0.1:9", None, "big", 3)


def test_the_same_model_elsewhere_is_another_and_no_password_is_shown(platform: Platform) -> None:
    named = ("none", "http://c:d@127.0.0.1:8/v1#big", "http://127.0.0.1:8/v1/#small", "none")
    none, big, small = named_contenders(platform, named, None, [])
    assert (none.name, none.client, none.provider) == ("none", None, None)
    assert (big.name, big.known_as) == ("big at 127.0.0.1:8", "big at http://127.0.0.1:8/v1")
    assert (small.name, small.provider) == ("small at 127.0.0.1:8", "small at 127.0.0.1:8")
    assert big.client is not None and big.client.name == "big"


@pytest.mark.parametrize("named", ["http://127.0.0.1:9/v1#big", "http://x:y@127.0.0.1:9/v1/#big"])
def test_the_configured_one_is_not_its_own_other(platform: Platform, named: str) -> None:
    with pytest.raises(InputError, match="is the configured generalist"):
        named_contenders(platform, [named], None, [])


def test_the_key_of_the_configured_one_goes_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    home = GeneralistSettings(kind=GeneralistKind.HTTP, url="http://127.0.0.1:9/v1", key_env="HOME_KEY")
    monkeypatch.setenv("HOME_KEY", "secret")
    assert read_generalist("http://127.0.0.1:8/v1", None, home).key is None
    with pytest.raises(SettingsError, match="OTHER_KEY"):
        _ = read_generalist("http://127.0.0.1:8/v1", "OTHER_KEY", home).key


def colour(request: ModelRequest) -> Value:
    return {"colour": "red"} if request.schema is not None else "red"


@pytest.mark.parametrize("ability", [0.0, 1.0])
async def test_a_scripted_generalist_keeps_what_a_client_promises(ability: float) -> None:
    mind = ScriptedMind(name="known", ability=Ability(ability, ability))
    await check_model_client(ScriptedGeneralist(mind, colour))


async def test_it_knows_only_what_it_was_told() -> None:
    mind = ScriptedMind(name="known", ability=Ability(1.0, 1.0))
    client = ScriptedGeneralist(mind, known_truth({"the printer eats paper": "printer"}))
    assert (await client.complete(ASK)).text == "printer"
    other = ModelRequest(messages=(Message("user", "something else"),), max_tokens=8, labels=("printer",))
    with pytest.raises(ModelUnavailable):
        await client.complete(other)


async def test_exemplars_bring_what_they_are_known_to_bring() -> None:
    right = {f"case {n}": "a" for n in range(300)}
    client = ScriptedGeneralist(ScriptedMind(name="known", ability=Ability(0.3, 0.9)), known_truth(right))
    found = {}
    for shown in (False, True):
        turns = (Message("user", "earlier"), Message("assistant", "b")) if shown else ()
        asked = [
            ModelRequest(messages=(*turns, Message("user", text)), max_tokens=8, labels=("a", "b")) for text in right
        ]
        found[shown] = sum([(await client.complete(one)).text == "a" for one in asked]) / 300
    assert found[False] == pytest.approx(0.3, abs=0.08)
    assert found[True] == pytest.approx(0.9, abs=0.05)


def test_the_organization_behind_the_work_is_known_word_for_word() -> None:
    desk = service_desk(1)
    assert organization_behind(desk.cases[:20]).seed == 1
    real = Case(
        id=desk.cases[0].id,
        capability="triage",
        group="g",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        messages=(Message("user", "words of a real customer"),),
    )
    with pytest.raises(InputError, match="no simulated organization's"):
        organization_behind([real])
