"""A progress bar with the log-likelihood and the time left, in a terminal or a notebook."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from importlib import import_module
from typing import Any

from pofx.learn.em import FitProgress, ProgressCallback

MIN_UPDATE_SECONDS = 0.2
"""Least time between two updates of a bar in a notebook."""


@contextmanager
def watch(
    show: bool | None, name: str, unit_offset: float = 0.0
) -> Iterator[ProgressCallback | None]:
    """Show a progress bar while a model learns, and yield the callback that moves it.

    The bar is on standard error or, in a notebook, below the cell.

    Args:
        show: whether to show the bar; None shows it in a notebook, and if standard error is a
            terminal.
        name: name of the model.
        unit_offset: nats per row to subtract from log-likelihoods, so that they are in the units of
            the data.

    Yields None if there is no bar.
    """
    notebook = in_notebook()
    if show is None:
        show = notebook or sys.stderr.isatty()
    if not show:
        yield None
        return
    with (_below_cell if notebook else _on_terminal)(f"fit {name}") as draw:

        def report(progress: FitProgress) -> None:
            score = f"{progress.log_likelihood - unit_offset:.4f} nats/row"
            draw(progress, progress.phase or score)

        yield report


Draw = Callable[[FitProgress, str], object]


def in_notebook() -> bool:
    """Whether this runs in a kernel that shows HTML, unlike IPython in a terminal."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


@contextmanager
def _on_terminal(title: str) -> Iterator[Draw]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("step {task.completed:.0f}  {task.fields[score]}"),
        TimeElapsedColumn(),
        TextColumn("at most"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=Console(file=sys.stderr),
        transient=True,
    )
    with bars:
        task = bars.add_task(title, total=None, score="")

        def draw(progress: FitProgress, score: str) -> None:
            bars.update(task, completed=progress.step, total=progress.steps, score=score)

        yield draw


@contextmanager
def _below_cell(title: str) -> Iterator[Draw]:
    """A bar of plain HTML, which needs no widgets and disappears when learning is over."""
    display: Any = import_module("IPython.display")
    handle = display.display(display.HTML(escape(title)), display_id=True)
    start_time = update_time = time.monotonic()

    def draw(progress: FitProgress, score: str) -> None:
        nonlocal update_time
        current_time = time.monotonic()
        if current_time - update_time < MIN_UPDATE_SECONDS and progress.step < progress.steps:
            return
        update_time = current_time
        elapsed = current_time - start_time
        remaining = elapsed / max(progress.step, 1) * (progress.steps - progress.step)
        words = f"step {progress.step}  {score}  {elapsed:.0f} s, at most {remaining:.0f} s left"
        bar = f'<progress value="{progress.step}" max="{progress.steps}"></progress>'
        handle.update(display.HTML(f"{escape(title)} {bar} {escape(words)}"))

    try:
        yield draw
    finally:
        handle.update(display.HTML(""))
