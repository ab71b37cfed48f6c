"""Entropy and mutual information straight from samples."""

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from scipy.stats import rankdata

from pofx.core.answer import Answer
from pofx.core.errors import PofxError, unknown_name_error
from pofx.estimate import discrete as levels
from pofx.estimate import ksg as near
from pofx.estimate.discrete import METHODS as COUNTS
from pofx.estimate.input_samples import Sample, read
from pofx.estimate.subsampling import standard_error
from pofx.estimate.under_model import under_model

MONOTONE = 20
"""Rows from which on two columns in the same order are no coincidence."""
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
    """H(x) = E[-log p(x)] from a sample of shape (n,) or (n, d), without a model of p.

    Of levels by "grassberger" (2003, the default: little bias with few rows a level), "plug-in",
    "miller-madow" (1955), "chao-shen" (2003), "shrinkage" (Hausser and Strimmer 2009) or "nsb"
    (Nemenman, Shafee and Bialek 2002); the last two suppose that every level was seen. Where a
    column is continuous by "kozachenko-leonenko" (1987), from the distances to the nearest
    `neighbours`: a differential entropy in the data's units, which may be negative. Which columns
    are discrete is found by `pofx.estimate.input_samples.read`; `discrete` overrides it. Rows with
    missing cells are dropped. `stderr` covers the sampling, not the bias; without it, it is NaN.
    Raises PofxError for bad input, and for numbers that repeat so often that they have no density.

    >>> x = np.random.default_rng(0).normal(size=1000)
    >>> print(entropy(x))  # true: 1.419
    H(x) = 1.34 ± 0.04 nats   estimate, kozachenko-leonenko, 3 neighbours, 1000 rows
    >>> print(entropy(["a", "b", "a", "c"] * 50, unit="bits"))  # true: 1.5
    H(x) = 1.50 ± 0.04 bits   estimate, grassberger, 200 rows
    """
    _check(neighbours, seed, unit)
    samples, dropped = read({"x": x}, discrete)
    sample, counts = samples["x"], list(COUNTS)
    if sample.discrete:
        method = _chosen(method or "grassberger", counts, ["kozachenko-leonenko"], "levels")
        value, error = levels.entropy(sample.level, method)
    else:
        method = _chosen(
            method or "kozachenko-leonenko", ["kozachenko-leonenko"], counts, "numbers"
        )
        value, error = _differential(sample, neighbours, seed, stderr)
    how = _how(method, neighbours, sample.rows, dropped)
    return _answer(value, error if stderr else math.nan, "H(x)", how, unit)


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

    Each of the variables has shape (n,) or (n, d). Which columns are discrete is found by
    `pofx.estimate.input_samples.read`; `discrete` overrides it: a bool, or a mapping from "x", "y"
    and "given" to bools. Rows with missing cells are dropped.

    | columns | method |
    | --- | --- |
    | all discrete | "nsb" (Nemenman, Shafee and Bialek 2002), or another of those of `entropy` |
    | all continuous, no value twice | "ksg" (Kraskov, Stögbauer and Grassberger 2004) |
    | any | "mixed" (Gao et al. 2017; Mesner and Shalizi 2020); "ksg" is its case of no ties |

    The latter two take the normal scores of each continuous column, so that increasing maps of
    columns leave the estimate as it is. They err towards independence in many dimensions, and where
    information is large: n rows hardly show more than log n. The estimate is not cut off at 0:
    that of independent variables scatters around 0, and its mean would be wrong. `stderr` covers
    the sampling, not the bias. Raises PofxError for bad input.

    With `model` the answer comes from a model that is cross-fitted: learned from four fifths of the
    rows and scored on the fifth that is held out, five times over. The model's own overfitting
    raises the score of rows learned from and lowers that of rows held out by the same amount to
    first order, so the estimate is the average of both. `model` is one of

    - a name that `pofx models` lists: "gaussian", "chow_liu_tree", ...
    - a function `fit(data, weights=...)`: `functools.partial(pofx.fit, model="mixture",
      components=4)`. It gets columns x, y and given (x0, x1, ... if there are several) and weights
      of 0 for the rows that are held out.
    - "auto": continuous columns are compared under a Student-t copula and mixtures of normals,
      other columns under a Chow-Liu tree and mixtures. The model is taken that best tells held-out
      rows from pairs of different rows. If nothing confirms that the model follows the dependence,
      the error is unknown (`stderr` is NaN) and a warning says why.

    `stderr` then covers the rows, and what learning from n rows leaves. It does not cover a named
    model that cannot follow the dependence: that errs, mostly towards independence.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=1000)
    >>> print(mutual_information(x, x + rng.normal(size=1000)))  # true: 0.347
    I(x; y) = 0.35 ± 0.04 nats   estimate, KSG, 3 neighbours, 1000 rows
    >>> print(mutual_information(x > 0, ["a", "b"] * 500, given=x.round()))
    I(x; y | given) = 0.0001 ± 0.0017 nats   estimate, NSB, 1000 rows
    """
    _check(neighbours, seed, unit)
    what = "I(x; y)" if given is None else "I(x; y | given)"
    samples, dropped = read({"x": x, "y": y, "given": given}, discrete)
    if model is not None:
        if method is not None:
            raise PofxError(f"method: expected None beside a model, got {method!r}; leave one out")
        found = under_model(samples, model, given=given is not None, seed=seed, stderr=stderr)
        return _answer(found.value, found.stderr, what, _with_dropped(found.how, dropped), unit)
    method = _fitting(samples, method)
    if method in COUNTS:
        one, other, rest = (s.level for s in samples.values())
        value, error = levels.mutual_information(one, other, rest, method)
    else:
        _check_distinct(samples["x"], samples["y"])
        value, error = _nearby(samples, neighbours, seed, stderr)
    how = _how(method, neighbours, samples["x"].rows, dropped)
    return _answer(value, error if stderr else math.nan, what, how, unit)


def _check_distinct(x: Sample, y: Sample) -> None:
    """Raises PofxError where a column of numbers in y is one of those in x, in the same order."""
    places = [rankdata(s.numbers, axis=0) for s in (x, y)]
    for i, one in enumerate(places[0].T):
        for j, other in enumerate(places[1].T):
            order = (one == other).all() or (x.rows + 1 - one == other).all()
            same = (x.numbers[:, i] == y.numbers[:, j]).all()
            if same or (order and x.rows >= MONOTONE and len(np.unique(one)) == x.rows):
                raise PofxError(
                    f"x, y: expected columns that do not determine each other, got column {i} of x "
                    f"and column {j} of y in one order; I of such numbers is infinite; drop one, "
                    "or pass discrete=True"
                )


def _fitting(samples: Mapping[str, Sample], method: str | None) -> str:
    """The method asked for, if it fits the columns, or the first of those that do."""
    if all(s.discrete for s in samples.values()):
        return _chosen(method or "nsb", [*COUNTS, "mixed"], ["ksg"], "levels")
    if all(s.smooth for s in samples.values()):
        return _chosen(method or "ksg", ["ksg", "mixed"], list(COUNTS), "numbers")
    return _chosen(method or "mixed", ["mixed"], ["ksg", *COUNTS], "levels and repeated numbers")


def _nearby(
    samples: Mapping[str, Sample], neighbours: int, seed: int, stderr: bool
) -> tuple[float, float]:
    """I in nats by neighbours, and its standard error."""
    x, y, z = map(near.normal_scores, samples.values())
    _enough(len(x), neighbours)

    def of(rows: np.ndarray) -> float:
        return near.information(y[rows], z[rows], neighbours)(x[rows])

    return of(np.arange(len(x))), _error(of, len(x), neighbours, seed, stderr)


def _differential(sample: Sample, neighbours: int, seed: int, stderr: bool) -> tuple[float, float]:
    """H in nats of a sample with continuous columns, and its standard error."""
    _enough(sample.rows, neighbours)
    points, unit = near.interquartile_scaled(sample)
    columns = sample.numbers.shape[1]
    neg_log_density_knn = near.neg_log_density_knn(points, columns, neighbours)
    lost = int(np.isnan(neg_log_density_knn).sum())
    if lost:
        raise PofxError(
            f"x: expected a density, and {lost} rows are the same as {neighbours} others, or alone "
            "with their levels; try discrete=True, or more neighbours"
        )

    def of(rows: np.ndarray) -> float:
        neg_log_density_knn = near.neg_log_density_knn(points[rows], columns, neighbours)
        known = neg_log_density_knn[
            ~np.isnan(neg_log_density_knn)
        ]  # a level of few rows may be left with one
        return float(known.mean()) if len(known) else math.nan

    return float(neg_log_density_knn.mean()) + unit, _error(
        of, len(points), neighbours, seed, stderr
    )


def _error(
    of: Callable[[np.ndarray], float], rows: int, neighbours: int, seed: int, stderr: bool
) -> float:
    return standard_error(of, rows, seed=seed, least=neighbours + 2) if stderr else math.nan


def _check(neighbours: Any, seed: Any, unit: Any) -> None:
    for name, number, least in (("neighbours", neighbours, 1), ("seed", seed, 0)):
        if not isinstance(number, Integral) or number < least:
            raise PofxError(f"{name}: expected a whole number, at least {least}; got {number!r}")
    if unit not in tuple(UNITS):
        raise unknown_name_error("unit", unit, UNITS)


def _enough(rows: int, neighbours: int) -> None:
    if rows < neighbours + 2:
        raise PofxError(
            f"neighbours: expected at most rows - 2, and {rows} rows came for {neighbours} "
            "neighbours; try fewer, or more rows"
        )


def _chosen(method: str, fitting: Sequence[str], others: Sequence[str], what: str) -> str:
    if method in fitting:
        return method
    if method not in others:
        raise unknown_name_error("method", method, [*fitting, *others])
    raise PofxError(
        f"method: {method!r} is not for {what}; there is {', '.join(fitting)}; discrete= says "
        "what is a level"
    )


def _how(method: str, neighbours: int, rows: int, dropped: int) -> str:
    told = [method.upper() if method in ("nsb", "ksg") else method]
    told += [] if method in COUNTS else [f"{neighbours} neighbours"]
    return _with_dropped(", ".join([*told, f"{rows} rows"]), dropped)


def _with_dropped(how: str, dropped: int) -> str:
    return f"{how}, {dropped} dropped for missing cells" if dropped else how


def _answer(value: float, error: float, what: str, how: str, unit: str) -> Answer:
    one = UNITS[unit]
    return Answer(float(value / one), error / one, "estimate", method=how, unit=unit, question=what)
