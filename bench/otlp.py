"""How many spans per second are in the store, beside MLflow's and Phoenix's servers, with the same batches of 512.

Every server gets the same bodies, made before the clock starts, from the same client: 128 traces of 4 spans a batch,
an agent that asks a model, runs a tool and asks again, in OpenTelemetry's `gen_ai.*` names. A span counts when it
stands in the server's own database, and the clock stops when the last one does. Then our server is killed (-9) the
moment it has answered a batch, and started again: how many of the answered spans are missing? Peers are installed by
`.ci/peers` where they are absent (minutes); what cannot be had is left out, and said to be.
`bench/sdk.py` has the figures of the SDK.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from msgspec import Struct
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tokencapital.core.case import Json
from tokencapital.testing.peers import peer_program
from tokencapital.testing.servers import Program, answers, family, free_port, running
from tokencapital.testing.spans import put

SPANS_PER_BATCH = 512
_SPANS_PER_TRACE = 4
_START_LIMIT_S = 120.0
_STORED_LIMIT_S = 300.0
_WORDS = """
the order did not arrive and the customer asks for a refund within ten days because the parcel was left at the wrong
door on a rainy morning while the neighbour was away and nobody signed for it as the note says
""".split()  # noqa: SIM905 (a list would be a line for each)


def _words(random_: random.Random, count: int) -> str:
    return " ".join(random_.choices(_WORDS, k=count))


def make_batch(seed: int, spans: int = SPANS_PER_BATCH) -> bytes:
    """One batch as an exporter sends it: a pure function of the seed but for the time, which is now."""
    random_ = random.Random(seed)
    batch = ExportTraceServiceRequest()
    resource = batch.resource_spans.add()
    told = {"service.name": "support-desk", "telemetry.sdk.name": "opentelemetry", "process.pid": 4711}
    put(resource.resource.attributes, told)
    scope = resource.scope_spans.add()
    scope.scope.name, scope.scope.version = "opentelemetry.instrumentation.openai_v2", "2.4b0"
    for _ in range(spans // _SPANS_PER_TRACE):
        _add_trace(scope, random_)
    return bytes(batch.SerializeToString())


def _add_trace(scope: Any, random_: random.Random) -> None:
    trace, root = random_.randbytes(16), random_.randbytes(8)
    start = time.time_ns() - 3_000_000_000
    asked = [
        {"role": "system", "parts": [{"type": "text", "content": _words(random_, 60)}]},
        {"role": "user", "parts": [{"type": "text", "content": _words(random_, 40)}]},
    ]
    said = [{"role": "assistant", "parts": [{"type": "text", "content": _words(random_, 50)}], "finish_reason": "stop"}]
    for number, name in enumerate(("invoke_agent desk", "chat gpt-4o-mini", "execute_tool find_order", "chat gpt-4o")):
        span = scope.spans.add()
        span.trace_id, span.name, span.kind = trace, name, 3
        span.span_id = random_.randbytes(8) if number else root
        span.parent_span_id = root if number else b""
        span.start_time_unix_nano = start + number * 500_000_000
        span.end_time_unix_nano = start + (number + 1) * 500_000_000
        span.status.code = 1
        operation = name.split()[0]
        told = {"gen_ai.operation.name": operation, "gen_ai.provider.name": "openai", "gen_ai.conversation.id": "c-1"}
        put(span.attributes, {**told, **_told_of(operation, name.split()[1], random_)})
        if operation == "chat":
            put(
                span.attributes,
                {"gen_ai.input.messages": json.dumps(asked), "gen_ai.output.messages": json.dumps(said)},
            )


def _told_of(operation: str, name: str, random_: random.Random) -> dict[str, Json]:
    if operation == "chat":
        return {
            "gen_ai.request.model": name, "gen_ai.response.model": f"{name}-2024-07-18",
            "gen_ai.response.id": f"chatcmpl-{random_.getrandbits(64):x}", "gen_ai.request.temperature": 0.2,
            "gen_ai.usage.input_tokens": random_.randint(90, 400), "gen_ai.usage.output_tokens": 57,
        }  # fmt: skip
    if operation == "execute_tool":
        return {
            "gen_ai.tool.name": "find_order", "gen_ai.tool.call.id": "call_1",
            "gen_ai.tool.call.arguments": '{"order": "A-17"}', "gen_ai.tool.call.result": _words(random_, 30),
        }  # fmt: skip
    return {"gen_ai.agent.name": "desk", "server.address": "127.0.0.1", "server.port": 8080}


class Server(Struct, frozen=True, kw_only=True):
    """A server under measure: how it is started, where it takes spans, and how those in its database are counted."""

    name: str
    command: Callable[[int, Path], list[str]]
    ready: str
    database: str
    query: str
    headers: Mapping[str, str] = {}
    environment: Callable[[int, Path], dict[str, str]] = lambda _port, _folder: {}
    batches: int = 12


def ours(batches: int) -> Server:
    """`tcap serve` on a file, its drain beside it."""
    tcap = str(Path(sys.executable).with_name("tcap"))
    return Server(
        name="ours",
        command=lambda port, folder: [tcap, "serve", "--store", str(folder / "store.db"), "--port", str(port)],
        ready="/healthz",
        database="store.db",
        query="SELECT count(*) FROM span",
        batches=batches,
    )


def mlflow(batches: int) -> Server:
    """`mlflow server` on a file, with one worker."""
    program = peer_program("mlflow")
    return Server(
        name="mlflow",
        command=lambda port, folder: [
            program, "server", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination",
            str(folder / "artifacts"), "--port", str(port), "--workers", "1",
        ],
        ready="/health",
        database="mlflow.db",
        query="SELECT count(*) FROM spans",
        headers={"x-mlflow-experiment-id": "0"},
        environment=lambda _port, _folder: {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
        batches=batches,
    )  # fmt: skip


def phoenix(batches: int) -> Server:
    """`phoenix serve` on a file."""
    program = peer_program("phoenix")
    return Server(
        name="phoenix",
        command=lambda _port, _folder: [program, "serve"],
        ready="/healthz",
        database="phoenix.db",
        query="SELECT count(*) FROM spans",
        environment=lambda port, folder: {
            "PHOENIX_PORT": str(port),
            "PHOENIX_GRPC_PORT": str(free_port()),
            "PHOENIX_WORKING_DIR": str(folder),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        },
        batches=batches,
    )


def measure(server: Server, senders: int) -> dict[str, float]:
    """How many spans per second the server accepts, and how many are in its database, from the first request on."""
    bodies = [make_batch(number) for number in range(server.batches)]
    with tempfile.TemporaryDirectory() as name, started(server, Path(name)) as (address, _):
        began = time.perf_counter()
        send(f"{address}/v1/traces", bodies, server.headers, senders)
        accepted_s = time.perf_counter() - began
        wanted = server.batches * SPANS_PER_BATCH
        stored = wait_for(partial(count, Path(name) / server.database, server.query), lambda found: found >= wanted)
        stored_s = time.perf_counter() - began
        found = {
            "spans": float(stored),
            "accepted_per_s": round(wanted / accepted_s, 1),
            "spans_per_s": round(stored / stored_s, 1),
        }
        if server.name == "ours":
            found["trajectories"] = float(_settled(Path(name) / server.database))
            found["settled_s"] = round(time.perf_counter() - began, 1)
        return found


def _settled(database: Path) -> int:
    """How many trajectories there are once no trace waits any more. Raises TimeoutError where some still do."""
    if wait_for(partial(count, database, "SELECT count(*) FROM trace_state WHERE waiting = 1"), lambda left: not left):
        raise TimeoutError(f"traces still wait after {_STORED_LIMIT_S:.0f} s")
    return wait_for(partial(count, database, "SELECT count(*) FROM trajectory"), lambda _: True)


def send(url: str, bodies: Sequence[bytes], headers: Mapping[str, str], senders: int) -> list[int]:
    """Sends all bodies from so many threads, each with a connection of its own; returns which were answered."""
    waiting, answered, lock = list(enumerate(bodies)), list[int](), threading.Lock()

    def work() -> None:
        with httpx2.Client(timeout=_STORED_LIMIT_S) as client:
            while True:
                with lock:
                    if not waiting:
                        return
                    number, body = waiting.pop(0)
                told = client.post(url, content=body, headers={"content-type": "application/x-protobuf", **headers})
                told.raise_for_status()
                with lock:
                    answered.append(number)

    threads = [threading.Thread(target=work) for _ in range(senders)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return answered


@contextmanager
def started(server: Server, folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The server in a folder of its own while the block runs; gives its address and its process."""
    port = free_port()
    program = Program(
        command=server.command(port, folder),
        ready=partial(answers, f"http://127.0.0.1:{port}{server.ready}"),
        environment={**os.environ, "HOME": str(folder), **server.environment(port, folder)},
        log=folder / "log",
        start_s=_START_LIMIT_S,
    )
    with running(program) as process:
        time.sleep(1.0)
        yield f"http://127.0.0.1:{port}", process


