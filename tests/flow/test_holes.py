"""One test for each class of hole that was published of our peers in 2024-2026: none of them is here.

The holes that are named are real and public; what is tried is our own house.
"""

from __future__ import annotations

import ast
import gzip
import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from tokencapital.app.guard import OwnNames
from tokencapital.app.keys import KeyAsked, make_key
from tokencapital.app.platform import Platform
from tokencapital.app.server import build_app
from tokencapital.app.settings import CapabilitySettings, Settings
from tokencapital.core.access import Scope
from tokencapital.core.case import ContractKind
from tokencapital.core.errors import InputError
from tokencapital.models.artifacts import load_specialist
from tokencapital.models.extraction import FieldsSpecialist
from tokencapital.models.specialist import LabelSpecialist
from tokencapital.serve.provider_settings import ProviderSettings
from tokencapital.testing.upstream import Scripted, ScriptedUpstream
from tokencapital.web.site import Site

SRC = Path(__file__).parents[2] / "src" / "tokencapital"
SQL = (
    "' OR '1'='1", "' OR 1=1; --", "'; DROP TABLE api_key; --", "' UNION SELECT value FROM meta --", '" OR ""="',
    "\\' OR 1=1 --", "1) OR (1=1", "%27%20OR%201%3D1", "x' AND (SELECT count(*) FROM meta) > 0 --",
)  # fmt: skip
UP = (
    "../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%252e%252e%252f%252e%252e%252fetc%252fpasswd", "..%5c..%5cetc%5cpasswd", "/etc/passwd", "file:///etc/passwd",
    "....//....//etc/passwd", "..%c0%af..%c0%afetc/passwd", "%00/etc/passwd", "#/../../etc/passwd", "tokencapital.toml",
)  # fmt: skip
PRIVATE = (
    "http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:{port}/pivot", "http://[::1]:{port}/pivot",
    "http://0x7f000001:{port}/pivot", "http://2130706433:{port}/pivot", "http://localhost.evil.test/", "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_x", "ftp://127.0.0.1:{port}/", "//127.0.0.1:{port}/pivot",
)  # fmt: skip
TEMPLATES = (
    "{{7*7}}",
    "{{ ''.__class__.__mro__ }}",
    "{% for x in ().__class__ %}{% endfor %}",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
)
BREAKS = (
    "a\r\nset-cookie: planted=1",
    "a\nset-cookie: planted=1",
    "a\r\n\r\n<script>alert(1)</script>",
    "a\x85b",
    "a\u2028b",
)
ANSWER = b'{"id":"x","object":"chat.completion","created":0,"model":"known","choices":[]}'


@cache
def sources() -> tuple[tuple[Path, tuple[ast.AST, ...]], ...]:
    """Each file of the package with all that its syntax is made of."""
    paths = sorted(SRC.rglob("*.py"))
    return tuple((path, tuple(ast.walk(ast.parse(path.read_text("utf-8"))))) for path in paths)


def dotted(node: ast.AST) -> str:
    """The name that is written there, such as `os.system`; empty for what is no name."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Platform]:
    declared = {"triage": CapabilitySettings(contract=ContractKind.LABEL, labels=("a", "b"))}
    with Platform.open(Settings(store=str(tmp_path / "store.db"), capabilities=declared), key=bytes(32)) as platform:
        yield platform


@pytest.fixture
def client(house: Platform) -> Iterator[TestClient]:
    with TestClient(build_app(house, Site(house)), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def closed(house: Platform) -> str:
    """The secret of the only key of the house, which opens `infer` alone."""
    return make_key(house, KeyAsked(application="app", scopes=frozenset({Scope.INFER}), by="maria")).secret


def chat(client: TestClient, **headers: str) -> Any:
    body = {"model": "triage", "messages": [{"role": "user", "content": "hello"}]}
    return client.post("/v1/chat/completions", json=body, headers=headers)


@pytest.mark.parametrize("said", SQL)
def test_sql_in_the_authorization_header_opens_nothing(client: TestClient, closed: str, said: str) -> None:
    """SQL injection before login, as in LiteLLM's check of keys (CVE-2026-42208)."""
    for header in (f"Bearer {said}", f"Bearer {closed}{said}", said):
        refused = chat(client, authorization=header)
        assert refused.status_code == 401, refused.text
        assert "sqlite" not in refused.text.lower() and "syntax" not in refused.text.lower()
    assert client.get("/v1/models", headers={"x-api-key": said}).status_code == 401
    assert chat(client, authorization=f"Bearer {closed}").status_code == 202, "the key still opens"


