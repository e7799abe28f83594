"""Accounts and contributors from the command line: passwords are never arguments, names are asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tokencapital.cli import app

Tcap = Callable[..., Result]
PASSWORD = "a sentence that nobody guesses"


@pytest.fixture
def tcap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tcap:
    """Runs the command in an empty folder; `typed` is what is typed when it asks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TCAP_TEST_PASSWORD", PASSWORD)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments, typed="": CliRunner().invoke(app, list(arguments), input=typed)


def add(tcap: Tcap, login: str, *more: str, typed: str = "") -> Result:
    return tcap("account", "add", login, "--role", "expert", "--by", "maria", *more, typed=typed)


def test_an_account_is_made_changed_and_disabled(tcap: Tcap) -> None:
    made = add(tcap, "ines", "--contributor", "expert-7", "--password-env", "TCAP_TEST_PASSWORD")
    assert made.exit_code == 0, made.output
    assert "ines may log in as expert-7: expert." in made.output
    assert tcap("account", "roles", "ines", "--role", "admin", "--role", "council", "--by", "maria").exit_code == 0
    assert tcap("account", "passwd", "ines", "--by", "maria", typed=f"{PASSWORD}!\n{PASSWORD}!\n").exit_code == 0
    assert tcap("account", "disable", "ines", "--by", "maria").exit_code == 0
    (listed,) = json.loads(tcap("account", "list", "--json", "-").stdout)
    assert (listed["login"], listed["roles"], listed["active"]) == ("ines", ["admin", "council"], False)
    assert "secret" not in listed
    assert tcap("account", "disable", "ines", "--by", "maria", "--undo").exit_code == 0
    assert "active" in tcap("account", "list").output


def test_a_password_is_typed_twice_or_comes_from_a_variable(tcap: Tcap) -> None:
    typed = add(tcap, "ines", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert typed.exit_code == 0
    assert PASSWORD not in typed.output
    assert add(tcap, "otto", typed=f"{PASSWORD}\nanother one\n").exit_code != 0
    unset = add(tcap, "otto", "--password-env", "TCAP_NO_SUCH_VARIABLE")
    assert unset.exit_code == 1
    assert "TCAP_NO_SUCH_VARIABLE is not set" in unset.output
    assert add(tcap, "otto", "--password", PASSWORD).exit_code == 2
    assert [one["login"] for one in json.loads(tcap("account", "list", "--json", "-").stdout)] == ["ines"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("account", "disable", "nobody", "--by", "maria"), "no account is called nobody"),
        (("account", "roles", "nobody", "--role", "admin", "--by", "maria"), "tcap account list"),
        (("contributor", "add", " ", "--by", "maria"), "needs a pseudonym"),
        (("contributor", "add", "expert-7", "--by", " "), "who declares them"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(tcap: Tcap, arguments: tuple[str, ...], said: str) -> None:
    done = tcap(*arguments)
    assert done.exit_code == 1
    assert said in done.output
    assert "Traceback" not in done.output


def test_a_house_without_accounts_is_not_served_on_a_network(tcap: Tcap) -> None:
    done = tcap("serve", "--host", "0.0.0.0", "--port", "0")
    assert done.exit_code == 1
    assert "tcap account add LOGIN" in done.output


def test_a_contributor_is_declared_bit_by_bit(tcap: Tcap) -> None:
    first = ("--group", "desk", "--team", "north", "--field", "triage", "--field", "printers", "--name", "Ines Quell")
    assert tcap("contributor", "add", "expert-7", *first, "--by", "maria").exit_code == 0
    assert tcap("contributor", "add", "expert-7", "--team", "south", "--by", "maria").exit_code == 0
    (listed,) = json.loads(tcap("contributor", "list", "--json", "-").stdout)
    assert listed == {"pseudonym": "expert-7", "group": "desk", "team": "south", "fields": ["triage", "printers"]}
    (named,) = json.loads(tcap("contributor", "list", "--names", "--json", "-").stdout)
    assert named["name"] == "Ines Quell"
    assert "Quell" not in tcap("contributor", "list").output
    told = json.loads(tcap("contributor", "report", "--json", "-").stdout)
    assert (told["until"], told["rows"]) == (None, [])
