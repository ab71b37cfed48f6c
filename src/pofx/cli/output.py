"""Output of the command line: readable tables on a terminal, plain CSV into a pipe."""

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

MAX_ROWS = 40
"""Rows of a table that are shown on a terminal."""
DEFAULT_WIDTH = 120
"""Characters per line if there is no terminal."""


def print_table(data: Any, output: Path | None) -> None:
    """Writes data to a file, as CSV into a pipe, or as a readable table on a terminal."""
    if output is None and sys.stdout.isatty():
        show_tables(data)
    else:
        write(data, output)


def show_tables(*tables: Any) -> None:
    """Prints the rows of tables of the same columns as one readable table."""
    from rich.console import Console
    from rich.table import Table

    from pofx.table.frames.reading import read_frame

    frames = [read_frame(data) for data in tables]
    grid = Table(box=None, header_style="bold")
    for name, cells in frames[0].cells.items():
        grid.add_column(escaped(name), justify="left" if cells.levels is not None else "right")
    for frame in frames:
        spreads = {name: _spread(cells) for name, cells in frame.cells.items()}
        for row in range(min(frame.rows, MAX_ROWS)):
            grid.add_row(*(_cell(cells, row, spreads[n]) for n, cells in frame.cells.items()))
    terminal = sys.stdout.isatty()
    # Brackets and colons in data are not markup.
    Console(width=None if terminal else DEFAULT_WIDTH, markup=False, emoji=False).print(grid)
    if frames[0].rows > MAX_ROWS:
        print(f"... {frames[0].rows - MAX_ROWS} more rows; --output FILE or a pipe takes them all")


def _spread(cells: Any) -> float:
    """The standard deviation of the numbers of a column that are shown."""
    known = cells.values[:MAX_ROWS] if cells.levels is None and cells.values.ndim == 1 else []
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


def models_text() -> str:
    """The models that can be fitted, each with the first sentence of its docstring and options."""
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
    """Prints lines that are not data to standard error, so that pipes do not get them."""
    for line in lines:
        if line:
            print(line, file=sys.stderr)


def heading(text: str) -> None:
    """Prints a heading."""
    print(f"\n\033[1m{text}\033[0m\n" if sys.stdout.isatty() else f"\n{text}\n{'-' * len(text)}\n")


def timed(label: str, work: Callable[[], Any]) -> Any:
    """The result of `work()`; prints how long it took."""
    began = time.perf_counter()
    result = work()
    print(f"{label}: {time.perf_counter() - began:.1f} s, compilation included")
    return result