@pytest.mark.parametrize("said", SQL)
def test_sql_in_filters_names_and_keys_is_only_text(client: TestClient, house: Platform, said: str) -> None:
    """SQL injection through filters and identifiers."""
    before = house.store.probe("SELECT count(*) FROM meta")
    for path in ("/v1/answers/{}", "/capability/{}", "/run/{}", "/knowledge?query={}", "/v1/knowledge/search?query={}"):
        assert client.get(path.format(said.replace("%", "%25"))).status_code < 500
    assert client.post("/v1/knowledge/search", json={"query": said}).status_code == 200
    outcome = {"capability": "triage", "key": said, "name": said, "value": True, "id": said}
    assert client.post("/v1/outcomes", json=outcome).status_code == 201
    assert chat(client, **{"x-tcap-group": said, "x-tcap-key": said, "x-tcap-case": said}).status_code == 202
    assert client.post("/v1/judgments", json={"expert": said, "verdict": "right", "case": said}).status_code in {
        400,
        404,
    }
    assert house.store.probe("SELECT count(*) FROM meta") == before


@pytest.mark.parametrize("said", UP)
def test_no_path_leads_out_of_the_house(client: TestClient, said: str) -> None:
    """Path traversal, once or twice encoded, as in MLflow's artifacts and sources (CVE-2024-1560, CVE-2026-2614)."""
    places = (
        "/static/{}",
        "/v1/answers/{}",
        "/run/{}",
        "/capability/{}",
        "/capability/triage/chart/{}",
        "/knowledge/{}",
    )
    for place in places:
        answer = client.get(place.format(said))
        assert answer.status_code < 500, place
        assert "root:" not in answer.text and "[capabilities" not in answer.text
    assert client.get(f"/static/{said}").status_code in {404, 405, 400}


@pytest.mark.parametrize("said", UP)
def test_names_of_documents_are_no_paths(house: Platform, tmp_path: Path, said: str) -> None:
    """A name that was handed in with a document neither reads nor writes a file."""
    from tokencapital.app.knowing import Handed, add_bytes
    from tokencapital.core.errors import TokenCapitalError

    before = {path for path in tmp_path.rglob("*") if "store.db" not in path.name}
    with suppress(TokenCapitalError):
        add_bytes(house, f"{said}.md", b"# Words\n\nSome words.", Handed(owner="maria"))
    assert {path for path in tmp_path.rglob("*") if "store.db" not in path.name} == before


def test_no_url_of_a_request_is_fetched(tmp_path: Path) -> None:
    """SSRF by `api_base` (BerriAI/litellm issue 24952), by webhooks (CVE-2026-2393), by links to images and files."""
    with ScriptedUpstream(Scripted(pieces=(ANSWER,))) as upstream, ScriptedUpstream(Scripted()) as inside:
        port = inside.url.rpartition(":")[2]
        provider = ProviderSettings(kind="compatible", url=f"{upstream.url}/v1", models=("known",), retries=0)
        settings = Settings(store=str(tmp_path / "store.db"), providers={"scripted": provider})
        with Platform.open(settings) as platform, TestClient(build_app(platform)) as client:
            for raw in PRIVATE:
                url = raw.format(port=port)
                content = [
                    {"type": "image_url", "image_url": {"url": url}},
                    {"type": "file", "file": {"file_data": url}},
                ]
                body = {
                    "model": "known", "messages": [{"role": "user", "content": content}], "api_base": url,
                    "base_url": url,
                    "webhook": url, "callbacks": [url], "proxy": url, "endpoint": url,
                }  # fmt: skip
                headers = {"x-tcap-provider": url, "x-forwarded-host": url, "host": "127.0.0.1", "x-original-url": url}
                client.post("/v1/chat/completions", json=body, headers=headers)
                client.post("/v1/responses", json={"model": "known", "input": url, "webhook_url": url})
        assert upstream.received, "what may be asked was asked"
        assert inside.received == []


