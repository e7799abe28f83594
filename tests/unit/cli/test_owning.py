"""Erasing, verifying and carrying from the command line: what it says, and how it exits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tokencapital.app.platform import Platform
from tokencapital.app.settings import Settings
from tokencapital.cli import app
from tokencapital.core.case import Capability, Contract, ContractKind, Mode
from tokencapital.store.audit import Done, links

Tcap = Callable[..., Result]


@pytest.fixture
def tcap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tcap:
    """Runs the command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A store with a capability that has learned nothing yet."""
    path = tmp_path / "house.sqlite"
    with Platform.open(Settings(store=str(path))) as platform:
        wanted = Capability(name="triage", contract=Contract(kind=ContractKind.LABEL), mode=Mode.SUGGEST)
        platform.declare(wanted, None, by="mira")
    return path


def test_a_head_is_kept_and_compared_with(tcap: Tcap, house: Path) -> None:
    first = tcap("verify", "--store", house, "--write-head", "head.json")
    assert first.exit_code == 0, first.output
    assert "unprotected" in first.stderr
    assert json.loads(Path("head.json").read_bytes())["count"] == 1
    again = tcap("verify", "--store", house, "--head", "head.json", "--json", "-")
    assert again.exit_code == 0, again.output
    told = json.loads(again.stdout)
    assert told["warning"] is None
    assert all(check["findings"] == [] for check in told["checks"])


def test_a_head_of_another_house_fails(tcap: Tcap, house: Path) -> None:
    Path("head.json").write_text(json.dumps({"count": 1, "digest": "0" * 64}))
    result = tcap("verify", "--store", house, "--head", "head.json")
    assert result.exit_code == 1
    assert "act 1 is not the one whose digest was kept" in result.stdout
    assert "1 findings" in result.stderr


def test_a_file_that_is_no_head_is_said_to_be_none(tcap: Tcap, house: Path) -> None:
    result = tcap("verify", "--store", house, "--head", house)
    assert result.exit_code == 1
    assert "no head of an audit chain" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--group", "nobody"), 1, "no case of group nobody"),
        (("--contributor", "nobody"), 1, "no contributor is called nobody"),
        (("--case", "none"), 1, "no case of case none"),
        ((), 1, "exactly one of the three"),
        (("--group", "a", "--case", "b"), 1, "exactly one of the three"),
        (("--group", "a", "--reason", "he asked me"), 2, "is none of request, retention, mistake"),
        (("--group", "a", "--report", "no/such/folder.md"), 2, "folder that exists"),
    ],
)
def test_an_erasure_that_cannot_be_says_why(
    tcap: Tcap, house: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = tcap("erase", *arguments, "--by", "dpo-1", "--store", house)
    assert result.exit_code == code
    assert said in " ".join(result.output.replace("│", " ").split())


def test_a_capability_that_has_learned_nothing_can_be_carried(tcap: Tcap, house: Path) -> None:
    exported = tcap("capability", "export", "triage", "triage.tcap", "--store", house, "--json", "told.json")
    assert exported.exit_code == 0, exported.output
    digest = json.loads(Path("told.json").read_bytes())["digest"]
    assert digest in exported.stdout.replace("\n", "")
    wrong = tcap("capability", "import", "triage.tcap", "--by", "nora", "--store", "new.sqlite", "--expect", "0" * 64)
    assert wrong.exit_code == 1 and "not the one that was expected" in wrong.stderr
    right = tcap("capability", "import", "triage.tcap", "--by", "nora", "--store", "new.sqlite", "--expect", digest)
    assert right.exit_code == 0, right.output
    assert "suggest, on the word of nora" in right.stdout
    with Platform.open(Settings(store="new.sqlite")) as platform:
        assert [link.what for link in links(platform.store)] == [Done.MODE_RAISED, Done.BUNDLE_IMPORTED]
        assert platform.workplace("triage").capability.mode is Mode.SUGGEST
    twice = tcap("capability", "import", "triage.tcap", "--by", "nora", "--store", "new.sqlite")
    assert twice.exit_code == 1 and "in this store already" in twice.stderr


def test_no_bundle_of_what_nobody_declared(tcap: Tcap, house: Path) -> None:
    result = tcap("capability", "export", "other", "other.tcap", "--store", house)
    assert result.exit_code == 1
    assert "no capability is called `other`" in result.stderr
    assert not Path("other.tcap").exists()
