"""The shape of the house: who may know whom, how long things may get, and what an import may do."""

from __future__ import annotations

import ast
import json
import os
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path
from urllib.request import urlopen

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "tokencapital"
USUAL_SHARE = 0.9
FILE_USUAL, FILE_MOST = 350, 500
FUNCTION_USUAL, FUNCTION_MOST = 30, 60
PARAMETERS_MOST = 6
IMPORT_S = 0.3
HEAVY = frozenset({"aiohttp", "alembic", "altair", "genai_prices", "gguf", "sklearn", "torch", "xllamacpp"})

BY_NAME = {"wordllama", "xllamacpp", "psycopg"}
"""Loaded without an import statement: for its weights, as an extra, by SQLAlchemy."""

TRACES = """
import json, os, signal, sys, threading
events = []
def listen(event, arguments):
    if event == "open" and set(str(arguments[1] or "r")) & set("wax+"):
        events.append([event, str(arguments[0])])
    if event in ("os.mkdir", "os.remove", "os.rename", "os.putenv", "socket.__new__", "subprocess.Popen"):
        events.append([event, str(arguments)])
def state():
    return dict(os.environ), signal.getsignal(signal.SIGINT), os.getcwd()
before = state()
sys.addaudithook(listen)
import MODULE
print(json.dumps([events, threading.active_count(), state() == before]))
"""
"""Prints what an import did besides importing: files and sockets opened, processes and threads started."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_rooms_import_only_what_they_may(capsys: pytest.CaptureFixture[str]) -> None:
    broken = lint_imports(config_filename=str(ROOT / ".importlinter"), no_cache=True)
    assert broken == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    "reach", [lambda: socket.create_connection(("192.0.2.1", 9)), lambda: urlopen("http://a.test")]
)
def test_tests_reach_nothing_but_this_machine(reach: Callable[[], object]) -> None:
    with pytest.raises(RuntimeError, match="nothing but loopback"):
        reach()


def test_what_is_imported_is_declared_and_what_is_declared_is_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    optional = (extras[one] for one in ("local", "mcp", "parquet", "postgres"))
    declared = {_name(one) for one in chain(project["dependencies"], *optional)}
    origins = packages_distributions()
    imported = {_declared(origins[module], declared) for module in _imports()}
    for_tests = {_name(one) for one in extras["dev"]} & {_name(origins[module][0]) for module in _imports("testing")}
    assert imported - declared - for_tests == set()
    assert declared - imported == BY_NAME


@pytest.mark.parametrize(("room", "allowed"), [("core", {"msgspec"}), ("stats", {"msgspec", "numpy", "scipy"})])
def test_pure_rooms_know_few_libraries(room: str, allowed: set[str]) -> None:
    assert _imports(room) <= allowed


def test_files_stay_short() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in _files()}
    _within(lengths, FILE_USUAL, FILE_MOST)


def test_functions_stay_short() -> None:
    lengths = {where: (one.end_lineno or one.lineno) - one.lineno + 1 for where, one in _functions()}
    _within(lengths, FUNCTION_USUAL, FUNCTION_MOST)


def test_functions_take_few_parameters() -> None:
    counts = {where: _parameters(one) for where, one in _functions() if "tokencapital/cli/" not in where}
    assert {where: count for where, count in counts.items() if count > PARAMETERS_MOST} == {}


@pytest.mark.parametrize("module", ["tokencapital", "tokencapital.cli"])
def test_an_import_leaves_no_trace(module: str, tmp_path: Path) -> None:
    seen = _in_new_process(TRACES.replace("MODULE", module), tmp_path)
    assert seen == [[], 1, True]
    assert list(tmp_path.iterdir()) == []


def test_the_import_is_fast(tmp_path: Path) -> None:
    """Processor time, the best of three: what other processes do meanwhile does not count."""
    code = "import json, time; t = time.process_time(); import tokencapital; print(json.dumps(time.process_time() - t))"
    assert min(_in_new_process(code, tmp_path) for _ in range(3)) < IMPORT_S


@pytest.mark.parametrize("module", ["tokencapital.serve.engine", "tokencapital.cli"])
def test_heavy_libraries_wait_until_they_are_needed(module: str, tmp_path: Path) -> None:
    loaded = _in_new_process(f"import json, sys, {module}; print(json.dumps(list(sys.modules)))", tmp_path)
    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()
    assert "scipy.stats" not in loaded


def _declared(origins: list[str], declared: set[str]) -> str:
    """Of the packages that fill one name, such as `google`, the declared one."""
    return next((_name(one) for one in origins if _name(one) in declared), _name(origins[0]))


def _files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _functions() -> Iterator[tuple[str, Function]]:
    for path in _files():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, Function):
                yield f"{path.relative_to(ROOT).as_posix()}:{node.lineno} {node.name}", node


def _imports(room: str = "") -> set[str]:
    """The first names of the modules from outside Python that are imported in a room, or anywhere."""
    found = set()
    for path in sorted((PACKAGE / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found - {"tokencapital"} - sys.stdlib_module_names


def _name(requirement: str) -> str:
    """The distribution that a requirement names, in its normal form."""
    return re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-")


def _parameters(one: Function) -> int:
    taken = [*one.args.posonlyargs, *one.args.args, *one.args.kwonlyargs]
    return sum(parameter.arg not in {"self", "cls"} for parameter in taken)


def _within(sizes: dict[str, int], usual: int, most: int) -> None:
    long = {where: size for where, size in sizes.items() if size > usual}
    assert {where: size for where, size in long.items() if size > most} == {}
    assert len(long) <= (1 - USUAL_SHARE) * len(sizes), long


def _in_new_process(code: str, folder: Path) -> object:
    """What the code prints as JSON, run where nothing else was imported, in an empty folder."""
    environment = {**os.environ, "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