def test_a_provider_cannot_be_named_by_what_a_caller_sends(tmp_path: Path) -> None:
    """A model's name that looks like an address is no address."""
    with ScriptedUpstream(Scripted()) as inside:
        provider = ProviderSettings(kind="compatible", url="http://127.0.0.1:9/v1", models=("known",), retries=0)
        settings = Settings(store=str(tmp_path / "store.db"), providers={"scripted": provider})
        with Platform.open(settings) as platform, TestClient(build_app(platform)) as client:
            for model in (inside.url, f"{inside.url}/known", f"scripted@{inside.url}/known", "../known", "x/../known"):
                answer = client.post("/v1/chat/completions", json={"model": model, "messages": []})
                assert answer.status_code == 404
        assert inside.received == []


FORBIDDEN_CALLS = {
    "eval", "exec", "compile", "__import__", "pickle.load", "pickle.loads", "marshal.loads", "shelve.open", "os.system",
    "yaml.load", "yaml.unsafe_load", "joblib.load", "torch.load", "cloudpickle.loads", "dill.loads", "os.popen",
}  # fmt: skip
FORBIDDEN_MODULES = {
    "pickle",
    "cPickle",
    "dill",
    "shelve",
    "marshal",
    "joblib",
    "cloudpickle",
    "yaml",
    "code",
    "codeop",
}


def test_nothing_that_is_read_can_run() -> None:
    """Unsafe deserialization and `exec` of what is sent (guardrails in the same issue; pickles in models of MLflow)."""
    found = []
    for path, nodes in sources():
        for node in nodes:
            where = f"{path.relative_to(SRC)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call) and dotted(node.func) in FORBIDDEN_CALLS:
                found.append(f"{where} {dotted(node.func)}")
            if isinstance(node, ast.Call) and any(one.arg == "shell" for one in node.keywords):
                found.append(f"{where} a shell")
            if isinstance(node, ast.Call) and any(
                one.arg == "allow_pickle" and ast.unparse(one.value) != "False" for one in node.keywords
            ):
                found.append(f"{where} allow_pickle")
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{where} {one}" for one in names if one.partition(".")[0] in FORBIDDEN_MODULES]
    assert found == []


def test_an_artifact_that_is_a_pickle_is_not_loaded(tmp_path: Path) -> None:
    """What specialists are kept as is data: an array of objects, which numpy could unpickle, runs nothing."""
    planted = tmp_path / "planted"

    class Runs:
        def __reduce__(self) -> Any:
            return Path.touch, (planted,)

    buffer = io.BytesIO()
    np.savez(buffer, header=np.array([Runs()], dtype=object))
    for load in (LabelSpecialist.from_bytes, FieldsSpecialist.from_bytes, load_specialist):
        with pytest.raises(InputError):
            load(buffer.getvalue())
    assert not planted.exists()


