"""Settings are read once, and what is wrong in them is told with its place."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tokencapital.app.settings import MOST_PASSAGES, CapabilitySettings, GeneralistKind, Settings, load_settings
from tokencapital.core.case import ContractKind, Mode
from tokencapital.core.errors import SettingsError
from tokencapital.promote.releases import starting_policy

WHOLE = """
store = "house.sqlite"
seed = 3
[generalist]
kind = "http"
url = "http://127.0.0.1:1/v1"
key_env = "TCAP_TEST_KEY"
[assumptions]
wage_usd_per_hour = 60
[prices."small-model"]
input = 0.25
output = 1.25
[capabilities.triage]
contract = "label"
labels = ["a", "b"]
mode = "suggest"
mode_by = "maria"
goal = { purpose = "Answer at once.", owner = "maria", tolerance = 0.02, limit_usd = "10.50" }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokencapital.toml"


def test_all_that_is_declared_is_there(file: Path) -> None:
    file.write_text(WHOLE)
    read = load_settings(file)
    assert (read.store, read.seed, read.generalist.kind) == ("house.sqlite", 3, GeneralistKind.HTTP)
    assert read.assumptions.wage_usd_per_hour == Decimal(60)
    assert read.prices["small-model"].output == Decimal("1.25")
    declared = read.capabilities["triage"]
    capability, goal = declared.capability("triage"), declared.live_goal("triage")
    assert (capability.contract.kind, capability.contract.labels) == (ContractKind.LABEL, ("a", "b"))
    assert capability.mode is Mode.SUGGEST
    assert goal is not None
    assert (goal.capability, goal.tolerance, goal.limit_usd) == ("triage", 0.02, Decimal("10.50"))


def test_without_a_file_the_defaults_work_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings() == Settings()
    assert Settings().generalist.kind is GeneralistKind.NONE
    (tmp_path / "tokencapital.toml").write_text("seed = 5")
    assert load_settings().seed == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed = one", "line 1"),
        ("sede = 1", "sede"),
        ("seed = 'one'", "seed"),
        ('[generalist]\nkind = "http"', "needs a `url`"),
        ('[capabilities.a]\ncontract = "label"\nmode = "answer"', "mode_by"),
        ('[capabilities.a]\ncontract = "guess"', "guess"),
        ('[capabilities.a]\ncontract = "label"\ngoal = { purpose = "x" }', "owner"),
        ("[assumptions]\nwatts = -1", "watts"),
        ("[assumptions]\npue = 0.5", "pue"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    with pytest.raises(SettingsError) as raised:
        load_settings(file)
    assert said in str(raised.value)
    assert str(file) in str(raised.value)


def test_a_file_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path / "missing.toml")


def test_a_key_is_read_from_its_variable(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(WHOLE)
    generalist = load_settings(file).generalist
    monkeypatch.delenv("TCAP_TEST_KEY", raising=False)
    with pytest.raises(SettingsError, match="TCAP_TEST_KEY"):
        _ = generalist.key
    monkeypatch.setenv("TCAP_TEST_KEY", "secret")
    assert generalist.key == "secret"
    assert "secret" not in repr(generalist)
    assert Settings().generalist.key is None


def test_a_capability_may_show_passages_and_its_starting_policy_does() -> None:
    shows = CapabilitySettings(contract=ContractKind.TEXT, passages=3)
    assert starting_policy(shows.capability("reply")).passages == 3
    assert starting_policy(CapabilitySettings(contract=ContractKind.TEXT).capability("reply")).passages == 0
    with pytest.raises(ValueError, match="`passages`"):
        CapabilitySettings(contract=ContractKind.TEXT, passages=MOST_PASSAGES + 1)
