"""Modes: raising takes a name and proof, lowering neither, and a change holds from the next request on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from starlette.testclient import TestClient

from tokencapital.app.modes import change_mode
from tokencapital.app.platform import Platform
from tokencapital.app.server import build_app
from tokencapital.app.settings import CapabilitySettings, GoalSettings, Settings
from tokencapital.app.sorting import sorter_of
from tokencapital.core.call import Wire
from tokencapital.core.case import ContractKind, Mode
from tokencapital.core.errors import GateError, InputError, UnknownCapability
from tokencapital.core.policy import Decision, Evidence, Lane, Policy, Release, StageRule, Threshold
from tokencapital.serve.relay_ports import Asked
from tokencapital.serve.rules import Rule
from tokencapital.store.audit import links
from tokencapital.store.capabilities import mode_since, read_capability
from tokencapital.store.releases import append_release, save_policy

AT = datetime(2026, 3, 1, tzinfo=UTC)
TRIAGE = "triage-message"


def settings(store: Path, mode: Mode = Mode.OBSERVE, rules: tuple[Rule, ...] = ()) -> Settings:
    goal = GoalSettings(purpose="Answer at once.", owner="maria")
    declared = CapabilitySettings(contract=ContractKind.LABEL, labels=("a", "b"), mode=mode, mode_by="maria", goal=goal)
    return Settings(store=str(store), capabilities={TRIAGE: declared}, rules=rules)


@pytest.fixture
def house(tmp_path: Path) -> Callable[..., Platform]:
    return lambda **told: Platform.open(settings(tmp_path / "store.db", **told))


def released(platform: Platform, threshold: Threshold | None) -> None:
    contract = platform.workplace(TRIAGE).capability.contract
    policy = Policy(capability=TRIAGE, contract=contract, specialist_rule=StageRule(threshold=threshold))
    evidence = Evidence(n=75, effect=0.1, lower=0.02)
    made = Release(
        id=f"rel_{policy.hash}", capability=TRIAGE, policy=save_policy(platform.store, policy), at=AT,
        lane=Lane.CHANGE, decision=Decision.PROMOTED, evidence=evidence,
    )  # fmt: skip
    append_release(platform.store, made)


def test_raising_takes_a_name_and_proof_and_each_refusal_says_what_is_missing(house: Callable[..., Platform]) -> None:
    with house() as platform:
        with pytest.raises(InputError, match="--by NAME"):
            change_mode(platform, TRIAGE, Mode.SHADOW, None)
        assert change_mode(platform, TRIAGE, Mode.SHADOW, "maria").before is Mode.OBSERVE
        with pytest.raises(GateError, match="nothing to suggest"):
            change_mode(platform, TRIAGE, Mode.SUGGEST, "maria")
        with pytest.raises(GateError, match="let no release through"):
            change_mode(platform, TRIAGE, Mode.ANSWER, "maria")
        released(platform, None)
        assert change_mode(platform, TRIAGE, Mode.SUGGEST, "maria").mode is Mode.SUGGEST
        with pytest.raises(GateError, match="at least 45 cases"):
            change_mode(platform, TRIAGE, Mode.ANSWER, "maria")
        released(platform, Threshold(score=0.9, tolerance=0.05, delta=0.1, n=60, errors=0, calibrated_on=180))
        assert change_mode(platform, TRIAGE, Mode.ANSWER, "maria").mode is Mode.ANSWER
        with pytest.raises(UnknownCapability):
            change_mode(platform, "other", Mode.OBSERVE, None)


def test_lowering_is_done_for_whoever_asks_and_stands_in_the_chain_of_acts(house: Callable[..., Platform]) -> None:
    with house(mode=Mode.ANSWER) as platform:
        done = change_mode(platform, TRIAGE, Mode.OBSERVE, None)
        assert (done.before, done.mode, done.by) == (Mode.ANSWER, Mode.OBSERVE, "command line")
        assert change_mode(platform, TRIAGE, Mode.OBSERVE, None).at == done.at
        assert [link.what for link in links(platform.store)][-1] == "mode lowered"
        assert [link.what for link in links(platform.store)].count("mode lowered") == 1
        since = mode_since(platform.store, TRIAGE)
        assert since is not None
        assert since.mode is Mode.OBSERVE


def test_a_change_in_another_process_holds_from_the_next_request_on(house: Callable[..., Platform]) -> None:
    rules = (Rule(capability=TRIAGE, model="gpt*"),)
    with house(mode=Mode.ANSWER, rules=rules) as serving, house(mode=Mode.ANSWER, rules=rules) as commanding:
        client = TestClient(build_app(serving), base_url="http://localhost")
        asked = {"model": TRIAGE, "messages": [{"role": "user", "content": "x"}]}
        assert client.post("/v1/chat/completions", json=asked).is_success
        sorter = sorter_of(serving)
        request = Asked(
            wire=Wire.CHAT, path="/v1/chat/completions", model="gpt-4o", streamed=False, headers={}, body=b"{}"
        )
        assert sorter.sort(request).mode is Mode.ANSWER
        before = serving.workplace(TRIAGE)
        change_mode(commanding, TRIAGE, Mode.OBSERVE, None)
        sorted_ = sorter.sort(request)
        assert (sorted_.capability, sorted_.mode) == (TRIAGE, Mode.OBSERVE)
        after = serving.workplace(TRIAGE)
        assert (before.capability.mode, after.capability.mode) == (Mode.ANSWER, Mode.OBSERVE)
        assert client.post("/v1/chat/completions", json=asked).is_success


def test_the_file_says_where_a_capability_starts_and_no_restart_sets_it_back(house: Callable[..., Platform]) -> None:
    with house(mode=Mode.SUGGEST) as platform:
        change_mode(platform, TRIAGE, Mode.OBSERVE, "bob")
    with house(mode=Mode.SUGGEST) as platform:
        known = read_capability(platform.store, TRIAGE)
        assert known is not None
        assert known.mode is Mode.OBSERVE


def test_what_rules_name_and_nobody_declared_is_observed(tmp_path: Path) -> None:
    rules = (Rule(capability="mail", model="x", contract=ContractKind.FIELDS), Rule(capability=TRIAGE, model="y"))
    for _ in range(2):
        with Platform.open(msgspec.structs.replace(settings(tmp_path / "s.db"), rules=rules)) as platform:
            mail = read_capability(platform.store, "mail")
            assert mail is not None
            assert (mail.mode, mail.contract.kind) == (Mode.OBSERVE, ContractKind.FIELDS)
            assert [link.subject for link in links(platform.store)].count("mail") == 1
