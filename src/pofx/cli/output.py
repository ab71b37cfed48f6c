"""What the command line prints: tables for eyes on a terminal, plain CSV for pipes."""

import inspect
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pofx.core.abstract import AbstractLearnable
from pofx.core.escaping import escaped
from pofx.core.printing import number_text
from pofx.core.registry import discover
from pofx.table.frames.files import write

SHOWN = 40
"""Rows of a table that a terminal is shown."""
WIDTH = 120
"""Characters in a line where no terminal says how many it has."""


def table(data: Any, output: Path | None) -> None:
    """Writes data to a file, as CSV to a pipe, or drawn to a terminal."""
    if output is None and sys.stdout.isatty():
        draw(data)
    else:
        write(data, output)


def draw(*tables: Any) -> None:
    """Draws the rows of tables of the same columns, one below the other."""
    from rich.console import Console
    from rich.table import Table

    from pofx.table.frames.reading import read_frame

    frames = [read_frame(data) for data in tables]
    drawn = Table(box=None, header_style="bold")
    for name, cells in frames[0].cells.items():
        drawn.add_column(escaped(name), justify="left" if cells.levels is not None else "right")
    for frame in frames:
        spreads = {name: _spread(cells) for name, cells in frame.cells.items()}
        for row in range(min(frame.rows, SHOWN)):
            drawn.add_row(*(_cell(cells, row, spreads[n]) for n, cells in frame.cells.items()))
    terminal = sys.stdout.isatty()
    # Brackets and colons in data are no markup.
    Console(width=None if terminal else WIDTH, markup=False, emoji=False).print(drawn)
    if frames[0].rows > SHOWN:
        print(f"... {frames[0].rows - SHOWN} more rows; --output FILE or a pipe takes them all")


def _spread(cells: Any) -> float:
    """On which scale the numbers of a column differ."""
    known = cells.values[:SHOWN] if cells.levels is None and cells.values.ndim == 1 else []
    known = np.asarray(known, np.float64)
    known = known[np.isfinite(known)]
    return float(known.std()) if known.size else 0.0


def _cell(cells: Any, row: int, spread: float) -> str:
    from pofx.table.frames.times import format_time

    value = cells.values[row]
    if np.ndim(value):
        return f"array {value.shape}"
    if np.isnan(value):
        return ""
    if cells.time_kind:
        return format_time(float(value), cells.dtype)
    if cells.levels is not None:
        return escaped(str(cells.levels[int(value)]))
    return number_text(value, spread=spread)


def taxonomy() -> str:
    """The models that can be fitted, each with its sentence, column kinds and options."""
    blocks = []
    for name, cls in discover("pofx.models", AbstractLearnable).items():
        parameters = inspect.signature(cls.from_data).parameters.values()
        options = [f"{p.name}={p.default!r}" for p in parameters if p.kind is p.KEYWORD_ONLY]
        if any(p.kind is p.VAR_KEYWORD for p in parameters):
            options.append("and those of its part")
        sentence = (cls.__doc__ or "").strip().splitlines()[0]
        blocks.append(f"{name}\n    {sentence}\n    options: {', '.join(options) or 'none'}")
    return "\n".join(blocks)


def print_error(*lines: str) -> None:
    """Prints what is not data to standard error, out of the way of pipes."""
    for line in lines:
        if line:
            print(line, file=sys.stderr)


def heading(text: str) -> None:
    """A line over what follows."""
    print(f"\n\033[1m{text}\033[0m\n" if sys.stdout.isatty() else f"\n{text}\n{'-' * len(text)}\n")


def timed(what: str, work: Callable[[], Any]) -> Any:
    """The result of some work, and a line on how long it took."""
    began = time.perf_counter()
    result = work()
    print(f"{what}: {time.perf_counter() - began:.1f} s, compilation included")
    return result
