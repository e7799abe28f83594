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
    from tokencapital.app.house import open_house
    from tokencapital.app.server import build_app, run
    from tokencapital.web.site import Site

    with told_plainly(), open_house(config, store) as platform:
        known = platform.capabilities()
        if not known:
            stderr.print("No capability is declared yet; see docs/how-to/serve.md.", style="yellow")
        for one in known:
            stderr.print(f"{one.name}: {one.contract.kind}, mode {one.mode}", highlight=False)
        stderr.print(f"Pages to read and judge on: http://{host}:{port}/", highlight=False)
        run(build_app(platform, Site(platform)), host, port)