def kill_test(rounds: int) -> dict[str, int]:
    """Our server is killed the moment it has answered some batches, and started anew: what is missing then?"""
    told, missing = 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder, server = Path(name), ours(0)
        for number in range(rounds):
            with started(server, folder) as (address, process):
                bodies = [make_batch(1_000 + 10 * number + place) for place in range(3)]
                send(f"{address}/v1/traces", bodies, {}, 1)
                for one in family(process.pid):
                    os.kill(one, signal.SIGKILL)
                process.wait()
            told += len(bodies) * SPANS_PER_BATCH
        with started(server, folder):
            found = wait_for(partial(count, folder / server.database, server.query), lambda there: there >= told, 60.0)
        missing = told - found
    return {"kills": rounds, "answered_spans": told, "missing": missing}


def count(database: Path, query: str) -> int | None:
    """How many there are in a file of SQLite; None: nobody can tell, because there is no such table yet."""
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5) as connection:
            return int(connection.execute(query).fetchone()[0])
    except sqlite3.Error:
        return None


def wait_for(counted: Callable[[], int | None], done: Callable[[int], bool], limit_s: float = _STORED_LIMIT_S) -> int:
    """The count, once it is as wanted or the time is over. Raises TimeoutError where nothing could be counted."""
    give_up = time.monotonic() + limit_s
    found = counted()
    while (found is None or not done(found)) and time.monotonic() < give_up:
        time.sleep(0.02)
        found = counted()
    if found is None:
        raise TimeoutError(f"nothing could be counted within {limit_s:.0f} s")
    return found


