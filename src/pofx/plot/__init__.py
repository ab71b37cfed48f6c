"""Pictures of a distribution: functions that draw on axes and return them, so that they compose.

Each takes what it draws, mostly a `Joint` and maybe data, and `ax`, the axes to draw on; without it
the figure is a fresh one that needs no display: `pofx.plot.marginal(p, "x").figure.savefig(path)`.
"""

from pofx.plot.basic import curves, image_grid, matrix, scatter
from pofx.plot.bayes import evidence
from pofx.plot.canvas import COLOURS, MARKERS, figure
from pofx.plot.columns import marginal
from pofx.plot.pairs import joint
from pofx.plot.pixels import completions, images
from pofx.plot.tells import bernoulli_entropy, information
from pofx.plot.trust import learning, reliability, surprise

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
    "surprise",
]
