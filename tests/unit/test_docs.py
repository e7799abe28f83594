"""The docs say what the code says: the reference is fresh, names exist, links lead somewhere, examples run."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvicorn
from starlette.routing import Route
from typer.testing import CliRunner

from tokencapital.app.house import open_house
from tokencapital.app.platform import Platform
from tokencapital.app.replay import TURNS
from tokencapital.app.server import build_app
from tokencapital.app.settings import Settings, load_settings
from tokencapital.cli import app
from tokencapital.core.answer import Answer, Stage, Trajectory
from tokencapital.core.clock import SystemClock
from tokencapital.core.policy import Policy
from tokencapital.core.quantity import UNKNOWN_ENERGY
from tokencapital.evaluate.sealed import ALPHA, BATCH
from tokencapital.improve.calibrate import DELTA
from tokencapital.improve.specialist import MOST_JUDGMENTS, MOST_LANDMARKS
from tokencapital.promote.gate import FEWEST_SEALED, LOOK_GROWTH
from tokencapital.review.queue import SEALED_PART, UNIFORM_PART
from tokencapital.serve import gateway
from tokencapital.serve.wire import answer_headers
from tokencapital.web.site import Site

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
WRITTEN = [page for page in PAGES if page.parent != REFERENCE]
BIN = Path(sys.executable).parent

UNPICTURED = {"/static/{name}", "/capability/{capability}/chart/{chart}", "/review/{capability}/said/{judgment}"}
"""What is no page, and what only who judged blindly sees."""
EXPLORE = next(field.default for field in msgspec.structs.fields(Policy) if field.name == "explore")

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
_STARTED_WITHIN_S = 30


@pytest.fixture(scope="module")
def generator() -> dict[str, Any]:
    """What `docs/generate.py` defines."""
    return runpy.run_path(str(ROOT / "docs" / "generate.py"))


def test_the_reference_is_fresh(generator: dict[str, Any]) -> None:
    written = {page.stem: page.read_text("utf-8") for page in REFERENCE.glob("*.md")}
    assert written == generator["pages"](), "run `make docs`"


def test_each_posted_body_is_described(generator: dict[str, Any]) -> None:
    posted = {route.path for route in generator["routes"]() if "POST" in (route.methods or ())}
    assert posted == set(generator["BODIES"])


def test_each_header_is_described(generator: dict[str, Any]) -> None:
    done = Trajectory(
        id="trj_1",
        case="cas_1",
        capability="triage-message",
        at=SystemClock().now(),
        answer=Answer(value=None, stage=Stage.PERSON),
        policy="0" * 16,
        memory=0,
        seed=0,
        propensity=1.0,
        elapsed_s=0.0,
        energy=UNKNOWN_ENERGY,
    )
    assert set(generator["ANSWER_HEADERS"]) == set(answer_headers(done))
    assert set(generator["REQUEST_HEADERS"]) == {gateway.GROUP, gateway.KEY, gateway.UNSURE}


def test_each_command_has_an_example(generator: dict[str, Any]) -> None:
    for _, command in generator["all_commands"]():
        said = command.callback.__doc__ if command.callback else None
        assert said is not None
        assert "Example: `tcap " in said, command.callback


@pytest.mark.parametrize(
    ("page", "figure"),
    [
        ("README.md", f"at least {FEWEST_SEALED} judged *sealed* entities"),
        ("docs/concepts.md", f"batches of {BATCH}"),
        ("docs/concepts.md", f"α = {ALPHA}"),
        ("docs/concepts.md", f"with probability {1 - DELTA}"),
        ("docs/concepts.md", f"about {SEALED_PART:.0%} of the budget uniformly to sealed"),
        ("docs/concepts.md", f"about {UNIFORM_PART:.0%} uniformly to train"),
        ("docs/how-to/replay.md", f"until {FEWEST_SEALED} sealed entities"),
        ("docs/how-to/replay.md", f"turns {TURNS} times"),
        ("docs/decisions/0001-kernel-ridge-specialist.md", f"beyond {MOST_JUDGMENTS:,} judgments"),
        ("docs/decisions/0001-kernel-ridge-specialist.md", f"beyond {MOST_LANDMARKS:,} examples"),
        ("docs/decisions/0003-sealed-batches.md", f"batches of {BATCH} entities,"),
        ("docs/decisions/0003-sealed-batches.md", f"fewer than {FEWEST_SEALED} entities"),
        ("docs/decisions/0003-sealed-batches.md", f"{LOOK_GROWTH} times as many"),
        ("docs/decisions/0006-explore-share.md", f"`explore`, {EXPLORE} by default"),
    ],
)
def test_figures_that_are_choices_are_those_of_the_code(page: str, figure: str) -> None:
    assert figure in " ".join((ROOT / page).read_text("utf-8").split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in _LINK.findall(page.read_text("utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_endpoints_that_are_mentioned_exist(page: Path, generator: dict[str, Any]) -> None:
    known = {route.path for route in generator["routes"]()}
    mentioned = set(re.findall(r"/v1/[a-z][a-z/]*|/healthz", page.read_text("utf-8")))
    assert {path for path in mentioned if not any(one.startswith(path) for one in known)} == set()


def test_commands_in_examples_are_understood() -> None:
    """Each is parsed as it stands, with `--help` behind it: options are checked and nothing is done."""
    for page in PAGES:
        for line in _commands(page):
            _understand(line, str(page.relative_to(ROOT)))


def test_make_targets_in_examples_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in WRITTEN:
        asked = re.findall(r"`make ([a-z]+)`|^make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)
        assert {one or other for one, other in asked} <= targets, page


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_settings_in_examples_are_settings(page: Path, tmp_path: Path) -> None:
    for number, code in enumerate(_blocks(page, "toml")):
        file = tmp_path / f"{number}.toml"
        file.write_text(code, "utf-8")
        load_settings(file)


def test_recorded_lines_in_the_readme_can_be_read(tmp_path: Path) -> None:
    from tokencapital.record.importers import read_recording

    lines = _blocks(ROOT / "README.md", "json")
    file = tmp_path / "work.jsonl"
    file.write_text("".join(lines), "utf-8")
    assert len(read_recording(file).cases) == len(lines) > 0


def test_the_page_on_serving_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ROOT / "docs" / "how-to" / "serve.md"
    (tmp_path / "tokencapital.toml").write_text(_blocks(page, "toml")[0], "utf-8")
    monkeypatch.chdir(tmp_path)
    known: dict[str, Any] = {}
    for line in (line for line in _commands(page) if line.startswith("tcap notice ")):
        assert CliRunner().invoke(app, shlex.split(line)[1:]).exit_code == 0, line
    with _served() as address:
        for language, code in _BLOCK.findall(page.read_text("utf-8")):
            here = code.replace("127.0.0.1:8000", address)
            if language == "python":
                exec(compile(here, str(page), "exec"), known)
            elif here.startswith("curl") and shutil.which("curl"):
                asked = subprocess.run(["bash", "-ec", here], capture_output=True, text=True, check=True)
                assert '"error"' not in asked.stdout
        known["client"].close()


def test_the_page_on_replaying_runs(tmp_path: Path) -> None:
    page = ROOT / "docs" / "how-to" / "replay.md"
    (code,) = _blocks(page, "python")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    for shell in _blocks(page, "sh"):
        done = subprocess.run(
            ["bash", "-ec", shell], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "report.json").stat().st_size > 0


def _blocks(page: Path, language: str) -> list[str]:
    return [code for kind, code in _BLOCK.findall(page.read_text("utf-8")) if kind == language]


def _commands(page: Path) -> Iterator[str]:
    text = page.read_text("utf-8")
    for code in _blocks(page, "sh"):
        yield from (line for line in code.replace("\\\n", " ").splitlines() if line.startswith("tcap "))
    yield from re.findall(r"`(tcap [a-z]+ [^`]*)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def _understand(line: str, where: str) -> None:
    words = shlex.split(line.partition("#")[0])
    words = words[: words.index(">")] if ">" in words else words
    result = CliRunner().invoke(app, [*words[1:], "--help"])
    assert result.exit_code == 0, f"{where}: {line}\n{result.output}"


@contextmanager
def _served() -> Iterator[str]:
    """The address of the house that `tokencapital.toml` here declares."""
    with open_house(None, None) as platform:
        server = uvicorn.Server(uvicorn.Config(build_app(platform), port=0, log_level="error"))
        thread = threading.Thread(target=server.run)
        thread.start()
        until = time.monotonic() + _STARTED_WITHIN_S
        while not server.started and time.monotonic() < until:
            time.sleep(0.02)
        try:
            yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def test_every_page_is_pictured(tmp_path: Path) -> None:
    """docs/pages.md has each page that the site mounts, with a picture that is not too large to keep."""
    told = (ROOT / "docs/pages.md").read_text("utf-8")
    with Platform.open(Settings(store=str(tmp_path / "store.db"))) as platform:
        routes = Site(platform).routes()
    pages = {one.path for one in routes if isinstance(one, Route) and "GET" in (one.methods or ())}
    pages = {path for path in pages if not path.endswith(".json")}
    missing = {path for path in pages - UNPICTURED if f"## `{path}`" not in told}
    assert missing == set()
    pictured = {ROOT / "docs" / name for name in re.findall(r"\]\((pictures/pages/[^)]+)\)", told)}
    assert pictured == set((ROOT / "docs/pictures/pages").glob("*.png"))
    assert max(path.stat().st_size for path in pictured) < 150_000
