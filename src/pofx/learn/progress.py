"""A progress bar with the likelihood and the time left; quiet where nobody looks."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pofx.learn.em import Progress, Report


@contextmanager
def watch(show: bool | None, name: str, units: float = 0.0) -> Iterator[Report | None]:
    """A report for a learner, drawn as a bar on standard error.

    None shows it where standard error is a terminal. `units` is taken from log-likelihoods to
    state them in the data's units.
    """
    if show is None:
        show = sys.stderr.isatty()
    if not show:
        yield None
        return
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
        task = bars.add_task(f"fit {name}", total=None, told="")

        def report(at: Progress) -> None:
            told = f"{at.log_likelihood - units:.4f} nats/row"
            bars.update(task, completed=at.step, total=at.steps, told=told)

        yield report
