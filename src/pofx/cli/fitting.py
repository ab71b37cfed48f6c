"""Commands that learn a model and show what was learned."""

import inspect
from pathlib import Path
from typing import Annotated

import typer

from pofx.cli.app import app
from pofx.cli.arguments import (
    DEFINITIONS,
    NETWORK,
    ModelFile,
    Seed,
    Table,
    load,
    read_json,
    read_pairs,
)
from pofx.core.errors import PofxError
from pofx.joint.fit_summary import FitSummary

LEARNER_OPTIONS = {"restarts", "tolerance", "steps", "proposal"}
"""Arguments of `pofx.fit` that the command takes by --option."""


@app.command()
def define(
    definitions: Annotated[
        Path, typer.Argument(help="A file .p of lines such as y | a ~ Normal(2 * a, 1), or .bif.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The model file to write.")],
) -> None:
    """Write the distribution that a text defines to a model file."""
    if definitions.suffix not in (DEFINITIONS, NETWORK):
        raise PofxError(f"{definitions}: expected a file {DEFINITIONS} or {NETWORK}")
    p = load(definitions)
    p.save(output)
    print(p)


@app.command()
def fit(
    table: Table,
    output: Annotated[Path, typer.Option("--output", "-o", help="The model file to write.")],
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A name that `pofx models` lists.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-p", metavar="NAME=VALUE", help="An option of the model."),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", "-k", metavar="COLUMN=KIND", help="Overrides a column's kind."),
    ] = None,
    weights: Annotated[str | None, typer.Option(help="The column that holds row weights.")] = None,
    validation: Annotated[float, typer.Option(help="Share of rows held out.")] = 0.1,
    budget: Annotated[
        float | None,
        typer.Option(help="Seconds for comparing models if none is named; by default 20 to 60."),
    ] = None,
    epochs: Annotated[
        int, typer.Option(help="The most passes over the rows by batches or gradients.")
    ] = 0,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="A file to continue interrupted training from."),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Learn the distribution of a table's rows and save it."""
    import pofx
    from pofx.cli.output import print_error
    from pofx.table.frames.files import read

    kinds = read_pairs("kind", kind)
    data = read(table, kinds)
    if not output.parent.is_dir():
        raise PofxError(f"{output}: cannot be written: no folder {output.parent}")
    texts = read_pairs("option", option)
    options = {name: read_json("option", text) for name, text in texts.items()}
    arguments = set(inspect.signature(pofx.fit).parameters) - LEARNER_OPTIONS
    if reserved := sorted(arguments & set(options)):
        raise PofxError(f"--option: {reserved[0]!r} is no option of a model; see `pofx fit --help`")
    p = pofx.fit(
        data,
        model,
        schema=kinds,
        weights=weights,
        validation=validation,
        budget=budget,
        epochs=epochs,
        checkpoint=checkpoint,
        seed=seed,
        **options,
    )
    p.save(output)
    print(p.schema)
    # Warnings have been printed already.
    summary = FitSummary({k: v for k, v in p.fit_info.items() if k != "warnings"})
    print_error(str(summary), f"saved to {output}")


@app.command()
def info(model: ModelFile) -> None:
    """Show what a model file holds: schema, model, and how it was learned."""
    from pofx.joint.description import describe, describe_file

    is_text = model.suffix in (DEFINITIONS, NETWORK)
    print(describe(load(model)) if is_text else describe_file(model))


@app.command()
def report(
    model: ModelFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .html file to write.")],
    data: Annotated[
        Path | None, typer.Option(help="A table to compare it with, best of rows held out.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", "-t", help="A column of levels to be predicted.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Write a self-contained page: what was learned, how well, and the rows least expected."""
    import pofx
    from pofx.table.frames.files import read

    p = load(model)
    rows = None if data is None else read(data, p.schema)
    pofx.write_report(p, output, rows, target=target, seed=seed)
    print(output)


@app.command()
def models(
    table: Annotated[bool, typer.Option(help="The properties of each, in Markdown.")] = False,
) -> None:
    """List the models of `pofx fit --model`, with their options."""
    from pofx.cli.output import models_text
    from pofx.fitting.model_table import markdown

    print(markdown() if table else models_text())


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="The folder for pictures.")] = Path("demo"),
) -> None:
    """Show pofx on penguins with missing cells and on images of digits, in a minute."""
    from pofx.cli.demo import run

    run(folder)
