"""`tcap mcp`: company knowledge as tools for coding agents and assistants."""

from __future__ import annotations

from tokencapital.cli.console import ConfigOption, StoreOption, told_plainly


def mcp(config: ConfigOption = None, store: StoreOption = None) -> None:
    """Serve the company's knowledge to assistants by the Model Context Protocol, over standard input and output.

    Tools: `search_knowledge` and `read_passage`. An assistant starts this command itself.

    Example: `tcap mcp --store tokencapital.sqlite`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.knowledge_tools import serve_tools

    with told_plainly(), open_house(config, store) as platform:
        serve_tools(platform)
