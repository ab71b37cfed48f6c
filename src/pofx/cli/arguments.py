"""Arguments that commands share, and how their texts are read."""

import json
from collections.abc import Collection
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

DEEPEST = 4
"""Lists and objects within one another that an option may hold."""


def load(path: Path) -> Any:
    import pofx

    return pofx.load(path)


def given_of(path: Path, given: list[str] | None) -> Any:
    from pofx.table.encoding import parse_value

    p = load(path)
    values = pairs("given", given)
    return p.given({k: parse_value(p.schema.variable(k), v) for k, v in values.items()})


def pairs(option: str, texts: list[str] | None, taken: Collection[str] = ()) -> dict[str, str]:
    """NAME=VALUE of an option that may be repeated; the names `taken` mean something else."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise PofxError(f"--{option}: expected NAME=VALUE, got {text!r}")
        if name.strip() in taken:
            raise PofxError(f"--{option}: expected another name, {name.strip()!r} is taken")
        if name.strip() in found:
            raise PofxError(f"--{option}: {name.strip()!r} is given twice")
        found[name.strip()] = value
    return found


def json_of(option: str, text: str) -> Any:
    """The JSON that an option holds, or its text if it is none."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    except ValueError:  # Python reads no longer numbers
        raise PofxError(
            f"--{option}: expected numbers of fewer digits, got {_brief(text)}"
        ) from None
    except RecursionError:
        raise _too_deep(option, text) from None
    if _depth(value) > DEEPEST:
        raise _too_deep(option, text)
    return value


def _too_deep(option: str, text: str) -> PofxError:
    return PofxError(f"--{option}: expected JSON at most {DEEPEST} deep, got {_brief(text)}")


def _depth(value: Any) -> int:
    """How many lists and objects lie within one another, counted up to one beyond `DEEPEST`."""
    level, depth = [value], 0
    while depth <= DEEPEST:
        inner = [one for one in level if isinstance(one, list | dict)]
        if not inner:
            break
        level = [x for one in inner for x in (one.values() if isinstance(one, dict) else one)]
        depth += 1
    return depth


def _brief(text: str, width: int = 40) -> str:
    return repr(text if len(text) <= width else f"{text[:width]}...")
