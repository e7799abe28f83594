"""Langfuse's API in the shapes that it publishes: pages, patience, a cut in the middle, and what comes later."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from typer.testing import CliRunner

from tokencapital.app.importing import ImportAsked, ImportKind, run_import
from tokencapital.app.platform import Platform
from tokencapital.app.settings import CapabilitySettings, Settings
from tokencapital.cli import app
from tokencapital.core.case import ContractKind
from tokencapital.core.errors import AccessRefused, InputError
from tokencapital.record.imports.remote import Login, NotThere, Remote
from tokencapital.testing.people import tell_everyone
from tokencapital.testing.upstream import Received, Scripted, ScriptedUpstream

START = datetime(2026, 9, 1, tzinfo=UTC)
PUBLIC, SECRET = "pk-lf-1", "sk-lf-1"


class Project:
    """A project of Langfuse that answers as its API does."""

    def __init__(self, traces: int = 120) -> None:
        self.traces = [trace(number) for number in range(traces)]
        self.scores = [score(0, "BOOLEAN", 1), score(1, "NUMERIC", 0.5), score(2, "CATEGORICAL", None)]
        self.scores += [score(3, "NUMERIC", 1, source="EVAL")]
        self.scores += [{**score(4, "CORRECTION", None), "stringValue": "the right words", "authorUserId": "ada@x"}]
        self.queues = [{"id": "q1", "name": "review", "scoreConfigIds": []}]
        self.items: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.busy = 0
        self.cut_after: int | None = None
        self.redirect: str | None = None

    def answer(  # noqa: PLR0911
        self, path: str, query: dict[str, str]
    ) -> tuple[int, dict[str, str], Any]:
        self.asked.append(path)
        if self.redirect is not None:
            return 302, {"Location": self.redirect}, {}
        if self.busy:
            self.busy -= 1
            return 429, {"Retry-After": "7"}, {}
        if self.cut_after is not None:
            if not self.cut_after:
                return 400, {}, {"message": "gone"}
            self.cut_after -= 1
        match path.removeprefix("/api/public/").split("/"):
            case ["traces"]:
                found = [{**one, "observations": [], "scores": []} for one in self._traces(query)]
                return self._page(found, query)
            case ["traces", name]:
                found = [one for one in self.traces if one["id"] == name]
                return (200, {}, found[0]) if found else (404, {}, {"message": "no such trace"})
            case ["v2", "scores"]:
                since = query.get("fromTimestamp", "")
                return self._page([one for one in self.scores if one["timestamp"] >= since], query)
            case ["annotation-queues"]:
                return self._page(self.queues, query)
            case ["annotation-queues", _, "items"]:
                return self._page(self.items, query)
        return 404, {}, {}

    def _traces(self, query: dict[str, str]) -> list[dict[str, Any]]:
        assert query["orderBy"] == "timestamp.asc"
        since, until = query.get("fromTimestamp", ""), query["toTimestamp"]
        return [one for one in self.traces if since <= one["timestamp"] < until and not one.get("old")]

    def _page(self, rows: list[dict[str, Any]], query: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        page, limit = int(query["page"]), int(query["limit"])
        assert limit <= 100
        meta = {"page": page, "limit": limit, "totalItems": len(rows), "totalPages": -(-len(rows) // limit)}
        return 200, {}, {"data": rows[(page - 1) * limit : page * limit], "meta": meta}


def trace(number: int, **more: Any) -> dict[str, Any]:
    at = (START + timedelta(minutes=number)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    name = f"trace-{number}"
    generation = {
        "id": f"gen-{number}", "traceId": name, "type": "GENERATION", "name": "reply", "startTime": at, "endTime": at,
        "model": "our-own-model", "input": [{"role": "user", "content": f"words {number}"}],
        "output": {"role": "assistant", "content": f"reply {number}"}, "level": "DEFAULT",
        "usageDetails": {"input": 10, "output": 5, "input_cached_tokens": 3}, "calculatedTotalCost": 0.25,
        "parentObservationId": f"span-{number}",
    }  # fmt: skip
    span = {"id": f"span-{number}", "traceId": name, "type": "SPAN", "name": "desk", "startTime": at, "endTime": at}
    return {
        "id": name, "timestamp": at, "name": "desk", "userId": f"u{number % 7}", "sessionId": None, "input": None,
        "output": None, "metadata": {}, "tags": [], "observations": [generation, span], "scores": [],
    } | more  # fmt: skip


def score(trace: int, kind: str, value: float | None, source: str = "ANNOTATION") -> dict[str, Any]:
    at = "2026-10-01T00:00:00.000Z"
    words = {"stringValue": "fine"} if value is None else {}
    one = {"id": f"score-{trace}", "traceId": f"trace-{trace}", "name": "helpful", "source": source, "value": value}
    return one | {"dataType": kind, "timestamp": at, "createdAt": at, "updatedAt": at} | words


@pytest.fixture
def project() -> Project:
    return Project()


@pytest.fixture
def url(project: Project) -> Iterator[str]:
    wanted = f"Basic {base64.b64encode(f'{PUBLIC}:{SECRET}'.encode()).decode()}"

    def says(asked: Received) -> Scripted:
        query = {name: values[0] for name, values in parse_qs(urlsplit(asked.target).query).items()}
        known = asked.header("authorization") == wanted
        status, headers, body = project.answer(asked.path, query) if known else (401, {}, {})
        return Scripted(pieces=(json.dumps(body).encode(),), status=status, headers=tuple(headers.items()))

    with ScriptedUpstream(says) as server:
        yield server.url


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    monkeypatch.setenv("LANGFUSE_PUBLIC_KEY", PUBLIC)
    monkeypatch.setenv("LANGFUSE_SECRET_KEY", SECRET)
    desk = {"desk": CapabilitySettings(contract=ContractKind.TEXT)}
    with Platform.open(Settings(store=str(tmp_path / "s.db"), capabilities=desk), key=b"k" * 32) as platform:
        tell_everyone(platform.store)
        yield platform


def imported(house: Platform, url: str, waits: list[float] | None = None, **more: Any) -> Any:
    asked = ImportAsked(kind=ImportKind.LANGFUSE, url=url, capability="desk", **more)
    return run_import(house, asked, lambda *_: None, (waits if waits is not None else []).append)


def test_all_pages_come_once_with_scores_and_corrections(house: Platform, url: str) -> None:
    first = imported(house, url)
    assert (first.trajectories, first.steps, first.outcomes, first.judgments) == (120, 240, 2, 1)
    assert first.skipped_by_reason == {
        "a score is words, neither yes, no nor a number": 1,
        "a score was given by a model: it is neither an outcome nor a judgment": 1,
    }
    second = imported(house, url)
    assert (second.trajectories, second.steps, second.outcomes, second.judgments) == (0, 0, 0, 0)


def test_it_goes_on_where_it_was_cut(house: Platform, project: Project, url: str) -> None:
    project.cut_after = 80
    with pytest.raises(InputError, match="answers 400"):
        imported(house, url)
    kept = house.store.probe("SELECT count(*) FROM trajectory")
    assert kept == 50, "the first page is here and the second is not"
    project.cut_after, project.asked = None, []
    assert imported(house, url).trajectories == 70
    assert len(project.asked) < 100, "what was here is not read again"


def test_it_waits_as_long_as_it_is_asked_to(house: Platform, project: Project, url: str) -> None:
    project.busy = 3
    waits: list[float] = []
    assert imported(house, url, waits).trajectories == 120
    assert waits == [7.0, 7.0, 7.0]


def test_following_brings_what_is_new(house: Platform, project: Project, url: str) -> None:
    rounds: list[int] = []

    def sleep(_: float) -> None:
        rounds.append(1)
        project.traces.append(trace(200 + len(rounds)))

    asked = ImportAsked(kind=ImportKind.LANGFUSE, url=url, capability="desk", rounds=4)
    report = run_import(house, asked, lambda *_: None, sleep)
    assert (len(rounds), report.trajectories) == (3, 123)


def test_what_was_annotated_comes_however_old(house: Platform, project: Project, url: str) -> None:
    project.traces.append(trace(500, id="ancient", old=True))
    done = {"queueId": "q1", "objectId": "ancient", "objectType": "TRACE", "status": "COMPLETED"}
    project.items = [{"id": "i1", **done, "completedAt": "2026-10-02T00:00:00Z"}]
    assert imported(house, url, since=START + timedelta(minutes=100)).trajectories == 21
    project.asked = []
    assert imported(house, url).trajectories == 0
    assert "/api/public/traces/ancient" not in project.asked


def test_a_dry_run_keeps_nothing_and_says_the_same(house: Platform, url: str) -> None:
    dry = imported(house, url, dry_run=True)
    assert (dry.trajectories, dry.dry_run) == (120, True)
    assert house.store.probe("SELECT count(*) FROM trajectory") == 0
    assert imported(house, url).trajectories == 120


def test_nobody_who_writes_waits_for_the_server_of_a_dry_run(house: Platform, project: Project, url: str) -> None:
    written: list[bool] = []

    def write() -> None:
        with house.store.begin():
            written.append(True)

    def sleep(_: float) -> None:
        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        writer.join(5)

    project.busy = 2
    asked = ImportAsked(kind=ImportKind.LANGFUSE, url=url, capability="desk", dry_run=True)
    assert run_import(house, asked, lambda *_: None, sleep).trajectories == 120
    assert written == [True, True]


def test_no_redirect_to_another_host_is_followed(house: Platform, project: Project, url: str) -> None:
    project.redirect = "http://169.254.169.254/latest/meta-data"
    with pytest.raises(InputError, match="another host"):
        imported(house, url)
    project.redirect = "file:///etc/passwd"
    with pytest.raises(InputError):
        imported(house, url)


def test_a_wrong_login_is_told_plainly_and_without_the_secret(url: str) -> None:
    with pytest.raises(AccessRefused, match="401") as refused:
        Remote(url, Login("a", "hunter2")).get("/api/public/traces")
    assert "hunter2" not in str(refused.value)
    with pytest.raises(NotThere):
        Remote(url, Login(PUBLIC, SECRET)).get("/nothing")


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd", "ftp://h/x", "http://", "h", "http://u:p@h/", "http://h/?a=b", "http://h:99999",
        "http://h\r\nX: y", "gopher://h", "http://[::1", "",
    ],
)  # fmt: skip
def test_only_addresses_of_servers_are_asked(address: str) -> None:
    with pytest.raises(InputError) as refused:
        Remote(address, Login())
    assert "p@" not in str(refused.value)


def test_the_command_tells_what_came_and_by_its_exit_code_what_did_not(
    house: Platform, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["import", "langfuse", "--url", url, "--store", "new.db", "--json", "-"])
    assert done.exit_code == 3
    assert msgspec.json.decode(done.stdout)["trajectories"] == 120
    assert "left out" in done.stderr
    for wrong in (["nothing", "f"], ["chat"], ["chat", "f", "--url", url], ["outcomes", "--url", url]):
        assert CliRunner().invoke(app, ["import", *wrong, "--store", "new.db"]).exit_code in (1, 2)
    monkeypatch.delenv("LANGFUSE_SECRET_KEY")
    failed = CliRunner().invoke(app, ["import", "langfuse", "--url", url, "--store", "new.db"])
    assert failed.exit_code == 1 and "LANGFUSE_SECRET_KEY" in failed.stderr
    exported = CliRunner().invoke(app, ["export", "out.jsonl", "--store", "new.db", "--json", "-"])
    assert msgspec.json.decode(exported.stdout)["written"]["trajectories"] == 120
    assert CliRunner().invoke(app, ["export", "no/such/out.jsonl", "--store", "new.db"]).exit_code == 1
    (line, *_) = (msgspec.json.decode(one) for one in (tmp_path / "out.jsonl").read_bytes().splitlines())
    call = next(one for one in line["steps"] if one["kind"] == "call")
    assert (call["cost"]["amount"], call["usage"]["cache_read"], line["group"]) == ("0.25", 3, "u0")
    assert "ada@x" not in (tmp_path / "out.jsonl").read_text()
