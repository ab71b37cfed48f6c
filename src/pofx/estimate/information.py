"""Entropy and mutual information of samples, without a model or with a cross-fitted one."""

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from scipy.stats import rankdata

from pofx.core.answer import Answer
from pofx.core.errors import PofxError, unknown_name_error
from pofx.estimate import discrete as count_estimates
from pofx.estimate import ksg
from pofx.estimate.discrete import METHODS as COUNT_METHODS
from pofx.estimate.input_samples import Sample, read
from pofx.estimate.subsampling import standard_error
from pofx.estimate.under_model import under_model

MIN_SAME_ORDER_ROWS = 20
"""From this number of rows two columns in the same order are no coincidence."""
UNITS = {"nats": 1.0, "bits": math.log(2)}


def entropy(
    x: Any,
    *,
    discrete: Any = None,
    method: str | None = None,
    neighbours: int = 3,
    stderr: bool = True,
    seed: int = 0,
    unit: str = "nats",
) -> Answer:
    """H(x) = E[-log p(x)] from a sample, without a model of p.

    The entropy of continuous columns is differential, in the units of the data, and may be
    negative. The standard error covers sampling, not bias.

    Args:
        x: the sample, of shape (n,) or (n, d). Rows with missing cells are dropped.
        discrete: which columns are discrete: a bool, or one bool per column. By default
            `pofx.estimate.input_samples.read` infers it.
        method: for discrete columns "grassberger" (2003, the default, with little bias if there
            are few rows per level), "plug-in", "miller-madow" (1955), "chao-shen" (2003),
            "shrinkage" (Hausser and Strimmer 2009) or "nsb" (Nemenman, Shafee and Bialek 2002);
            the last two assume that every level was seen. If a column is continuous,
            "kozachenko-leonenko" (1987), by distances to nearest neighbours.
        neighbours: number of nearest neighbours.
        stderr: whether to compute the standard error, else NaN.
        seed: seed of the subsamples behind the standard error.
        unit: "nats" or "bits".

    Raises:
        PofxError: bad input, or numbers that repeat so often that they have no density.

    >>> x = np.random.default_rng(0).normal(size=1000)
    >>> print(entropy(x))  # true: 1.419
    H(x) = 1.34 ± 0.04 nats   estimate, kozachenko-leonenko, 3 neighbours, 1000 rows
    >>> print(entropy(["a", "b", "a", "c"] * 50, unit="bits"))  # true: 1.5
    H(x) = 1.50 ± 0.04 bits   estimate, grassberger, 200 rows
    """
    _check_arguments(neighbours, seed, unit)
    samples, dropped = read({"x": x}, discrete)
    sample = samples["x"]
    count_methods = list(COUNT_METHODS)
    number_methods = ["kozachenko-leonenko"]
    if sample.discrete:
        method = _check_method(method or "grassberger", count_methods, number_methods, "levels")
        value, error = count_estimates.entropy(sample.level, method)
    else:
        method = _check_method(
            method or "kozachenko-leonenko", number_methods, count_methods, "numbers"
        )
        value, error = _differential_entropy(sample, neighbours, seed, stderr)
    description = _describe(method, neighbours, sample.rows, dropped)
    return _answer(value, error if stderr else math.nan, "H(x)", description, unit)