def test_nothing_runs_because_it_is_installed_or_imported(tmp_path: Path) -> None:
    """Code run at import or start of Python, as in the poisoned releases 1.82.7 and 1.82.8 of litellm."""
    files = distribution("tokencapital").files or []
    assert [str(one) for one in files if str(one).endswith(".pth") and "tokencapital" not in str(one)] == []
    entry_points = {(one.group, one.name) for one in distribution("tokencapital").entry_points}
    assert entry_points == {("console_scripts", "tcap")}
    (tmp_path / "sitecustomize_of_data.py").write_text("raise SystemExit(3)")
    loaded = "import sys, tokencapital, tokencapital.cli; print(*sorted(m for m in sys.modules if 'of_data' in m))"
    done = subprocess.run([sys.executable, "-c", loaded], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
    for path, nodes in sources():
        for node in nodes:
            if isinstance(node, ast.Attribute | ast.Name):
                assert dotted(node) not in {"importlib.metadata.entry_points", "pkg_resources"}, path


@pytest.mark.parametrize("said", TEMPLATES)
def test_what_is_sent_is_no_template(client: TestClient, house: Platform, said: str) -> None:
    """Template injection, as in LiteLLM's completions (GHSA-46cm-pfwv-cgf8) and chat templates (CVE-2024-34359)."""
    sent = chat(client, **{"x-tcap-key": said, "x-tcap-group": said})
    body = {"model": "triage", "messages": [{"role": "user", "content": said}], "user": said}
    run = client.post("/v1/chat/completions", json=body).headers["x-tcap-trajectory"]
    seen = [client.get(f"/run/{run}").text, client.get("/capability/triage").text, sent.text]
    assert not any("49" in one.replace(run, "") and "7*7" not in one for one in seen[2:])
    assert "&lt;class" not in seen[0] and "mro" not in seen[0].replace("__mro__", "")
    if "7*7" in said:
        assert "7*7" in seen[0]


def test_templates_are_never_made_of_data() -> None:
    """Templates come from the package alone."""
    for path, nodes in sources():
        for node in nodes:
            if isinstance(node, ast.Call):
                assert not dotted(node.func).endswith((".from_string", "render_template_string")), path
            if isinstance(node, ast.ImportFrom) and node.module == "jinja2":
                assert "Template" not in {one.name for one in node.names}, path


@pytest.mark.parametrize("said", BREAKS)
def test_no_answer_has_a_header_that_a_caller_wrote(client: TestClient, said: str) -> None:
    """Header injection: what is reflected, or led on to, begins no line."""
    headers = {name: said.encode("utf-8") for name in ("x-tcap-case", "x-tcap-group", "x-tcap-key", "x-tcap-unsure")}
    body = {"model": "triage", "messages": [{"role": "user", "content": said}], "user": said}
    answer = client.post("/v1/chat/completions", json=body, headers=headers)  # type: ignore[arg-type]
    answers = [
        answer,
        client.get("/login", params={"onward": said}),
        client.get(f"/run/{said!r}"),
        client.get("/", params={"x": said}),
    ]
    for one in answers:
        assert one.status_code < 500
        assert "planted" not in one.headers.get("set-cookie", "")
        assert all(value.isprintable() for value in one.headers.values())


@pytest.mark.parametrize("host", ["evil.test", "127.0.0.1.evil.test", "evil.test:80@127.0.0.1", "[::1].evil.test"])
def test_no_answer_is_made_of_the_host_that_a_caller_names(house: Platform, host: str) -> None:
    """Cache poisoning and DNS rebinding: an open house knows its own names only, and builds no address of one."""
    with TestClient(OwnNames(build_app(house, Site(house)), house.access)) as client:
        for path in ("/", "/login", "/healthz", "/v1/models"):
            answer = client.get(path, headers={"host": host, "x-forwarded-host": host}, follow_redirects=False)
            assert answer.status_code == 421
            assert "evil.test" not in answer.text + str(answer.headers)


def test_a_closed_house_builds_no_address_of_a_host(house: Platform, closed: str) -> None:
    """Neither in a page nor in where it leads on to."""
    with TestClient(build_app(house, Site(house))) as client:
        for path in ("/", "/login", "/capability/triage", "/v1/models"):
            headers = {"host": "evil.test", "x-forwarded-host": "evil.test", "x-forwarded-proto": "https"}
            answer = client.get(path, headers=headers, follow_redirects=False)
            assert "evil.test" not in answer.text + str(answer.headers), path


def test_a_bomb_is_not_unpacked(client: TestClient) -> None:
    """Decompression bombs: a small body that would be huge is refused before it is."""
    bomb = gzip.compress(bytes(300 << 20), 9)
    for media in ("application/x-protobuf", "application/json"):
        answer = client.post("/v1/traces", content=bomb, headers={"content-type": media, "content-encoding": "gzip"})
        assert answer.status_code == 413
    twice = gzip.compress(bomb)
    answer = client.post("/v1/traces", content=twice, headers={"content-type": media, "content-encoding": "gzip"})
    assert answer.status_code in {400, 413}
