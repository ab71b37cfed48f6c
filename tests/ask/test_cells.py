"""A small distribution with columns of all kinds, and its probabilities from narrow cells.

The tests of `ask` compare answers with the cells; one test checks the cells themselves.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from pofx.core.rows import make_rows
from pofx.joint.joint import Joint
from pofx.models.class_conditional import ClassConditional
from pofx.models.gaussian import Gaussian
from pofx.models.independent import Independent
from pofx.table.encoding import encode
from pofx.table.schema import Schema, Variable

pytestmark = pytest.mark.slow
"""Minutes of compilation; the quick tests cover a few of each."""

KINDS = ["ape", "bee", "cat"]

VARIABLES = (
    Variable("kind", "categorical", levels=tuple(KINDS), family="categorical", dtype="object"),
    Variable("size", "real", shift=1300.0, scale=300.0, family="normal", dtype="float64"),
    Variable("gain", "positive", spikes=(0.0,), scale=3.0, family="log_normal", dtype="float64"),
    Variable("year", "ordinal", levels=(2007, 2008, 2009), family="categorical", dtype="int64"),
    Variable("good", "binary", levels=(False, True), family="bernoulli", dtype="bool"),
)


@cache
def farm():
    """Text, a number near 1000, a number with a spike, years, true and false.

    The others depend on the kind only.
    """
    rng = np.random.default_rng(0)
    n, which = 300, rng.integers(0, 3, 300)
    table = {
        "kind": np.array(KINDS)[which],
        "size": 1000 + 300 * which + 150 * rng.normal(size=n),
        "gain": np.where(rng.random(n) < 0.3, 0.0, np.exp(rng.normal(size=n) + which)),
        "year": 2007 + np.minimum(rng.integers(0, 3, n), which),
        "good": rng.random(n) < 0.3 + 0.2 * which,
    }
    schema = Schema(VARIABLES, "pandas")
    x = make_rows(encode(schema, table))
    # What learning starts from is a model too, and compiles in no time.
    model = ClassConditional.from_data(jax.random.key(0), x, schema.columns, on="kind")
    return Joint(model, schema, np.full(5, np.nan))


@cache
def counts():
    """Only visits, with a Poisson distribution of mean 3, which is slow to compile."""
    column = Variable("visits", "count", family="poisson", dtype="int64")
    schema = Schema((column,), "pandas")
    x = make_rows(np.arange(7.0)[:, None])
    return Joint(
        Independent.from_data(jax.random.key(0), x, schema.columns), schema, np.full(1, np.nan)
    )


COVARIANCE = np.array(
    [[1.0, 0.8, 0.3, 0.4], [0.8, 1.0, 0.5, 0.2], [0.3, 0.5, 1.0, 0.6], [0.4, 0.2, 0.6, 1.0]]
)


@cache
def normal():
    """Four correlated standard normal numbers; b is 5 plus hundredths."""
    variables = (
        Variable(
            name,
            "real",
            shift=5.0 * (name == "b"),
            scale=0.01 if name == "b" else 1.0,
            family="normal",
            dtype="float64",
        )
        for name in "abcd"
    )
    model = Gaussian.from_moments(jnp.zeros(4), jnp.asarray(COVARIANCE))
    return Joint(model, Schema(tuple(variables), "pandas"), np.full(4, np.nan))


@cache
def cells_of_farm():
    return Cells(farm())


class Cells:
    """Narrow cells of each column: their middles, and their probabilities with each kind.

    The ends of cells are even numbers for `size`, and exp(k / 100) and around 0 for `gain`.
    """

    def __init__(self, p):
        logs = np.arange(-6, 8, 0.01) + 0.005
        self.middle = {
            "size": np.arange(-500.0, 3500, 2) + 1,
            "gain": np.concatenate([[0], np.exp(logs)]),
            "year": np.array([2007, 2008, 2009]),
            "good": np.array([False, True]),
        }
        width = {"size": 2.0, "gain": np.concatenate([[1], 0.01 * np.exp(logs)])}
        rows = [
            pd.DataFrame({"kind": kind, name: middle.astype(object)})
            for name, middle in self.middle.items()
            for kind in KINDS
        ]
        empty = pd.DataFrame({name: [] for name in ["kind", *self.middle]}, dtype=object)
        table = pd.concat([empty, *rows], ignore_index=True)
        table = table.astype({"size": float, "gain": float, "year": float})
        density = np.exp(np.asarray(p.log_prob(table), np.float64))
        self.mass = {}
        start = 0
        for name, middle in self.middle.items():
            stop = start + 3 * len(middle)
            per_kind = density[start:stop].reshape(3, len(middle))
            self.mass[name] = per_kind * width.get(name, 1.0)
            start = stop
        self.prior = self.mass["year"].sum(1)

    def weight(self, kind=KINDS, **inside):
        """p(kind, the others inside): an array over kinds."""
        total = np.where(np.isin(KINDS, kind), self.prior, 0)
        for name, within in inside.items():
            total = total * (self.mass[name] @ within(self.middle[name])) / self.prior
        return total

    def p(self, **inside):
        """The probability of being inside."""
        return self.weight(**inside).sum()

    def marginal(self, name, **inside):
        """The middles of a column's cells, and their probabilities given the others inside."""
        w = self.weight(**{k: v for k, v in inside.items() if k != name}) / self.prior
        mass = w @ self.mass[name] * inside.get(name, np.isfinite)(self.middle[name])
        return self.middle[name].astype(float), mass / mass.sum()

    def mean(self, name, **inside):
        """E[column | the others inside]."""
        x, mass = self.marginal(name, **inside)
        return mass @ x

    def variance(self, name, **inside):
        """Var[column | the others inside]."""
        x, mass = self.marginal(name, **inside)
        return mass @ (x - mass @ x) ** 2

    def covariance(self, a, b, **inside):
        """Cov of two columns: the covariance of their means given each kind."""
        w = self.weight(**inside) / self.p(**inside)
        one, other = (
            np.array([self.mean(name, **{**inside, "kind": [kind]}) for kind in KINDS])
            for name in (a, b)
        )
        return w @ ((one - w @ one) * (other - w @ other))


def test_the_cells_hold_all_there_is():
    cells = cells_of_farm()
    assert cells.p() == pytest.approx(1, abs=1e-5)
    for name in cells.middle:
        np.testing.assert_allclose(cells.mass[name].sum(1), cells.prior, rtol=1e-4)
