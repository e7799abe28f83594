"""`tcap serve`: the gateway on this machine."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from tokencapital.app.logs import LogFormat, LogLevel, set_up_logs
from tokencapital.cli.console import ConfigOption, StoreOption, stderr, told_plainly

if TYPE_CHECKING:
    from tokencapital.app.platform import Platform


def serve(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")] = 8000,
    log_format: Annotated[LogFormat | None, typer.Option(help="Default: as configured.")] = None,
    log_level: Annotated[LogLevel | None, typer.Option(help="Default: as configured.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that serve; several need PostgreSQL.")] = 1,
    listener: Annotated[int | None, typer.Option(hidden=True)] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
) -> None:
    """Serve the capabilities behind OpenAI's chat API, with judgments, outcomes and review pages beside it.

    Point an app's base URL at http://HOST:PORT/v1 and use a capability's name as the model.

    Example: `tcap serve --port 8000 --config tokencapital.toml`
    """
    from tokencapital.app.guard import check_address
    from tokencapital.app.house import open_house
    from tokencapital.app.processes import listen
    from tokencapital.app.recording import recording_of
    from tokencapital.app.serving import House, beside_a_drain, check_workers, serve_many

    with told_plainly():
        if listener is not None:
            _work(_Taken(config, store, log_format, log_level), listener)
            return
        with open_house(config, store) as platform:
            check_workers(workers, platform.settings.store)
            check_address(platform.access, host)
            set_up_logs(platform.settings.logs.but(log_format, log_level))
            opened = listen(host, port)
            _tell(platform, host, opened.getsockname()[1])
            recording_of(platform, drains=False)
            told = {"--log-format": log_format, "--log-level": log_level}
            house = House(config, store, tuple(part for name, one in told.items() if one for part in (name, one.value)))
            if workers == 1:
                beside_a_drain(house, lambda: _serve(platform, opened))
                return
        serve_many(house, workers, opened)


class _Taken(NamedTuple):
    """What a worker was told."""

    config: Path | None
    store: str | None
    log_format: LogFormat | None
    log_level: LogLevel | None


def _work(told: _Taken, listener: int) -> None:
    """One of several workers, which ends when what began it does."""
    from tokencapital.app.house import open_house
    from tokencapital.app.metrics_process import share_counts
    from tokencapital.app.processes import when_parent_ends
    from tokencapital.app.recording import recording_of

    when_parent_ends(lambda: os.kill(os.getpid(), signal.SIGTERM))
    with open_house(told.config, told.store) as platform:
        set_up_logs(platform.settings.logs.but(told.log_format, told.log_level))
        recording_of(platform, drains=False)
        share_counts(platform)
        _serve(platform, socket.socket(fileno=listener))


def _serve(platform: Platform, listener: socket.socket) -> None:
    from tokencapital.app.guard import OwnNames, check_address
    from tokencapital.app.recording import recording_of
    from tokencapital.app.server import build_app, run
    from tokencapital.web.site import Site

    check_address(platform.access, str(listener.getsockname()[0]))
    platform.knowledge.warm()
    app = build_app(platform, Site(platform))
    run(OwnNames(app, platform.access), platform, listener, app.routes)
    recording_of(platform).close()


def _tell(platform: Platform, host: str, port: int) -> None:
    """What is served, and how, on standard error."""
    from tokencapital.app.guard import is_loopback

    if platform.access.open and platform.access.keyed:
        stderr.print("Programs need a key; the pages are open: see `tcap account add`.", style="yellow")
    elif platform.access.open:
        stderr.print("Runs open: no keys and no accounts; see `tcap key add`, `tcap account add`.", style="yellow")
    elif not is_loopback(host):
        stderr.print("Put a proxy with TLS in front: passwords pass through here.", style="yellow")
    known = platform.capabilities()
    if not known:
        stderr.print("No capability is declared yet; see docs/how-to/serve.md.", style="yellow")
    for one in known:
        stderr.print(f"{one.name}: {one.contract.kind}, mode {one.mode}", highlight=False)
    stderr.print(f"Pages to read and judge on: http://{host}:{port}/", highlight=False)
