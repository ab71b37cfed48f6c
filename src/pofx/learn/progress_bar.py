"""A progress bar with the likelihood and the time left; quiet where nobody looks."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from importlib import import_module
from typing import Any

from pofx.learn.em import FitProgress, ProgressCallback

EVERY = 0.2
"""Seconds between two states of a bar in a notebook."""


@contextmanager
def watch(show: bool | None, name: str, units: float = 0.0) -> Iterator[ProgressCallback | None]:
    """A report for a learner, drawn as a bar on standard error, in a notebook below the cell.

    None shows it in a notebook, and where standard error is a terminal. `units` is taken from
    log-likelihoods to state them in the data's units.
    """
    notebook = in_notebook()
    if show is None:
        show = notebook or sys.stderr.isatty()
    if not show:
        yield None
        return
    with (_below_the_cell if notebook else _on_a_terminal)(f"fit {name}") as draw:

        def report(at: FitProgress) -> None:
            draw(at, f"{at.log_likelihood - units:.4f} nats/row")

        yield report


Draw = Callable[[FitProgress, str], object]


def in_notebook() -> bool:
    """Whether this runs in a kernel that shows HTML: what a terminal's IPython is not."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


@contextmanager
def _on_a_terminal(what: str) -> Iterator[Draw]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("step {task.completed:.0f}  {task.fields[told]}"),
        TimeElapsedColumn(),
        TextColumn("at most"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=Console(file=sys.stderr),
        transient=True,
    )
    with bars:
        task = bars.add_task(what, total=None, told="")
        yield lambda at, told: bars.update(task, completed=at.step, total=at.steps, told=told)


@contextmanager
def _below_the_cell(what: str) -> Iterator[Draw]:
    """A bar of plain HTML, which needs no widgets; it is gone when the learning is over."""
    display: Any = import_module("IPython.display")
    handle = display.display(display.HTML(escape(what)), display_id=True)
    began = last = time.monotonic()

    def draw(at: FitProgress, told: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < EVERY and at.step < at.steps:
            return
        last = now
        left = (now - began) / max(at.step, 1) * (at.steps - at.step)
        words = f"step {at.step}  {told}  {now - began:.0f} s, at most {left:.0f} s left"
        bar = f'<progress value="{at.step}" max="{at.steps}"></progress>'
        handle.update(display.HTML(f"{escape(what)} {bar} {escape(words)}"))

    try:
        yield draw
    finally:
        handle.update(display.HTML(""))
