"""What the house is built from: everything that is installed is locked and hashed, audited, and listed."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PINNED = re.compile(
    r"^([A-Za-z0-9._-]+)==([^ ;\\]+)[^\n]*((?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)+)", re.MULTILINE
)
HOLE = {
    "schema_version": "1.6.0",
    "id": "TEST-0001",
    "affected": [
        {
            "package": {"name": "msgspec", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "9.9"}]}],
        }
    ],
}


class Osv(HTTPServer):
    """A service of known holes that knows what it is told, and counts what it is asked."""

    known: dict[str, Any]
    asked: list[str]


class Answer(BaseHTTPRequestHandler):
    server: Osv

    def do_POST(self) -> None:
        name = json.loads(self.rfile.read(int(self.headers["content-length"])))["package"]["name"]
        self.server.asked.append(name)
        body = json.dumps({"vulns": [self.server.known[name]]} if name in self.server.known else {}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def osv(monkeypatch: pytest.MonkeyPatch) -> Iterator[Osv]:
    with Osv(("127.0.0.1", 0), Answer) as server:
        server.asked, server.known = [], {}
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("TCAP_OSV_URL", f"http://127.0.0.1:{server.server_port}/v1/query")
        yield server
        server.shutdown()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """Two packages of the real lock, with their hashes."""
    found = {one[1]: one[0].rstrip("\\").rstrip() for one in PINNED.finditer(_lock())}
    path = tmp_path / "small.lock"
    path.write_text("".join(f"{found[name]}\n" for name in ("msgspec", "jinja2")), "utf-8")
    return path


@pytest.fixture
def audit() -> Callable[[Path, Path], int]:
    return runpy.run_path(str(ROOT / ".ci" / "audit.py"))["main"]  # type: ignore[no-any-return]


def test_everything_declared_is_locked_with_hashes_in_a_release_that_fits() -> None:
    """Dependency confusion: no index can put another file under a name, because each file's hash is known."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    declared = [*project["project"]["dependencies"], *(one for extra in extras for one in extra)]
    declared += project["build-system"]["requires"]
    locked: dict[str, list[str]] = {}
    for one in PINNED.finditer(_lock()):
        locked.setdefault(canonicalize_name(one[1]), []).append(one[2])
    for text in declared:
        wanted = Requirement(text)
        releases = locked.get(canonicalize_name(wanted.name), [])
        assert any(wanted.specifier.contains(one, prereleases=True) for one in releases), f"run `make lock`: {text}"


def test_every_line_of_the_lock_is_a_pin_a_hash_or_a_remark() -> None:
    pins = len(re.findall(r"^[A-Za-z0-9]", _lock(), re.MULTILINE))
    assert len(PINNED.findall(_lock())) == pins > 150
    assert "://" not in _lock()
    assert not re.search(r"^-|^ *--(?!hash=)", _lock(), re.MULTILINE), "an option could name another index"


def test_setup_installs_nothing_but_the_lock() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    installs = [line for line in makefile.splitlines() if "pip install" in line or line.startswith("\t$(PIP)")]
    assert installs
    for line in installs:
        assert "--require-hashes" in line or "--no-build-isolation -e ." in line or line.startswith("PIP "), line


def test_a_known_hole_fails_the_audit(
    audit: Callable[..., int], osv: Osv, lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    osv.known = {"msgspec": HOLE}
    assert audit(lock, tmp_path) == 1
    assert "TEST-0001, mended in 9.9" in capsys.readouterr().out
    osv.known = {}
    assert audit(lock, tmp_path) == 0
    assert "0 known holes in 2 locked packages" in capsys.readouterr().out
    asked = len(osv.asked)
    assert audit(lock, tmp_path) == 0, "an answer holds for a day"
    assert len(osv.asked) == asked


def test_an_audit_that_nobody_answers_says_so_and_is_no_failure(
    audit: Callable[..., int],
    lock: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TCAP_OSV_URL", "http://127.0.0.1:9/v1/query")
    assert audit(lock, tmp_path) == 0
    assert "NOT DONE" in capsys.readouterr().out
    assert not list(tmp_path.glob(".audited-*"))


def test_the_bill_of_materials_names_what_is_locked(lock: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "cyclonedx_py", "requirements", str(lock), "--pyproject", str(ROOT / "pyproject.toml")],
        capture_output=True, check=True,
    )  # fmt: skip
    bill = json.loads(made.stdout)
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "tokencapital"
    assert {one["name"] for one in bill["components"]} == {"msgspec", "jinja2"}


def _lock() -> str:
    return (ROOT / "requirements.lock").read_text("utf-8")
