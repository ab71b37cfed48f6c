"""Pictures of a distribution: functions that draw on axes and return them, so that they compose.

Each takes what it draws, mostly a `Joint` and maybe data, and `ax`, the axes to draw on; without it
the figure is a fresh one that needs no display: `pofx.plot.marginal(p, "x").figure.savefig(path)`.
"""

from pofx.plot.diagnostics import learning, reliability, tail_probability
from pofx.plot.evidence import evidence
from pofx.plot.images import completions, images
from pofx.plot.information import bernoulli_entropy, information
from pofx.plot.one_column import marginal
from pofx.plot.primitives import curves, image_grid, matrix, scatter
from pofx.plot.style import COLOURS, MARKERS, figure
from pofx.plot.two_columns import joint

__all__ = [
    "COLOURS",
    "MARKERS",
    "bernoulli_entropy",
    "completions",
    "curves",
    "evidence",
    "figure",
    "image_grid",
    "images",
    "information",
    "joint",
    "learning",
    "marginal",
    "matrix",
    "reliability",
    "scatter",
    "tail_probability",
]
