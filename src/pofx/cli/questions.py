"""Commands that ask a model."""

import inspect
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from pofx.cli.app import app
from pofx.cli.arguments import (
    Given,
    ModelFile,
    Out,
    Seed,
    Table,
    Unseen,
    load,
    load_given,
    read_json,
    read_pairs,
)
from pofx.core.errors import PofxError
from pofx.core.result import AbstractResult


@app.command()
def ask(
    model: ModelFile,
    questions: Annotated[
        list[str], typer.Argument(metavar="QUESTION...", help='As "P(a > 3 | b = x)".')
    ],
    beside: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="NAME=MODEL", help="Another model, as q in KL(p || q)."),
    ] = None,
    unit: Annotated[str, typer.Option(help="Of information: 'nats' or 'bits'.")] = "nats",
    stderr: Annotated[
        float | None, typer.Option(help="The standard error that an estimate should reach.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Answer questions in the notation of textbooks (see docs/notation.md)."""
    from pofx.cli.output import print_table

    p = load(model)
    reserved = {"p", *inspect.signature(p.ask).parameters}
    paths = read_pairs("with", beside, reserved)
    others = {name: load(Path(path)) for name, path in paths.items()}
    for question in questions:
        answer = p.ask(question, unit=unit, stderr=stderr, seed=seed, **others)
        if isinstance(answer, AbstractResult):
            print(answer)
        else:
            print_table(answer, None)  # draws


@app.command()
def predict(
    model: ModelFile,
    table: Table,
    target: Annotated[str, typer.Option("--target", "-t", help="The column to decide on.")],
    cost: Annotated[
        str | None,
        typer.Option(help="JSON: a matrix, {action: {level: cost}}, 'squared' or 'absolute'."),
    ] = None,
    reject_cost: Annotated[
        float | None, typer.Option(help="The cost of not deciding; turns rejection on.")
    ] = None,
    outlier_level: Annotated[
        float,
        typer.Option(
            help="Reject rows whose tail probability is below this level; needs --reject-cost."
        ),
    ] = 0.01,
    unseen: Unseen = "error",
    seed: Seed = 0,
    output: Out = None,
) -> None:
    """Choose the action of least expected cost for each row, or reject it and say why."""
    from pofx.cli.output import print_error, print_table
    from pofx.table.frames.files import read

    p = load(model)
    decisions = p.decide(
        read(table, p.schema),
        target,
        cost=None if cost is None else read_json("cost", cost),
        reject_cost=reject_cost,
        outlier_level=outlier_level,
        unseen=cast(Any, unseen),
        seed=seed,
    )
    print_table(decisions.columns(), output)
    print_error(str(decisions))


@app.command()
def sample(
    model: ModelFile,
    n: Annotated[int, typer.Option("-n", help="How many rows.")] = 10,
    given: Given = None,
    seed: Seed = 0,
    output: Out = None,
) -> None:
    """Draw new rows, given evidence or none."""
    from pofx.cli.output import print_table

    print_table(load_given(model, given).sample(n, seed=seed), output)


@app.command()
def score(
    model: ModelFile,
    table: Table,
    given: Given = None,
    unseen: Unseen = "error",
    output: Out = None,
) -> None:
    """Print the log-probability of each row in nats, missing cells integrated out."""
    from pofx.cli.output import print_error, print_table
    from pofx.core.row_means import mean_over_rows
    from pofx.table.frames.files import read

    p = load_given(model, given)
    answer = p.log_prob(read(table, p.schema), unseen=cast(Any, unseen))
    print_table({"log_prob": answer.value}, output)
    print_error(f"mean log-probability per row: {mean_over_rows(answer)}")


@app.command()
def impute(
    model: ModelFile,
    table: Table,
    draws: Annotated[
        int | None, typer.Option(help="Draw so many tables, instead of one best guess.")
    ] = None,
    unseen: Unseen = "missing",
    seed: Seed = 0,
    output: Out = None,
) -> None:
    """Fill the missing cells of a table."""
    from pofx.cli.output import print_table
    from pofx.table.frames.files import is_text, read, respell_as_in_file

    p = load(model)
    data = read(table, p.schema)
    imputed = p.impute(data, draws=draws, unseen=cast(Any, unseen), seed=seed)

    def write(result: Any, path: Path | None) -> None:
        as_text = path is None or is_text(path)
        print_table(respell_as_in_file(table, data, result) if as_text else result, path)

    if draws is None:
        write(imputed, output)
        return
    if output is None:
        raise PofxError(
            "--output: expected a file name for --draws; each table is numbered after it"
        )
    ending = "".join(output.suffixes[-2:]) if output.suffix == ".gz" else output.suffix
    for i, result in enumerate(imputed, 1):
        path = output.with_name(f"{output.name.removesuffix(ending)}.{i}{ending}")
        write(result, path)
        print(path)


@app.command()
def plot(
    model: ModelFile,
    picture: Annotated[
        str,
        typer.Argument(help="marginal, pair, information, evidence, images, ..."),
    ],
    names: Annotated[list[str] | None, typer.Argument(help="The columns it shows.")] = None,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="A .png, .pdf or .svg file.")],
    data: Annotated[Path | None, typer.Option(help="A table to compare with the model.")] = None,
    given: Given = None,
    target: Annotated[str | None, typer.Option("--target", "-t", help="A column.")] = None,
    at: Annotated[list[str] | None, typer.Option(help="Values at which `pair` is sliced.")] = None,
    unit: Annotated[str | None, typer.Option(help="'nats' or 'bits'.")] = None,
    seed: Seed = 0,
) -> None:
    """Draw a picture of a model."""
    from pofx.report.pictures import draw

    path = draw(
        model,
        picture,
        names or [],
        output=output,
        data=data,
        given=read_pairs("given", given),
        target=target,
        at=at or [],
        unit=unit,
        seed=seed,
    )
    print(path)