def main() -> int:
    """Prints the figures; 1 where spans were lost or ours is not 20 times the better peer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", metavar="PATH", help="where the figures go; - is stdout")
    parser.add_argument("--batches", type=int, default=60, help="batches for ours; peers get a fifth of them")
    parser.add_argument("--senders", type=int, default=2, help="connections that send at once")
    parser.add_argument("--rounds", type=int, default=3, help="how often each server is measured; medians count")
    parser.add_argument("--kills", type=int, default=3)
    given = parser.parse_args()
    fewer = max(1, given.batches // 5)
    servers = [ours(given.batches)]
    for peer in (mlflow, phoenix):
        try:
            servers.append(peer(fewer))
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{peer.__name__}: left out, {error}", file=sys.stderr)
    runs: dict[str, list[dict[str, float]]] = {one.name: [] for one in servers}
    for number in range(given.rounds):
        for one in servers:
            runs[one.name].append(measure(one, given.senders))
            print(f"round {number + 1}: {one.name} {runs[one.name][-1]}", file=sys.stderr)
    figures: dict[str, Any] = {name: _medians(found) for name, found in runs.items()}
    figures["kill"] = kill_test(given.kills)
    peers = [figures[one.name]["spans_per_s"] for one in servers[1:]]
    times = round(figures["ours"]["spans_per_s"] / max(peers), 1) if peers else None
    figures["times_the_better_peer"] = times
    text = msgspec.json.format(msgspec.json.encode(figures)).decode()
    print(text)
    if given.json and given.json != "-":
        Path(given.json).parent.mkdir(parents=True, exist_ok=True)
        Path(given.json).write_text(f"{text}\n", "utf-8")
    return 0 if figures["kill"]["missing"] == 0 and (times is None or times >= 20) else 1


def _medians(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: statistics.median(one[name] for one in found) for name in found[0]}


if __name__ == "__main__":
    sys.exit(main())
