"""The command `tcap`: thin calls into `app`, for people and, with `--json`, for programs."""

from __future__ import annotations

import typer

from tokencapital.cli import (
    account,
    books,
    capability,
    conflict,
    contributor,
    demo,
    doctor,
    drain,
    erase,
    imports,
    key,
    knowledge,
    learning,
    lesson,
    look,
    mcp,
    mode,
    notice,
    releases,
    replay,
    review,
    serve,
    swap,
    verify,
)

app = typer.Typer(
    name="tcap",
    help="The learning loop that makes a company's AI its own, and the books of what was learned.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

app.command()(demo.demo)
app.command()(replay.replay)
app.command()(serve.serve)
app.command()(review.review)
app.command()(review.retract)
app.command()(learning.evaluate)
app.command()(learning.improve)
app.command()(swap.swap)
app.command("releases")(releases.list_releases)
app.command()(releases.rollback)
app.command()(books.ledger)
app.command()(books.report)
app.command()(doctor.doctor)
app.command()(drain.drain)
app.command()(erase.erase)
app.command()(verify.verify)
app.command()(look.look)
app.command()(mcp.mcp)
app.command("import")(imports.import_work)
app.command("export")(imports.export_work)
app.command()(mode.mode)
app.add_typer(notice.app, name="notice")
app.add_typer(knowledge.app, name="knowledge")
app.add_typer(lesson.app, name="lesson")
app.add_typer(capability.app, name="capability")
app.add_typer(conflict.app, name="conflict")
app.add_typer(account.app, name="account")
app.add_typer(key.app, name="key")
app.add_typer(contributor.app, name="contributor")


def main() -> None:
    """Runs the command line."""
    app()
