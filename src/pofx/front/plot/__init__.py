"""Pictures of a distribution: functions that draw on axes and return them, so that they compose.

Each takes what it draws, mostly a `Joint` and maybe data, and `ax`, the axes to draw on; without it
the figure is a fresh one that needs no display: `pofx.plot.marginal(p, "x").figure.savefig(path)`.
"""

from pofx.front.plot.basic import curves, image_grid, matrix, scatter
from pofx.front.plot.bayes import evidence
from pofx.front.plot.canvas import COLOURS, MARKERS, figure
from pofx.front.plot.columns import marginal
from pofx.front.plot.pairs import joint
from pofx.front.plot.pixels import completions, images
from pofx.front.plot.tells import bernoulli_entropy, information
from pofx.front.plot.trust import learning, reliability, surprise

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
