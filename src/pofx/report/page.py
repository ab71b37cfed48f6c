"""A distribution as one HTML page that stands alone, its pictures inside."""

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from pofx import plot
from pofx.core import html
from pofx.core.answer import mean_over_rows
from pofx.core.atomic_write import write_atomically
from pofx.core.errors import PofxError
from pofx.joint.fit_summary import leaderboard_html, summary
from pofx.joint.joint import Joint
from pofx.named.random_keys import generator_of
from pofx.report.pictures import PICTURES, Asked
from pofx.report.unexpected_rows import Cell, least_expected
from pofx.table.encoding import decode, encode
from pofx.table.frames.reading import read_frame

COLUMNS, PAIRED, TARGETS, COVERED = 24, 16, 4, 12
"""The most columns drawn, paired with each other, drawn as targets, and tried by intervals."""
ROWS = 2000
"""The most rows by which calibration is judged."""
INSIDE = 0.9
DPI = 144

HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'">
<link rel="icon" href="data:,"><title>{title}</title><style>
:root {{ color-scheme: light }}
body {{ font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #222; background: #fff;
  max-width: 68rem; margin: 2rem auto; padding: 0 1.2rem; overflow-wrap: anywhere }}
h1 {{ font-size: 1.5rem; font-weight: 600; margin-bottom: 0.2rem }}
h2 {{ font-size: 1.1rem; margin: 2.2rem 0 0.4rem; border-top: 1px solid #ccc; padding-top: 0.9rem }}
p {{ max-width: 46rem; color: #444 }}
table {{ font-variant-numeric: tabular-nums; overflow-wrap: normal }}
pre {{ font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", monospace }}
.wide {{ overflow-x: auto }}
.pictures {{ display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start }}
img {{ max-width: 100%; height: auto }}
@media print {{ section, img {{ break-inside: avoid }} }}
</style></head><body>
"""


def write_report(
    p: Joint,
    path: str | Path,
    data: Any = None,
    *,
    target: str | None = None,
    seed: int = 0,
) -> None:
    """Writes a page that needs nothing else: an HTML file with its pictures inside and no script.

    It shows the columns, how the model was learned and how well, and what columns say about each
    other. The file is written whole or not at all.

    Args:
        p: a fitted distribution.
        path: a file that ends in .html or .htm.
        data: rows, best held out from learning, for marginals over them, calibration, and the rows
            least expected, with the cells that make them so.
        target: the column of levels whose calibration is shown; by default the first few.
        seed: of the draws behind it; equal arguments give equal pages.

    Raises PofxError for data that do not fit, and for data with a distribution that evidence was
    given to.
    """
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise PofxError(f"{path}: expected a file .html, got {Path(path).suffix or 'no ending'!r}")
    text = page(p, data, target=target, seed=seed)
    write_atomically(path, lambda file: file.write(text.encode()))


def page(p: Joint, data: Any = None, *, target: str | None = None, seed: int = 0) -> str:
    """The page of `write_report`: equal arguments give equal pages."""
    if data is not None and p.evidence:
        raise PofxError(
            "data: expected a distribution that no evidence was given to, for rows to be compared "
            f"with; got {p!r}"
        )
    targets = _targets(p, target)
    parts = [HEAD.format(title=escape(f"p({_few(p.schema.names)})")), _opening(p)]
    parts += [_section("What was learned from", *_schema(p)), _section("Learning", *_learning(p))]
    if len(_plain(p)) > 1:
        parts.append(_section("What columns tell of each other", *_information(p, seed)))
    x = None if data is None else encode(p.schema, data, unseen="missing")
    if x is not None and not len(x):
        raise PofxError("data: expected at least one row, got no rows")
    parts.append(_section("Columns", *_columns(p, data)))
    if x is not None:
        some = x[np.sort(generator_of(seed).permutation(len(x))[:ROWS])]
        parts.append(_section("Calibration", *_calibration(p, some, len(x), targets, seed)))
        parts.append(_section("Rows least expected", *_strange(p, x, seed)))
    return "".join([*parts, "</body></html>\n"])


def _targets(p: Joint, target: str | None) -> list[str]:
    """The columns of levels whose predictions are judged."""
    own = [v.name for v in p.schema.variables if v.discrete and not v.shape and len(v.levels) > 1]
    if target is None:
        return own[:TARGETS]
    if p.schema.variable(target).name not in own:
        raise PofxError(f"target: expected a column of levels, and {target!r} is none")
    return [target]


def _plain(p: Joint) -> list[str]:
    return [v.name for v in p.schema.variables if not v.shape]


def _few(names: Sequence[str], most: int = 8) -> str:
    more = f", … ({len(names)} columns)" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>\n"


def _words(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _wide(table: str) -> str:
    return f'<div class="wide">{table}</div>'


def _pictures(*pictures: str) -> str:
    return f'<div class="pictures">{"".join(pictures)}</div>'


def _picture(what: str, draw: Callable[[], Any]) -> str:
    """What is drawn as an image whose words are `what`; a line that says why if it cannot be."""
    try:
        figure = draw().figure
    except PofxError as error:
        return _words(f"{what}: not drawn; {error}")
    file, (width, _) = io.BytesIO(), figure.get_size_inches()
    figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    inside = base64.b64encode(file.getvalue()).decode()
    # As wide as drawn at 96 pixels an inch, a little smaller: words of 8 points are then of 12 px.
    return (
        f'<img width="{round(width * 84)}" alt="{escape(what)}" '
        f'src="data:image/png;base64,{inside}">'
    )


def _opening(p: Joint) -> str:
    bar = f" | {', '.join(p.evidence)}" if p.evidence else ""
    head = f"<h1>{escape(f'p({_few(p.schema.names)}{bar})')}</h1>"
    return head + _words(f"{type(p.model).__name__}. {summary(p.fit_info).partition(chr(10))[0]}")


def _schema(p: Joint) -> Iterator[str]:
    yield _wide(p.schema._repr_html_())
    yield _words(
        "Numbers have a density per unit of the data. Spikes are values with a mass of their own; "
        "resolution is the smallest gap between values, below which no density grows."
    )


def _learning(p: Joint) -> Iterator[str]:
    if board := leaderboard_html(p.fit_info):
        yield _wide(board)
    if "\n" in summary(p.fit_info):
        yield html.text(summary(p.fit_info).partition("\n")[2])
    if any(h is not None for h in p.fit_info.get("history", ())):
        yield _pictures(_picture("log-likelihood by step", lambda: plot.learning_curve(p)))


def _information(p: Joint, seed: int) -> Iterator[str]:
    names = _plain(p)
    if len(names) > PAIRED:
        yield _words(f"Of the first {PAIRED} of {len(names)} columns.")
    own = names[:PAIRED]
    yield _words("Zero between columns that are independent; all that is to tell where it is H.")
    yield _pictures(
        _picture("mutual information of pairs", lambda: plot.information(p, own, seed=seed))
    )


def _columns(p: Joint, data: Any) -> Iterator[str]:
    names = _plain(p)
    shown = names[:COLUMNS]
    if data is not None:
        yield _words("The model's marginals over the rows given. A missing cell is not counted.")
    if len(names) > len(shown):
        yield _words(f"The first {COLUMNS} of {len(names)} columns.")
    pictures = [_picture(f"p({n})", lambda n=n: plot.marginal(p, n, data)) for n in shown]
    for v in p.schema.variables:
        if len(v.shape) == 2:
            pictures.append(_picture(f"draws of {v.name}", lambda v=v: plot.images(p, v.name)))
    yield _pictures(*pictures)


def _calibration(
    p: Joint, x: np.ndarray, n: int, targets: Sequence[str], seed: int
) -> Iterator[str]:
    told = f"{len(x)} of the {n} rows given" if len(x) < n else f"the {n} rows given"
    yield _words(
        f"On {told}. Rows that the model has learned from flatter it; rows held out do not."
    )
    asked = Asked(p=p, data=decode(p.schema, x), seed=seed)
    drawn = {"log p(row) among draws of the model": ("tail_probability", asked)}
    for name in targets:
        own = Asked(p=p, data=asked.data, target=name)
        drawn[f"p({name} | the other cells)"] = ("reliability", own)
    yield _pictures(
        *(
            f"<div>{_words(told)}{_picture(told, lambda w=what, a=own: PICTURES[w].draw(a))}</div>"
            for told, (what, own) in drawn.items()
        )
    )
    lines = [line for line in (_covered(p, asked.data, x, n) for n in _numbers(p)) if line]
    if lines:
        yield _words(
            f"How many known cells lie in the central {100 * INSIDE:.0f} % interval of p(cell | "
            "the others): more where values have a mass."
        )
        yield _wide(html.table(("column", "cells", "inside"), lines, numbers=(1, 2)))


def _numbers(p: Joint) -> list[str]:
    return [v.name for v in p.schema.variables if not (v.discrete or v.shape)][:COVERED]


def _covered(p: Joint, data: Any, x: np.ndarray, name: str) -> tuple[str, str, str] | None:
    variable = p.schema.variable(name)
    entries = x[:, p.schema.slices[name].start]
    known = ~np.isnan(entries)
    if not known.any():
        return None
    ends = read_frame(p.interval(data, name, INSIDE, unseen="missing"), ["low", "high"]).cells
    values = entries * variable.scale
    low, high = (ends[end].minus(variable.shift) for end in ("low", "high"))
    # A float of the model's may miss an end that it equals.
    slack = 1e-6 * variable.scale
    inside = (values >= low - slack) & (values <= high + slack)
    share = mean_over_rows(inside[known].astype(float))
    return name, f"{known.sum()}", f"{100 * share.value:.1f} ± {100 * share.stderr:.1f} %"


def _unexpected(cell: Cell) -> str:
    likelier = f"{cell.expected} expected, " if cell.expected != cell.value else ""
    return f"{cell.name} = {cell.value} ({likelier}+{cell.excess:.1f})"


def _strange(p: Joint, x: np.ndarray, seed: int) -> Iterator[str]:
    yield _words(
        "By the probability that a draw of the model is no more likely. A cell is told with what "
        "the others of its row lead to expect, and by how many nats it is less expected than cells "
        "of its column usually are: -log p(cell | the others), less its mean over rows."
    )
    lines = []
    for row in least_expected(p, x, seed=seed):
        cells = "; ".join(map(_unexpected, row.cells))
        lines.append((f"{row.number}", f"{row.log_prob:.2f}", f"{row.tail:.4f}", cells))
    head = ("row, from 0", "log p (nats)", "tail probability", "cells least expected")
    yield _wide(html.table(head, lines, numbers=(0, 1, 2)))
