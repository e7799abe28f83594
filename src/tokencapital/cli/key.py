"""`tcap key`: what applications come in with."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from tokencapital.cli.console import ConfigOption, JsonOption, Output, StoreOption, stderr, told_plainly
from tokencapital.core.access import ApiKey, Scope

app = typer.Typer(no_args_is_help=True, help="API keys of applications. With the first one programs need one.")

KeyArgument = Annotated[str, typer.Argument(help="The key's id, as `tcap key list` shows it; never the key itself.")]
ByOption = Annotated[str, typer.Option(help="Who does this.")]


@app.command()
def add(
    application: Annotated[str, typer.Argument(help="Whose key it is: small letters, digits, and any of `._-`.")],
    scope: Annotated[list[Scope], typer.Option("--scope", help="What it opens; give it once for each scope.")],
    by: ByOption,
    expires: Annotated[str | None, typer.Option(metavar="SPAN", help="90d, 12h or 30m. Default: never.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Make a key and print it, this once: only its digest is kept.

    Example: `tcap key add crm --scope infer --scope record --expires 90d --by maria`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.keys import KeyAsked, make_key, span_of

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        lasts = None if expires is None else span_of(expires)
        made = make_key(platform, KeyAsked(application=application, scopes=frozenset(scope), by=by, lasts=lasts))
        stderr.print(f"{made.key.id}: a key of {application}. It is shown this once.", highlight=False)
        output.people.print(made.secret, highlight=False, soft_wrap=True)
        output.write(msgspec.to_builtins(made, order="deterministic"))


@app.command("list")
def list_keys(
    application: Annotated[str | None, typer.Option(help="Default: of all.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """List the keys that were ever made, with what they open and until when.

    Example: `tcap key list`
    """
    from tokencapital.app.house import open_house
    from tokencapital.store.keys import keys_made

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        made, now = keys_made(platform.store, application), platform.clock.now()
        table = Table("key", "application", "scopes", "state", "made", "by", title="Keys")
        for one in made:
            row = one.id, one.application, ", ".join(sorted(one.scopes)), _state(one, now), f"{one.at:%Y-%m-%d}", one.by
            table.add_row(*row)
        output.show(table)
        output.write(msgspec.to_builtins(made, order="deterministic"))


@app.command()
def rotate(
    key: KeyArgument,
    by: ByOption,
    grace: Annotated[str, typer.Option(metavar="SPAN", help="So long the old key goes on.")] = "24h",
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Make a key that opens what this one does, and let this one end after a time of grace.

    Example: `tcap key rotate key_06d3kx2m8w0041jv5t9a --grace 24h --by maria`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.keys import rotate_key, span_of

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        made = rotate_key(platform, key, by, span_of(grace))
        ends = made.rotated.expires_at if made.rotated else None
        stderr.print(f"{made.key.id}: shown this once. {key} ends {ends:%Y-%m-%d %H:%M} UTC.", highlight=False)
        output.people.print(made.secret, highlight=False, soft_wrap=True)
        output.write(msgspec.to_builtins(made, order="deterministic"))


@app.command()
def revoke(
    key: KeyArgument, by: ByOption, config: ConfigOption = None, store: StoreOption = None, json: JsonOption = None
) -> None:
    """End a key now: it is refused within a second, wherever the house is served.

    Example: `tcap key revoke key_06d3kx2m8w0041jv5t9a --by maria`
    """
    from tokencapital.app.house import open_house
    from tokencapital.app.keys import revoke_key

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        revoked = revoke_key(platform, key, by)
        output.show(f"{revoked.id} of {revoked.application} opens nothing any more.")
        output.write(msgspec.to_builtins(revoked, order="deterministic"))


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    if key.expires_at is None:
        return "active"
    return f"{'expired' if now >= key.expires_at else 'until'} {key.expires_at:%Y-%m-%d}"
