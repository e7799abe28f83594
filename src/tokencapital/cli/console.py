"""What all commands share: output for people or programs, progress on stderr, errors that say what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tokencapital.core.errors import TokenCapitalError

FAILED, PARTLY_READ, INTERRUPTED = 1, 3, 130

stderr = Console(stderr=True)

JsonOption = Annotated[
    str | None, typer.Option("--json", metavar="PATH", help="Also write the result as JSON; `-` is standard output.")
]
ConfigOption = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Default: ./tokencapital.toml.")]
StoreOption = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", help="A SQLite file or a SQLAlchemy URL; default: as configured."),
]


class Output:
    """Writes for people on standard output, unless a program reads it.

    A folder that is not there is refused at once, and not after the work.
    """

    def __init__(self, json: str | None) -> None:
        if json not in {None, "-"} and (Path(json).is_dir() or not Path(json).parent.is_dir()):
            raise typer.BadParameter(f"`{json}` cannot be written: name a file in a folder that exists")
        self._json = json
        self.people = Console(stderr=json == "-")

    def show(self, *things: Any) -> None:
        """The things on the screen."""
        for thing in things:
            self.people.print(thing)

    def write(self, result: object) -> None:
        """The result as JSON where it was asked for."""
        if self._json is None:
            return
        text = msgspec.json.format(msgspec.json.encode(result, enc_hook=_plain), indent=2).decode() + "\n"
        if self._json == "-":
            sys.stdout.write(text)
        else:
            Path(self._json).write_text(text, "utf-8")


@contextmanager
def told_plainly(interrupted: str = "Stopped.") -> Iterator[None]:
    """Errors end the command with one clear line instead of a traceback."""
    try:
        yield
    except TokenCapitalError as error:
        fail(str(error), FAILED)
    except KeyboardInterrupt:
        fail(interrupted, INTERRUPTED)
    except BrokenPipeError:
        raise typer.Exit(FAILED) from None


def fail(message: str, code: int) -> NoReturn:
    """The message on stderr, and the command ends with the code."""
    stderr.print("tcap:", message, style="bold red", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(code)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr; yields what is to be told how much of how much is done."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=stderr, transient=True) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def percent(share: float | None) -> str:
    """A share as people read it; *unknown* where it is None."""
    return "unknown" if share is None else f"{100 * share:.1f}%"


def number(value: float | None, pattern: str = "{:.4g}") -> str:
    """A number as people read it; *unknown* where it is None."""
    return "unknown" if value is None else pattern.format(value)


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
