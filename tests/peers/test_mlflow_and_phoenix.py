"""The real servers of MLflow and Phoenix: what their own libraries log there comes here, once."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.peers.conftest import served
from typer.testing import CliRunner

from tokencapital.cli import app
from tokencapital.testing.servers import free_port

LOGGED = """
import mlflow, sys
from mlflow.entities import AssessmentSource
mlflow.set_tracking_uri(sys.argv[1]); mlflow.set_experiment("desk")
@mlflow.trace(span_type="AGENT")
def agent(asked):
    with mlflow.start_span(name="chat", span_type="CHAT_MODEL") as span:
        span.set_inputs({"messages": [{"role": "user", "content": asked}], "model": "m1"})
        span.set_outputs({"choices": [{"message": {"role": "assistant", "content": "42"}}]})
        span.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10})
    with mlflow.start_span(name="lookup", span_type="TOOL") as span:
        span.set_inputs({"id": 1}); span.set_outputs("ok")
    mlflow.update_current_trace(metadata={"mlflow.trace.session": "sess-1"})
    return "42"
for number in range(int(sys.argv[2])):
    agent(f"question {number}")
mlflow.flush_trace_async_logging()
human = AssessmentSource(source_type="HUMAN", source_id="maria@example.com")
one = mlflow.search_traces(return_type="list", max_results=1)[0].info.trace_id
mlflow.log_feedback(trace_id=one, name="correct", value=True, source=human)
mlflow.log_expectation(trace_id=one, name="expected", value="43", source=human)
judge = AssessmentSource(source_type="LLM_JUDGE", source_id="gpt")
mlflow.log_feedback(trace_id=one, name="opinion", value=1.0, source=judge)
"""


@pytest.fixture(scope="module")
def mlflow(peer: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    programs, folder, port = peer("mlflow"), tmp_path_factory.mktemp("mlflow"), free_port()
    command = [str(programs / "mlflow"), "server", "--backend-store-uri", f"sqlite:///{folder}/ml.db", "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with served(command, f"{url}/health", {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}, folder):
        yield programs, url


@pytest.fixture(scope="module")
def phoenix(peer: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    programs, folder, port = peer("phoenix"), tmp_path_factory.mktemp("phoenix"), free_port()
    environment = {
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    with served([str(programs / "phoenix"), "serve"], f"http://127.0.0.1:{port}/healthz", environment, folder):
        yield f"http://127.0.0.1:{port}"


def imported(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["import", *arguments, "--json", "-"])
    assert done.stdout, done.output
    return dict(msgspec.json.decode(done.stdout))


def lines(store: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(app, ["export", "-", "--store", store])
    return [msgspec.json.decode(line) for line in done.stdout_bytes.splitlines() if line.startswith(b"{")]


def test_what_is_logged_to_mlflow_is_here(mlflow: tuple[Path, str], tmp_path: Path) -> None:
    programs, url = mlflow
    subprocess.run([programs / "python", "-c", LOGGED, url, "12"], check=True, capture_output=True, cwd=tmp_path)
    store = str(tmp_path / "s.db")
    first = imported("mlflow", "--url", url, "--store", store)
    assert (first["trajectories"], first["steps"], first["outcomes"], first["judgments"]) == (12, 36, 1, 1)
    assert list(first["skipped_by_reason"]) == [
        "an assessment was made by a model: it is neither an outcome nor a judgment"
    ]
    second = imported("mlflow", "--url", url, "--store", store)
    assert (second["trajectories"], second["steps"], second["outcomes"], second["judgments"]) == (0, 0, 0, 0)
    line = lines(store)[0]
    assert (line["group"], line["model"], line["answer"]) == ("sess-1", "m1", "42")
    assert [(one["kind"], one["name"]) for one in line["steps"]] == [
        ("agent", "agent"),
        ("call", "chat"),
        ("tool", "lookup"),
    ]
    assert line["steps"][1]["usage"]["input"] == 7
    assert line["messages"] == [{"role": "user", "content": "question 0"}, {"role": "assistant", "content": "42"}]
    (said,) = [one for each in lines(store) for one in each.get("judgments", ())]
    assert said["answer"] == "43" and "maria" not in said["expert"]


def test_spans_sent_to_phoenix_are_here(phoenix: str, tmp_path: Path) -> None:
    send_spans(f"{phoenix}/v1/traces", 30)
    store = str(tmp_path / "s.db")
    report: dict[str, Any] = {}
    for _ in range(50):
        report = imported("phoenix", "--url", phoenix, "--store", store)
        if len(lines(store)) == 30:
            break
    assert len(lines(store)) == 30 and not report["skipped_by_reason"]
    line = next(one for one in lines(store) if one["input"][0]["content"] == "hello 7")
    assert (line["answer"], line["model"], line["group"]) == ("hi 7", "gpt-x", "s1")
    assert [one["kind"] for one in line["steps"]] == ["agent", "call"]
    assert imported("phoenix", "--url", phoenix, "--project", "default", "--store", store)["trajectories"] == 0


def send_spans(url: str, count: int) -> None:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(url)))
    tracer = provider.get_tracer("desk")
    for number in range(count):
        whole = {"openinference.span.kind": "AGENT", "input.value": f"hello {number}", "session.id": "s1"}
        said = "llm.output_messages.0.message"
        asked = "llm.input_messages.0.message"
        call = {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-x",
            f"{asked}.role": "user",
            f"{asked}.content": f"hello {number}",
            f"{said}.role": "assistant",
            f"{said}.content": f"hi {number}",
            "llm.token_count.prompt": 5,
            "llm.token_count.completion": 2,
        }
        with tracer.start_as_current_span("agent", attributes=whole):
            tracer.start_span("ChatCompletion", attributes=call).end()
    provider.shutdown()
