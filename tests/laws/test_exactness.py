"""Answers that are called exact are right: each kind against enumeration and quadrature."""

import warnings
from dataclasses import replace
from functools import cache

import jax
import numpy as np
import pytest

from pofx.core import float_width

from . import tables
from .answers import answers
from .conftest import TRACTABLE
from .explicit import PARTS, explicit

TOLERANCE = {"wide": 1e-10, "narrow": 1e-5}
NEARLY_SINGULAR = 1e-8
"""The tolerance for a covariance of condition number 1e6 in float64, in standard deviations given
the other columns."""
QUICK = ("class-conditional",)


def rows_of(case, seed, n=24):
    rng = np.random.default_rng(seed)
    x = case.sample(seed, n)
    observed = rng.random(x.shape) < 0.6
    observed[: n // 3] = True
    return x, observed


def test_every_exact_model_is_written_out():
    """A new model must be added to `explicit.py`; a conditional is a ratio of two densities."""
    assert {cls.__name__ for cls in TRACTABLE.values()} == {*PARTS, "Conditional"}


def test_log_prob_is_that_of_the_explicit_density(case):
    if type(case.model).__name__ == "Conditional":
        pytest.skip("it is a ratio of two densities")
    e = explicit(case.model)
    x, observed = rows_of(case, 1)
    expected = np.array([e.log_prob(row[None], seen)[0] for row, seen in zip(x, observed)])
    tolerance = 1e-12 if case.tolerance < 1e-6 else 1e-5
    error = np.abs(case.log_prob(x, observed) - expected) / np.maximum(1, np.abs(expected))
    assert error.max() < tolerance


def test_the_explicit_density_keeps_the_sum_rule():
    """Marginals of the explicit density are its integrals; all tests here rely on this."""
    with jax.enable_x64(True):
        for name in ("correlated", "chow_liu_tree", "gaussian"):
            e = explicit(TRACTABLE[name].example(jax.random.key(0)).model)
            x = np.ones(e.size, np.longdouble)
            for j in range(e.size):
                seen = np.arange(e.size) != j
                column = e.column(j, x, seen)
                assert abs(column.p.sum() - 1) < 1e-14
                rows = np.repeat(x[None], len(column.x), 0)
                rows[:, j] = column.x
                joint = e.log_prob(rows, np.ones(e.size, bool))
                marginal = e.log_prob(x[None], seen)[0]
                np.testing.assert_allclose(
                    (joint - marginal).astype(float), column.log_density.astype(float), atol=1e-12
                )


@cache
def fitted(name, shape, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = tables.table(name, shape, seed)
        p = tables.fitted(name, table)
        return p, tables.fitted(name, tables.table(name, shape, seed + 1), schema=p.schema)


def check(name, shape, digits):
    p, q = fitted(name, shape, 0)
    tolerance = NEARLY_SINGULAR if shape == "nearly singular" else TOLERANCE[digits]
    if digits == "narrow":
        p, q = (replace(m, model=float_width.narrowed(m.model)) for m in (p, q))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrong = [
            f"{line.kind}: {line.what} is off by {line.error:.1e}"
            for line in answers(p, 0, q)
            if line.exact and not line.error < tolerance
        ]
    assert not wrong, "\n".join(wrong)


CASES = (
    ("class-conditional", "small", "wide"),
    ("correlated", "small", "wide"),
    ("latent_tree", "small", "wide"),
    ("continuous mixture", "small", "wide"),
    ("stack", "small", "wide"),
    ("gaussian", "nearly singular", "wide"),
    ("independent", "three rows", "wide"),
    ("mixture", "spikes", "wide"),
    ("mixture", "small", "narrow"),
)
"""A model of each kind on a few degenerate tables; `benchmarks/exactness.py` tests all of them."""


def cases():
    for name, shape, digits in CASES:
        marks = () if name in QUICK else pytest.mark.slow
        yield pytest.param(name, shape, digits, marks=marks)


@pytest.mark.parametrize(("name", "shape", "digits"), list(cases()))
def test_every_kind_of_answer(name, shape, digits):
    check(name, shape, digits)
