"""How fast calls pass through the gateway, beside LiteLLM's proxy, Portkey's gateway and nginx as a reverse proxy.

All stand before one nginx that gives a fixed answer, one worker each, and are driven by `wrk` with one thread. Ours
records every call durably (SQLite, fsync). A round measures each gateway once, so that all share the machine's moods;
figures are medians of the rounds. Added latency is measured at half of what a gateway managed, requests spread at
random over 64 connections, and is over the bare upstream under the same load. LiteLLM and Portkey are installed below
`out/peers` (or $TCAP_PEERS) with pip and npm; what cannot be had is left out, and said to be. `nginx` and `wrk` must be
there. With all four it measures for 7.5 minutes, besides the rests in which our drain catches up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tokencapital.testing.peers import fixed_answer, nginx, peer_program, peers_folder
from tokencapital.testing.servers import Program, family, free_port, listens, running

BIN = Path(sys.executable).parent
CHAT = "/v1/chat/completions"
SAID = {
    "model": "gpt-4o-mini",
    "messages": [
        {"role": "system", "content": "You answer customers of a bank. Be short and kind."},
        {"role": "user", "content": "I am still waiting on my card. When will it arrive? I ordered it ten days ago."},
    ],
    "temperature": 0,
}
ANSWER = {
    "id": "chatcmpl-abc123",
    "object": "chat.completion",
    "created": 1730000000,
    "model": "gpt-4o-mini",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Your card arrives within five working days. If not, tell us."},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 54, "completion_tokens": 24, "total_tokens": 78},
}
_PACED_CONNECTIONS = 64
_START_LIMIT_S = 90.0
_DONE = """function done(s, l, r)
 local failed = s.errors.status + s.errors.connect + s.errors.read + s.errors.timeout
 io.write(string.format('\\nSAW %d %f %f %d\\n', s.requests, l:percentile(50), l:percentile(99), failed))
end"""
_SSE = """
import asyncio, sys
HEAD = b"HTTP/1.1 200 OK\\r\\ncontent-type: text/event-stream\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n"
def chunk(data): return b"%x\\r\\n%b\\r\\n" % (len(data), data)
EVENT = chunk(b'data: {"choices":[{"index":0,"delta":{"content":"word "}}]}\\n\\n')
class Talk(asyncio.Protocol):
    def connection_made(self, transport): self.transport, self.got = transport, b""
    def data_received(self, data):
        self.got += data
        head, found, body = self.got.partition(b"\\r\\n\\r\\n")
        if found and len(body) >= int(head.lower().split(b"content-length: ")[1].split(b"\\r\\n")[0]):
            self.got = b""
            self.transport.write(HEAD + EVENT)
            asyncio.get_running_loop().call_later(0.003, self.end)
    def end(self): self.transport.write(EVENT * 4 + chunk(b"data: [DONE]\\n\\n") + b"0\\r\\n\\r\\n")
