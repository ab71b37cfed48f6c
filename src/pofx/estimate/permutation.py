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
from pofx.estimate import discrete as count_estimates
from pofx.estimate import ksg
from pofx.estimate.information import mutual_information
from pofx.estimate.input_samples import Sample, read

LOCAL_ROWS = 5
"""Rows nearest in z, the row itself included, among which x is exchanged (Runge 2018)."""
ROWS_PER_NEIGHBOUR, MIN_NEIGHBOURS, MAX_NEIGHBOURS = 20, 3, 50
"""The default number of neighbours is one per 20 rows, within these limits."""


@dataclass(frozen=True)
class IndependenceTest:
    """A test of independence: an estimate of the information, and its p-value.

    Args:
        information: the estimate of I(x; y) or I(x; y | given), in nats.
        p_value: the share of permutations, the sample itself included, with as much information or
            more; from 1 / (1 + permutations) to 1.
        permutations: their number.
        method: what was permuted, as text that follows that number.

    >>> information = Answer(0.3, 0.02, "estimate", unit="nats", question="I(x; y)")
    >>> print(IndependenceTest(information, 0.005, 199, "permutations"))
    I(x; y) = 0.300 ± 0.020 nats   estimate
    p = 0.005   199 permutations
    """

    information: Answer
    p_value: float
    permutations: int
    method: str

    __test__ = False  # else pytest collects it, because of its name

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
    """Test whether x and y are independent, or independent given z, by permutations of x.

    p = (1 + #{T_i >= T}) / (1 + permutations), where T estimates I(x; y | z): the plug-in estimate
    for levels (the G statistic / 2n), else one by nearest neighbours.

    All rows are exchanged, or rows with the same levels of a discrete condition. Under independence
    P(p <= α) is then at most α, for samples of any size (Phipson and Smyth 2010). With a continuous
    condition each row gets the x of one of the five rows nearest in z, each used only once if
    possible (Runge 2018). The test is then approximate: p is too small if x varies much among such
    rows.

    Args:
        x: a sample of shape (n,) or (n, d). Rows with missing cells in any sample are dropped.
        y: as x.
        given: the condition z, as x.
        discrete: which columns are discrete, as in `mutual_information`.
        neighbours: number of nearest neighbours, by default one per 20 rows, 3 to 50. The default
            is larger than for an estimate, because all T_i have the same bias, and more neighbours
            make them vary less.
        permutations: number of permutations.
        seed: seed of the permutations.

    Raises:
        PofxError: bad input.

    >>> x = np.random.default_rng(0).normal(size=200)
    >>> print(independence_test(x, x**2 + np.random.default_rng(1).normal(size=200)))
    I(x; y) = 0.36 ± 0.06 nats   estimate, KSG, 10 neighbours, 200 rows
    p = 0.005   199 permutations
    """
    if not isinstance(permutations, Integral) or permutations < 1:
        raise PofxError(f"permutations: expected a whole number, at least 1; got {permutations!r}")
    samples, _ = read({"x": x, "y": y, "given": given}, discrete)
    if neighbours is None:
        default = samples["x"].rows // ROWS_PER_NEIGHBOUR
        neighbours = int(np.clip(default, MIN_NEIGHBOURS, MAX_NEIGHBOURS))
    information = mutual_information(
        x, y, given=given, discrete=discrete, neighbours=neighbours, seed=seed
    )
    sample_x, sample_y, sample_z = samples.values()
    statistic = _statistic(sample_x, sample_y, sample_z, neighbours)
    draw_order, method = _permuter(sample_z, np.random.default_rng(seed))
    threshold = statistic(np.arange(sample_x.rows)) - ksg.ROUNDING_SLACK
    exceedances = sum(statistic(draw_order()) >= threshold for _ in range(permutations))
    p_value = (1 + exceedances) / (1 + permutations)
    return IndependenceTest(information, p_value, permutations, method)


def _statistic(x: Sample, y: Sample, z: Sample, k: int) -> Callable[[np.ndarray], float]:
    """The function from an order of the rows of x to the information."""
    if x.discrete and y.discrete and z.discrete:
        points = x.level
        information = partial(_plug_in_information, y.level, z.level)
    else:
        points = ksg.normal_scores(x)
        information = ksg.information(ksg.normal_scores(y), ksg.normal_scores(z), k)
    return lambda order: information(points[order])


def _plug_in_information(y: np.ndarray, z: np.ndarray, x: np.ndarray) -> float:
    return count_estimates.mutual_information(x, y, z, "plug-in")[0]


def _permuter(given: Sample, rng: np.random.Generator) -> tuple[Callable[[], np.ndarray], str]:
    """A function that draws an order of rows, and a description of the orders."""
    if not given.discrete:
        local_rows = _local_rows(ksg.normal_scores(given))
        method = f"local permutations, among {LOCAL_ROWS} rows, approximate"
        return lambda: _draw_local_order(local_rows, rng), method
    by_level = np.argsort(given.level, kind="stable")

    def draw_order() -> np.ndarray:
        order = np.empty(given.rows, np.int64)
        order[by_level] = np.lexsort((rng.random(given.rows), given.level))
        return order

    return draw_order, "permutations" + (" within the levels given" if given.level.any() else "")


def _local_rows(z: np.ndarray) -> np.ndarray:
    """The nearest rows of each row, with the same levels; (n, LOCAL_ROWS)."""
    distance, row = KDTree(z).query(z, min(LOCAL_ROWS, len(z)), p=np.inf)
    return np.where(distance < ksg.LEVEL_DISTANCE, row, np.arange(len(z))[:, None])


def _draw_local_order(local_rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A row for each row, among its nearest ones; used twice only if no other is left."""
    is_used = [False] * len(local_rows)
    order = np.empty(len(local_rows), np.int64)
    candidates = rng.permuted(local_rows, axis=1).tolist()
    for row in rng.permutation(len(local_rows)).tolist():
        partner = next((c for c in candidates[row] if not is_used[c]), candidates[row][-1])
        is_used[partner] = True
        order[row] = partner
    return order
