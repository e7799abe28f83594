"""What the SDK costs the application that it records, beside TensorZero's embedded gateway where that is installed.

First a function that does nothing, bare and traced: the difference is what tracing takes in the caller's thread. Then a
program that asks one fixed upstream (`nginx`, which must be there) over HTTP, bare, traced, and through TensorZero's
gateway in its process.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from tokencapital.serve.sdk import SendingSettings, connect, disconnect, trace
from tokencapital.testing.peers import fixed_answer, nginx, peers_folder

MOST_US = 30.0
"""What tracing may add to a call."""
_ANSWER = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "On its way."}}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 4, "total_tokens": 16},
}  # fmt: skip
_TENSORZERO = """
import sys, time, warnings
warnings.simplefilter("ignore")
from tensorzero import TensorZeroGateway
with TensorZeroGateway.build_embedded(config_file=sys.argv[1]) as gateway:
    asked = {"messages": [{"role": "user", "content": "Where is my order?"}]}
    for _ in range(200):
        gateway.inference(function_name="triage", input=asked)
    began = time.perf_counter()
    for _ in range(3000):
        gateway.inference(function_name="triage", input=asked)
    print(3000 / (time.perf_counter() - began))
"""
_TENSORZERO_CONFIG = """
[gateway]
observability.enabled = false
[models.fixed]
routing = ["openai"]
[models.fixed.providers.openai]
type = "openai"
model_name = "m"
api_base = "http://127.0.0.1:PORT/v1/"
api_key_location = "none"
[functions.triage]
type = "chat"
[functions.triage.variants.one]
type = "chat_completion"
model = "fixed"
"""


class Nowhere:
    """A house that lets go of what it is told."""

    def take(self, batch: bytes) -> None:
        """The batch is let go."""

    def close(self) -> None:
        """Nothing is open."""


def figures(calls: int) -> dict[str, float | None]:
    """Microseconds that tracing adds, and calls per second with an upstream; None: TensorZero is not here."""

    def plain(mail: str) -> str:
        return mail

    traced = trace(capability="triage")(plain)
    connect(Nowhere(), settings=SendingSettings(most=calls * 10))
    bare_us = _per_call_us(plain, calls)
    traced_us = statistics.median(_per_call_us(traced, calls) for _ in range(5))
    with tempfile.TemporaryDirectory() as name, nginx(Path(name) / "up", fixed_answer(_ANSWER)) as (port, _):
        ask = _asker(port)
        asking = trace(capability="triage")(ask)
        pairs = [(_per_call_us(ask, 3_000), _per_call_us(asking, 3_000)) for _ in range(3)]
        tensorzero = tensorzero_calls_per_s(port)
    disconnect()
    return {
        "added_us": round(traced_us - bare_us, 2),
        "calls_per_s": round(1e6 / traced_us),
        "upstream_bare_calls_per_s": round(1e6 / statistics.median(bare for bare, _ in pairs)),
        "upstream_traced_calls_per_s": round(1e6 / statistics.median(one for _, one in pairs)),
        "upstream_tensorzero_calls_per_s": tensorzero,
    }


def _asker(port: int) -> Callable[[str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def ask(mail: str) -> str:
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": mail}]})
        connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
        answer: str = json.loads(connection.getresponse().read())["choices"][0]["message"]["content"]
        return answer

    return ask


def _per_call_us(function: Callable[[str], str], calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        function("Where is my order?")
    return (time.perf_counter() - began) / calls * 1e6


def tensorzero_calls_per_s(port: int) -> float | None:
    """Calls per second through TensorZero's embedded gateway to the same upstream, its observability off; None: it is
    not installed, or does not start."""
    python = peers_folder() / "tensorzero" / "bin" / "python"
    if not python.exists():
        return None
    with tempfile.TemporaryDirectory() as name:
        config = Path(name) / "tensorzero.toml"
        config.write_text(_TENSORZERO_CONFIG.replace("PORT", str(port)))
        command = [str(python), "-c", _TENSORZERO, str(config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        print(f"tensorzero: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return round(float(done.stdout.split()[-1]), 1)


def main() -> int:
    """Prints the figures; 1 where tracing adds more than it may."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", metavar="PATH", help="where the figures go; - is stdout")
    parser.add_argument("--calls", type=int, default=20_000)
    given = parser.parse_args()
    found = figures(given.calls)
    text = msgspec.json.format(msgspec.json.encode(found)).decode()
    print(text)
    if given.json and given.json != "-":
        Path(given.json).parent.mkdir(parents=True, exist_ok=True)
        Path(given.json).write_text(f"{text}\n", "utf-8")
    added_us = found["added_us"]
    return 0 if added_us is not None and added_us < MOST_US else 1


if __name__ == "__main__":
    sys.exit(main())