async def main():
    server = await asyncio.get_running_loop().create_server(Talk, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
"""


class Served(NamedTuple):
    """A gateway that runs: its address, the headers it wants, and its process."""

    url: str
    headers: Mapping[str, str]
    process: subprocess.Popen[bytes]

    @property
    def rss_mb(self) -> float:
        """Resident memory of the process and its children."""
        return sum(_rss_kb(pid) for pid in family(self.process.pid)) / 1024


class Load(NamedTuple):
    """What `wrk` saw."""

    rps: float
    p50_ms: float
    p99_ms: float
    failed: int


def main() -> None:
    """Prints what each gateway managed, and writes it where `--json` says."""
    options = _options()
    if shutil.which("wrk") is None:
        sys.exit("gateway: wrk is not there")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        upstream = stack.enter_context(bare_nginx(folder / "up"))
        starts: dict[str, Callable[[], Any]] = {
            "ours": lambda: ours(folder / "ours", upstream.url),
            "nginx": lambda: reverse_nginx(folder / "nginx", upstream.url),
            "litellm": lambda: litellm(folder, upstream.url),
            "portkey": lambda: portkey(upstream.url),
        }
        gateways = {}
        for one in options.only or starts:
            try:
                gateways[one] = stack.enter_context(starts[one]())
            except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
                print(f"{one}: left out, {error}", file=sys.stderr)
        found: dict[str, Any] = measure(folder, upstream, gateways, options)
        if "ours" in gateways:
            found["ours"]["first_chunk_added_p50_ms"] = first_chunk(folder)
            found["ours"]["growth"] = soak(folder, gateways["ours"], options.soak) if options.soak else None
    _print(found)
    if options.json:
        text = json.dumps(found, indent=1)
        print(text) if options.json == "-" else Path(options.json).write_text(text)


def measure(folder: Path, upstream: Served, gateways: Mapping[str, Served], options: argparse.Namespace) -> Any:
    """Throughput with 8 and 64 connections, then latency at half of the lower one; medians of the rounds."""
    everyone = {"upstream": upstream, **gateways}
    loads: dict[tuple[str, int], list[Load]] = {}
    for one in everyone.values():
        drive(folder, one, 8, 1)  # what is loaded at the first request is loaded now
    for number in range(options.rounds):
        for name, one in everyone.items():
            for connections in (8, 64):
                _rest(gateways)
                loads.setdefault((name, connections), []).append(drive(folder, one, connections, options.seconds))
            print(f"round {number + 1}: {name} {[round(loads[name, c][-1].rps) for c in (8, 64)]}", file=sys.stderr)
    found: dict[str, Any] = {}
    for name, one in everyone.items():
        rps = {c: statistics.median(load.rps for load in loads[name, c]) for c in (8, 64)}
        found[name] = {"rps_8": rps[8], "rps_64": rps[64], "rss_mb": one.rss_mb}
        found[name]["failed"] = sum(load.failed for c in (8, 64) for load in loads[name, c])
    for name in gateways:
        half = max(1.0, min(found[name]["rps_8"], found[name]["rps_64"]) / 2)
        paced: list[tuple[Load, Load]] = []
        for _ in range(options.rounds):
            _rest(gateways)
            alone = drive(folder, upstream, _PACED_CONNECTIONS, options.seconds, half)
            _rest(gateways)
            paced.append((alone, drive(folder, gateways[name], _PACED_CONNECTIONS, options.seconds, half)))
        found[name]["paced_rps"] = statistics.median(through.rps for _, through in paced)
        found[name]["added_p50_ms"] = statistics.median(b.p50_ms - a.p50_ms for a, b in paced)
        found[name]["added_p99_ms"] = statistics.median(b.p99_ms - a.p99_ms for a, b in paced)
    return found


def drive(folder: Path, served: Served, connections: int, seconds: float, rate: float | None = None) -> Load:
    """What wrk sees; with a `rate` each connection waits at random between requests, so that it is about kept."""
    script = folder / "load.lua"
    headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-test", **served.headers}
    lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
    lines += ['wrk.method = "POST"', f"wrk.body = [[{json.dumps(SAID)}]]"]
    if rate is not None:
        lines.append(f"function delay() return math.random(0, {max(1, round(2000 * connections / rate))}) end")
    lines.append(_DONE)
    script.write_text("\n".join(lines))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), served.url + CHAT]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    saw = re.search(r"SAW (\d+) ([\d.]+) ([\d.]+) (\d+)", said)
    took = re.search(r"Requests/sec: *([\d.]+)", said)
    if saw is None or took is None:
        raise RuntimeError(f"wrk said something else: {said}")
    return Load(float(took[1]), float(saw[2]) / 1000, float(saw[3]) / 1000, int(saw[4]))


def first_chunk(folder: Path) -> float:
    """Milliseconds by which the first piece of a stream comes later through our gateway, at the median."""
    script = folder / "sse.py"
    script.write_text(_SSE)
    with started([sys.executable, str(script), "PORT"]) as bare, ours(folder / "streaming", bare.url) as gateway:
        return asyncio.run(_first_chunks(bare.url, gateway.url))


async def _first_chunks(bare: str, through: str) -> float:
    from tokencapital.serve.upstream import Client, Sent, read_origin

    client = Client()
    body = json.dumps({**SAID, "stream": True}).encode()
    wire = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    waits: dict[str, list[float]] = {bare: [], through: []}
    for _ in range(400):
        for url, seen in waits.items():
            began = time.perf_counter()
            answer = await client.send(read_origin(url)[0], Sent(wire=wire))
            while not answer.take():
                await answer.more()
            seen.append(time.perf_counter() - began)
            while not answer.whole:
                await answer.more(answer.size)
    await client.close()
    return 1000 * (statistics.median(waits[through]) - statistics.median(waits[bare]))


def soak(folder: Path, gateway: Served, requests: int) -> float | None:
    """By which share resident memory grew from the first twentieth of so many requests to the last; None: that was
    one look."""
    done, seen = 0.0, list[int]()
    while done < requests:
        _rest({"ours": gateway})
        done += 10 * drive(folder, gateway, 64, 10).rps
        if done > requests / 20:
            seen.append(_rss_kb(gateway.process.pid))
        print(f"soak: {done:,.0f} requests, {gateway.rss_mb:.0f} MB", file=sys.stderr)
    return seen[-1] / seen[0] - 1 if len(seen) > 1 else None


@contextmanager
def bare_nginx(folder: Path) -> Iterator[Served]:
    """nginx with a fixed answer."""
    with nginx(folder, fixed_answer(ANSWER)) as (port, process):
        yield Served(f"http://127.0.0.1:{port}", {}, process)


@contextmanager
def reverse_nginx(folder: Path, upstream: str) -> Iterator[Served]:
    """nginx that passes requests on."""
    passed = 'location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; }'
    host = upstream.removeprefix("http://")
    more = f"upstream up {{ server {host}; keepalive 128; keepalive_requests 100000000; }}"
    with nginx(folder, passed, more) as (port, process):
        yield Served(f"http://127.0.0.1:{port}", {}, process)


@contextmanager
def ours(folder: Path, upstream: str) -> Iterator[Served]:
    """`tcap serve` as a process of its own, with a store of its own."""
    folder.mkdir(parents=True)
    config = folder / "tokencapital.toml"
    config.write_text(f'[providers.up]\nurl = "{upstream}/v1"\nmodels = ["gpt-*"]\n')
    command = [str(BIN / "tcap"), "serve", "--config", str(config), "--store", f"{folder}/store.db", "--port", "PORT"]
    with started(command) as served:
        yield served


@contextmanager
def litellm(folder: Path, upstream: str) -> Iterator[Served]:
    """LiteLLM's proxy with one worker."""
    program = peer_program("litellm")
    config = folder / "litellm.yaml"
    known = f'{{model: openai/gpt-4o-mini, api_base: "{upstream}/v1", api_key: sk-x}}'
    config.write_text(
        f"model_list:\n  - model_name: gpt-4o-mini\n    litellm_params: {known}\n"
        "general_settings: {disable_spend_logs: true}\n"
    )
    own = {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with started([program, "--config", str(config), "--num_workers", "1", "--port", "PORT"], own) as served:
        yield served


@contextmanager
def portkey(upstream: str) -> Iterator[Served]:
    """Portkey's gateway."""
    place = peers_folder() / "portkey"
    script = place / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    if not script.exists():
        place.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "@portkey-ai/gateway"], cwd=place, check=True)
    with started(["node", str(script), "--port=PORT", "--headless"]) as served:
        own = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"{upstream}/v1"}
        yield served._replace(headers=own)


