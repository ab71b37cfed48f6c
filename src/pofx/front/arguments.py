"""Arguments that commands share, and how their texts are read."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pofx.core.errors import PofxError

Table = Annotated[Path, typer.Argument(help="A .csv, .tsv, .parquet, .arrow or .feather file.")]
ModelFile = Annotated[Path, typer.Argument(help="A model file that `pofx fit` wrote.")]
Out = Annotated[Path | None, typer.Option("--output", "-o", help="Where to write.")]
Seed = Annotated[int, typer.Option(help="Seed of every draw: equal seeds, equal results.")]
Given = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="Evidence; may be repeated.")
]
Unseen = Annotated[
    str, typer.Option(help="A level never seen, a number out of range: 'error', or 'missing'.")
]


def load(path: Path) -> Any:
    import pofx

    return pofx.load(path)


def given_of(path: Path, given: list[str] | None) -> Any:
    from pofx.table.encode import parse_value

    p = load(path)
    values = pairs("given", given)
    return p.given({k: parse_value(p.schema.variable(k), v) for k, v in values.items()})


def pairs(option: str, texts: list[str] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise PofxError(f"--{option}: wanted NAME=VALUE, got {text!r}")
        if name.strip() in found:
            raise PofxError(f"--{option}: {name.strip()!r} is given twice")
        found[name.strip()] = value
    return found


def json_of(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