def mutual_information(
    x: Any,
    y: Any,
    *,
    given: Any = None,
    discrete: Any = None,
    method: str | None = None,
    neighbours: int = 3,
    model: Any = None,
    stderr: bool = True,
    seed: int = 0,
    unit: str = "nats",
) -> Answer:
    """I(x; y | given) = E[log p(x, y | z) / p(x | z) p(y | z)] from samples.

    Args:
        x: a sample of shape (n,) or (n, d). Rows with missing cells in any sample are dropped.
        y: as x.
        given: the condition z, as x.
        discrete: which columns are discrete: a bool, or a mapping from "x", "y" and "given" to
            bools. By default `pofx.estimate.input_samples.read` infers it.
        method: a method of the table below, without a model.
        neighbours: number of nearest neighbours of "ksg" and "mixed".
        model: a model to cross-fit instead, as described below.
        stderr: whether to compute the standard error, else NaN.
        seed: seed of the subsamples behind the standard error, and of the folds.
        unit: "nats" or "bits".

    | columns | method |
    | --- | --- |
    | all discrete | "nsb" (Nemenman, Shafee and Bialek 2002), or another one of `entropy` |
    | all continuous, without ties | "ksg" (Kraskov, Stögbauer and Grassberger 2004) |
    | any | "mixed" (Gao et al. 2017; Mesner and Shalizi 2020), which is "ksg" without ties |

    "ksg" and "mixed" use the normal scores of each continuous column, so increasing maps of columns
    do not change the estimate. Both are biased towards independence in many dimensions and for
    large information, because n rows hardly show more than log n. The estimate is not clipped at 0,
    because that of independent variables scatters around 0, and its mean would be wrong. The
    standard error covers sampling, not bias.

    With `model` the answer comes from a cross-fitted model: it is learned from four fifths of the
    rows and scored on the other fifth, five times. Overfitting raises the score of rows learned
    from and lowers that of held-out rows by the same amount to first order, so the estimate is the
    average of both. The standard error covers the rows and the error of learning from n rows. A
    named model that cannot follow the dependence has an estimate that is mostly biased towards
    independence, which the standard error does not cover. `model` is one of

    - a name that `pofx models` lists: "gaussian", "chow_liu_tree", ...
    - a function `fit(data, weights=...)`: `functools.partial(pofx.fit, model="mixture",
      components=4)`. The function gets columns x, y and given (x0, x1, ... if there are several)
      and weights of 0 for held-out rows.
    - "auto": continuous columns are compared under a Student-t copula and mixtures of normals,
      other columns under a Chow-Liu tree and mixtures. The model that best distinguishes held-out
      rows from pairs of different rows is taken. If nothing confirms that the model follows the
      dependence, the error is unknown (`stderr` is NaN) and a warning says why.

    Raises:
        PofxError: bad input.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=1000)
    >>> print(mutual_information(x, x + rng.normal(size=1000)))  # true: 0.347
    I(x; y) = 0.35 ± 0.04 nats   estimate, KSG, 3 neighbours, 1000 rows
    >>> print(mutual_information(x > 0, ["a", "b"] * 500, given=x.round()))
    I(x; y | given) = 0.0001 ± 0.0017 nats   estimate, NSB, 1000 rows
    """
    _check_arguments(neighbours, seed, unit)
    question = "I(x; y)" if given is None else "I(x; y | given)"
    samples, dropped = read({"x": x, "y": y, "given": given}, discrete)
    if model is not None:
        if method is not None:
            raise PofxError(f"method: expected None beside a model, got {method!r}; leave one out")
        estimate = under_model(samples, model, given=given is not None, seed=seed, stderr=stderr)
        description = _with_dropped(estimate.method, dropped)
        return _answer(estimate.value, estimate.stderr, question, description, unit)
    method = _method_for(samples, method)
    if method in COUNT_METHODS:
        level_x, level_y, level_z = (s.level for s in samples.values())
        value, error = count_estimates.mutual_information(level_x, level_y, level_z, method)
    else:
        _check_distinct(samples["x"], samples["y"])
        value, error = _ksg_information(samples, neighbours, seed, stderr)
    description = _describe(method, neighbours, samples["x"].rows, dropped)
    return _answer(value, error if stderr else math.nan, question, description, unit)


def _check_distinct(x: Sample, y: Sample) -> None:
    """Raise PofxError if a column of numbers in y is a monotone function of one in x."""
    ranks_x, ranks_y = (rankdata(s.numbers, axis=0) for s in (x, y))
    for i, rank_x in enumerate(ranks_x.T):
        for j, rank_y in enumerate(ranks_y.T):
            same_order = (rank_x == rank_y).all() or (x.rows + 1 - rank_x == rank_y).all()
            has_ties = len(np.unique(rank_x)) < x.rows
            same_values = (x.numbers[:, i] == y.numbers[:, j]).all()
            if same_values or (same_order and x.rows >= MIN_SAME_ORDER_ROWS and not has_ties):
                raise PofxError(
                    f"x, y: expected columns that do not determine each other, got column {i} of x "
                    f"and column {j} of y in one order; I of such numbers is infinite; drop one, "
                    "or pass discrete=True"
                )


