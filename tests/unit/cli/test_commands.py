"""What people and programs get from each command, above all where something is wrong."""

from __future__ import annotations

import gzip
import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tokencapital.cli import app
from tokencapital.core.errors import ModelGarbage
from tokencapital.testing.models import Reply, ScriptedModel, scripted_endpoint

COMMANDS = [
    "demo", "replay", "serve", "review", "evaluate", "improve", "releases", "rollback", "ledger", "report", "doctor",
]  # fmt: skip
Tcap = Callable[..., Result]


@pytest.fixture
def tcap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tcap:
    """Runs the command in an empty folder, with its caches there too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def case(number: int, **changes: Any) -> str:
    body = {
        "id": f"case-{number}",
        "capability": "triage",
        "group": f"customer-{number}",
        "at": f"2026-01-05T09:{number:02}:00Z",
        "split": "test" if number % 5 == 4 else "stream",
        "input": [{"role": "user", "content": f"request number {number}"}],
        "answer": "card_lost" if number % 2 else "fraud",
        **changes,
    }
    return json.dumps(body)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    path = tmp_path / "work.jsonl"
    path.write_text("\n".join(case(number) for number in range(20)))
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tokencapital.toml"
    path.write_text(
        """
        store = "house.sqlite"
        [capabilities.triage]
        contract = "label"
        labels = ["card_lost", "fraud"]
        mode = "answer"
        mode_by = "maria"
        """
    )
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_with_an_example(tcap: Tcap, command: str) -> None:
    told = tcap(command, "--help")
    assert told.exit_code == 0
    assert f"tcap {command}" in told.stdout.split("Example:")[1]


def test_every_command_is_listed(tcap: Tcap) -> None:
    listed = tcap("--help").stdout
    assert all(re.search(rf"\b{command}\b", listed) for command in COMMANDS)


def test_a_replay_tells_programs_json_alone_and_people_the_rest(tcap: Tcap, work: Path) -> None:
    told = tcap("replay", work, "--json", "-")
    assert told.exit_code == 0, told.stderr
    report = json.loads(told.stdout)
    assert report["cases"] == {"stream": 16, "test": 4}
    assert report["judgments"]["total"] == 16
    assert report["ledger"] == {"balanced": True}
    assert report["usage"]["input_tokens"] == 0
    assert "Learning curve" in told.stderr
    wanted = {"cases", "judgments", "curve", "test", "promise", "usage", "timing", "efficiency", "releases", "ledger"}
    assert wanted <= set(report)


@pytest.mark.parametrize("sampling", ["active", "random"])
def test_no_more_judgments_are_asked_for_than_were_granted(tcap: Tcap, work: Path, sampling: str) -> None:
    told = tcap("replay", work, "--judgments", 4, "--sampling", sampling, "--json", "-")
    assert json.loads(told.stdout)["judgments"]["total"] == 4


def test_a_replay_writes_json_into_a_file(tcap: Tcap, work: Path, tmp_path: Path) -> None:
    told = tcap("replay", work, "--json", "report.json")
    assert told.exit_code == 0, told.stderr
    assert "Learning curve" in told.stdout
    assert json.loads((tmp_path / "report.json").read_text())["test"]["cases"] == 4


def test_malformed_lines_are_told_the_rest_is_played_and_the_exit_code_says_so(tcap: Tcap, work: Path) -> None:
    lines = work.read_text().splitlines()
    lines[3], lines[7] = "{broken", case(7, answer={"label": "fraud"})
    work.write_text("\n".join(lines))
    told = tcap("replay", work, "--json", "-")
    assert told.exit_code == 3
    assert json.loads(told.stdout)["cases"] == {"stream": 14, "test": 4}
    assert f"{work}:4" in told.stderr
    assert "case-7" in told.stderr
    assert "2 lines could not be read" in told.stderr


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.jsonl", b"", "no case could be read"),
        ("words.jsonl", b"this is no JSON\n", "no case could be read"),
        ("cut.jsonl.gz", gzip.compress(case(1).encode())[:-9], "broken"),
        ("two.jsonl", f"{case(1)}\n{case(2, capability='other')}".encode(), "--capability"),
        ("tests.jsonl", case(4).encode(), "`stream`"),
    ],
)
def test_a_file_that_cannot_be_played_is_refused_in_one_clear_line(
    tcap: Tcap, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    refused(tcap("replay", name), said)


def refused(told: Result, *said: str) -> None:
    assert told.exit_code == 1, told.output
    assert told.stdout == ""
    assert "Traceback" not in told.stderr
    words = " ".join(told.stderr.split())
    assert words.startswith("tcap: ")
    assert all(one in words for one in said), words


def test_a_directory_and_a_missing_file_are_refused(tcap: Tcap, tmp_path: Path) -> None:
    refused(tcap("replay", tmp_path), "directory", "Give the path of a JSONL file.")
    refused(tcap("replay", "missing.jsonl"), "no such file")


def test_a_store_that_cannot_be_written_is_refused(tcap: Tcap, work: Path, tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    assert tcap("replay", work, "--store", store).exit_code == 0
    store.chmod(0o444)
    refused(tcap("replay", work, "--store", store), "read-only", "choose another store")
    refused(tcap("replay", work, "--store", tmp_path), "a store is a file")
    refused(tcap("replay", work, "--store", "mysql://x/y"), "mysql")
    words = tmp_path / "words.db"
    words.write_text("these are words, and by no means a database, however long one looks at them. " * 20)
    refused(tcap("replay", work, "--store", words), "no store")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--judgments", "many"], "neither a positive number nor `all`"),
        (["--judgments", "0"], "neither a positive number nor `all`"),
        (["--tolerance", "0"], "tolerance"),
        (["--sampling", "clever"], "sampling"),
        (["--json", "nowhere/report.json"], "cannot be written"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_before_anything_runs(
    tcap: Tcap, work: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    told = tcap("replay", work, *options)
    assert told.exit_code == 2
    assert said in told.stderr
    assert not (tmp_path / "cache").exists()


def test_a_generalist_that_is_none_is_refused(tcap: Tcap, work: Path) -> None:
    refused(tcap("replay", work, "--generalist", "clever"), "`clever` is no generalist", "http://")


def test_a_generalist_that_refuses_the_connection_is_told_at_once(tcap: Tcap, work: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        refused(tcap("replay", work, "--generalist", f"http://127.0.0.1:{taken.getsockname()[1]}/v1"), "127.0.0.1")


def test_a_generalist_that_answers_garbage_is_told_at_once(tcap: Tcap, work: Path) -> None:
    model = ScriptedModel(lambda request: Reply(fault=ModelGarbage("hello")))
    with scripted_endpoint(model) as url:
        refused(tcap("replay", work, "--generalist", url), "127.0.0.1")
    assert len(model.requests) == 1


def test_a_generalist_that_fails_later_stops_nothing_and_is_counted(tcap: Tcap, work: Path) -> None:
    def failing_later(request: Any) -> Reply | str:
        ready = "ready" in request.messages[-1].content
        return "yes" if ready else Reply(fault=ModelGarbage("hello"))

    with scripted_endpoint(ScriptedModel(failing_later)) as url:
        told = tcap("replay", work, "--generalist", url, "--contract", "text", "--json", "-")
    assert told.exit_code == 0, told.stderr
    report = json.loads(told.stdout)
    assert report["failures"] == 16
    assert report["usage"]["output_tokens"] is None
    assert report["ledger"] == {"balanced": True}
    assert "generalist failed" in told.stderr


def test_settings_that_are_misspelt_are_told_with_their_place(tcap: Tcap, config: Path) -> None:
    config.write_text(config.read_text().replace("labels", "lables"))
    refused(tcap("report"), "tokencapital.toml", "lables")
    refused(tcap("report", "--config", "missing.toml"), "missing.toml", "cannot be read")


def test_a_capability_that_is_not_declared_is_told_with_those_that_are(tcap: Tcap, config: Path) -> None:
    for command in (["report", "other"], ["improve", "other"], ["evaluate", "other"], ["releases", "other"],
                    ["rollback", "other", "--by", "maria"], ["review", "other", "--as", "maria"]):  # fmt: skip
        refused(tcap(*command), "no capability is called `other`", "Declared are: triage.")


def test_an_idle_house_says_so_and_lists_nothing(tcap: Tcap, config: Path) -> None:
    assert "idle" in tcap("improve", "triage").stdout
    assert json.loads(tcap("releases", "--json", "-").stdout) == []
    assert json.loads(tcap("review", "triage", "--as", "maria", "--json", "-").stdout) == []
    (report,) = json.loads(tcap("report", "--json", "-").stdout)
    assert (report["capability"], report["cases"], report["purpose"], report["release"]) == ("triage", 0, None, None)
    assert json.loads(tcap("ledger", "--json", "-").stdout)["balanced"] is True
    assert tcap("evaluate", "triage").exit_code == 0


def test_there_is_no_way_back_from_nothing(tcap: Tcap, config: Path) -> None:
    refused(tcap("rollback", "triage", "--by", "maria"), "no earlier release to go back to")


def test_the_doctor_finds_what_works_and_what_is_broken(tcap: Tcap, config: Path) -> None:
    told = tcap("doctor", "--json", "-")
    assert told.exit_code == 0, told.stderr
    states = {one["what"]: one["state"] for one in json.loads(told.stdout)}
    assert states["settings"] == states["store"] == states["embedded embeddings"] == "ok"
    assert not any(what.startswith("mode of") for what in states)
    assert tcap("mode", "triage", "shadow").exit_code == 0
    differs = [one for one in json.loads(tcap("doctor", "--json", "-").stdout) if one["what"] == "mode of triage"]
    assert [one["state"] for one in differs] == ["warn"]
    assert "`shadow`" in differs[0]["detail"] and "the settings say `answer`" in differs[0]["detail"]
    config.write_text("store = 3")
    broken = tcap("doctor", "--json", "-")
    assert broken.exit_code == 1
    assert [one["state"] for one in json.loads(broken.stdout)] == ["fail"]
    assert "settings must be mended first" in broken.stderr


def test_a_house_that_was_played_can_be_read_by_every_command(tcap: Tcap, work: Path) -> None:
    assert tcap("replay", work, "--store", "house.db").exit_code == 0
    report = json.loads(tcap("report", "--store", "house.db", "--json", "-").stdout)
    assert (report[0]["cases"], report[0]["judgments"]) == (16, 16)
    ledger = json.loads(tcap("ledger", "--store", "house.db", "--json", "-").stdout)
    assert ledger["balanced"] is True and ledger["counts"]["serve"]["answers"] == 16
    for syntax in ("beancount", "hledger"):
        exported = tcap("ledger", "--store", "house.db", "--export", syntax)
        assert exported.exit_code == 0 and "USD" in exported.stdout
    assert json.loads(tcap("evaluate", "triage", "--store", "house.db", "--json", "-").stdout)["release"] is None
    assert isinstance(json.loads(tcap("releases", "--store", "house.db", "--json", "-").stdout), list)
