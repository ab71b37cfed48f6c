"""The typer application with which commands are registered."""

from typing import Annotated

import typer

app = typer.Typer(
    help="Learn p(x) from a table, then ask it any probability question.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def _top(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        import pofx

        print(f"pofx {pofx.__version__}")
        raise typer.Exit
