"""The command line: each command reads, asks a `Joint`, and prints."""

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from pofx.core.errors import PofxError, PofxWarning

LINE = 600
"""Characters of the longest message."""
UsageError: Any = typer.BadParameter.__mro__[1]
"""What the parser of arguments raises: in `click`, or in typer's own copy of it."""

app = typer.Typer(
    help="Learn p(x) from a table, then ask it any probability question.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Table = Annotated[Path, typer.Argument(help="A .csv, .tsv or .parquet file.")]
ModelFile = Annotated[Path, typer.Argument(help="A model file that `pofx fit` wrote.")]
Out = Annotated[Path | None, typer.Option("--output", "-o", help="Where to write.")]
Seed = Annotated[int, typer.Option(help="Seed of every draw: equal seeds, equal results.")]
Given = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="Evidence; may be repeated.")
]
Unseen = Annotated[str, typer.Option(help="A level never seen: 'error', or 'missing'.")]


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
    validation: Annotated[float, typer.Option(help="Share of rows held out to choose by.")] = 0.1,
    seed: Seed = 0,
) -> None:
    """Learn the distribution of a table's rows and save it."""
    import pofx
    from pofx.front.show import leaderboard, print_error, summary
    from pofx.table.read import read

    data = read(table)
    if not output.parent.is_dir():
        raise PofxError(f"{output}: cannot be written: no folder {output.parent}")
    options = {name: _json(text) for name, text in _pairs("option", option).items()}
    if taken := {"data", "model", "schema", "weights", "validation", "seed"} & set(options):
        raise PofxError(f"--option: {taken.pop()!r} is no option of a model; see `pofx fit --help`")
    p = pofx.fit(
        data,
        model,
        schema=_pairs("kind", kind),
        weights=weights,
        validation=validation,
        seed=seed,
        **options,
    )
    p.save(output)
    print(p.schema)
    print_error(leaderboard(p.fit), summary(p), f"saved to {output}")


@app.command()
def sample(
    model: ModelFile,
    n: Annotated[int, typer.Option("-n", help="How many rows.")] = 10,
    given: Given = None,
    seed: Seed = 0,
    output: Out = None,
) -> None:
    """Draw new rows, given evidence or none."""
    from pofx.front.show import table

    table(_given(model, given).sample(n, seed=seed), output)


@app.command()
def score(
    model: ModelFile,
    table: Table,
    given: Given = None,
    unseen: Unseen = "error",
    output: Out = None,
) -> None:
    """Log-probability of each row in nats, missing cells integrated out."""
    from pofx.core.answer import mean_over_rows
    from pofx.front.show import print_error
    from pofx.front.show import table as show_table
    from pofx.table.read import read

    answer = _given(model, given).log_prob(read(table), unseen=cast(Any, unseen))
    show_table({"log_prob": answer.value}, output)
    print_error(f"mean log-probability of a row: {mean_over_rows(answer.value)}")


@app.command()
def impute(
    model: ModelFile,
    table: Table,
    draws: Annotated[
        int | None, typer.Option(help="Draw so many whole tables, instead of one best guess.")
    ] = None,
    unseen: Unseen = "missing",
    seed: Seed = 0,
    output: Out = None,
) -> None:
    """Fill the missing cells of a table."""
    from pofx.front.show import table as show_table
    from pofx.table.read import read

    p = _load(model)
    filled = p.impute(read(table), draws=draws, unseen=cast(Any, unseen), seed=seed)
    if draws is None:
        show_table(filled, output)
        return
    if output is None:
        raise PofxError("--output: wanted a file name for --draws; each table is numbered after it")
    for i, one in enumerate(filled, 1):
        name = output.with_name(f"{output.stem}.{i}{output.suffix}")
        show_table(one, name)
        print(name)


@app.command()
def info(model: ModelFile) -> None:
    """What a model file holds: schema, model, and how it was learned."""
    from pofx.front.show import leaderboard, summary

    p = _load(model)
    print(p)
    print()
    print(p.schema)
    print()
    for line in (leaderboard(p.fit), summary(p)):
        if line:
            print(line)


@app.command()
def models() -> None:
    """The models that `pofx fit --model` knows, with their options."""
    from pofx.front.show import taxonomy

    print(taxonomy())


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where pictures go.")] = Path("demo"),
) -> None:
    """Penguins with missing cells, then digits as images: the whole tour in a minute."""
    from pofx.front.demo import run

    run(folder)


@app.callback(invoke_without_command=True)
def _top(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        import pofx

        print(f"pofx {pofx.__version__}")
        raise typer.Exit


def main() -> None:
    """Runs the command line; a mistake is one line on standard error and exit code 2."""
    with warnings.catch_warnings():
        warnings.showwarning = _warn
        try:
            code = app(standalone_mode=False)
            sys.stdout.flush()
        except PofxError as error:
            code = _say(error)
        except UsageError as error:
            if type(error).__name__ == "NoArgsIsHelpError":
                error.show()  # the help, which is many lines
                sys.exit(2)
            code = _say(error.format_message())
        except (KeyboardInterrupt, typer.Abort):
            code = 130
        except OSError as error:
            # A full disk, or a reader that has left, as `head` does: Python shall not try again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            left = isinstance(error, BrokenPipeError)
            code = 0 if left else _say(f"cannot write or read: {error.strerror or error}")
    sys.exit(code or 0)


def _say(message: object) -> int:
    """One line on standard error; the exit code of a mistake."""
    text = " ".join(str(message).splitlines())
    # Text of a file may hold what a terminal would obey.
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    print("pofx:", text if len(text) <= LINE else f"{text[:LINE]} ...", file=sys.stderr)
    return 2


def _warn(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
    if issubclass(category, PofxWarning):
        _say(f"warning: {message}")


def _load(path: Path) -> Any:
    import pofx

    return pofx.load(path)


def _given(path: Path, given: list[str] | None) -> Any:
    from pofx.table.encode import parse_value

    p = _load(path)
    pairs = _pairs("given", given)
    return p.given({k: parse_value(p.schema.variable(k), v) for k, v in pairs.items()})


def _pairs(option: str, texts: list[str] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise PofxError(f"--{option}: wanted NAME=VALUE, got {text!r}")
        if name.strip() in found:
            raise PofxError(f"--{option}: {name.strip()!r} is given twice")
        found[name.strip()] = value
    return found


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
