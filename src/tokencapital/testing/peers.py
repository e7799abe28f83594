"""The servers that we are measured beside, each in an environment of its own, and nginx as what stands behind them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tokencapital.testing.servers import Program, free_port, listens, running

_CHECKOUT = Path(__file__).parents[3]
_NGINX = """worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
 fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
 server {{ listen 127.0.0.1:{port}; {location} }} {more} }}"""


def peers_folder() -> Path:
    """Where the peers' environments are, or are made: $TCAP_PEERS, or `out/peers` of the checkout."""
    return Path(os.environ.get("TCAP_PEERS", _CHECKOUT / "out" / "peers")).absolute()


def peer_program(name: str) -> str:
    """The program of a peer's environment that has its name; `.ci/peers` makes it where it is absent.

    Raises CalledProcessError where it cannot.
    """
    program = peers_folder() / name / "bin" / name
    if not program.exists():
        command = [str(_CHECKOUT / ".ci" / "peers"), str(peers_folder()), name]
        subprocess.run(command, check=True, env={**os.environ, "PYTHON": sys.executable})  # noqa: S603
    return str(program)


@contextmanager
def nginx(folder: Path, location: str, more: str = "") -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """nginx with one worker and this configuration while the block runs; gives its port and its process."""
    folder.mkdir(parents=True)
    port, config = free_port(), folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port, location=location, more=more))
    command = ["nginx", "-c", str(config), "-e", str(folder / "error.log")]
    with running(Program(command=command, ready=partial(listens, port), log=folder / "said")) as process:
        yield port, process


def fixed_answer(answer: Mapping[str, Any]) -> str:
    """The location that answers everybody so."""
    return f"location / {{ default_type application/json; return 200 '{json.dumps(answer)}'; }}"
