"""`tcap drain`: what waits on disk goes into the store."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from tokencapital.cli.console import FAILED, ConfigOption, JsonOption, Output, StoreOption, fail, told_plainly


def drain(
    retry: Annotated[bool, typer.Option(help="Try once more what was set aside.")] = False,
    follow: Annotated[bool, typer.Option(help="Go on until standard input ends, as beside a server.")] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Carry into the store what was acknowledged and waits on disk, and say what is left.

    `tcap serve` does this by itself; alone it is for what a server left behind. Exits with 1 where something was set
    aside because the store would not take it.

    Example: `tcap drain --json -`
    """
    from tokencapital.app.draining import drain_once, drain_until, put_back, spool_state
    from tokencapital.app.house import settings_of
    from tokencapital.app.logs import set_up_logs
    from tokencapital.app.processes import told_to_stop, when_parent_ends
    from tokencapital.core.clock import SystemClock
    from tokencapital.core.ids import IdSource

    output = Output(json)
    with told_plainly():
        settings = settings_of(config, store)
        if follow:
            set_up_logs(settings.logs)
            with told_to_stop() as stop:
                when_parent_ends(stop.set)
                drain_until(settings, stop)
            return
        if retry:
            put_back(settings, IdSource(SystemClock()).new("spl"))
        drain_once(settings)
        state = spool_state(settings)
        table = Table("waiting", "bytes", "set aside", title=state.folder)
        table.add_row(str(state.frames), str(state.bytes), str(sum(state.dead.values())))
        output.show(table, *(f"set aside {count}: {reason}" for reason, count in state.dead.items()))
        output.write(state)
        if state.dead:
            fail("some frames were set aside; mend what their reasons say, then `tcap drain --retry`.", FAILED)
