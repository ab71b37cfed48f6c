"""Frozen distributions of scipy.stats."""

from collections.abc import Callable
from typing import Any

import numpy as np

from pofx.core.errors import PofxError
from pofx.distributions import continuous, discrete
from pofx.distributions.gaussians import gaussian
from pofx.joint.joint import Joint

MAX_LEVELS = 10_000
"""The most values of a discrete distribution that has no family of its own."""
UNMOVED = ("expon", "gamma", "erlang", "chi2", "beta", "lognorm", "poisson", "nbinom")
"""Distributions whose family begins at zero, so that they cannot be moved by `loc`."""
FAMILIES: dict[str, Callable[..., Joint]] = {
    "beta": lambda v, name: continuous.beta(v["a"], v["b"], name=name),
    "cauchy": lambda v, name: continuous.student_t(1.0, v["loc"], v["scale"], name=name),
    "chi2": lambda v, name: continuous.gamma(v["df"] / 2, 0.5 / v["scale"], name=name),
    "erlang": lambda v, name: continuous.gamma(v["a"], 1 / v["scale"], name=name),
    "expon": lambda v, name: continuous.exponential(1 / v["scale"], name=name),
    "gamma": lambda v, name: continuous.gamma(v["a"], 1 / v["scale"], name=name),
    "lognorm": lambda v, name: continuous.log_normal(np.log(v["scale"]), v["s"], name=name),
    "nbinom": lambda v, name: discrete.negative_binomial(
        v["n"], v["n"] * (1 - v["p"]) / v["p"], name=name
    ),
    "norm": lambda v, name: continuous.normal(v["loc"], v["scale"], name=name),
    "poisson": lambda v, name: discrete.poisson(v["mu"], name=name),
    "t": lambda v, name: continuous.student_t(v["df"], v["loc"], v["scale"], name=name),
    "uniform": lambda v, name: continuous.uniform(v["loc"], v["loc"] + v["scale"], name=name),
}


def from_scipy(frozen: Any, *, name: str = "x") -> Joint:
    """The distribution of one column that a frozen distribution of scipy.stats is.

    Args:
        frozen: such as `scipy.stats.gamma(2, scale=3)`: one whose family pofx has, or a discrete
            one of finitely many values, which become levels; or `multivariate_normal(mean, cov)`.
        name: of the column; the columns of a multivariate normal are x1, x2, ... for "x".

    Returns a `Joint`. Raises PofxError for a family that pofx does not have.

    >>> from scipy import stats
    >>> print(from_scipy(stats.binom(2, 0.5)).ask("P(x = 1)"))
    P(x = 1) = 0.5   exact, closed form
    """
    if hasattr(frozen, "cov_object"):
        mean = np.atleast_1d(frozen.mean)
        names = [f"{name}{i + 1}" for i in range(len(mean))]
        return gaussian(mean, np.atleast_2d(frozen.cov), names=names)
    if not hasattr(frozen, "dist") or not hasattr(frozen, "args"):
        got = type(frozen).__name__
        raise PofxError(f"frozen: expected a frozen distribution of scipy.stats, got {got}")
    family, values = frozen.dist.name, _parameters(frozen)
    is_moved = values["loc"] != 0 or (family == "beta" and values["scale"] != 1)
    if family in FAMILIES and not (family in UNMOVED and is_moved):
        return FAMILIES[family](values, name)
    if hasattr(frozen, "pmf") and np.diff(frozen.support())[0] < MAX_LEVELS:
        low, high = map(int, frozen.support())
        levels = range(low, high + 1)
        return discrete.categorical(frozen.pmf(levels), levels=levels, name=name)
    moved = f" moved by loc={values['loc']:g}" if family in FAMILIES else ""
    raise PofxError(
        f"frozen: no family for scipy's {family}{moved}; there are: {', '.join(FAMILIES)}"
    )


def _parameters(frozen: Any) -> dict[str, float]:
    """The parameters by name, with scipy's defaults of loc and scale."""
    shapes = (frozen.dist.shapes or "").replace(" ", "").split(",")
    names = [*filter(None, shapes), "loc", "scale"]
    values = {"loc": 0.0, "scale": 1.0, **dict(zip(names, frozen.args)), **frozen.kwds}
    if any(np.size(value) != 1 for value in values.values()):
        raise PofxError("frozen: expected one distribution, got arrays of parameters")
    return {key: float(np.ravel(value)[0]) for key, value in values.items()}
