"""`tcap serve`: the gateway on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from tokencapital.cli.console import ConfigOption, StoreOption, stderr, told_plainly


def serve(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")] = 8000,
    config: ConfigOption = None,
    store: StoreOption = None,
) -> None:
    """Serve the capabilities behind OpenAI's chat API, with judgments, outcomes and review pages beside it.

    Point an app's base URL at http://HOST:PORT/v1 and use a capability's name as the model.

    Example: `tcap serve --port 8000 --config tokencapital.toml`
    """
    from tokencapital.app.guard import OwnNames, check_address, is_loopback
    from tokencapital.app.house import open_house
    from tokencapital.app.server import build_app, run
    from tokencapital.web.site import Site

    with told_plainly(), open_house(config, store) as platform:
        check_address(platform.access, host)
        if platform.access.open:
            stderr.print("Runs open: no accounts are set up; see `tcap account add`.", style="yellow")
        elif not is_loopback(host):
            stderr.print("Put a proxy with TLS in front: passwords pass through here.", style="yellow")
        known = platform.capabilities()
        if not known:
            stderr.print("No capability is declared yet; see docs/how-to/serve.md.", style="yellow")
        for one in known:
            stderr.print(f"{one.name}: {one.contract.kind}, mode {one.mode}", highlight=False)
        platform.knowledge.warm()
        stderr.print(f"Pages to read and judge on: http://{host}:{port}/", highlight=False)
        run(OwnNames(build_app(platform, Site(platform)), platform.access), host, port)
