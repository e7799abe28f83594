"""A house in processes of its own for requests that nobody should send, with secrets planted that must stay secret."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from tokencapital.testing.fuzz_requests import PLANTED_KEY
from tokencapital.testing.served import ServedHouse
from tokencapital.testing.upstream import Scripted

PROVIDER_KEY = "pk-PLANTEDproviderkeyPLANTED-0123456789"
SECRETS = (PLANTED_KEY, PROVIDER_KEY)
_SETTINGS = """
store = "{folder}/store.sqlite"

[logs]
format = "json"
level = "debug"
requests = true

[requests]
head_s = 5
body_s = 30
pause_s = 5
connections = 300

[spool]
max_mib = 4096

[providers.scripted]
kind = "compatible"
url = "{upstream}/v1"
key_env = "FUZZ_PROVIDER_KEY"
models = ["known-model"]
wires = ["chat", "responses", "messages", "embeddings", "count_tokens"]
retries = 0

[capabilities.triage]
contract = "label"
labels = ["a", "b"]
"""
ANSWER = Scripted(pieces=(json.dumps({
    "id": "x", "object": "chat.completion", "created": 0, "model": "known-model",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}).encode(),))  # fmt: skip
"""What its provider says to everything."""


class FuzzHouse(ServedHouse):
    """`tcap serve` before a provider that always answers, with small bounds, and with secrets that it must not tell."""

    def __init__(self, folder: Path, upstream: str) -> None:
        settings = _SETTINGS.format(folder=folder, upstream=upstream)
        super().__init__(folder, settings, {"FUZZ_PROVIDER_KEY": PROVIDER_KEY})

    def well(self) -> bool:
        """Whether the house answers."""
        return self.ask("/healthz") is not None

    def ask(self, path: str) -> str | None:
        """What the house says at a path; None: nothing within a few seconds."""
        try:
            with urlopen(f"{self.url}{path}", timeout=10) as answer:  # noqa: S310 (on loopback)
                text: str = answer.read().decode()
                return text
        except (URLError, OSError):
            return None

    def rss_mb(self) -> float:
        """Resident memory of the process that serves."""
        pages = int(Path(f"/proc/{self.pid('parent')}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

    def metric(self, name: str) -> int | None:
        """A number of the house's metrics, all of its labels together; None: it does not tell."""
        lines = (self.ask("/metrics") or "").splitlines()
        found = [float(line.rpartition(" ")[2]) for line in lines if line.split("{")[0].split(" ")[0] == name]
        return int(sum(found)) if found else None

    def faults(self) -> list[Any]:
        """The lines of the log on errors that nobody foresaw."""
        lines = (line for line in self.log().splitlines() if line.startswith(b"{"))
        return [one for one in map(json.loads, lines) if one["level"] in {"error", "critical"}]
