"""What people and programs get from `tcap knowledge`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tokencapital.cli import app
from tokencapital.cli.console import FAILED, PARTLY_READ

Tcap = Callable[..., Result]


@pytest.fixture
def tcap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tcap:
    """Runs `tcap knowledge` in a folder with one document."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "rules.md").write_text("# Rules\n\n## Trains\n\nSeats are booked by the desk.\n", "utf-8")
    return lambda *arguments: CliRunner().invoke(app, ["knowledge", *(str(argument) for argument in arguments)])


def added(tcap: Tcap, *arguments: str) -> list[dict[str, Any]]:
    done = tcap("add", "rules.md", "--owner", "maria", "--json", "-", *arguments)
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)["added"]
    return found


def test_a_document_is_added_listed_shown_found_and_retired(tcap: Tcap) -> None:
    (one,) = added(tcap, "--valid-until", "2036-01-31")
    identity = one["document"]["id"]
    assert (one["event"], one["passages"], one["document"]["valid_until"]) == ("added", 1, "2036-01-31T00:00:00Z")
    assert identity in tcap("list").stdout
    shown = tcap("show", identity)
    assert "Seats are booked by the desk." in shown.stdout and "psg_" in shown.stdout
    found = tcap("search", "who books train seats")
    assert "Rules, Trains, version 1, owner maria" in found.stdout
    assert tcap("retire", identity, "--by", "jo").exit_code == 0
    assert "Nothing was found." in tcap("search", "who books train seats").stdout
    again = tcap("retire", identity, "--by", "jo")
    assert again.exit_code == FAILED and "retired already" in again.stderr
    assert "retired" in tcap("list").stdout


def test_the_same_file_again_changes_nothing_and_another_one_does(tcap: Tcap, tmp_path: Path) -> None:
    (first,) = added(tcap)
    (same,) = added(tcap)
    assert (same["event"], same["document"]) == (None, first["document"])
    (tmp_path / "rules.md").write_text("# Rules\n\nNone.\n", "utf-8")
    (other,) = added(tcap)
    assert (other["event"], other["document"]["version"]) == ("added", 2)


def test_what_cannot_be_read_is_named_and_the_exit_code_says_so(tcap: Tcap, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    done = tcap("add", "rules.md", "picture.png", "absent.md", "--owner", "maria")
    assert done.exit_code == PARTLY_READ
    assert "Rules" in done.stdout
    assert "picture.png" in done.stderr and "absent.md" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("show", "doc_none"), "no document doc_none"),
        (("retire", "doc_none", "--by", "jo"), "no document doc_none"),
        (("marks", "--clear", "lsn_none", "--by", "jo"), "no mark stands on lsn_none"),
        (("marks", "--clear", "lsn_none"), "needs the name"),
        (("score-workflow", "absent.jsonl", "--workflows", "absent.json"), "cannot be read"),
        (("score-workflow", "rules.md", "--workflows", "rules.md"), "no JSON"),
        (("add", "rules.md", "--owner", " "), "the name of its owner"),
        (("search", " "), "characters"),
    ],
)
def test_errors_say_what_is_wrong(tcap: Tcap, arguments: tuple[str, ...], says: str) -> None:
    done = tcap(*arguments)
    assert done.exit_code in (FAILED, PARTLY_READ)
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.output


def test_erased_words_are_in_no_file_of_the_store(tcap: Tcap, tmp_path: Path) -> None:
    (one,) = added(tcap)
    done = tcap("retire", one["document"]["id"], "--by", "jo", "--erase")
    assert done.exit_code == 0 and "erased" in done.stdout
    assert "erased" in tcap("show", one["document"]["id"]).stdout
    files = [path.read_bytes() for path in tmp_path.glob("tokencapital.sqlite")]
    assert files and not any(b"booked by the desk" in data for data in files)


def test_runs_are_scored_by_flowcharts(tcap: Tcap, tmp_path: Path) -> None:
    chart = {"task": "t", "replies": {"a": "A.", "b": "B."}, "graph": {"a": "b"}}
    (tmp_path / "w.json").write_text(json.dumps({"t": chart}), "utf-8")
    messages = [{"role": "assistant", "action": "b"}]
    (tmp_path / "r.jsonl").write_text(
        json.dumps({"id": "1", "capability": "t", "messages": messages}) + "\nno\n", "utf-8"
    )
    done = tcap("score-workflow", "r.jsonl", "--workflows", "w.json", "--json", "-")
    assert done.exit_code == PARTLY_READ and "r.jsonl:2" in done.stderr
    (one,) = json.loads(done.stdout)["workflows"]
    assert (one["runs"], one["steps"], one["followed"]) == (1, 1, 0.0)
    assert one["left"] == [{"action": "b", "expected": ["a"], "runs": 1}]
