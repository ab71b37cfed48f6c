"""`pofx.write_report`: a distribution as one self-contained HTML page."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from pofx import plot
from pofx.core import html
from pofx.core.atomic_write import write_atomically
from pofx.core.errors import PofxError
from pofx.core.row_means import mean_over_rows
from pofx.joint.fit_summary import leaderboard_html, summary
from pofx.joint.joint import Joint
from pofx.named.random_keys import generator_of
from pofx.report.markup import page_head, paragraph, picture, picture_row, scrollable, section
from pofx.report.pictures import PICTURES, PictureRequest
from pofx.report.unexpected_rows import UnexpectedCell, least_expected
from pofx.table.encoding import decode, encode
from pofx.table.frames.reading import read_frame

MAX_COLUMNS = 24
"""The most columns whose marginals are drawn."""
MAX_PAIRED_COLUMNS = 16
"""The most columns in the picture of mutual information."""
MAX_TARGETS = 4
"""The most columns of levels whose calibration is drawn."""
MAX_INTERVAL_COLUMNS = 12
"""The most columns of numbers whose intervals are checked."""
MAX_CALIBRATION_ROWS = 2000
INTERVAL_LEVEL = 0.9
MAX_TITLE_NAMES = 8


def write_report(
    p: Joint,
    path: str | Path,
    data: Any = None,
    *,
    target: str | None = None,
    seed: int = 0,
) -> None:
    """Writes a self-contained page: an HTML file with its pictures inside and no script.

    The page shows the columns, how the model was learned and how well, and what columns say about
    each other. Either the complete file is written or none.

    Args:
        p: a fitted distribution.
        path: a file that ends in .html or .htm.
        data: rows, best held out from learning, for marginals over them, calibration, and the rows
            least expected, with the cells that make them so.
        target: the column of levels whose calibration is shown; by default the first few.
        seed: of the random numbers behind it; equal arguments give equal pages.

    Raises PofxError for data that do not fit, and for data with a distribution that has evidence.
    """
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise PofxError(f"{path}: expected a file .html, got {Path(path).suffix or 'no ending'!r}")
    text = page(p, data, target=target, seed=seed)
    write_atomically(path, lambda file: file.write(text.encode()))


def page(p: Joint, data: Any = None, *, target: str | None = None, seed: int = 0) -> str:
    """The HTML text of `write_report`; arguments as there."""
    if data is not None and p.evidence:
        raise PofxError(
            f"data: expected a distribution without evidence to compare rows with; got {p!r}"
        )
    targets = _targets(p, target)
    parts = [page_head(f"p({_title_names(p.schema.names)})"), _opening(p)]
    parts.append(section("What was learned from", *_schema(p)))
    parts.append(section("Learning", *_learning(p)))
    if len(_plain_columns(p)) > 1:
        parts.append(section("What columns say about each other", *_information(p, seed)))
    x = None if data is None else encode(p.schema, data, unseen="missing")
    if x is not None and not len(x):
        raise PofxError("data: expected at least one row, got no rows")
    parts.append(section("Columns", *_columns(p, data)))
    if x is not None:
        sample = x[np.sort(generator_of(seed).permutation(len(x))[:MAX_CALIBRATION_ROWS])]
        parts.append(section("Calibration", *_calibration(p, sample, len(x), targets, seed)))
        parts.append(section("Rows least expected", *_unexpected_rows(p, x, seed)))
    return "".join([*parts, "</body></html>\n"])


def _targets(p: Joint, target: str | None) -> list[str]:
    """The columns of levels whose calibration is shown."""
    variables = [v for v in p.schema.variables if v.discrete and not v.shape]
    names = [v.name for v in variables if len(v.levels) > 1]
    if target is None:
        return names[:MAX_TARGETS]
    if p.schema.variable(target).name not in names:
        raise PofxError(f"target: expected a column of levels, and {target!r} is none")
    return [target]


def _plain_columns(p: Joint) -> list[str]:
    return [v.name for v in p.schema.variables if not v.shape]


def _title_names(names: Sequence[str]) -> str:
    more = f", … ({len(names)} columns)" if len(names) > MAX_TITLE_NAMES else ""
    return ", ".join(names[:MAX_TITLE_NAMES]) + more


def _opening(p: Joint) -> str:
    bar = f" | {', '.join(p.evidence)}" if p.evidence else ""
    heading = f"<h1>{escape(f'p({_title_names(p.schema.names)}{bar})')}</h1>"
    first_line = summary(p.fit_info).partition("\n")[0]
    return heading + paragraph(f"{type(p.model).__name__}. {first_line}")


def _schema(p: Joint) -> Iterator[str]:
    yield scrollable(p.schema._repr_html_())
    yield paragraph(
        "Numbers have a density per unit of the data. Spikes are values with a probability of "
        "their own; resolution is the smallest gap between values, below which no density grows."
    )


def _learning(p: Joint) -> Iterator[str]:
    if board := leaderboard_html(p.fit_info):
        yield scrollable(board)
    if "\n" in summary(p.fit_info):
        yield html.text(summary(p.fit_info).partition("\n")[2])
    if any(value is not None for value in p.fit_info.get("history", ())):
        yield picture_row(picture("log-likelihood by step", lambda: plot.learning_curve(p)))


def _information(p: Joint, seed: int) -> Iterator[str]:
    columns = _plain_columns(p)
    if len(columns) > MAX_PAIRED_COLUMNS:
        yield paragraph(f"The first {MAX_PAIRED_COLUMNS} of {len(columns)} columns.")
    names = columns[:MAX_PAIRED_COLUMNS]
    yield paragraph(
        "Mutual information is zero between independent columns, and H if one determines the other."
    )
    yield picture_row(
        picture("mutual information of pairs", lambda: plot.information(p, names, seed=seed))
    )


def _columns(p: Joint, data: Any) -> Iterator[str]:
    columns = _plain_columns(p)
    names = columns[:MAX_COLUMNS]
    if data is not None:
        yield paragraph("The model's marginals over the given rows. Missing cells do not count.")
    if len(columns) > len(names):
        yield paragraph(f"The first {MAX_COLUMNS} of {len(columns)} columns.")
    pictures = [picture(f"p({n})", lambda n=n: plot.marginal(p, n, data)) for n in names]
    for v in p.schema.variables:
        if len(v.shape) == 2:
            pictures.append(picture(f"draws of {v.name}", lambda v=v: plot.images(p, v.name)))
    yield picture_row(*pictures)


def _calibration(
    p: Joint, x: np.ndarray, n: int, targets: Sequence[str], seed: int
) -> Iterator[str]:
    """Calibration on the rows x, a sample of n rows."""
    rows = f"{len(x)} of the {n} given rows" if len(x) < n else f"the {n} given rows"
    yield paragraph(
        f"On {rows}. Rows from which the model was learned flatter it; held-out rows do not."
    )
    data = decode(p.schema, x)
    tails = PictureRequest(p=p, data=data, seed=seed)
    requests = {"log p(row) among draws of the model": ("tail_probability", tails)}
    for name in targets:
        request = PictureRequest(p=p, data=data, target=name)
        requests[f"p({name} | the other cells)"] = ("reliability", request)
    yield picture_row(*(_labelled_picture(label, *item) for label, item in requests.items()))
    lines = [line for name in _interval_columns(p) if (line := _coverage(p, data, x, name))]
    if lines:
        yield paragraph(
            f"How many known cells lie in the central {100 * INTERVAL_LEVEL:.0f} % interval of "
            "p(cell | the others): more if single values have a probability."
        )
        yield scrollable(html.table(("column", "cells", "inside"), lines, numbers=(1, 2)))


def _labelled_picture(label: str, name: str, request: PictureRequest) -> str:
    image = picture(label, lambda: PICTURES[name].draw(request))
    return f"<div>{paragraph(label)}{image}</div>"


def _interval_columns(p: Joint) -> list[str]:
    numbers = [v.name for v in p.schema.variables if not (v.discrete or v.shape)]
    return numbers[:MAX_INTERVAL_COLUMNS]


def _coverage(p: Joint, data: Any, x: np.ndarray, name: str) -> tuple[str, str, str] | None:
    """The column, its known cells and the share of them in their interval; None without cells."""
    variable = p.schema.variable(name)
    entries = x[:, p.schema.slices[name].start]
    known = ~np.isnan(entries)
    if not known.any():
        return None
    intervals = p.interval(data, name, INTERVAL_LEVEL, unseen="missing")
    ends = read_frame(intervals, ["low", "high"]).cells
    values = entries * variable.scale
    low, high = (ends[end].minus(variable.shift) for end in ("low", "high"))
    # In the float type of the model a value may differ a little from an end that it equals.
    slack = 1e-6 * variable.scale
    inside = (values >= low - slack) & (values <= high + slack)
    share = mean_over_rows(inside[known].astype(float))
    return name, f"{known.sum()}", f"{100 * share.value:.1f} ± {100 * share.stderr:.1f} %"


def _unexpected_rows(p: Joint, x: np.ndarray, seed: int) -> Iterator[str]:
    yield paragraph(
        "The rows of the smallest tail probability: that of a draw of the model that is no more "
        "likely. Each cell is shown with the value expected from the other cells of its row, and "
        "by how many nats it is less expected than cells of its column usually are: "
        "-log p(cell | the others), less its mean over rows."
    )
    lines = []
    for row in least_expected(p, x, seed=seed):
        cells = "; ".join(map(_cell_text, row.cells))
        lines.append((f"{row.number}", f"{row.log_prob:.2f}", f"{row.tail:.4f}", cells))
    head = ("row, from 0", "log p (nats)", "tail probability", "cells least expected")
    yield scrollable(html.table(head, lines, numbers=(0, 1, 2)))


def _cell_text(cell: UnexpectedCell) -> str:
    expected = f"{cell.expected} expected, " if cell.expected != cell.value else ""
    return f"{cell.name} = {cell.value} ({expected}+{cell.excess:.1f})"
