"""Arguments that commands share, and how their texts are read."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from pofx.core.errors import PofxError

Table = Annotated[Path, typer.Argument(help="A .csv, .tsv, .parquet, .arrow or .feather file.")]
ModelFile = Annotated[Path, typer.Argument(help="A model file, or a file .p or .bif.")]
Out = Annotated[Path | None, typer.Option("--output", "-o", help="Where to write.")]
Seed = Annotated[int, typer.Option(help="Seed of every draw: equal seeds, equal results.")]
Given = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="Evidence; may be repeated.")
]
Unseen = Annotated[
    str, typer.Option(help="A level never seen, a number out of range: 'error', or 'missing'.")
]

MAX_DEPTH = 4
"""Lists and objects within one another that an option may hold."""
DEFINITIONS, NETWORK = ".p", ".bif"
"""How the names of files of definitions, and of Bayesian networks, end."""


def load(path: Path) -> Any:
    """The distribution in a model file, in a file of definitions, or in one of a network."""
    import pofx

    read = {DEFINITIONS: pofx.define, NETWORK: pofx.read_bif}.get(path.suffix, pofx.load)
    return read(path)


def load_given(path: Path, given: list[str] | None) -> Any:
    """The distribution in a model file given evidence, texts NAME=VALUE."""
    from pofx.table.encoding import parse_value

    p = load(path)
    values = read_pairs("given", given)
    return p.given({k: parse_value(p.schema.variable(k), v) for k, v in values.items()})


def read_pairs(
    option: str, texts: list[str] | None, reserved: Collection[str] = ()
) -> dict[str, str]:
    """The values by name of an option that may be repeated.

    Args:
        option: its name, for error messages.
        texts: NAME=VALUE each.
        reserved: names that may not be used.
    """
    values: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise PofxError(f"--{option}: expected NAME=VALUE, got {text!r}")
        if name.strip() in reserved:
            raise PofxError(f"--{option}: expected another name, {name.strip()!r} is taken")
        if name.strip() in values:
            raise PofxError(f"--{option}: {name.strip()!r} is given twice")
        values[name.strip()] = value
    return values


def read_json(option: str, text: str) -> Any:
    """The JSON that an option holds, or its text if it is none."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    except ValueError:  # Python does not read longer numbers
        raise PofxError(
            f"--{option}: expected numbers of fewer digits, got {_brief(text)}"
        ) from None
    except RecursionError:
        raise _too_deep(option, text) from None
    if _depth(value) > MAX_DEPTH:
        raise _too_deep(option, text)
    return value


def _too_deep(option: str, text: str) -> PofxError:
    return PofxError(f"--{option}: expected JSON at most {MAX_DEPTH} deep, got {_brief(text)}")


def _depth(value: Any) -> int:
    """How many lists and objects lie within one another, counted up to MAX_DEPTH + 1."""
    level = [value]
    depth = 0
    while depth <= MAX_DEPTH:
        nested = [item for item in level if isinstance(item, list | dict)]
        if not nested:
            break
        level = [x for item in nested for x in (item.values() if isinstance(item, dict) else item)]
        depth += 1
    return depth


def _brief(text: str, width: int = 40) -> str:
    return repr(text if len(text) <= width else f"{text[:width]}...")
