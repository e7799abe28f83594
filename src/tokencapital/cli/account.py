"""`tcap account`: who may log in, and what they may see and do."""

from __future__ import annotations

import os
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from tokencapital.cli.console import ConfigOption, JsonOption, Output, StoreOption, told_plainly
from tokencapital.core.errors import InputError
from tokencapital.core.people import Role

app = typer.Typer(no_args_is_help=True, help="Local accounts. With the first one the house is closed to all others.")

LoginArgument = Annotated[str, typer.Argument(help="The login: small letters, digits, and any of `._@+-`.")]
RolesOption = Annotated[list[Role], typer.Option("--role", help="What they may do; give it once for each role.")]
ByOption = Annotated[str, typer.Option(help="Who does this.")]
PasswordOption = Annotated[
    str | None, typer.Option("--password-env", metavar="VAR", help="The variable that holds the password; else asked.")
]


@app.command()
def add(
    login: LoginArgument,
    role: RolesOption,
    by: ByOption,
    contributor: Annotated[str | None, typer.Option(help="Their pseudonym; default: a new one by chance.")] = None,
    password_env: PasswordOption = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Make an account; the password is asked for, or read from a variable.

    Example: `tcap account add ines --role expert --contributor expert-7 --by maria`
    """
    from tokencapital.app.accounts import AccountAsked, make_account
    from tokencapital.app.house import open_house

    output = Output(json)
    with told_plainly():
        password = _password(password_env)
        with open_house(config, store) as platform:
            asked = AccountAsked(login=login, password=password, roles=frozenset(role), by=by, contributor=contributor)
            made = make_account(platform, asked)
            output.show(f"{made.login} may log in as {made.contributor}: {', '.join(sorted(made.roles))}.")
            output.write(msgspec.to_builtins(made, order="deterministic"))


@app.command("list")
def list_accounts(config: ConfigOption = None, store: StoreOption = None, json: JsonOption = None) -> None:
    """List the accounts with their pseudonyms and roles.

    Example: `tcap account list`
    """
    from tokencapital.app.house import open_house
    from tokencapital.store.accounts import accounts

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        known = accounts(platform.store)
        table = Table("login", "contributor", "roles", "state", "changed", "by", title="Accounts")
        for one in known:
            state = "active" if one.active else "disabled"
            table.add_row(one.login, one.contributor, ", ".join(sorted(one.roles)), state, f"{one.at:%Y-%m-%d}", one.by)
        output.show(table)
        output.write(msgspec.to_builtins(known, order="deterministic"))


@app.command()
def roles(
    login: LoginArgument,
    role: RolesOption,
    by: ByOption,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Give an account these roles and no others; whoever is logged in by it logs in anew.

    Example: `tcap account roles ines --role expert --role council --by maria`
    """
    from tokencapital.app.accounts import give_roles
    from tokencapital.app.house import open_house

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        changed = give_roles(platform, login, role, by)
        output.show(f"{changed.login} has the roles {', '.join(sorted(changed.roles))}.")
        output.write(msgspec.to_builtins(changed, order="deterministic"))


@app.command()
def disable(
    login: LoginArgument,
    by: ByOption,
    again: Annotated[bool, typer.Option("--undo", help="The account may be used again.")] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Close an account: its sessions end at once. What its owner judged stays as it is.

    Example: `tcap account disable ines --by maria`
    """
    from tokencapital.app.accounts import disable_account, enable_account
    from tokencapital.app.house import open_house

    output = Output(json)
    with told_plainly(), open_house(config, store) as platform:
        changed = enable_account(platform, login, by) if again else disable_account(platform, login, by)
        output.show(f"{changed.login} is {'active' if changed.active else 'disabled'}.")
        output.write(msgspec.to_builtins(changed, order="deterministic"))


@app.command()
def passwd(
    login: LoginArgument,
    by: ByOption,
    password_env: PasswordOption = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Give an account a new password; sessions that the old one opened end at once.

    Example: `tcap account passwd ines --by maria`
    """
    from tokencapital.app.accounts import change_password
    from tokencapital.app.house import open_house

    output = Output(json)
    with told_plainly():
        password = _password(password_env)
        with open_house(config, store) as platform:
            changed = change_password(platform, login, password, by)
            output.show(f"{changed.login} has a new password.")
            output.write(msgspec.to_builtins(changed, order="deterministic"))


def _password(variable: str | None) -> str:
    """The password, typed twice or out of a variable; never an argument, which others on the machine could read."""
    if variable is None:
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    password = os.environ.get(variable)
    if not password:
        raise InputError(f"the variable {variable} is not set", where="--password-env")
    return password