@contextmanager
def started(command: Sequence[str], own: Mapping[str, str] | None = None) -> Iterator[Served]:
    """The command runs, and listens at the port that PORT stands for, while the block does. Raises RuntimeError where
    it does not begin to."""
    port = free_port()
    program = Program(
        command=[one.replace("PORT", str(port)) for one in command],
        ready=partial(listens, port),
        environment={**os.environ, **(own or {})},
        start_s=_START_LIMIT_S,
    )
    with running(program) as process:
        time.sleep(1.0)
        yield Served(f"http://127.0.0.1:{port}", {}, process)


def _rest(gateways: Mapping[str, Served]) -> None:
    """Waits until our drain has caught up, so that it works on nobody else's time; 20 s at most."""
    drains = family(gateways["ours"].process.pid)[1:] if "ours" in gateways else []
    give_up = time.monotonic() + 20
    while drains and time.monotonic() < give_up:
        before = sum(_cpu_ticks(pid) for pid in drains)
        time.sleep(0.5)
        if sum(_cpu_ticks(pid) for pid in drains) - before < 5:
            return


def _rss_kb(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    if found is None:
        raise RuntimeError(f"process {pid} is gone")
    return int(found[1])


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _print(found: Mapping[str, Mapping[str, Any]]) -> None:
    names = ("rps_8", "rps_64", "added_p50_ms", "added_p99_ms", "rss_mb")
    print(f"{'':10}" + "".join(f"{name:>14}" for name in names))
    for gateway, figures in found.items():
        shown = (figures.get(name) for name in names)
        print(f"{gateway:10}" + "".join(f"{'' if one is None else f'{one:,.2f}':>14}" for one in shown))
    for name in ("first_chunk_added_p50_ms", "growth"):
        print(f"ours: {name} {found.get('ours', {}).get(name)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="F", help="also write the figures there; -: standard output")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument("--soak", type=int, nargs="?", const=1_000_000, help="then so many requests, for memory")
    parser.add_argument("--only", nargs="*", help="of ours, nginx, litellm, portkey")
    return parser.parse_args()


if __name__ == "__main__":
    main()
