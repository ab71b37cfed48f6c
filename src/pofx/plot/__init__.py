"""Pictures of a distribution.

Each function takes what it draws (mostly a `Joint`, some also data), draws it on the axes `ax` and
returns the axes. Without `ax` a new figure is made that needs no display:
`pofx.plot.marginal(p, "x").figure.savefig(path)`.
"""

from pofx.plot.diagnostics import learning_curve, reliability, tail_probability
from pofx.plot.evidence import evidence
from pofx.plot.images import completions, images
from pofx.plot.information import bernoulli_entropy, information
from pofx.plot.one_column import marginal
from pofx.plot.primitives import curves, image_grid, matrix, scatter
from pofx.plot.style import COLOURS, MARKERS, figure
from pofx.plot.two_columns import pair

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
    "learning_curve",
    "marginal",
    "matrix",
    "pair",
    "reliability",
    "scatter",
    "tail_probability",
]
