"""A permutation test of independence."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from pofx.core.answer import Answer
from pofx.core.errors import PofxError
from pofx.estimate import discrete as levels
from pofx.estimate import ksg as near
from pofx.estimate.information import mutual_information
from pofx.estimate.input_samples import Sample, read

CLOSE = 5
"""Rows nearest in the condition, the own one too, among which a row finds its x (Runge 2018)."""
SHARE, FEWEST, MOST = 20, 3, 50
"""One neighbour for so many rows, and the fewest and the most of them."""


@dataclass(frozen=True)
class IndependenceTest:
    """A test of independence: how much information was seen, and how rare as much is by chance.

    `p_value` is the share of permutations, the one seen among them, that show as much or more.

    >>> seen = Answer(0.3, 0.02, "estimate", unit="nats", question="I(x; y)")
    >>> print(IndependenceTest(seen, 0.005, 199, "permutations"))
    I(x; y) = 0.300 ± 0.020 nats   estimate
    p = 0.005   199 permutations
    """

    information: Answer
    p_value: float
    permutations: int
    method: str

    __test__ = False  # or pytest takes it, by its name, for test cases

    def __str__(self) -> str:
        return f"{self.information}\np = {self.p_value:.3g}   {self.permutations} {self.method}"


def independence_test(
    x: Any,
    y: Any,
    *,
    given: Any = None,
    discrete: Any = None,
    neighbours: int | None = None,
    permutations: int = 199,
    seed: int = 0,
) -> IndependenceTest:
    """A test whether x and y are independent (given z), by permutations of x.

    p = (1 + #{T_i >= T}) / (1 + permutations), T an estimate of I(x; y | z): of levels the plug-in
    one, the G statistic / 2n; else by `neighbours`, if not told one for 20 rows, 3 to 50: more than
    an estimate would take, for all T_i have its bias, and spread less with more. Rows are all
    exchanged, or those of the same levels of a discrete `given`. Under independence p <= α then has
    probability at most α, for samples of any size (Phipson and Smyth 2010). With continuous `given`
    each row takes the x of one of five rows nearest in z, each given away once where that can be
    (Runge 2018): that is approximate, and p too small where x varies much among such rows. Raises
    PofxError for bad input.

    >>> x = np.random.default_rng(0).normal(size=200)
    >>> print(independence_test(x, x**2 + np.random.default_rng(1).normal(size=200)))
    I(x; y) = 0.36 ± 0.06 nats   estimate, KSG, 10 neighbours, 200 rows
    p = 0.005   199 permutations
    """
    if not isinstance(permutations, Integral) or permutations < 1:
        raise PofxError(f"permutations: expected a whole number, at least 1; got {permutations!r}")
    samples, _ = read({"x": x, "y": y, "given": given}, discrete)
    if neighbours is None:
        neighbours = int(np.clip(samples["x"].rows // SHARE, FEWEST, MOST))
    information = mutual_information(
        x, y, given=given, discrete=discrete, neighbours=neighbours, seed=seed
    )
    one, other, rest = samples.values()
    statistic = _statistic(one, other, rest, neighbours)
    exchange, how = _exchange(rest, np.random.default_rng(seed))
    seen = statistic(np.arange(one.rows)) - near.SLACK
    as_much = sum(statistic(exchange()) >= seen for _ in range(permutations))
    return IndependenceTest(information, (1 + as_much) / (1 + permutations), permutations, how)


def _statistic(x: Sample, y: Sample, z: Sample, k: int) -> Callable[[np.ndarray], float]:
    """The function from an order of the rows of x to the information."""
    if x.discrete and y.discrete and z.discrete:
        told, information = x.level, partial(_plug_in, y.level, z.level)
    else:
        told, information = (
            near.normal_scores(x),
            near.information(near.normal_scores(y), near.normal_scores(z), k),
        )
    return lambda order: information(told[order])


def _plug_in(y: np.ndarray, z: np.ndarray, x: np.ndarray) -> float:
    return levels.mutual_information(x, y, z, "plug-in")[0]


def _exchange(given: Sample, rng: np.random.Generator) -> tuple[Callable[[], np.ndarray], str]:
    """The function that draws an order of rows, and what it does in words."""
    if not given.discrete:
        close = _close(near.normal_scores(given))
        return lambda: _local(close, rng), f"local permutations, among {CLOSE} rows, approximate"
    grouped = np.argsort(given.level, kind="stable")

    def draw() -> np.ndarray:
        order = np.empty(given.rows, np.int64)
        order[grouped] = np.lexsort((rng.random(given.rows), given.level))
        return order

    return draw, "permutations" + (" within the levels given" if given.level.any() else "")


def _close(z: np.ndarray) -> np.ndarray:
    """The rows nearest to each, of the same levels; (n, CLOSE)."""
    distance, row = KDTree(z).query(z, min(CLOSE, len(z)), p=np.inf)
    return np.where(distance < near.GAP, row, np.arange(len(z))[:, None])


def _local(close: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A row in exchange for each, among those close to it, taken twice only in want of another."""
    taken = [False] * len(close)
    order = np.empty(len(close), np.int64)
    offers = rng.permuted(close, axis=1).tolist()
    for row in rng.permutation(len(close)).tolist():
        other = next((o for o in offers[row] if not taken[o]), offers[row][-1])
        taken[other], order[row] = True, other
    return order