def _method_for(samples: Mapping[str, Sample], method: str | None) -> str:
    """The requested method, if it suits the columns, or the default one for these columns."""
    if all(s.discrete for s in samples.values()):
        return _check_method(method or "nsb", [*COUNT_METHODS, "mixed"], ["ksg"], "levels")
    if all(s.smooth for s in samples.values()):
        return _check_method(method or "ksg", ["ksg", "mixed"], list(COUNT_METHODS), "numbers")
    return _check_method(
        method or "mixed", ["mixed"], ["ksg", *COUNT_METHODS], "levels and repeated numbers"
    )


def _ksg_information(
    samples: Mapping[str, Sample], neighbours: int, seed: int, stderr: bool
) -> tuple[float, float]:
    """I in nats by nearest neighbours, and its standard error."""
    x, y, z = map(ksg.normal_scores, samples.values())
    _check_enough_rows(len(x), neighbours)

    def estimate(rows: np.ndarray) -> float:
        return ksg.information(y[rows], z[rows], neighbours)(x[rows])

    value = estimate(np.arange(len(x)))
    return value, _stderr_or_nan(estimate, len(x), neighbours, seed, stderr)


def _differential_entropy(
    sample: Sample, neighbours: int, seed: int, stderr: bool
) -> tuple[float, float]:
    """H in nats of a sample with continuous columns, and its standard error."""
    _check_enough_rows(sample.rows, neighbours)
    points, log_unit = ksg.interquartile_scaled(sample)
    columns = sample.numbers.shape[1]
    terms = ksg.neg_log_density_knn(points, columns, neighbours)
    invalid = int(np.isnan(terms).sum())
    if invalid:
        raise PofxError(
            f"x: expected numbers with a density, got {invalid} rows that equal {neighbours} other "
            "rows or have no other row of their level; try discrete=True, or more neighbours"
        )

    def estimate(rows: np.ndarray) -> float:
        terms = ksg.neg_log_density_knn(points[rows], columns, neighbours)
        terms = terms[~np.isnan(terms)]  # a subsample may have a single row of a level
        return float(terms.mean()) if len(terms) else math.nan

    value = float(terms.mean()) + log_unit
    return value, _stderr_or_nan(estimate, len(points), neighbours, seed, stderr)


def _stderr_or_nan(
    estimate: Callable[[np.ndarray], float], rows: int, neighbours: int, seed: int, stderr: bool
) -> float:
    if not stderr:
        return math.nan
    return standard_error(estimate, rows, seed=seed, min_rows=neighbours + 2)


def _check_arguments(neighbours: Any, seed: Any, unit: Any) -> None:
    for name, number, minimum in (("neighbours", neighbours, 1), ("seed", seed, 0)):
        if not isinstance(number, Integral) or number < minimum:
            raise PofxError(f"{name}: expected a whole number, at least {minimum}; got {number!r}")
    if unit not in tuple(UNITS):
        raise unknown_name_error("unit", unit, UNITS)


def _check_enough_rows(rows: int, neighbours: int) -> None:
    if rows < neighbours + 2:
        raise PofxError(
            f"neighbours: expected at most {max(rows - 2, 0)} for {rows} rows, got {neighbours}; "
            "try fewer, or more rows"
        )


def _check_method(method: str, suitable: Sequence[str], others: Sequence[str], kind: str) -> str:
    """The method; PofxError if it is unknown or not suitable for columns of this kind."""
    if method in suitable:
        return method
    if method not in others:
        raise unknown_name_error("method", method, [*suitable, *others])
    raise PofxError(
        f"method: {method!r} is not for {kind}; expected {', '.join(suitable)}; discrete= says "
        "what is a level"
    )


def _describe(method: str, neighbours: int, rows: int, dropped: int) -> str:
    words = [method.upper() if method in ("nsb", "ksg") else method]
    words += [] if method in COUNT_METHODS else [f"{neighbours} neighbours"]
    return _with_dropped(", ".join([*words, f"{rows} rows"]), dropped)


def _with_dropped(description: str, dropped: int) -> str:
    return f"{description}, {dropped} dropped for missing cells" if dropped else description


def _answer(value: float, error: float, question: str, description: str, unit: str) -> Answer:
    nats = UNITS[unit]
    return Answer(
        float(value / nats),
        error / nats,
        "estimate",
        method=description,
        unit=unit,
        question=question,
    )
